"""The picture of a simulation: a strip for each day, with signals, styles, and what every trigger did."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from vivant.runtime.frames import U8
from vivant.runtime.sheet import GROUND, INK, picture_png
from vivant.runtime.triggers.simulate import SAMPLE_S, Simulation, Stretch

Colour = tuple[int, int, int]

FINE: Final = 2  # drawn so much larger and brought down, so that small type stays even
WIDTH: Final = 1600
LEFT: Final = 190
RIGHT: Final = 40
TOP: Final = 84
HEADING: Final = 30
CURVE: Final = 54
LANE: Final = 20
GAP: Final = 22
FOOT: Final = 54
DIM: Final = (128, 121, 112)
RULE: Final = (66, 62, 58)
FIELD: Final = (52, 49, 45)
PRESENCE: Final = (112, 128, 116)
INTENSITY: Final = (236, 196, 120)
COLOURS: Final[tuple[Colour, ...]] = (
    (122, 162, 196), (214, 138, 106), (150, 176, 118), (190, 150, 196), (218, 186, 104), (118, 178, 170),
    (206, 124, 140), (160, 154, 210), (196, 176, 150), (142, 190, 142),
)  # fmt: skip
STEPS_S: Final = (60, 300, 900, 1800, 3600, 7200, 10800)
DAY_S: Final = 86_400.0
MOST_STRIPS: Final = 31
NARROW: Final = 2.0  # pixels; styles that pass so quickly are drawn as one grey
PASSING: Final = (104, 99, 92)
MOMENT: Final = "%a %d %b %Y %H:%M"
WORDS: Final = (
    "an upright mark: it fires; a bar: it stands; grey: styles pass quickly; "
    "presence and intensity: the largest of 30 s"
)


@dataclass(frozen=True, slots=True)
class Strip:
    """One day of the picture, or all of a shorter simulation: from and until, seconds since its start."""

    begin_s: float
    end_s: float
    title: str


def draw_timeline(made: Simulation, title: str, path: Path) -> int:
    """Write the picture as PNG; the number of days in it, at most MOST_STRIPS. Raises VivantError when the
    path cannot be written."""
    strips = tuple(strips_of(made))[:MOST_STRIPS]
    height = CURVE + LANE * (1 + len(made.rules))
    longest_s = max(strip.end_s - strip.begin_s for strip in strips)
    sheet = Sheet(TOP + len(strips) * (HEADING + height + GAP) + FOOT, longest_s)
    first, last = made.begin, made.at(made.begin.timestamp() + made.seconds)
    sheet.text(title, 40, 40, INK, 1.0)
    sheet.text(f"{first:{MOMENT}} to {last:{MOMENT}}, {first.tzinfo}", 40, 64, DIM)
    top = TOP
    for strip in strips:
        sheet.text(strip.title, LEFT, top + HEADING - 9, INK)
        _strip(sheet, made, strip, top + HEADING)
        top += HEADING + height + GAP
    sheet.text(WORDS, LEFT, top + 18, DIM, 0.55)
    picture_png(sheet.small(), path)
    return len(strips)


def strips_of(made: Simulation) -> Iterator[Strip]:
    """A strip for each local day, from midnight to midnight; one strip when it all fits in a day."""
    begin = made.begin.timestamp()
    if made.seconds <= DAY_S:
        yield Strip(0.0, made.seconds, f"{made.begin:%A %d %B}")
        return
    day = made.begin.replace(hour=0, minute=0, second=0, microsecond=0)
    while day.timestamp() < begin + made.seconds:
        following = (day + dt.timedelta(days=1)).replace(fold=0)
        yield Strip(day.timestamp() - begin, following.timestamp() - begin, f"{day:%A %d %B}")
        day = following


class Sheet:
    """The paper: places are in pixels of the finished picture, times in seconds of the simulation."""

    def __init__(self, height: int, longest_s: float) -> None:
        self.pixels: U8 = np.full((height * FINE, WIDTH * FINE, 3), GROUND, np.uint8)
        self._per_s = (WIDTH - LEFT - RIGHT) / longest_s

    def x(self, at_s: float, strip: Strip) -> float:
        """Where a moment lies across."""
        return LEFT + (min(max(at_s, strip.begin_s), strip.end_s) - strip.begin_s) * self._per_s

    def text(self, words: str, left: float, base: float, colour: Colour, size: float = 0.62) -> None:
        """A line of type; `base` is where the letters stand."""
        import cv2

        at = round(left * FINE), round(base * FINE)
        font, scale = cv2.FONT_HERSHEY_SIMPLEX, 0.68 * size * FINE
        cv2.putText(self.pixels, words, at, font, scale, colour, FINE, cv2.LINE_AA)

    def width(self, words: str, size: float = 0.62) -> float:
        """How wide a line of type is."""
        import cv2

        (width, _), _ = cv2.getTextSize(words, cv2.FONT_HERSHEY_SIMPLEX, 0.68 * size * FINE, FINE)
        return float(width) / FINE

    def box(self, left: float, top: float, right: float, bottom: float, colour: Colour) -> None:
        """A filled box, a pixel wide at least."""
        right = max(right, left + 1.0)
        rows = slice(round(top * FINE), round(bottom * FINE))
        self.pixels[rows, round(left * FINE) : round(right * FINE)] = colour

    def curve(self, points: Sequence[tuple[float, float]], colour: Colour) -> None:
        """A line through points (across, down)."""
        import cv2

        if len(points) > 1:
            line = np.round(np.array(points) * FINE).astype(np.int32)
            cv2.polylines(self.pixels, [line], False, colour, FINE, cv2.LINE_AA)

    def small(self) -> U8:
        """The finished picture, u8 (H, W, 3)."""
        import cv2

        size = self.pixels.shape[1] // FINE, self.pixels.shape[0] // FINE
        made: U8 = np.asarray(cv2.resize(self.pixels, size, interpolation=cv2.INTER_AREA), np.uint8)
        return made


def _strip(sheet: Sheet, made: Simulation, strip: Strip, top: int) -> None:
    base = top + CURVE
    bottom = base + LANE * (1 + len(made.rules))
    sheet.box(LEFT, top, sheet.x(strip.end_s, strip), bottom, FIELD)
    _hours(sheet, made, strip, top, bottom)
    _curves(sheet, made, strip, top)
    sheet.text("presence", 40, top + 22, PRESENCE)
    sheet.text("intensity", 40, top + 42, INTENSITY)
    sheet.text("style", 40, base + 15, INK)
    for one in _within(made.styles, strip):
        _block(sheet, one, strip, base)
    for index, name in enumerate(made.rules):
        _lane(sheet, made, strip, name, base + LANE * (index + 1), COLOURS[index % len(COLOURS)])


def _lane(sheet: Sheet, made: Simulation, strip: Strip, name: str, top: int, colour: Colour) -> None:
    """One trigger: bars while it stood, a mark for each time that it fired."""
    red, green, blue = (int(0.6 * c + 0.4 * f) for c, f in zip(colour, FIELD, strict=True))
    sheet.text(name, 40, top + 15, colour)
    for one in _within([one for one in made.stood if one.what == name], strip):
        left, right = sheet.x(one.begin_s, strip), sheet.x(one.end_s, strip)
        sheet.box(left, top + 5, right, top + 15, (red, green, blue))
    begin = made.begin.timestamp()
    for firing in made.fired(name):
        at_s = firing.event.wall_s - begin
        if strip.begin_s <= at_s < strip.end_s:
            across = sheet.x(at_s, strip)
            sheet.box(across - 0.5, top + 2, across + 0.5, top + 18, colour)


def _hours(sheet: Sheet, made: Simulation, strip: Strip, top: int, bottom: int) -> None:
    """Lines at full hours of the local clock, or at finer or coarser marks where the strip is shorter."""
    span_s = strip.end_s - strip.begin_s
    step_s = next((s for s in STEPS_S if span_s / s <= 16), STEPS_S[-1])
    begin = made.begin.timestamp()
    first = made.at(begin + strip.begin_s)
    past_s = first.hour * 3600 + first.minute * 60 + first.second
    at_s = strip.begin_s - past_s % step_s
    while at_s <= strip.end_s:
        if at_s >= strip.begin_s:
            across, local = sheet.x(at_s, strip), made.at(begin + at_s)
            sheet.box(across - 0.5, top, across + 0.5, bottom, RULE)
            words = f"{local:%H:%M}"
            sheet.text(words, across - sheet.width(words, 0.5) / 2, bottom + 13, DIM, 0.5)
        at_s += step_s


def _curves(sheet: Sheet, made: Simulation, strip: Strip, top: int) -> None:
    floor, tall = top + CURVE - 4, CURVE - 10

    def points(name: str) -> Iterator[tuple[float, float]]:
        for index, value in enumerate(made.curves.get(name, ())):
            at_s = index * SAMPLE_S
            if value is not None and strip.begin_s <= at_s < strip.end_s:
                yield at_s, floor - tall * min(max(value, 0.0), 1.0)

    for at_s, down in points("presence"):
        sheet.box(sheet.x(at_s, strip), down, sheet.x(at_s + SAMPLE_S, strip), floor, PRESENCE)
    sheet.curve([(sheet.x(at_s, strip), down) for at_s, down in points("intensity")], INTENSITY)


def _block(sheet: Sheet, one: Stretch, strip: Strip, base: int) -> None:
    """A style that was chosen, with its name where there is room."""
    left, right = sheet.x(one.begin_s, strip), sheet.x(one.end_s, strip)
    colour = COLOURS[sum(one.what.encode()) % len(COLOURS)] if right - left >= NARROW else PASSING
    sheet.box(left, base + 3, right, base + 17, colour)
    if right - left > sheet.width(one.what, 0.5) + 8:
        sheet.text(one.what, left + 4, base + 14, GROUND, 0.5)


def _within(stretches: Sequence[Stretch], strip: Strip) -> Iterator[Stretch]:
    return (one for one in stretches if one.begin_s < strip.end_s and one.end_s > strip.begin_s)
