"""Brush lines over watercolour: flow-based lines (Kang, Lee, Chui 2007; Winnemoeller et al. 2012) and a wash
whose tone falls in steps with pigment pooling at their borders (Bousseau et al. 2006)."""

from __future__ import annotations

import cv2
import numpy as np

from vivant.distill.teachers.optics import (
    blur,
    enrich,
    grid,
    lines,
    luma,
    read,
    rgb,
    sample,
    smoothstep,
    tangent,
)
from vivant.runtime.frames import F32, U8

PAPER = rgb(0.975, 0.945, 0.885)
INDIGO = rgb(0.95, 0.72, 0.44)  # absorbance: what the shadow pigment takes from red, green and blue
BLACK = rgb(0.06, 0.055, 0.09)
STEPS = 4.0


def paint(structure: F32, planes: U8, seed: int) -> F32:
    """A picture f32 (H, W, 3). `seed` is not used: all that is random is in the planes."""
    plane = read(planes)
    paper, dry, a, b = plane["paper"], plane["dry"], plane["warp_a"], plane["warp_b"]
    tx, ty = tangent(plane)
    pooled = blur(paper, 2.0)
    x, y = grid(paper.shape)
    wash = structure
    for _ in range(3):
        wash = cv2.bilateralFilter(wash, 9, 0.12, 4.0)
    wash = sample(wash, x + 3.2 * a + 2.0 * pooled, y + 3.2 * b - 2.0 * pooled)
    picture = _wash(enrich(wash, 1.75, 1.08), paper, pooled, a, b)
    tone = blur(luma(structure), 0.6)
    line = -lines(tone, tx, ty, 1.15, 3.2)
    line = smoothstep(0.006, 0.026, line + 0.010 * dry + 0.003 * pooled)
    line = line * (1 - 0.6 * smoothstep(0.35, 0.9, 0.4 * paper + 0.6 * dry))
    picture = picture * (1 - line[..., None]) + BLACK * line[..., None]
    return np.asarray(np.clip(picture, 0, 1), dtype=np.float32)


def _wash(colour: F32, paper: F32, pooled: F32, a: F32, b: F32) -> F32:
    """Transparent pigment on paper: tone in steps, density gathered at their borders, colour let through."""
    tone = luma(colour)
    wet = tone + 0.07 * a + 0.10 * pooled
    scaled = wet * STEPS
    low = np.floor(scaled)
    stepped = (low + smoothstep(0.38, 0.62, scaled - low)) / STEPS
    smooth = blur(stepped, 0.7)
    gx = cv2.Sobel(smooth, cv2.CV_32F, 1, 0, scale=1 / 8)
    gy = cv2.Sobel(smooth, cv2.CV_32F, 0, 1, scale=1 / 8)
    pool = np.clip(5 * cv2.magnitude(gx, gy), 0, 1) * (1 - smoothstep(0.85, 1.0, stepped))
    density = np.clip(0.97 - stepped, 0, 1) ** 1.15 * (1 + 0.45 * paper + 0.25 * b) + 0.24 * pool
    sheet = PAPER * (1 - 0.045 * paper[..., None])
    away = colour - tone[..., None]
    hue = away * np.clip(0.55 + 1.1 * density, 0, 1.15)[..., None]
    return np.asarray(sheet * np.exp(-1.45 * density[..., None] * INDIGO) + hue, dtype=np.float32)
