"""When the next frame is due, for senses that set their own time."""

from __future__ import annotations

from typing import Final

from vivant.runtime.frames import Clock
from vivant.runtime.senses.contract import Phase

HOPELESS_NS: Final = 200_000_000
"""Later than this, the time that was missed is let go. Up to this, frames follow at once to catch up."""


FORGET: Final = (
    0.98  # of the longest cost, a frame: the figure's outlines are made for sixteen frames at once
)
SPARE: Final = 1.5  # times that cost before a frame is due, its making begins


class Pace:
    """Maps positions on a sense's own time line to moments on the clock. One thread."""

    def __init__(self, clock: Clock, phase: Phase | None = None) -> None:
        self._clock = clock
        self._phase = phase
        self._start_ns: int | None = None
        self._cost_ns = 0.0

    def due_ns(self, position_ns: int, period_ns: int) -> int:
        """When the frame at `position_ns` (never falling) is to be released, if `period_ns` after the
        last. The first is due now."""
        now_ns = self._clock.now_ns()
        if self._start_ns is None or now_ns - (self._start_ns + position_ns) > HOPELESS_NS:
            self._start_ns = now_ns - position_ns
        elif self._phase is not None:
            most_ns = period_ns // 2
            self._start_ns += max(-most_ns, min(most_ns, self._phase() or 0))
        return self._start_ns + position_ns

    def rest_ns(self, period_ns: int, cost_ns: int) -> int:
        """How long to leave the processor to the student after a frame was released, before the next is made:
        as long as can be. On two cores a frame that is made while the last one is painted holds the painting
        up by three times what it costs itself (docs/measurements.md).

        `cost_ns` is what making the released one took: of late the longest decides.
        """
        self._cost_ns = max(float(cost_ns), FORGET * self._cost_ns)
        return max(0, period_ns - round(SPARE * self._cost_ns))
