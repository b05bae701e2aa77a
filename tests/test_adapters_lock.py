"""Locks: what makes a scene's picture stays the same file, and the lock before can be gone back to."""

from __future__ import annotations

from pathlib import Path

import pytest
from tiny_adapter import write_tiny_adapter
from tiny_student import write_tiny_student

from vivant.engines.card import Card
from vivant.runtime.adapters.lock import (
    check_files,
    check_known,
    files_of,
    lock_path,
    make_lock,
    read_lock,
    restore,
    roll_back,
)
from vivant.runtime.adapters.registry import Registry
from vivant.runtime.frames import VivantError
from vivant.runtime.scene import change_scene, load_scene


@pytest.fixture(scope="module")
def student(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("onnx", reason="needs onnx (the build extra) to write a student")
    return write_tiny_student(tmp_path_factory.mktemp("students") / "tiny", adapted=True)


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    return Registry(tmp_path / "registry")


@pytest.fixture
def tide(tmp_path: Path, student: Path) -> Path:
    """A scene with an adapter that it names and one in a folder."""
    piece = tmp_path / "piece"
    (piece / "looks").mkdir(parents=True)
    card = Card.read(student)
    write_tiny_adapter(piece / "dusk.safetensors", card)
    write_tiny_adapter(piece / "looks" / "dawn.safetensors", card, seed=1)
    scene = piece / "tide.toml"
    scene.write_text(f'title = "Tide"\nstudent = "{student}"\nadapters = ["dusk.safetensors", "looks"]\n')
    return scene


def lock(scene: Path, registry: Registry) -> None:
    make_lock(load_scene(scene), scene, registry, lambda *_: None)


def checked(scene: Path) -> None:
    found = check_files(scene)
    if found is not None:
        check_known(found, load_scene(scene), scene)


def renewed(path: Path, student: Path) -> bytes:
    """Another version of an adapter in its place; the bytes of the one before."""
    before = path.read_bytes()
    write_tiny_adapter(path, Card.read(student), seed=99)
    return before


def test_a_lock_holds_every_file_and_an_unlocked_scene_is_free(
    tide: Path, registry: Registry, student: Path
) -> None:
    checked(tide)
    lock(tide, registry)
    found = read_lock(tide)
    assert found is not None
    assert {"dusk.safetensors", "looks/dawn.safetensors", "student/card.json"} <= found.files.keys()
    assert {f"student/{path.name}" for path in student.iterdir()} <= found.files.keys()
    assert all(registry.find(digest) for digest in found.files.values())
    assert found.files.keys() == files_of(load_scene(tide), tide).keys()
    checked(tide)


def test_a_scene_does_not_start_with_another_file_and_says_which_and_what_to_do(
    tide: Path, registry: Registry, student: Path
) -> None:
    lock(tide, registry)
    renewed(tide.parent / "dusk.safetensors", student)
    (tide.parent / "looks" / "dawn.safetensors").unlink()
    with pytest.raises(VivantError) as refused:
        checked(tide)
    said = str(refused.value)
    assert "2 problems" in said and "does not start" in said
    assert f"dusk.safetensors: {tide.parent / 'dusk.safetensors'} is " in said and " is locked" in said
    assert "looks/dawn.safetensors" in said and "cannot be read" in said
    for remedy in ("restore", "lock", "rollback"):
        assert f"vivant scenes {remedy} {tide}" in said


def test_the_locked_files_are_put_back_and_nothing_is_lost(
    tide: Path, registry: Registry, student: Path
) -> None:
    lock(tide, registry)
    dusk, dawn = tide.parent / "dusk.safetensors", tide.parent / "looks" / "dawn.safetensors"
    before, new = renewed(dusk, student), dusk.read_bytes()
    dawn.write_bytes(b"broken")
    found = read_lock(tide)
    assert found is not None
    assert set(restore(tide, found, registry)) == {"dusk.safetensors", "looks/dawn.safetensors"}
    assert dusk.read_bytes() == before
    assert any(path.read_bytes() == new for path in registry.folder.rglob("dusk.safetensors"))
    checked(tide)
    assert restore(tide, found, registry) == []


def test_rolling_back_goes_one_lock_back_each_time(tide: Path, registry: Registry, student: Path) -> None:
    dusk, versions = tide.parent / "dusk.safetensors", []
    for seed in (1, 2, 3):
        write_tiny_adapter(dusk, Card.read(student), seed=seed)
        versions.append(dusk.read_bytes())
        lock(tide, registry)
    for version in versions[1::-1]:
        _, put_back = roll_back(tide, registry)
        assert put_back == ["dusk.safetensors"] and dusk.read_bytes() == version
        checked(tide)
    with pytest.raises(VivantError, match="is the first lock of this scene"):
        roll_back(tide, registry)


def test_a_lock_of_what_is_locked_already_is_no_new_one(tide: Path, registry: Registry) -> None:
    lock(tide, registry)
    first = lock_path(tide).read_bytes()
    lock(tide, registry)
    assert lock_path(tide).read_bytes() == first


def test_what_the_lock_does_not_know_is_refused_when_named_and_left_out_when_in_a_folder(
    tide: Path, registry: Registry, student: Path
) -> None:
    lock(tide, registry)
    write_tiny_adapter(tide.parent / "looks" / "late.safetensors", Card.read(student), seed=7)
    checked(tide)
    write_tiny_adapter(tide.parent / "rain.safetensors", Card.read(student), seed=8)
    tide.write_text(tide.read_text().replace('"looks"', '"looks", "rain.safetensors"'))
    with pytest.raises(VivantError, match=r"rain\.safetensors: is new"):
        checked(tide)


def test_shaders_are_locked_with_all_that_they_read(tide: Path, registry: Registry) -> None:
    shaders = Path(__file__).parent / "isf"
    for name in ("imported_size.fs", "corners.png", "vertex_v1.fs", "vertex_v1.vs"):
        (tide.parent / name).write_bytes((shaders / name).read_bytes())
    named = ("glow", "bloom"), ("own", "imported_size.fs"), ("over", "vertex_v1.fs")
    effects = "".join(f'[effects.{name}]\nfile = "{file}"\n' for name, file in named)
    tide.write_text(tide.read_text() + effects + '[transitions.clouds]\nfile = "dissolve"\n')
    names = set(files_of(load_scene(tide), tide))
    assert {"shipped-isf/bloom.fs", "shipped-isf/dissolve.fs", "imported_size.fs", "corners.png"} <= names
    assert {"vertex_v1.fs", "vertex_v1.vs"} <= names
    lock(tide, registry)
    checked(tide)
    before = (tide.parent / "vertex_v1.vs").read_bytes()
    (tide.parent / "vertex_v1.vs").write_bytes(before + b"\n")
    with pytest.raises(VivantError, match=r"vertex_v1\.vs"):
        checked(tide)
    found = read_lock(tide)
    assert found is not None
    assert restore(tide, found, registry) == ["vertex_v1.vs"]
    assert (tide.parent / "vertex_v1.vs").read_bytes() == before
    tide.write_text(tide.read_text() + '[effects.more]\nfile = "kaleidoscope"\n')
    with pytest.raises(VivantError, match=r"shipped-isf/kaleidoscope\.fs: is new"):
        checked(tide)


def test_another_student_than_the_locked_one_is_refused(tide: Path, registry: Registry) -> None:
    lock(tide, registry)
    found = check_files(tide)
    assert found is not None
    other = change_scene(load_scene(tide), {"student": "house", "adapters": []})
    with pytest.raises(VivantError, match=r"student: house is asked for, and .*tiny is locked"):
        check_known(found, other, tide)


def test_nothing_is_put_back_when_one_content_is_not_there(
    tide: Path, registry: Registry, student: Path
) -> None:
    lock(tide, registry)
    dusk, dawn = tide.parent / "dusk.safetensors", tide.parent / "looks" / "dawn.safetensors"
    for path in (dusk, dawn):
        kept = registry.keep(path)
        renewed(path, student)
        if path == dawn:
            kept.unlink()
    now = dusk.read_bytes()
    found = read_lock(tide)
    assert found is not None
    with pytest.raises(VivantError, match="nothing was changed"):
        restore(tide, found, registry)
    assert dusk.read_bytes() == now


@pytest.mark.parametrize("content", [b"", b"{}", b"\xff\xfe", b'{"version": 2}'])
def test_a_lock_that_cannot_be_read_stops_the_scene(tide: Path, content: bytes) -> None:
    lock_path(tide).write_bytes(content)
    with pytest.raises(VivantError, match="is no lock"):
        checked(tide)
