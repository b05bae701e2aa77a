"""The quality ladder: which size of picture this machine can paint inside the frame budget.

Two seconds after the first picture it chooses a rung from what was measured; from then on it changes at
most once in ten seconds: down when p95 stays out of the budget, up when the next rung would long have fitted
with room. A burst of a second, as any machine has them, changes nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

MEASURE_NS: Final = 2_000_000_000
DWELL_NS: Final = 10_000_000_000
OVER_NS: Final = 5_000_000_000  # p95 must be out of the budget for so long before a step down
FIT: Final = 0.95  # of the budget: what a lower rung may be predicted to take
ROOM: Final = 0.75  # of the budget: what a higher rung must be predicted to take
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
        self._measured_ns: int | None = None
        self._chosen = False
        self._changed_ns = 0
        self._direction, self._since_ns = 0, 0  # which way it would go, and since when
        self._climb_after_ns = DWELL_NS
        self.steps: list[Step] = []

    def step(self, now_ns: int, samples: int, latency_p95_ms: float, model_p95_ms: float) -> Step | None:
        """Called about twice a second with what the last seconds took; a Step when the size changes.

        The caller forgets its samples after a Step, so that the next ones speak of the new size.
        """
        if samples < FEWEST:
            return None
        if self._measured_ns is None:
            self._measured_ns = now_ns
        wanted = self._wanted(latency_p95_ms, model_p95_ms)
        if not self._is_time(now_ns, wanted):
            return None
        self._chosen, self._changed_ns = True, now_ns
        if wanted == self.size:
            return None
        if wanted < self.size and self.steps and self.steps[-1].size_to > self.steps[-1].size_from:
            self._climb_after_ns = min(LONGEST_NS, PATIENCE * self._climb_after_ns)
        expected_ms = self.predict_ms(wanted, latency_p95_ms, model_p95_ms)
        measured = f"p95 {latency_p95_ms:.1f} ms of {self._budget_ms:.0f} ms"
        reason = f"{measured}, {expected_ms:.1f} ms expected at {wanted}"
        made = Step(now_ns, self.size, wanted, reason)
        self.size, self._direction = wanted, 0
        self.steps.append(made)
        return made

    def _is_time(self, now_ns: int, wanted: int) -> bool:
        """Whether what is wanted now has been wanted long enough."""
        direction = (wanted > self.size) - (wanted < self.size)
        if direction != self._direction:
            self._direction, self._since_ns = direction, now_ns
        if not self._chosen:
            return self._measured_ns is not None and now_ns - self._measured_ns >= MEASURE_NS
        long_ns = OVER_NS if direction < 0 else self._climb_after_ns
        rested = now_ns - self._changed_ns >= DWELL_NS
        return direction != 0 and rested and now_ns - self._since_ns >= long_ns

    def predict_ms(self, size: int, latency_p95_ms: float, model_p95_ms: float) -> float:
        """The latency to expect at `size`: the model's part scaled by the area, the rest as it is."""
        return latency_p95_ms + model_p95_ms * ((size / self.size) ** 2 - 1)

    def _wanted(self, latency_ms: float, model_ms: float) -> int:
        """The rung that what was measured speaks for."""

        def fits(size: int, share: float) -> bool:
            return self.predict_ms(size, latency_ms, model_ms) <= share * self._budget_ms

        if latency_ms > self._budget_ms:
            below = [size for size in self._sizes if size < self.size]
            return max((size for size in below if fits(size, FIT)), default=self._sizes[0])
        above = [size for size in self._sizes if size > self.size and fits(size, ROOM)]
        if not above:
            return self.size
        return above[0] if self._chosen else above[-1]
