"""Films that flash, written as the show writes its own."""

from __future__ import annotations

import time
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from vivant.runtime.frames import U8
from vivant.runtime.record import Recorder

FRAME_NS = 40_000_000
GREY, WHITE, RED = (60, 60, 60), (250, 250, 250), (230, 0, 0)


def even(*colour: int) -> U8:
    """A picture of one colour, sRGB."""
    return np.full((96, 160, 4), (*colour, 255), np.uint8)


def strobe(one: U8, other: U8, flashes_hz: float, seconds: float) -> list[U8]:
    """`one` and `other` in turn, at 25 pictures a second."""
    count = round(seconds * 25)
    return [other if int(index * 2 * flashes_hz / 25 + 1e-9) % 2 else one for index in range(count)]


def write_film(path: Path, pictures: Iterable[U8]) -> Path:
    """All of `pictures` as an mp4 of 25 a second."""
    recorder = Recorder(path, (160, 96), 25)
    for index, picture in enumerate(pictures):
        while not recorder.offer(picture, index * FRAME_NS):
            time.sleep(0.005)  # the recorder drops what it has no room for; here every picture counts
    recorder.close()
    assert recorder.stopped is None
    return path
