"""Copperplate engraving, hand coloured: lines along the form that swell with the tone, crossed in the shadows
and broken to flicks in the lights.

After Ostromoukhov, "Digital Facial Engraving" (1999): a carrier of lines is cut at a threshold that the tone
sets, each plate with its own. The lines are made continuous by line integral convolution (Cabral, Leedom
1993); outlines are those of Kang, Lee, Chui, "Coherent Line Drawing" (2007).
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from vivant.distill.teachers.drawing import drawn_lines, edge_flow, hatching, streams
from vivant.distill.teachers.optics import (
    blur,
    coarser,
    finer,
    luma,
    rgb,
    smoothstep,
    tangent,
)
from vivant.runtime.frames import F32

PAPER = rgb(0.962, 0.925, 0.845)
INK = rgb(0.070, 0.085, 0.150)


def paint(structure: F32, plane: Mapping[str, F32], seed: int) -> F32:
    """A picture f32 (H, W, 3). `seed` is not used: all that is random is in the planes."""
    tone = luma(structure)
    flow = streams(*edge_flow(blur(tone, 0.8), *tangent(plane)), 9)
    outline = drawn_lines(tone, flow, 0.85, 3.5, 2, 0.012)
    dark = _darkness(tone)
    ink = _cut(dark, outline, plane)
    return _printed(structure, dark, ink, plane)


def _darkness(tone: F32) -> F32:
    """How much ink each place asks for, in [0, 1]: the tone evened out over its surroundings, and crisper."""
    around = blur(tone, 12.0)
    lifted = tone - 0.50 * (around - 0.66)
    crisp = lifted + 0.9 * (blur(lifted, 0.7) - blur(lifted, 6.0))
    return smoothstep(0.0, 1.0, 1 - crisp)


def _cut(dark: F32, outline: F32, plane: Mapping[str, F32]) -> F32:
    """The share of each pixel (H, W) that prints black."""
    first, second = hatching(plane, 5.0)
    first, second, dark, outline = (finer(m) for m in (first, second, dark, outline))
    main = _line(first, 0.20 + 0.48 * dark)
    flick = smoothstep(-0.3, 0.3, second + 4.0 * (dark - 0.24))  # lines break up towards the light
    main = main * flick * smoothstep(0.07, 0.12, dark)
    crossed = _line(second, np.clip(0.22 + 1.5 * (dark - 0.62), 0, 0.70)) * smoothstep(0.58, 0.68, dark)
    drawn = smoothstep(0.40, 0.75, outline)
    ink = 1 - (1 - main) * (1 - crossed) * (1 - drawn)
    return coarser(np.asarray(ink, dtype=np.float32))


def _line(stripe: F32, width: F32) -> F32:
    """Lines that fill the share `width` of their period."""
    edge = np.cos(np.pi * width)
    return smoothstep(-0.22, 0.22, stripe - edge)


def _printed(structure: F32, dark: F32, ink: F32, plane: Mapping[str, F32]) -> F32:
    paper = plane["paper"]
    colour = blur(structure, 4.0)
    away = colour - luma(colour)[..., None]
    away = away / (0.55 + 2.6 * np.abs(away).max(-1, keepdims=True))  # old pigments: none is loud
    spared = np.clip(0.35 + 0.9 * blur(dark, 4.0), 0, 1) * (1 + 0.25 * plane["cloud"])
    wash = np.exp(spared[..., None] * (1.9 * away - 0.9 * np.abs(away).max(-1, keepdims=True)))
    wash = wash / np.maximum(wash.max(-1, keepdims=True), 1)  # transparent: it only takes light away
    film = np.exp(-0.08 * smoothstep(0.3, 0.9, blur(dark, 2.0)))  # ink that wiping left on the plate
    sheet = PAPER * (1 - 0.035 * paper[..., None]) * film[..., None] * wash
    weight = np.clip(ink * (1 - 0.22 * np.clip(paper, 0, 1)), 0, 1)[..., None]
    return np.asarray(np.clip(sheet * (1 - weight) + INK * weight, 0, 1), dtype=np.float32)
