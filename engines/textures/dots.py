"""Stipple dots: an even set of points, ranked so that the first n of them are evenly spread for every n.
u8 (4, T, T), without direction.

The points are centroidal (Lloyd's relaxation, as in Secord, "Weighted Voronoi Stippling", 2002, for an even
density); the ranking is greedy in the manner of Ulichney's void and cluster (1993): each next point lies in
the emptiest place that the earlier ones leave, by an energy without a scale of its own (Riesz, 1 / d^4).
"""

from __future__ import annotations

import functools
import math

import numpy as np
from numpy.typing import NDArray

from vivant.engines.textures import store
from vivant.engines.textures.store import TILE_PX, source_of, stored, to_u8
from vivant.runtime.frames import F32, U8

ROWS, COLUMNS = 148, 130  # even rows, so that staggered ones meet at the border
DOTS = ROWS * COLUMNS
SPACING_PX = math.sqrt(TILE_PX**2 / DOTS * 2 / math.sqrt(3))  # of as many points packed in hexagons: 3.97
REACH_PX = 2.0  # the unit of the offsets: they reach four pixels
_EARLY_PX2 = 3.0  # by how much the first dot's squared distance is less: early dots have the larger cells
_SOURCE = source_of(store.__file__, __file__)
Index = NDArray[np.int64]


def _wrapped(d: F32) -> F32:
    return np.asarray((d + TILE_PX / 2) % TILE_PX - TILE_PX / 2, dtype=np.float32)


def _owners(points: F32, weight: F32) -> tuple[F32, Index]:
    """Offset (T, T, 2) from, and index (T, T) of, the point of `points` (DOTS, 2) nearest to each pixel, by
    the squared distance less the point's `weight` (DOTS,)."""
    y, x = np.mgrid[0:TILE_PX, 0:TILE_PX].astype(np.float32)
    home_x = (x * (COLUMNS / TILE_PX)).astype(np.int64)
    home_y = (y * (ROWS / TILE_PX)).astype(np.int64)
    best = np.full(x.shape, np.inf, np.float32)
    offset, index = np.zeros((*x.shape, 2), np.float32), np.zeros(x.shape, np.int64)
    for i in range(-2, 3):
        for j in range(-2, 3):
            other = (home_y + i) % ROWS * COLUMNS + (home_x + j) % COLUMNS
            dx, dy = _wrapped(x - points[other, 0]), _wrapped(y - points[other, 1])
            far = dx * dx + dy * dy - weight[other]
            closer = far < best
            best[closer], index[closer] = far[closer], other[closer]
            offset[closer] = np.stack([dx[closer], dy[closer]], axis=-1)
    return offset, index


def _relaxed(rounds: int = 5, seed: int = 61) -> F32:
    """Points (DOTS, 2): a shaken lattice, each point drawn to the middle of its cell."""
    rng = np.random.default_rng(seed)
    column, row = np.meshgrid(np.arange(COLUMNS), np.arange(ROWS))
    place = np.stack([column + 0.25 + 0.5 * (row % 2), row + 0.5], axis=-1) + rng.uniform(
        -0.6, 0.6, (ROWS, COLUMNS, 2)
    )
    points = (place.reshape(-1, 2) * (TILE_PX / COLUMNS, TILE_PX / ROWS)).astype(np.float32)
    even = np.zeros(DOTS, np.float32)
    for _ in range(rounds):
        offset, index = _owners(points, even)
        count = np.maximum(np.bincount(index.ravel(), minlength=DOTS), 1)
        for axis in (0, 1):
            pull = np.bincount(index.ravel(), offset[..., axis].ravel(), DOTS) / count
            points[:, axis] += pull.astype(np.float32)
    return points


def _ranks(points: F32, seed: int = 62) -> F32:
    """The place (DOTS,) of each point in the order, in [0, 1). Some points are a little shyer than others,
    or the order would fall into square lattices."""
    x, y = np.ascontiguousarray(points.T)
    shy = np.random.default_rng(seed).uniform(1.0, 1.6, len(points)).astype(np.float32)
    left = np.arange(len(points))
    energy = np.full(len(points), 1e-9, np.float32)
    rank = np.zeros(len(points), np.float32)
    for place in range(len(points)):
        i = int((energy * shy).argmin())
        rank[left[i]] = place / len(points)
        dx, dy = np.abs(x - x[i]), np.abs(y - y[i])
        np.minimum(dx, TILE_PX - dx, out=dx)
        np.minimum(dy, TILE_PX - dy, out=dy)
        near = dx * dx + dy * dy
        near[i] = 1e-12
        energy += 1 / (near * near)
        if place % 256 == 255:  # those that have their rank need no more looking at
            open_ = energy < 1e12
            x, y, left, shy, energy = x[open_], y[open_], left[open_], shy[open_], energy[open_]
    return rank


def _make() -> U8:
    points = _relaxed()
    rank = _ranks(points)
    offset, index = _owners(points, _EARLY_PX2 * (1 - rank) ** 2)
    far = np.linalg.norm(offset, axis=-1) / REACH_PX
    planes = [1 - far, offset[..., 0] / REACH_PX, offset[..., 1] / REACH_PX, 4 * rank[index] - 2]
    return to_u8(np.stack(planes))


@functools.cache
def dots_tile() -> U8:
    """u8 (4, T, T): 1 - distance to the centre of the pixel's dot (REACH_PX), offset from that centre (x, y;
    REACH_PX), rank from -2 (the first to be inked) to 2."""
    return stored("dots", _SOURCE, _make)
