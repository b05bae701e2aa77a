"""Coral: ridges that reaction and diffusion grow to the picture's light, as a wet relief under a lamp.

A pattern of Turing's kind, guided by the picture as Turk 1991 and Witkin and Kass 1991 guide theirs: the
stripes and spots of Gray and Scott 1984 (Pearson 1993) in the form of Swift and Hohenberg 1977, which comes
to rest. It starts from the canvas's own labyrinth and beads. Dark parts grow beads, light ones broad ridges
that merge, contours draw the ridges along. Lit by occlusion of the horizon (Max 1988) and by Blinn 1977.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import cv2
import numpy as np
from numpy.typing import NDArray

from vivant.distill.teachers import optics
from vivant.distill.teachers.optics import blur, rgb, smoothstep
from vivant.runtime.frames import F32

WAVELENGTH_PX = 8.6  # that of the planes
_STEPS = 90
_STEP = 0.5
_LAMP = (-0.52, -0.62, 0.59)  # towards the light: upper left
# Colours of crests and hollows from dark to light, for what is warm, green, blue and grey in the picture.
_STOPS = (0.0, 0.22, 0.42, 0.62, 0.82, 1.0)
_CRESTS = (
    ("3d1238", "93244f", "e0524a", "f58f66", "fccb9e", "fff7e8"),
    ("08303f", "0f6a6b", "3fa983", "9fd08c", "e2e9ae", "fdfbe4"),
    ("221550", "4b3a9c", "8b78d2", "c0aee8", "e6d8f6", "fdf7fb"),
    ("24183f", "6a3f6e", "b5748a", "dba7a4", "f2d9cd", "fffaf2"),
)
_HOLLOWS = (
    ("02101e", "053040", "085560", "128087", "3cacaa", "86d3c6"),
    ("0a0e2a", "1b1c4e", "302f74", "4f4996", "7f6ab2", "b8a0cc"),
    ("020f22", "05243f", "0a3f5e", "146180", "3a91a6", "84c4cb"),
    ("031424", "083149", "14566e", "2f7f93", "67a7b3", "aed0d2"),
)


def paint(structure: F32, plane: Mapping[str, F32], seed: int) -> F32:
    tone = _tone(structure)
    grown = _grow(tone, plane)
    large = {name: optics.finer(plane[name]) for name in ("field_c", "field_d")}
    relief = _relief(optics.finer(grown), optics.finer(blur(tone, 1.0)), large["field_c"])
    picture = _colour(optics.finer(structure), optics.finer(tone), relief, large)
    return np.asarray(np.clip(optics.coarser(picture), 0, 1), dtype=np.float32)


def _tone(structure: F32) -> F32:
    """Luma (H, W) with its large contrasts evened and its small ones lifted."""
    luma = blur(optics.luma(structure), 1.2)
    broad = blur(luma, 24.0)
    local = 0.5 + (luma - broad) * 1.5 + (broad - 0.5) * 0.9
    return np.asarray(np.clip(local, 0, 1), dtype=np.float32)


def _grow(tone: F32, plane: Mapping[str, F32]) -> F32:
    """u (H, W) in about [-1.5, 1.5] after u' = g u - (1 + lap / k^2)^2 u + lean u^2 - u^3 + push, with the
    fourth-order part implicit in cosines, for which the border reflects."""
    height, width = tone.shape
    fy = np.arange(height, dtype=np.float32)[:, None] / (2 * height)
    fx = np.arange(width, dtype=np.float32)[None] / (2 * width)
    stiff = (1 - (fx * fx + fy * fy) * WAVELENGTH_PX**2) ** 2
    damping = 1 / (1 + _STEP * stiff)
    smooth = blur(tone, 1.5)
    lean = 1.2 * smoothstep(0.42, 0.1, smooth) - 0.75 * smoothstep(0.55, 1.0, smooth)  # beads; pores
    push = 1.8 * (tone - blur(tone, 3.5)) + 0.35 * (smooth - 0.5)
    beads = smoothstep(0.5, 0.15, smooth)
    u = 0.7 * (plane["field_a"] + beads * (plane["field_b"] - plane["field_a"]))
    tx, ty = optics.tangent(plane)
    x, y = optics.grid(tone.shape)
    bend = 0.35 * np.clip(plane["coherence"], 0, 1) ** 2
    for step in range(_STEPS):
        pushed = u + _STEP * (0.25 * u + lean * u * u - u**3 + push)
        if step % 6 == 0:  # a little faster along the contours
            ahead = optics.sample(pushed, x + 2 * tx, y + 2 * ty) + optics.sample(
                pushed, x - 2 * tx, y - 2 * ty
            )
            pushed = pushed + bend * (0.5 * ahead - pushed)
        u = cv2.dct(cv2.dct(pushed) * damping, flags=cv2.DCT_INVERSE)
    return np.asarray(u, dtype=np.float32)


def _relief(u: F32, tone: F32, septa: F32) -> dict[str, F32]:
    """Maps of the surface at twice the resolution: `height`, `mask` of the ridges, light that falls on it."""
    level = u + 0.10 + 0.8 * (tone - 0.5)
    mask = smoothstep(-0.20, 0.18, level)
    dome = smoothstep(-0.5, 0.95, level) ** 0.75
    crest = smoothstep(-0.05, 0.9, level)
    smooth = blur(5.6 * dome, 0.9)
    height = smooth + 0.3 * septa * smoothstep(-0.1, 0.25, level) * smoothstep(1.0, 0.4, level)
    shade = _shadow(height)
    lamp, half = np.array(_LAMP), np.array(_LAMP) + np.array([0, 0, 1])
    facing = _facing(height, lamp)
    gloss = _facing(smooth, half / np.linalg.norm(half)) ** 18
    hollow = np.clip((blur(height, 6.0) - height) / 4.0, -0.6, 1.0)
    return {"mask": mask, "crest": crest, "lit": facing * shade, "gloss": gloss * shade, "hollow": hollow}


def _facing(height: F32, towards: NDArray[np.float64]) -> F32:
    """The cosine (H, W) between a relief's normal and a direction, not below 0."""
    gx = cv2.Sobel(height, cv2.CV_32F, 1, 0, scale=1 / 8)
    gy = cv2.Sobel(height, cv2.CV_32F, 0, 1, scale=1 / 8)
    x, y, z = (float(part) for part in towards)
    return np.asarray(np.maximum(z - x * gx - y * gy, 0) / np.sqrt(gx * gx + gy * gy + 1), dtype=np.float32)


def _shadow(height: F32) -> F32:
    """Light in [0, 1] that the horizon towards the lamp lets through, softly (H, W)."""
    x, y = optics.grid(height.shape)
    lx, ly, lz = _LAMP
    flat = math.hypot(lx, ly)
    above = np.zeros_like(height)
    for distance in (1.5, 3.0, 4.5, 6.5, 9.0):
        there = optics.sample(height, x + lx / flat * distance, y + ly / flat * distance)
        above = np.maximum(above, there - height - 0.75 * lz / flat * distance)
    return 1 - 0.8 * smoothstep(0.0, 2.6, above)


def _ramp(names: tuple[str, ...], t: F32) -> F32:
    """Colours (H, W, 3) of t in [0, 1] by hexadecimal sRGB at _STOPS."""
    colours = np.array([[int(name[i : i + 2], 16) / 255 for i in (0, 2, 4)] for name in names])
    return np.stack([np.interp(t, _STOPS, colours[:, i]) for i in range(3)], axis=-1).astype(np.float32)


def _reef(palettes: tuple[tuple[str, ...], ...], t: F32, shares: F32) -> F32:
    """The palettes' colours of t, by their shares (H, W, 3)."""
    mixed = sum(shares[..., i : i + 1] * _ramp(palette, t) for i, palette in enumerate(palettes))
    return np.asarray(mixed, dtype=np.float32)


def _shares(seen: F32, drift: F32) -> F32:
    """How warm, green, blue and grey (H, W, 4) a picture is, in sum 1."""
    red, green, blue = (seen[..., i] for i in range(3))
    leafy = smoothstep(0.015, 0.11, green - 0.5 * (red + blue) + 0.02 * drift)
    airy = smoothstep(0.0, 0.13, blue - 0.5 * (red + green) + 0.03 * drift) * (1 - leafy)
    warm = smoothstep(0.02, 0.16, red - blue + 0.05 * drift) * (1 - leafy - airy)
    return np.dstack([warm, leafy, airy, 1 - leafy - airy - warm])


def _colour(structure: F32, tone: F32, relief: dict[str, F32], large: Mapping[str, F32]) -> F32:
    seen = blur(structure, 8.0)
    chroma = seen - optics.luma(seen)[..., None]
    depth = blur(tone, 2.0)
    drift = large["field_d"]
    shares = _shares(seen, drift)
    ripe = 0.02 + 0.78 * depth + 0.24 * (relief["crest"] - 0.35) + 0.05 * drift
    ridge = _reef(_CRESTS, np.clip(ripe, 0, 1), shares) + 0.4 * chroma
    valley = _reef(_HOLLOWS, np.clip(0.06 + depth + 0.05 * drift, 0, 1), shares) + 0.1 * chroma
    base = valley + relief["mask"][..., None] * (ridge - valley)
    lit = 0.52 + 0.1 * depth + 0.76 * relief["lit"] - 0.22 * np.clip(relief["hollow"], 0, 1)
    glow = np.clip(-relief["hollow"], 0, 1) * relief["mask"]  # light that comes back out of thin crests
    cold = np.clip(0.9 - lit, 0, 1)[..., None] * rgb(0.02, 0.07, 0.1)
    wet = (0.7 * relief["gloss"] * (0.25 + 0.75 * depth))[..., None] * rgb(1.0, 0.98, 0.95)
    shone = base * (rgb(1.04, 1.0, 0.95) * lit[..., None] + cold) + 0.15 * glow[..., None] * ridge
    return np.asarray(shone + wet * (1 - np.clip(shone, 0, 1)), dtype=np.float32)
