"""Panes of stained glass: large uneven cells, their borders a little bent, that know nothing of the picture.
u8 (4, T, T)."""

from __future__ import annotations

import functools

import numpy as np

from vivant.engines.textures import store, voronoi
from vivant.engines.textures.store import TILE_PX, smooth_noise, source_of, stored, to_u8
from vivant.runtime.frames import U8

PANES = 16  # per side of the tile; even, so that staggered rows meet at the border
EDGE_PX = 8.0  # the unit of the distance to a pane's border
REACH_PX = 20.0  # the unit of the offset from a pane's seed
BEND_PX = 3.2  # how far a border strays from a straight line
_SOURCE = source_of(store.__file__, voronoi.__file__, __file__)


def _panes() -> U8:
    rng = np.random.default_rng(43)
    pixels = voronoi.pixels()
    seeds = voronoi.relaxed(voronoi.scattered(rng, PANES, 0.42), pixels, 2)
    ids = rng.permutation(np.linspace(-1, 1, PANES * PANES))
    bend = BEND_PX * np.stack([smooth_noise(44, 16.0), smooth_noise(45, 16.0)], axis=-1)
    places = (pixels + bend) % TILE_PX
    offset, index = voronoi.nearest(seeds, places)
    edge = voronoi.edge_distance(seeds, places, offset, index)
    away = voronoi.wrapped(pixels - seeds.reshape(-1, 2)[index]) / REACH_PX
    return to_u8(np.stack([edge / EDGE_PX - 1, away[..., 0], away[..., 1], ids[index]]))


@functools.cache
def shards_tile() -> U8:
    """u8 (4, T, T): edge distance (pixels / EDGE_PX - 1), offset from the seed (x, y; REACH_PX), id in
    [-1, 1]."""
    return stored("shards", _SOURCE, _panes)
