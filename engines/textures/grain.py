"""Oriented grain: what a dry brush leaves along its way, and long threads."""

from __future__ import annotations

import functools
import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

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


def _strands(rounds: int = 4, coupling: float = 0.4, seed: int = 10) -> list[F32]:
    """Threads at each orientation (T, T), not negative, grown jointly from one noise tile.

    Each round draws what is bright out along its way, dims what lies beside it, lets neighbouring
    orientations in and keeps the peaks, so that a thread goes on where the orientation turns.
    """
    noise = np.random.default_rng(seed).standard_normal((TILE_PX, TILE_PX)).astype(np.float32)
    filters = [_thread(k) for k in range(ORIENTATIONS)]
    spectrum = np.fft.rfft2(noise)
    grown = [_peaks(spectrum * f) for f in filters]
    for _ in range(rounds):
        mixed = [
            grown[k] + coupling * (grown[k - 1] + grown[(k + 1) % ORIENTATIONS]) for k in range(ORIENTATIONS)
        ]
        grown = [_peaks(np.fft.rfft2(m) * f) for m, f in zip(mixed, filters, strict=True)]
    return grown


def _thread(k: int, width_px: float = 1.05) -> F32:
    """Transfer function (T, T/2 + 1): a thin line along orientation k, less a broad one."""
    across, along = (2 * math.pi * f[:, : TILE_PX // 2 + 1] for f in frequencies(k))
    bells = [np.exp(-0.5 * (across * width_px * wide) ** 2) for wide in (1.0, 2.6)]
    return np.asarray((bells[0] - bells[1]) * np.exp(-0.5 * (along * STRAND_LENGTH_PX) ** 2), np.float32)


def _peaks(spectrum: NDArray[np.complexfloating[Any, Any]]) -> F32:
    """What stands out of the pattern (T, T) with this spectrum, from 0 up to about 3."""
    pattern = np.fft.irfft2(spectrum, (TILE_PX, TILE_PX)).astype(np.float32)
    raised = np.maximum(pattern / pattern.std() - 0.25, 0)
    return np.asarray(raised / np.sqrt(1 + (raised / 2.5) ** 2), dtype=np.float32)


def _make() -> U8:
    rng = np.random.default_rng(9)
    fine = rng.standard_normal((TILE_PX, TILE_PX)).astype(np.float32)
    strands = _strands()
    entries = []
    for k in [*range(ORIENTATIONS), 0]:
        entries.append(
            to_u8(np.stack([0.4 * _drawn_out(fine, k, 0.7, 5.0), 0.6 * (strands[k] - strands[k].mean())]))
        )
    return interleave(entries)


@functools.cache
def grain_bank() -> U8:
    """u8 (T/2, K + 1, T/2, 8): dry (noise drawn out over 5 px), strand (threads apart, each some 40 px long:
    a little below zero between them, above one on the brightest)."""
    return stored("grain", _SOURCE, _make)
