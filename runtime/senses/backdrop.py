"""The room that the performer dances in: a wall that window light falls on, curtains and a wooden floor."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from vivant.runtime.frames import F32, U8

HORIZON: Final = 0.70  # where the wall meets the floor, as a share of the height
DRIFT_S: Final = 61.0  # from one light to the other and back
DITHER: Final = 0.9  # of a grey level: smooth walls must not show steps


@dataclass(frozen=True, slots=True)
class Light:
    """The colours of one time of day, RGB in [0, 1]."""

    wall: tuple[float, float, float]
    corner: tuple[float, float, float]
    window: tuple[float, float, float]
    floor: tuple[float, float, float]
    curtain: tuple[float, float, float]


MORNING: Final = Light(
    wall=(0.54, 0.70, 0.72),
    corner=(0.16, 0.27, 0.34),
    window=(1.0, 0.83, 0.55),
    floor=(0.62, 0.40, 0.24),
    curtain=(0.13, 0.30, 0.36),
)
DUSK: Final = Light(
    wall=(0.70, 0.60, 0.74),
    corner=(0.24, 0.18, 0.36),
    window=(1.0, 0.66, 0.50),
    floor=(0.54, 0.33, 0.27),
    curtain=(0.25, 0.15, 0.33),
)


class Backdrop:
    """The room at one size. `at` gives the light of a moment; the two ends are painted once."""

    def __init__(self, size_px: tuple[int, int], seed: int) -> None:
        self._ends = tuple(paint_room(size_px, light, seed) for light in (MORNING, DUSK))

    def at(self, time_s: float) -> U8:
        """A new picture u8 (H, W, 3)."""
        import cv2

        share = 0.5 - 0.5 * np.cos(2.0 * np.pi * time_s / DRIFT_S)
        drifted: U8 = cv2.addWeighted(self._ends[0], 1.0 - share, self._ends[1], share, 0.0)
        return drifted


def paint_room(size_px: tuple[int, int], light: Light, seed: int) -> U8:
    """The room in one light, u8 (H, W, 3)."""
    width, height = size_px
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    x, y = (x - width / 2) / height, y / height  # x from the middle, both in heights
    room = _wall(x, y, light)
    room = _mix(room, _floor(x, y, light), _step(y, HORIZON, 0.0015))
    room = _mix(room, np.array(light.wall, np.float32) * 1.15, _board(y))
    room = _mix(room, *_curtain(x, y, light))
    room += _shaft(x, y)[..., None] * np.array(light.window, np.float32)
    room *= (1.0 - 0.30 * np.clip(np.hypot(x / 0.75, (y - 0.5) / 0.8), 0, 1) ** 3)[..., None]
    noise = np.random.Generator(np.random.Philox(key=seed & 0xFFFFFFFF)).random(room.shape, np.float32)
    return np.clip(room * 255.0 + (noise - 0.5) * 2 * DITHER + 0.5, 0, 255).astype(np.uint8)


def _step(x: NDArray[Any], edge: float, soft: float) -> F32:
    t = np.clip((x - edge) / soft * 0.5 + 0.5, 0.0, 1.0).astype(np.float32)
    smooth: F32 = t * t * (3.0 - 2.0 * t)
    return smooth


def _mix(under: F32, over: NDArray[Any], share: F32) -> F32:
    mixed: F32 = under + (over - under) * share[..., None]
    return mixed


def _wall(x: F32, y: F32, light: Light) -> F32:
    """Brightest behind the dancer, with panels and the window's panes of light thrown across it."""
    wall, corner, window = (np.array(each, np.float32) for each in (light.wall, light.corner, light.window))
    glow = np.exp(-((x + 0.13) ** 2 / 0.22 + (y - 0.36) ** 2 / 0.16))
    room = corner + (wall - corner) * (0.18 + 0.9 * glow)[..., None]
    panel = np.minimum(np.abs((x + 0.9) % 0.42 - 0.21), 0.17)
    line = np.exp(-(((panel - 0.155) / 0.006) ** 2)) * (np.abs(y - 0.33) < 0.27)
    room = room * (1.0 - 0.16 * line[..., None])
    leaning = x + 0.30 * (y - 0.3)
    across, down = (leaning + 0.02) / 0.20, (y - 0.10 + 0.10 * x) / 0.20
    panes = np.ones_like(x)
    for place, count in ((across, 2), (down, 2)):
        inside = np.abs(place - count / 2.0) - count / 2.0
        bar = np.abs(place - np.round(place))
        panes *= (1.0 - _step(inside, 0.0, 0.07)) * (0.25 + 0.75 * _step(bar, 0.06, 0.05))
    return _mix(room, room * 0.55 + window * 0.55, 0.8 * panes)


def _board(y: F32) -> F32:
    """The skirting board, with a shadow line above the floor."""
    share: F32 = 0.55 * _step(y, HORIZON - 0.035, 0.002) * (1.0 - _step(y, HORIZON - 0.006, 0.002))
    return share


def _floor(x: F32, y: F32, light: Light) -> F32:
    """Boards that run towards the viewer, polished: the wall's glow lies on them."""
    depth = np.maximum(y - HORIZON, 1e-3) + 0.16  # 1 / distance
    across, along = x / depth * 1.35, 0.55 / depth
    board = np.floor(across)
    tone = 0.5 + 0.5 * np.sin(board * 12.9898 + np.floor(along * 2.2 + board * 0.37) * 78.233) * 0.6
    seam = np.exp(-((np.abs(across - board - 0.5) - 0.5) ** 2) / 0.0009)
    grain = np.sin(across * 43.0 + 3.0 * np.sin(along * 2.0 + board)) * 0.5 + 0.5
    brightness = (0.52 + 0.24 * tone + 0.05 * grain) * (1.0 - 0.42 * seam)
    near = 0.75 + 0.75 * np.exp(-(x**2) / 0.35) * np.exp(-((y - 0.86) ** 2) / 0.03)
    floor = np.array(light.floor, np.float32) * (brightness * near)[..., None]
    gloss = np.exp(-((x + 0.10) ** 2) / 0.06) * np.exp(-(y - HORIZON) / 0.10) * 0.35
    polished: F32 = floor + gloss[..., None] * np.array(light.window, np.float32)
    return polished


def _curtain(x: F32, y: F32, light: Light) -> tuple[NDArray[Any], F32]:
    """Heavy curtains at both sides, in folds, a little wider at the floor."""
    away = np.abs(x + 0.01) - 0.035 * (y - 0.5)
    fold = np.sin(away * 74.0 + 0.8 * np.sin(y * 5.0 + np.sign(x))) * 0.5 + 0.5
    lit = (0.30 + 0.95 * fold**1.5) * (0.9 + 0.25 * (x < 0))
    share = _step(away, 0.44, 0.004) * (1.0 - _step(y, HORIZON + 0.05 + 0.012 * fold.mean(), 0.004))
    return np.array(light.curtain, np.float32) * lit[..., None], share


def _shaft(x: F32, y: F32) -> F32:
    """Light in the air, from the upper left."""
    leaning = x + 0.55 * y
    beam: F32 = 0.10 * np.exp(-((leaning - 0.16) ** 2) / 0.045) * np.clip(1.15 - y, 0, 1)
    return beam
