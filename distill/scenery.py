"""Drawn scenes with figures, heads and things: structures with edges and colours that photographs lack."""

from __future__ import annotations

import cv2
import numpy as np

from vivant.runtime.frames import F32

Colour = tuple[float, float, float]


def scenery(rng: np.random.Generator, size_px: int, people: int | None = None) -> F32:
    """A drawn scene f32 (S, S, 3) in [0, 1], by `rng` alone."""
    image = _ground(rng, size_px)
    for _ in range(int(rng.integers(0, 7))):
        _thing(image, rng)
    if rng.random() < 0.55:
        for _ in range(int(rng.integers(1, 5))):
            _figure(image, rng)
    else:
        _head(image, rng)
    return np.asarray(np.clip(image + _texture(rng, size_px), 0, 1), dtype=np.float32)


def _colour(rng: np.random.Generator) -> Colour:
    hue, saturation, value = rng.uniform(0, 360), rng.beta(1.3, 1.8), rng.beta(1.6, 1.3)
    pixel = np.array([[[hue, saturation, value]]], np.float32)
    r, g, b = cv2.cvtColor(pixel, cv2.COLOR_HSV2RGB)[0, 0]
    return float(r), float(g), float(b)


def _smooth(rng: np.random.Generator, size_px: int, cells: int) -> F32:
    coarse = rng.standard_normal((cells, cells)).astype(np.float32)
    return np.asarray(cv2.resize(coarse, (size_px, size_px), interpolation=cv2.INTER_CUBIC))


def _texture(rng: np.random.Generator, size_px: int) -> F32:
    fine = _smooth(rng, size_px, int(rng.integers(12, size_px // 2)))
    return np.asarray(rng.uniform(0.0, 0.07) * fine[..., None], dtype=np.float32)


def _ground(rng: np.random.Generator, size_px: int) -> F32:
    """A wall and a floor, or a wash of colours."""
    a, b, c = (np.array(_colour(rng), np.float32) for _ in range(3))
    ramp = np.clip(0.5 + 0.35 * _smooth(rng, size_px, int(rng.integers(2, 6))), 0, 1)[..., None]
    image = a * ramp + b * (1 - ramp)
    if rng.random() < 0.6:
        horizon = int(rng.uniform(0.35, 0.85) * size_px)
        shade = np.linspace(0.7, 1.1, size_px - horizon, dtype=np.float32)[:, None, None]
        image[horizon:] = 0.3 * image[horizon:] + 0.7 * c * shade
    return np.ascontiguousarray(image, dtype=np.float32)


def _thing(image: F32, rng: np.random.Generator) -> None:
    """A box, a disc, a polygon or a bar."""
    size = image.shape[0]
    x, y = (int(v) for v in rng.uniform(0, size, 2))
    r = int(rng.uniform(0.04, 0.28) * size)
    colour, kind = _colour(rng), int(rng.integers(4))
    if kind == 0:
        cv2.rectangle(image, (x - r, y - r // 2), (x + r, y + r), colour, -1, cv2.LINE_AA)
    elif kind == 1:
        cv2.ellipse(image, (x, y), (r, r // 2 + 3), rng.uniform(0, 180), 0, 360, colour, -1, cv2.LINE_AA)
    elif kind == 2:
        turn = np.sort(rng.uniform(0, 2 * np.pi, int(rng.integers(3, 8))))
        reach = r * rng.uniform(0.5, 1.3, len(turn))
        points = np.stack([x + reach * np.cos(turn), y + reach * np.sin(turn)], axis=1)
        cv2.fillPoly(image, [points.astype(np.int32)], colour, cv2.LINE_AA)
    else:
        end = tuple(int(v) for v in rng.uniform(0, size, 2))
        cv2.line(image, (x, y), end, colour, int(rng.integers(1, 9)), cv2.LINE_AA)


def _figure(image: F32, rng: np.random.Generator) -> None:
    """A walking person, from a speck to the height of the picture."""
    size = image.shape[0]
    tall = rng.uniform(0.15, 0.95) * size
    x, foot = rng.uniform(0.1, 0.9) * size, min(size * 1.05, rng.uniform(0.5, 1.0) * size + tall * 0.2)
    skin, coat, legs = _skin(rng), _colour(rng), _colour(rng)

    def limb(x0: float, y0: float, x1: float, y1: float, colour: Colour, wide: float) -> None:
        start, end = (int(x + x0 * tall), int(foot + y0 * tall)), (int(x + x1 * tall), int(foot + y1 * tall))
        cv2.line(image, start, end, colour, max(1, round(wide * tall)), cv2.LINE_AA)

    stride, swing = rng.uniform(-0.14, 0.14), rng.uniform(-0.22, 0.22)
    limb(0, -0.48, stride, 0, legs, 0.085)
    limb(0, -0.48, -stride, 0, legs, 0.085)
    limb(0.09, -0.80, 0.1 + swing, -0.46, coat, 0.06)
    limb(0, -0.76, 0, -0.48, coat, 0.19)
    limb(-0.09, -0.80, -0.1 - swing, -0.46, coat, 0.06)
    middle, radius = (
        (int(x), int(foot - 0.92 * tall)),
        (max(1, round(0.055 * tall)), max(1, round(0.07 * tall))),
    )
    cv2.ellipse(image, middle, radius, 0, 0, 360, skin, -1, cv2.LINE_AA)
    cv2.ellipse(image, middle, radius, 0, 170, 370, _hair(rng), -1, cv2.LINE_AA)


def _skin(rng: np.random.Generator) -> Colour:
    light = rng.uniform(0.25, 0.95)
    return light, light * rng.uniform(0.66, 0.80), light * rng.uniform(0.48, 0.68)


def _hair(rng: np.random.Generator) -> Colour:
    tone = rng.uniform(0.03, 0.75)
    return tone, tone * rng.uniform(0.6, 0.95), tone * rng.uniform(0.3, 0.9)


def _head(image: F32, rng: np.random.Generator) -> None:
    """A head and shoulders with hair, eyes, nose and mouth, lit from one side."""
    size = image.shape[0]
    r = rng.uniform(0.14, 0.34) * size
    x, y, lean = rng.uniform(0.3, 0.7) * size, rng.uniform(0.35, 0.6) * size, rng.uniform(-14, 14)
    skin, hair = _skin(rng), _hair(rng)
    cos, sin = np.cos(np.radians(lean)), np.sin(np.radians(lean))

    def oval(
        u: float, v: float, a: float, b: float, colour: Colour, span: tuple[int, int] = (0, 360)
    ) -> None:
        middle = (int(x + r * (u * cos - v * sin)), int(y + r * (u * sin + v * cos)))
        axes = (max(1, round(a * r)), max(1, round(b * r)))
        cv2.ellipse(image, middle, axes, lean, *span, colour, -1, cv2.LINE_AA)

    def mixed(colour: Colour, other: Colour, share: float) -> Colour:
        one, two, three = (p + share * (q - p) for p, q in zip(colour, other, strict=True))
        return one, two, three

    dark = mixed(skin, (0.05, 0.03, 0.05), 0.55)
    oval(0, 2.3, 1.9, 1.15, _colour(rng))
    oval(0, 1.1, 0.42, 0.7, mixed(skin, dark, 0.4))
    oval(0, -0.15, 1.0, 1.25, hair)
    oval(0, 0.12, 0.78, 1.05, skin)
    side = 1 if rng.random() < 0.5 else -1
    shade = image.copy()
    oval(0.32 * side, 0.15, 0.52, 0.95, mixed(skin, dark, 0.6))
    np.copyto(image, cv2.addWeighted(image, 0.6, cv2.GaussianBlur(shade, (0, 0), r * 0.1), 0.4, 0))
    for eye in (-1, 1):
        oval(0.32 * eye, -0.05, 0.17, 0.09, (0.92, 0.9, 0.88))
        oval(0.32 * eye, -0.05, 0.08, 0.085, _hair(rng))
        oval(0.32 * eye, -0.24, 0.21, 0.05, mixed(hair, dark, 0.5))
    oval(0.04 * side, 0.3, 0.11, 0.2, mixed(skin, dark, 0.35))
    oval(0, 0.66, 0.27, rng.uniform(0.05, 0.13), mixed(skin, (0.6, 0.1, 0.12), 0.6))
    oval(0, -0.75, 0.86, 0.5, hair, (175, 365))
