"""What a brand box is tried with, and that pictures are sorted by what was painted."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

pytest.importorskip("skimage", reason="needs scikit-image (the distill extra)")

from vivant.distill.brand_trial import HUES, in_palette, kinds_of, seen, strayed
from vivant.distill.trial_judging import Row

RNG = np.random.default_rng


def coloured() -> np.ndarray:
    colours = RNG(2).integers(0, 256, (12, 12, 3)).astype(np.uint8)
    return cv2.resize(colours, (192, 192), interpolation=cv2.INTER_NEAREST)


def astray(frame: np.ndarray) -> float:
    """Share of a picture that has a clear colour of another hue than those of the palette."""
    lab = cv2.cvtColor(frame.astype(np.float32) / 255, cv2.COLOR_RGB2LAB)
    hue, chroma = np.degrees(np.arctan2(lab[..., 2], lab[..., 1])), np.hypot(lab[..., 1], lab[..., 2])
    away = np.min([np.abs((hue - one + 180) % 360 - 180) for one in HUES], axis=0)
    return float(((away >= 40) & (chroma >= 20)).mean())


def test_a_palette_holds_two_hues_and_what_strays_from_it_does_not() -> None:
    own = in_palette(coloured())
    assert astray(coloured()) > 0.3
    assert astray(own) < 0.03
    assert np.mean([astray(strayed(own, RNG(seed))) for seed in range(10)]) > 0.1


def test_every_view_is_another_and_the_same_each_time() -> None:
    pictures = np.stack([coloured(), coloured()[::-1]])
    views = [list(seen(pictures, 2, False, 5)) for _ in range(2)]
    assert len(views[0]) == 4 and all(map(np.array_equal, *views))
    assert not np.array_equal(views[0][0], views[0][2])


@pytest.mark.parametrize(
    ("off", "near", "stray", "kind"),
    [
        (0.0, 0.3, False, "approved"),
        (0.3, 0.4, False, "off-brand"),
        (0.1, 0.2, True, "off-brand"),
        (0.0, 0.02, True, "astray, and painted on the palette again"),
        (0.09, 0.2, True, "astray, and painted in between"),
    ],
)
def test_a_picture_is_what_was_painted_not_what_was_put_in(
    off: float, near: float, stray: bool, kind: str
) -> None:
    facts = {"off": off, "near": near}
    row = Row("oil", False, 0.9, "inside", 0.2, facts, np.zeros((4, 4, 3), np.uint8))
    kinds = kinds_of(*(([], [row]) if stray else ([row], [])))
    assert [name for name, rows in kinds.items() if rows] == [kind]
