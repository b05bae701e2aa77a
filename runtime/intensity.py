"""Interaction intensity: how much the people before the piece have been doing lately, in [0, 1].

What drives it at a moment is motion / FULL_MOTION, at most 1. Toward more it goes with the time constant
RISE_S, toward less with FALL_S: somebody who waves for five seconds brings it to about 0.63, and half a
minute after everybody left it is down to half of what it was. Exponential steps, so that it is the same at
every refresh rate.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Final

FULL_MOTION: Final = 0.08  # share of the picture that moves when one person waves with both arms
RISE_S: Final = 5.0
FALL_S: Final = 45.0
LONGEST_STEP_S: Final = 5.0  # a show that stood still for longer has not watched anybody


class Intensity:
    """The interaction intensity. One thread: the present loop's."""

    def __init__(self) -> None:
        self.value = 0.0
        self._last_ns: int | None = None

    def step(self, now_ns: int, signals: Mapping[str, float]) -> float:
        """The intensity at `now_ns`. A motion that is absent or no number counts as none."""
        step_s = 0.0 if self._last_ns is None else (now_ns - self._last_ns) / 1e9
        step_s = min(max(step_s, 0.0), LONGEST_STEP_S)
        self._last_ns = now_ns
        motion = signals.get("motion", 0.0)
        drive = min(max(motion / FULL_MOTION, 0.0), 1.0) if math.isfinite(motion) else 0.0
        constant_s = RISE_S if drive > self.value else FALL_S
        self.value += (drive - self.value) * (1.0 - math.exp(-step_s / constant_s))
        return self.value
