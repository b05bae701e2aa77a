"""Mosaic cells: an even Voronoi pattern that knows nothing of the picture. u8 (4, T, T)."""

from __future__ import annotations

import functools

import numpy as np

from vivant.engines.textures import store, voronoi
from vivant.engines.textures.store import TILE_PX, source_of, stored, to_u8
from vivant.runtime.frames import U8

CELLS = 48  # per side of the tile; even, so that staggered rows meet at the border
CELL_PX = TILE_PX / CELLS
_SOURCE = source_of(store.__file__, voronoi.__file__, __file__)


def _cells() -> U8:
    rng = np.random.default_rng(41)
    pixels = voronoi.pixels()
    seeds = voronoi.relaxed(voronoi.scattered(rng, CELLS, 0.35), pixels, 6)
    ids = rng.uniform(-1, 1, CELLS * CELLS)
    offset, index = voronoi.nearest(seeds, pixels)
    edge = voronoi.edge_distance(seeds, pixels, offset, index)
    return to_u8(np.stack([edge / 4 - 1, offset[..., 0] / CELL_PX, offset[..., 1] / CELL_PX, ids[index]]))


@functools.cache
def tesserae_tile() -> U8:
    """u8 (4, T, T): edge distance (pixels / 4 - 1), offset from the seed (x, y; CELL_PX), id in [-1, 1]."""
    return stored("tesserae", _SOURCE, _cells)
