"""Conditions at work: each says yes, no, or that it cannot know (None).

A signal that is absent or no number is not known, and what is not known starts nothing and ends nothing.
"""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol

from vivant.runtime.frames import EMPTY, Value
from vivant.runtime.parameters import address_of
from vivant.runtime.triggers.agreement import SIGNAL
from vivant.runtime.triggers.almanac import MONDAY, Almanac, Days, Moments, Window, cron_of, in_hours
from vivant.runtime.triggers.rules import (
    Calendar,
    Compound,
    Declared,
    Dice,
    ParameterIs,
    Part,
    SignalIs,
    Stands,
    Threshold,
    When,
)

Reader = Callable[["World"], float | None]


@dataclass(slots=True)
class World:
    """All that conditions may look at in one step. `now_ns` is monotonic, `wall_s` is since 1970; `signals`
    are those of the senses and our own; `values` the parameters'; `standing` the triggers that stand."""

    now_ns: int = 0
    wall_s: float = 0.0
    local: dt.datetime = dt.datetime.min
    signals: Mapping[str, float] = field(default_factory=lambda: EMPTY)
    values: Mapping[str, Value] = field(default_factory=lambda: EMPTY)
    standing: frozenset[str] = frozenset()


class Watch(Protocol):
    """A condition with the memory that it needs; asked once in every step, in the order of time."""

    def holds(self, world: World) -> bool | None: ...


@dataclass(frozen=True, slots=True)
class Setting:
    """What conditions are made with: the clock on the wall, campaigns, declared signals, the seed of the
    dice, and the day from which recurrences are worked out before the show."""

    almanac: Almanac
    calendar: Calendar
    declared: Mapping[str, Declared]
    seed: int = 0
    today: dt.date = MONDAY


class Level:
    """A number against a threshold. What became true by `above` ends below `until`, and the other way."""

    __slots__ = ("_bound", "_on", "_read", "_sign", "_until")

    def __init__(self, read: Reader, keys: Threshold) -> None:
        self._read = read
        self._sign = 1.0 if keys.above is not None else -1.0
        bound = keys.above if keys.above is not None else keys.below
        assert bound is not None
        self._bound = self._sign * bound
        self._until = self._bound if keys.until is None else self._sign * keys.until
        self._on = False

    def holds(self, world: World) -> bool | None:
        number = self._read(world)
        if number is None or number != number:  # absent, or NaN
            return None
        number *= self._sign
        self._on = number > (self._until if self._on else self._bound)
        return self._on


class Equal:
    """A parameter that has one value."""

    __slots__ = ("_address", "_value")

    def __init__(self, address: str, value: Value) -> None:
        self._address, self._value = address, value

    def holds(self, world: World) -> bool | None:
        found = world.values.get(self._address)
        return None if found is None else found == self._value


class Hours:
    """Hours of the day on certain days; asked of the calendar once a second."""

    __slots__ = ("_asked", "_days", "_on", "_windows")

    def __init__(self, windows: Sequence[Window], days: Sequence[Days]) -> None:
        self._windows, self._days = windows, days
        self._asked: dt.datetime | None = None
        self._on = False

    def holds(self, world: World) -> bool | None:
        if world.local is not self._asked:
            self._asked, self._on = world.local, in_hours(self._windows, self._days, world.local)
        return self._on


class At:
    """The minute that begins with a moment, on certain days."""

    __slots__ = ("_almanac", "_days", "_moments")

    def __init__(self, moments: Sequence[Moments], days: Sequence[Days], almanac: Almanac) -> None:
        self._moments, self._days, self._almanac = moments, days, almanac

    def holds(self, world: World) -> bool | None:
        for moments in self._moments:
            began_s = moments.current(world.wall_s)
            if began_s is not None:
                day = dt.datetime.fromtimestamp(began_s, self._almanac.zone).date()
                if all(days.include(day) for days in self._days):
                    return True
        return False


class Throws:
    """One throw of the dice for each stretch of the wall clock, true in its first half when it won.

    The throws hang on the seed, the trigger and the time alone: a simulation of a day throws what the show
    of that day throws.
    """

    __slots__ = ("_chance", "_every_s", "_key", "_throw", "_won")

    def __init__(self, keys: Dice, seed: int, name: str) -> None:
        self._every_s, self._chance = keys.every_s, keys.chance
        self._key = f"{seed}/{name}/"
        self._throw: int | None = None
        self._won = False

    def holds(self, world: World) -> bool | None:
        throw = int(world.wall_s // self._every_s)
        if throw != self._throw:
            self._throw, self._won = throw, chance_of(f"{self._key}{throw}") < self._chance
        return self._won and world.wall_s % self._every_s < self._every_s / 2


class Standing:
    """Another trigger that stands."""

    __slots__ = ("_name",)

    def __init__(self, name: str) -> None:
        self._name = name

    def holds(self, world: World) -> bool | None:
        return self._name in world.standing


class All:
    """Every one of several. All are asked, whatever the first says: each has a memory to keep."""

    __slots__ = ("_parts",)

    def __init__(self, parts: Sequence[Watch]) -> None:
        self._parts = parts

    def holds(self, world: World) -> bool | None:
        found: bool | None = True
        for part in self._parts:
            one = part.holds(world)
            if one is False or (one is None and found):
                found = one
        return found


class AnyOf:
    """One of several at least."""

    __slots__ = ("_parts",)

    def __init__(self, parts: Sequence[Watch]) -> None:
        self._parts = parts

    def holds(self, world: World) -> bool | None:
        found: bool | None = False
        for part in self._parts:
            one = part.holds(world)
            if one or (one is None and found is False):
                found = one
        return found


class Not:
    """The contrary; of what is not known nothing is known."""

    __slots__ = ("_part",)

    def __init__(self, parts: Sequence[Watch]) -> None:
        (self._part,) = parts

    def holds(self, world: World) -> bool | None:
        one = self._part.holds(world)
        return None if one is None else not one


class Lasting:
    """True once the condition has been true for so long without a break."""

    __slots__ = ("_for_ns", "_part", "_since_ns")

    def __init__(self, part: Watch, for_s: float) -> None:
        self._part, self._for_ns = part, round(for_s * 1e9)
        self._since_ns: int | None = None

    def holds(self, world: World) -> bool | None:
        one = self._part.holds(world)
        if not one:
            self._since_ns = None
            return one
        if self._since_ns is None:
            self._since_ns = world.now_ns
        return world.now_ns - self._since_ns >= self._for_ns


COMPOUNDS: Final[Mapping[str, Callable[[Sequence[Watch]], Watch]]] = {"all": All, "any": AnyOf, "not": Not}


def watch_for(part: Part, setting: Setting, name: str) -> Watch:
    """The condition `part` of the trigger `name`, at work."""
    made = _watch(part, setting, name)
    return Lasting(made, part.for_s) if part.for_s > 0 else made


def _watch(part: Part, setting: Setting, name: str) -> Watch:
    if isinstance(part, Compound):
        inner = [watch_for(one, setting, f"{name}.{i}") for i, one in enumerate(part.parts)]
        return COMPOUNDS[part.word](inner)
    if isinstance(part, SignalIs):
        own = part.signal in setting.declared
        return Level(_parameter(SIGNAL + part.signal) if own else _signal(part.signal), part)
    if isinstance(part, ParameterIs):
        address = address_of(part.parameter)
        return Level(_parameter(address), part) if part.equals is None else Equal(address, part.equals)
    if isinstance(part, Dice):
        return Throws(part, setting.seed, name)
    if isinstance(part, Stands):
        return Standing(part.stands)
    return _when(part, setting)


def _when(part: When, setting: Setting) -> Watch:
    days = [part.days()]
    if part.campaign is not None:
        days.append(setting.calendar.campaigns[part.campaign].days())
    for one in days:
        one.include(setting.today)
    if part.at:
        almanac = setting.almanac
        return At([Moments(cron_of(text), almanac) for text in part.at], days, almanac)
    return Hours(part.windows(), days)


def _signal(name: str) -> Reader:
    return lambda world: world.signals.get(name)


def _parameter(address: str) -> Reader:
    def read(world: World) -> float | None:
        value = world.values.get(address)
        return value if isinstance(value, int | float) else None

    return read


def chance_of(key: str) -> float:
    """A number in [0, 1) that hangs on `key` alone, evenly spread over keys."""
    return int.from_bytes(hashlib.blake2b(key.encode(), digest_size=8).digest()) / 2**64
