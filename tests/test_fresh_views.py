"""Cut-outs pasted anew into guides: where they lie is known, and what else is pasted is never asked for."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from vivant.guardrails.fresh_views import (
    CELL,
    UNSURE,
    FreshViews,
    cut_outs,
    guide_luma,
    is_own_luma,
    laid_anywhere,
)
from vivant.guardrails.pictures import Still

RNG = np.random.default_rng
SIDE = 96


def sign(letters: str) -> Still:
    """White letters on black, bare at the edges."""
    pixels, alpha = np.zeros((60, 180, 3), np.uint8), np.zeros((60, 180), np.uint8)
    cv2.putText(pixels, letters, (10, 45), cv2.FONT_HERSHEY_SIMPLEX, 1.5, (255, 255, 255), 5)
    alpha[4:-4, 4:-4] = 255
    return Still(letters, pixels, alpha)


FORBIDDEN = {
    "text": [sign("VOTE"), sign("EXIT")] * 8,
    "mark": [sign("X")],
    "whole": [Still("w", np.zeros((9, 9, 3), np.uint8))],
}
PIECES = cut_outs(FORBIDDEN, 0.3, {"mark": 0.6})


def guides(count: int) -> np.ndarray:
    """Soft ridges that are their own mirror images, f16 (N, 1, SIDE, SIDE)."""
    ridge = 0.3 * np.abs(np.linspace(-1, 1, SIDE))
    ramps = [low + ridge for low in np.linspace(0.1, 0.6, count)]
    return np.stack([np.tile(ramp, (SIDE, 1)) for ramp in ramps])[:, None].astype(np.float16)


def test_cut_outs_know_their_kind_and_how_small_they_are_shown() -> None:
    assert [(one.kind, one.smallest) for one in PIECES] == [(0, 0.3)] * 16 + [(1, 0.6)]
    for one in PIECES:
        assert one.levels[0][0].shape == (30, 90), "pixels of a guide are half as many"
        assert one.levels[0][0].min() >= 0.0 and one.levels[0][0].max() <= 1.0


def test_only_a_guide_that_is_the_pictures_luma_is_pasted_into() -> None:
    frame = RNG(0).integers(0, 256, (64, 64, 3)).astype(np.uint8)
    luma = guide_luma(frame)
    assert is_own_luma(luma[None, None], frame)
    assert not is_own_luma(1 - luma[None, None], frame)
    assert not is_own_luma(luma[None, None, ::2], frame)
    assert not is_own_luma(None, frame)


@pytest.mark.parametrize("seed", range(8))
def test_a_piece_is_laid_wholly_inside_and_nothing_else_is_touched(seed: int) -> None:
    ground = np.full((SIDE, SIDE + 32), 0.5, np.float32)
    guide = ground.copy()
    cover = laid_anywhere(guide, PIECES[0].levels, 0.3, RNG(seed))
    assert (cover > 0.5).sum() > 40
    assert np.array_equal(guide[cover == 0], ground[cover == 0])
    assert cover[0].max() == cover[-1].max() == cover[:, 0].max() == cover[:, -1].max() == 0


def test_labels_and_places_say_the_same_and_only_of_what_is_forbidden() -> None:
    made = FreshViews(guides(4), np.arange(4), PIECES, 3, 5).of(RNG(2).integers(4, size=200))
    assert made.guides.shape == (200, 1, SIDE, SIDE) and made.cells.shape == (
        200,
        3,
        SIDE // CELL,
        SIDE // CELL,
    )
    found = (made.cells == 1).any((2, 3))
    assert np.array_equal(found[made.asked > 0], made.labels[made.asked > 0] > 0)
    assert not made.labels[:, 2].any(), "there is no cut-out of this kind"
    assert 0.35 < made.labels.any(1).mean() < 0.65
    assert made.labels[:, 0].sum() > made.labels[:, 1].sum() > 0, (
        "a kind of more cut-outs is shown more often"
    )
    plain = ~made.labels.any(1)
    assert not made.cells[plain].any()
    moved = [
        not np.isclose(one, guides(4).astype(np.float32), atol=1e-3).all((1, 2, 3)).any()
        for one in made.guides
    ]
    assert 0.2 < np.mean(np.array(moved)[plain]) < 0.9, "pieces and plates are pasted without being asked for"


def test_what_cannot_be_seen_is_not_asked_for() -> None:
    grey = np.full((60, 180, 3), 128, np.uint8)
    still = Still("unseen", grey, np.full((60, 180), 255, np.uint8))
    pieces = cut_outs({"unseen": [still]}, 0.3, {})
    made = FreshViews(np.full((1, 1, SIDE, SIDE), 0.5, np.float16), np.zeros(1, int), pieces, 1, 0).of(
        np.zeros(60, int)
    )
    unlit = made.labels[:, 0] > 0
    unlit &= np.ptp(made.guides, (1, 2, 3)) < 0.02
    assert unlit.any() and not made.asked[unlit].any()
    assert (made.cells[unlit] == UNSURE).any((1, 2, 3)).all()
