"""Made-up visitors, for simulations without recorded signals: who comes, how long they stay, what they do.

People arrive one by one, evenly spread over the hours that the piece is open (a Poisson process), stay for
a time that is exponentially spread about its mean, and move in bouts of some seconds. What the senses would
say of them follows runtime/condition.py: presence is at 1 while somebody moves and fades with PRESENCE_S.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np

from vivant.runtime.condition import PRESENCE_S, PRESENT_MOTION

OPEN_MINUTES: Final = (10 * 60, 19 * 60)  # of the local day
STAY_S: Final = 150.0
BOUT_S: Final = 4.0
MOVING: Final = 0.7  # of the bouts
MOTION: Final = (0.01, 0.07)  # of one person, share of the picture
NOISE: Final = 0.0003
LIGHT: Final = (0.12, 0.45)  # closed, open


@dataclass(slots=True)
class Visitors:
    """`an_hour` arrivals in the mean while it is open. The same seed gives the same people at a step of
    `step_s` seconds."""

    an_hour: float
    step_s: float
    seed: int = 0

    def signals(self, minutes: Iterator[int]) -> Iterator[Mapping[str, float]]:
        """What the senses say at each step; `minutes` is the local minute of the day at each."""
        chance = np.random.Generator(np.random.Philox(self.seed))
        leaves_s: list[float] = []
        presence, motion, bout_ends_s = 0.0, 0.0, -1.0
        for index, minute in enumerate(minutes):
            now_s = index * self.step_s
            is_open = OPEN_MINUTES[0] <= minute < OPEN_MINUTES[1]
            if is_open:
                arrivals = chance.poisson(self.an_hour * self.step_s / 3600.0)
                leaves_s += [now_s + chance.exponential(STAY_S) for _ in range(int(arrivals))]
            leaves_s = [at_s for at_s in leaves_s if at_s > now_s] if is_open else []
            if now_s >= bout_ends_s:
                bout_ends_s = now_s + chance.exponential(BOUT_S)
                moving = int(chance.binomial(len(leaves_s), MOVING)) if leaves_s else 0
                motion = NOISE + sum(float(chance.uniform(*MOTION)) for _ in range(moving))
            seen = min(motion, 1.0) if leaves_s else NOISE
            presence = max(presence * math.exp(-self.step_s / PRESENCE_S), min(1.0, seen / PRESENT_MOTION))
            yield {
                "motion": seen,
                "motion_x": 0.5,
                "motion_y": 0.5,
                "light": LIGHT[is_open],
                "presence": presence,
            }
