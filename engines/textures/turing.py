"""A coral's skin: a labyrinth that reaction and diffusion have grown until it rests, the same grown on into
spots, the fine septa across its ridges, and slow drifts of colour. u8 (4, T, T), without direction.

Turing 1952; the equation is that of Swift and Hohenberg 1977, whose stripes and spots are those of
Gray and Scott 1984 (Pearson 1993) but which always comes to rest.
"""

from __future__ import annotations

import functools
import math

import numpy as np

from vivant.engines.textures import store
from vivant.engines.textures.store import TILE_PX, smooth_noise, source_of, stored, to_u8
from vivant.runtime.frames import F32, U8

WAVELENGTH_PX = 8.6
_SEPTA_PX = 3.6
_DIRECTIONS = 16
_SOURCE = source_of(store.__file__, __file__)


def _radius() -> F32:
    fy, fx = np.fft.fftfreq(TILE_PX)[:, None], np.fft.rfftfreq(TILE_PX)[None]
    return np.asarray(np.hypot(fx, fy), dtype=np.float32)


def _grow(u: F32, steps: int, growth: float, lean: float, step: float = 1.0) -> F32:
    """`steps` of u' = growth u - (1 + lap / k^2)^2 u + lean u^2 - u^3, the linear part implicitly.

    `lean` 0 gives stripes, above it spots.
    """
    stiff = (1 - (_radius() * WAVELENGTH_PX) ** 2) ** 2
    damping = 1 / (1 + step * stiff)
    for _ in range(steps):
        pushed = u + step * (growth * u + lean * u * u - u**3)
        u = np.fft.irfft2(np.fft.rfft2(pushed) * damping, u.shape).astype(np.float32)
    return u


def _septa(ridges: F32, seed: int, rounds: int = 4) -> F32:
    """Thin plates across the ridges: noise that is filtered again and again by the Gabor filter whose stripes
    lie down the local slope, and squashed."""
    f = np.fft.fftfreq(TILE_PX).astype(np.float32)
    dy, dx = np.gradient(ridges)
    double = np.stack([dx * dx - dy * dy, 2 * dx * dy])
    bell = np.exp(-0.5 * (f[:, None] ** 2 + f[None] ** 2) * (2 * math.pi * 1.6) ** 2)
    double = np.fft.ifft2(np.fft.fft2(double) * bell).real
    place = np.arctan2(double[1], double[0]) / (2 * math.pi) % 1.0 * _DIRECTIONS
    plates = np.random.default_rng(seed).standard_normal((TILE_PX, TILE_PX)).astype(np.float32)
    for _ in range(rounds):
        spectrum = np.fft.fft2(plates)
        total = np.zeros_like(plates)
        for k in range(_DIRECTIONS):
            share = np.maximum(0, 1 - np.abs((place - k + _DIRECTIONS / 2) % _DIRECTIONS - _DIRECTIONS / 2))
            angle = math.pi * k / _DIRECTIONS
            across = math.cos(angle) * f[:, None] - math.sin(angle) * f[None]
            along = math.cos(angle) * f[None] + math.sin(angle) * f[:, None]
            turn = 2 * math.pi
            reach = ((np.abs(across) - 1 / _SEPTA_PX) * turn * 2.4) ** 2 + (along * turn * 2.0) ** 2
            total += share * np.fft.ifft2(spectrum * np.exp(-0.5 * reach)).real
        plates = np.tanh(1.4 * total / total.std()).astype(np.float32)
    return plates


def _make() -> U8:
    labyrinth = _grow(0.3 * smooth_noise(51, 1.5), 60, 0.3, 0.0)
    spots = _grow(0.6 * labyrinth + 0.25 * smooth_noise(55, 2.0), 90, 0.08, 1.3)
    even = labyrinth / np.percentile(np.abs(labyrinth), 98)
    beads = (spots - spots.mean()) / np.percentile(np.abs(spots - spots.mean()), 98)
    drift = 0.5 * smooth_noise(53, 16.0) + 0.25 * smooth_noise(54, 5.0)
    return to_u8(np.stack([even, beads, _septa(labyrinth, 52), drift]))


@functools.cache
def turing_tile() -> U8:
    """u8 (4, T, T): the labyrinth's height in [-1, 1], that of the spots it turns into, septa in [-1, 1],
    drift of colour of about half a unit."""
    return stored("turing", _SOURCE, _make)
