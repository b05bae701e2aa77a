"""Whole builds of a tiny student: verified engines appear, others do not; what is wrong is told at once."""

from __future__ import annotations

import json
import logging
import shutil
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from test_tensorrt import played  # noqa: F401  # a fixture
from tiny_student import RANK, SLOTS, write_tiny_student

pytest.importorskip("onnx", reason="needs onnx: pip install '.[build]'")
pytest.importorskip("polygraphy", reason="needs polygraphy: pip install '.[build]'")

from vivant.engines import manifest, registry, tensorrt_backend
from vivant.engines.bench import moving_scene
from vivant.engines.buildable import Machine
from vivant.engines.builder.build import NotNear, build
from vivant.engines.builder.errors import BuildError
from vivant.engines.builder.install import install_student, students_folder
from vivant.engines.builder.material import material_of, read_material
from vivant.engines.builder.order import Extras, Order
from vivant.engines.builder.plan import plan
from vivant.engines.builder.preflight import preflight
from vivant.engines.builder.step import Shelf, Unwatched
from vivant.engines.builder.store import entries, remove, shelf_folder, sizes_of, waste
from vivant.engines.builder.targets import slug, target_of
from vivant.engines.card import CARD, Card
from vivant.engines.contract import PARTS, EngineError, GraphSource
from vivant.engines.kinds import load_student
from vivant.engines.manifest import MANIFEST, kept_engines, read_kept
from vivant.engines.student import find
from vivant.engines.tensorrt_plans import rewriting

SIZE = (64, 64)
MATERIAL = material_of(moving_scene(SIZE))


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Textures come from the machine's own cache; engines and students are kept here."""
    monkeypatch.setattr(manifest, "kept_folder", lambda: tmp_path / "cache" / "engines")
    monkeypatch.setattr("platformdirs.user_data_dir", lambda name: str(tmp_path / "data" / name))
    return tmp_path


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_student(tmp_path_factory.mktemp("students") / "tiny", adapted=True)


@pytest.fixture
def order(tiny: Path) -> Order:
    return Order(tiny, False, "tuned", "onnxruntime", "float", (SIZE,), Machine(1), MATERIAL)


class Watching(Unwatched):
    def __init__(self) -> None:
        self.done: list[str] = []

    def ended(self, one, seconds):
        self.done.append(one.name)


def built(order: Order, watch: Watching | None = None):
    return build(order, Shelf(shelf_folder()), watch or Watching())


@pytest.mark.parametrize("backend", ["openvino", "onnxruntime"])
def test_what_was_built_is_kept_verified_and_is_what_a_show_loads(order, tiny, backend, caplog):
    outcome = built(replace(order, backend=backend))
    assert len(outcome.engines) == 3 and outcome.student is None
    for folder in outcome.engines:
        verified = read_kept(folder).verified
        assert verified is not None and verified.psnr_db >= 60 and verified.samples > 4
    with caplog.at_level(logging.INFO, "vivant.engines"), load_student(tiny, backend, "float", SIZE, 1):
        pass
    assert "compiling" not in caplog.text
    with caplog.at_level(logging.INFO, "vivant.engines"), load_student(tiny, backend, "float", (96, 64), 1):
        pass
    assert "compiling tiny.encode" in caplog.text  # another size was not built


def test_what_was_done_is_not_done_again(order):
    first, again = Watching(), Watching()
    before = {folder: (folder / MANIFEST).stat().st_mtime_ns for folder in built(order, first).engines}
    assert {
        folder: (folder / MANIFEST).stat().st_mtime_ns for folder in built(order, again).engines
    } == before
    assert "verify 64x64" in first.done and again.done == []
    more = Watching()
    built(replace(order, sizes_px=(SIZE, (96, 96))), more)
    assert {name.split()[-1] for name in more.done} == {"96x96"}


def test_a_damaged_engine_is_put_right_by_the_next_build(order):
    folder = built(order).engines[0]
    next(folder.glob("*.blob")).write_bytes(b"half")
    assert "sha256" in kept_engines()[folder]
    built(order)
    assert kept_engines()[folder] == ""


def test_engines_that_are_too_far_from_float_are_not_installed_and_the_layers_are_named(order):
    with pytest.raises(NotNear, match=r"too far from float and is not installed: whole picture") as refusal:
        built(replace(order, precision="int8"))
    assert "Keep these layers in float, which --fix does:\n" in str(refusal.value)
    assert kept_engines() == {} and refusal.value.rows


def test_fix_makes_a_student_that_is_near_enough_and_leaves_the_old_one(order, tiny):
    before = {path.name: path.read_bytes() for path in tiny.iterdir()}
    outcome = built(replace(order, precision="int8", fix=True))
    assert outcome.student == students_folder() / "tuned" and find("tuned") == outcome.student
    assert all(row.psnr_db >= 30 for row in outcome.rows)
    assert {path.name: path.read_bytes() for path in tiny.iterdir()} == before
    with load_student("tuned", "onnxruntime", "int8", SIZE, 1) as student:
        assert "int8" in student.ran_precision["decode"]


def test_ranges_are_taken_anew_from_a_folder_of_pictures(order, tmp_path):
    (tmp_path / "room").mkdir()
    for index, frame in enumerate(moving_scene((80, 60))):
        cv2.imwrite(str(tmp_path / "room" / f"{index}.png"), frame)
    material = read_material(tmp_path / "room")
    assert len(material.seen) + len(material.held_out) == len(moving_scene((80, 60)))
    outcome = built(replace(order, precision="int8", recalibrate=True, material=material))
    card = Card.read(find("tuned"))
    assert set(card.graphs["decode"]) == {"float", "int8", "int8_symmetric"}
    assert outcome.kept == {} and set(outcome.worst_layers) == set(PARTS)


def test_other_slots_make_another_student(order):
    outcome = built(replace(order, slots=(SLOTS + 1, RANK + 1)))
    card = Card.read(outcome.student)
    assert (card.adapters.slots, card.adapters.rank) == (SLOTS + 1, RANK + 1)
    made = read_kept(outcome.engines[1]).manifest
    assert (made.adapter_slots, made.adapter_rank) == (SLOTS + 1, RANK + 1)
    assert any(row.wish.startswith("held-out") for row in outcome.rows)


def test_a_student_is_replaced_by_one_rename_and_the_old_files_stay(tiny, tmp_path):
    first = install_student(tiny, "tuned")
    old = first.resolve()
    changed = tmp_path / "changed"
    shutil.copytree(tiny, changed)
    card = json.loads((changed / CARD).read_text())
    (changed / CARD).write_text(json.dumps(card | {"version": "2"}))
    second = install_student(changed, "tuned")
    assert second == first and first.resolve() != old and Card.read(second).version == "2"
    assert Card.read(old).version == "1"
    assert [path.name for path in students_folder().iterdir()] == ["tuned"]


def test_a_folder_that_the_builder_did_not_make_is_not_replaced(tiny):
    shutil.copytree(tiny, students_folder() / "mine")
    with pytest.raises(BuildError, match="did not make"):
        install_student(tiny, "mine")


# Before any work


def test_everything_that_is_wrong_is_told_at_once(order, tmp_path):
    (tmp_path / "net").mkdir()
    wrong = replace(
        order,
        precision="half",
        sizes_px=((100, 64),),
        slots=(9, 4),
        name="No Name",
        machine=Machine(1, 0, "ampere_plus"),
        extras=Extras(controlnet=tmp_path / "net", image_prompt=tmp_path / "image.bin"),
    )
    with pytest.raises(BuildError, match="onnxruntime in half: 9 problems") as refusal:
        preflight(wrong, ["--calibration FILM: there is no such film"])
    for words in (
        "FILM",
        "runs int8, fp32",
        "multiples of 32",
        "9 --rank 4",
        "No Name",
        "--controlnet",
        "pickle",
        "--image and --image-encoder not given",
        "tiny is a student: --controlnet",
    ):
        assert words in str(refusal.value)


def test_a_model_that_is_built_in_float_again_does_not_take_its_students_int8_graphs(order, tiny):
    install_student(tiny, "turbo")
    again = replace(order, is_model=True, name="turbo", precision="float")
    with pytest.raises(BuildError, match=r"turbo has int8 graphs.*vivant engines build turbo --backend onnx"):
        preflight(again)
    with pytest.raises(BuildError) as refusal:
        preflight(replace(again, name="other"))
    assert "has int8 graphs" not in str(refusal.value)


def test_absent_libraries_and_damaged_students_are_told_too(order, tiny, tmp_path):
    broken = tmp_path / "broken"
    shutil.copytree(tiny, broken)
    (broken / "decode.float.onnx").write_bytes(b"")
    with pytest.raises(BuildError) as refusal:
        preflight(replace(order, source=broken, backend="tensorrt"))
    assert "decode.float.onnx has sha256" in str(refusal.value)
    assert "pip install 'vivant[nvidia]'" in str(refusal.value)


def test_a_disk_that_is_full_stops_a_build_before_it_begins(order, monkeypatch):
    full = shutil.disk_usage("/")._replace(free=1000)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: full)
    with pytest.raises(BuildError, match=r"0\.0 GB free, .* are wanted\. Run: vivant engines prune"):
        preflight(order)


def test_what_is_in_order_passes(order):
    preflight(replace(order, precision="int8", fix=True))


@pytest.mark.parametrize(
    ("word", "says"),
    [
        ("model.ckpt", "is a pickle"),
        ("unet/model.bin", "is a pickle"),
        ("one.safetensors", "single file"),
        ("nowhere", "Nor is it a diffusers folder"),
        ("who/what", "--download|huggingface_hub is not installed"),
    ],
)
def test_what_is_no_target_is_refused_with_what_to_do(word, says):
    with pytest.raises(EngineError, match=says):
        target_of(word)


def test_targets_are_students_and_models(tiny, tmp_path):
    assert target_of("house").name == "house" and not target_of("house").is_model
    assert target_of(str(tiny)).folder == tiny
    (tmp_path / "SD Turbo 2").mkdir()
    (tmp_path / "SD Turbo 2" / "model_index.json").write_text("{}")
    found = target_of(str(tmp_path / "SD Turbo 2"))
    assert found.is_model and found.name == "sd-turbo-2" and slug("4x") == "student-4x"


def test_too_few_frames_are_refused(tmp_path):
    cv2.imwrite(str(tmp_path / "one.png"), np.zeros((8, 8, 3), np.uint8))
    with pytest.raises(BuildError, match="gives 1 pictures, and at least 4"):
        read_material(tmp_path)
    (tmp_path / "two.png").write_bytes(b"no picture")
    with pytest.raises(BuildError, match=r"no pictures that can be read: two\.png"):
        read_material(tmp_path)


def test_of_a_film_the_end_is_held_out(tmp_path):
    film = cv2.VideoWriter(str(tmp_path / "film.avi"), cv2.VideoWriter.fourcc(*"MJPG"), 10, (32, 32))
    for level in range(12):
        film.write(np.full((32, 32, 3), level * 20, np.uint8))
    film.release()
    found = read_material(tmp_path / "film.avi")
    assert (len(found.seen), len(found.held_out)) == (8, 4)
    assert max(frame.mean() for frame in found.seen) < min(frame.mean() for frame in found.held_out)


# What is kept


def test_engines_of_another_version_or_device_are_seen_and_not_used(order, tiny, caplog):
    folder = built(order).engines[0]
    told = json.loads((folder / MANIFEST).read_text())
    for entry, value, state in (
        ("backend_version", "0.1", "other version"),
        ("device", "another processor", "other device"),
    ):
        other = folder.with_name(f"tiny-encode-float-{entry}")
        shutil.copytree(folder, other)
        (other / MANIFEST).write_text(json.dumps(told | {"manifest": told["manifest"] | {entry: value}}))
        (found,) = (one for one in entries() if one.folder == other)
        assert found.state == state and value in found.why and "\n" not in found.why
    shutil.rmtree(folder)
    load_student(tiny, "onnxruntime", "float", SIZE, 1).close()
    lines = [record.message for record in caplog.records if "is not used" in record.message]
    assert len(lines) == 2 and all("built for" in line and "\n" not in line for line in lines)


@pytest.mark.parametrize("damage", ["truncated", "changed", "gone", "moved"])
def test_a_damaged_engine_is_refused_at_load_in_one_line(order, tiny, damage):
    folders = built(order).engines
    blob = next(folders[0].glob("*.blob"))
    whole = blob.read_bytes()
    if damage == "moved":
        shutil.copy(folders[1] / MANIFEST, folders[0] / MANIFEST)
        shutil.copy(next(folders[1].glob("*.blob")), folders[0])
    elif damage == "gone":
        blob.unlink()
    else:
        blob.write_bytes(whole[:-10] if damage == "truncated" else whole[:-1] + b"!")
    with pytest.raises(EngineError, match="does not match its manifest") as refusal:
        load_student(tiny, "onnxruntime", "float", SIZE, 1)
    assert "\n" not in str(refusal.value) and "Delete that folder" in str(refusal.value)


def test_sizes_are_read_from_manifests(order):
    for folder in built(order).engines:
        assert sizes_of(read_kept(folder).manifest) == [SIZE]


def test_prune_takes_what_no_student_needs_and_nothing_else(order):
    outcome = built(replace(order, slots=(3, 3)))
    built(order)  # tiny itself is no student of this machine
    shelf = Shelf(shelf_folder())
    old_s = 9e9
    (shelf.folder / ".staged-dead").mkdir()
    found = list(waste(shelf, now_s=old_s))
    whys = {one.path: one.why for one in found}
    assert not set(outcome.engines) & whys.keys()
    assert sum("not here" in why for why in whys.values()) == 2  # the parts that slots are in
    assert whys[shelf.folder / ".staged-dead"] == "left by a build that was ended"
    assert remove(found) > 0 and list(shelf.folder.iterdir()) == []
    load_student("tuned", "onnxruntime", "float", SIZE, 1).close()
    assert list(waste(shelf, now_s=old_s)) == []


# TensorRT, on played libraries


@pytest.fixture
def tensorrt(played, monkeypatch):  # noqa: F811
    """The played libraries, as installed ones."""
    monkeypatch.setattr(registry, "_importable", lambda package: True)
    return played


def test_tensorrt_gets_one_engine_for_all_sizes_and_it_appears_when_it_is_verified(tensorrt, order, tiny):
    wish = replace(order, backend="tensorrt", sizes_px=(SIZE, (96, 64)))
    assert list(plan(wish, PARTS, {}).engines) == [f"engine {part} 64x64 96x64" for part in PARTS]
    source = GraphSource(tiny, Card.read(tiny), "decode", "float")
    with pytest.raises(EngineError, match="is not built"):
        tensorrt_backend.load(source, SIZE, 1)
    outcome = built(wish)
    assert len(outcome.engines) == 3
    for folder in outcome.engines:
        kept = read_kept(folder)
        assert sizes_of(kept.manifest) == [SIZE, (96, 64)] and kept.verified is not None
        assert kept.manifest.rewrite == rewriting() and kept.manifest.rewrite
    for size in wish.sizes_px:
        tensorrt_backend.load(source, size, 1).close()


def test_the_timing_cache_is_kept_beside_the_engines_of_the_show(tensorrt, order, home):
    built(replace(order, backend="tensorrt"))
    assert len(list((home / "cache").rglob("*.timing"))) == 1
