"""Watercolour: the picture abstracted by anisotropic Kuwahara filtering (Kyprianidis, Kang, Doellner, 2009,
and with polynomial sectors, 2010; chosen as in Papari et al., 2007), then glazed light to dark in
transparent washes that darken at their edges (Curtis et al., 1997), flow, bloom and granulate (Bousseau et
al., 2006)."""

from __future__ import annotations

import math
from collections.abc import Mapping

import cv2
import numpy as np

from vivant.distill.teachers.optics import (
    blur,
    coarser,
    finer,
    grid,
    light,
    lines,
    luma,
    rgb,
    sample,
    smoothstep,
    tangent,
)
from vivant.runtime.frames import F32

PAPER = rgb(0.985, 0.972, 0.940)
GRAPHITE = rgb(0.30, 0.29, 0.33)
ULTRAMARINE = rgb(1.45, 1.05, 0.50)  # absorbances, about one in the mean
SIENNA = rgb(0.50, 1.00, 1.50)
GRAIN = rgb(0.42, 0.28, 0.10)  # ultramarine settles in the valleys of the paper, stains do not
# by glaze: the tone below which it is laid, its density, and what it takes from red, green and blue
GLAZES = (
    (0.90, 0.17, rgb(0.84, 1.06, 1.10)),
    (0.72, 0.22, rgb(0.94, 1.04, 1.02)),
    (0.52, 0.32, rgb(1.08, 1.02, 0.90)),
    (0.33, 0.55, rgb(1.20, 1.07, 0.73)),
)
SECTORS = 8


def paint(structure: F32, plane: Mapping[str, F32], seed: int) -> F32:
    """A picture f32 (H, W, 3). `seed` is not used: all that is random is in the planes."""
    tx, ty = tangent(plane)
    tone = luma(structure)[..., None]
    seen = np.asarray(tone + blur(structure - tone, 3.5), dtype=np.float32)
    stretch = np.clip(plane["coherence"], 0, 1)
    drawn = _kuwahara(seen, tx, ty, stretch, 3.0)
    seen = _kuwahara(_kuwahara(drawn, tx, ty, stretch, 5.0), tx, ty, stretch, 4.0)
    x, y = grid(stretch.shape)
    a, b = plane["warp_a"], plane["warp_b"]
    seen, drawn = (sample(i, x + 1.6 * a, y + 1.6 * b) for i in (seen, drawn))
    pencil = lines(blur(luma(structure), 0.6), tx, ty, 1.0, 4.0)

    large = {name: finer(plane[name]) for name in ("paper", "warp_a", "warp_b", "cloud")}
    density = _washes(finer(seen), finer(luma(drawn)), large)
    sheet = PAPER * (1 + 0.035 * light(blur(large["paper"], 1.0), 3.0))[..., None]
    tooth = 1 - 0.7 * smoothstep(-0.1, 0.7, large["paper"])
    line = 0.62 * smoothstep(0.006, 0.030, -finer(pencil)) * tooth
    sheet = sheet + (GRAPHITE - sheet) * line[..., None]
    return np.asarray(np.clip(coarser(sheet * np.exp(-density)), 0, 1), dtype=np.float32)


def _kuwahara(image: F32, tx: F32, ty: F32, stretch: F32, radius_px: float) -> F32:
    """The mean of the calmest of eight sectors of an ellipse that lies along the tangent, softly chosen."""
    long = radius_px * (1 + 0.8 * stretch)
    short = radius_px / (1 + 0.8 * stretch)
    x, y = grid(stretch.shape)
    data = cv2.merge([image, luma(image) ** 2])
    sums = [np.zeros_like(data) for _ in range(SECTORS)]
    weights = [0.0] * SECTORS
    for r in (0.0, 0.35, 0.7, 1.0):
        count = 16 if r else 1
        for step in range(count):
            angle = 2 * math.pi * step / count
            u, v = r * math.cos(angle), r * math.sin(angle)
            at = sample(data, x + u * long * tx - v * short * ty, y + u * long * ty + v * short * tx)
            for i in range(SECTORS):
                turn = 2 * math.pi * i / SECTORS
                p, q = u * math.cos(turn) + v * math.sin(turn), v * math.cos(turn) - u * math.sin(turn)
                weight = max(0.0, p + 0.33 - 3.0 * q * q) ** 2 * math.exp(-2.0 * r * r) * max(r, 0.2)
                if weight > 1e-3:
                    sums[i] = cv2.scaleAdd(at, weight, sums[i])
                    weights[i] += weight
    total, share = np.zeros_like(image), np.zeros_like(stretch)
    for part, weight in zip(sums, weights, strict=True):
        mean = part / weight
        spread = np.clip(mean[..., 3] - luma(mean[..., :3]) ** 2, 0, None)
        calm = 1 / (1e-4 + spread) ** 2
        total, share = total + mean[..., :3] * calm[..., None], share + calm
    return np.asarray(total / share[..., None], dtype=np.float32)


def _washes(seen: F32, drawn: F32, plane: Mapping[str, F32]) -> F32:
    """What the washes absorb of red, green and blue, (2H, 2W, 3): broad ones of `seen` (2H, 2W, 3), then
    accents of the tone `drawn` (2H, 2W)."""
    paper, a, b, cloud = plane["paper"], plane["warp_a"], plane["warp_b"], plane["cloud"]
    broad, fine = _high_key(luma(seen)), _high_key(drawn)
    chroma = seen.max(-1) - seen.min(-1)
    hue = _pigment(seen, b + 0.4 * cloud)
    ragged = 0.035 * blur(cloud, 4.0) + 0.035 * a + 0.012 * paper
    soft = 0.020 + 0.10 * smoothstep(0.0, 0.9, b - 0.3 * a)  # lost and found edges
    flow = np.exp(0.28 * a + 0.15 * cloud)
    bloom, rim = _backrun(a, b, cloud)
    lifted = smoothstep(0.02, 0.14, fine - blur(fine, 12.0))  # teeth and the whites of eyes
    spare = 0.22 * smoothstep(0.0, 1.0, b + 0.5 * cloud) + 0.06 * lifted
    total = np.zeros_like(seen)
    for i, (below, strength, glaze) in enumerate(GLAZES):
        # paper is spared in the lights, but not in coloured ones such as skin
        spared = spare - 0.55 * chroma * (1 - lifted) if i == 0 else 0.0
        share = i / (len(GLAZES) - 1)
        tone = (1 - share) * broad + share * fine
        over = (below - spared - tone + (1 - 0.6 * share) * ragged) / (soft * (1 - 0.5 * share))
        laid = smoothstep(-1.0, 1.0, over)
        pooled = laid * np.clip(1 - blur(laid, 3.0), 0, 1)
        body = laid * (1 - 0.40 * bloom) * flow + 2.0 * pooled + 0.7 * rim * laid
        total = total + (strength * body)[..., None] * glaze
    modelled = np.clip(0.92 - 0.5 * (broad + fine), 0, 1) ** 1.4 * flow  # worked while wet: no edge
    total = (total + 0.60 * modelled[..., None]) * hue
    return np.asarray(total * (1 + paper[..., None] * GRAIN), dtype=np.float32)


def _high_key(tone: F32) -> F32:
    clear = np.clip(tone + 0.35 * (tone - blur(tone, 14.0)), 0, 1)
    return np.asarray(clear**0.76, dtype=np.float32)


def _pigment(colour: F32, drift: F32) -> F32:
    """The absorbance of the local colour, about one in the mean; greys are mixed of two pigments that part,
    and every wash is charged here warmer, there cooler."""
    tone = luma(colour)[..., None]
    pure = np.clip(0.08 + 0.92 * tone + 1.85 * (colour - tone), 0.05, 0.965)
    taken = -np.log(pure)
    own = taken / taken.mean(-1, keepdims=True)
    vivid = smoothstep(0.15, 0.75, own.max(-1) - own.min(-1))[..., None]
    share = (0.5 + 0.34 * np.clip(drift, -1, 1))[..., None]
    grey = share * ULTRAMARINE + (1 - share) * SIENNA
    charged = np.exp(0.20 * drift[..., None] * rgb(1.0, 0.0, -0.8))
    return np.asarray(own * (vivid * charged + (1 - vivid) * grey), dtype=np.float32)


def _backrun(a: F32, b: F32, cloud: F32) -> tuple[F32, F32]:
    """Where water ran back into a drying wash, and the crinkled rim that its pigment was carried to."""
    bloom = smoothstep(0.50, 0.62, 0.8 * a - 0.5 * b + 0.38 * cloud)
    rim = np.clip(blur(bloom, 3.5) - bloom, 0, 1) * 2
    return bloom, np.asarray(rim, dtype=np.float32)
