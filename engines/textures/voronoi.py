"""Voronoi cells of seeds on a periodic tile, one seed to each square of an n x n grid."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from vivant.engines.textures.store import TILE_PX
from vivant.runtime.frames import F32

Index = NDArray[np.int64]


def pixels() -> F32:
    """Positions x, y (T, T, 2) of the tile's pixels."""
    y, x = np.mgrid[0:TILE_PX, 0:TILE_PX].astype(np.float32)
    return np.stack([x, y], axis=-1)


def scattered(rng: np.random.Generator, n: int, jitter: float) -> F32:
    """Seeds (n, n, 2) in pixels: rows in quincunx, each seed moved by up to `jitter` squares."""
    column, row = np.meshgrid(np.arange(n), np.arange(n))
    stagger = np.stack([0.25 + 0.5 * (row % 2), np.full(row.shape, 0.5)], axis=-1)
    moved = np.stack([column, row], axis=-1) + stagger + rng.uniform(-jitter, jitter, (n, n, 2))
    return np.asarray(moved * (TILE_PX / n), dtype=np.float32)


def wrapped(d: F32) -> F32:
    """Differences of positions on the tile, the short way round."""
    return np.asarray((d + TILE_PX / 2) % TILE_PX - TILE_PX / 2, dtype=np.float32)


def nearest(seeds: F32, places: F32) -> tuple[F32, Index]:
    """Offset from, and flat index of, the nearest of `seeds` (n, n, 2), for each of `places` (T, T, 2)."""
    best = np.full(places.shape[:2], np.inf, np.float32)
    offset = np.zeros_like(places)
    index = np.zeros(places.shape[:2], np.int64)
    for other in _around(seeds, places):
        d = wrapped(places - seeds.reshape(-1, 2)[other])
        distance2 = (d * d).sum(-1)
        closer = distance2 < best
        best[closer], offset[closer], index[closer] = distance2[closer], d[closer], other[closer]
    return offset, index


def edge_distance(seeds: F32, places: F32, offset: F32, index: Index) -> F32:
    """Distance in pixels to the border of a place's own cell."""
    flat = seeds.reshape(-1, 2)
    own = flat[index]
    edge = np.full(places.shape[:2], np.inf, np.float32)
    own2 = (offset * offset).sum(-1)
    for other in _around(seeds, places):
        d = wrapped(places - flat[other])
        apart = np.linalg.norm(wrapped(flat[other] - own), axis=-1)
        far = ((d * d).sum(-1) - own2) / (2 * apart + 1e-6)
        edge = np.where(other == index, edge, np.minimum(edge, far))
    return edge


def relaxed(seeds: F32, places: F32, times: int, pull: float = 0.7) -> F32:
    """The seeds drawn towards the middles of their cells (Lloyd 1982), `times` times."""
    n = len(seeds)
    seeds = seeds.copy()
    for _ in range(times):
        offset, index = nearest(seeds, places)
        count = np.maximum(np.bincount(index.ravel(), minlength=n * n), 1)
        for axis in (0, 1):
            mean = np.bincount(index.ravel(), offset[..., axis].ravel(), n * n) / count
            seeds[..., axis] += pull * mean.reshape(n, n).astype(np.float32)
    return seeds


def _around(seeds: F32, places: F32) -> list[Index]:
    """The flat indices (T, T) of the seeds of a place's own square and of those within two of it."""
    n = len(seeds)
    home = (places // (TILE_PX / n)).astype(np.int64)
    steps = [(i, j) for i in range(-2, 3) for j in range(-2, 3)]
    return [(home[..., 1] + i) % n * n + (home[..., 0] + j) % n for i, j in steps]
