"""The painters that a student learns from, by style: slow, offline, at full resolution.

Each is a module with `paint`, found by its style's name. What is random or not local in a painting lies in
the planes (vivant.engines.slots), which the student gets too: the very numbers that the painter used.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Final, Protocol, cast

import cv2
import numpy as np

from vivant.engines.field import PlaneField
from vivant.engines.slots import read
from vivant.runtime.frames import F32, U8

PAINTERS: Final = (
    "oil",
    "ink",
    "watercolour",
    "stipple",
    "engraving",
    "mosaic",
    "glass",
    "coral",
    "marbling",
    "filaments",
    "riso",
    "woodcut",
    "pencil",
)


class Painter(Protocol):
    """Paints `structure` f32 (H, W, 3) sRGB in [0, 1] with `plane`, f32 (H, W) by name: a picture f32
    (H, W, 3) in [0, 1]. Deterministic; whatever is random beyond the planes comes from `seed`."""

    def __call__(self, structure: F32, plane: Mapping[str, F32], seed: int) -> F32: ...


@dataclass(frozen=True, slots=True)
class Painting:
    """`picture` u8 (H, W, 3), and the `planes` u8 (H/2, W/2, CHANNELS) that it was painted with."""

    picture: U8
    planes: U8


def painter(style: str) -> Painter:
    """The painter of a style. Raises KeyError when there is none of that name."""
    if style not in PAINTERS:
        raise KeyError(style)
    return cast(Painter, import_module(f"vivant.distill.teachers.{style}").paint)


def guide_of(structure: U8) -> F32:
    """The guide f32 (1, 1, H/2, W/2) in [0, 1] of a structure u8 (H, W, 3): what the student's encoder makes
    of it, the mean luma (ITU-R BT.601) of 2x2 pixels."""
    luma = structure.astype(np.float32) @ np.array([0.299, 0.587, 0.114], np.float32) / 255
    height, width = luma.shape
    half = cv2.resize(luma, (width // 2, height // 2), interpolation=cv2.INTER_AREA)
    return np.asarray(half[None, None], dtype=np.float32)


def paint_with(style: str, structure: U8, planes: U8, seed: int) -> U8:
    """The picture u8 (H, W, 3) of a structure u8 (H, W, 3), with planes that were made before."""
    made = painter(style)(np.asarray(structure / np.float32(255), np.float32), read(planes), seed)
    return np.asarray(np.clip(np.rint(made * 255), 0, 255), dtype=np.uint8)


def paint(style: str, structure: U8, seed: int) -> Painting:
    """One still of a structure u8 (H, W, 3), sides multiples of 32. Deterministic for a seed."""
    height, width = structure.shape[:2]
    planes = PlaneField((width, height), seed).update(guide_of(structure), {style: 1.0})[0].copy()
    return Painting(paint_with(style, structure, planes, seed), planes)
