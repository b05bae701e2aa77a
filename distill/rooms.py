"""Rooms, corridors and streets in perspective: a box looked into, each side with a pattern of its own.

Lengths are in metres; x to the right, y up from the floor, z away from the viewer.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from vivant.distill import colours
from vivant.runtime.frames import F32

Kind = Literal["room", "corridor", "street"]
I64 = NDArray[np.int64]
Pattern = Callable[[F32, F32, F32], F32]
"""(across, up, colour (3,)) -> colours (n, 3); lengths in metres."""
SIZES: Final = {  # half width, height, depth: from and to
    "room": ((1.6, 3.4), (2.4, 3.6), (3.5, 7.5)),
    "corridor": ((0.9, 1.8), (2.3, 3.5), (9.0, 30.0)),
    "street": ((3.5, 9.0), (7.0, 16.0), (30.0, 90.0)),
}


@dataclass(frozen=True, slots=True)
class View:
    """Where the camera stands: `x`, `y` in metres, its turn to the side, the horizon's place on the picture
    in [0, 1] from the top, the focal length in sides of the picture."""

    size_px: int
    x: float
    y: float
    yaw: float
    horizon: float
    focal: float

    def rays(self) -> F32:
        """Directions (S, S, 3)."""
        line = (np.arange(self.size_px, dtype=np.float32) + 0.5) / self.size_px
        u, v = np.meshgrid((line - 0.5) / self.focal, (self.horizon - line) / self.focal)
        cos, sin = np.cos(self.yaw), np.sin(self.yaw)
        return np.stack([u * cos + sin, v, cos - u * sin], -1).astype(np.float32)

    def place(self, across: float, depth: float, half_m: float) -> tuple[float, float, float]:
        """A point of the floor, `across` in [0, 1] of the picture and `depth` metres away, moved to within
        `half_m` of the middle: where that is, in px, and how many px a metre measures there."""
        cos, sin = np.cos(self.yaw), np.sin(self.yaw)
        side = (across - 0.5) * depth / self.focal
        x = np.clip(self.x + side * cos + depth * sin, -half_m, half_m)
        z = depth * cos - side * sin
        side, depth = (x - self.x) * cos - z * sin, (x - self.x) * sin + z * cos
        metre = self.focal * self.size_px / max(depth, 0.3)
        return self.size_px / 2 + metre * side, self.horizon * self.size_px + metre * self.y, metre


@dataclass(frozen=True, slots=True)
class Room:
    """A drawn place: `image` f32 (S, S, 3), who looks, and where people may stand."""

    image: F32
    view: View
    half_m: float
    near_m: float
    far_m: float


def room(rng: np.random.Generator, size_px: int, kind: Kind) -> Room:
    half, high, deep = (float(rng.uniform(*span)) for span in SIZES[kind])
    view = View(
        size_px,
        x=half * rng.uniform(-0.5, 0.5),
        y=float(rng.uniform(1.1, 2.0)),
        yaw=rng.normal(0, 0.16 if kind != "corridor" else 0.06),
        horizon=float(rng.uniform(0.36, 0.56)),
        focal=float(rng.uniform(0.65, 1.3)),
    )
    image = _painted(rng, view, kind, half, high, deep)
    return Room(image, view, half * 0.85, 1.6, min(deep * 0.9, 16.0))


def _painted(rng: np.random.Generator, view: View, kind: Kind, half: float, high: float, deep: float) -> F32:
    ray = view.rays()
    flat = ray.reshape(-1, 3)
    lows = np.array([-half - view.x, -view.y, -1.0], np.float32)
    highs = np.array([half - view.x, high - view.y, deep], np.float32)
    with np.errstate(divide="ignore"):
        t = np.where(flat > 0, highs / flat, lows / flat)
    axis = t.argmin(1)
    near = t.min(1)
    p = flat * near[:, None] + np.array([view.x, view.y, 0], np.float32)
    side = np.where(flat[np.arange(len(flat)), axis] > 0, 1, 0)
    colour = np.zeros_like(p)
    wall = np.array(colours.dyed(rng), np.float32) * 0.6 + 0.3
    walls = (_wall if kind != "street" else _facade)(rng, high)
    ground = _floor(rng, kind)
    for which, pattern, base, uv in (
        (axis == 0, walls, wall, (2, 1)),
        (
            axis == 2,
            (_wall if kind != "street" else _facade)(rng, high),
            wall * rng.uniform(0.8, 1.1),
            (0, 1),
        ),
        ((axis == 1) & (side == 0), ground, np.array(colours.dyed(rng), np.float32) * 0.7 + 0.1, (0, 2)),
        ((axis == 1) & (side == 1), _plain, wall * 0.5 + 0.4, (0, 2)),
    ):
        colour[which] = pattern(p[which][:, uv[0]], p[which][:, uv[1]], base.astype(np.float32))
    lit = _lit(rng, kind, p, axis, half, high, deep)
    linear = np.clip(colour, 0, 1) ** 2.2 * lit
    image = (np.clip(linear / (1 + 0.2 * linear), 0, 1) ** (1 / 2.2)).reshape(ray.shape)
    if kind == "street":
        haze = np.exp(-near / rng.uniform(25, 90)).reshape(image.shape[:2])[..., None]
        sky = _sky(rng, view)
        open_ = ((axis == 1) & (side == 1)).reshape(image.shape[:2])[..., None]
        image = np.where(open_, sky, image * haze + sky * (1 - haze))
    return np.asarray(image, dtype=np.float32)


def _lit(
    rng: np.random.Generator, kind: Kind, p: F32, axis: I64, half: float, high: float, deep: float
) -> F32:
    """Light (n, 3) that arrives, with the corners darker; in a street one side stands in the sun."""
    warm = np.array(colours.hsv(rng.normal(0.10, 0.04), rng.uniform(0.05, 0.5), 1), np.float32)
    cool = np.array(colours.hsv(rng.normal(0.60, 0.08), rng.uniform(0.05, 0.4), 1), np.float32)
    corner = np.ones(len(p), np.float32)
    for away in (half - np.abs(p[:, 0]), p[:, 1], np.abs(deep - p[:, 2]), high - p[:, 1]):
        corner *= np.where(away > 1e-3, 1 - 0.35 * np.exp(-away / 0.35), 1)
    ambient = rng.uniform(0.25, 0.6) * corner[:, None] * cool
    if kind == "street":
        sunny = rng.choice([-1, 1])
        height = rng.uniform(0.3, 1.0) * high
        sun = (np.sign(p[:, 0]) * sunny < 0) & (p[:, 1] > height * (0.6 - 0.2 * np.sin(p[:, 2] / 4)))
        on_ground = (axis == 1) & (p[:, 0] * sunny < -half * 0.2)
        bright = np.where(sun | on_ground, 1.2, 0.15)[:, None]
        return np.asarray(ambient + bright * warm, dtype=np.float32)
    lit = ambient
    for _ in range(int(rng.integers(1, 4))):
        lamp = np.array(
            [rng.uniform(-half, half), rng.uniform(0.55, 0.95) * high, rng.uniform(0.3, 1.0) * deep]
        )
        way = lamp.astype(np.float32) - p
        far2 = (way * way).sum(-1)
        normal = np.abs(np.take_along_axis(way, axis[:, None], 1)[:, 0]) / np.sqrt(far2 + 0.05)
        lit = lit + (rng.uniform(1.0, 3.5) * normal / (0.4 + far2))[:, None] * warm
    return np.asarray(lit, dtype=np.float32)


def _sky(rng: np.random.Generator, view: View) -> F32:
    size = view.size_px
    up = np.clip(view.horizon - np.linspace(0, 1, size, dtype=np.float32), 0, 1)[:, None, None] / view.horizon
    low = np.array(
        colours.hsv(rng.normal(0.09, 0.05), rng.uniform(0.05, 0.5), rng.uniform(0.7, 1.0)), np.float32
    )
    top = np.array(
        colours.hsv(rng.normal(0.60, 0.03), rng.uniform(0.2, 0.7), rng.uniform(0.35, 0.95)), np.float32
    )
    clouds = smooth(rng, size, int(rng.integers(3, 9)), squeeze=0.5)[..., None]
    share = rng.uniform(0, 0.8) * np.clip(clouds, 0, 1.2)
    sky = low + (top - low) * up**0.7
    return np.asarray(np.clip(sky + share * (0.95 - sky), 0, 1), dtype=np.float32)


def smooth(rng: np.random.Generator, size_px: int, cells: int, squeeze: float = 1.0) -> F32:
    """Smooth noise (S, S) of about unit variance, `cells` across, `squeeze` times as many down."""
    rows = max(2, round(cells / squeeze))
    coarse = rng.standard_normal((rows, cells)).astype(np.float32)
    fine = rng.standard_normal((rows * 3, cells * 3)).astype(np.float32)
    both = [cv2.resize(a, (size_px, size_px), interpolation=cv2.INTER_CUBIC) for a in (coarse, fine)]
    return np.asarray(both[0] + 0.4 * both[1], dtype=np.float32)


def _plain(across: F32, up: F32, colour: F32) -> F32:
    return np.tile(colour, (len(across), 1))


def _wall(rng: np.random.Generator, high: float) -> Pattern:
    """Paint, stripes, bricks or panels, with windows, doors or pictures in a row."""
    kind, pitch = int(rng.integers(4)), float(rng.uniform(0.12, 0.6))
    row, start = float(rng.uniform(1.4, 3.2)), float(rng.uniform(0, 3))
    opening = str(rng.choice(["none", "window", "door", "picture"], p=[0.2, 0.35, 0.2, 0.25]))
    inner = np.array(colours.dyed(rng), np.float32)
    second = np.array(colours.dyed(rng), np.float32)

    def painted(across: F32, up: F32, colour: F32) -> F32:
        made = _plain(across, up, colour)
        if kind == 1:
            made *= np.where((across / pitch) % 1 < 0.5, 1.0, 0.8)[:, None]
        elif kind == 2:
            shifted = across / 0.24 + 0.5 * (np.floor(up / 0.08) % 2)
            joint = ((up / 0.08) % 1 < 0.12) | (shifted % 1 < 0.05)
            made *= np.where(
                joint, 1.15, 0.8 + 0.12 * np.sin(np.floor(shifted) * 7 + np.floor(up / 0.08) * 3)
            )[:, None]
        elif kind == 3:
            made = np.where((up < 0.95)[:, None], made * 0.7 + 0.1 * second, made)
        made = np.where((np.abs(up - 0.05) < 0.05)[:, None], made * 0.6, made)
        u = (across + start) % row - row / 2
        if opening == "window":
            inside = (np.abs(u) < 0.5) & (np.abs(up - 1.55) < 0.62)
            bars = (np.abs(u) < 0.025) | (np.abs(up - 1.55) < 0.025)
            frame = (np.abs(u) < 0.57) & (np.abs(up - 1.55) < 0.69)
            made = np.where(frame[:, None], 0.85, made)
            made = np.where(
                (inside & ~bars)[:, None], np.minimum(1.0, 0.6 + 0.5 * inner + 0.25 * up[:, None]), made
            )
        elif opening == "door":
            frame, inside = (np.abs(u) < 0.5) & (up < 2.1), (np.abs(u) < 0.43) & (up < 2.03)
            made = np.where(frame[:, None], made * 0.6, made)
            panel = ((np.abs(np.abs(u) - 0.2) < 0.13) & (np.abs(up % 1.0 - 0.5) < 0.36))[:, None]
            made = np.where(inside[:, None], inner * np.where(panel, 0.85, 0.7), made)
        elif opening == "picture":
            frame, inside = (
                (np.abs(u) < 0.42) & (np.abs(up - 1.6) < 0.5),
                (np.abs(u) < 0.36) & (np.abs(up - 1.6) < 0.44),
            )
            made = np.where(frame[:, None], second * 0.5, made)
            hill = 0.15 * np.sin(5 * u + start) + 0.05 * np.sin(13 * u) + 1.5
            made = np.where(inside[:, None], np.where((up > hill)[:, None], inner, second), made)
        return np.asarray(made, dtype=np.float32)

    return painted


def _facade(rng: np.random.Generator, high: float) -> Pattern:
    """Houses side by side, each in a colour of its own, with rows of windows."""
    storey, bay = float(rng.uniform(2.6, 3.6)), float(rng.uniform(1.2, 2.6))
    house = float(rng.uniform(6, 14))
    tints = np.array([colours.dyed(rng) for _ in range(7)], np.float32) * 0.5 + 0.35
    glow = rng.random() < 0.3

    def painted(across: F32, up: F32, colour: F32) -> F32:
        number = np.floor(across / house).astype(int)
        made = tints[number % 7] * 0.7 + 0.3 * colour
        u, v = across % bay / bay - 0.5, up % storey / storey - 0.5
        window = (np.abs(u) < 0.24) & (np.abs(v) < 0.30)
        frame = (np.abs(u) < 0.29) & (np.abs(v) < 0.35)
        made = np.where(frame[:, None], made * 1.2, made)
        lamp = np.sin(np.floor(across / bay) * 12.9 + np.floor(up / storey) * 78.2) > (0.4 if glow else 2)
        pane = np.where(
            lamp[:, None],
            np.array([1.0, 0.85, 0.5]),
            np.array([0.10, 0.13, 0.18]) + 0.25 * (v[:, None] + 0.3),
        )
        made = np.where((window & (np.abs(u) > 0.02))[:, None], pane, made)
        made = np.where((np.abs(v + 0.47) < 0.03)[:, None], made * 0.7, made)
        return np.asarray(made, dtype=np.float32)

    return painted


def _floor(rng: np.random.Generator, kind: Kind) -> Pattern:
    size, style = float(rng.uniform(0.3, 1.0)), int(rng.integers(3))
    second = float(rng.uniform(0.55, 0.95))

    def painted(across: F32, away: F32, colour: F32) -> F32:
        made = _plain(across, away, colour)
        if kind == "street":
            kerb = np.abs(np.abs(across) - 2.2)
            made = np.where((np.abs(across) < 2.2)[:, None], 0.30, 0.5 + 0.2 * made)
            made = np.where((kerb < 0.08)[:, None], 0.7, made)
            dash = (np.abs(across) < 0.08) & (away % 4 < 2)
            return np.asarray(np.where(dash[:, None], 0.85, made), dtype=np.float32)
        if style == 0:
            check = (np.floor(across / size) + np.floor(away / size)) % 2
            made *= np.where(check > 0, 1.0, second)[:, None]
        elif style == 1:
            board = np.floor(across / 0.18)
            made *= (0.85 + 0.15 * np.sin(board * 12.9 + np.floor(away / 1.7 + board * 0.37) * 7.3))[:, None]
            made *= np.where((across / 0.18) % 1 < 0.05, 0.6, 1.0)[:, None]
        return np.asarray(made, dtype=np.float32)

    return painted
