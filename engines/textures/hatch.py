"""Hatch lines at every orientation, grown jointly so that neighbouring orientations agree in phase."""

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

PERIOD_PX = 5.4
CROSS_STEP = 10  # the second hatch lies 10/32 of half a turn (56 degrees) from the first

Complex = NDArray[np.complex64]
_SOURCE = source_of(store.__file__, __file__)


def _gabor(k: int, across_px: float = 3.0, along_px: float = 4.5) -> F32:
    """Transfer function of a one-sided (complex) Gabor filter whose stripes lie along orientation k."""
    across, along = frequencies(k)
    turn = 2 * math.pi
    exponent = ((across - 1 / PERIOD_PX) * turn * across_px) ** 2 + (along * turn * along_px) ** 2
    return np.exp(-0.5 * exponent).astype(np.float32)


def carriers(rounds: int = 6, coupling: float = 1.0, seed: int = 7) -> list[Complex]:
    """Stripes at each orientation as complex (T, T): real part even, imaginary part odd, about unit rms.

    Grown jointly from one white-noise tile: each round squashes the stripes, lets neighbouring orientations
    in and filters again, so that neighbours agree in phase and lines run on where the orientation changes.
    """
    noise = np.random.default_rng(seed).standard_normal((TILE_PX, TILE_PX)).astype(np.float32)
    fy, fx = frequencies(0)
    blur = np.exp(-0.5 * (fx**2 + fy**2) * (2 * math.pi * 4.0) ** 2)

    def even_out(stripes: NDArray[np.complexfloating[Any, Any]]) -> Complex:
        power = np.fft.ifft2(np.fft.fft2(np.abs(stripes) ** 2) * blur).real
        return (stripes / (np.sqrt(np.maximum(power, 0) / 2) + 1e-9)).astype(np.complex64)

    filters = [_gabor(k) for k in range(ORIENTATIONS)]
    spectrum = np.fft.fft2(noise)
    grown = [even_out(np.fft.ifft2(spectrum * f)) for f in filters]
    for _ in range(rounds):
        hard = [np.tanh(1.5 * c.real) for c in grown]
        mixed = [
            hard[k] + coupling * (hard[k - 1] + hard[(k + 1) % ORIENTATIONS]) for k in range(ORIENTATIONS)
        ]
        grown = [even_out(np.fft.ifft2(np.fft.fft2(m) * f)) for m, f in zip(mixed, filters, strict=True)]
    return grown


def _make() -> U8:
    grown = carriers()
    turned = grown + [np.conj(c) for c in grown]
    entries = []
    for k in range(ORIENTATIONS + 1):
        first, second = turned[k], turned[(k + CROSS_STEP) % len(turned)]
        entries.append(to_u8(np.tanh(0.8 * np.stack([first.real, first.imag, second.real, second.imag]))))
    return interleave(entries)


@functools.cache
def hatch_bank() -> U8:
    """u8 (T/2, K + 1, T/2, 16): tanh of 0.8 times the stripes, hatch even and odd, cross even and odd."""
    return stored("hatch", _SOURCE, _make)
