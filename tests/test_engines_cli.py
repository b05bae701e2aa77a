"""`vivant engines`: what a person types, and what it answers."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from tiny_student import changed_student, entry, write_tiny_student
from typer.testing import CliRunner

pytest.importorskip("onnx", reason="needs onnx: pip install '.[build]'")
pytest.importorskip("polygraphy", reason="needs polygraphy: pip install '.[build]'")

from vivant.cli.building import duration
from vivant.cli.engines import app
from vivant.engines import manifest
from vivant.engines.bench import moving_scene
from vivant.engines.builder.install import install_student
from vivant.engines.builder.material import material_of
from vivant.runtime.frames import VivantError

SHOT = ("--size", "64x64", "--threads", "1", "--backend", "onnxruntime", "--precision", "fp32")


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Engines and students are kept here; the performer, who takes a while to draw, stays at home."""
    monkeypatch.setattr(manifest, "kept_folder", lambda: tmp_path / "cache" / "engines")
    monkeypatch.setattr("platformdirs.user_data_dir", lambda name: str(tmp_path / "data" / name))
    monkeypatch.setattr("vivant.cli.build.performer_material", lambda: material_of(moving_scene((64, 64))))
    return tmp_path


@pytest.fixture
def tiny(tmp_path: Path) -> Path:
    """A student of this machine, with the null student's guard."""
    from vivant.engines.student import SHIPPED

    folder = write_tiny_student(tmp_path / "made" / "tiny", adapted=True)
    shutil.copy(SHIPPED / "null" / "guard.npz", folder / "guard.npz")
    changed_student(folder, folder, lambda card: card.update(guard=entry(folder / "guard.npz")))
    return install_student(folder, "tiny")


def run(*arguments: object) -> str:
    """What a command that succeeds prints."""
    result = CliRunner().invoke(app, [*map(str, arguments)])
    assert result.exit_code == 0, result.output or result.exception
    return str(result.output)


def refused(*arguments: object) -> str:
    """What a command that is refused says; the program prints it alone and exits with 2."""
    result = CliRunner().invoke(app, [*map(str, arguments)])
    assert result.exit_code != 0 and isinstance(result.exception, VivantError | SystemExit)
    return str(result.exception) if isinstance(result.exception, VivantError) else result.output


def test_a_build_tells_its_steps_its_table_and_where_engines_are(tiny):
    told = run("build", "tiny", *SHOT)
    assert "[1/8] load tiny, about" in told and "verify 64x64" in told
    assert "whole" in told and "equal" in told and "at least 60 dB" in told
    assert told.count("tiny-decode-float-") == 1


def test_the_list_has_every_engine_and_why_one_cannot_be_used(tiny, home):
    assert "no engine is kept yet" in run("list")
    run("build", "tiny", *SHOT)
    told = run("list")
    assert told.count("onnxruntime   float") == 3 and "200.0 dB" in told and "64x64" in told
    next((home / "cache" / "engines").glob("tiny-encode-*/*.blob")).write_bytes(b"")
    told = run("list")
    assert "corrupted" in told and "does not match its manifest" in told


def test_show_prints_tensors_layers_manifest_memory_and_verification(tiny):
    run("build", "tiny", *SHOT)
    told = run("show", "tiny")
    for words in (
        "takes  frame uint8 [1, 64, 64, 3]",
        "INT8",
        "backend_version",
        "MB of the host",
        "verified: 200.0",
    ):
        assert words in told


def test_show_says_what_a_scene_needs(home):
    (home / "scene.toml").write_text(
        'title = "t"\nladder = false\nsize = [256, 256]\nbackend = "onnxruntime"\n'
    )
    told = run("show", home / "scene.toml")
    assert "256x256: encode not built" in told and "Run: vivant engines build" in told


def test_verify_holds_kept_engines_against_float_again(tiny):
    assert "no engine of tiny can be used here" in refused("verify", "tiny")
    run("build", "tiny", *SHOT)
    assert "tiny on onnxruntime in float at 64x64" in run("verify", "tiny")
    assert "no engine of tiny" in refused("verify", "tiny", "--backend", "openvino")


def test_bench_measures_the_stages_of_kept_engines(tiny):
    run("build", "tiny", *SHOT)
    told = run("bench", "tiny", "--seconds", "0.1")
    assert all(stage in told for stage in ("encode", "denoise", "guard", "planes", "decode", "total", "p99"))


def test_prune_touches_nothing_without_yes(tiny, home):
    run("build", "tiny", *SHOT)
    assert "nothing is left over" in run("prune")
    (home / "data" / "vivant" / "students" / "tiny").unlink()
    told = run("prune")
    assert told.count("of a student that is not here") == 3 and "Nothing was touched" in told
    assert "are free now" in run("prune", "--yes")
    assert list((home / "cache" / "engines").iterdir()) == []


def test_a_scene_is_built_for_every_rung_of_its_ladder(home):
    from vivant.cli.build import scene_sizes
    from vivant.runtime.scene import load_scene

    (home / "scene.toml").write_text('title = "t"\nladder_sizes = [256, 320]\nsize = [384, 384]\n')
    assert scene_sizes(load_scene(home / "scene.toml")) == [(256, 256), (320, 320), (384, 384)]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--backend", "openvno"], "did you mean 'openvino'"),
        (["--precision", "int4"], "--precision int4: give int8, fp32"),
        (["--size", "large"], "not WIDTHxHEIGHT"),
        (["--backend", "onnxruntime", "--device", "cuda:0"], "onnxruntime runs on the CPU here"),
        (
            ["--backend", "openvino", "--compatibility", "ampere_plus"],
            "--compatibility ampere_plus is for tensorrt",
        ),
        (["--calibration", "/nowhere"], "there is no such folder or film"),
    ],
)
def test_what_makes_no_sense_is_refused(tiny, arguments, words):
    assert words in " ".join(refused("build", "tiny", *arguments).split())


def test_seconds_are_told_no_finer_than_they_are_known():
    assert [duration(s) for s in (0.44, 9.6, 119, 200, 4800)] == [
        "0.4 s",
        "10 s",
        "119 s",
        "3 min",
        "1 h 20 min",
    ]
