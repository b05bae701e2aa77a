"""What a camera and a room do to a structure: mirror, gamma, cast, a lamp, low light, blur and noise."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from vivant.runtime.frames import F32, U8


@dataclass(frozen=True, slots=True)
class Weather:
    """One camera in one light; the same for all frames of a moving structure, but for the noise.

    `lamp` is (x, y, reach, strength) of a light in the picture, in sides of it; `noise` is its deviation.
    """

    mirror: bool
    turns: int
    gamma: float
    contrast: float
    lift: float
    cast: tuple[float, ...]
    order: tuple[int, ...]
    gain: float
    lamp: tuple[float, float, float, float] | None
    blur_px: float
    noise: float

    def over(self, image: NDArray[np.floating[Any]], rng: np.random.Generator) -> U8:
        """A picture f32 (S, S, 3) in [0, 1] as the camera gives it, u8 (S, S, 3); `rng` is for the noise."""
        seen: NDArray[Any] = np.rot90(image[:, ::-1] if self.mirror else image, self.turns)
        seen = np.clip(seen, 1e-4, 1) ** self.gamma
        seen = ((seen - 0.5) * self.contrast + 0.5 + self.lift) * np.array(self.cast)
        seen = np.ascontiguousarray(seen[..., list(self.order)] * self.gain, dtype=np.float32)
        if self.lamp:
            seen *= self._light(len(seen))
        if self.blur_px:
            seen = np.asarray(cv2.GaussianBlur(seen, (0, 0), self.blur_px))
        if self.noise:
            seen = seen + rng.normal(0, self.noise, seen.shape)
        return np.asarray(np.rint(np.clip(seen, 0, 1) * 255), dtype=np.uint8)

    def _light(self, size_px: int) -> F32:
        assert self.lamp is not None
        x, y, reach, strength = self.lamp
        v, u = np.mgrid[0 : 1 : size_px * 1j, 0 : 1 : size_px * 1j].astype(np.float32)
        glow = np.exp(-((u - x) ** 2 + (v - y) ** 2) / reach**2)
        return np.asarray((1 - strength + 1.5 * strength * glow)[..., None], dtype=np.float32)


def weather(rng: np.random.Generator, noise: float | None = None) -> Weather:
    """One that a show may meet; `noise` sets what is drawn otherwise."""
    graded = rng.random() < 0.7
    dark = rng.random() < 0.12
    lamp = None
    if rng.random() < 0.15:
        lamp = (rng.uniform(-0.1, 1.1), rng.uniform(-0.1, 0.8), rng.uniform(0.3, 0.9), rng.uniform(0.3, 0.7))
    return Weather(
        mirror=rng.random() < 0.5,
        turns=int(rng.integers(1, 4)) if rng.random() < 0.02 else 0,
        gamma=float(np.exp(rng.normal(0, 0.25))) if graded else 1.0,
        contrast=float(np.exp(rng.normal(0.03, 0.15))) if graded else 1.0,
        lift=rng.normal(0, 0.04) if graded else 0.0,
        cast=tuple(np.exp(rng.normal(0, 0.10, 3)).tolist()) if graded else (1.0, 1.0, 1.0),
        order=tuple(rng.permutation(3).tolist()) if rng.random() < 0.03 else (0, 1, 2),
        gain=rng.uniform(0.3, 0.65) if dark else 1.0,
        lamp=lamp,
        blur_px=rng.uniform(0.5, 2.0) if rng.random() < 0.22 else 0.0,
        noise=_noise(rng, dark) if noise is None else noise,
    )


def _noise(rng: np.random.Generator, dark: bool) -> float:
    if dark:
        return rng.uniform(0.01, 0.03)
    return rng.uniform(0.003, 0.02) if rng.random() < 0.35 else 0.0
