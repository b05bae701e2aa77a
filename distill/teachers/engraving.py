"""Hand-coloured engraving: lines along the form whose width gives the tone, crossed in the shadows, after
Ostromoukhov, "Digital Facial Engraving" (1999), with flow-based outlines (Kang, Lee, Chui 2007)."""

from __future__ import annotations

import numpy as np

from vivant.distill.teachers.optics import blur, enrich, lines, luma, read, rgb, smoothstep, tangent
from vivant.runtime.frames import F32, U8

PAPER = rgb(0.965, 0.925, 0.835)
INK = rgb(0.075, 0.085, 0.145)


def paint(structure: F32, planes: U8, seed: int) -> F32:
    """A picture f32 (H, W, 3). `seed` is not used: all that is random is in the planes."""
    plane = read(planes)
    tx, ty = tangent(plane)
    paper = plane["paper"]
    tone = np.clip((blur(luma(structure), 0.7) - 0.5) * 1.2 + 0.5, 0, 1)
    dark = 1 - np.clip(tone + 0.7 * (tone - blur(tone, 6.0)), 0, 1)
    # planes are tanh(0.8 c): undone, stripes run over about [-1, 1]
    first = np.arctanh(np.clip(plane["hatch_even"], -0.98, 0.98)) / 1.16
    second = np.arctanh(np.clip(plane["cross_even"], -0.98, 0.98)) / 1.16
    cut = smoothstep(-0.28, 0.28, first - (1.0 - 1.9 * smoothstep(0.0, 1.0, dark) ** 1.15))
    cross = smoothstep(-0.28, 0.28, second - (1.9 - 2.5 * np.clip(dark - 0.25, 0, 1)))
    edge = lines(blur(luma(structure), 0.5), tx, ty, 1.1, 3.0)
    outline = smoothstep(0.010, 0.030, -edge)
    ink = 1 - (1 - cut) * (1 - 0.85 * cross) * (1 - outline)
    ink = np.clip(ink * (1 - 0.35 * np.clip(paper, 0, 1)), 0, 1)[..., None]
    sheet = PAPER * (1 - 0.045 * paper[..., None])
    tint = enrich(blur(structure, 2.5), 2.6)
    tint = tint - luma(tint)[..., None]
    hand = np.clip(0.35 + 1.1 * blur(dark, 2.5), 0, 0.9)[..., None]  # the colourist spares the lights
    sheet = sheet * (1 - 0.16 * smoothstep(0.1, 0.9, dark)[..., None]) + hand * tint
    return np.asarray(np.clip(sheet * (1 - ink) + (INK + 0.16 * tint) * ink, 0, 1), dtype=np.float32)
