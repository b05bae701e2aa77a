"""What of the frame the student is given: all of it, only people, only what is behind them, their trails."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Final

import numpy as np

from vivant.runtime.body.drawing import Drawing
from vivant.runtime.body.section import EDGE, OUTSIDE, PAINT, TRAIL_S
from vivant.runtime.body.seen import MASK_PX
from vivant.runtime.body.watch import Watch
from vivant.runtime.frames import F32, U8, Controls

GREY: Final = 104  # a level that students paint calmly
DARK: Final = 0.22
BLURRED_PX: Final = 24  # a side of the room when it is blurred
LARGEST_EDGE_PX: Final = 31  # of MASK_PX
LOST_S: Final = 0.3  # somebody lost fades out so fast
ROOM: Final = "room"
ROOM_S: Final = 0.2  # so often the room is learned where nobody stands,
ROOM_SHARE: Final = 0.3  # by so much: a smaller share would be lost in rounding
LEFT: Final = 0.05  # of a trail when its time is over


class Paint:
    """For one size of the student's picture. One thread; buffers are its own."""

    def __init__(self, size_px: tuple[int, int]) -> None:
        width, height = size_px
        self._blend = Blend(size_px)
        self._drawing = Drawing(size_px)
        self._outside: U8 = np.full((height, width, 3), GREY, np.uint8)
        self._ghost: U8 = np.full((height, width, 3), GREY, np.uint8)
        self._trail: F32 = np.zeros((MASK_PX, MASK_PX), np.float32)
        self._shown: F32 = np.zeros((MASK_PX, MASK_PX), np.float32)
        self._last_ns: int | None = None
        self._room: U8 = np.zeros_like(self._outside)
        self._room_s, self._forgotten = 0.0, True
        self._wide = np.ones((9, 9), np.uint8)  # a mask's edge lags behind whoever walks

    def apply(self, pixels: U8, watch: Watch, captured_ns: int, controls: Controls) -> None:
        """Change `pixels` u8 (H, W, 3), in place, as the parameters ask; see `section.PARAMETERS`."""
        paint = str(controls.numbers.get(PAINT, "all"))
        pose_only = watch.body.pose_only
        if paint == "all" and not pose_only:
            self._last_ns, self._forgotten = None, True
            return
        step_s = 0.0 if self._last_ns is None else min(max((captured_ns - self._last_ns) / 1e9, 0.0), 0.5)
        if self._last_ns is None:
            self._trail[:] = 0.0
            self._shown[:] = 0.0
        self._last_ns = captured_ns
        mask = watch.mask()
        if pose_only:
            self._drawing.draw(pixels, mask, None if watch.newest is None else watch.newest.bodies)
        if paint != "all":
            people = self._people(mask, step_s, controls)
            outside = str(controls.numbers.get(OUTSIDE, ""))
            if outside == ROOM:
                self._remember_room(pixels, people, step_s)
            OUTSIDES.get(outside, _blurred)(pixels if outside != ROOM else self._room, self._outside)
            weights = self._weights(paint, pixels, people, step_s, controls)
            self._blend.lay(pixels, self._outside, 1.0 - weights)

    def _people(self, mask: U8 | None, step_s: float, controls: Controls) -> F32:
        """Where people are, with soft edges, f32 (MASK_PX, MASK_PX) in [0, 1]; who is lost fades."""
        import cv2

        if mask is None:
            self._shown *= np.float32(math.exp(-step_s / LOST_S))
            return self._shown
        wide = 2 * round(_number(controls, EDGE, 0.3) * LARGEST_EDGE_PX / 2) + 1
        soft = mask
        if wide >= 3:  # outward: who is small must not become a ghost
            soft = cv2.blur(cv2.dilate(mask, np.ones((wide, wide), np.uint8)), (wide, wide))
        np.multiply(soft, np.float32(1 / 255), out=self._shown, casting="unsafe")
        return self._shown

    def _weights(self, paint: str, pixels: U8, people: F32, step_s: float, controls: Controls) -> F32:
        """Where `pixels` stay, f32 (MASK_PX, MASK_PX) in [0, 1]; for trails they become what people left."""
        if paint == "background":
            return 1.0 - people
        if paint == "people":
            return people
        left = LEFT ** (step_s / max(_number(controls, TRAIL_S, 2.0), 0.1))
        self._trail = np.maximum(self._trail * np.float32(left), people)
        self._blend.lay(self._ghost, pixels, people)
        np.copyto(pixels, self._ghost)
        return self._trail

    def _remember_room(self, pixels: U8, people: F32, step_s: float) -> None:
        """The room where nobody stands, taken over slowly; where nobody ever left it is blurred."""
        import cv2

        if self._forgotten:
            self._forgotten = False
            _blurred(pixels, self._room)
        self._room_s += step_s
        if self._room_s >= ROOM_S:
            self._room_s = 0.0
            free = 1.0 - cv2.dilate(people, self._wide)
            self._blend.lay(self._room, pixels, free * np.float32(ROOM_SHARE))


def _grey(pixels: U8, out: U8) -> None:
    out[:] = GREY


def _blurred(pixels: U8, out: U8) -> None:
    import cv2

    small = cv2.resize(pixels, (BLURRED_PX, BLURRED_PX), interpolation=cv2.INTER_AREA)
    cv2.resize(cv2.blur(small, (3, 3)), (out.shape[1], out.shape[0]), out, interpolation=cv2.INTER_LINEAR)


def _dark(pixels: U8, out: U8) -> None:
    import cv2

    cv2.convertScaleAbs(pixels, out, DARK)


def _as_it_is(pixels: U8, out: U8) -> None:
    np.copyto(out, pixels)


OUTSIDES: Final[Mapping[str, Callable[[U8, U8], None]]] = {
    "grey": _grey,
    "blurred": _blurred,
    "dark": _dark,
    ROOM: _as_it_is,
}


class Blend:
    """Lays one picture over another by a mask; owns its buffers for one size."""

    def __init__(self, size_px: tuple[int, int]) -> None:
        width, height = self._size_px = size_px
        self._shares: U8 = np.zeros((height, width, 3), np.uint8)
        self._over: U8 = np.zeros_like(self._shares)

    def lay(self, below: U8, above: U8, weights: F32) -> None:
        """`above` over `below`, both u8 (H, W, 3), in place; `weights` f32 (h, w) in [0, 1] is how much of
        it. Rounding makes at most one level."""
        import cv2

        levels = cv2.resize((weights * np.float32(255)).astype(np.uint8), self._size_px)
        cv2.merge([levels, levels, levels], self._shares)
        cv2.multiply(above, self._shares, self._over, 1 / 255)
        cv2.bitwise_not(self._shares, self._shares)
        cv2.multiply(below, self._shares, below, 1 / 255)
        cv2.add(below, self._over, below)


def _number(controls: Controls, address: str, default: float) -> float:
    value = controls.numbers.get(address, default)
    return float(value) if isinstance(value, float | int) and math.isfinite(value) else default
