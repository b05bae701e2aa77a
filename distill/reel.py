"""What a student's motion looks like, for people: a film and a sheet, teacher and student side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import cv2
import numpy as np

from vivant.distill.gallery import INK, PAPER
from vivant.runtime.frames import U8

TILE_PX = 160
COLUMNS = 4  # moments of each style on a sheet
APART = 3  # frames from one moment to the next
GAP_PX = 6
STYLE_GAP_PX = 16
LABEL_PX = 104
CAPTION_PX = 40
BETWEEN_PX = 8  # panels of a film
Row = tuple[U8, U8, U8]  # what the student was given, the teacher's picture and the student's, (S, S, 3)


def film(rows_by_style: Mapping[str, Sequence[Row]]) -> list[U8]:
    """Style after style, u8 (H, W, 3) with even sides: given, teacher and student beside each other, and
    their names below."""
    shown = []
    for style, rows in rows_by_style.items():
        side = rows[0][0].shape[0]
        width = 3 * side + 4 * BETWEEN_PX
        ground: U8 = np.full((side + BETWEEN_PX + CAPTION_PX, width, 3), PAPER, np.uint8)
        for i, name in enumerate(("camera", f"{style}: teacher", f"{style}: student, INT8")):
            write(ground, name, (BETWEEN_PX + i * (side + BETWEEN_PX), side + BETWEEN_PX + 26), 0.5)
        for row in rows:
            picture = ground.copy()
            for i, panel in enumerate(row):
                left = BETWEEN_PX + i * (side + BETWEEN_PX)
                picture[BETWEEN_PX : BETWEEN_PX + side, left : left + side] = panel
            shown.append(picture[: picture.shape[0] // 2 * 2, : width // 2 * 2])
    return shown


def sheet(rows_by_style: Mapping[str, Sequence[Row]], caption: str) -> U8:
    """Moments a few frames apart from left to right, u8 (H, W, 3): the camera, then of each style the teacher
    and below it the student; styles in two halves beside each other."""
    styles = list(rows_by_style)
    middle = -(-len(styles) // 2)
    halves = [
        _half({style: rows_by_style[style] for style in some}) for some in (styles[:middle], styles[middle:])
    ]
    height = max(half.shape[0] for half in halves)
    padded = [
        cv2.copyMakeBorder(half, 0, height - half.shape[0], 0, 0, cv2.BORDER_CONSTANT, value=(PAPER,) * 3)
        for half in halves
        if half.size
    ]
    made = np.hstack(padded)
    foot: U8 = np.full((CAPTION_PX, made.shape[1], 3), PAPER, np.uint8)
    write(foot, caption, (STYLE_GAP_PX, CAPTION_PX - 12), 0.5)
    return np.vstack([made, foot])


def write(ground: U8, words: str, place: tuple[int, int], tall: float) -> None:
    """Write words on a picture, their lower left corner at `place`."""
    cv2.putText(ground, words, place, cv2.FONT_HERSHEY_DUPLEX, tall, (INK,) * 3, 1, cv2.LINE_AA)


def moments(count: int) -> list[int]:
    """Which of `count` frames a sheet shows: some in the middle, APART frames from each other where there
    are so many."""
    apart = max(1, min(APART, (count - 1) // (COLUMNS - 1)))
    first = max(0, (count - 1 - apart * (COLUMNS - 1)) // 2)
    return [min(first + apart * k, count - 1) for k in range(COLUMNS)]


def _half(rows_by_style: Mapping[str, Sequence[Row]]) -> U8:
    if not rows_by_style:
        return np.empty((0, 0, 3), np.uint8)
    first = next(iter(rows_by_style.values()))
    strips = [_strip(first, 0, "camera")]
    for style, rows in rows_by_style.items():
        strips += [
            _space(STYLE_GAP_PX),
            _strip(rows, 1, style, "teacher"),
            _space(GAP_PX),
            _strip(rows, 2, "", "student"),
        ]
    return np.vstack([_space(STYLE_GAP_PX), *strips])


def _width() -> int:
    return LABEL_PX + COLUMNS * (TILE_PX + GAP_PX) + STYLE_GAP_PX


def _space(height: int) -> U8:
    return np.full((height, _width(), 3), PAPER, np.uint8)


def _strip(rows: Sequence[Row], which: int, *words: str) -> U8:
    strip = _space(TILE_PX)
    for line, word in enumerate(words):
        write(strip, word, (STYLE_GAP_PX, 18 + 20 * line), 0.46)
    for k, moment in enumerate(moments(len(rows))):
        left = LABEL_PX + k * (TILE_PX + GAP_PX)
        tile = cv2.resize(rows[moment][which], (TILE_PX, TILE_PX), interpolation=cv2.INTER_AREA)
        strip[:, left : left + TILE_PX] = tile
    return strip


def write_film(path: Path, pictures: Sequence[U8], fps: float = 15) -> None:
    """An mp4 (H.264) of pictures u8 (H, W, 3), even sides."""
    from fractions import Fraction

    import av

    path.parent.mkdir(parents=True, exist_ok=True)
    height, width = pictures[0].shape[:2]
    with av.open(str(path), "w") as opened:
        stream = opened.add_stream("libx264", rate=Fraction(fps).limit_denominator(1001))
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        stream.options = {"crf": "16", "preset": "fast"}
        for picture in pictures:
            opened.mux(
                stream.encode(av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="rgb24"))
            )
        opened.mux(stream.encode())
