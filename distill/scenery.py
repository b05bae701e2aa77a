"""Drawn scenes with people: rooms, corridors, streets, open land, still lifes, somebody against the light."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Final

import cv2
import numpy as np

from vivant.distill import colours
from vivant.distill.people import Light, draw, light, person
from vivant.distill.rooms import Room, room, smooth
from vivant.distill.solids import capsules, ellipsoid, look, melted
from vivant.runtime.frames import F32

TALL: Final = (1.5, 1.95)  # metres
UNITS: Final = 15.0  # of half a head's height that a person is tall
SOLE: Final = 13.8  # the feet below the head's middle, in these units


def scenery(rng: np.random.Generator, size_px: int, people: int | None = None) -> F32:
    """A drawn scene f32 (S, S, 3) in [0, 1], by `rng` alone; `people` sets how many there are."""
    share = np.array([share for _, share in SCENES.values()])
    kind = list(SCENES)[rng.choice(len(share), p=share / share.sum())]
    return np.asarray(np.clip(SCENES[kind][0](rng, size_px, people), 0, 1), dtype=np.float32)


def _peopled(place: Room, rng: np.random.Generator, count: int) -> F32:
    """Draw people standing and walking in a place, those far away first."""
    lit = light(rng)
    depths = place.near_m * (place.far_m / place.near_m) ** rng.random(count)
    if count and rng.random() < 0.7:
        depths[0] = place.near_m * rng.uniform(0.7, 1.4)
    for depth in sorted(depths.tolist(), reverse=True):
        x, y, metre = place.view.place(float(rng.uniform(0.12, 0.88)), depth, place.half_m)
        tall = rng.uniform(*TALL) * metre
        unit = tall / UNITS
        _shadow(place.image, x, y, unit)
        draw(place.image, person(rng, walking=rng.random() < 0.6), x, y - SOLE * unit, unit, lit)
    return place.image


def _shadow(image: F32, x: float, y: float, unit: float) -> None:
    """What a person takes from the light on the floor."""
    layer = np.zeros(image.shape[:2], np.float32)
    axes = (max(1, round(2.6 * unit)), max(1, round(0.8 * unit)))
    cv2.ellipse(layer, (round(x), round(y)), axes, 0, 0, 360, 1.0, -1)
    layer = np.asarray(cv2.GaussianBlur(layer, (0, 0), 0.5 + 0.5 * unit))
    image *= 1 - 0.55 * layer[..., None]


def indoors(rng: np.random.Generator, size_px: int, people: int | None) -> F32:
    place = room(rng, size_px, "room" if rng.random() < 0.65 else "corridor")
    return _peopled(place, rng, int(rng.integers(1, 4)) if people is None else people)


def outdoors(rng: np.random.Generator, size_px: int, people: int | None) -> F32:
    place = room(rng, size_px, "street")
    return _peopled(place, rng, int(rng.integers(1, 7)) if people is None else people)


def _land(rng: np.random.Generator, size_px: int) -> tuple[F32, float]:
    """Sky, hills one behind the other, a field; and where the horizon is, in [0, 1] from the top."""
    horizon = float(rng.uniform(0.35, 0.7))
    v = np.linspace(0, 1, size_px, dtype=np.float32)[:, None, None]
    low = np.array(
        colours.hsv(rng.normal(0.09, 0.06), rng.uniform(0.1, 0.7), rng.uniform(0.7, 1)), np.float32
    )
    top = np.array(
        colours.hsv(rng.normal(0.6, 0.06), rng.uniform(0.2, 0.8), rng.uniform(0.2, 0.9)), np.float32
    )
    image = np.tile(top + (low - top) * np.clip(v / horizon, 0, 1) ** 1.3, (1, size_px, 1))
    clouds = smooth(rng, size_px, int(rng.integers(3, 8)), squeeze=0.4)[..., None]
    image += rng.uniform(0, 0.7) * np.clip(clouds, 0, 1.3) * (0.9 * low + 0.1 - image)
    x, y = rng.uniform(0.1, 0.9), rng.uniform(0.1, 0.9) * horizon
    u = np.linspace(0, 1, size_px, dtype=np.float32)[None, :, None]
    image += 0.7 * np.exp(-((u - x) ** 2 + (v - y) ** 2) / rng.uniform(0.002, 0.03)) * low
    line = np.arange(size_px) / size_px
    near = np.array(
        colours.hsv(rng.normal(0.25, 0.1), rng.uniform(0.2, 0.6), rng.uniform(0.15, 0.6)), np.float32
    )
    layers = int(rng.integers(2, 6))
    for k in range(layers):
        far = 1 - (k + 1) / layers
        waves = sum(
            rng.normal(0, 0.05) / (j + 1) ** 0.8 * np.sin(2 * math.pi * (line * (j + 1) + rng.random()))
            for j in range(7)
        )
        edge = horizon - 0.10 * far + (0.35 + 0.65 * far) * np.asarray(waves) + 0.25 * (k / layers) ** 2
        tone = near + (0.8 * low + 0.1 - near) * far**0.8
        below = np.clip((v[..., 0] - edge[None]) * size_px, 0, 1)[..., None]
        shade = 0.85 + 0.15 * smooth(rng, size_px, int(10 + 30 * (1 - far)), squeeze=0.5)[..., None]
        image += below * (tone * shade - image)
    return np.asarray(image, dtype=np.float32), horizon


def countryside(rng: np.random.Generator, size_px: int, people: int | None) -> F32:
    image, horizon = _land(rng, size_px)
    lit = light(rng)
    count = int(rng.integers(0, 4)) if people is None else people
    for foot in sorted(rng.uniform(horizon + 0.12, 1.15, count).tolist()):
        unit = (foot - horizon + 0.05) * size_px * rng.uniform(0.9, 1.2) / 10
        x = rng.uniform(0.12, 0.88) * size_px
        _shadow(image, x, foot * size_px, unit)
        draw(image, person(rng, walking=True), x, foot * size_px - SOLE * unit, unit, lit)
    return image


def against_light(rng: np.random.Generator, size_px: int, people: int | None) -> F32:
    """One or two dark figures before a window, a screen or the evening sky."""
    if rng.random() < 0.4:
        image = _land(rng, size_px)[0]
    else:
        glow = np.array(colours.hsv(rng.random(), rng.uniform(0, 0.7), 1), np.float32)
        v, u = np.mgrid[0 : 1 : size_px * 1j, 0 : 1 : size_px * 1j].astype(np.float32)
        x, y = rng.uniform(0.3, 0.7, 2)
        far = np.exp(-((u - x) ** 2 + (v - y) ** 2) / rng.uniform(0.08, 0.6))[..., None]
        image = np.asarray(far * (0.35 + 0.65 * glow) + (1 - far) * 0.15 * glow, dtype=np.float32)
    key = np.array([rng.normal(0, 0.5), 0.4, -1.0], np.float32)
    lit = Light(key / np.linalg.norm(key), np.full(3, 1.5, np.float32), np.full(3, 0.10, np.float32), 0.9)
    for _ in range(int(rng.integers(1, 3)) if people is None else people):
        unit = size_px * math.exp(rng.uniform(math.log(0.045), math.log(0.25)))
        y_px = size_px * rng.uniform(0.18, 0.42)
        draw(image, person(rng), rng.uniform(0.25, 0.75) * size_px, y_px, unit, lit)
    return image


def still_life(rng: np.random.Generator, size_px: int, people: int | None) -> F32:
    """Vessels and fruit on a table before a wall."""
    table = float(rng.uniform(0.5, 0.75))
    wall, cloth = (np.array(colours.dyed(rng), np.float32) * 0.7 + 0.15 for _ in range(2))
    image = np.empty((size_px, size_px, 3), np.float32)
    v, u = np.mgrid[0 : 1 : size_px * 1j, 0 : 1 : size_px * 1j].astype(np.float32)
    image[:] = wall * (0.5 + 0.6 * np.exp(-((u - rng.random()) ** 2 + (v - 0.2) ** 2) / 0.3))[..., None]
    below = v[..., None] > table
    image = np.where(below, cloth * (0.6 + 0.5 * v[..., None]), image).astype(np.float32)
    lit = light(rng)
    for k in range(int(rng.integers(2, 6))):
        unit = rng.uniform(0.07, 0.2) * size_px
        x, foot = rng.uniform(0.12, 0.88) * size_px, (table + 0.05 + 0.06 * k) * size_px
        _shadow(image, x, foot, unit * 0.5)
        _thing(image, rng, x, foot, unit, lit)
    return image


def _thing(image: F32, rng: np.random.Generator, x: float, foot: float, unit: float, lit: Light) -> None:
    wide, high, neck = rng.uniform(0.5, 1.0), rng.uniform(0.5, 1.4), rng.uniform(0.15, 0.4)
    vessel = rng.random() < 0.55

    def distance(p: F32) -> F32:
        belly = ellipsoid(p, (0, high, 0), (wide, high, wide))
        if not vessel:
            return belly
        start, end = np.array([[0, high, 0]], np.float32), np.array([[0, 2.6 * high, 0]], np.float32)
        radii = np.array([neck], np.float32), np.array([neck * 1.3], np.float32)
        return melted(belly, capsules(p, start, end, *radii)[:, 0], 0.25)

    top, reach = int(max(0, foot - 4.2 * unit)), 1.3 * unit
    left, right = max(0, int(x - reach)), min(image.shape[1], int(x + reach))
    bottom = min(image.shape[0], int(foot + 2))
    if right - left < 6 or bottom - top < 6:
        return
    box = ((left - x) / unit, (foot - bottom) / unit, (right - x) / unit, (foot - top) / unit)
    seen = look(distance, box, 1.5, -1.5, (right - left, bottom - top), lit.key, 2)
    colour = np.array(colours.hsv(rng.random(), rng.beta(2, 1.5), rng.beta(2.5, 1.2)), np.float32)
    facing = np.clip(seen.normals @ lit.key, 0, 1)[..., None]
    sky = (0.5 + 0.5 * seen.normals[..., 1:2]) * seen.hollow[..., None]
    shine = rng.uniform(0, 0.8) * np.clip(facing, 0, 1) ** 30
    linear = (
        colour**2.2 * (facing * seen.shadow[..., None] * lit.key_colour + sky * lit.sky_colour + 0.04) + shine
    )
    patch = image[top:bottom, left:right]
    patch += seen.cover[..., None] * (np.clip(linear, 0, 1) ** (1 / 2.2) - patch)


SCENES: Final[Mapping[str, tuple[Callable[[np.random.Generator, int, int | None], F32], float]]] = {
    "indoors": (indoors, 0.38),
    "outdoors": (outdoors, 0.22),
    "countryside": (countryside, 0.14),
    "against_light": (against_light, 0.16),
    "still_life": (still_life, 0.10),
}
