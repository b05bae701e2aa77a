"""What textures share: the periodic tile, u8 values, noise by frequency, and the user's cache of made ones.

A canvas texture is u8 (C, T, T). An oriented one is u8 (K + 1, C, T, T): orientation k lies at k * pi / K,
and entry K is entry 0 as seen after half a turn. Values are (u8 - 128) / 64; every tile repeats at T = 512
pixels.
"""

from __future__ import annotations

import hashlib
import logging
import math
import os
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vivant.runtime.frames import F32, U8

TILE_PX = 512
ORIENTATIONS = 32
ZERO = 128
UNIT = 64

_log = logging.getLogger(__name__)


def to_u8(values: NDArray[np.floating[Any]]) -> U8:
    """Plane values to u8: 128 is zero, 64 a unit, clipped to about [-2, 2]."""
    return np.asarray(np.clip(np.rint(values * UNIT + ZERO), 0, 255), dtype=np.uint8)


def source_of(*modules: str) -> str:
    """A digest of source files, taken by a module of itself when it is imported."""
    digest = hashlib.sha256()
    for module in modules:
        digest.update(Path(module).read_bytes())
    return digest.hexdigest()[:16]


def smooth_noise(seed: int, sigma_px: float, size_px: int = TILE_PX) -> F32:
    """Periodic Gaussian noise (size, size) of unit variance, smooth over `sigma_px`."""
    f = np.fft.fftfreq(size_px)
    radius2 = f[:, None] ** 2 + f[None] ** 2
    spectrum = np.fft.fft2(np.random.default_rng(seed).standard_normal((size_px, size_px)))
    noise = np.fft.ifft2(spectrum * np.exp(-0.5 * radius2 * (2 * math.pi * sigma_px) ** 2)).real
    return np.asarray((noise - noise.mean()) / noise.std(), dtype=np.float32)


def frequencies(k: int) -> tuple[F32, F32]:
    """Frequencies (cycles per pixel, each (T, T)) of a tile across and along orientation k."""
    fy = np.fft.fftfreq(TILE_PX)[:, None].astype(np.float32)
    fx = np.fft.fftfreq(TILE_PX)[None].astype(np.float32)
    angle = math.pi * k / ORIENTATIONS
    cos, sin = np.float32(math.cos(angle)), np.float32(math.sin(angle))
    return cos * fy - sin * fx, cos * fx + sin * fy


def blocks(texture: U8) -> U8:
    """Tiles (..., C, T, T) as 2x2 blocks (..., T/2, T/2, 4C): a block's bytes in the order y, x, channel."""
    *lead, channels, height, width = texture.shape
    split = texture.reshape(*lead, channels, height // 2, 2, width // 2, 2)
    order = (*range(len(lead)), *(len(lead) + i for i in (1, 3, 2, 4, 0)))
    return np.ascontiguousarray(split.transpose(order)).reshape(*lead, height // 2, width // 2, 4 * channels)


def interleave(entries: Iterable[U8]) -> U8:
    """Oriented tiles, each (C, T, T), to a bank of blocks (T/2, K + 1, T/2, 4C): neighbours in the picture
    that share an orientation are neighbours in memory."""
    return np.ascontiguousarray(np.stack([blocks(entry) for entry in entries], axis=1))


def stored(name: str, source: str, make: Callable[[], U8]) -> U8:
    """The array of `make`, mapped from the user's cache if it was made before by the same `source`.

    Written atomically; an unreadable file is made again, and a cache that cannot be written costs only the
    time to make it.
    """
    path = _cache() / "banks" / f"{name}-{source}.npy"
    if path.is_file():
        try:
            return np.asarray(np.load(path, mmap_mode="r", allow_pickle=False))
        except (ValueError, EOFError, OSError) as error:
            _log.warning("%s cannot be read (%s); making it again", path, error)
    made = np.ascontiguousarray(make())
    try:
        _write(path, made)
    except OSError as error:
        _log.warning("%s cannot be written (%s); it will be made at each start", path, error)
    return made


def _cache() -> Path:
    try:
        import platformdirs
    except ImportError:  # a machine that only trains has torch, numpy, scipy and OpenCV
        return Path.home() / ".cache" / "vivant"
    return Path(platformdirs.user_cache_dir("vivant"))


def _write(path: Path, array: U8) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, draft = tempfile.mkstemp(dir=path.parent, suffix=".part")
    try:
        with os.fdopen(handle, "wb") as file:
            np.save(file, array)
        Path(draft).replace(path)
    finally:
        Path(draft).unlink(missing_ok=True)
