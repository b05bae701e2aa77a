"""Films and sheets of motion: every picture is on them, at its place, and under its name."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest

pytest.importorskip("torch", reason="needs torch: pip install '.[distill]'")
pytest.importorskip("skimage", reason="needs scikit-image: pip install '.[distill]'")

from vivant.distill.gallery import INK, PAPER
from vivant.distill.reel import (
    BETWEEN_PX,
    COLUMNS,
    GAP_PX,
    LABEL_PX,
    STYLE_GAP_PX,
    TILE_PX,
    film,
    moments,
    sheet,
    write_film,
)

pytestmark = pytest.mark.torch


def rows(count: int, offset: int = 0) -> list[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Even pictures: 60 + 10 k + (0 given, 1 teacher, 2 student)."""
    return [
        tuple(np.full((64, 64, 3), offset + 60 + 10 * k + i, np.uint8) for i in range(3))  # type: ignore[misc]
        for k in range(count)
    ]


def test_a_sheet_has_the_camera_above_and_teacher_and_student_of_each_style_below() -> None:
    made = sheet({"ink": rows(4), "oil": rows(4, 100)}, "a caption")
    half = made.shape[1] // 2
    down = [STYLE_GAP_PX, 2 * STYLE_GAP_PX + TILE_PX, 2 * STYLE_GAP_PX + 2 * TILE_PX + GAP_PX]
    for k in range(COLUMNS):
        across = LABEL_PX + k * (TILE_PX + GAP_PX) + TILE_PX // 2
        for i, top in enumerate(down):
            assert made[top + TILE_PX // 2, across, 0] == 60 + 10 * k + i
            assert made[top + TILE_PX // 2, half + across, 0] == 160 + 10 * k + i


def test_a_sheet_of_one_style_is_half_as_wide() -> None:
    one, two = sheet({"ink": rows(4)}, ""), sheet({"ink": rows(4), "oil": rows(4)}, "")
    assert 2 * one.shape[1] == two.shape[1] and one.shape[0] == two.shape[0]


def test_what_is_on_a_sheet_is_named() -> None:
    named, without = sheet({"ink": rows(4)}, "pedestrians"), sheet({"": rows(4)}, "")
    assert (named == INK).sum() > (without == INK).sum() > 0


def test_a_sheet_shows_moments_that_follow_each_other_closely() -> None:
    assert moments(24) == [7, 10, 13, 16]
    assert moments(4) == [0, 1, 2, 3]
    assert moments(2) == [0, 1, 1, 1]


def test_a_film_shows_each_style_in_turn_with_three_panels() -> None:
    shown = film({"ink": rows(2), "oil": rows(3, 100)})
    assert len(shown) == 5
    assert all(side % 2 == 0 for side in shown[0].shape[:2])
    middles = [BETWEEN_PX + 32 + i * (64 + BETWEEN_PX) for i in range(3)]
    assert [int(shown[3][40, x, 0]) for x in middles] == [170, 171, 172]
    assert shown[0][0, 0, 0] == PAPER


def test_a_film_is_written_whole_and_plays_in_its_own_time(tmp_path: Path) -> None:
    path = tmp_path / "made" / "film.mp4"
    write_film(path, [np.full((64, 64, 3), 20 * k, np.uint8) for k in range(12)], fps=10)
    with av.open(str(path)) as opened:
        assert opened.streams.video[0].average_rate == 10
        seen = [frame.to_ndarray(format="rgb24") for frame in opened.decode(video=0)]
    # H.264 at a high quality and colours that were subsampled: two grey levels
    assert [int(picture.mean()) for picture in seen] == pytest.approx([20 * k for k in range(12)], abs=2)
