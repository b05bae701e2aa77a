"""How long a refresh waits for a picture: until there is just time left to draw one.

A picture that is drawn when it comes is on the screen at the end of this refresh. Drawn at the beginning of
the next, as it would be if nobody waited, it is there a whole refresh later.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

from vivant.runtime.frames import Clock
from vivant.runtime.pacing import Sleep

LOOK_S: Final = 0.0005  # from one look to the next
FIRST_NS: Final = 4_000_000  # what a draw is thought to take before one was measured
EASE: Final = 0.05  # of the way down to a shorter draw: a longer one counts at once
SPARE_NS: Final = 1_000_000  # for the swap, and a sleep that ends late


class Patience:
    """Knows how long drawing takes. One thread: the present loop's. `sleep` takes seconds."""

    def __init__(self, clock: Clock, sleep: Sleep = time.sleep) -> None:
        self._clock, self._sleep = clock, sleep
        self._longest_ns = float(FIRST_NS)

    @property
    def draw_ns(self) -> int:
        """How long before the end of a refresh a picture must be there to be drawn in it."""
        return round(self._longest_ns) + SPARE_NS

    def drew(self, took_ns: int) -> None:
        """A picture took so long from its arrival to the end of its draw."""
        self._longest_ns = max(took_ns, self._longest_ns + EASE * (took_ns - self._longest_ns))

    def wait(self, there: Callable[[], bool], until_ns: int) -> None:
        """Until `there()`, or until a draw could not end by `until_ns` any more."""
        last_ns = until_ns - self.draw_ns
        while (left_ns := last_ns - self._clock.now_ns()) > 0 and not there():
            self._sleep(min(LOOK_S, left_ns / 1e9))
