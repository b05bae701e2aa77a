"""Halftone screens for three spot inks, and the press's own marks. u8 (4, T, T), without direction.

Clustered-dot screens, amplitude modulated, at angles thirty degrees apart so that they meet in rosettes
(Ulichney, "Digital Halftoning", 1987). Frequencies are whole cycles per tile, so every screen closes.
"""

from __future__ import annotations

import functools
import math

import numpy as np

from vivant.engines.textures import store
from vivant.engines.textures.store import TILE_PX, smooth_noise, source_of, stored, to_u8
from vivant.runtime.frames import F32, U8

PINK, YELLOW, BLUE = (23, 86), (86, 23), (82, 82)
"""Cycles per tile along x and y: 75 and 15 degrees at 5.75 px, 45 degrees at 4.4 px for the drawing."""
_SOURCE = source_of(store.__file__, __file__)


def screen(cycles: tuple[int, int]) -> F32:
    """Thresholds (T, T), even over [-1, 1]: an ink that covers the share a of its area lies where the
    threshold is below 2 a - 1. Round dots grow to a chequerboard, then close to round holes."""
    y, x = np.mgrid[0:TILE_PX, 0:TILE_PX].astype(np.float32) * (2 * math.pi / TILE_PX)
    u, v = cycles[0] * x + cycles[1] * y, cycles[0] * y - cycles[1] * x
    spot = -(np.cos(u) + np.cos(v)) / 2
    fine = np.arange(1024) * (2 * math.pi / 1024)
    levels = np.sort((-(np.cos(fine)[:, None] + np.cos(fine)[None]) / 2).ravel())
    even = np.searchsorted(levels, spot.ravel()) / levels.size
    return np.asarray(2 * even.reshape(spot.shape) - 1, dtype=np.float32)


def press(seed: int = 71) -> F32:
    """What the press does (T, T): slow bands of the roller and mottle, within about 0.6 of zero; beyond that
    lies dust that kept ink away, above for one drum and below for another."""
    y = np.arange(TILE_PX, dtype=np.float32)[:, None] * (2 * math.pi / TILE_PX)
    roller = 0.6 * np.sin(5 * y + 0.7 * smooth_noise(seed, 40.0)) + 0.4 * np.sin(13 * y + 1.0)
    mottle = 0.7 * smooth_noise(seed + 1, 2.2) + 0.7 * smooth_noise(seed + 2, 8.0)
    dust = smooth_noise(seed + 3, 1.1)
    flecks = np.sign(dust) * np.clip(2.5 * (np.abs(dust) - 2.5), 0, 1)
    even = np.tanh(0.25 * roller + 0.26 * mottle) * 0.6
    return np.asarray(even * (1 - np.abs(flecks)) + 1.6 * flecks, dtype=np.float32)


def _make() -> U8:
    return to_u8(np.stack([screen(PINK), screen(YELLOW), screen(BLUE), press()]))


@functools.cache
def screens_tile() -> U8:
    """u8 (4, T, T): thresholds in [-1, 1] of the pink, yellow and blue screens; the press's marks."""
    return stored("screens", _SOURCE, _make)
