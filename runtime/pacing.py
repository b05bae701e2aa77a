"""Keeps the present loop at the refresh where no display does: by the clock, without catching up."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

from vivant.runtime.frames import Clock

EARLY: Final = 0.9  # of a period: a swap that returns sooner did not wait for a refresh
EARLY_SWAPS: Final = 8  # in a row, before it is believed: a driver may queue two or three at once

Sleep = Callable[[float], None]


class Metronome:
    """The refresh of a surface without a display: the multiples of 1 / `refresh_hz` since it was made.

    Who comes late goes on at the next multiple. `sleep` takes seconds; tests pass a clock's own.
    """

    def __init__(self, refresh_hz: float, clock: Clock, sleep: Sleep = time.sleep) -> None:
        self._clock, self._sleep = clock, sleep
        self._period_ns = 1e9 / refresh_hz
        self._began_ns = clock.now_ns()
        self._beat = 0

    def wait(self) -> None:
        """Sleep until the next multiple; never the same one twice, even when a sleep ends early."""
        now_ns = self._clock.now_ns()
        self._beat = max(self._beat + 1, int((now_ns - self._began_ns) // self._period_ns) + 1)
        due_ns = self._began_ns + self._beat * self._period_ns
        if due_ns > now_ns:
            self._sleep((due_ns - now_ns) / 1e9)


class Brake:
    """Holds a window's loop to its refresh when swaps do not wait for the display.

    A virtual display has no vertical sync, a hidden window may lose it, a driver may be told to ignore it.
    Where swaps do wait, it does nothing.
    """

    def __init__(self, refresh_hz: float, clock: Clock, sleep: Sleep = time.sleep) -> None:
        self._clock, self._sleep = clock, sleep
        self._early = 0
        self._last_ns = clock.now_ns()
        self.refresh_hz = refresh_hz

    def swapped(self) -> None:
        """Call after every swap: sleeps for what is left of the period once swaps proved not to wait."""
        early = self._clock.now_ns() - self._last_ns < EARLY * 1e9 / self.refresh_hz
        if self._early < EARLY_SWAPS:
            self._early = self._early + 1 if early else 0
        if early and self._early == EARLY_SWAPS:
            self.wait()
        else:
            self._last_ns = self._clock.now_ns()

    def wait(self) -> None:
        """Sleep until one period after the last refresh, for a refresh at which nothing is drawn."""
        now_ns = self._clock.now_ns()
        due_ns = self._last_ns + round(1e9 / self.refresh_hz)
        if due_ns > now_ns:
            self._sleep((due_ns - now_ns) / 1e9)
        self._last_ns = max(now_ns, due_ns)
