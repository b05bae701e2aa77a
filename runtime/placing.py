"""Where a picture goes on a target of another shape: fit or fill, mirrored or not, and the bars beside it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Aspect = Literal["fit", "fill"]
Size = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Placing:
    """A rectangle of the target, `pixels` (left, top, right, bottom), and what its corners show of the
    picture, `crop` (u0, v0, u1, v1) in [0, 1] with v = 0 at the top. u0 > u1 mirrors."""

    pixels: tuple[int, int, int, int]
    crop: tuple[float, float, float, float]

    def clip(self, target_px: Size) -> tuple[float, float, float, float]:
        """The rectangle in clip space."""
        (left, top, right, bottom), (width, height) = self.pixels, target_px
        return 2 * left / width - 1, 1 - 2 * top / height, 2 * right / width - 1, 1 - 2 * bottom / height

    def turned(self) -> Placing:
        """The same place for a picture whose bottom row is first."""
        u0, v0, u1, v1 = self.crop
        return Placing(self.pixels, (u0, 1.0 - v0, u1, 1.0 - v1))


def place(picture_px: Size, target_px: Size, aspect: Aspect, mirror: bool) -> Placing:
    """Show all of a picture ("fit") or cover the target ("fill"); sizes are (width, height).

    The rectangle is made of whole pixels, so that a picture shown at its own size stays exact.
    """
    (w, h), (width, height) = picture_px, target_px
    scale = (min if aspect == "fit" else max)(width / w, height / h)
    shown_w, shown_h = max(1, min(width, round(w * scale))), max(1, min(height, round(h * scale)))
    left, top = (width - shown_w) // 2, (height - shown_h) // 2
    du, dv = min(0.5, 0.5 * shown_w / (w * scale)), min(0.5, 0.5 * shown_h / (h * scale))
    u = (0.5 + du, 0.5 - du) if mirror else (0.5 - du, 0.5 + du)
    return Placing((left, top, left + shown_w, top + shown_h), (u[0], 0.5 - dv, u[1], 0.5 + dv))


def bars(picture_px: Size, target_px: Size, placed: Placing, mirror: bool) -> list[Placing]:
    """The parts of the target that `placed` leaves free; their crops cover the target with the picture."""
    (width, height), (left, top, right, bottom) = target_px, placed.pixels
    u0, v0, u1, v1 = place(picture_px, target_px, "fill", mirror).crop
    free = [
        (0, 0, left, height),
        (right, 0, width, height),
        (left, 0, right, top),
        (left, bottom, right, height),
    ]
    return [
        Placing(
            (x0, y0, x1, y1),
            (
                u0 + (u1 - u0) * x0 / width,
                v0 + (v1 - v0) * y0 / height,
                u0 + (u1 - u0) * x1 / width,
                v0 + (v1 - v0) * y1 / height,
            ),
        )
        for x0, y0, x1, y1 in free
        if x1 > x0 and y1 > y0
    ]
