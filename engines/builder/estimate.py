"""How long a build will still take: from how long its steps took before, and how it goes this time."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence

from vivant.engines.builder.step import Step

SLOWEST, FASTEST = 8.0, 0.125  # how far this time may be from what was expected


class Estimate:
    """A Watch that knows what is left. Steps are expected to take what they took the last time, or what they
    guess; both are corrected by how the steps of this build went."""

    def __init__(self, before_s: Mapping[str, float], clock: Callable[[], float] = time.monotonic) -> None:
        self._before_s = before_s
        self._clock = clock
        self._expected_s: dict[str, float] = {}
        self._spent_s = self._were_expected_s = 0.0
        self._now: Step | None = None
        self._began_s = self._share = 0.0
        self.done = 0

    def planned(self, steps: Sequence[Step]) -> None:
        self._expected_s = {one.key: self._before_s.get(one.name, one.guess_s) for one in steps}

    @property
    def count(self) -> int:
        """Steps that are known: done, at work, and still to come."""
        return self.done + len(self._expected_s)

    def began(self, one: Step) -> None:
        self._now, self._began_s, self._share = one, self._clock(), 0.0
        self._expected_s.setdefault(one.key, self._before_s.get(one.name, one.guess_s))

    def further(self, one: Step, share: float) -> None:
        self._share = min(max(share, self._share), 1.0)

    def ended(self, one: Step, seconds: float) -> None:
        self._were_expected_s += self._expected_s.pop(one.key, one.guess_s)
        self._spent_s += seconds
        self._now = None
        self.done += 1

    @property
    def share(self) -> float:
        """How much of the whole work is done, by time, in [0, 1]."""
        left, spent = self.left_s, self._spent_s + self._running_s
        return spent / (spent + left) if spent + left > 0 else 1.0

    @property
    def left_s(self) -> float:
        """Seconds that this build will probably still take."""
        ahead = sum(s for key, s in self._expected_s.items() if self._now is None or key != self._now.key)
        return ahead * self._pace + self._left_of_this_s

    @property
    def _running_s(self) -> float:
        return self._clock() - self._began_s if self._now is not None else 0.0

    @property
    def _pace(self) -> float:
        if self._were_expected_s <= 0:
            return 1.0
        return min(max(self._spent_s / self._were_expected_s, FASTEST), SLOWEST)

    @property
    def _left_of_this_s(self) -> float:
        if self._now is None:
            return 0.0
        if self._share > 0:
            return self._running_s * (1 - self._share) / self._share
        return max(self._expected_s[self._now.key] * self._pace - self._running_s, 0.0)
