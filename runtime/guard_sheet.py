"""What was found as a probe was fitted: histograms of scores, and the views nearest the threshold."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np

from vivant.guardrails.probe_fit import NEAREST, THUMB_PX, Fit, Near
from vivant.runtime.flash_chart import DIM, LIGHT, PLOT_PX, TOO_MANY, Sheet
from vivant.runtime.frames import F32
from vivant.runtime.sheet import INK, picture_png

TOP_PX: Final = 70
PLOT_HIGH_PX: Final = 150
ROW_PX: Final = THUMB_PX + 46
KIND_PX: Final = PLOT_HIGH_PX + 60 + 2 * ROW_PX
BINS: Final = 120
PASSES: Final = (124, 168, 134)


def guard_sheet(fit: Fit, title: str, path: Path) -> None:
    """Write the sheet as a PNG. Raises VivantError when the path cannot be written."""
    sheet = Sheet(TOP_PX + KIND_PX * len(fit.kinds) + 30)
    sheet.text(PLOT_PX[0], 38, title, 0.62)
    for index, kind in enumerate(fit.kinds):
        top = TOP_PX + index * KIND_PX
        threshold = float(fit.thresholds[index])
        histogram(sheet, kind, fit.approved[:, index] - threshold, fit.forbidden[kind] - threshold, top)
        for row, (forbidden, what) in enumerate(((False, "approved, nearest to being held"),
                                                 (True, "forbidden, nearest to passing"))):  # fmt: skip
            near = [one for one in fit.near if one.kind == kind and one.forbidden is forbidden]
            pictures(sheet, what, near, top + PLOT_HIGH_PX + 46 + row * ROW_PX)
    picture_png(sheet.pixels(), path)


def histogram(sheet: Sheet, kind: str, approved: F32, forbidden: F32, top: int) -> None:
    """Both sides of one kind's threshold, as shares of each, on a root scale so that single views show."""
    base, width = top + PLOT_HIGH_PX, PLOT_PX[1] - PLOT_PX[0]
    both = np.concatenate([approved, forbidden])
    low, high = float(both.min()), max(float(both.max()), 0.1)
    edges = np.linspace(low, high, BINS + 1)
    for values, colour in ((approved, PASSES), (forbidden, TOO_MANY)):
        shares = np.sqrt(np.histogram(values, edges)[0] / max(len(values), 1))
        for index, share in enumerate(shares / max(float(shares.max()), 1e-9)):
            if share > 0:
                left = PLOT_PX[0] + index * width / BINS
                sheet.box(left, base - share * (PLOT_HIGH_PX - 24), left + width / BINS / 2, base, colour)
    sheet.box(PLOT_PX[0], base, PLOT_PX[1], base + 1, DIM)
    line = PLOT_PX[0] + (0.0 - low) / (high - low) * width
    sheet.box(line, top, line + 1, base + 8, INK)
    sheet.text(line + 8, top + 12, "held from here", 0.42, LIGHT)
    sheet.text(20, top + 20, kind, 0.55)
    sheet.text(20, top + 44, f"approved {len(approved)}", 0.4, PASSES)
    sheet.text(20, top + 62, f"forbidden {len(forbidden)}", 0.4, TOO_MANY)


def pictures(sheet: Sheet, what: str, near: Sequence[Near], top: int) -> None:
    """A row of views with how far beyond the threshold each was."""
    sheet.text(20, top + 14, what.split(", ")[0], 0.42, LIGHT)
    sheet.text(20, top + 32, what.split(", ")[1], 0.36, LIGHT)
    for index, one in enumerate(near[:NEAREST]):
        left = PLOT_PX[0] + 40 + index * (THUMB_PX + 30)
        sheet.lay(left, top, one.pixels)
        colour = TOO_MANY if one.beyond > 0 else PASSES
        word = "held" if one.beyond > 0 else "passed"
        sheet.text(left, top + THUMB_PX + 18, f"{word} {one.beyond:+.1f}", 0.4, colour)
