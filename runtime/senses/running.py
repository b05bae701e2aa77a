"""The thread that every sense runs on, and what that thread may do: hand on, lose, retry, wait."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping
from typing import Final

from vivant.runtime.frames import EMPTY, U8, Clock, Frame, Value
from vivant.runtime.senses.contract import State
from vivant.runtime.senses.slot import Slot

LOG = logging.getLogger("vivant.senses")
FIRST_PAUSE_S: Final = 0.25
LONGEST_PAUSE_S: Final = 4.0
EXACT_S: Final = 0.02  # the last stretch of a wait is slept: a condition's time-out is coarse on Windows
CLOSE_WAIT_S: Final = 3.0  # a driver may sit in a read for two seconds


class RunningSense:
    """A Sense whose `body` runs on a daemon thread until it is closed.

    The body gets this object and calls `hand_on`, `lose` and the waits, from its own thread only. A body
    that raises is logged, counted as a loss and run again: no fault of a device ends a show.
    """

    def __init__(self, name: str, clock: Clock, body: Callable[[RunningSense], None]) -> None:
        self.name = name
        self.clock = clock
        self._body = body
        self.numbers: Mapping[str, Value] = EMPTY
        """The show's values by address, as `heed` last had them."""
        self._slot = Slot()
        self._state: State = "starting"
        self._captured = self._lost = self._retries = 0
        self._pause_s = FIRST_PAUSE_S
        self._thread = threading.Thread(target=self._run, name=f"sense {name}", daemon=True)
        self._thread.start()

    @property
    def state(self) -> State:
        return "ended" if self.closed else self._state

    @property
    def closed(self) -> bool:
        return self._slot.closed

    def latest(self) -> Frame | None:
        return self._slot.latest()

    def wait_newer(self, serial: int, timeout_s: float) -> Frame | None:
        return self._slot.wait_newer(serial, timeout_s)

    def heed(self, numbers: Mapping[str, Value]) -> None:
        self.numbers = numbers

    def counts(self) -> Mapping[str, int]:
        return {"captured": self._captured, "lost": self._lost, "retries": self._retries}

    def close(self) -> None:
        self._slot.close()
        if self._thread is not threading.current_thread():
            self._thread.join(CLOSE_WAIT_S)

    def hand_on(self, pixels: U8, captured_ns: int, near: U8 | None = None) -> None:
        """Publish `pixels` u8 (H, W, 3), and a depth camera's `near`, to which nobody writes any more."""
        if self._state == "lost" and self._is_worth_a_line():
            LOG.info("%s is back", self.name)
        self._captured += 1
        self._state = "live"
        self._pause_s = FIRST_PAUSE_S
        self._slot.put(Frame(pixels, self._captured, captured_ns, near))

    def lose(self, reason: str) -> None:
        """The signal is away; the last frame stays. Saying so again while it is away counts once."""
        if self._state != "lost":
            self._lost += 1
            self._state = "lost"
            if self._is_worth_a_line():
                LOG.warning("%s: signal lost, for the %d. time: %s", self.name, self._lost, reason)

    def _is_worth_a_line(self) -> bool:
        """The 1st, 2nd, 4th, 8th loss, ...: a loose plug must not fill the disk in three months."""
        return self._lost & (self._lost - 1) == 0

    def wait_to_retry(self) -> bool:
        """Wait, longer each time until a frame comes; False when the sense was closed meanwhile."""
        pause_s, self._pause_s = self._pause_s, min(2 * self._pause_s, LONGEST_PAUSE_S)
        closed = self._slot.wait_closed(pause_s)
        self._retries += not closed
        return not closed

    def wait_until(self, due_ns: int) -> bool:
        """Wait until the clock says `due_ns`; False when the sense was closed meanwhile."""
        while (left_s := (due_ns - self.clock.now_ns()) / 1e9) > 0 and not self.closed:
            if left_s > EXACT_S:
                self._slot.wait_closed(left_s - EXACT_S)
            else:
                time.sleep(left_s)
        return not self.closed

    def _run(self) -> None:
        while not self.closed:
            try:
                self._body(self)
            except Exception as error:  # the thread's outer edge
                LOG.debug("%s failed; it is started again", self.name, exc_info=True)
                self.lose(f"{type(error).__name__}: {error}")
            if not self.closed:
                self.wait_to_retry()
