"""Where the picture moves, by dense optical flow on a small grey copy: carries masks to the newest frame."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

import numpy as np

from vivant.runtime.frames import F32, U8

SIGNALS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "flow_x": "how fast what moves goes to the right, picture widths a second, negative to the left",
        "flow_y": "how fast what moves goes down, picture heights a second, negative upward",
    }
)
CELLS: Final = 96  # a side of the grey copy
REMEMBERED: Final = 24  # frames: a second and less; a mask that is older is not carried
JUST_TWO: Final = 2  # what flow itself needs
STILL: Final = 0.25  # cells between two frames that are noise
MOVES: Final = 0.003  # share of the picture that must move for it to go anywhere
FASTEST: Final = 4.0  # pictures a second
SMOOTH_S: Final = 0.2


class Flow:
    """DIS optical flow (Kroeger et al. 2016) between remembered frames. One thread."""

    def __init__(self, remembered: int = REMEMBERED) -> None:
        import cv2

        self._dis = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_ULTRAFAST)
        self._frames: deque[tuple[int, U8]] = deque(maxlen=remembered)
        y, x = np.mgrid[0:CELLS, 0:CELLS].astype(np.float32)
        self._home: F32 = np.dstack([x, y])
        self._way = (0.0, 0.0)

    def see(self, pixels: U8, captured_ns: int) -> None:
        """The next frame u8 (H, W, 3). Only its grey copy of 96 x 96 cells stays, for a second."""
        import cv2

        if self._frames and captured_ns <= self._frames[-1][0]:
            self._frames.clear()
        small = cv2.resize(pixels, (CELLS, CELLS), interpolation=cv2.INTER_AREA)
        self._frames.append((captured_ns, np.asarray(cv2.cvtColor(small, cv2.COLOR_RGB2GRAY), np.uint8)))

    def forget(self) -> None:
        """Let the remembered frames go."""
        self._frames.clear()

    def carried(self, mask: U8, of_ns: int) -> U8:
        """`mask` u8 (h, h), made from the frame captured at `of_ns`, as it lies in the newest frame; as it is
        where that frame is forgotten or the newest itself."""
        import cv2

        then = next((grey for at_ns, grey in self._frames if at_ns == of_ns), None)
        if then is None or self._frames[-1][0] == of_ns:
            return mask
        back = self._dis.calc(self._frames[-1][1], then, None)  # where each cell was, seen from now
        side, cell = mask.shape[0], mask.shape[0] / CELLS
        places = cv2.resize(self._home + back, (side, side)) * cell + (cell - 1.0) / 2.0
        moved = cv2.remap(mask, places, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        return np.asarray(moved, np.uint8)

    def signals(self) -> dict[str, float]:
        """The signals of SIGNALS, after the last two frames."""
        if len(self._frames) < 2:
            return dict.fromkeys(SIGNALS, 0.0)
        (before_ns, before), (now_ns, now) = self._frames[-2], self._frames[-1]
        step_s = (now_ns - before_ns) / 1e9
        moved = self._dis.calc(before, now, None)
        size = np.hypot(moved[..., 0], moved[..., 1])
        going = size > STILL
        found = (0.0, 0.0)
        if float(going.mean()) > MOVES:
            x, y = moved[going].mean(0) / (CELLS * step_s)
            found = float(x), float(y)
        share = 1.0 - math.exp(-step_s / SMOOTH_S)
        self._way = (
            self._way[0] + share * (min(max(found[0], -FASTEST), FASTEST) - self._way[0]),
            self._way[1] + share * (min(max(found[1], -FASTEST), FASTEST) - self._way[1]),
        )
        return dict(zip(SIGNALS, self._way, strict=True))
