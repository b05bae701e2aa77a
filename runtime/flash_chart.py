"""The timeline of a film's flashes as one picture: its light, and the flashes that each second held."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import numpy as np

from vivant.guardrails.flash import MOST_TRANSITIONS
from vivant.guardrails.flash_film import Analysis
from vivant.runtime.frames import F32, U8
from vivant.runtime.sheet import GROUND, INK, picture_png

WIDTH_PX: Final = 1400
PLOT_PX: Final = (150, 1350)  # from left to right
LIGHT_PX: Final = 150
KIND_PX: Final = 100
GAP_PX: Final = 34
TOP_PX: Final = 70
BOTTOM_PX: Final = 56
SCALE: Final = 3  # drawn so much larger and brought down, so that lines and type are smooth
LEAST_TOP: Final = 6.0  # flashes a second that a row has room for
DIM: Final = (96, 91, 85)
LIGHT: Final = (148, 141, 130)
FLASHES: Final = (222, 178, 98)
TOO_MANY: Final = (206, 84, 66)

Colour = tuple[int, int, int]


class Sheet:
    """A drawing surface in whole picture pixels, SCALE times as fine inside."""

    def __init__(self, height_px: int) -> None:
        self._pixels: U8 = np.full((height_px * SCALE, WIDTH_PX * SCALE, 3), GROUND, np.uint8)

    def box(self, left: float, top: float, right: float, bottom: float, colour: Colour) -> None:
        rows = slice(round(top * SCALE), max(round(top * SCALE) + 1, round(bottom * SCALE)))
        columns = slice(round(left * SCALE), max(round(left * SCALE) + 1, round(right * SCALE)))
        self._pixels[rows, columns] = colour

    def text(self, left: float, base: float, text: str, size: float = 0.5, colour: Colour = INK) -> None:
        import cv2

        origin = (round(left * SCALE), round(base * SCALE))
        cv2.putText(
            self._pixels, text, origin, cv2.FONT_HERSHEY_SIMPLEX, size * SCALE, colour, SCALE, cv2.LINE_AA
        )

    def lay(self, left: int, top: int, picture: U8) -> None:
        """A picture u8 (h, w, 3), a pixel of it to a pixel of the sheet."""
        large = picture.repeat(SCALE, 0).repeat(SCALE, 1)
        rows = slice(top * SCALE, top * SCALE + large.shape[0])
        self._pixels[rows, left * SCALE : left * SCALE + large.shape[1]] = large

    def pixels(self) -> U8:
        import cv2

        size = (WIDTH_PX, self._pixels.shape[0] // SCALE)
        made: U8 = cv2.resize(self._pixels, size, interpolation=cv2.INTER_AREA)
        return made


def flash_timeline(analysis: Analysis, title: str, path: Path) -> None:
    """Write the timeline as a PNG. Raises VivantError when the path cannot be written."""
    kinds = list(analysis.moments[0].transitions)
    bottom = TOP_PX + LIGHT_PX + len(kinds) * (GAP_PX + KIND_PX)
    sheet = Sheet(bottom + BOTTOM_PX)
    verdict = "passes" if analysis.passes else "does not pass"
    sheet.text(PLOT_PX[0], 38, f"{title}: {verdict}", 0.62, INK if analysis.passes else TOO_MANY)
    at_s = np.array([moment.at_s for moment in analysis.moments])
    light = columns_of(at_s, np.array([moment.luminance for moment in analysis.moments], np.float32))
    sheet.text(20, TOP_PX + LIGHT_PX, "light")
    draw_row(sheet, light, 1.0, TOP_PX, LIGHT_PX, LIGHT)
    for index, kind in enumerate(kinds):
        top = TOP_PX + LIGHT_PX + GAP_PX + index * (GAP_PX + KIND_PX)
        flashes = [moment.transitions[kind] / 2 for moment in analysis.moments]
        draw_kind(sheet, kind, columns_of(at_s, np.array(flashes, np.float32)), top)
    draw_seconds(sheet, float(at_s[0]), float(at_s[-1]), bottom)
    picture_png(sheet.pixels(), path)


def columns_of(at_s: np.ndarray, values: F32) -> F32:
    """The greatest value within each column of the plot; one without any repeats the one before."""
    width = PLOT_PX[1] - PLOT_PX[0]
    length_s = max(float(at_s[-1] - at_s[0]), 1e-3)
    place = np.minimum(((at_s - at_s[0]) / length_s * width).astype(int), width - 1)
    found = np.full(width, -1.0, np.float32)
    np.maximum.at(found, place, values)
    last = np.maximum.accumulate(np.where(found >= 0, np.arange(width), 0))
    return found[last]


def draw_row(sheet: Sheet, values: F32, full: float, top: int, height_px: int, colour: Colour) -> None:
    """Columns standing on a base line; `full` fills the row."""
    base = top + height_px
    for index, value in enumerate(values):
        if value > 0:
            left = PLOT_PX[0] + index
            sheet.box(left, base - height_px * min(1.0, float(value) / full), left + 1, base, colour)
    sheet.box(PLOT_PX[0], base, PLOT_PX[1], base + 1, DIM)


def draw_kind(sheet: Sheet, kind: str, flashes: F32, top: int) -> None:
    """One kind's flashes of the second before each moment, with the line that they must not cross."""
    most = MOST_TRANSITIONS / 2
    full = max(LEAST_TOP, float(flashes.max()))
    draw_row(sheet, flashes, full, top, KIND_PX, FLASHES)
    draw_row(sheet, np.where(flashes > most, flashes, 0).astype(np.float32), full, top, KIND_PX, TOO_MANY)
    line = top + KIND_PX * (1.0 - most / full)
    sheet.box(PLOT_PX[0], line, PLOT_PX[1], line + 1, INK)
    sheet.text(20, top + KIND_PX, kind)
    sheet.text(PLOT_PX[0] - 26, line + 5, f"{most:.0f}", 0.45, LIGHT)
    sheet.text(20, top + KIND_PX - 24, f"{float(flashes.max()):g} a second", 0.42, LIGHT)


def draw_seconds(sheet: Sheet, first_s: float, last_s: float, bottom: int) -> None:
    """Ticks at whole seconds, at most about a dozen."""
    length_s = max(last_s - first_s, 1e-3)
    step = next(one for one in (1, 2, 5, 10, 30, 60, 300, 600, 3600) if length_s / one <= 14 or one == 3600)
    for second in range(int(-(-first_s // step) * step), int(last_s) + 1, step):
        left = PLOT_PX[0] + (second - first_s) / length_s * (PLOT_PX[1] - PLOT_PX[0])
        sheet.box(left, bottom + 6, left + 1, bottom + 12, DIM)
        sheet.text(left - 4, bottom + 32, f"{second} s", 0.45, LIGHT)
