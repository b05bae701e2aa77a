"""Stained glass: panes of pot-metal in lead, painted with grisaille, lit from behind.

The leading of panes is the canvas's own; along the picture's contours more lead and the glass painter's dark
lines are laid by flow-based difference of Gaussians (Kang, Lee, Chui, "Coherent Line Drawing", 2007). Colours
are transmittances: what passes is multiplied in linear light, spreads over the lead as it does in an eye or
a lens (halation; Spencer et al., "Physically-Based Glare Effects for Digital Images", 1995), and saturates.
Cobalt, ruby, amber, emerald and violet are those of Chartres; the streaks are Tiffany's.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import cv2
import numpy as np

from vivant.distill.teachers.optics import (
    along,
    blur,
    coarser,
    finer,
    grid,
    lines,
    rgb,
    sample,
    smoothstep,
    tangent,
)
from vivant.engines.textures.shards import EDGE_PX, REACH_PX
from vivant.runtime.frames import F32

LEAD_PX = 1.7  # half the width of a came
LEAD = rgb(0.004, 0.004, 0.006)
LEAD_LIGHT = rgb(0.20, 0.21, 0.24)
PAINT = rgb(0.060, 0.030, 0.018)
POTS = rgb(  # Lab a, b of the glass that pictures are drawn to
    *(28.0, -78.0),  # cobalt
    *(66.0, 50.0),  # ruby
    *(22.0, 74.0),  # amber
    *(-52.0, 34.0),  # emerald
    *(52.0, -58.0),  # violet
    *(-42.0, 54.0),  # leaf
    *(-30.0, -18.0),  # turquoise
    *(24.0, 46.0),  # flesh
    *(-2.0, 66.0),  # gold
).reshape(-1, 2)


@dataclass(frozen=True, slots=True)
class Seen:
    """Of the picture, each (H, W): fine lightness and its surroundings in [0, 1], Lab's a and b, lines fine
    and broad (below zero where dark), and how much there is to tell in [0, 1]."""

    fine: F32
    broad: F32
    a: F32
    b: F32
    brush: F32
    contour: F32
    detail: F32


def paint(structure: F32, plane: Mapping[str, F32], seed: int) -> F32:
    """`seed` is not used: all that is random is in the planes."""
    seen = _seen(structure, plane)
    glass = _pot(seen, plane) * _body(plane)[..., None]
    brush, contour = _drawn(seen)
    wash = _grisaille(seen)
    lead, rim = _leading(contour, _told(seen, plane), plane)
    return _lit(glass, wash, brush, lead, rim)


def _seen(structure: F32, plane: Mapping[str, F32]) -> Seen:
    calm = cv2.bilateralFilter(structure, 7, 0.12, 3.0)
    lab = cv2.cvtColor(calm, cv2.COLOR_RGB2LAB)
    light = blur(lab[..., 0] / 100, 1.0)
    broad = blur(light, 10.0)
    tone = light + 0.5 * (light - broad)
    tx, ty = tangent(plane)
    brush, contour = lines(tone, tx, ty, 1.1, 5.0), lines(blur(tone, 1.0), tx, ty, 1.9, 9.0)
    a, b = (_guided(blur(lab[..., i], 2.0), light) for i in (1, 2))
    busy = blur(smoothstep(0.010, 0.030, np.abs(brush)), 14.0)
    warm = smoothstep(2.0, 18.0, a + 0.5 * b)  # flesh above all is painted, not leaded
    detail = smoothstep(0.09, 0.22, busy * (0.5 + 0.6 * warm))
    return Seen(light, broad, a, b, brush, contour, detail)


def _guided(colour: F32, light: F32) -> F32:
    """He, Sun, Tang, "Guided Image Filtering" (2013): smooth but for the edges of `light`."""
    mean, mean_light = blur(colour, 5.0), blur(light, 5.0)
    together = blur(colour * light, 5.0) - mean * mean_light
    slope = together / (blur(light * light, 5.0) - mean_light**2 + 0.0016)
    return blur(slope, 4.0) * light + blur(mean - slope * mean_light, 4.0)


def _pot(seen: Seen, plane: Mapping[str, F32]) -> F32:
    """Linear transmittance (H, W, 3): a pane's own colour where the picture is like its middle, else the
    picture's, drawn to the pots."""
    x, y = grid(seen.fine.shape)
    seed_x, seed_y = x - plane["cell_dx"] * REACH_PX, y - plane["cell_dy"] * REACH_PX
    here = (seen.broad, seen.a, seen.b)
    there = [sample(part, seed_x, seed_y) for part in here]
    units = (0.22, 18.0, 18.0)
    apart = sum(((h - t) / unit) ** 2 for h, t, unit in zip(here, there, units, strict=True))
    told = _told(seen, plane)
    same = np.exp(-apart) * (1 - told)
    light, a, b = (h + same * (t - h) for h, t in zip(here, there, strict=True))
    name, pool = plane["cell_id"] * (1 - told), plane["warp_a"]
    plain = smoothstep(0.35, 0.65, np.exp(-(a * a + b * b) / 15**2))
    turn = (0.25 + 0.25 * smoothstep(0.0, 20.0, a)) * name + 0.12 * pool
    a, b = _stained(a * np.cos(turn) - b * np.sin(turn), a * np.sin(turn) + b * np.cos(turn))
    ground, ground_a, ground_b = _ground(light, name, pool)
    depth = plain * (1 - 0.6 * told * smoothstep(0.86, 0.97, seen.fine))
    a, b = a + depth * (ground_a - a), b + depth * (ground_b - b)
    deep = np.maximum(1, 34 / (np.sqrt(a * a + b * b) + 5))  # no glass is grey
    a, b = a * deep, b * deep
    level = 14 + 60 * smoothstep(-0.05, 1.05, light) + 7 * name
    level = level + depth * (ground - level)
    level = level + 0.16 * np.maximum(b - np.abs(a), 0) * (1 - depth)
    dense = 1 - 0.25 * smoothstep(60, 90, level)  # light glass is thin
    lab = np.dstack([level, a * dense, b * dense]).astype(np.float32)
    return _linear(np.clip(cv2.cvtColor(lab, cv2.COLOR_LAB2RGB), 0, 1))


def _ground(light: F32, name: F32, pool: F32) -> tuple[F32, F32, F32]:
    """Lab of what neutrals become: cobalt, deeper or paler, now and then ruby or gold."""
    blue_a, blue_b = 14 + 22 * name + 10 * pool, -62 - 8 * pool
    ruby, gold = smoothstep(0.62, 0.75, name), smoothstep(0.62, 0.75, -name)
    level = 5 + 33 * light + 20 * smoothstep(0.82, 1.0, light) + 9 * name + 34 * gold - 16 * ruby
    a = blue_a + ruby * (64 - blue_a) + gold * (10 - blue_a)
    b = blue_b + ruby * (40 - blue_b) + gold * (66 - blue_b)
    return level, a, b


def _stained(a: F32, b: F32) -> tuple[F32, F32]:
    """Chroma raised and drawn to the nearest pots."""
    size = np.sqrt(a * a + b * b)
    rich = np.asarray(2.8 / (1 + size / 55), dtype=np.float32)
    a, b = a * rich, b * rich
    total, to_a, to_b = (np.zeros(a.shape, np.float32) for _ in range(3))
    for pot_a, pot_b in POTS:
        weight = 1 / ((a - pot_a) ** 2 + (b - pot_b) ** 2 + 60) ** 2
        total += weight
        to_a += weight * pot_a
        to_b += weight * pot_b
    drawn = 0.6 * smoothstep(4.0, 26.0, size)
    return a + drawn * (to_a / total - a), b + drawn * (to_b / total - b)


def _body(plane: Mapping[str, F32]) -> F32:
    """How much light the glass itself lets through: streaks along each pane's own way, ripples, bubbles."""
    way = np.pi / 2 * plane["cell_id"]
    streak = along(plane["cloud"], np.cos(way), np.sin(way), 5.0)
    ripple = blur(plane["paper"], 1.2)
    bubble = smoothstep(0.62, 0.85, ripple)
    through = 1 + 0.42 * streak + 0.16 * ripple + 0.40 * bubble + 0.12 * plane["warp_b"]
    return np.asarray(through, dtype=np.float32)


def _drawn(seen: Seen) -> tuple[F32, F32]:
    """On twice the pixels: the glass painter's lines, and the contours that are worth lead, in [0, 1]."""
    brush, contour = finer(seen.brush), finer(seen.contour)
    return smoothstep(0.005, 0.022, -brush), smoothstep(0.016, 0.030, -contour)


def _told(seen: Seen, plane: Mapping[str, F32]) -> F32:
    """How much there is to tell in each pane, at its middle: there its lead gives way to the painter."""
    x, y = grid(seen.fine.shape)
    seed_x, seed_y = x - plane["cell_dx"] * REACH_PX, y - plane["cell_dy"] * REACH_PX
    return blur(smoothstep(0.0, 0.6, sample(seen.detail, seed_x, seed_y)), 2.0)


def _grisaille(seen: Seen) -> F32:
    """Matting: the picture's own tones within a pane, as transmittance."""
    within = np.exp(4.5 * np.clip(seen.fine - seen.broad, -0.4, 0.10))
    return np.asarray(within * (0.35 + 0.65 * smoothstep(0, 0.5, seen.fine)), dtype=np.float32)


def _leading(contour: F32, told: F32, plane: Mapping[str, F32]) -> tuple[F32, F32]:
    """Cames on twice the pixels: where there is lead, in [0, 1], and the light on its round back."""
    edge = finer(EDGE_PX * plane["cell_edge"] + EDGE_PX)
    joint = smoothstep(0.40, 0.62, blur(np.asarray(edge < 2.5, dtype=np.float32), 7.0))
    half = LEAD_PX * (1 + 0.5 * joint) * (1 - finer(told))
    cane = half - edge
    pane = smoothstep(-0.35, 0.35, cane) * smoothstep(0.5, 0.9, half)
    lead = np.maximum(pane, contour)
    back = blur(lead, 1.2)
    gx = cv2.Sobel(back, cv2.CV_32F, 1, 0, scale=1 / 8)
    gy = cv2.Sobel(back, cv2.CV_32F, 0, 1, scale=1 / 8)
    rim = np.clip(6.0 * (gx + gy) - 0.7, 0, 1) * smoothstep(0.55, 0.8, back)
    return lead, np.asarray(rim + 0.2 * joint * pane * back, dtype=np.float32)


def _lit(glass: F32, wash: F32, brush: F32, lead: F32, rim: F32) -> F32:
    """The window against the sky: glare added over the lead, brought back into the screen's range."""
    through = finer(glass * wash[..., None])
    through = through + (through * 0.12 + PAINT * 0.4 - through) * (0.9 * brush)[..., None]
    shade = 1.12 - 0.80 * smoothstep(0.0, 0.6, blur(lead, 6.0))
    sky = 1.6 * np.clip(through, 0, None) * shade[..., None] * (1 - lead)[..., None]
    glare = 0.24 * blur(sky, 3.0) + 0.14 * blur(sky, 9.0) + 0.10 * _wide(sky)
    came = (LEAD + 0.45 * LEAD_LIGHT * rim[..., None]) * lead[..., None]
    lit = sky + glare * (1 - 0.90 * lead)[..., None] + came
    screen = 1 - np.exp(-1.25 * lit)
    return np.asarray(np.clip(coarser(_gamma(screen)), 0, 1), dtype=np.float32)


def _wide(image: F32) -> F32:
    small = blur(coarser(image, 4), 7.0)
    size = (image.shape[1], image.shape[0])
    return np.asarray(cv2.resize(small, size, interpolation=cv2.INTER_LINEAR))


def _linear(image: F32) -> F32:
    return np.asarray(np.where(image <= 0.04045, image / 12.92, ((image + 0.055) / 1.055) ** 2.4), np.float32)


def _gamma(light: F32) -> F32:
    light = np.clip(light, 0, 1)
    return np.asarray(
        np.where(light <= 0.0031308, light * 12.92, 1.055 * light ** (1 / 2.4) - 0.055), np.float32
    )
