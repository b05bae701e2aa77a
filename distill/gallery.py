"""Sheets of what the painters make of held-out structures: one for each, structures across, seeds down."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

import cv2
import numpy as np

from vivant.distill.structures import held_out
from vivant.distill.teachers import paint
from vivant.runtime.frames import U8, VivantError

MARGIN: Final = 1 / 24  # of a picture's side, around each
PAPER: Final = 246
INK: Final = 60


def sheet(rows: Sequence[Sequence[U8]], caption: str) -> U8:
    """Pictures u8 (S, S, 3) on one sheet u8 (H, W, 3), with thin margins and a caption below."""
    side = rows[0][0].shape[0]
    margin = max(2, round(MARGIN * side))
    step = side + margin
    height, width = len(rows) * step + 3 * margin, max(map(len, rows)) * step + margin
    made: U8 = np.full((height, width, 3), PAPER, np.uint8)
    for i, row in enumerate(rows):
        for k, picture in enumerate(row):
            top, left = margin + i * step, margin + k * step
            made[top : top + side, left : left + side] = picture
    tall = margin / 22  # Hershey letters are 22 px high at scale 1
    place = (margin, height - margin)
    cv2.putText(made, caption, place, cv2.FONT_HERSHEY_DUPLEX, tall, (INK,) * 3, 1, cv2.LINE_AA)
    return made


def write_png(path: Path, pixels: U8) -> None:
    """Write u8 (H, W, 3) sRGB. Raises VivantError when the file cannot be written."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if not cv2.imwrite(str(path), cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR)):
        raise VivantError(f"{path} cannot be written as a picture. Give --out a writable folder")


def hang(
    styles: Sequence[str],
    size_px: int,
    seeds: int,
    out: Path,
    clip: Path | None = None,
    told: Callable[[str], None] = lambda style: None,
) -> Iterator[Path]:
    """Paint and write one sheet after the other; `told` hears of each picture that is done."""
    structures = held_out(size_px, clip)
    for style in styles:
        rows = [list(structures.values()), *painted(structures, style, seeds, told)]
        path = out / f"{style}.png"
        write_png(path, sheet(rows, style))
        yield path


def painted(
    structures: Mapping[str, U8], style: str, seeds: int, told: Callable[[str], None]
) -> Iterator[list[U8]]:
    """For each seed, the pictures u8 (S, S, 3) of all structures."""
    for seed in range(seeds):
        row = []
        for structure in structures.values():
            row.append(paint(style, structure, seed).picture)
            told(style)
        yield row
