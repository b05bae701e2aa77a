"""What the painters share: blurring, flowing along the tangents, light on relief, colour.

Pictures are f32 (H, W, 3) in [0, 1], maps f32 (H, W); borders reflect.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import cv2
import numpy as np

from vivant.runtime.frames import F32


def blur(image: F32, sigma_px: float) -> F32:
    return np.asarray(cv2.GaussianBlur(image, (0, 0), sigma_px, borderType=cv2.BORDER_REFLECT))


def luma(image: F32) -> F32:
    return np.asarray(image @ np.array([0.299, 0.587, 0.114], np.float32), dtype=np.float32)


def smoothstep(low: float, high: float, x: F32) -> F32:
    t = np.clip((x - low) / (high - low), 0, 1)
    return np.asarray(t * t * (3 - 2 * t), dtype=np.float32)


def grid(shape: tuple[int, ...]) -> tuple[F32, F32]:
    """Pixel coordinates x and y, each (H, W)."""
    y, x = np.mgrid[0 : shape[0], 0 : shape[1]].astype(np.float32)
    return x, y


def sample(image: F32, x: F32, y: F32) -> F32:
    """`image` at positions x, y (H, W), linearly."""
    return np.asarray(cv2.remap(image, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT))


def tangent(plane: Mapping[str, F32]) -> tuple[F32, F32]:
    """The unit tangent (x, y) that the oriented planes were gathered by, its angle in [0, pi)."""
    angle = cv2.phase(plane["cos2theta"], plane["sin2theta"]) / 2
    return np.cos(angle), np.sin(angle)


def along(image: F32, tx: F32, ty: F32, sigma_px: float) -> F32:
    """Gaussian mean along the tangent's stream lines: line integral convolution (Cabral, Leedom 1993)."""
    x0, y0 = grid(image.shape)
    total, weight = image.copy(), 1.0
    for side in (1.0, -1.0):
        x, y, px, py = x0, y0, tx * side, ty * side
        for step in range(1, math.ceil(2.4 * sigma_px) + 1):
            x, y = x + px, y + py
            qx, qy = sample(tx, x, y), sample(ty, x, y)
            same = np.where(qx * px + qy * py < 0, -1, 1).astype(np.float32)
            length = np.sqrt(qx * qx + qy * qy) + 1e-5
            px, py = qx * same / length, qy * same / length
            share = math.exp(-0.5 * (step / sigma_px) ** 2)
            total, weight = total + share * sample(image, x, y), weight + share
    return np.asarray(total / weight, dtype=np.float32)


def lines(tone: F32, tx: F32, ty: F32, width_px: float, length_px: float) -> F32:
    """Flow-based difference of Gaussians (Kang, Lee, Chui 2007): negative on dark lines of `tone`."""
    reach = math.ceil(4.8 * width_px)
    u = np.arange(-reach, reach + 1, dtype=np.float32)

    def bell(sigma: float) -> F32:
        b = np.exp(-0.5 * (u / sigma) ** 2)
        return np.asarray(b / b.sum())

    kernel = bell(width_px) - 0.985 * bell(1.6 * width_px)
    x, y = grid(tone.shape)
    across = sum(float(k) * sample(tone, x - ty * d, y + tx * d) for k, d in zip(kernel, u, strict=True))
    return along(np.asarray(across, dtype=np.float32), tx, ty, length_px)


def light(height: F32, amount: float) -> F32:
    """Shading in (-1, 1) of a relief lit from the upper left."""
    gx = cv2.Sobel(height, cv2.CV_32F, 1, 0, scale=1 / 8)
    gy = cv2.Sobel(height, cv2.CV_32F, 0, 1, scale=1 / 8)
    return np.asarray(np.tanh(amount * 0.7 * (gx + gy)), dtype=np.float32)


def enrich(image: F32, chroma: float, contrast: float = 1.0) -> F32:
    """More colour and contrast: the strongest colours, black and white are held back to stay in the gamut."""
    tone = luma(image)[..., None]
    away = image - tone
    size = np.abs(away).max(-1, keepdims=True)
    grown = away * chroma / (1 + (chroma - 1) * np.clip(size / 0.45, 0, 1))
    curved = tone + 5 * (contrast - 1) * tone * (1 - tone) * (tone - 0.45)
    return np.asarray(np.clip(curved + grown, 0, 1), dtype=np.float32)


def rgb(*channels: float) -> F32:
    return np.array(channels, np.float32)


def finer(image: F32, factor: int = 2) -> F32:
    """`image` enlarged cubically, to paint supersampled; `coarser` brings a picture back."""
    size = (image.shape[1] * factor, image.shape[0] * factor)
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_CUBIC))


def coarser(image: F32, factor: int = 2) -> F32:
    """The mean of each `factor` x `factor` pixels."""
    size = (image.shape[1] // factor, image.shape[0] // factor)
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA))
