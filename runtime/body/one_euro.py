"""The One Euro filter: calm where nothing moves, quick where something does."""

from __future__ import annotations

import math
from typing import Final

SPEED_CUTOFF_HZ: Final = 1.0  # of the low pass over the speed, as in the paper
LONGEST_STEP_S: Final = 1.0  # after a longer silence the value is taken as it is


class OneEuro:
    """Casiez, Roussel and Vogel, "1 Euro Filter", CHI 2012: a low pass whose cutoff rises with the speed.

    `min_cutoff_hz` is the cutoff at rest (lower: calmer), `beta` how many Hz the cutoff gains by each unit a
    second of the value (higher: quicker). Units are those of the value.
    """

    def __init__(self, min_cutoff_hz: float, beta: float) -> None:
        self._min_cutoff_hz, self._beta = min_cutoff_hz, beta
        self.forget()

    def forget(self) -> None:
        """The next value is taken as it is."""
        self.value: float | None = None
        """The filtered value; None before the first."""
        self.speed = 0.0
        """Of the filtered value, units a second."""
        self._pull = 0.0
        self._last_ns = 0

    def step(self, value: float, at_ns: int) -> float:
        """The filtered value at `at_ns`. A value that is not finite, or not newer, changes nothing."""
        step_s = (at_ns - self._last_ns) / 1e9
        if self.value is not None and (step_s <= 0.0 or not math.isfinite(value)):
            return self.value
        if self.value is None or step_s > LONGEST_STEP_S:
            self.value, self._last_ns = value if math.isfinite(value) else 0.0, at_ns
            self.speed = self._pull = 0.0
            return self.value
        self._last_ns = at_ns
        slow = share(SPEED_CUTOFF_HZ, step_s)
        self._pull += slow * ((value - self.value) / step_s - self._pull)  # the paper's dx, its lag included
        step = share(self._min_cutoff_hz + self._beta * abs(self._pull), step_s) * (value - self.value)
        self.speed += slow * (step / step_s - self.speed)
        self.value += step
        return self.value


def share(cutoff_hz: float, step_s: float) -> float:
    """How much of a new value a low pass takes that gets one every `step_s`: alpha in the paper."""
    tau_s = 1.0 / (2.0 * math.pi * cutoff_hz)
    return 1.0 / (1.0 + tau_s / step_s)
