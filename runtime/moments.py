"""A few moments of a show, kept for its contact sheet: what the student was given and what was shown."""

from __future__ import annotations

from typing import Final, Protocol

from vivant.runtime.frames import U8

COUNT: Final = 8


class Moments(Protocol):
    """What keeps pictures of a running show: it is asked at every refresh whether one is due, and gets the
    next that was asked for, input u8 (h, w, 3) and shown u8 (H, W, 4)."""

    def due(self, now_ns: int) -> bool: ...

    def add(self, source: U8, shown: U8, now_ns: int) -> None: ...


class EvenMoments:
    """Eight moments spread evenly over `length_s` seconds. One thread; memory for eight pictures.

    `taken` holds (seconds, input u8 (h, w, 3), shown u8 (H, W, 4)).
    """

    def __init__(self, length_s: float) -> None:
        self._times_s = [length_s * (index + 0.75) / COUNT for index in range(COUNT)]
        self._began_ns: int | None = None
        self.taken: list[tuple[float, U8, U8]] = []

    def due(self, now_ns: int) -> bool:
        """Whether the next moment has come. The first call starts the time."""
        if self._began_ns is None:
            self._began_ns = now_ns
        if len(self.taken) == COUNT:
            return False
        return (now_ns - self._began_ns) / 1e9 >= self._times_s[len(self.taken)]

    def add(self, source: U8, shown: U8, now_ns: int) -> None:
        """Keep a moment; one that is not due (the answer to an earlier request) is passed over."""
        if self.due(now_ns) and self._began_ns is not None:
            self.taken.append(((now_ns - self._began_ns) / 1e9, source, shown))
