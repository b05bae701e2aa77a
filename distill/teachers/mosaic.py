"""Mosaic of smalti and gold leaf, after Hausner, "Simulating Decorative Mosaics" (2001).

Hausner's tesserae are squares turned to the edges of the picture, one colour each, and smaller where there
is much to tell. Here their places are the canvas's own cells, which know nothing of the picture, so that a
moving picture does not make them swim: only how they are turned, cut and coloured comes from what is seen at
their seeds. Colours go to a palette of smalti as at Ravenna: gold in the lights, lapis in the shadows.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import cv2
import numpy as np

from vivant.distill.teachers.optics import blur, coarser, grid, luma, rgb, sample, smoothstep
from vivant.engines.textures.tesserae import CELL_PX
from vivant.runtime.frames import F32

HALF_LONG_PX, HALF_WIDE_PX = 5.2, 4.7  # of a whole tessera, along and across the tangent
ROUND_PX = 1.1
JOINT_PX, CUT_PX = 0.55, 0.42  # half the grout between two tesserae, and between the parts of one
GROUT = rgb(0.125, 0.085, 0.070)
GOLD_DARK, GOLD_LIGHT = rgb(0.50, 0.23, 0.02), rgb(1.0, 0.82, 0.34)
SMALTI = rgb(
    *(0.97, 0.92, 0.82),  # ivory
    *(0.93, 0.76, 0.42),  # straw
    *(0.86, 0.58, 0.18),  # amber
    *(0.96, 0.78, 0.66),  # flesh in light
    *(0.86, 0.50, 0.34),  # flesh in shade
    *(0.66, 0.28, 0.14),  # terracotta
    *(0.74, 0.45, 0.10),  # ochre
    *(0.90, 0.36, 0.12),  # orange
    *(0.74, 0.12, 0.10),  # cinnabar
    *(0.38, 0.06, 0.12),  # porphyry
    *(0.36, 0.20, 0.10),  # umber
    *(0.56, 0.64, 0.20),  # leaf
    *(0.14, 0.44, 0.20),  # emerald
    *(0.06, 0.24, 0.17),  # pine
    *(0.33, 0.72, 0.70),  # turquoise
    *(0.60, 0.77, 0.90),  # sky
    *(0.12, 0.32, 0.70),  # cobalt
    *(0.05, 0.08, 0.30),  # lapis
    *(0.38, 0.25, 0.54),  # violet
    *(0.74, 0.71, 0.76),  # pearl
).reshape(1, -1, 3)


@dataclass(frozen=True, slots=True)
class Stones:
    """What is one for a whole tessera, each (H, W): its seed, the turn of its axes, how far it is cut in
    two and in four (in [0, 1]), and its name in [-1, 1]."""

    seed_x: F32
    seed_y: F32
    cos: F32
    sin: F32
    halved: F32
    quartered: F32
    name: F32

    def larger(self) -> Stones:
        """The same stones on twice the pixels: positions in the larger pixels, each pixel its own stone's."""
        x, y = 2 * self.seed_x + 0.5, 2 * self.seed_y + 0.5
        rest = (self.cos, self.sin, self.halved, self.quartered, self.name)
        return Stones(*(part.repeat(2, 0).repeat(2, 1) for part in (x, y, *rest)))


def paint(structure: F32, plane: Mapping[str, F32], seed: int) -> F32:
    """`seed` is not used: all that is random is in the planes."""
    tone, tint = _seen(structure)
    stones = _stones(tone, plane)
    x, y = _middles(stones)
    light, first, second = (sample(part, x, y) for part in (tone, *tint))
    pool = sample(plane["warp_a"], stones.seed_x, stones.seed_y)
    glass, gold = _glass(light, first, second, stones.name, pool)
    return _laid(glass, gold, stones, plane)


def _seen(structure: F32) -> tuple[F32, tuple[F32, F32]]:
    """Lightness (H, W) in [0, 1], its middle contrasts lifted, and Lab's a and b, softer."""
    calm = cv2.bilateralFilter(structure, 7, 0.12, 3.0)
    lab = cv2.cvtColor(calm, cv2.COLOR_RGB2LAB)
    fine = blur(lab[..., 0] / 100, 1.4)
    tone = fine + 0.9 * (fine - blur(fine, 9.0))
    return tone, (blur(lab[..., 1], 3.2), blur(lab[..., 2], 3.2))


def _stones(tone: F32, plane: Mapping[str, F32]) -> Stones:
    x, y = grid(tone.shape)
    seed_x, seed_y = x - plane["cell_dx"] * CELL_PX, y - plane["cell_dy"] * CELL_PX
    gx = cv2.Sobel(tone, cv2.CV_32F, 1, 0, scale=1 / 8)
    gy = cv2.Sobel(tone, cv2.CV_32F, 0, 1, scale=1 / 8)
    much = sample(blur(cv2.magnitude(gx, gy), 5.0), seed_x, seed_y)
    double = [sample(plane[name], seed_x, seed_y) for name in ("cos2theta", "sin2theta")]
    angle = cv2.phase(double[0], double[1]) / 2
    halved, quartered = smoothstep(0.012, 0.022, much), smoothstep(0.018, 0.030, much)
    return Stones(seed_x, seed_y, np.cos(angle), np.sin(angle), halved, quartered, plane["cell_id"])


def _turned(stones: Stones) -> tuple[F32, F32]:
    """Each pixel's offset from its seed, along and across the tessera's tangent."""
    x, y = grid(stones.name.shape)
    dx, dy = x - stones.seed_x, y - stones.seed_y
    return dx * stones.cos + dy * stones.sin, dy * stones.cos - dx * stones.sin


def _middles(stones: Stones) -> tuple[F32, F32]:
    """Where each tessera, or part of one, has its colour from: its middle."""
    u, v = _turned(stones)
    u = np.sign(u) * stones.quartered * (HALF_LONG_PX / 2)
    v = np.sign(v) * stones.halved * (HALF_WIDE_PX / 2)
    return (
        stones.seed_x + u * stones.cos - v * stones.sin,
        stones.seed_y + u * stones.sin + v * stones.cos,
    )


def _glass(light: F32, a: F32, b: F32, name: F32, pool: F32) -> tuple[F32, F32]:
    """Each tessera's colour (H, W, 3), of a batch of its own, and how far it is gold leaf."""
    size = np.sqrt(a * a + b * b)
    rich = 2.2 / (1 + size / 95)
    lean = 8.0 * name + 5.0 * pool
    shade = np.clip(1 - light / 0.45, 0, 1)
    plain = 1 - smoothstep(8.0, 24.0, size)
    glow = plain * smoothstep(0.40, 0.75, light)
    lab = np.dstack(
        [
            100 * smoothstep(-0.18, 1.02, light) + 5 * name - 5 * glow,
            a * rich + 0.5 * lean + 6 * shade + 7 * glow,
            b * rich + lean - 22 * shade + 36 * glow,
        ]
    ).astype(np.float32)
    glass = _fired(lab)
    share = glow * (1 - 0.45 * smoothstep(0.86, 1.0, light))
    gold = smoothstep(1.1, 1.35, np.asarray(name + 1.45 * share, dtype=np.float32))
    return glass, gold


def _fired(lab: F32) -> F32:
    """Lab to sRGB, drawn to the nearest smalti."""
    palette = cv2.cvtColor(SMALTI, cv2.COLOR_RGB2LAB)[0]
    total, drawn = np.zeros(lab.shape[:2], np.float32), np.zeros_like(lab)
    for smalto in palette:
        away = lab - smalto
        away2 = 0.35 * away[..., 0] ** 2 + away[..., 1] ** 2 + away[..., 2] ** 2
        weight = 1 / (away2 + 30) ** 2
        total += weight
        drawn += weight[..., None] * smalto
    drawn /= total[..., None]
    mixed = lab + (drawn - lab) * rgb(0.35, 0.65, 0.65)
    return np.asarray(np.clip(cv2.cvtColor(mixed, cv2.COLOR_LAB2RGB), 0, 1))


def _inset(stones: Stones, edge: F32) -> F32:
    """Distance in pixels to the side of a pixel's tessera, below zero in the grout; on twice the pixels."""
    u, v = (np.abs(part) * np.float32(0.5) for part in _turned(stones))
    out_u = u - (HALF_LONG_PX - ROUND_PX) * (1 + 0.07 * stones.name)
    out_v = v - (HALF_WIDE_PX - ROUND_PX) * (1 - 0.07 * stones.name)
    outside = cv2.magnitude(np.maximum(out_u, 0), np.maximum(out_v, 0))
    square = ROUND_PX - outside - np.minimum(np.maximum(out_u, out_v), 0)
    half = v - CUT_PX + 10 * (1 - stones.halved)
    quarter = u - CUT_PX + 10 * (1 - stones.quartered)
    sides = (square, edge - JOINT_PX, half, quarter)
    return np.asarray(np.minimum.reduce(sides), dtype=np.float32)


def _laid(glass: F32, gold: F32, stones: Stones, plane: Mapping[str, F32]) -> F32:
    """The tesserae pressed into the grout, each tilted its own way, lit from the upper left."""
    large = stones.larger()
    size = large.name.shape[::-1]
    edge = cv2.resize(4 * plane["cell_edge"] + 4, size, interpolation=cv2.INTER_LINEAR)
    paper = cv2.resize(plane["paper"], size, interpolation=cv2.INTER_LINEAR)
    sheen = cv2.resize(plane["warp_b"], size, interpolation=cv2.INTER_LINEAR)
    inset = _inset(large, edge)
    relief = smoothstep(-0.5, 1.9, blur(inset, 0.8))
    gx = cv2.Sobel(relief, cv2.CV_32F, 1, 0, scale=1 / 4)
    gy = cv2.Sobel(relief, cv2.CV_32F, 0, 1, scale=1 / 4)
    rim = np.tanh(1.8 * (gx + gy))  # above zero where the side faces the light
    x, y = grid(large.name.shape)
    bow = np.pi * large.name
    tilt_x, tilt_y = np.cos(bow), np.sin(bow)
    facet = -0.707 * (tilt_x + tilt_y)
    slope = ((x - large.seed_x) * tilt_x + (y - large.seed_y) * tilt_y) / (2 * CELL_PX)
    stone = glass.repeat(2, 0).repeat(2, 1)
    leaf = gold.repeat(2, 0).repeat(2, 1)[..., None]
    tone = luma(stone)
    bright = np.clip(
        0.9 * tone - 0.06 + 0.24 * facet + 0.14 * sheen + 0.7 * slope * facet + 0.10 * paper, 0, 1.2
    )[..., None]
    metal = GOLD_DARK + (GOLD_LIGHT - GOLD_DARK) * bright
    body = stone * (1 + 0.10 * facet + 0.22 * slope + 0.05 * paper)[..., None]
    body = body + leaf * (metal - body)
    glint = smoothstep(0.55, 1.0, facet) * smoothstep(0.1, 0.45, -slope)
    spark = (0.25 * glint)[..., None] * (1 + leaf * rgb(1.0, 0.75, 0.2))
    lit = body * (1 + 0.42 * rim)[..., None] + 0.16 * (np.maximum(rim, 0) ** 2)[..., None] + spark
    shadow = smoothstep(0.2, 1.0, cv2.blur(relief, (3, 3)))
    bed = (
        GROUT * (1.15 + 0.45 * paper - 0.5 * shadow)[..., None]
        + (0.06 + 0.14 * large.halved)[..., None] * stone
    )
    shown = smoothstep(-0.25, 0.35, inset)[..., None]
    picture = bed + (lit - bed) * shown
    return np.clip(coarser(np.asarray(picture, dtype=np.float32)), 0, 1)
