"""Risograph print: three spot inks, each screened and pressed a little beside the others.

The separation is a constrained least-squares fit of the inks' absorbances. Light enters the paper through one
place and leaves through others, so dots darken what lies between them: Yule and Nielsen, "The Penetration of
Light into Paper and its Effect on Halftone Reproduction" (1951). Key lines: Kang, Lee, Chui (2007).
"""

from __future__ import annotations

from collections.abc import Mapping

import cv2
import numpy as np

from vivant.distill.teachers.optics import (
    blur,
    coarser,
    enrich,
    finer,
    grid,
    lines,
    luma,
    rgb,
    sample,
    smoothstep,
    tangent,
)
from vivant.runtime.frames import F32

PAPER = rgb(0.962, 0.940, 0.890)
INKS = np.array([[1.00, 0.25, 0.58], [1.00, 0.83, 0.05], [0.03, 0.37, 0.66]], np.float32)
"""What light passes each solid ink: fluorescent pink, sunflower, blue. Rows as in SCREENS and BESIDE."""
SCREENS = ("field_a", "field_b", "field_c")
BESIDE = ((2.2, -1.3), (-1.7, 2.0), (0.0, 0.0))
"""How far each plate was pressed beside the blue one, in pixels (x, y)."""
DUST = (-1.0, 0.0, 1.0)  # the sign of the press's dust on each drum
SPARED = np.array([0.06, 0.02, 0.0], np.float32)
"""The price of each ink in the fit: greys go to the blue plate."""
REMOVED = np.array([0.30, 0.95, -0.30], np.float32)
"""How much of each ink is taken from (given to) the greys."""
WEIGHTS = rgb(0.8, 1.2, 0.8)
NIGHT = rgb(0.07, 0.09, 0.34)  # the shadows' colour: blue over pink, without the yellow that would muddy it
ROSY = rgb(1.0, 1.14, 0.76)  # where it is warm, the fit is asked for more pink and less yellow
SPREAD_PX = 1.1
GAIN = 0.06  # of a dot's area, at half cover: the ink soaks outwards


def paint(structure: F32, plane: Mapping[str, F32], seed: int) -> F32:
    """A picture f32 (H, W, 3). `seed` is not used: all that is random is in the planes."""
    plates = _separated(_poster(structure))
    plates[..., 2] = _keyed(plates[..., 2], structure, plane)
    x, y = grid(structure.shape)
    uneven = 0.5 * plane["cloud"] + 1.1 * np.clip(plane["field_d"], -0.6, 0.6)
    tooth = np.clip(plane["paper"] + 0.15, 0, 1)
    through = np.ones_like(structure)
    for i, (dx, dy) in enumerate(BESIDE):
        area = _printed(sample(plates[..., i], x - dx, y - dy), plane[SCREENS[i]])
        dust = smoothstep(0.7, 1.5, plane["field_d"] * DUST[i])
        body = area * np.clip(1 - 0.12 * uneven - 0.22 * tooth, 0, 1) * (1 - 0.85 * dust)
        through = through * (1 - body[..., None] * (1 - INKS[i]))
    lit = np.sqrt(through) * blur(np.sqrt(through), SPREAD_PX)
    sheet = PAPER * (1 - 0.030 * plane["paper"] - 0.008 * plane["cloud"])[..., None]
    return np.asarray(np.clip(sheet * lit, 0, 1), dtype=np.float32)


def _poster(structure: F32) -> F32:
    """The picture as a poster would have it: flat, strong, its colour loose on sharp drawing."""
    tone, loose = luma(structure), blur(structure, 4.0)
    for _ in range(3):
        tone = np.asarray(cv2.bilateralFilter(tone, 7, 0.08, 3.0))
    drawn = tone + 0.7 * (tone - blur(tone, 5.0))
    drawn = smoothstep(-0.06, 0.96, drawn)
    away = loose - luma(loose)[..., None]
    seen = enrich(np.asarray(drawn[..., None] + away), 2.2, 1.0)
    top = loose.max(-1)
    vivid = smoothstep(0.15, 0.65, np.asarray((top - loose.min(-1)) / (0.2 + 0.8 * top)))
    night = ((0.9 - 0.5 * vivid) * (1 - smoothstep(0.03, 0.52, drawn)))[..., None]
    return np.asarray(seen + night * (NIGHT + 0.9 * away - seen), dtype=np.float32)


def _separated(seen: F32) -> F32:
    """The area (H, W, 3) in [0, 1] that each ink is to cover."""
    rosy = smoothstep(-0.06, 0.06, seen[..., 0] - seen[..., 1])[..., None]
    wanted = -np.log(np.clip(seen / PAPER, 0.03, 1)) * (1 + rosy * (ROSY - 1))
    absorb = -np.log(INKS)
    pull = (absorb * WEIGHTS) @ absorb.T + np.diag(SPARED)
    aim = wanted @ (absorb * WEIGHTS).T
    step = 1 / np.linalg.eigvalsh(pull).max()
    amount = np.full_like(seen, 0.3)
    for _ in range(60):  # projected gradient: amounts stay between none and solid
        amount = np.clip(amount - step * (amount @ pull - aim), 0, 1)
    grey = amount.min(-1, keepdims=True)  # what all three would make together, the blue plate makes alone
    amount = np.clip(amount - grey * REMOVED, 0, 1)
    dark = INKS.min(1)
    return np.asarray((1 - dark**amount) / (1 - dark), dtype=np.float32)


def _keyed(plate: F32, structure: F32, plane: Mapping[str, F32]) -> F32:
    """The blue plate, with the drawing that holds the print together."""
    tx, ty = tangent(plane)
    drawn = smoothstep(0.006, 0.026, -lines(blur(luma(structure), 0.7), tx, ty, 1.2, 3.0))
    return np.asarray(np.clip(plate + 0.75 * drawn, 0, 1), dtype=np.float32)


def _printed(area: F32, screen: F32) -> F32:
    """Dots of one plate: cover (H, W) in [0, 1] where the share `area` was to be covered."""
    grown = area + 4 * GAIN * area * (1 - area)
    level = 2.34 * (0.35 * smoothstep(0.0, 1.0, grown) + 0.65 * grown) - 1.17
    return coarser(smoothstep(-0.16, 0.16, finer(np.asarray(level)) - finer(screen)))
