"""A bath of floating inks: bands and rings, dropped, raked and swirled, before any picture is laid in it.
u8 (4, T, T), without direction.

Lu, Jaffer, Jin, Zhao, Mao 2012, "Mathematical Marbling": each drop, comb and swirl is a map of the plane in
closed form. Each pixel is followed back through all of them to where its ink lay at first. The maps are
wrapped onto the tile: what a drop or swirl moves fades to nothing half a tile away.
"""

from __future__ import annotations

import functools
import math

import numpy as np
from numpy.typing import NDArray

from vivant.engines.textures import store
from vivant.engines.textures.store import TILE_PX, smooth_noise, source_of, stored, to_u8
from vivant.runtime.frames import F32, U8

CYCLE = 5  # bands of ink to one turn of the layer coordinate
_BATH_TURNS = 6  # turns of it down the bath before anything falls in
_DROPS = 64
_SPOTS = 22  # per side
Points = NDArray[np.float64]
_SOURCE = source_of(store.__file__, __file__)


def _away(p: F32, centre: F32) -> tuple[F32, F32, F32]:
    """Wrapped offset from a centre (..., 2), its length and how strongly the centre still moves it."""
    d = (p - centre + TILE_PX / 2) % TILE_PX - TILE_PX / 2
    length = np.sqrt((d * d).sum(-1, keepdims=True)) + 1e-4
    fade = np.clip(1 - length / (TILE_PX / 2), 0, 1)
    return d, length, np.asarray(np.minimum(1, 1.6 * fade), dtype=np.float32)


def _raked(p: F32, axis: int, tines: int, reach_px: float, sharp_px: float, phase: float) -> F32:
    """Points before a comb was drawn: `tines` of it move ink along `axis`, every second one back."""
    apart = TILE_PX / tines
    at = p[..., 1 - axis] - phase * apart
    moved = p.copy()
    for tine in range(tines):
        near = np.abs((at - tine * apart + TILE_PX / 2) % TILE_PX - TILE_PX / 2)
        moved[..., axis] -= (-1) ** tine * reach_px * np.exp(-near / sharp_px)
    return np.asarray(moved, dtype=np.float32)


def _waved(p: F32, axis: int, waves: int, reach_px: float) -> F32:
    moved = p.copy()
    moved[..., axis] -= reach_px * np.sin(2 * math.pi * waves * p[..., 1 - axis] / TILE_PX)
    return np.asarray(moved, dtype=np.float32)


def _swirled(p: F32, centre: F32, turn: float, reach_px: float) -> F32:
    d, length, fade = _away(p, centre)
    angle = -turn * np.exp(-((length / reach_px) ** 2)) * fade
    cos, sin = np.cos(angle), np.sin(angle)
    turned = np.concatenate([d[..., :1] * cos - d[..., 1:] * sin, d[..., :1] * sin + d[..., 1:] * cos], -1)
    return np.asarray(p + turned - d, dtype=np.float32)


def _before_drops(p: F32, drops: Points, turns: Points) -> tuple[F32, F32]:
    """Layer coordinate (...) in turns, and where each point lay in the empty bath.

    `drops` (n, 3) is x, y, radius, oldest first; `turns` (n,) how many turns lie in each. The ink outside a
    drop's edge came from its centre, so rings that start from the centre's own coordinate join it smoothly.
    """
    added = np.zeros(p.shape[:-1], np.float32)
    for (x, y, radius), turn in zip(drops[::-1], turns[::-1], strict=True):
        centre = np.array([x, y], np.float32)
        d, length, fade = _away(p, centre)
        outward = d * (np.sqrt(np.maximum(1 - (radius / length) ** 2, 0)) - 1) * fade
        added += turn * np.maximum(1 - (length[..., 0] / radius) ** 2, 0)
        p = np.where(length < radius, centre, p + outward).astype(np.float32)
    return np.asarray(added + _BATH_TURNS * p[..., 1] / TILE_PX, dtype=np.float32), p


def _make() -> U8:
    rng = np.random.default_rng(61)
    y, x = np.mgrid[0:TILE_PX, 0:TILE_PX].astype(np.float32)
    p = np.stack([x, y], axis=-1)
    for axis, waves, reach in ((0, 3, 9.0), (1, 2, 12.0)):
        p = _waved(p, axis, waves, reach)
    for centre in rng.uniform(0, TILE_PX, (12, 2)).astype(np.float32):
        p = _swirled(
            p, centre, float(rng.choice([-1, 1]) * rng.uniform(1.0, 2.0)), float(rng.uniform(26, 50))
        )
    p = _raked(p, 1, 6, 24.0, 20.0, 0.3)
    p = _raked(p, 0, 4, 28.0, 26.0, 0.1)
    drops = np.column_stack([rng.uniform(0, TILE_PX, (_DROPS, 2)), rng.uniform(12, 48, _DROPS)])
    turns = rng.choice([-1.0, 1.0], _DROPS) * drops[:, 2] / 48
    layer, home = _before_drops(p, drops, turns)
    pot = smooth_noise(62, 22.0)
    iy, ix = (np.rint(home[..., i]).astype(np.int64) % TILE_PX for i in (1, 0))
    angle = 2 * math.pi * layer
    return to_u8(np.stack([np.cos(angle), np.sin(angle), 0.5 * pot[iy, ix], _veins(p, rng)]))


def _veins(p: F32, rng: np.random.Generator) -> F32:
    """Gall, sprinkled before the combs: small drops, above zero within."""
    cell = TILE_PX / _SPOTS
    seeds = rng.uniform(0, cell, (_SPOTS, _SPOTS, 2)).astype(np.float32)
    radius = (1.2 + 5.5 * rng.random((_SPOTS, _SPOTS)) ** 3).astype(np.float32)
    home = np.floor(p / cell).astype(np.int64)
    best = np.full(p.shape[:-1], -4.0, np.float32)
    for i in (-1, 0, 1):
        for j in (-1, 0, 1):
            column, row = home[..., 0] + j, home[..., 1] + i
            seed = seeds[row % _SPOTS, column % _SPOTS] + np.stack([column, row], -1) * cell
            far = np.sqrt(((p - seed) ** 2).sum(-1))
            best = np.maximum(best, radius[row % _SPOTS, column % _SPOTS] - far)
    return np.asarray(best / 4, dtype=np.float32)


@functools.cache
def ebru_tile() -> U8:
    """u8 (4, T, T): cosine and sine of the layer coordinate (a turn is CYCLE bands), the pot that the ink
    came from (about half a unit), sprinkled spots (pixels / 4 within their edge, at least -1)."""
    return stored("ebru", _SOURCE, _make)
