"""Moving structures: successive frames of a known motion, or of a still camera that hisses."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Final

import cv2
import numpy as np

from vivant.distill.people import portrait
from vivant.distill.sources import Sources
from vivant.distill.stage import performer
from vivant.distill.structures import photograph, plain_structure, scaled, walkers
from vivant.distill.weather import weather
from vivant.runtime.frames import F32, U8

FRAMES: Final = 3  # the first lets what was carried add up; the last two are painted
SLOWEST_PX, FASTEST_PX = 0.5, 6.0  # from frame to frame
ROOM: Final = 1.3  # how much larger than the picture the scene is that a moving camera looks into
HISS: Final = (0.004, 0.02)


def pan(sources: Sources, rng: np.random.Generator, size_px: int) -> list[F32]:
    """A camera that shifts, turns or comes nearer."""
    scene = plain_structure(sources, rng, round(size_px * ROOM))
    speed = rng.uniform(SLOWEST_PX, FASTEST_PX)
    kind = rng.choice(3, p=(0.6, 0.2, 0.2))
    way = rng.uniform(0, 2 * math.pi)
    outermost = size_px / 2
    frames = []
    for k in range(FRAMES):
        step = (k - (FRAMES - 1) / 2) * speed
        shift = (step * math.cos(way), step * math.sin(way)) if kind == 0 else (0.0, 0.0)
        turn = step / outermost if kind == 1 else 0.0
        zoom = 1 + step / outermost if kind == 2 else 1.0
        frames.append(_seen(scene, size_px, shift, turn * (1 if way < math.pi else -1), zoom))
    return frames


def _seen(scene: F32, size_px: int, shift: tuple[float, float], turn: float, zoom: float) -> F32:
    """The middle of `scene`, shifted by pixels, turned by radians and enlarged."""
    middle = len(scene) / 2
    matrix = cv2.getRotationMatrix2D((middle, middle), math.degrees(turn), zoom)
    matrix[:, 2] += np.array(shift) + size_px / 2 - middle
    warped = cv2.warpAffine(
        scene, matrix, (size_px, size_px), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT
    )
    return np.asarray(np.clip(warped, 0, 1), dtype=np.float32)


def layers(sources: Sources, rng: np.random.Generator, size_px: int) -> list[F32]:
    """A head, or a thing cut out softly, that moves over a still ground."""
    ground = plain_structure(sources, rng, size_px)
    if rng.random() < 0.6:
        front, shape = _cut_out_head(rng, size_px)
    else:
        front, shape = photograph(sources, rng, size_px), _soft_disc(rng, size_px)
    speed, way = rng.uniform(SLOWEST_PX, FASTEST_PX), rng.uniform(0, 2 * math.pi)
    turn = rng.normal(0, 0.01)
    x, y = rng.uniform(-0.12, 0.12, 2) * size_px
    middle = size_px / 2
    frames = []
    for k in range(FRAMES):
        matrix = cv2.getRotationMatrix2D((middle, middle), math.degrees(turn * k), 1.0)
        matrix[:, 2] += (x + k * speed * math.cos(way), y + k * speed * math.sin(way))
        share = cv2.warpAffine(shape, matrix, (size_px, size_px), flags=cv2.INTER_LINEAR)[..., None]
        moved = cv2.warpAffine(
            front, matrix, (size_px, size_px), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT
        )
        frames.append(np.asarray(np.clip(ground + share * (moved - ground), 0, 1), dtype=np.float32))
    return frames


def _cut_out_head(rng: np.random.Generator, size_px: int) -> tuple[F32, F32]:
    """A portrait and where it is, (S, S) in [0, 1]: drawn before black and before white."""
    state = rng.bit_generator.state
    black = portrait(rng, size_px, ground=np.zeros((size_px, size_px, 3), np.float32))
    rng.bit_generator.state = state
    white = portrait(rng, size_px, ground=np.ones((size_px, size_px, 3), np.float32))
    return black, np.clip(1 - (white - black).mean(-1), 0, 1)


def _soft_disc(rng: np.random.Generator, size_px: int) -> F32:
    v, u = np.mgrid[-1 : 1 : size_px * 1j, -1 : 1 : size_px * 1j].astype(np.float32)
    wide, high = rng.uniform(0.25, 0.6, 2)
    away = (1 - np.hypot(u / wide, v / high)) * min(wide, high) * size_px / 2
    return np.asarray(np.clip(away / rng.uniform(1.5, 8.0), 0, 1), dtype=np.float32)


def dancing(_: Sources, rng: np.random.Generator, size_px: int) -> list[F32]:
    return performer(rng, size_px, FRAMES)


def walking(sources: Sources, rng: np.random.Generator, size_px: int) -> list[F32]:
    """Two successive frames of the clip; the first is seen twice."""
    if not sources.film:
        return dancing(sources, rng, size_px)
    first, square = walkers(sources, rng)
    both = [scaled(frame, square, size_px) for frame in sources.film[first : first + 2]]
    return [both[0], *both]


def still(sources: Sources, rng: np.random.Generator, size_px: int) -> list[F32]:
    """One picture that a noisy camera looks at."""
    return [plain_structure(sources, rng, size_px)] * FRAMES


MOTIONS: Final[Mapping[str, tuple[Callable[[Sources, np.random.Generator, int], list[F32]], float]]] = {
    "pan": (pan, 0.30),
    "layers": (layers, 0.20),
    "dancing": (dancing, 0.15),
    "walking": (walking, 0.10),
    "still": (still, 0.25),
}


def training_motion(sources: Sources, rng: np.random.Generator, size_px: int) -> list[U8]:
    """FRAMES successive frames u8 (S, S, 3) by `rng` alone: one scene, one light, fresh noise in each."""
    share = np.array([share for _, share in MOTIONS.values()])
    kind = list(MOTIONS)[rng.choice(len(share), p=share / share.sum())]
    frames = MOTIONS[kind][0](sources, rng, size_px)
    seen = weather(rng, noise=float(rng.uniform(*HISS)) if kind == "still" else None)
    return [seen.over(frame, rng) for frame in frames]
