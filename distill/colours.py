"""Colours that drawn structures are given: cloth, skin, hair, and whole pictures in another light."""

from __future__ import annotations

from typing import Final

import cv2
import numpy as np

from vivant.runtime.frames import F32

Colour = tuple[float, float, float]
HAIR: Final = (
    (0.06, 0.05, 0.05),
    (0.20, 0.12, 0.07),
    (0.42, 0.18, 0.08),
    (0.72, 0.55, 0.30),
    (0.62, 0.61, 0.60),
)
HAIR_SHARES: Final = (0.34, 0.28, 0.10, 0.14, 0.14)


def hsv(hue: float, saturation: float, value: float) -> Colour:
    """sRGB in [0, 1]; `hue` goes round once from 0 to 1."""
    pixel = np.array([[[360 * (hue % 1.0), saturation, value]]], np.float32)
    r, g, b = cv2.cvtColor(pixel, cv2.COLOR_HSV2RGB)[0, 0]
    return float(r), float(g), float(b)


def dyed(rng: np.random.Generator) -> Colour:
    """A colour of cloth, walls and things: mostly quiet, sometimes strong."""
    return hsv(rng.random(), rng.beta(1.3, 1.8), rng.beta(1.8, 1.3))


def skin(rng: np.random.Generator) -> Colour:
    """From deep brown to pale, along the line that human skin keeps to."""
    t = rng.random() ** 0.75
    dark, pale = np.array([0.27, 0.16, 0.11]), np.array([0.94, 0.76, 0.65])
    middle = np.array([0.74, 0.51, 0.37])
    tone = dark + (middle - dark) * 2 * t if t < 0.5 else middle + (pale - middle) * (2 * t - 1)
    r, g, b = np.clip(tone * rng.normal(1, 0.03, 3), 0, 1)
    return float(r), float(g), float(b)


def hair(rng: np.random.Generator) -> Colour:
    """Black, brown, red, fair, grey; rarely dyed."""
    if rng.random() < 0.06:
        return hsv(rng.random(), 0.7, 0.7)
    kind = np.array(HAIR[rng.choice(len(HAIR), p=HAIR_SHARES)])
    r, g, b = np.clip(kind * rng.normal(1, 0.1), 0, 1)
    return float(r), float(g), float(b)


def regraded(image: F32, rng: np.random.Generator) -> F32:
    """`image` with its hues turned and its saturation changed."""
    lit = cv2.cvtColor(np.clip(image, 0, 1), cv2.COLOR_RGB2HSV)
    lit[..., 0] = (lit[..., 0] + rng.uniform(0, 360)) % 360
    lit[..., 1] = np.clip(lit[..., 1] * rng.uniform(0.2, 1.5), 0, 1)
    return np.asarray(cv2.cvtColor(lit, cv2.COLOR_HSV2RGB), dtype=np.float32)
