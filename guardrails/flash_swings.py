"""Where each cell of the picture turns from brighter to darker and back: the transitions of a flash.

A transition is the change between adjacent peaks and valleys (WCAG 2.2, "general flash and red flash
thresholds", notes). Here it counts at the moment at which it is large enough, so that a flash is known
before it is over. Cells hold the mean of linear light: fine balanced patterns cancel, as the same definition
excepts.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from vivant.runtime.frames import F32

Cells = NDArray[np.bool_]  # (rows, columns)

LUMINANCE: Final = np.array([0.2126, 0.7152, 0.0722], np.float32)  # of linear BT.709 red, green and blue
SUM: Final = np.ones(3, np.float32)
XYZ: Final = np.array(  # linear BT.709 to CIE XYZ (IEC 61966-2-1)
    [[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]], np.float32
)
RED_UV: Final = (0.4507, 0.5229)  # BT.709 red in CIE 1976 u', v'
VEIL: Final = 0.002  # white light added before u', v' are taken: black has no colour of its own
FAINTEST_RED: Final = 0.014  # linear red below it is black to every eye, whatever its ratio to green and blue
ROUNDING: Final = 1e-5  # of float32 sums: exactly a tenth is a tenth


@dataclass(frozen=True, slots=True)
class Turns:
    """The cells that completed a transition just now: `up` to brighter or redder, or `down`."""

    up: Cells
    down: Cells

    @property
    def any(self) -> bool:
        return bool(self.up.any() or self.down.any())


def luminance(light: F32) -> F32:
    """Relative luminance (rows, columns) in [0, 1] of linear light (rows, columns, 3)."""
    made: F32 = light @ LUMINANCE
    return made


def saturated(light: F32, share: float) -> Cells:
    """The cells whose R / (R + G + B) is at least `share` (WCAG 2.2; R, G, B in linear light)."""
    red = light[..., 0]
    full: Cells = (red >= share * (light @ SUM) - ROUNDING) & (red > FAINTEST_RED)
    return full


def redness(light: F32) -> F32:
    """max(0, R - G - B) of linear light: WCAG 2.1 multiplies it by 320."""
    made: F32 = np.maximum(light[..., 0] - light[..., 1] - light[..., 2], 0.0)
    return made


def chromaticity(light: F32) -> F32:
    """CIE 1976 u', v' (2, rows, columns) of linear light."""
    x, y, z = np.moveaxis((light + VEIL) @ XYZ.T, -1, 0)
    below = x + 15.0 * y + 3.0 * z
    made: F32 = np.stack([4.0 * x / below, 9.0 * y / below])
    return made


class Swings:
    """Opposing changes of one number per cell, each of at least `change`.

    A change counts when either of its two states is marked: for luminance, those dark enough (the darker one
    being below a limit is the same thing); for red, the saturated ones.
    """

    def __init__(self, change: float) -> None:
        self._change = change - ROUNDING
        self._low: F32 | None = None

    def step(self, value: F32, marked: Cells) -> Turns:
        """Take the next picture's `value` (rows, columns) and its marks; the transitions it completes."""
        if self._low is None:
            self._low, self._high = value.copy(), value.copy()
            self._low_marked, self._high_marked = marked.copy(), marked.copy()
            self._direction = np.zeros(value.shape, np.int8)
            return Turns(np.zeros_like(marked), np.zeros_like(marked))
        lower, higher = value < self._low, value > self._high
        self._at(lower, self._low, self._low_marked, value, marked)
        self._at(higher, self._high, self._high_marked, value, marked)
        up = (self._direction <= 0) & (value - self._low >= self._change) & (marked | self._low_marked)
        down = (self._direction >= 0) & (self._high - value >= self._change) & (marked | self._high_marked)
        up &= ~down
        self._at(up, self._high, self._high_marked, value, marked)
        self._at(down, self._low, self._low_marked, value, marked)
        self._direction[up], self._direction[down] = 1, -1
        return Turns(up, down)

    @staticmethod
    def _at(where: Cells, extreme: F32, extreme_marked: Cells, value: F32, marked: Cells) -> None:
        np.copyto(extreme, value, where=where)
        np.copyto(extreme_marked, marked, where=where)


class RedSwings:
    """Transitions to and from a saturated red, further than `distance` in CIE 1976 u', v' (WCAG 2.2)."""

    def __init__(self, distance: float) -> None:
        self._distance = distance
        self._anchor: F32 | None = None

    def step(self, uv: F32, red: Cells) -> Turns:
        """Take the next picture's chromaticity (2, rows, columns) and which cells are saturated red."""
        from_red = np.hypot(uv[0] - RED_UV[0], uv[1] - RED_UV[1])
        if self._anchor is None:
            self._anchor, self._anchor_from = uv.copy(), from_red
            self._inside = red.copy()
            return Turns(np.zeros_like(red), np.zeros_like(red))
        # What a transition starts from: the least red state outside, the reddest inside.
        further = np.where(self._inside, red & (from_red < self._anchor_from), from_red > self._anchor_from)
        self._move(further, uv, from_red)
        far = np.hypot(*(uv - self._anchor)) > self._distance
        up, down = far & ~self._inside & red, far & self._inside
        turned = up | down
        self._inside ^= turned
        self._move(turned, uv, from_red)
        return Turns(up, down)

    def _move(self, where: Cells, uv: F32, from_red: F32) -> None:
        assert self._anchor is not None
        np.copyto(self._anchor, uv, where=where)
        np.copyto(self._anchor_from, from_red, where=where)
