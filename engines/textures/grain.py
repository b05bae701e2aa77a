"""Oriented grain: what a dry brush leaves along its way, and sparse long strands."""

from __future__ import annotations

import functools
import math

import numpy as np

from vivant.engines.textures import store
from vivant.engines.textures.store import (
    ORIENTATIONS,
    TILE_PX,
    frequencies,
    interleave,
    source_of,
    stored,
    to_u8,
)
from vivant.runtime.frames import F32, U8

STRAND_LENGTH_PX = 16.0
_SOURCE = source_of(store.__file__, __file__)


def _drawn_out(noise: F32, k: int, across_px: float, along_px: float) -> F32:
    """`noise` (T, T) averaged along orientation k: line integral convolution of a straight field."""
    across, along = frequencies(k)
    smear = (across * across_px) ** 2 + (along * along_px) ** 2
    drawn = np.fft.ifft2(np.fft.fft2(noise) * np.exp(-0.5 * smear * (2 * math.pi) ** 2)).real
    return np.asarray(drawn / drawn.std(), dtype=np.float32)


def _make() -> U8:
    rng = np.random.default_rng(9)
    fine = rng.standard_normal((TILE_PX, TILE_PX)).astype(np.float32)
    sparse = (rng.random((TILE_PX, TILE_PX)) < 1 / 140).astype(np.float32) * rng.uniform(
        0.3, 1.0, (TILE_PX, TILE_PX)
    ).astype(np.float32)
    entries = []
    for k in [*range(ORIENTATIONS), 0]:
        strand = _drawn_out(sparse - sparse.mean(), k, 0.75, STRAND_LENGTH_PX)
        entries.append(to_u8(np.stack([0.4 * _drawn_out(fine, k, 0.7, 5.0), 0.45 * strand])))
    return interleave(entries)


@functools.cache
def grain_bank() -> U8:
    """u8 (T/2, K + 1, T/2, 8): dry (noise drawn out over 5 px), strand (few threads, each some 40 px long)."""
    return stored("grain", _SOURCE, _make)
