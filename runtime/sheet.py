"""Contact sheets and single pictures as PNG files, for a person to look at."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np

from vivant.engines.manifest import write_atomically
from vivant.runtime.frames import U8, VivantError

GROUND: Final = (44, 41, 38)  # a dark, warm grey
INK: Final = (196, 188, 176)
ACROSS: Final = 4  # columns beside each other; more go below, so that a sheet fits a screen
CELL_PX: Final = 320  # the width of a column
MARGIN_PX: Final = 40
GUTTER_PX: Final = 16
LABEL_PX: Final = 44
LABEL_SCALE: Final = 4  # labels are drawn so much larger and brought down: small type stays even


def contact_sheet(
    columns: Sequence[tuple[U8, U8]],
    path: Path,
    *,
    seconds: Sequence[float] = (),
    captions: Sequence[str] = (),
) -> None:
    """Write a PNG of (input u8 (h, w, 3), output u8 (H, W, 3 or 4)) pairs: each input above its output,
    labelled with `seconds` or `captions` where given. Raises ValueError for no columns, VivantError for a bad
    path."""
    if not columns:
        raise ValueError("a contact sheet needs at least one column")
    texts = captions or [f"{at_s:.1f} s" for at_s in seconds]
    cells = [(resized(above), resized(below)) for above, below in columns]
    above_px, below_px = (max(pair[row].shape[0] for pair in cells) for row in (0, 1))
    band_px = above_px + GUTTER_PX + below_px + LABEL_PX
    bands, across = -(-len(cells) // ACROSS), min(ACROSS, len(cells))
    width = 2 * MARGIN_PX + across * (CELL_PX + GUTTER_PX) - GUTTER_PX
    sheet = np.full((MARGIN_PX + bands * (band_px + GUTTER_PX), width, 3), GROUND, np.uint8)
    for index, (above, below) in enumerate(cells):
        left = MARGIN_PX + index % ACROSS * (CELL_PX + GUTTER_PX)
        middle = MARGIN_PX + index // ACROSS * (band_px + GUTTER_PX) + above_px
        lay(sheet, above, left, middle - above.shape[0])
        lay(sheet, below, left, middle + GUTTER_PX)
        if index < len(texts):
            lay(sheet, label(texts[index]), left, middle + GUTTER_PX + below_px)
    picture_png(sheet, path)


def picture_png(pixels: U8, path: Path) -> None:
    """Write u8 (H, W, 3 or 4) RGB or RGBA, top row first; the file is there whole or not at all.

    Raises VivantError when the path cannot be written.
    """
    import cv2

    order = cv2.COLOR_RGBA2BGRA if pixels.shape[2] == 4 else cv2.COLOR_RGB2BGR
    encoded, data = cv2.imencode(".png", cv2.cvtColor(np.ascontiguousarray(pixels), order))
    if not encoded:
        raise ValueError(f"{pixels.dtype} {pixels.shape} cannot be written as PNG")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, data.tobytes())
    except OSError as error:
        raise VivantError(f"Cannot write {path}: {error.strerror}. Choose another folder.") from error


def resized(pixels: U8) -> U8:
    """The picture u8 (H, W, 3) at the width of a column."""
    import cv2

    height = max(1, round(pixels.shape[0] * CELL_PX / pixels.shape[1]))
    way = cv2.INTER_AREA if pixels.shape[1] > CELL_PX else cv2.INTER_CUBIC
    cell: U8 = cv2.resize(np.ascontiguousarray(pixels[..., :3]), (CELL_PX, height), interpolation=way)
    return cell


def label(text: str, scale: float = 0.5, ink: tuple[int, int, int] = INK) -> U8:
    """A line of small type on the ground, u8 (LABEL_PX, CELL_PX, 3)."""
    import cv2

    size = (CELL_PX * LABEL_SCALE, LABEL_PX * LABEL_SCALE)
    line = np.full((size[1], size[0], 3), GROUND, np.uint8)
    origin = (2 * LABEL_SCALE, round(size[1] * 0.62))
    font, size_of = cv2.FONT_HERSHEY_SIMPLEX, scale * LABEL_SCALE
    cv2.putText(line, text, origin, font, size_of, ink, round(2.5 * size_of), cv2.LINE_AA)
    small: U8 = cv2.resize(line, (CELL_PX, LABEL_PX), interpolation=cv2.INTER_AREA)
    return small


def lay(sheet: U8, cell: U8, left: int, top: int) -> None:
    sheet[top : top + cell.shape[0], left : left + cell.shape[1]] = cell
