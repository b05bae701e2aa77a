"""The canvas that every medium lies on: paper, two slow warps, clouds of pigment. u8 (4, T, T), without
direction."""

from __future__ import annotations

import functools

import numpy as np

from vivant.engines.textures import store
from vivant.engines.textures.store import smooth_noise, source_of, stored, to_u8
from vivant.runtime.frames import U8

_SOURCE = source_of(store.__file__, __file__)


def _make() -> U8:
    paper = 0.8 * smooth_noise(31, 0.8) + 0.55 * smooth_noise(32, 2.2) + 0.3 * smooth_noise(33, 5.0)
    cloud = 0.7 * smooth_noise(36, 7.0) + 0.45 * smooth_noise(37, 3.5) + 0.3 * smooth_noise(38, 1.7)
    return to_u8(
        np.stack([0.4 * paper, 0.5 * smooth_noise(34, 14.0), 0.5 * smooth_noise(35, 14.0), 0.6 * cloud])
    )


@functools.cache
def canvas_tile() -> U8:
    """u8 (4, T, T): paper, warp_a, warp_b, cloud."""
    return stored("canvas", _SOURCE, _make)
