"""Brush and ink over a bleeding wash, with one touch of cinnabar.

Lines: coherent lines of Kang, Lee, Chui, "Coherent Line Drawing" (2007), with the thresholds of the extended
difference of Gaussians (Winnemoeller, Kyprianidis, Olsen 2012). Wash: tone in steps with pigment pooling at
the borders (Bousseau et al. 2006; Curtis et al. 1997).
"""

from __future__ import annotations

from collections.abc import Mapping

import cv2
import numpy as np

from vivant.distill.teachers.drawing import Streams, drawn_lines, edge_flow, sharpened, streams
from vivant.distill.teachers.optics import (
    blur,
    coarser,
    finer,
    grid,
    luma,
    rgb,
    sample,
    smoothstep,
    tangent,
)
from vivant.runtime.frames import F32

PAPER = rgb(0.975, 0.950, 0.900)
BLACK = rgb(0.055, 0.052, 0.075)
WARM = rgb(0.40, 0.45, 0.56)  # absorbance of the first, thin wash
INDIGO = rgb(0.92, 0.68, 0.40)  # of the later, thick ones
CINNABAR = rgb(0.10, 0.92, 1.05)
LEVELS = (0.66, 0.46, 0.27)  # of tone, below which a wash is laid
WEIGHTS = (0.28, 0.44, 0.70)


def paint(structure: F32, plane: Mapping[str, F32], seed: int) -> F32:
    """A picture f32 (H, W, 3). `seed` is not used: all that is random is in the planes."""
    calm = structure
    for _ in range(3):
        calm = cv2.bilateralFilter(calm, 9, 0.10, 3.5)
    tone = luma(calm)
    flow = streams(*edge_flow(blur(tone, 1.0), *tangent(plane)), 10)
    ink = _brush(tone, flow, plane)
    density = _wash(tone, plane) + _bled(ink, plane) + _accent(structure, plane)
    sheet = PAPER * (1 - 0.028 * plane["paper"][..., None])
    black = ink[..., None]
    return np.asarray(sheet * np.exp(-density) * (1 - black) + BLACK * black, dtype=np.float32)


def _brush(tone: F32, flow: Streams, plane: Mapping[str, F32]) -> F32:
    """How much black (H, W) the brush leaves: lines of two breadths and the spotted blacks of shadows."""
    dry, cloud, paper = plane["dry"], plane["cloud"], plane["paper"]
    fine = drawn_lines(tone, flow, 0.8, 3.0, 2, 0.011)
    broad = drawn_lines(blur(tone, 1.2), flow, 1.7, 5.0, 2, 0.022)
    solid = sharpened(blur(tone, 0.8), flow, 1.8, 4.0, 4.0)
    swell = 0.40 * cloud + 0.25 * plane["warp_a"] - 0.40 * dry - 0.10 * paper
    maps = (fine, broad, solid, swell, dry + 0.5 * paper)
    fine, broad, solid, swell, rough = (finer(m) for m in maps)
    pressed = np.clip(1 + swell, 0.3, 1.8)  # no line, no swelling: bare paper stays bare
    lines = np.maximum(smoothstep(0.40, 0.70, fine * pressed), smoothstep(0.36, 0.62, broad * pressed))
    spots = smoothstep(0.185, 0.125, solid - 0.04 * swell)
    flying = smoothstep(0.55, 0.95, rough)  # where the hairs part, the paper shows
    ink = np.maximum(lines * (1 - 0.7 * flying), spots * (1 - 0.35 * flying))
    return coarser(np.asarray(ink, dtype=np.float32))


def _wash(tone: F32, plane: Mapping[str, F32]) -> F32:
    """Absorbance (H, W, 3) of thin washes, each laid where the tone falls below its level, crisp where the
    paper was dry and bled where it was wet."""
    paper, cloud, a, b = plane["paper"], plane["cloud"], plane["warp_a"], plane["warp_b"]
    pooled = blur(paper, 2.0)
    x, y = grid(tone.shape)
    wet = smoothstep(-0.1, 0.7, b)
    level = blur(sample(tone, x + 2.5 * a + 2.0 * pooled, y + 2.5 * b - 2.0 * pooled), 1.6)
    level = level - 0.40 * (blur(level, 10.0) - 0.64)  # a dark room still leaves paper bare
    level = level + 0.02 * cloud + 0.03 * pooled + 0.05 * a
    gx = cv2.Sobel(level, cv2.CV_32F, 1, 0, scale=1 / 8)
    gy = cv2.Sobel(level, cv2.CV_32F, 0, 1, scale=1 / 8)
    slope = cv2.magnitude(gx, gy) + 0.014
    grains = 1 + 0.13 * paper + 0.20 * cloud + 0.25 * a
    density = np.zeros((*tone.shape, 3), np.float32)
    for edge, weight, pigment in zip(LEVELS, WEIGHTS, (WARM, INDIGO, INDIGO), strict=True):
        inside = (edge - level) / slope  # pixels from the border
        laid = smoothstep(-1, 1, inside / (1.1 + 6.0 * wet))
        rim = np.exp(-0.5 * ((inside - 1.7) / 1.3) ** 2) * (1 - wet)
        density += (weight * (laid * grains + 0.40 * rim))[..., None] * pigment
    return density


def _bled(ink: F32, plane: Mapping[str, F32]) -> F32:
    """Absorbance of what the wet paper drew out of the black strokes."""
    wet = smoothstep(0.0, 0.9, plane["warp_b"] + 0.5 * plane["cloud"])
    halo = 0.5 * blur(ink, 3.0) + 0.5 * blur(ink, 7.0)
    return np.asarray((0.9 * halo * wet)[..., None] * INDIGO, dtype=np.float32)


def _accent(structure: F32, plane: Mapping[str, F32]) -> F32:
    """Absorbance of cinnabar, where the picture is red."""
    colour = blur(structure, 4.0)
    red = colour[..., 0] - 0.55 * colour[..., 1] - 0.45 * colour[..., 2]
    laid = smoothstep(0.10, 0.50, red + 0.03 * plane["cloud"]) * (
        1 + 0.12 * plane["paper"] + 0.2 * plane["cloud"]
    )
    return np.asarray((1.1 * laid)[..., None] * CINNABAR, dtype=np.float32)
