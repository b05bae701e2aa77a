"""From a sense's frame to what the student is given: cut to its shape, without what is not to be painted,
calmed; and what moves in it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Final

import numpy as np

from vivant.runtime.body.paint import Paint
from vivant.runtime.body.section import ON
from vivant.runtime.body.watch import Watch
from vivant.runtime.frames import F32, U8, Controls, Frame

SMOOTH_ADDRESS: Final = "/vivant/motion/smooth"
STILL_SHARE: Final = 0.05  # of a new frame, 30 times a second, where nothing moves and smoothing is full
NOISE_LEVELS: Final = (0.6, 8.0)  # what may pass for noise, in grey levels: more than that is a picture
NOISE_MEMORY_S: Final = 0.5
CALM, MOVING = 1.35, 2.4  # a difference of this many times the noise is still noise; of this, a motion
LONGEST_STEP_S: Final = 0.25  # time that a stalled sense did not show is not made up for
CELLS: Final = 48  # signals are taken from so many cells a side
CELL_NOISE, CELL_MOVED = 2.0, 16.0  # grey levels: a cell has not moved, has moved in full
REFERENCE_S: Final = 0.1  # motion is against the picture of about so long ago, at any frame rate
PRESENT_MOTION: Final = 0.01  # somebody who moves in a hundredth of the picture is there
PRESENCE_S: Final = 6.0  # and is believed to be there for about so long without moving


class Condition:
    """For one size of the student's picture. One thread; buffers are its own, so nothing grows. `watch` sees
    the frames of a scene that tracks people."""

    def __init__(self, size_px: tuple[int, int], watch: Watch | None = None) -> None:
        width, height = self.size_px = size_px
        self._cut: U8 = np.zeros((height, width, 3), np.uint8)
        self._watch, self._paint = watch, None if watch is None else Paint(size_px)
        self._stillness = Stillness(size_px)
        self._signals = Signals()
        self._last_ns: int | None = None

    def apply(self, frame: Frame, controls: Controls) -> tuple[U8, Mapping[str, float]]:
        """`pixels` u8 (H, W, 3) of the student's size, valid until the next call, and the signals.

        The middle of the frame is taken, as large as the picture's shape allows. Of it remains what
        `/vivant/body/paint` says. With
        `/vivant/motion/smooth` above 0, regions in which nothing moves are averaged over time; a region
        that moves is taken as it is. Signals: see Signals.
        """
        cut_to(frame.pixels, self._cut)
        step_s = 0.0 if self._last_ns is None else (frame.captured_ns - self._last_ns) / 1e9
        step_s = min(max(step_s, 0.0), LONGEST_STEP_S)
        self._last_ns = frame.captured_ns
        signals: dict[str, float] = self._signals.update(self._cut, step_s)
        if self._watch is not None and self._paint is not None:
            signals |= self._watch.look(self._cut, frame, bool(controls.numbers.get(ON, True)))
            self._paint.apply(self._cut, self._watch, frame.captured_ns, controls)
        smooth = controls.numbers.get(SMOOTH_ADDRESS, 0.0)
        smooth = min(max(float(smooth), 0.0), 1.0) if isinstance(smooth, float | int) else 0.0
        if smooth > 0.0:
            return self._stillness.update(self._cut, smooth, step_s), signals
        self._stillness.forget()
        return self._cut, signals


def cut_to(pixels: U8, out: U8) -> None:
    """The middle of `pixels` u8 (H, W, 3), scaled to fill `out` u8 (h, w, 3).

    Halved by means of 2x2 while that is possible, then bilinear: a quarter of INTER_AREA's time at the
    ratios that cameras have, and in the mean within 1.5 grey levels of it on footage.
    """
    import cv2

    height, width = out.shape[:2]
    scale = min(pixels.shape[0] / height, pixels.shape[1] / width)
    rows = max(1, min(pixels.shape[0], round(height * scale)))
    columns = max(1, min(pixels.shape[1], round(width * scale)))
    top, left = (pixels.shape[0] - rows) // 2, (pixels.shape[1] - columns) // 2
    middle = pixels[top : top + rows, left : left + columns]
    while middle.shape[0] >= 2 * height and middle.shape[1] >= 2 * width:
        half = middle.shape[1] // 2, middle.shape[0] // 2
        even = middle[: 2 * half[1], : 2 * half[0]]
        middle = np.asarray(cv2.resize(even, half, interpolation=cv2.INTER_AREA), np.uint8)
    cv2.resize(middle, (width, height), out, interpolation=cv2.INTER_LINEAR)


class Stillness:
    """Averages over time what differs from the average by no more than the sensor's noise."""

    def __init__(self, size_px: tuple[int, int]) -> None:
        width, height = size_px
        self._size_px = size_px
        self._small_px = (max(1, width // 4), max(1, height // 4))
        self._held: F32 = np.zeros((height, width, 3), np.float32)
        self._step: F32 = np.zeros_like(self._held)
        self._out: U8 = np.zeros((height, width, 3), np.uint8)
        self._difference: U8 = np.zeros_like(self._out)
        self._noise = NOISE_LEVELS[0]
        self._begun = False

    def forget(self) -> None:
        """Begin anew with the next frame."""
        self._begun = False

    def update(self, pixels: U8, smooth: float, step_s: float) -> U8:
        """The calmed picture u8 (H, W, 3), valid until the next call. `smooth` in (0, 1]."""
        import cv2

        if not self._begun:
            self._begun = True
            np.copyto(self._held, pixels)
            np.copyto(self._out, pixels)
            return self._out
        shares = cv2.resize(self._shares(pixels, smooth, step_s), self._size_px)
        cv2.subtract(pixels, self._held, self._step, dtype=cv2.CV_32F)
        cv2.multiply(self._step, cv2.merge([shares, shares, shares]), self._step)
        cv2.add(self._held, self._step, self._held)
        cv2.convertScaleAbs(self._held, self._out)
        return self._out

    def _shares(self, pixels: U8, smooth: float, step_s: float) -> F32:
        """How much of the new frame each region takes, f32 (H/4, W/4) in [0, 1]."""
        import cv2

        cv2.absdiff(pixels, self._out, self._difference)
        grey = cv2.cvtColor(self._difference, cv2.COLOR_RGB2GRAY).astype(np.float32)
        small = cv2.blur(cv2.resize(grey, self._small_px, interpolation=cv2.INTER_AREA), (3, 3))
        sample = np.sort(small[::3, ::3], axis=None)
        found = min(max(float(sample[len(sample) // 3]), NOISE_LEVELS[0]), NOISE_LEVELS[1])
        self._noise += (found - self._noise) * (1.0 - math.exp(-step_s / NOISE_MEMORY_S))
        still = 1.0 - (1.0 - STILL_SHARE**smooth) ** (30.0 * step_s)
        moved = np.clip((small / self._noise - CALM) / (MOVING - CALM), 0.0, 1.0)
        shares: F32 = still + (1.0 - still) * moved.astype(np.float32)
        return shares


class Signals:
    """What the picture says of the room, each in [0, 1]:

    `motion`: the share of the picture that moves; `motion_x`, `motion_y`: where, from the left and from
    the top (stays where it was last); `light`: mean luma; `presence`: 1 while somebody moves, fading
    over some seconds after: it does not see people, only that something moved lately.
    """

    def __init__(self) -> None:
        self._reference: F32 | None = None
        self._at = (np.arange(CELLS, dtype=np.float32) + 0.5) / CELLS
        self._place = (0.5, 0.5)
        self._presence = 0.0

    def update(self, pixels: U8, step_s: float) -> dict[str, float]:
        """The signals after `pixels` u8 (H, W, 3), `step_s` seconds after the last ones."""
        import cv2

        grey = cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY)
        cells = cv2.resize(grey, (CELLS, CELLS), interpolation=cv2.INTER_AREA).astype(np.float32)
        if self._reference is None:
            self._reference = cells
        moved = np.abs(cells - self._reference)
        moved = np.clip((moved - CELL_NOISE) / (CELL_MOVED - CELL_NOISE), 0.0, 1.0)
        motion = float(moved.mean())
        if motion > 1e-4:
            total = moved.sum()
            self._place = float(moved.sum(0) @ self._at / total), float(moved.sum(1) @ self._at / total)
        self._reference = self._reference + (cells - self._reference) * (
            1.0 - math.exp(-step_s / REFERENCE_S)
        )
        self._presence *= math.exp(-step_s / PRESENCE_S)
        self._presence = max(self._presence, min(1.0, motion / PRESENT_MOTION))
        return {
            "motion": motion,
            "motion_x": self._place[0],
            "motion_y": self._place[1],
            "light": float(cells.mean()) / 255.0,
            "presence": self._presence,
        }
