"""The quality ladder: which size of picture this machine can paint inside the frame budget.

Two seconds after the first picture it chooses a rung from what was measured; from then on it changes at
most once in ten seconds, down when p95 leaves the budget and up when the next rung would fit with room.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

MEASURE_NS: Final = 2_000_000_000
DWELL_NS: Final = 10_000_000_000
FIT: Final = 0.95  # of the budget: what another rung may be predicted to take when it is chosen
ROOM: Final = 0.92  # of the budget: what the next rung up must be predicted to take before going there
PATIENCE: Final = 2  # times longer before the next climb, for each climb that had to be taken back
LONGEST_NS: Final = 600_000_000_000
FEWEST: Final = 20  # latencies before a percentile means anything


@dataclass(frozen=True, slots=True)
class Step:
    """One decision: from which size to which, when and why."""

    at_ns: int
    size_from: int
    size_to: int
    reason: str


class Ladder:
    """Chooses the side of the student's square picture in pixels. One thread.

    `sizes` are the rungs, `start` one of them (it is added when absent), `budget_ms` from captured to
    presented. `model_ms` in `step` is the p95 of the part of the latency that grows with the area.
    """

    def __init__(self, sizes: Sequence[int], start: int, budget_ms: float) -> None:
        self._sizes = sorted({*sizes, start})
        self.size = start
        self._budget_ms = budget_ms
        self._began_ns: int | None = None
        self._changed_ns: int | None = None
        self._climb_after_ns = DWELL_NS
        self.steps: list[Step] = []

    def step(self, now_ns: int, samples: int, latency_p95_ms: float, model_p95_ms: float) -> Step | None:
        """Called once a refresh with what the last pictures took; a Step when the size changes.

        The caller forgets its samples after a Step, so that the next one speaks of the new size.
        """
        if samples < FEWEST:
            return None
        if self._began_ns is None:
            self._began_ns = now_ns
        first = self._changed_ns is None
        since_ns = now_ns - (self._began_ns if self._changed_ns is None else self._changed_ns)
        if since_ns < (MEASURE_NS if first else DWELL_NS):
            return None
        wanted, reason = self._wanted(latency_p95_ms, model_p95_ms, first)
        if wanted > self.size and not first and since_ns < self._climb_after_ns:
            return None
        if wanted == self.size:
            if first:
                self._changed_ns = now_ns
            return None
        if wanted < self.size and self.steps and self.steps[-1].size_to > self.steps[-1].size_from:
            self._climb_after_ns = min(LONGEST_NS, PATIENCE * self._climb_after_ns)
        made = Step(now_ns, self.size, wanted, reason)
        self.size, self._changed_ns = wanted, now_ns
        self.steps.append(made)
        return made

    def predict_ms(self, size: int, latency_p95_ms: float, model_p95_ms: float) -> float:
        """The latency to expect at `size`: the model's part scaled by the area, the rest as it is."""
        return latency_p95_ms + model_p95_ms * ((size / self.size) ** 2 - 1)

    def _wanted(self, latency_ms: float, model_ms: float, first: bool) -> tuple[int, str]:
        fitting = [
            s for s in self._sizes if self.predict_ms(s, latency_ms, model_ms) <= FIT * self._budget_ms
        ]
        best = max(fitting, default=self._sizes[0])
        measured = f"p95 {latency_ms:.1f} ms of {self._budget_ms:.0f} ms at {self.size}"
        if first:  # a rung that fits as it is needs no room
            return (max(best, self.size) if latency_ms <= self._budget_ms else best), f"start: {measured}"
        at = self._sizes.index(self.size)
        if latency_ms > self._budget_ms and at > 0:
            return min(best, self._sizes[at - 1]), f"too slow: {measured}"
        if at + 1 < len(self._sizes):
            above = self._sizes[at + 1]
            expected_ms = self.predict_ms(above, latency_ms, model_ms)
            if expected_ms <= ROOM * self._budget_ms:
                return above, f"room: {measured}, {expected_ms:.1f} ms expected at {above}"
        return self.size, measured
