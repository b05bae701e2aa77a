"""`vivant adapters` and `vivant scenes lock`, as a person uses them."""

from __future__ import annotations

from pathlib import Path

import pytest
from tiny_adapter import write_tiny_adapter
from typer.testing import CliRunner

from vivant.cli.adapters import short
from vivant.cli.app import app
from vivant.cli.scenes import differences
from vivant.engines.card import Card
from vivant.engines.student import find
from vivant.runtime.frames import VivantError

RUNNER = CliRunner()


@pytest.fixture(autouse=True)
def own_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The registry of whoever runs the tests stays as it is."""
    data = tmp_path / "data"
    monkeypatch.setattr("platformdirs.user_data_dir", lambda name: str(data))
    return data


@pytest.fixture
def tide(tmp_path: Path) -> Path:
    (tmp_path / "looks").mkdir()
    card = Card.read(find("house"))
    write_tiny_adapter(tmp_path / "looks" / "calm.safetensors", card, alpha=0.02)
    write_tiny_adapter(tmp_path / "looks" / "wild.safetensors", card, alpha=600.0, seed=1)
    (tmp_path / "looks" / "broken.safetensors").write_bytes(b"nothing")
    scene = tmp_path / "tide.toml"
    scene.write_text('title = "Tide"\nbackend = "onnxruntime"\nsize = [256, 256]\nadapters = ["looks"]\n')
    return scene


def ran(*arguments: object, code: int = 0) -> str:
    result = RUNNER.invoke(app, [*map(str, arguments)])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == code, result.output
    return result.output


def listed(scene: Path) -> dict[str, list[str]]:
    rows = [line.split("\t") for line in ran("adapters", "list", scene, "--plain").splitlines() if line]
    return {row[0]: row[1:] for row in rows}


def test_the_list_says_of_every_file_whether_it_is_worn_and_why_not(tide: Path) -> None:
    before = listed(tide)
    assert before["riso"][0] == "ready"
    assert {name: before[name][0] for name in ("calm", "wild")} == dict.fromkeys(("calm", "wild"), "waiting")
    assert before["broken.safetensors"][0] == "refused" and "cut off" in before["broken.safetensors"][-1]
    said = ran("adapters", "audition", tide, code=1)
    assert "calm: ready" in said and "wild: quarantined: held in" in said
    after = listed(tide)
    assert after["calm"][0] == "ready" and after["calm"][1] == "2" and after["calm"][3] == "Apache-2.0"
    assert after["wild"][0] == "quarantined"
    assert Path(after["wild"][-1].split("; ")[-1]).is_file()
    assert "was auditioned before" in ran("adapters", "audition", tide, "calm")
    assert "calm" in ran("adapters", "list", tide)


def test_a_sheet_of_what_an_adapter_did_is_drawn_where_it_is_asked_for(tide: Path, tmp_path: Path) -> None:
    ran("adapters", "audition", tide, "calm", "--sheets", tmp_path / "sheets")
    assert (tmp_path / "sheets" / "calm.png").stat().st_size > 10_000


def test_an_adapter_that_is_not_there_is_a_clear_mistake(tide: Path) -> None:
    with pytest.raises(VivantError, match=r"nobody: no adapter of .* that fits; see: vivant adapters list"):
        ran("adapters", "audition", tide, "nobody")


def test_a_scene_is_locked_refused_restored_and_rolled_back(tide: Path) -> None:
    calm, card = tide.parent / "looks" / "calm.safetensors", Card.read(find("house"))
    first = calm.read_bytes()
    assert "files are locked, kept in" in ran("scenes", "lock", tide)
    assert "nothing changed since" in ran("scenes", "lock", tide)
    write_tiny_adapter(calm, card, seed=5, alpha=0.02)
    second = calm.read_bytes()
    for command in (("scenes", "check", tide), ("run", tide, "--headless", "--seconds", "1")):
        with pytest.raises(VivantError, match=r"looks/calm\.safetensors: .* is locked"):
            ran(*command)
    assert listed(tide)["calm"][0] == "refused"
    assert "looks/calm.safetensors" in ran("scenes", "lock", tide)
    said = ran("scenes", "rollback", tide)
    assert "1 file was put back" in said and "looks/calm.safetensors" in said
    assert calm.read_bytes() == first
    calm.write_bytes(second)
    assert "1 file was put back" in ran("scenes", "restore", tide)
    assert "fine" in ran("scenes", "check", tide) and calm.read_bytes() == first


def test_a_scene_without_a_lock_has_nothing_to_go_back_to(tide: Path) -> None:
    for command in ("rollback", "restore"):
        with pytest.raises(VivantError, match=r"has no lock\. Run: vivant scenes lock"):
            ran("scenes", command, tide)


def test_differences_of_two_locks_are_told_by_name() -> None:
    assert differences({"a": "1" * 64, "b": "2" * 64, "c": "3"}, {"b": "4" * 64, "c": "3", "d": "5"}) == [
        "a: goes",
        f"b: {'2' * 12} to {'4' * 12}",
        "d: comes",
    ]
    assert short("") == "none stated" and short("MIT\nmore") == "MIT" and len(short("x" * 90)) == 24
