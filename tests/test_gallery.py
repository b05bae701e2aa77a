"""Sheets of the painters."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from conftest import Start

pytest.importorskip("scipy", reason="needs scipy: pip install '.[distill]'")
pytest.importorskip("skimage", reason="needs scikit-image: pip install '.[distill]'")
pytest.importorskip("sklearn", reason="needs scikit-learn: pip install '.[distill]'")

from vivant.distill import gallery
from vivant.distill.gallery import INK, PAPER, hang, sheet, write_png
from vivant.distill.teachers import paint
from vivant.runtime.frames import VivantError


def test_a_sheet_has_margins_and_a_caption_below() -> None:
    rows = [[np.full((48, 48, 3), 10 * (i + 3 * k), np.uint8) for i in range(3)] for k in range(2)]
    made = sheet(rows, "ink")
    step = 48 + 2
    assert made.shape == (2 * step + 6, 3 * step + 2, 3)
    for k in range(2):
        for i in range(3):
            assert (made[2 + k * step, 2 + i * step] == 10 * (i + 3 * k)).all()
    assert (made[:2] == PAPER).all() and (made[:, :2] == PAPER).all()
    assert made[2 * step :].min() < (PAPER + INK) / 2 + 60  # the letters are thin at this size


def test_a_sheet_shows_the_structures_above_and_a_row_for_each_seed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    monkeypatch.setattr(gallery, "held_out", lambda size_px, clip: {"one": scene, "other": scene[::-1]})
    told: list[str] = []
    [path] = hang(["ink"], 64, 2, tmp_path / "made", None, told.append)
    assert path.name == "ink.png" and told == ["ink"] * 4
    made = cv2.imread(str(path))[..., ::-1]
    edge = 3  # a twenty-fourth of 64 px
    step = 64 + edge
    assert np.array_equal(made[edge:step, edge:step], scene)
    for seed in range(2):
        top = edge + (seed + 1) * step
        assert np.array_equal(made[top : top + 64, edge:step], paint("ink", scene, seed).picture)


def test_a_picture_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "a.png").mkdir()
    with pytest.raises(VivantError, match="cannot be written"):
        write_png(tmp_path / "a.png", np.zeros((8, 8, 3), np.uint8))


def test_the_command_asks_for_a_size_that_painters_take(start: Start, tmp_path: Path) -> None:
    asked = start("distill", "gallery", "--size", "100", "--out", tmp_path)
    assert asked.wait(60) == 2
    assert "multiple of 32. Try 96" in asked.stderr.read()  # type: ignore[union-attr]
