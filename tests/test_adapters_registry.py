"""The registry keeps files by their content, and what auditions found."""

from __future__ import annotations

from pathlib import Path

import pytest

from vivant.runtime.adapters.registry import Record, Registry
from vivant.runtime.frames import VivantError


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    return Registry(tmp_path / "registry")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "dusk.safetensors"
    path.write_bytes(b"dusk")
    return path


def test_what_is_kept_stays_when_its_file_changes(registry: Registry, file: Path) -> None:
    kept = registry.keep(file)
    file.write_bytes(b"dawn")
    assert kept.name == file.name and kept.read_bytes() == b"dusk"
    assert registry.find(kept.parent.name) == kept
    assert registry.keep(file).read_bytes() == b"dawn"


def test_a_kept_file_that_was_damaged_is_kept_anew(registry: Registry, file: Path) -> None:
    registry.keep(file).write_bytes(b"dust")
    assert registry.keep(file).read_bytes() == b"dusk"


def test_a_kept_content_is_put_back_and_what_stood_there_is_kept(registry: Registry, file: Path) -> None:
    digest = registry.keep(file).parent.name
    file.write_bytes(b"dawn")
    registry.restore(digest, file)
    assert file.read_bytes() == b"dusk"
    assert {path.read_bytes() for path in registry.folder.rglob("dusk.safetensors")} == {b"dusk", b"dawn"}
    file.unlink()
    registry.restore(digest, file)
    assert file.read_bytes() == b"dusk"


def test_what_was_never_kept_or_is_damaged_is_not_put_back(registry: Registry, file: Path) -> None:
    with pytest.raises(VivantError, match=r"is not in .*registry"):
        registry.restore("0" * 64, file)
    kept = registry.keep(file)
    kept.write_bytes(b"dust")
    file.write_bytes(b"dawn")
    with pytest.raises(VivantError, match=r"cannot be written.*is not what its hash"):
        registry.restore(kept.parent.name, file)
    assert file.read_bytes() == b"dawn"


def test_a_file_that_cannot_be_read_is_not_kept(registry: Registry, tmp_path: Path) -> None:
    with pytest.raises(VivantError, match="cannot be kept"):
        registry.keep(tmp_path / "nowhere.safetensors")


def test_an_audition_counts_for_its_adapter_student_and_guard_alone(registry: Registry) -> None:
    record = Record(
        name="dusk", sha256="a", student="b", guard="c", passed=False, held=3, tried=11, reason="far out"
    )
    registry.write(record)
    assert registry.record("a", "b", "c") == record
    assert registry.record("a", "b", "d") is None
    registry.forget("a", "b", "c")
    assert registry.record("a", "b", "c") is None


def test_a_record_that_cannot_be_read_counts_for_nothing(registry: Registry) -> None:
    record = Record(name="dusk", sha256="a", student="b", guard="c", passed=True, held=0, tried=11)
    registry.write(record)
    path = registry.sheet("a", "b", "c").with_suffix(".json")
    path.write_text(path.read_text().replace("true", '"yes"'))
    assert registry.record("a", "b", "c") is None
