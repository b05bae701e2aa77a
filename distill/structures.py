"""Structures: the pictures that painters paint, u8 (S, S, 3) sRGB. Training ones are drawn by seed; held-out
ones are kept apart by name and never drawn for training."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import pairwise
from pathlib import Path
from typing import Final

import cv2
import numpy as np

from vivant.distill.colours import regraded
from vivant.distill.people import portrait
from vivant.distill.scenery import scenery
from vivant.distill.sources import TRAINING_SHARE, Sources, material_of
from vivant.distill.stage import TRAINED_SEEDS, performer
from vivant.distill.weather import weather
from vivant.runtime.frames import F32, U8

HELD_OUT_SEEDS: Final = {"dancer_far": TRAINED_SEEDS + 7, "dancer_near": TRAINED_SEEDS + 31, "portrait": 44}
"""Dances and a face that no training seed leads to."""
REGRADED: Final = 0.15  # share of the photographs whose colours are turned: there are few of them
NEAREST_PX: Final = 130  # of the film: people are small in it
MOVED: Final = 12  # grey levels from frame to frame, of something that walks
Square = tuple[int, int, int]  # top, left, side in pixels


def scaled(image: U8, square: Square, size_px: int) -> F32:
    """A square of `image` u8 as f32 (S, S, 3) in [0, 1]."""
    top, left, side = square
    how = cv2.INTER_AREA if side > size_px else cv2.INTER_CUBIC
    part = image[top : top + side, left : left + side].astype(np.float32) / np.float32(255)
    return np.asarray(
        np.clip(cv2.resize(part, (size_px, size_px), interpolation=how), 0, 1), dtype=np.float32
    )


def photograph(sources: Sources, rng: np.random.Generator, size_px: int) -> F32:
    share = np.array(sources.weights) / sum(sources.weights)
    image = sources.photographs[rng.choice(len(share), p=share)]
    height, width = image.shape[:2]
    side = int(rng.uniform(min(160, height), min(900, height, width) + 1))
    top, left = int(rng.integers(0, height - side + 1)), int(rng.integers(0, width - side + 1))
    made = scaled(image, (top, left, side), size_px)
    return regraded(made, rng) if rng.random() < REGRADED else made


def walkers(sources: Sources, rng: np.random.Generator) -> tuple[int, Square]:
    """The first of two successive frames of the film, and a square of them that something moves in."""
    first = 2 * int(rng.integers(len(sources.film) // 2))
    one, other = sources.film[first : first + 2]
    moved = cv2.GaussianBlur(cv2.absdiff(one, other).max(2), (0, 0), 4)
    height, width = moved.shape
    side = int(rng.uniform(min(NEAREST_PX, height), min(height, width) + 1))
    ys, xs = np.nonzero(moved >= min(int(moved.max()), MOVED))
    at = int(rng.integers(len(ys)))
    top, left = (
        int(v) for v in (ys[at] - side * rng.uniform(0.3, 0.7), xs[at] - side * rng.uniform(0.3, 0.7))
    )
    return first, (min(max(top, 0), height - side), min(max(left, 0), width - side), side)


def filmed(sources: Sources, rng: np.random.Generator, size_px: int) -> F32:
    if not sources.film:
        return performed(sources, rng, size_px)
    first, square = walkers(sources, rng)
    return scaled(sources.film[first], square, size_px)


def performed(sources: Sources, rng: np.random.Generator, size_px: int) -> F32:
    """The performer, in the own room or before a photograph or a drawn place."""
    place = rng.random()
    if place < 0.55:
        return performer(rng, size_px)[0]
    if place < 0.8:
        return performer(rng, size_px, ground=lambda: photograph(sources, rng, 2 * size_px))[0]
    return performer(rng, size_px, ground=lambda: scenery(rng, 2 * size_px, people=0))[0]


def peopled(_: Sources, rng: np.random.Generator, size_px: int) -> F32:
    return scenery(rng, size_px)


def drawn_portrait(sources: Sources, rng: np.random.Generator, size_px: int) -> F32:
    """A face before a soft colour, a photograph or a room."""
    place = rng.random()
    if place < 0.5:
        return portrait(rng, size_px)
    if place < 0.75:
        return portrait(rng, size_px, ground=_defocused(photograph(sources, rng, size_px), rng))
    return portrait(rng, size_px, ground=_defocused(scenery(rng, size_px, people=0), rng))


def _defocused(image: F32, rng: np.random.Generator) -> F32:
    return np.asarray(cv2.GaussianBlur(image, (0, 0), rng.uniform(0.8, 6.0)))


def faces(sources: Sources, rng: np.random.Generator, size_px: int) -> F32:
    """Small grey faces, each with a complexion, as a wall of photographs."""
    count = int(rng.integers(2, 5))
    picture = np.zeros((size_px, size_px, 3), np.float32)
    edges = np.linspace(0, size_px, count + 1).astype(int)
    for top, bottom in pairwise(edges):
        for left, right in pairwise(edges):
            face = sources.faces[rng.integers(len(sources.faces))].astype(np.float32) / 255
            large = cv2.resize(face, (right - left, bottom - top), interpolation=cv2.INTER_CUBIC)
            skin = np.array([1.0, rng.uniform(0.70, 0.85), rng.uniform(0.55, 0.75)], np.float32)
            tone = np.clip(large, 0, 1)[..., None]
            picture[top:bottom, left:right] = tone ** (1.1 / (0.35 + 0.65 * skin)) * (0.8 + 0.2 * skin)
    return picture


def collage(sources: Sources, rng: np.random.Generator, size_px: int) -> F32:
    """Two structures, one shown through a soft wandering mask, or as a pane set into the other."""
    one = photograph(sources, rng, size_px)
    other = KINDS[str(rng.choice(list(KINDS)[:-1]))][0](sources, rng, size_px)
    if rng.random() < 0.5:
        noise = rng.standard_normal((size_px, size_px)).astype(np.float32)
        noise = cv2.GaussianBlur(noise, (0, 0), size_px / 9)
        mask = 1 / (1 + np.exp(-noise / noise.std() * rng.uniform(4, 20)))[..., None]
        return np.asarray(one * mask + other * (1 - mask), dtype=np.float32)
    side = int(rng.uniform(0.45, 0.75) * size_px)
    y, x = rng.integers(0, size_px - side + 1, 2)
    one[y : y + side, x : x + side] = cv2.resize(other, (side, side), interpolation=cv2.INTER_AREA)
    return one


KINDS: Final[Mapping[str, tuple[Callable[[Sources, np.random.Generator, int], F32], float]]] = {
    "photograph": (photograph, 0.22),
    "film": (filmed, 0.10),
    "performer": (performed, 0.17),
    "portrait": (drawn_portrait, 0.22),
    "scene": (peopled, 0.19),
    "faces": (faces, 0.02),
    "collage": (collage, 0.08),
}


def plain_structure(sources: Sources, rng: np.random.Generator, size_px: int) -> F32:
    """One structure f32 (S, S, 3) before any weather."""
    share = np.array([share for _, share in KINDS.values()])
    kind = list(KINDS)[rng.choice(len(share), p=share / share.sum())]
    return KINDS[kind][0](sources, rng, size_px)


def training_structure(sources: Sources, rng: np.random.Generator, size_px: int) -> U8:
    """One structure u8 (S, S, 3), by `rng` alone."""
    return weather(rng).over(plain_structure(sources, rng, size_px), rng)


def held_out(size_px: int, clip: Path | None = None, archive: Path | None = None) -> dict[str, U8]:
    """The structures never trained on, u8 (S, S, 3) by name; those of the clip only where there is one."""
    material = material_of(clip, archive)
    cuts = {
        "astronaut": material.photograph("astronaut.png")[0:330, 60:390],
        "chelsea": material.photograph("chelsea.png")[0:300, 70:370],
        "coffee": material.photograph("coffee.png")[0:400, 80:480],
    }
    if film := material.film(TRAINING_SHARE, 1.0):
        side = min(film[0].shape[:2])
        cuts["clip_wide"] = film[len(film) * 2 // 5][:side, :side]
        near = film[len(film) * 4 // 5]
        cuts["clip_near"] = near[side // 3 : side // 3 + side // 2, side // 2 : side]
    for shot, name in ((0, "dancer_far"), (2, "dancer_near")):
        rng = np.random.default_rng(HELD_OUT_SEEDS[name])
        cuts[name] = _u8(performer(rng, size_px, seed=HELD_OUT_SEEDS[name], shot=shot)[0])
    cuts["portrait"] = _u8(portrait(np.random.default_rng(HELD_OUT_SEEDS["portrait"]), size_px))
    return {
        name: np.asarray(cv2.resize(cut, (size_px, size_px), interpolation=cv2.INTER_AREA), dtype=np.uint8)
        for name, cut in cuts.items()
    }


def _u8(image: F32) -> U8:
    return np.rint(np.clip(image, 0, 1) * 255).astype(np.uint8)
