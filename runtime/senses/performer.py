"""A dancer who is always there: the input of a machine that has neither camera nor film."""

from __future__ import annotations

from typing import Final

import numpy as np

from vivant.runtime.frames import U8, Clock
from vivant.runtime.senses.backdrop import Backdrop
from vivant.runtime.senses.contract import Phase
from vivant.runtime.senses.costume import COSTUMES
from vivant.runtime.senses.dance import dance
from vivant.runtime.senses.figure import MEMORY_S, Drawn, Figure
from vivant.runtime.senses.pace import Pace
from vivant.runtime.senses.running import RunningSense

SIZE_PX: Final = (640, 480)
SEED: Final = 0
TOGETHER: Final = 16  # frames whose outlines are made at once; more would make one frame in so many late
BEGIN_S: Final = 2.0  # the first picture shows the first act begin, and not somebody who waits


class Performer:
    """Frame k is a pure function of (size, seed, fps, k). One thread."""

    def __init__(self, size_px: tuple[int, int], seed: int, fps: float) -> None:
        self._seed = seed
        self._fps = fps
        self._backdrop = Backdrop(size_px, seed)
        self._figure = Figure(size_px, COSTUMES[seed % len(COSTUMES)])
        self._first = -1
        self._drawn: Drawn | None = None

    def frame(self, k: int) -> U8:
        """A new picture u8 (H, W, 3)."""
        first = k - k % TOGETHER
        if self._drawn is None or first != self._first:
            self._drawn, self._first = self._prepare(first), first
        picture = self._backdrop.at(BEGIN_S + k / self._fps)
        self._figure.draw(picture, self._drawn, k - first)
        return picture

    def _prepare(self, first: int) -> Drawn:
        before = int(np.ceil(MEMORY_S * self._fps))
        moments = np.arange(first - before, first + TOGETHER + 3)
        times_s = np.maximum(0.0, BEGIN_S + moments / self._fps)
        return self._figure.prepare(dance(self._seed, times_s), before, self._fps)


def open_performer(clock: Clock, fps: float, phase: Phase | None = None) -> RunningSense:
    """Start the dance at `fps` frames a second."""
    return RunningSense("performer", clock, lambda sense: perform(sense, fps, Pace(clock, phase)))


def perform(sense: RunningSense, fps: float, pace: Pace) -> None:
    """Body of the sense's thread: the next frame is drawn while the last one stands, once it is painted."""
    performer = Performer(SIZE_PX, SEED, fps)
    period_ns = round(1e9 / fps)
    k = 0
    while True:
        began_ns = sense.clock.now_ns()
        pixels = performer.frame(k)
        cost_ns = sense.clock.now_ns() - began_ns
        if not sense.wait_until(pace.due_ns(k * period_ns, period_ns)):
            return
        released_ns = sense.clock.now_ns()
        sense.hand_on(pixels, released_ns)
        k += 1
        if not sense.wait_until(released_ns + pace.rest_ns(period_ns, cost_ns)):
            return
