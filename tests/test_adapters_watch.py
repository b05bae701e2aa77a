"""New and changed adapter files are noticed once they are whole."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save

from vivant.runtime.adapters.watch import PATIENCE_NS, Watch

WHOLE = save({"a": np.ones((4, 4), np.float32)})
SECOND = 1_000_000_000


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "looks").mkdir()
    return tmp_path / "looks"


def test_a_file_is_told_once_and_again_when_it_changes_or_comes_back(folder: Path) -> None:
    watch, dusk = Watch([folder]), folder / "dusk.safetensors"
    assert watch.look(0) == []
    dusk.write_bytes(WHOLE)
    assert watch.look(SECOND) == [dusk]
    assert watch.look(2 * SECOND) == []
    os.utime(dusk, ns=(1, 1))
    assert watch.look(3 * SECOND) == [dusk]
    dusk.unlink()
    assert watch.look(4 * SECOND) == []
    dusk.write_bytes(WHOLE)
    os.utime(dusk, ns=(1, 1))
    assert watch.look(5 * SECOND) == [dusk]


def test_a_file_that_is_still_being_copied_is_left_alone_until_it_is_whole(folder: Path) -> None:
    watch, dusk = Watch([folder]), folder / "dusk.safetensors"
    for length in range(0, len(WHOLE), 16):
        dusk.write_bytes(WHOLE[:length])
        assert watch.look(length * SECOND) == []
    dusk.write_bytes(WHOLE)
    assert watch.look(1000 * SECOND) == [dusk]


def test_a_file_that_never_becomes_whole_is_told_after_a_while(folder: Path) -> None:
    watch, broken = Watch([folder]), folder / "broken.ckpt"
    broken.write_bytes(WHOLE[:40])
    assert watch.look(0) == []
    assert watch.look(PATIENCE_NS - 1) == []
    assert watch.look(PATIENCE_NS) == [broken]
    assert watch.look(9 * PATIENCE_NS) == []


def test_what_is_no_adapter_is_not_looked_at_and_named_files_are(folder: Path, tmp_path: Path) -> None:
    for name in ("notes.txt", ".hidden.safetensors", ".dusk.safetensors.x7.part"):
        (folder / name).write_bytes(WHOLE)
    (folder / "folder.safetensors").mkdir()
    alone = tmp_path / "alone.safetensors"
    watch = Watch([folder, tmp_path / "nowhere"], [alone])
    assert watch.look(0) == []
    alone.write_bytes(WHOLE)
    assert watch.look(SECOND) == [alone]


def test_a_folder_that_goes_away_and_comes_back_is_told_once_each(folder: Path) -> None:
    watch = Watch([folder])
    assert watch.moved() == []
    away = folder.rename(folder.with_name("elsewhere"))
    assert watch.moved() == [(folder, False)]
    assert watch.moved() == []
    away.rename(folder)
    assert watch.moved() == [(folder, True)]
    assert watch.moved() == []
