"""Mosaic cells: an even Voronoi pattern that knows nothing of the picture. u8 (4, T, T), without direction."""

from __future__ import annotations

import functools

import numpy as np
from numpy.typing import NDArray

from vivant.engines.textures import store
from vivant.engines.textures.store import TILE_PX, source_of, stored, to_u8
from vivant.runtime.frames import F32, U8

CELLS = 48  # per side of the tile; even, so that staggered rows meet at the border
CELL_PX = TILE_PX / CELLS
_SOURCE = source_of(store.__file__, __file__)


def _nearest(seeds: F32, pixels: F32) -> tuple[F32, NDArray[np.int64]]:
    """Offset to, and flat index of, the nearest of `seeds` (n, n, 2), periodic, for each pixel (T, T, 2)."""
    home = (pixels // CELL_PX).astype(np.int64)
    best = np.full(pixels.shape[:2], np.inf, np.float32)
    offset = np.zeros_like(pixels)
    index = np.zeros(pixels.shape[:2], np.int64)
    for i in range(-2, 3):
        for j in range(-2, 3):
            cell_x, cell_y = (home[..., 0] + j) % CELLS, (home[..., 1] + i) % CELLS
            d = _wrapped(pixels - seeds[cell_y, cell_x])
            distance2 = (d * d).sum(-1)
            closer = distance2 < best
            best[closer], offset[closer] = distance2[closer], d[closer]
            index[closer] = (cell_y * CELLS + cell_x)[closer]
    return offset, index


def _wrapped(d: F32) -> F32:
    return np.asarray((d + TILE_PX / 2) % TILE_PX - TILE_PX / 2, dtype=np.float32)


def _edge_distance(seeds: F32, pixels: F32, offset: F32, index: NDArray[np.int64]) -> F32:
    """Distance in pixels to the border of a pixel's own cell."""
    flat = seeds.reshape(-1, 2)
    own = flat[index]
    home = (pixels // CELL_PX).astype(np.int64)
    edge = np.full(pixels.shape[:2], np.inf, np.float32)
    own2 = (offset * offset).sum(-1)
    for i in range(-2, 3):
        for j in range(-2, 3):
            other = (home[..., 1] + i) % CELLS * CELLS + (home[..., 0] + j) % CELLS
            d = _wrapped(pixels - flat[other])
            apart = np.linalg.norm(_wrapped(flat[other] - own), axis=-1)
            far = ((d * d).sum(-1) - own2) / (2 * apart + 1e-6)
            edge = np.where(other == index, edge, np.minimum(edge, far))
    return edge


def _cells(relaxations: int = 9, seed: int = 41) -> U8:
    rng = np.random.default_rng(seed)
    column, row = np.meshgrid(np.arange(CELLS), np.arange(CELLS))
    stagger = np.stack([0.25 + 0.5 * (row % 2), np.full(row.shape, 0.5)], axis=-1)
    jitter = rng.uniform(-0.35, 0.35, (CELLS, CELLS, 2))
    seeds = ((np.stack([column, row], axis=-1) + stagger + jitter) * CELL_PX).astype(np.float32)
    ids = rng.uniform(-1, 1, CELLS * CELLS).astype(np.float32)
    y, x = np.mgrid[0:TILE_PX, 0:TILE_PX].astype(np.float32)
    pixels = np.stack([x, y], axis=-1)
    for _ in range(relaxations):  # Lloyd: each seed towards the middle of its cell
        offset, index = _nearest(seeds, pixels)
        count = np.maximum(np.bincount(index.ravel(), minlength=CELLS * CELLS), 1)
        for axis in (0, 1):
            pull = np.bincount(index.ravel(), offset[..., axis].ravel(), CELLS * CELLS) / count
            seeds[..., axis] += 0.7 * pull.reshape(CELLS, CELLS).astype(np.float32)
    offset, index = _nearest(seeds, pixels)
    edge = _edge_distance(seeds, pixels, offset, index)
    return to_u8(np.stack([edge / 4 - 1, offset[..., 0] / CELL_PX, offset[..., 1] / CELL_PX, ids[index]]))


@functools.cache
def tesserae_tile() -> U8:
    """u8 (4, T, T): edge distance (pixels / 4 - 1), offset from the seed (x, y; CELL_PX), id in [-1, 1]."""
    return stored("tesserae", _SOURCE, _cells)
