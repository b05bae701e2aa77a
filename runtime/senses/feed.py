"""Frames that another program offers (NDI, Spout, Syphon): looked for, followed, and found again."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Protocol

from vivant.runtime.frames import U8, Clock
from vivant.runtime.senses.running import RunningSense

POLL_NS: Final = 4_000_000  # what a frame is late by at most; asking costs microseconds
LOST_NS: Final = 2_000_000_000


class Feed(Protocol):
    """A program's pictures, once they were found. One thread uses it."""

    def take(self) -> U8 | None:
        """The newest picture as a new array u8 (H, W, 3) RGB; None where there is none that is newer.
        Never waits."""

    def close(self) -> None:
        """Let go of it."""


def follow(name: str, clock: Clock, find: Callable[[], Feed | None]) -> RunningSense:
    """A sense of what `find` finds. `find` may take a second, and gives None while there is nothing."""
    return RunningSense(name, clock, lambda sense: watch(sense, find))


def watch(sense: RunningSense, find: Callable[[], Feed | None]) -> None:
    """Body of the sense's thread: look for it, hand on until it stops, look again."""
    while not sense.closed:
        feed = find()
        if feed is None:
            sense.lose("nobody sends under this name")
        else:
            try:
                hand_on_all(sense, feed)
            finally:
                feed.close()
        if sense.closed or not sense.wait_to_retry():
            return


def hand_on_all(sense: RunningSense, feed: Feed) -> None:
    """Hand on pictures until none came for LOST_NS."""
    last_ns = sense.clock.now_ns()
    while not sense.closed:
        pixels, now_ns = feed.take(), sense.clock.now_ns()
        if pixels is not None:
            sense.hand_on(pixels, now_ns)
            last_ns = now_ns
        elif now_ns - last_ns > LOST_NS:
            sense.lose("it sends no more pictures")
            return
        sense.wait_until(now_ns + POLL_NS)
