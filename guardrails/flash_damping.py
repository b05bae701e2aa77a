"""When a flashing picture is damped, where, and how firmly: the policy of the flash guard in a show.

Two flashes in a second are left alone. The fifth transition within ENGAGE_NS, or the sixth within a second,
engages: two and a half flashes are over, and the slew limit keeps the third from completing. The limits that
it watches are a tenth stricter than the standards', so that what is shown also passes when it was compressed
and measured afterwards.

Where it flashes, every pixel moves toward the new picture in linear light by at most FIRM_PER_S of full light
a second, and by a quarter of that when it grows brighter, so that what flashes settles toward its darker
state. In one second that is one transition at most, and six with the five before it. After FIRM_S it is let
go to CALM_PER_S: two and a half transitions a second at most. What is watched is the picture before damping,
so that damping lasts as long as what makes it flash.
"""

from __future__ import annotations

import math
from typing import Final

import numpy as np

from vivant.guardrails.flash import COLUMNS, ROWS, SECOND_NS, Limits, Screen, Tally, Watch
from vivant.guardrails.flash_swings import Cells
from vivant.runtime.frames import F32

ENGAGE_AT: Final = 5  # transitions; a third flash is over with the sixth
ENGAGE_NS: Final = 900_000_000  # a beat of 120 a minute, two flashes a second, may be 10 % early
WARY_AT: Final = 2
RELEASE_BELOW: Final = 3  # transitions of the last second: one flash and less is calm
FIRM_PER_S: Final = 0.1
CALM_PER_S: Final = 0.25
FIRM_S: Final = 1.0
RELEASE_S: Final = 1.2  # the limit grows evenly in its logarithm until it is none
MARGIN: Final = 0.9
SPREAD_CELLS: Final = 2  # around what flashes, so that no rim goes on
RED: Final = "red"
RED_PER_S: Final = 1.0  # share of the way to the new colour: dark reds are far apart in u', v', near in light
SHORTEST_STEP_S: Final = 0.001
LONGEST_STEP_S: Final = 0.05  # a stall must not become a jump
FREE: Final = 8.0  # further than any pixel can be from another, redness counted as the shader does
UNHELD: Final[F32] = np.broadcast_to(np.array([FREE, 1.0], np.float32), (ROWS, COLUMNS, 2))


class Damping:
    """Which cells are damped now. One thread uses it: the present loop's.

    `field` as in Watch. `engaged` counts how often damping began, `damped_s` how long there was any.
    """

    def __init__(self, field: tuple[int, int]) -> None:
        self._watch = Watch(field, Limits().within(MARGIN), advisory=False)
        self._recent = {name: Tally(ENGAGE_NS) for name in self._watch.kinds}
        self._screens = {name: Screen(self._watch.limits.area, ENGAGE_NS) for name in self._watch.kinds}
        self._held: dict[str, Cells] = {
            name: np.zeros((ROWS, COLUMNS), np.bool_) for name in self._watch.kinds
        }
        self._since_ns = np.zeros((ROWS, COLUMNS), np.int64)
        self._levels: F32 = np.zeros((ROWS, COLUMNS, 2), np.float32)
        self._time_ns: int | None = None
        self.engaged = 0
        self.damped_s = 0.0

    def resize(self, field: tuple[int, int]) -> None:
        """The picture has another shape: a field takes other cells of it."""
        self._watch.field = field

    @property
    def active(self) -> bool:
        """Whether any of the picture is damped, or still being released."""
        return bool(self._levels[..., 0].any())

    @property
    def wary(self) -> bool:
        """Whether damping may begin soon: somewhere a flash was complete within the last second."""
        return self.active or any(
            kind.screen >= WARY_AT or kind.tally.counts.max() >= WARY_AT
            for kind in self._watch.kinds.values()
        )

    @property
    def share(self) -> float:
        """How much of the picture is damped, in [0, 1]."""
        return float(self._levels[..., 0].mean())

    @property
    def why(self) -> tuple[str, ...]:
        """The kinds of flash that keep it damped."""
        return tuple(name for name, held in self._held.items() if held.any())

    def see(self, light: F32, time_ns: int) -> None:
        """Take the cells of a picture as it was before damping, drawn at `time_ns`."""
        self._watch.see(light, time_ns)
        for name, kind in self._watch.kinds.items():
            recent, counts, held = self._recent[name], kind.tally.counts, self._held[name]
            recent.step(kind.turns, time_ns)
            held &= counts >= RELEASE_BELOW
            wandering = self._screens[name].step(kind.seen, time_ns)
            if wandering >= ENGAGE_AT or kind.screen > ENGAGE_AT:  # one change at a place is half a flash
                held |= counts > 0
            if self._watch.counts_as_area((recent.counts >= ENGAGE_AT) | (counts > ENGAGE_AT)):
                held |= counts >= RELEASE_BELOW

    def step(self, now_ns: int) -> F32:
        """How far a pixel may move toward the picture drawn at `now_ns`, by cell: f32 (ROWS, COLUMNS, 2).

        First in linear light, FREE or more for any distance; then the share of the way, 1 for all of it.
        """
        elapsed_s = 0.0 if self._time_ns is None else max(0.0, (now_ns - self._time_ns) / SECOND_NS)
        self._time_ns = now_ns
        held = np.logical_or.reduce(list(self._held.values()))
        red = self._held[RED]
        self.engaged += bool(held.any()) and not self.active
        self.damped_s += elapsed_s if self.active else 0.0
        step_s = min(max(elapsed_s, SHORTEST_STEP_S), LONGEST_STEP_S)
        firm, calm = FIRM_PER_S * step_s / FREE, CALM_PER_S * step_s / FREE
        self._since_ns[held & (self._levels[..., 0] <= 0.0)] = now_ns
        new = now_ns - self._since_ns < FIRM_S * SECOND_NS
        released = np.maximum(0.0, self._levels - np.float32(elapsed_s / RELEASE_S))
        self._levels[..., 0] = np.where(
            held, np.where(new, 1.0, math.log(calm) / math.log(firm)), released[..., 0]
        )
        self._levels[..., 1] = np.where(red, 1.0, released[..., 1])
        if not self.active:
            return UNHELD
        levels = spread(self._levels)
        return np.stack([FREE * firm ** levels[..., 0], (RED_PER_S * step_s) ** levels[..., 1]], -1)


def spread(levels: F32) -> F32:
    """Levels (rows, columns, n) that reach SPREAD_CELLS further, with soft rims and no loss inside."""
    wide = levels
    for axis in (0, 1):
        for _ in range(SPREAD_CELLS):
            wide = np.maximum.reduce(neighbours(wide, axis))
    for axis in (0, 1):
        before, here, after = neighbours(wide, axis)
        wide = np.float32(0.25) * (before + after) + np.float32(0.5) * here
    return wide


def neighbours(levels: F32, axis: int) -> tuple[F32, F32, F32]:
    """Each cell's neighbour before, the cell, its neighbour after; the edge cells are their own."""
    ends = [(1, 1) if one == axis else (0, 0) for one in range(levels.ndim)]
    padded = np.pad(levels, ends, mode="edge")
    before, after = (np.take(padded, range(start, start + levels.shape[axis]), axis) for start in (0, 2))
    return before, levels, after
