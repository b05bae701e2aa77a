"""A day of the audit log: counted, and drawn as one picture."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Final

from vivant.runtime.audit import Line
from vivant.runtime.flash_chart import DIM, LIGHT, PLOT_PX, TOO_MANY, Colour, Sheet
from vivant.runtime.sheet import INK, picture_png

TOP_PX: Final = 70
ROW_PX: Final = 46
MARK_PX: Final = 22
FOOT_PX: Final = 50
HOURS: Final = 24
COLOURS: Final[dict[str, Colour]] = {
    "hold": TOO_MANY,
    "soften": (222, 178, 98),
    "restart": TOO_MANY,
    "panic": TOO_MANY,
}
PLAIN: Final[Colour] = (124, 150, 168)


def row_of(line: Line) -> str:
    """Which row of the picture a line belongs to: a verdict's judgement, a panic, else what it is."""
    if line["what"] == "verdict":
        return str(line.get("judgement", "verdict"))
    if line["what"] == "operator" and str(line.get("address", "")).startswith("/vivant/panic"):
        return "panic"
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


def day_chart(lines: Sequence[Line], day: datetime, path: Path) -> None:
    """Write the day as a PNG, a row for each kind of thing. Raises VivantError for a bad path."""
    found = totals(lines)
    rows = sorted(found, key=lambda row: (row not in COLOURS, row))
    sheet = Sheet(TOP_PX + max(1, len(rows)) * ROW_PX + FOOT_PX)
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
    picture_png(sheet.pixels(), path)
