"""Stipple: every dot's place is the canvas's, its presence, size and ink the picture's, after Secord,
"Weighted Voronoi Stippling" (2002), with ranked dots as in Kopf et al., "Recursive Wang Tiles" (2006).

Secord's weights are kept: a dot's size comes from the density over its cell, and one step of his weighted
Lloyd relaxation draws it towards the darker side, so that dots line up along edges.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import cv2
import numpy as np

from vivant.distill.teachers.optics import (
    blur,
    grid,
    light,
    lines,
    luma,
    rgb,
    sample,
    smoothstep,
    tangent,
)
from vivant.engines.textures.dots import REACH_PX, SPACING_PX
from vivant.runtime.frames import F32

CREAM = rgb(0.968, 0.938, 0.868)
INDIGO = rgb(0.055, 0.065, 0.150)
SANGUINE = rgb(0.760, 0.235, 0.120)
OCHRE = rgb(0.840, 0.560, 0.140)
TEAL = rgb(0.020, 0.440, 0.470)
CELL_PX2 = SPACING_PX**2 * math.sqrt(3) / 2
PULL_PX = 0.8  # the farthest that a dot leaves its place
AROUND = ((0, 0), (-2, 0), (2, 0), (0, -2), (0, 2), (-2, -2), (2, -2), (-2, 2), (2, 2))


def paint(structure: F32, plane: Mapping[str, F32], seed: int) -> F32:
    """A picture f32 (H, W, 3). `seed` is not used: all that is random is in the planes."""
    x, y = grid(structure.shape)
    place_x, place_y = x - REACH_PX * plane["cell_dx"], y - REACH_PX * plane["cell_dy"]
    rank = np.asarray((plane["cell_id"] + 2) / 4, dtype=np.float32)
    density, chroma = _density(structure, plane), _chroma(structure)
    dark, vivid = sample(density, place_x, place_y), sample(chroma, place_x, place_y)
    radius, shown = _size(dark, vivid, rank)
    pull_x, pull_y = _pull(density)
    dot_x, dot_y = place_x + sample(pull_x, place_x, place_y), place_y + sample(pull_y, place_x, place_y)
    colour = _inked(sample(blur(structure, 4.0), place_x, place_y), dark, vivid, rank)
    ink, cover = _dots(x, y, np.dstack([dot_x, dot_y, radius, shown]), colour)
    sheet = _sheet(plane)
    body = cover * (1 - 0.05 * np.clip(plane["cloud"] + plane["paper"], 0, 1))
    return np.asarray(np.clip(sheet * (1 - body[..., None]) + ink * body[..., None], 0, 1), dtype=np.float32)


def _density(structure: F32, plane: Mapping[str, F32]) -> F32:
    """How dark the drawing is to be, in [0, 1]: local contrast, and lines where the form turns."""
    tone = luma(structure)
    near, far = blur(tone, 1.5), blur(tone, 7.0)
    seen = near + 0.8 * (near - far) + 0.2 * (far - blur(tone, 14.0))
    tx, ty = tangent(plane)
    drawn = smoothstep(0.004, 0.022, -lines(blur(tone, 0.8), tx, ty, 1.4, 3.0))
    shade = np.clip((0.98 - seen) / 0.96, 0, 1)
    shade = shade + 0.9 * shade * (1 - shade) * (shade - 0.42)
    return np.asarray(np.clip(shade + 0.45 * drawn, 0, 1), dtype=np.float32)


def _chroma(structure: F32) -> F32:
    """How vivid each place is, in [0, 1]: dark colours count for more than their light."""
    seen = blur(structure, 4.0)
    top = seen.max(-1)
    return smoothstep(0.12, 0.78, np.asarray((top - seen.min(-1)) / (0.18 + 0.82 * top)))


def _size(dark: F32, vivid: F32, rank: F32) -> tuple[F32, F32]:
    """Radius in pixels and opacity of each dot: the share of its cell's area that the density asks for is
    made of the dots whose turn has come. Vivid places ask for more, in colour."""
    asked = 1.02 * np.maximum(dark, 1 - (1 - dark) * (1 - 0.50 * vivid)) ** 1.15
    radius = 1.2 + 0.7 * asked
    turn = asked * CELL_PX2 / (np.pi * radius**2)
    shown = smoothstep(-0.01, 0.05, turn - rank)
    full = np.sqrt(np.clip(asked, 0, 1) * CELL_PX2 / np.pi)
    radius = np.maximum(radius, full) + 0.75 * smoothstep(0.82, 1.0, dark)
    return radius * (0.75 + 0.25 * shown) + 0.15 * (0.5 - rank), shown


def _pull(density: F32) -> tuple[F32, F32]:
    """Where the weighted middle of a cell lies from its place, in pixels: for a cell of variance s2, s2 times
    the gradient of the log density."""
    smooth = np.log(blur(density, 1.2) + 0.12)
    part = SPACING_PX**2 * 0.16
    gx = cv2.Sobel(smooth, cv2.CV_32F, 1, 0, scale=part / 8)
    gy = cv2.Sobel(smooth, cv2.CV_32F, 0, 1, scale=part / 8)
    length = np.sqrt(gx * gx + gy * gy) + 1e-6
    short = PULL_PX * np.tanh(length / PULL_PX) / length
    return gx * short, gy * short


def _inked(seen: F32, dark: F32, vivid: F32, rank: F32) -> F32:
    """The ink (H, W, 3) of each dot. Early dots have the colour of the place `seen` (sanguine or ochre where
    it is warm, teal where it is cool, both between), late ones are the draughtsman's indigo; in the depths
    nearly all are."""
    red, green, blue = seen[..., 0], seen[..., 1], seen[..., 2]
    leaf = np.maximum(green - np.maximum(red, blue), 0)
    warm = red - 0.55 * blue - 0.45 * green - 1.1 * leaf
    cool = 1 - smoothstep(-0.03, 0.03, warm + 0.22 * (0.18 - rank))
    gold = 2.2 * vivid * np.maximum(0.18 - rank, 0)  # the first dots among the vivid reds
    rosy = smoothstep(0.01, 0.12, red - green - 0.25 * np.maximum(green - blue, 0) - gold)
    hot = OCHRE + rosy[..., None] * (SANGUINE - OCHRE)
    colour = hot + cool[..., None] * (TEAL - hot)
    black = smoothstep(-0.12, 0.12, dark + 0.65 * rank - 0.64 - 0.42 * vivid)[..., None]
    load = 1 + 0.9 * (rank - 0.3)[..., None]  # how much ink the pen held
    return np.asarray(colour + black * (INDIGO * load - colour), dtype=np.float32)


def _dots(x: F32, y: F32, dot: F32, colour: F32) -> tuple[F32, F32]:
    """Ink (H, W, 3) and cover (H, W) of the dots that reach each pixel: its own, or one owned nearby.

    `dot` (H, W, 4) is the centre (x, y), radius and opacity of the dot that owns the pixel.
    """
    cover, ink = np.zeros_like(x), colour.copy()
    for dx, dy in AROUND:
        shift = np.array([[1, 0, dx], [0, 1, dy]], np.float32)
        size = (x.shape[1], x.shape[0])
        how = cv2.INTER_NEAREST | cv2.WARP_INVERSE_MAP
        other = cv2.warpAffine(dot, shift, size, flags=how, borderMode=cv2.BORDER_REPLICATE)
        its_ink = cv2.warpAffine(colour, shift, size, flags=how, borderMode=cv2.BORDER_REPLICATE)
        far = np.hypot(x - other[..., 0], y - other[..., 1])
        here = np.clip(other[..., 2] - far + 0.5, 0, 1) * other[..., 3]
        ink = np.where((here > cover)[..., None], its_ink, ink)
        cover = np.maximum(cover, here)
    return ink, cover


def _sheet(plane: Mapping[str, F32]) -> F32:
    """Laid paper: the mould's wires in the grain, a little fibre."""
    laid = cv2.GaussianBlur(plane["paper"], (0, 0), sigmaX=9.0, sigmaY=0.8, borderType=cv2.BORDER_REFLECT)
    tooth = light(blur(plane["paper"], 0.7), 1.2)
    tone = 1 + 0.06 * laid + 0.035 * tooth + 0.012 * plane["cloud"]
    return np.asarray(CREAM * tone[..., None], dtype=np.float32)
