"""A thread that serves strangers rests so much that the picture never lacks the processor for it."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

SHARE: Final = 0.2  # of a processor that the thread may take over time
AT_ONCE_NS: Final = 5_000_000  # and this much without a rest: a tree of parameters in JSON is one to two
LONGEST_S: Final = 0.1


class Pace:
    """Allows `SHARE` of a processor: `step` sleeps when the calling thread had more. While it sleeps, what
    comes waits in the kernel, and the senders with it."""

    def __init__(
        self,
        used_ns: Callable[[], int] = time.thread_time_ns,
        now_ns: Callable[[], int] = time.perf_counter_ns,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._used, self._now, self._sleep = used_ns, now_ns, sleep
        self._credit_ns: float = AT_ONCE_NS
        self._used_ns, self._seen_ns = used_ns(), now_ns()
        self.rested_s = 0.0

    def step(self) -> None:
        """After a piece of work: rest when it was too much."""
        used_ns, now_ns = self._used(), self._now()
        earned_ns = SHARE * (now_ns - self._seen_ns)
        self._credit_ns = min(self._credit_ns + earned_ns, AT_ONCE_NS) - (used_ns - self._used_ns)
        self._used_ns, self._seen_ns = used_ns, now_ns
        if self._credit_ns < 0:
            rest_s = min(-self._credit_ns / SHARE / 1e9, LONGEST_S)
            self.rested_s += rest_s
            self._sleep(rest_s)
