"""The painters that a student learns from, by style. Each reads the very planes that the student gets."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from vivant.distill.teachers import engraving, ink, mosaic, strokes
from vivant.runtime.frames import F32, U8


class Teacher(Protocol):
    """Paints `structure` f32 (H, W, 3) in [0, 1] with `planes` u8 (20, H, W): a picture f32 (H, W, 3) in
    [0, 1]. Deterministic; whatever a painter draws beyond the planes comes from `seed`."""

    def __call__(self, structure: F32, planes: U8, seed: int) -> F32: ...


TEACHERS: Mapping[str, Teacher] = {
    "mosaic": mosaic.paint,
    "ink": ink.paint,
    "engraving": engraving.paint,
    "strokes": strokes.paint,
}
