"""What is painted on a head: eyes that look somewhere, brows, lips, cheeks, beard, glasses."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vivant.distill import colours
from vivant.distill.colours import Colour
from vivant.runtime.frames import F32

Floats = NDArray[np.floating[Any]]
EYE = (0.285, 0.06)  # where an eye is, in head units


@dataclass(frozen=True, slots=True)
class Features:
    """A face's own marks; lengths in head units."""

    gaze: tuple[float, float]
    opening: float
    iris: Colour
    brow: float
    smile: float
    mouth_open: float
    rouge: float
    beard: float
    glasses: float


def features(rng: np.random.Generator, bearded: bool) -> Features:
    return Features(
        gaze=(rng.normal(0, 0.025), rng.normal(0, 0.012)),
        opening=rng.uniform(0.055, 0.085),
        iris=colours.hsv(
            rng.choice([0.06, 0.07, 0.09, 0.33, 0.58]), rng.uniform(0.3, 0.8), rng.uniform(0.2, 0.6)
        ),
        brow=rng.uniform(0.018, 0.045),
        smile=rng.normal(0.25, 0.45),
        mouth_open=max(0.0, rng.normal(-0.01, 0.035)),
        rouge=rng.uniform(0.2, 0.9),
        beard=rng.uniform(0.4, 0.95) if bearded and rng.random() < 0.2 else 0.0,
        glasses=rng.uniform(0.018, 0.035) if rng.random() < 0.16 else 0.0,
    )


def painted_face(marks: Features, q: F32, skin: Colour, hair: Colour) -> F32:
    """Colours sRGB (n, 3) of points (n, 3) in the head's frame."""
    flesh = np.array(skin, np.float32)
    dark = flesh * np.array([0.55, 0.42, 0.40], np.float32)
    red = flesh * 0.45 + np.array([0.42, 0.10, 0.10], np.float32)
    x, y, z = np.abs(q[:, 0]), q[:, 1], q[:, 2]
    front = _soft(z - 0.25, 0.2)
    colour = np.tile(flesh, (len(q), 1))
    blush = 0.30 * marks.rouge * np.exp(-(((x - 0.38) / 0.2) ** 2) - ((y + 0.22) / 0.2) ** 2) * front
    nose = 0.20 * np.exp(-((x / 0.14) ** 2) - ((y + 0.27) / 0.12) ** 2) * front
    colour = _over(colour, red, np.asarray(blush + nose, dtype=np.float32))
    if marks.beard:
        chin = _soft(-0.36 - y + 0.35 * (x - 0.2), 0.25) * _soft(z + 0.05, 0.2)
        moustache = np.exp(-(((y + 0.44) / 0.055) ** 2)) * (x < 0.26) * front
        colour = _over(colour, np.array(hair, np.float32) * 0.9, marks.beard * np.maximum(chin, moustache))
    colour = _lips(marks, colour, q, red, dark, front)
    nostril = np.exp(-(((x - 0.065) / 0.035) ** 2) - ((y + 0.365) / 0.025) ** 2) * front
    colour = _over(colour, dark * 0.5, 0.8 * nostril)
    colour = _eyes(marks, colour, q, dark, front)
    arch = y - 0.235 - 0.06 * (1 - ((x - 0.32) / 0.2) ** 2)
    brow = _soft(marks.brow - np.abs(arch), 0.02) * _soft(0.20 - np.abs(x - 0.30), 0.05) * front
    colour = _over(colour, np.array(hair, np.float32) * 0.75, 0.85 * brow)
    if marks.glasses:
        ring = np.abs(np.hypot((x - 0.29) / 1.1, y - 0.03) - 0.20)
        bridge = np.abs(y - 0.07) + 9.0 * (x > 0.1)
        frame = _soft(marks.glasses - np.minimum(ring, bridge), 0.012) * _soft(z - 0.3, 0.1)
        colour = _over(colour, np.array([0.05, 0.04, 0.05], np.float32), frame)
    return colour


def _eyes(marks: Features, colour: F32, q: F32, dark: F32, front: F32) -> F32:
    side = np.sign(q[:, 0])
    u, v = np.abs(q[:, 0]) - EYE[0], q[:, 1] - EYE[1]
    almond = 1 - (u / 0.145) ** 2
    upper, lower = (
        marks.opening * np.clip(almond, 0, None) ** 0.7,
        marks.opening * 0.75 * np.clip(almond, 0, None),
    )
    inside = _soft(np.minimum(upper - v, v + lower), 0.02) * (almond > 0) * front
    socket = np.exp(-((u / 0.2) ** 2) - ((v - 0.02) / 0.13) ** 2) * front
    colour = _over(colour, dark, 0.30 * socket)
    look_x, look_y = marks.gaze
    away = np.hypot(u - look_x * side, v - look_y)
    ball = np.tile(np.array([0.90, 0.88, 0.85], np.float32), (len(q), 1))
    ball = _over(ball, np.array(marks.iris, np.float32), _soft(0.078 - away, 0.015))
    ball = _over(ball, np.array([0.02, 0.02, 0.02], np.float32), _soft(0.040 - away, 0.015))
    glint = np.hypot(u - look_x * side + 0.025 * side, v - look_y - 0.03)
    ball = _over(ball, np.array([1.0, 1.0, 1.0], np.float32), _soft(0.016 - glint, 0.01))
    ball *= 1 - 0.35 * _soft(v - upper + 0.035, 0.03)[:, None]  # the lid's shadow
    colour = colour + inside[:, None] * (ball - colour)
    lash = np.exp(-(((v - upper) / 0.018) ** 2)) * (almond > -0.1) * front
    under = 0.4 * np.exp(-(((v + lower) / 0.014) ** 2)) * (almond > 0) * front
    return _over(colour, dark * 0.25, 0.85 * np.maximum(lash, under))


def _lips(marks: Features, colour: F32, q: F32, red: F32, dark: F32, front: F32) -> F32:
    x = np.abs(q[:, 0])
    y = q[:, 1] + 0.575 - marks.smile * 1.1 * x * x
    bow = np.clip(1 - (x / 0.225) ** 2, 0, None)
    top = 0.060 * bow**0.6 * (1 - 0.22 * np.exp(-((x / 0.04) ** 2)))
    low = -0.080 * bow**0.7 - marks.mouth_open
    lips = _soft(np.minimum(top - y, y - low), 0.03) * (bow > 0) * front
    colour = _over(colour, red * np.where(y > 0, 0.85, 1.0)[:, None], (0.45 + 0.5 * marks.rouge) * lips)
    gap = marks.mouth_open * bow
    hollow = _soft(gap / 2 + 0.010 - np.abs(y + gap / 2), 0.014) * (x < 0.215) * front
    inner = np.where((y > -0.6 * gap - 0.004) & (gap > 0.02), 0.75, 0.0)[:, None]
    inside = dark * 0.25 + inner * np.array([0.85, 0.83, 0.80], np.float32)
    return _over(colour, inside, 0.9 * hollow)


def _soft(x: Floats, width: float) -> F32:
    """0 below, 1 above zero, over `width`."""
    return np.asarray(np.clip(0.5 + x / width, 0, 1), dtype=np.float32)


def _over(colour: Floats, other: Floats, share: Floats) -> F32:
    return np.asarray(colour + share[:, None] * (other - colour), dtype=np.float32)
