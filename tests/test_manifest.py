"""Manifests: what was compiled from something else, or damaged, is refused with what differs."""

from __future__ import annotations

import pytest

from vivant.engines.contract import EngineError
from vivant.engines.manifest import MANIFEST, Manifest, cache_folder, keep, kept_engines, recall

MANIFEST_OF_ONE = Manifest(
    student="tiny",
    part="decode",
    precision="int8",
    model_sha256="a" * 64,
    calibration_sha256="a" * 64,
    shapes={"code": (1, 16, 8, 8)},
    adapter_slots=0,
    backend="openvino",
    backend_version="1",
    device="CPU one",
    threads=2,
)


def test_what_was_kept_is_recalled_and_nothing_is_recalled_from_nothing(tmp_path):
    assert recall(tmp_path / "none", MANIFEST_OF_ONE) is None
    keep(tmp_path, MANIFEST_OF_ONE, b"compiled")
    assert recall(tmp_path, MANIFEST_OF_ONE) == b"compiled"


@pytest.mark.parametrize(
    "change",
    [{"device": "CPU two"}, {"backend_version": "2"}, {"shapes": {"code": (1, 16, 9, 8)}}, {"threads": 1}],
)
def test_a_manifest_that_differs_is_refused_with_what_differs(tmp_path, change):
    keep(tmp_path, MANIFEST_OF_ONE, b"compiled")
    wanted = MANIFEST_OF_ONE.model_copy(update=change)
    (name,) = change
    with pytest.raises(EngineError, match=rf"does not match its manifest: {name}: .*wanted"):
        recall(tmp_path, wanted)
    assert wanted.key != MANIFEST_OF_ONE.key


@pytest.mark.parametrize("content", ["", "{}", '{"manifest": 1}', None])
def test_a_broken_manifest_or_a_missing_engine_is_refused(tmp_path, content):
    keep(tmp_path, MANIFEST_OF_ONE, b"compiled")
    if content is None:
        next(tmp_path.glob("*.blob")).unlink()
    else:
        (tmp_path / MANIFEST).write_text(content)
    with pytest.raises(EngineError, match="Delete that folder"):
        recall(tmp_path, MANIFEST_OF_ONE)


def test_damaged_compiled_engines_are_found(tmp_path, monkeypatch):
    monkeypatch.setattr("platformdirs.user_cache_dir", lambda name: str(tmp_path))
    assert kept_engines() == {}
    keep(cache_folder() / "one", MANIFEST_OF_ONE, b"compiled")
    keep(cache_folder() / "two", MANIFEST_OF_ONE, b"compiled")
    keep(cache_folder() / "three", MANIFEST_OF_ONE, b"compiled")
    next((cache_folder() / "two").glob("*.blob")).write_bytes(b"changed")
    (cache_folder() / "three" / MANIFEST).write_text("{")
    faults = {folder.name: fault for folder, fault in kept_engines().items()}
    assert faults["one"] == "" and "sha256" in faults["two"] and "cannot be read" in faults["three"]
