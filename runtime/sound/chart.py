"""What is heard of a recording, as one picture: loudness by bands, strokes, beats and the tempo."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import numpy as np

from vivant.runtime.flash_chart import DIM, LIGHT, PLOT_PX, Colour, Sheet, columns_of, draw_row, draw_seconds
from vivant.runtime.frames import F32
from vivant.runtime.sheet import picture_png
from vivant.runtime.sound.impression import Impression

TOP_PX, ROW_PX, MARKS_PX, GAP_PX, FOOT_PX = 84, 90, 42, 26, 56
ROWS: Final[tuple[tuple[str, Colour], ...]] = (
    ("loudness", (188, 180, 166)),
    ("low", (206, 122, 82)),
    ("mid", (170, 164, 96)),
    ("high", (104, 158, 178)),
)
STRUCK: Final[Colour] = (222, 178, 98)
BEAT: Final[Colour] = (236, 232, 222)
MOST_BPM: Final = 210.0


def sound_chart(heard: Impression, name: str, path: Path) -> None:
    """Write it as a PNG. Raises VivantError for a bad path."""
    height = TOP_PX + len(ROWS) * (ROW_PX + GAP_PX) + 2 * (MARKS_PX + GAP_PX) + ROW_PX + FOOT_PX
    sheet = Sheet(height)
    known = heard.bpm[heard.bpm > 0]
    tempo = f"{float(np.median(known)):.1f} beats a minute" if len(known) else "no beat"
    sheet.text(PLOT_PX[0], 42, f"{name}: {tempo}", 0.62)
    top = TOP_PX
    for index, (word, colour) in enumerate(ROWS):
        sheet.text(20, top + ROW_PX, word)
        draw_row(sheet, columns_of(heard.at_s, heard.shares[:, index]), 1.0, top, ROW_PX, colour)
        top += ROW_PX + GAP_PX
    for word, times, colour in (("strokes", heard.onsets_s, STRUCK), ("beats", heard.beats_s, BEAT)):
        sheet.text(20, top + MARKS_PX - 12, word)
        sheet.text(20, top + MARKS_PX + 4, str(len(times)), 0.42, LIGHT)
        draw_marks(sheet, np.array(times, np.float32), heard.at_s, top, colour)
        top += MARKS_PX + GAP_PX
    sheet.text(20, top + ROW_PX, "bpm")
    draw_row(sheet, columns_of(heard.at_s, heard.bpm), MOST_BPM, top, ROW_PX, (116, 128, 112))
    for bpm in (60, 120, 180):
        line = top + ROW_PX * (1.0 - bpm / MOST_BPM)
        sheet.box(PLOT_PX[0], line, PLOT_PX[1], line + 1, DIM)
        sheet.text(PLOT_PX[0] - 36, line + 5, str(bpm), 0.42, LIGHT)
    draw_seconds(sheet, float(heard.at_s[0]), float(heard.at_s[-1]), top + ROW_PX)
    picture_png(sheet.pixels(), path)


def draw_marks(sheet: Sheet, times_s: F32, at_s: F32, top: int, colour: Colour) -> None:
    """A line for each time."""
    length_s = max(float(at_s[-1] - at_s[0]), 1e-3)
    for time_s in times_s:
        left = PLOT_PX[0] + (float(time_s) - float(at_s[0])) / length_s * (PLOT_PX[1] - PLOT_PX[0])
        sheet.box(left - 0.8, top, left + 0.8, top + MARKS_PX, colour)
    sheet.box(PLOT_PX[0], top + MARKS_PX, PLOT_PX[1], top + MARKS_PX + 1, DIM)
