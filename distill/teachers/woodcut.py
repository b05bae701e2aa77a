"""Colour woodcut: a black key block cut with gouges along the form, over flat blocks of a few strong inks.

Lines after Ostromoukhov, "Digital Facial Engraving" (1999), with a threshold so steep that they grow out of
solid black and run out into solid colour; contours and spotted blacks by the extended difference of Gaussians
along the flow (Winnemoeller, Kyprianidis, Olsen 2012).
"""

from __future__ import annotations

from collections.abc import Mapping

import cv2
import numpy as np

from vivant.distill.teachers.drawing import (
    Streams,
    drawn_lines,
    edge_flow,
    even_stripes,
    sharpened,
    streams,
    stripes,
)
from vivant.distill.teachers.optics import blur, coarser, finer, grid, luma, rgb, sample, smoothstep, tangent
from vivant.runtime.frames import F32

SHEET = rgb(0.965, 0.930, 0.850)
BLACK = rgb(0.065, 0.055, 0.065)
WARM = (rgb(0.945, 0.735, 0.300), rgb(0.850, 0.255, 0.135))  # ochre, then vermilion over it
COOL = (rgb(0.560, 0.735, 0.690), rgb(0.085, 0.300, 0.440))  # celadon, then prussian blue over it
LEVELS = (0.70, 0.47)  # of tone, below which a block prints


def paint(structure: F32, plane: Mapping[str, F32], seed: int) -> F32:
    """A picture f32 (H, W, 3). `seed` is not used: all that is random is in the planes."""
    calm = structure
    for _ in range(3):
        calm = cv2.bilateralFilter(calm, 9, 0.10, 3.5)
    tone = luma(calm)
    around = blur(tone, 12.0) - 0.60
    tx, ty = tangent(plane)
    gouge = even_stripes(stripes(plane, "hatch"), streams(tx, ty, 12), 5.0)
    flow = streams(*edge_flow(blur(tone, 1.0), tx, ty), 10)
    colour = _blocks(structure, tone - 0.40 * around, gouge, plane)
    key = _key(tone - 0.25 * around, gouge, flow, plane)
    return np.asarray(np.clip(colour * (1 - key) + BLACK * key, 0, 1), dtype=np.float32)


def _key(tone: F32, gouge: F32, flow: Streams, plane: Mapping[str, F32]) -> F32:
    """How black (H, W, 1) the key block prints."""
    contour = drawn_lines(blur(tone, 0.8), flow, 1.5, 4.0, 2, 0.018)
    mass = sharpened(blur(tone, 1.0), flow, 2.0, 4.0, 2.5)
    wear = plane["dry"] + 0.5 * plane["paper"]
    jump = 0.5 * plane["cloud"] + 0.4 * plane["strand"]
    gouge, contour, mass, wear, jump = (finer(m) for m in (gouge, contour, mass, wear, jump))
    # black lines grow over a short range of tone, and close into solid black below it
    width = (0.47 + 0.03 * jump - mass) / 0.34
    inner = np.clip(width, 0, 1)
    cut = smoothstep(-0.25, 0.25, gouge - np.cos(np.pi * inner) + 2.5 * (width - inner))
    black = np.maximum(cut, smoothstep(0.40, 0.62, contour))
    grain = smoothstep(0.55, 1.0, wear)  # wood that took no ink
    return coarser(np.asarray(black * (1 - 0.45 * grain), dtype=np.float32))[..., None]


def _blocks(structure: F32, tone: F32, gouge: F32, plane: Mapping[str, F32]) -> F32:
    """The sheet under the colour blocks: each one ink, laid where the tone lies below its level, its borders
    combed by the gouge."""
    paper, cloud, dry, a, b = (plane[n] for n in ("paper", "cloud", "dry", "warp_a", "warp_b"))
    x, y = grid(tone.shape)
    x, y = x + np.float32(1.2) * a + 1, y + np.float32(1.2) * b - 1  # the blocks never meet the key quite
    soft = blur(sample(tone, x, y), 1.4) + 0.01 * cloud + 0.02 * a
    colour = blur(structure, 4.5)
    heat = colour[..., 0] - 0.6 * colour[..., 1] - 0.4 * colour[..., 2]
    warmth = smoothstep(0.02, 0.11, heat + 0.01 * cloud)
    soft = soft - 0.28 * smoothstep(0.24, 0.46, heat)  # what is red prints red, though it be light
    soft, gouge, warmth, uneven = (
        finer(m)
        for m in (soft, gouge, warmth, 0.93 + 0.05 * cloud + 0.06 * paper - 0.12 * np.clip(dry, 0, 1))
    )
    warmth = warmth[..., None]
    sheet = SHEET * (1 - 0.03 * finer(paper)[..., None])
    for level, hot, cold in zip(LEVELS, WARM, COOL, strict=True):
        laid = smoothstep(-0.014, 0.014, level - soft + 0.04 * gouge)
        amount = (laid * np.clip(uneven, 0, 1))[..., None]
        sheet = sheet * (1 - amount) + (hot * warmth + cold * (1 - warmth)) * amount
    return coarser(np.asarray(sheet, dtype=np.float32))
