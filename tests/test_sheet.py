"""A contact sheet holds every moment, input above output, and is written whole or not at all."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from vivant.runtime.frames import U8, VivantError
from vivant.runtime.sheet import GROUND, contact_sheet, picture_png


def flat(height: int, width: int, *colour: int) -> U8:
    return np.full((height, width, len(colour)), colour, np.uint8)


def read_png(path: Path) -> U8:
    picture: U8 = cv2.cvtColor(cv2.imread(str(path)), cv2.COLOR_BGR2RGB)
    return picture


def test_a_sheet_holds_each_input_above_its_output(tmp_path: Path) -> None:
    columns = [
        (flat(240, 320, 10 * index, 90, 0), flat(360, 640, 200, 10 * index, 255, 255)) for index in range(8)
    ]
    contact_sheet(columns, tmp_path / "out" / "sheet.png", seconds=[0.5 * index for index in range(8)])
    sheet = read_png(tmp_path / "out" / "sheet.png")
    assert tuple(sheet[0, 0]) == GROUND
    for index in range(8):
        above = np.argwhere((sheet == (10 * index, 90, 0)).all(axis=2))
        below = np.argwhere((sheet == (200, 10 * index, 255)).all(axis=2))
        assert len(above) == 320 * 240
        assert len(below) == 320 * 180
        assert above[:, 0].max() < below[:, 0].min()
        assert above[:, 1].min() == below[:, 1].min()


def test_labels_are_drawn_only_where_seconds_are_given(tmp_path: Path) -> None:
    columns = [(flat(32, 32, 0, 0, 0), flat(32, 32, 0, 0, 0))]
    contact_sheet(columns, tmp_path / "with.png", seconds=[12.5])
    contact_sheet(columns, tmp_path / "without.png")
    assert (read_png(tmp_path / "with.png") > 100).any()
    assert not (read_png(tmp_path / "without.png") > 100).any()


def test_a_picture_keeps_its_colours_and_its_first_row(tmp_path: Path) -> None:
    picture = flat(3, 4, 1, 2, 3, 255)
    picture[0] = (200, 100, 50, 255)
    picture_png(picture, tmp_path / "picture.png")
    assert (read_png(tmp_path / "picture.png") == picture[..., :3]).all()
    assert list(tmp_path.iterdir()) == [tmp_path / "picture.png"]


def test_a_picture_that_was_read_upside_down_in_memory_can_be_written(tmp_path: Path) -> None:
    picture = np.arange(48, dtype=np.uint8).reshape(4, 4, 3)[::-1]
    picture_png(picture, tmp_path / "picture.png")
    assert (read_png(tmp_path / "picture.png") == picture).all()


def test_a_sheet_of_nothing_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="at least one"):
        contact_sheet([], tmp_path / "sheet.png")


def test_a_path_that_cannot_be_written_is_a_persons_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(VivantError, match="Cannot write"):
        picture_png(flat(2, 2, 0, 0, 0), tmp_path / "file" / "picture.png")
