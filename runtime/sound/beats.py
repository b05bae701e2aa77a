"""Beats and their tempo, as they come: a bar pointer model, filtered forward.

The hidden state is (beat period, place in the beat); the place moves on by one frame each frame, the period
may change where a beat begins. A strong rise of the spectrum is likely at the beginning of a beat and
unlikely elsewhere. Each frame costs one step of the forward algorithm over some 5,000 states.

Sources: Krebs, Böck and Widmer, "An efficient state-space model for joint tempo and meter tracking", ISMIR
2015 (states and transitions); Böck, Krebs and Widmer, "A multi-model approach to beat tracking considering
heterogeneous music styles", ISMIR 2014 (observations).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from vivant.runtime.sound.spectrum import FRAMES_A_SECOND

F64 = NDArray[np.float64]
SLOWEST_BPM, FASTEST_BPM = 55.0, 205.0
BEGIN_FRAMES: Final = 3  # a beat begins for so long
ELSEWHERE: Final = 0.15  # how much a silent frame says for "no beat begins here"
TEMPO_STIFFNESS: Final = 100.0  # exp(-stiffness |ratio - 1|): how unlikely a change of tempo is
NEAR: Final = 0.06  # periods that differ by less are the same tempo
FORGET: Final = 1e-4  # share of the belief that each frame gives back to all tempos alike
FLOOR: Final = 0.02  # no frame says "certainly no beat": music leaves beats out
CHANCE: Final = 0.06  # share of frames that begin a beat, for who knows of no beat: three in half a second
EVIDENCE_FRAMES: Final = 3 * FRAMES_A_SECOND
DOUBT, CERTAINTY = 0.012, 0.022  # log evidence a frame: what random strokes come to, and what music does


@dataclass(frozen=True, slots=True)
class Pulse:
    """What is believed of the beat at a frame: `period_s`, `phase` in [0, 1) since the last beat, and how
    sure that is, in [0, 1]: how much better a beat foretells what is heard than chance does."""

    period_s: float
    phase: float
    sure: float


class Beats:
    """The filter. One thread; `step` once a frame of 1 / FRAMES_A_SECOND s."""

    def __init__(self) -> None:
        shortest = round(60.0 * FRAMES_A_SECOND / FASTEST_BPM)
        longest = round(60.0 * FRAMES_A_SECOND / SLOWEST_BPM)
        self._periods = np.arange(shortest, longest + 1)
        ends = np.cumsum(self._periods)
        self._first, self._last = ends - self._periods, ends - 1
        place = np.concatenate([np.arange(period) for period in self._periods])
        own = np.repeat(self._periods, self._periods)
        self._begins = place < BEGIN_FRAMES
        self._turn = np.exp(2j * np.pi * place / own)
        self._change = _changes(self._periods)
        self._unknown: F64 = np.repeat(1.0 / self._periods, self._periods) / len(self._periods)
        self._belief = self._unknown
        self._evidence = 0.0

    def step(self, flux: float) -> Pulse:
        """Take the next frame's flux in [0, 1]."""
        before = self._belief
        belief = np.empty_like(before)
        belief[1:] = before[:-1]
        belief[self._first] = before[self._last] @ self._change
        heard = min(max(flux, FLOOR), 1.0 - FLOOR)
        belief += FORGET * self._unknown
        begins, elsewhere = heard, (1.0 - heard) * ELSEWHERE
        belief *= np.where(self._begins, begins, elsewhere)
        foretold = float(belief.sum())
        belief /= foretold
        self._belief = belief
        by_chance = CHANCE * begins + (1.0 - CHANCE) * elsewhere
        self._evidence += (math.log(foretold / by_chance) - self._evidence) / EVIDENCE_FRAMES
        return self._pulse(belief)

    def _pulse(self, belief: F64) -> Pulse:
        periods = self._periods
        mass = np.add.reduceat(belief, self._first)
        around = np.convolve(mass, np.ones(5), "same")
        best = int(around.argmax())
        near = np.abs(periods / periods[best] - 1.0) <= NEAR
        weight = float(mass[near].sum())
        low, high = np.flatnonzero(near)[[0, -1]]
        inside = slice(self._first[low], self._last[high] + 1)
        turn = complex((belief[inside] * self._turn[inside]).sum())
        period_s = float((mass[near] * periods[near]).sum()) / weight / FRAMES_A_SECOND
        phase = float(np.angle(turn)) / (2.0 * np.pi) % 1.0
        trust = min(max((self._evidence - DOUBT) / (CERTAINTY - DOUBT), 0.0), 1.0)
        return Pulse(period_s, phase, abs(turn) * trust)


def _changes(periods: NDArray[np.int_]) -> F64:
    """(P, P): how likely a beat of one period (row) is followed by one of another (column)."""
    ratio = periods[None, :] / periods[:, None]
    likely = np.exp(-TEMPO_STIFFNESS * np.abs(ratio - 1.0))
    likely[likely < np.finfo(np.float64).eps] = 0.0
    return np.asarray(likely / likely.sum(axis=1, keepdims=True))
