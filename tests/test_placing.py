"""Fit, fill and mirror are whole pixels, keep the picture's shape and leave nothing of the target out."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vivant.runtime.placing import Aspect, bars, place

SIDE = st.integers(1, 4000)


def test_a_picture_of_the_targets_size_lies_on_it_exactly() -> None:
    placed = place((384, 256), (384, 256), "fit", mirror=False)
    assert (placed.pixels, placed.crop) == ((0, 0, 384, 256), (0.0, 0.0, 1.0, 1.0))
    assert placed.clip((384, 256)) == (-1.0, 1.0, 1.0, -1.0)


def test_fit_shows_the_whole_picture_in_the_middle() -> None:
    placed = place((100, 100), (640, 320), "fit", mirror=False)
    assert (placed.pixels, placed.crop) == ((160, 0, 480, 320), (0.0, 0.0, 1.0, 1.0))


def test_fill_covers_the_target_and_crops_both_sides_alike() -> None:
    placed = place((100, 100), (640, 320), "fill", mirror=False)
    assert (placed.pixels, placed.crop) == ((0, 0, 640, 320), (0.0, 0.25, 1.0, 0.75))


def test_mirror_swaps_left_and_right_only() -> None:
    assert place((100, 100), (640, 320), "fill", mirror=True).crop == (1.0, 0.25, 0.0, 0.75)


@pytest.mark.parametrize("aspect", ["fit", "fill"])
@given(w=SIDE, h=SIDE, width=SIDE, height=SIDE)
def test_picture_and_bars_cover_every_pixel_once(
    aspect: Aspect, w: int, h: int, width: int, height: int
) -> None:
    placed = place((w, h), (width, height), aspect, mirror=False)
    parts = [placed.pixels, *(bar.pixels for bar in bars((w, h), (width, height), placed, mirror=False))]
    assert all(0 <= x0 < x1 <= width and 0 <= y0 < y1 <= height for x0, y0, x1, y1 in parts)
    assert sum((x1 - x0) * (y1 - y0) for x0, y0, x1, y1 in parts) == width * height
    assert all(-1e-9 <= edge <= 1 + 1e-9 for edge in placed.crop)
