"""Sequences on both sides of each threshold of the flash guard: cells of linear light, and their verdicts."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np

from vivant.guardrails.flash import COLUMNS, ROWS, Limits, Watch, field_cells, flashing
from vivant.runtime.frames import F32

FIELD: Final = field_cells(16 / 9)  # 16 rows and 21 columns, 336 cells
HZ: Final = 60
Colour = float | tuple[float, float, float]


def whole(colour: Colour) -> F32:
    """A picture of one colour, linear light."""
    return np.full((ROWS, COLUMNS, 3), colour, np.float32)


def patch(colour: Colour, rows: int, columns: int, ground: Colour = 0.0, top: int = 7, left: int = 9) -> F32:
    """A rectangle of cells on `ground`."""
    picture = whole(ground)
    picture[top : top + rows, left : left + columns] = colour
    return picture


def alternating(one: F32, other: F32, flashes_hz: float, seconds: float = 2.0, hz: int = HZ) -> Iterator[F32]:
    """`one` and `other` in turn, `flashes_hz` times a second there and back."""
    for index in range(round(seconds * hz)):
        yield other if int(index * 2 * flashes_hz / hz + 1e-9) % 2 else one


def fading(one: F32, other: F32, period_s: float, seconds: float) -> Iterator[F32]:
    """From `one` to `other` and back, as a cosine of `period_s`."""
    for index in range(round(seconds * HZ)):
        share = 0.5 - 0.5 * np.cos(2 * np.pi * index / HZ / period_s)
        yield (one + np.float32(share) * (other - one)).astype(np.float32)


def in_turn(places: int, times: float) -> Iterator[F32]:
    """Each of `places` broad bands flashes alone, one after the other, `times` a second between them all."""
    width = COLUMNS // places
    for index in range(2 * HZ):
        step = int(index * 2 * times / HZ + 1e-9)
        band = step // 2 % places
        yield whole(0.1) if step % 2 == 0 else patch(0.6, ROWS, width, 0.1, 0, band * width)


def wipe() -> Iterator[F32]:
    """From dark to bright, band by band, eight bands in a second: nothing comes back."""
    for index in range(2 * HZ):
        yield patch(0.9, ROWS, min(8, index * 8 // HZ) * COLUMNS // 8, 0.1, 0, 0)


def fine_board(phase: int) -> F32:
    """What remains of a balanced board of squares far smaller than a cell, whichever squares are white."""
    return whole(0.5 + 0.001 * phase)


@dataclass(frozen=True, slots=True)
class Sequence:
    """What is shown, and the kinds of flash that the standards find too many of in it."""

    name: str
    frames: Callable[[], Iterator[F32]]
    too_many: tuple[str, ...] = ()


ALL_RED: Final = ("red", "red 2.1")
RED: Final = (0.3, 0.0, 0.0)
BLUE: Final = whole((0.0, 0.0, 0.3))


def strobe(one: F32, other: F32, flashes_hz: float) -> Callable[[], Iterator[F32]]:
    return lambda: alternating(one, other, flashes_hz)


SEQUENCES: Final = (
    Sequence("2 a second, whole screen, 0.1 to 0.9", strobe(whole(0.1), whole(0.9), 2)),
    Sequence("3 a second", strobe(whole(0.1), whole(0.9), 3)),
    Sequence("4 a second", strobe(whole(0.1), whole(0.9), 4), ("general",)),
    Sequence("10 a second", strobe(whole(0.1), whole(0.9), 10), ("general",)),
    Sequence("30 a second: every refresh", strobe(whole(0.1), whole(0.9), 30), ("general",)),
    Sequence("luminance changes by 0.09", strobe(whole(0.4), whole(0.49), 6)),
    Sequence("luminance changes by 0.11", strobe(whole(0.4), whole(0.51), 6), ("general",)),
    Sequence("darker state 0.79", strobe(whole(0.79), whole(1.0), 6), ("general",)),
    Sequence("darker state 0.81", strobe(whole(0.81), whole(1.0), 6)),
    Sequence("24 % of a field", strobe(whole(0.1), patch(0.9, 8, 10, 0.1), 6)),
    Sequence("26 % of a field", strobe(whole(0.1), patch(0.9, 8, 11, 0.1), 6), ("general",)),
    Sequence("26 % of a field, in the corner",
             strobe(whole(0.1), patch(0.9, 8, 11, 0.1, ROWS - 8, COLUMNS - 11), 6), ("general",)),
    Sequence("26 % of the screen, half of it a band", strobe(whole(0.1), patch(0.9, 36, 17, 0.1, 0, 40), 6),
             ("general",)),
    Sequence("left and right against each other, 4 a second",
             strobe(patch(0.9, 36, 32, 0.1, 0, 0), patch(0.9, 36, 32, 0.1, 0, 32), 4), ("general",)),
    Sequence("three places in turn, 6 a second between them", lambda: in_turn(3, 6), ("general",)),
    Sequence("a wipe in eight bands", wipe),
    Sequence("fine balanced board, every refresh", strobe(fine_board(0), fine_board(1), 30)),
    Sequence("fade there and back, 2 s", lambda: fading(whole(0.0), whole(1.0), 2.0, 4.0)),
    Sequence("cosine, 5 a second", lambda: fading(whole(0.1), whole(0.6), 0.2, 2.0), ("general",)),
    Sequence("one cut", lambda: iter([whole(0.1)] * HZ + [whole(0.8)] * HZ)),
    Sequence("red and black, 2 a second", strobe(whole(0.0), whole(RED), 2)),
    Sequence("red and black, 4 a second", strobe(whole(0.0), whole(RED), 4), ALL_RED),
    Sequence("red and grey of its luminance, 6 a second", strobe(whole(0.0638), whole(RED), 6), ALL_RED),
    Sequence("blue and a red that is 0.81 saturated", strobe(BLUE, whole((0.3, 0.035, 0.035)), 6), ALL_RED),
    Sequence("blue and a red that is 0.79 saturated", strobe(BLUE, whole((0.3, 0.04, 0.04)), 6)),
    Sequence("saturated red, R - G - B changes by 19/320",
             strobe(whole((0.4, 0.0, 0.0)), whole((0.4 - 19 / 320, 0.0, 0.0)), 6)),
    Sequence("saturated red, R - G - B changes by 21/320",
             strobe(whole((0.4, 0.0, 0.0)), whole((0.4 - 21 / 320, 0.0, 0.0)), 6), ("red 2.1",)),
    Sequence("saturated red and pink, 0.19 apart in u', v'",
             strobe(whole(RED), whole((0.2, 0.076, 0.076)), 6), ("red 2.1",)),
    Sequence("saturated red and pink, 0.21 apart in u', v'",
             strobe(whole(RED), whole((0.2, 0.1, 0.1)), 6), ALL_RED),
    Sequence("green and blue, one luminance", strobe(whole((0, 0.1, 0)), whole((0, 0.03, 0.69)), 6)),
)  # fmt: skip


def watched(frames: Iterator[F32], limits: Limits | None = None, hz: int = HZ) -> dict[str, int]:
    """The most transitions in a second of each kind, over a whole sequence."""
    watch = Watch(FIELD, limits)
    most = dict.fromkeys(watch.kinds, 0)
    for index, light in enumerate(frames):
        watch.see(light, index * 1_000_000_000 // hz)
        found = watch.transitions()
        most = {kind: max(most[kind], found[kind]) for kind in most}
    return most


def too_many(frames: Iterator[F32]) -> tuple[str, ...]:
    """The kinds of flash that a sequence has too many of."""
    return tuple(flashing(watched(frames)))
