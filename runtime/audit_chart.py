"""A day of the audit log: counted, and drawn as one picture, with the pictures that it kept."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Final

import numpy as np

from vivant.runtime.audit import Line
from vivant.runtime.flash_chart import DIM, LIGHT, PLOT_PX, TOO_MANY, Colour, Sheet
from vivant.runtime.frames import U8
from vivant.runtime.sheet import INK, picture_png

TOP_PX: Final = 70
ROW_PX: Final = 46
MARK_PX: Final = 22
FOOT_PX: Final = 50
SHOWN: Final = 12  # kept pictures: spread over the day
ACROSS: Final = 6
CELL_PX: Final = (200, 236)  # of a picture and its words
LONGEST_WORDS: Final = 26
HOURS: Final = 24
COLOURS: Final[dict[str, Colour]] = {
    "hold": TOO_MANY,
    "soften": (222, 178, 98),
    "restart": TOO_MANY,
    "panic": TOO_MANY,
    "critic": TOO_MANY,
    "adapter refused": (222, 178, 98),
    "adapter quarantined": (222, 178, 98),
}
PLAIN: Final[Colour] = (124, 150, 168)


def row_of(line: Line) -> str:
    """Which row of the picture a line belongs to: a verdict's judgement, a panic, what became
    of an adapter, else what it is."""
    if line["what"] == "verdict":
        return str(line.get("judgement", "verdict"))
    if line["what"] == "operator" and str(line.get("address", "")).startswith("/vivant/panic"):
        return "panic"
    if line["what"] == "adapter":
        return f"adapter {line.get('state', '')}".strip()
    return str(line["what"])


def totals(lines: Sequence[Line]) -> Counter[str]:
    """How often each row's thing happened; a line may stand for several."""
    found: Counter[str] = Counter()
    for line in lines:
        count = line.get("count", 1)
        found[row_of(line)] += count if isinstance(count, int) else 1
    return found


def reasons(lines: Sequence[Line]) -> Counter[str]:
    """Why verdicts were not PASS, without what differs from one to the next."""
    found: Counter[str] = Counter()
    for line in lines:
        if line["what"] == "verdict":
            found[str(line.get("reason", "")).split(":")[0]] += int(line.get("count", 1))
    return found


def day_chart(lines: Sequence[Line], day: datetime, path: Path, folder: Path | None = None) -> None:
    """Write the day as a PNG, a row for each kind of thing, and below what was kept of pictures in the log's
    `folder`. Raises VivantError for a bad path."""
    found = totals(lines)
    rows = sorted(found, key=lambda row: (row not in COLOURS, row))
    kept = [] if folder is None else kept_pictures(lines, folder)
    bands = -(-len(kept) // ACROSS)
    sheet = Sheet(TOP_PX + max(1, len(rows)) * ROW_PX + FOOT_PX + bands * CELL_PX[1])
    scenes = ", ".join(sorted({str(line.get("scene", "")) for line in lines}))
    sheet.text(PLOT_PX[0], 38, f"{day:%A, %d %B %Y}: {scenes}", 0.62)
    width, base = PLOT_PX[1] - PLOT_PX[0], TOP_PX + len(rows) * ROW_PX
    for hour in range(HOURS + 1):
        left = PLOT_PX[0] + hour / HOURS * width
        sheet.box(left, TOP_PX - 10, left + 1, base, (58, 55, 51))
        if hour % 2 == 0:
            sheet.text(left - 8, base + 26, f"{hour:02d}", 0.45, LIGHT)
    midnight = day.replace(hour=0, minute=0, second=0, microsecond=0).timestamp()
    for index, row in enumerate(rows):
        top = TOP_PX + index * ROW_PX
        sheet.text(20, top + MARK_PX, row, 0.5)
        sheet.text(20, top + MARK_PX + 16, str(found[row]), 0.4, LIGHT)
        sheet.box(PLOT_PX[0], top + MARK_PX + 6, PLOT_PX[1], top + MARK_PX + 7, DIM)
        for line in lines:
            if row_of(line) == row:
                left = PLOT_PX[0] + min(max((line["wall_s"] - midnight) / 86400, 0.0), 1.0) * width
                sheet.box(left - 0.7, top, left + 0.7, top + MARK_PX + 6, COLOURS.get(row, PLAIN))
    if not rows:
        sheet.text(PLOT_PX[0], TOP_PX + 20, "nothing but PASS", 0.5, INK)
    for index, (line, pixels) in enumerate(kept):
        left = PLOT_PX[0] + index % ACROSS * CELL_PX[0]
        draw_kept(sheet, line, pixels, left, base + FOOT_PX + index // ACROSS * CELL_PX[1])
    picture_png(sheet.pixels(), path)


def kept_pictures(lines: Sequence[Line], folder: Path) -> list[tuple[Line, U8]]:
    """At most SHOWN lines of a day with their pictures, from the first to the last; those that were deleted
    since are left out."""
    import cv2

    there = [line for line in lines if "picture" in line and (folder / str(line["picture"])).is_file()]
    step = max(1.0, len(there) / SHOWN)
    chosen = [there[int(index * step)] for index in range(min(SHOWN, len(there)))]
    read = ((line, cv2.imread(str(folder / str(line["picture"])))) for line in chosen)
    return [(line, np.ascontiguousarray(found[..., ::-1])) for line, found in read if found is not None]


def draw_kept(sheet: Sheet, line: Line, pixels: U8, left: int, top: int) -> None:
    """A picture with when and why it was kept."""
    sheet.lay(left, top, pixels)
    why = str(line.get("reason") or line.get("label", ""))
    words = f"{str(line.get('time', ''))[11:19]} {row_of(line)}"
    sheet.text(left, top + pixels.shape[0] + 16, words, 0.4)
    sheet.text(left, top + pixels.shape[0] + 32, why[:LONGEST_WORDS], 0.36, LIGHT)
