"""Oriented banks: textures precomputed at every orientation, so that a frame only gathers them by angle.

A bank is an image whose row `y * (N + 1) + k` is row y of a periodic tile at orientation k * pi / N of N.
Entry N repeats entry 0 as seen after half a turn, so one look-up blends or picks the orientation of each
pixel, with neighbours next to each other in memory. Values are u8, (value - 128) / 64.
"""

from __future__ import annotations

import functools
import hashlib
import io
import logging
import math
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import platformdirs
from numpy.typing import NDArray

from vivant.runtime.frames import F32, U8

TILE_PX = 512
ORIENTATIONS = 16
HATCH_PERIOD_PX = 5.4
CROSS_STEP = 5  # the second hatch lies 5/16 of half a turn (56 degrees) from the first

Complex = NDArray[np.complex64]
_log = logging.getLogger(__name__)


def to_u8(values: NDArray[np.floating[Any]]) -> U8:
    """Plane values to u8: 128 is zero, 64 a unit, clipped to about [-2, 2]."""
    return np.asarray(np.clip(np.rint(values * 64 + 128), 0, 255), dtype=np.uint8)


def source_of(*modules: str) -> str:
    """A digest of source files, taken by a module of itself when it is imported."""
    digest = hashlib.sha256()
    for module in modules:
        digest.update(Path(module).read_bytes())
    return digest.hexdigest()[:16]


SOURCE = source_of(__file__)


def stored(name: str, source: str, make: Callable[[], U8]) -> U8:
    """The array of `make`, from the user's cache if it was made before by the same `source`.

    Written atomically; an unreadable file is made again, and a cache that cannot be written costs only the
    time to make it.
    """
    path = Path(platformdirs.user_cache_dir("vivant")) / "banks" / f"{name}-{source}.npy"
    if path.is_file():
        try:
            return np.asarray(np.load(path, allow_pickle=False), dtype=np.uint8)
        except (ValueError, EOFError, OSError) as error:
            _log.warning("%s cannot be read (%s); making it again", path, error)
    made = np.ascontiguousarray(make())
    try:
        _write(path, made)
    except OSError as error:
        _log.warning("%s cannot be written (%s); it will be made at each start", path, error)
    return made


def _write(path: Path, array: U8) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    held = io.BytesIO()
    np.save(held, array)
    handle, draft = tempfile.mkstemp(dir=path.parent, suffix=".part")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(held.getbuffer())
        Path(draft).replace(path)
    finally:
        Path(draft).unlink(missing_ok=True)


def interleave(entries: list[U8]) -> U8:
    """Orientation tiles, each (T, T) or (T, T, C), to one bank of rows (T * len(entries), T[, C])."""
    stack = np.stack(entries, axis=1)
    return np.ascontiguousarray(stack.reshape(stack.shape[0] * stack.shape[1], *stack.shape[2:]))


def _frequencies(k: int) -> tuple[F32, F32]:
    """Frequencies (cycles per pixel) of a tile across and along orientation k."""
    fy = np.fft.fftfreq(TILE_PX)[:, None].astype(np.float32)
    fx = np.fft.fftfreq(TILE_PX)[None].astype(np.float32)
    angle = math.pi * k / ORIENTATIONS
    cos, sin = np.float32(math.cos(angle)), np.float32(math.sin(angle))
    return cos * fy - sin * fx, cos * fx + sin * fy


def _gabor(k: int, across_px: float = 3.0, along_px: float = 6.0) -> F32:
    """Transfer function of a one-sided (complex) Gabor filter whose stripes lie along orientation k."""
    across, along = _frequencies(k)
    turn = 2 * math.pi
    exponent = ((across - 1 / HATCH_PERIOD_PX) * turn * across_px) ** 2 + (along * turn * along_px) ** 2
    return np.exp(-0.5 * exponent).astype(np.float32)


def carriers(rounds: int = 4, coupling: float = 0.5, seed: int = 7) -> list[Complex]:
    """Stripes at each orientation as complex (T, T): real part even, imaginary part odd, about unit rms.

    Grown jointly from one white-noise tile: each round squashes the stripes, lets neighbouring orientations
    in and filters again, so that neighbours agree in phase and a linear blend of two does not cancel.
    """
    noise = np.random.default_rng(seed).standard_normal((TILE_PX, TILE_PX)).astype(np.float32)
    fy, fx = _frequencies(0)
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


def _hatch() -> U8:
    grown = carriers()
    turned = grown + [np.conj(c) for c in grown]
    entries = []
    for k in range(ORIENTATIONS + 1):
        first, second = turned[k], turned[(k + CROSS_STEP) % len(turned)]
        parts = (first.real, first.imag, second.real, second.imag)
        entries.append(to_u8(np.tanh(0.8 * np.stack(parts, axis=-1))))
    return interleave(entries)


@functools.cache
def hatch_bank() -> U8:
    """u8 (T * 17, T, 4): hatch even and odd, cross even and odd."""
    return stored("hatch", SOURCE, _hatch)


def _grain(across_px: float = 0.7, along_px: float = 5.0, seed: int = 9) -> U8:
    spectrum = np.fft.fft2(np.random.default_rng(seed).standard_normal((TILE_PX, TILE_PX)))
    entries = []
    for k in [*range(ORIENTATIONS), 0]:
        across, along = _frequencies(k)
        smear = (across * across_px) ** 2 + (along * along_px) ** 2
        grain = np.fft.ifft2(spectrum * np.exp(-0.5 * smear * (2 * math.pi) ** 2)).real
        entries.append(to_u8(0.4 * grain / grain.std()))
    return interleave(entries)


@functools.cache
def grain_bank() -> U8:
    """u8 (T * 17, T): noise drawn out along the orientation, as a dry brush leaves it."""
    return stored("grain", SOURCE, _grain)
