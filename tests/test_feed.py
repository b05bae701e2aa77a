"""A sense that follows another program: found, lost, found again. And what is for other systems."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable

import numpy as np
import pytest

from vivant.runtime.frames import U8, MonotonicClock
from vivant.runtime.senses import feed as feeds
from vivant.runtime.senses.contract import SenseError
from vivant.runtime.senses.feed import follow
from vivant.runtime.senses.registry import check_sense

CLOCK = MonotonicClock()


class Reel:
    """A feed of so many pictures, and then none."""

    def __init__(self, count: int) -> None:
        self.left, self.closed = count, False

    def take(self) -> U8 | None:
        if not self.left:
            return None
        self.left -= 1
        return np.full((8, 8, 3), self.left, np.uint8)

    def close(self) -> None:
        self.closed = True


def wait_for(what: Callable[[], bool]) -> None:
    until = time.monotonic() + 20
    while not what():
        assert time.monotonic() < until
        time.sleep(0.005)


def test_pictures_are_handed_on_and_when_they_end_it_looks_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feeds, "LOST_NS", 50_000_000)
    reels = [Reel(3), Reel(2)]
    found = iter([None, *reels])
    sense = follow("reel", CLOCK, lambda: next(found, None))
    wait_for(lambda: sense.counts()["captured"] == 5)
    wait_for(lambda: reels[1].closed)
    assert reels[0].closed
    assert sense.counts()["lost"] >= 2  # before the first came, and between the two
    frame = sense.latest()
    assert frame is not None and frame.serial == 5 and frame.pixels[0, 0, 0] == 0
    sense.close()
    assert sense.state == "ended"


@pytest.mark.skipif(sys.platform != "linux", reason="another system answers otherwise")
@pytest.mark.parametrize("spec", ["spout:Resolume", "syphon:Resolume"])
def test_an_input_of_another_system_is_one_clear_line(spec: str) -> None:
    with pytest.raises(SenseError, match=r"is for (Windows|macOS). Use ndi:Resolume"):
        check_sense(spec)
