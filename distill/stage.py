"""The synthetic performer as a structure: many moments, sizes, costumes and lights, far, half and near."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache
from typing import Final

import cv2
import numpy as np

from vivant.distill.colours import hsv, regraded
from vivant.runtime.frames import F32, U8
from vivant.runtime.senses.backdrop import DUSK, MORNING, paint_room
from vivant.runtime.senses.costume import COSTUMES, Costume
from vivant.runtime.senses.dance import dance
from vivant.runtime.senses.figure import MEMORY_S, Figure
from vivant.runtime.senses.shapes import View

TRAINED_SEEDS: Final = 1000  # training draws dances from 0 up to here; held-out ones have greater seeds
FPS: Final = 25.0
LONGEST_S: Final = 300.0
TALLEST_PX: Final = 1600
SHOTS: Final = ((0.40, 0.52, 1.0), (0.70, 0.28, 0.48), (1.0, 0.15, 0.26))
"""Up to this chance: the smallest and the largest side of the cut, as a share of the room's height."""


def performer(
    rng: np.random.Generator,
    size_px: int,
    count: int = 1,
    ground: Callable[[], F32] | None = None,
    seed: int | None = None,
    shot: int | None = None,
) -> list[F32]:
    """`count` successive frames f32 (S, S, 3) in [0, 1] of a still camera. `ground` gives another place than
    the performer's own room, f32 (any, any, 3); `seed` another dance than a trained one; `shot` 0 far,
    1 half, 2 near."""
    chance = rng.random()
    number = next(i for i, (most, *_) in enumerate(SHOTS) if chance <= most) if shot is None else shot
    share = rng.uniform(*SHOTS[number][1:])
    height = int(np.clip(size_px * rng.uniform(1.0, 1.5) / share, 360, TALLEST_PX))
    size = (height * 4 // 3, height)
    dancer = int(rng.integers(TRAINED_SEEDS)) if seed is None else seed
    before = int(np.ceil(MEMORY_S * FPS))
    start_s = rng.uniform(3.0, LONGEST_S)
    poses = dance(dancer, start_s + np.arange(-before, count + 3) / FPS)
    figure = Figure(size, _costume(rng))
    drawn = figure.prepare(poses, before, FPS)
    place = cv2.resize(ground() if ground else _room(rng), size, interpolation=cv2.INTER_CUBIC)
    empty = np.clip(place * 255, 0, 255).astype(np.uint8)
    looked_at = poses.at(("pelvis", "chest", "head")[number])[before : before + 1]
    x, y = View(size).project(looked_at)[0]
    side = min(int(share * height), *size)
    left = int(np.clip(x - side * rng.uniform(0.35, 0.65), 0, size[0] - side))
    top = int(np.clip(y - side * rng.uniform(0.40, 0.58), 0, size[1] - side))
    frames = []
    for k in range(count):
        picture: U8 = empty.copy()
        figure.draw(picture, drawn, k)
        cut = picture[top : top + side, left : left + side].astype(np.float32) / 255
        how = cv2.INTER_AREA if side > size_px else cv2.INTER_CUBIC
        frames.append(np.asarray(cv2.resize(cut, (size_px, size_px), interpolation=how)))
    return frames


@lru_cache(maxsize=1)
def _rooms() -> tuple[U8, U8]:
    one, other = (paint_room((640, 480), light, 0) for light in (MORNING, DUSK))
    return one, other


def _room(rng: np.random.Generator) -> F32:
    """The performer's room at some hour, sometimes papered in other colours."""
    one, other = (room.astype(np.float32) / 255 for room in _rooms())
    share = np.float32(rng.random())
    room = np.asarray(one * share + other * (1 - share), dtype=np.float32)
    return regraded(room, rng) if rng.random() < 0.6 else room


def _costume(rng: np.random.Generator) -> Costume:
    costume = COSTUMES[rng.integers(len(COSTUMES))]
    if rng.random() < 0.3:
        return costume
    first = rng.random()  # the hues are kept to a chord: one, its neighbour, its opposite

    def dyed(away: float) -> tuple[float, float, float]:
        hue, saturation, value = (
            first + away + rng.normal(0, 0.03),
            rng.uniform(0.25, 0.9),
            rng.uniform(0.25, 1),
        )
        red, green, blue = hsv(hue, saturation, value)
        return 255 * red, 255 * green, 255 * blue

    return replace(
        costume,
        top=dyed(0),
        sleeves=dyed(0.05),
        skirt=dyed(0.02),
        pleat=dyed(0.12),
        tights=dyed(0.5),
        shoes=dyed(0.4),
        ribbon=dyed(0.55),
    )
