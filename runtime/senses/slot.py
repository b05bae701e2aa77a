"""A place for one frame, where the newest wins: the only lock among the senses."""

from __future__ import annotations

import threading

from vivant.runtime.frames import Frame


class Slot:
    """Holds the newest frame. One thread puts and never waits for a reader; any thread reads."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._frame: Frame | None = None
        self._closed = False

    def put(self, frame: Frame) -> None:
        """Replace whatever is here."""
        with self._changed:
            self._frame = frame
            self._changed.notify_all()

    def latest(self) -> Frame | None:
        return self._frame

    def wait_newer(self, serial: int, timeout_s: float) -> Frame | None:
        """The frame here once its serial is above `serial`; None after `timeout_s` or once closed."""
        with self._changed:
            self._changed.wait_for(lambda: self._closed or self._is_newer(serial), timeout_s)
            return self._frame if self._is_newer(serial) and not self._closed else None

    def _is_newer(self, serial: int) -> bool:
        return self._frame is not None and self._frame.serial > serial

    @property
    def closed(self) -> bool:
        return self._closed

    def close(self) -> None:
        """Let everybody go who waits."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def wait_closed(self, timeout_s: float) -> bool:
        """Wait for `timeout_s`, or less if the slot is closed meanwhile; whether it is closed."""
        with self._changed:
            return self._changed.wait_for(lambda: self._closed, timeout_s)
