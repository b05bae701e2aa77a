"""What flashes in a run of pictures, by the definitions of WCAG 2.3.1 and ITU-R BT.1702.

WCAG 2.2, success criterion 2.3.1, "general flash and red flash thresholds": a general flash is a pair of
opposing changes in relative luminance of 10 % or more of the maximum, the darker state below 0.80; a red
flash is a pair of opposing transitions involving a saturated red. No more than three of either in any second
may happen together on more than 0.006 steradians within any 10 degree visual field, a quarter of it.
ITU-R BT.1702: the same for changes of 20 cd/m2 with the darker state below 160 cd/m2 (a tenth, and 0.80, of a
screen of 200 cd/m2), on more than a quarter of the screen.

Both areas are kept: that of a field, wherever it lies, at places that flash again and again; and that of the
screen, for flashes that happen together wherever each of them is. Transitions are counted, two to a flash:
three flashes are six of them in a second, and a seventh is too many.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from vivant.guardrails.flash_swings import (
    Cells,
    RedSwings,
    Swings,
    Turns,
    chromaticity,
    luminance,
    redness,
    saturated,
)
from vivant.runtime.frames import F32

ROWS: Final = 36
COLUMNS: Final = 64
SECOND_NS: Final = 1_000_000_000
MOST_TRANSITIONS: Final = 6  # three flashes
TOGETHER_NS: Final = 100_000_000  # changes that begin no further apart are one, unless a cell changes twice
FIELD_DEG: Final = (10.0, 7.5)  # WCAG's 341 x 256 pixels of 1024 x 768
SCREEN_DEG: Final = 30.0  # WCAG's screen, 341 pixels of which are 10 degrees, is about so wide

Counts = NDArray[np.int16]  # (ROWS, COLUMNS)


@dataclass(frozen=True, slots=True)
class Limits:
    """Where a change becomes a transition, and an area one that counts. The defaults are the standards'."""

    change: float = 0.10  # of the maximum relative luminance
    dark: float = 0.80  # the darker state is below it
    area: float = 0.25  # more than so much of a field, or of the screen
    saturated: float = 0.80  # R / (R + G + B) in linear light
    red_distance: float = 0.20  # CIE 1976 u', v' (WCAG 2.2)
    red_change: float = 20.0 / 320.0  # of R - G - B (WCAG 2.1)

    def within(self, share: float) -> Limits:
        """Limits that are reached at `share` (below 1) of what these ask for."""
        return replace(
            self,
            change=self.change * share,
            dark=1.0 - (1.0 - self.dark) * share,
            area=self.area * share,
            saturated=self.saturated * share,
            red_distance=self.red_distance * share,
            red_change=self.red_change * share,
        )


def field_cells(aspect: float, screen_deg: float = SCREEN_DEG) -> tuple[int, int]:
    """Rows and columns of a 10 degree field on a picture of `aspect` (width over height) that is `screen_deg`
    wide for the nearest spectator. Raises ValueError when either is not positive."""
    if not (aspect > 0.0 and screen_deg > 0.0):
        raise ValueError(f"a picture's aspect and its angle are positive, not {aspect} and {screen_deg}")
    columns = round(COLUMNS * FIELD_DEG[0] / screen_deg)
    rows = round(ROWS * FIELD_DEG[1] / screen_deg * aspect)
    return min(ROWS, max(1, rows)), min(COLUMNS, max(1, columns))


def area_in_field(cells: Cells | NDArray[np.int32], field: tuple[int, int]) -> float:
    """The largest share in [0, 1] of any field, of (rows, columns), that `cells` takes; cells may be counted
    more or less than once."""
    if not cells.any():
        return 0.0
    sums = np.zeros((ROWS + 1, COLUMNS + 1), np.int32)
    np.cumsum(np.cumsum(cells, 0, dtype=np.int32), 1, out=sums[1:, 1:])
    rows, columns = field
    inside = sums[rows:, columns:] - sums[:-rows, columns:] - sums[rows:, :-columns] + sums[:-rows, :-columns]
    return float(inside.max()) / (rows * columns)


class Tally:
    """How often each cell changed within the last `window_ns`."""

    def __init__(self, window_ns: int = SECOND_NS) -> None:
        self.counts: Counts = np.zeros((ROWS, COLUMNS), np.int16)
        self._window_ns = window_ns
        self._past: deque[tuple[int, Cells]] = deque()

    def step(self, turns: Turns, time_ns: int) -> None:
        """Take what happened at `time_ns`, and forget what is older than the window."""
        while self._past and self._past[0][0] <= time_ns - self._window_ns:
            self.counts -= self._past.popleft()[1]
        if turns.any:
            turned = turns.up | turns.down
            self.counts += turned
            self._past.append((time_ns, turned))


class Screen:
    """Changes of more than `area` of the whole screen at once, wherever they are, in the last `window_ns`.

    Cells that change one way within TOGETHER_NS make one event; a cell that changes that way again begins the
    next. Only opposing events make a flash: a wipe to white is many in one direction and flashes never.
    """

    def __init__(self, area: float, window_ns: int = SECOND_NS) -> None:
        self._least = area * ROWS * COLUMNS
        self._ways = (Way(window_ns), Way(window_ns))

    def step(self, turns: Turns, time_ns: int) -> int:
        """Take what happened at `time_ns`; the opposing events within the window."""
        for way, turned in zip(self._ways, (turns.up, turns.down), strict=True):
            way.step(turned, time_ns, self._least)
        up, down = (len(way.events) for way in self._ways)
        return 2 * min(up, down) + (up != down)


class Way:
    """The events in one direction: what `Screen` keeps twice."""

    def __init__(self, window_ns: int) -> None:
        self.events: deque[int] = deque()
        self._window_ns = window_ns
        self._members: Cells = np.zeros((ROWS, COLUMNS), np.bool_)
        self._waiting: Cells = np.zeros((ROWS, COLUMNS), np.bool_)
        self._waiting_ns = np.zeros((ROWS, COLUMNS), np.int64)

    def step(self, turned: Cells, time_ns: int, least: float) -> None:
        """Cells `turned` at `time_ns`: they join the last event, or wait until they are `least` many."""
        while self.events and self.events[0] <= time_ns - self._window_ns:
            self.events.popleft()
        if not turned.any():
            return
        if self.events and time_ns - self.events[-1] < TOGETHER_NS:
            joining = turned & ~self._members
            self._members |= joining
            turned = turned & ~joining
        self._waiting |= turned
        self._waiting_ns[turned] = time_ns
        self._waiting &= self._waiting_ns > time_ns - TOGETHER_NS
        if self._waiting.sum() > least:
            self.events.append(time_ns)
            self._members, self._waiting = self._waiting, np.zeros_like(self._waiting)


class Together:
    """Leaves those changes that are a flash's: of some field, more than `area` one way within TOGETHER_NS,
    what goes the other way at the same time taken off.

    Somebody who dances brightens as many places as he darkens: that is motion. (A pattern that reverses does
    the same; on a quarter of the screen and more, `Screen` sees it.)
    """

    def __init__(self, area: float) -> None:
        self._area = area
        self._ways = (_Gathering(), _Gathering())

    def step(self, turns: Turns, time_ns: int, field: tuple[int, int]) -> Turns:
        """Take what happened at `time_ns`; what of it, and of the moment before, happened together."""
        if not turns.any:
            return turns
        up, down = self._ways
        late = [
            way.take(turned, time_ns) for way, turned in zip(self._ways, (turns.up, turns.down), strict=True)
        ]
        net = up.waiting.astype(np.int32) - down.waiting
        brighter = late[0] | up.met(time_ns, area_in_field(net, field) > self._area)
        darker = late[1] | down.met(time_ns, area_in_field(-net, field) > self._area)
        return Turns(brighter, darker)


class _Gathering:
    """Changes in one direction that wait for enough others."""

    def __init__(self) -> None:
        self.waiting: Cells = np.zeros((ROWS, COLUMNS), np.bool_)
        self._waiting_ns = np.zeros((ROWS, COLUMNS), np.int64)
        self._met_ns: int | None = None

    def take(self, turned: Cells, time_ns: int) -> Cells:
        """Those of `turned` that are late for an event; the others wait."""
        if self._met_ns is not None and time_ns - self._met_ns < TOGETHER_NS:
            return turned
        self.waiting = self.waiting | turned
        self._waiting_ns[turned] = time_ns
        self.waiting &= self._waiting_ns > time_ns - TOGETHER_NS
        return np.zeros_like(turned)

    def met(self, time_ns: int, enough: bool) -> Cells:
        """Those that waited, when they are enough now."""
        if not enough:
            return np.zeros_like(self.waiting)
        met, self.waiting, self._met_ns = self.waiting, np.zeros_like(self.waiting), time_ns
        return met


class Kind:
    """One kind of flash: how it is seen in a picture, and what was counted of it."""

    def __init__(self, seen: Callable[[F32], Turns], limits: Limits) -> None:
        self._see = seen
        self._together = Together(limits.area)
        self._screen = Screen(limits.area)
        self.tally = Tally()
        self.screen = 0
        self.seen = Turns(np.zeros((ROWS, COLUMNS), np.bool_), np.zeros((ROWS, COLUMNS), np.bool_))
        self.turns = self.seen

    def step(self, light: F32, time_ns: int, field: tuple[int, int]) -> None:
        """Take the next picture's cells."""
        self.seen = self._see(light)
        self.screen = self._screen.step(self.seen, time_ns)
        self.turns = self._together.step(self.seen, time_ns, field)
        self.tally.step(self.turns, time_ns)

    def transitions(self, field: tuple[int, int], area: float) -> int:
        """The most transitions of the last second on more than `area` of a field, or of the screen."""
        counts = self.tally.counts
        found = (
            number
            for number in range(int(counts.max()), self.screen, -1)
            if area_in_field(counts >= number, field) > area
        )
        return next(found, self.screen)


def general(limits: Limits) -> Callable[[F32], Turns]:
    """General flashes: relative luminance in linear light."""
    swings = Swings(limits.change)

    def seen(light: F32) -> Turns:
        level = luminance(light)
        return swings.step(level, level < limits.dark)

    return seen


def red(limits: Limits) -> Callable[[F32], Turns]:
    """Red flashes by the distance of WCAG 2.2 and ISO 9241-391."""
    swings = RedSwings(limits.red_distance)
    return lambda light: swings.step(chromaticity(light), saturated(light, limits.saturated))


def red_21(limits: Limits) -> Callable[[F32], Turns]:
    """Red flashes by the older working definition: WCAG 2.0 and 2.1, Harding and Binnie 2002."""
    swings = Swings(limits.red_change)
    return lambda light: swings.step(redness(light), saturated(light, limits.saturated))


KINDS: Final[Mapping[str, Callable[[Limits], Callable[[F32], Turns]]]] = {
    "general": general,
    "red": red,
    "red 2.1": red_21,
}
ADVISORY: Final = frozenset({"red 2.1"})
"""Counted and told, but nothing is damped for it and no film fails by it: WCAG 2.2 replaced it, and it takes
a saturated painting that changes its style for flashing (measured: 12 of 20 seconds of a calm show)."""


class Watch:
    """Sees every picture once, in its order. One thread uses it.

    `field` is what field_cells gives for the picture's shape and how wide it is for a spectator.
    """

    def __init__(self, field: tuple[int, int], limits: Limits | None = None, advisory: bool = True) -> None:
        """`advisory` False leaves out the kinds that are only told."""
        self.field = field
        self.limits = limits or Limits()
        names = [name for name in KINDS if advisory or name not in ADVISORY]
        self.kinds = {name: Kind(KINDS[name](self.limits), self.limits) for name in names}

    def see(self, light: F32, time_ns: int) -> None:
        """Take the cells f32 (ROWS, COLUMNS, 3), means of linear light in [0, 1], of the picture shown from
        `time_ns` on. Raises ValueError for any other shape."""
        if light.shape != (ROWS, COLUMNS, 3):
            raise ValueError(f"a picture's cells are ({ROWS}, {COLUMNS}, 3), not {light.shape}")
        for kind in self.kinds.values():
            kind.step(light, time_ns, self.field)

    def counts_as_area(self, cells: Cells) -> bool:
        """Whether `cells` are more of some field than is allowed to flash."""
        return area_in_field(cells, self.field) > self.limits.area

    def transitions(self) -> dict[str, int]:
        """By kind: the most transitions of the last second on an area that counts. Two make a flash."""
        return {name: kind.transitions(self.field, self.limits.area) for name, kind in self.kinds.items()}


def flashing(transitions: Mapping[str, int]) -> Iterator[str]:
    """The kinds of which there are more than three flashes in a second."""
    return (name for name, number in transitions.items() if number > MOST_TRANSITIONS)
