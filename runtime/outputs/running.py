"""The thread that an output runs on: it sends the newest picture, and tries again when that fails."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import Any, Final

from vivant.runtime.frames import U8, Clock, Frame
from vivant.runtime.outputs.contract import Receiver
from vivant.runtime.placing import Size
from vivant.runtime.senses.slot import Slot

LOG = logging.getLogger("vivant.outputs")
ANEW_S: Final = 1.0  # a picture that stands is sent again so often, for those who come late
FIRST_PAUSE_S: Final = 0.5
LONGEST_PAUSE_S: Final = 8.0
CLOSE_WAIT_S: Final = 3.0

Opener = Callable[[Size], Receiver]


class RunningOutput:
    """An Output whose receiver is opened by `opener` for the size of what is offered, and anew for another
    size. Pictures that come faster than they are sent are passed over."""

    def __init__(self, name: str, opener: Opener, clock: Clock) -> None:
        self.name = name
        self._open, self._clock = opener, clock
        self._slot = Slot()
        self._offered = self._sent = self._failed = 0
        self._thread = threading.Thread(target=self._run, name=f"output {name}", daemon=True)
        self._thread.start()

    def offer(self, pixels: U8) -> None:
        self._offered += 1
        self._slot.put(Frame(pixels, self._offered, self._clock.now_ns()))

    def counts(self) -> dict[str, Any]:
        """`offered` pictures, those `sent` (one that stands counts each time), and times it `failed`."""
        return {"offered": self._offered, "sent": self._sent, "failed": self._failed}

    def close(self) -> None:
        self._slot.close()
        self._thread.join(CLOSE_WAIT_S)

    def _run(self) -> None:
        pause_s = FIRST_PAUSE_S
        while not self._slot.closed:
            before = self._sent
            try:
                self._send_all()
            except Exception as error:  # the thread's outer edge: another program's fault ends no show
                self._failed += 1
                if self._failed & (self._failed - 1) == 0:  # the 1st, 2nd, 4th, 8th: a log has an end
                    LOG.warning("%s failed, for the %d. time: %s", self.name, self._failed, error)
                pause_s = FIRST_PAUSE_S if self._sent > before else min(2 * pause_s, LONGEST_PAUSE_S)
                self._slot.wait_closed(pause_s)

    def _send_all(self) -> None:
        """Send until it is closed, or raise."""
        receiver: Receiver | None = None
        size, seen = (0, 0), 0
        try:
            while not self._slot.closed:
                frame = self._slot.wait_newer(seen, ANEW_S) or self._slot.latest()
                if frame is None or self._slot.closed:
                    continue
                seen = frame.serial
                height, width = frame.pixels.shape[:2]
                if receiver is None or size != (width, height):
                    if receiver is not None:
                        receiver.close()
                    receiver, size = None, (width, height)
                    receiver = self._open(size)
                receiver.send(frame.pixels)
                self._sent += 1
        finally:
            if receiver is not None:
                receiver.close()
