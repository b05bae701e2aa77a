"""The contract of the painters: a picture of structure and planes, and of nothing else."""

from __future__ import annotations

from functools import lru_cache
from importlib.util import find_spec

import cv2
import numpy as np
import pytest

pytest.importorskip("scipy", reason="needs scipy: pip install '.[distill]'")

from vivant.distill.people import portrait
from vivant.distill.teachers import PAINTERS, Painting, guide_of, paint, paint_with, painter
from vivant.engines.slots import CHANNELS, GROUPS, RECIPES, block, read
from vivant.runtime.frames import F32, U8

SIZE = 128
STYLES = [style for style in PAINTERS if find_spec(f"vivant.distill.teachers.{style}")]


@lru_cache(maxsize=1)
def sitter() -> U8:
    return np.rint(portrait(np.random.default_rng(44), SIZE) * 255).astype(np.uint8)


@lru_cache(maxsize=64)
def painted(style: str, seed: int) -> Painting:
    return paint(style, sitter(), seed)


def coarse(image: F32) -> F32:
    return np.asarray(cv2.GaussianBlur(image, (0, 0), 4))


def found_again(picture: U8, wanted: F32) -> float:
    """How well colours, seen from afar, tell what is `wanted` (H, W): the correlation of the best guess."""
    seen = coarse(picture.astype(np.float32) / 255).reshape(-1, 3)
    known = np.concatenate([seen, seen**2, np.ones((len(seen), 1), np.float32)], 1)
    guess = known @ np.linalg.lstsq(known, wanted.ravel(), rcond=None)[0]
    return float(np.corrcoef(guess, wanted.ravel())[0, 1])


def fine(picture: U8) -> F32:
    grey = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY).astype(np.float32) / 255
    return np.asarray(grey - cv2.GaussianBlur(grey, (0, 0), 2))


def test_every_painter_has_a_recipe() -> None:
    assert set(PAINTERS) <= set(RECIPES)
    with pytest.raises(KeyError, match="lard"):
        painter("lard")


@pytest.mark.parametrize("style", STYLES)
def test_a_painting_is_a_picture_and_the_planes_it_was_painted_with(style: str) -> None:
    made = painted(style, 1)
    assert made.picture.shape == (SIZE, SIZE, 3) and made.picture.dtype == np.uint8
    assert made.planes.shape == (SIZE // 2, SIZE // 2, CHANNELS) and made.planes.dtype == np.uint8
    assert np.array_equal(paint_with(style, sitter(), made.planes, 1), made.picture)


@pytest.mark.parametrize("style", STYLES)
def test_another_seed_is_another_canvas(style: str) -> None:
    one, other = (painted(style, seed).picture.astype(int) for seed in (1, 2))
    assert np.abs(one - other).mean() > 4  # of 255


@pytest.mark.parametrize("style", STYLES)
def test_a_painter_reads_nothing_but_the_structure_and_its_own_planes(style: str) -> None:
    """What other groups hold, and the seed beyond the planes, change nothing."""
    made = painted(style, 1)
    strange = made.planes.copy()
    rng = np.random.default_rng(0)
    for group in GROUPS.keys() - RECIPES[style].sources.keys():
        strange[..., block(group)] = rng.integers(0, 256, strange[..., block(group)].shape, dtype=np.uint8)
    assert np.array_equal(paint_with(style, sitter(), strange, 99), made.picture)


@pytest.mark.parametrize("style", STYLES)
def test_the_marks_come_from_the_planes(style: str) -> None:
    made = painted(style, 1)
    bare = paint_with(style, sitter(), np.full_like(made.planes, 128), 1)
    assert np.abs(bare.astype(int) - made.picture).mean() > 4  # of 255


@pytest.mark.parametrize("style", STYLES)
def test_a_painter_gives_finite_numbers_between_black_and_white(style: str) -> None:
    plane = read(painted(style, 1).planes)
    for level in (0.0, 1.0):
        flat = np.full((SIZE, SIZE, 3), level, np.float32)
        kept = {name: values.copy() for name, values in plane.items()}
        made = painter(style)(flat, plane, 1)
        assert made.dtype == np.float32 and made.shape == flat.shape
        assert np.isfinite(made).all()
        assert made.min() > -0.1 and made.max() < 1.1  # paper's grain may overshoot; `paint_with` clips it
        assert (flat == level).all() and all(np.array_equal(plane[name], kept[name]) for name in plane)


@pytest.mark.parametrize("style", STYLES)
def test_a_picture_keeps_the_scene_and_brings_marks_of_its_own(style: str) -> None:
    made = painted(style, 1).picture
    tone = cv2.cvtColor(sitter(), cv2.COLOR_RGB2GRAY).astype(np.float32) / 255
    edges = np.hypot(cv2.Sobel(tone, cv2.CV_32F, 1, 0), cv2.Sobel(tone, cv2.CV_32F, 0, 1))
    # some keep the light of the scene, others its outlines: 0.75 is the least that either is found again by
    assert max(found_again(made, coarse(tone)), found_again(made, coarse(edges))) > 0.65
    borrowed = np.corrcoef(fine(made).ravel(), fine(sitter()).ravel())[0, 1]
    assert borrowed < 0.8  # a photograph with a filter over it stays near 1
    assert fine(made).std() > 0.02


def test_the_guide_is_the_mean_luma_of_two_by_two_pixels() -> None:
    frame = np.random.default_rng(0).integers(0, 256, (64, 32, 3), dtype=np.uint8)
    guide = guide_of(frame)
    assert guide.shape == (1, 1, 32, 16) and guide.dtype == np.float32
    expected = float((frame[6:8, 10:12] * [0.299, 0.587, 0.114]).sum() / 4 / 255)
    assert guide[0, 0, 3, 5] == pytest.approx(expected, abs=1e-6)  # f32
