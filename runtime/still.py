"""Keeps a picture still where nothing that it was painted from changed.

An INT8 student rounds anew all over the picture when anything moves in it: measured on footage, students
flickered up to 1.6 times as much as their teachers, in float 0.9 to 1.1 times. Where latent and planes stand,
successive pictures differ by that rounding alone, so their mean is nearer to what was meant than any.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import cv2
import numpy as np

from vivant.engines.slots import block
from vivant.runtime.frames import F32, U8, Array, Controls, Latent

SHARE: Final = 0.06  # of the newest picture in the mean, at full smoothing; a quarter at half
CODE_MOVED: Final = 0.3  # of a code of unit variance, in any channel
GUIDE_MOVED: Final = 0.006  # of luma in [0, 1], the mean of a cell
REACH: Final = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (5, 5))  # a decoder sees two cells far
WORD: Final = 8  # bytes that are compared in one piece
CARRIED: Final = slice(block("canvas").stop // WORD, block("form").start // WORD)
CELL: Final = 4  # blocks of planes, and values of the guide, to a value of the code


class Still:
    """For one size of picture. One thread; what it gives is its own and valid until the next call."""

    def __init__(self) -> None:
        self._held: U8 | None = None
        self._code: F32 | None = None
        self._guide: F32 | None = None
        self._planes: Array | None = None
        self._asked: tuple[Mapping[str, float], Mapping[str, float]] | None = None

    def keep(self, picture: U8, latent: Latent, planes: U8 | None, controls: Controls, smooth: float) -> U8:
        """The picture u8 (H, W, 4), painted from `latent` and `planes`; averaged with those before it in
        cells whose latent and planes did not change, and as it is everywhere else. `smooth` in [0, 1]
        scales how many are averaged; 0 takes every picture as it is, and so does a change of style."""
        if smooth <= 0.0:
            self.forget()
            return picture
        moved = self._moved(latent, planes)
        asked = (controls.styles, controls.adapters)
        if moved is None or self._held is None or asked != self._asked:
            self._asked, self._held = asked, picture.copy()
            return self._held
        height, width = picture.shape[:2]
        mask = cv2.resize(moved, (width, height), interpolation=cv2.INTER_NEAREST)
        share = SHARE**smooth
        cv2.addWeighted(picture, share, self._held, 1.0 - share, 0.0, self._held)
        cv2.copyTo(picture, mask, self._held)
        return self._held

    def forget(self) -> None:
        """Take the next picture as it is."""
        self._held = self._code = self._guide = self._planes = self._asked = None

    def _moved(self, latent: Latent, planes: U8 | None) -> U8 | None:
        """Which cells of the code (h, w) are painted from something else than last time; None at first."""
        code = latent.code[0]
        guide = None if latent.guide is None else latent.guide[0, 0]
        carried = None if planes is None else _words(planes)
        found = None
        if self._code is not None:
            moved = np.abs(code - self._code).max(0) > CODE_MOVED
            if guide is not None and self._guide is not None:
                size = (code.shape[2], code.shape[1])
                apart = cv2.resize(cv2.absdiff(guide, self._guide), size, interpolation=cv2.INTER_AREA)
                moved |= apart > GUIDE_MOVED
            if carried is not None and self._planes is not None:
                moved |= (carried != self._planes).any(-1)
            found = np.asarray(cv2.dilate(moved.view(np.uint8), REACH), np.uint8)
        self._code, self._planes = code.copy(), carried
        self._guide = None if guide is None else guide.copy()
        return found


def _words(planes: U8) -> Array:
    """Of the planes u8 (1, H/2, W/2, C) one block in each cell: the groups that may go along with what moves
    or turn with it, (h, w, n) u64. Form planes waver by a level all the time, and canvas never moves."""
    sample = np.ascontiguousarray(planes[0, 1::CELL, 1::CELL])
    return np.ascontiguousarray(sample.view(np.uint64)[..., CARRIED])
