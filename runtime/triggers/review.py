"""What is doubtful about a scene's triggers, though each is right: who can never fire, who fights whom."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from itertools import combinations
from typing import Final

from vivant.runtime.frames import Value
from vivant.runtime.parameters import ROOT
from vivant.runtime.tree import Tree
from vivant.runtime.triggers.almanac import DAY_MINUTES, Days, Span, cron_of, in_hours
from vivant.runtime.triggers.clauses import MOST_CLAUSES, Clause, clauses, contradicts_itself, states
from vivant.runtime.triggers.rules import Calendar, Pick, Rule, When

AHEAD_DAYS: Final = 400  # so that every day of a year is looked at
MOST_MOMENTS: Final = 240  # a day; a cron line with more is believed to meet the rest


class Chance(IntEnum):
    """Whether something can be so: never, on days that are over, on days far ahead, or soon."""

    NEVER = 0
    PAST = 1
    LATER = 2
    YES = 3


@dataclass(frozen=True, slots=True)
class Doubt:
    """Something to look at. `grave`: it cannot be meant so; else it may be."""

    grave: bool
    text: str


class Review:
    """Looks at the triggers of one scene as of one day."""

    def __init__(self, rules: Mapping[str, Rule], tree: Tree, calendar: Calendar, today: dt.date) -> None:
        self._rules, self._parameters = rules, tree.parameters
        self._calendar, self._today = calendar, today
        self._dead: set[str] = set()
        self._known: dict[tuple[tuple[When, bool], ...], Chance] = {}

    def doubts(self) -> list[Doubt]:
        """Everything that is doubtful, in the order of the file."""
        found = [*self._unfired(), *self._fights()]
        return sorted(found, key=lambda doubt: not doubt.grave)

    def _unfired(self) -> Iterator[Doubt]:
        chances = {name: self._chance(rule) for name, rule in self._rules.items()}
        while True:  # a trigger that waits for one that never fires never fires either
            before = len(self._dead)
            self._dead |= {name for name, chance in chances.items() if chance is Chance.NEVER}
            if len(self._dead) == before:
                break
            chances = {name: self._chance(rule) for name, rule in self._rules.items()}
        reasons = {
            Chance.NEVER: "can never fire: its conditions exclude each other, or ask for what there is not",
            Chance.PAST: "will not fire any more: its days are over",
            Chance.LATER: f"will not fire in the next {AHEAD_DAYS} days",
        }
        for name, chance in chances.items():
            if chance is not Chance.YES:
                yield Doubt(chance is Chance.NEVER, f"triggers.{name}: {reasons[chance]}")

    def _fights(self) -> Iterator[Doubt]:
        for one, other in combinations(self._rules.values(), 2):
            if one.priority != other.priority or {one.name, other.name} & self._dead:
                continue
            shared = sorted(_shared(one, other))
            if not shared or self._together(one, other) is not Chance.YES:
                continue
            names = ", ".join(address.removeprefix(ROOT) for address in shared)
            cure = (
                "give one a higher priority"
                if one.group and one.group == other.group
                else ("put them into one group, or give one a higher priority")
            )
            text = (
                f"triggers.{one.name} and triggers.{other.name} can hold at once and both set {names}; {cure}"
            )
            yield Doubt(True, text)

    def _chance(self, rule: Rule) -> Chance:
        found = clauses(rule.when)
        return Chance.YES if found is None else max((self._possible(c) for c in found), default=Chance.NEVER)

    def _together(self, one: Rule, other: Rule) -> Chance:
        first, second = clauses(one.when), clauses(other.when)
        if first is None or second is None or len(first) * len(second) > MOST_CLAUSES:
            return Chance.YES
        return max((self._possible((*a, *b)) for a in first for b in second), default=Chance.NEVER)

    def _possible(self, clause: Clause) -> Chance:
        if contradicts_itself(clause, self._parameters, self._rules) or self._dead & {*states(clause)}:
            return Chance.NEVER
        dated = tuple((leaf, wanted) for leaf, wanted in clause if isinstance(leaf, When))
        if not dated:
            return Chance.YES
        if dated not in self._known:
            self._known[dated] = self._on_some_day(dated)
        return self._known[dated]

    def _on_some_day(self, dated: Sequence[tuple[When, bool]]) -> Chance:
        asked = [(Asked.of(leaf, self._calendar), wanted) for leaf, wanted in dated]
        soon = [self._today + dt.timedelta(days=more) for more in range(AHEAD_DAYS)]
        if any(_meet(asked, day) for day in soon):
            return Chance.YES
        named = {
            day for one, _ in asked for days in one.days for span in days.spans for day in _days_in(span)
        }
        later = [day for day in named if day > soon[-1]]
        if any(_meet(asked, day) for day in later):
            return Chance.LATER
        past = [day for day in named if day < self._today]
        return Chance.PAST if any(_meet(asked, day) for day in past) else Chance.NEVER


@dataclass(frozen=True, slots=True)
class Asked:
    """A calendar condition, taken apart once."""

    windows: tuple[tuple[int, int], ...]
    days: tuple[Days, ...]
    lines: tuple[str, ...]

    @classmethod
    def of(cls, leaf: When, calendar: Calendar) -> Asked:
        days: tuple[Days, ...] = (leaf.days(),)
        if leaf.campaign is not None:
            days = (*days, calendar.campaigns[leaf.campaign].days())
        return cls(leaf.windows(), days, tuple(map(cron_of, leaf.at)))

    def minutes(self, day: dt.date) -> list[int] | None:
        """The minutes of `day` at which something begins or ends; None when they are too many."""
        if not self.lines:
            return [0, *(minute % DAY_MINUTES for window in self.windows for minute in window)]
        found = [minute for line in self.lines for minute in _cron_minutes(line, day)]
        return found if len(found) <= MOST_MOMENTS else None

    def holds(self, day: dt.date, minute: int) -> bool:
        """Whether it is true at a minute of `day`."""
        if not self.lines:
            return in_hours(self.windows, self.days, dt.datetime.combine(day, dt.time(*divmod(minute, 60))))
        named = any(minute in _cron_minutes(line, day) for line in self.lines)
        return named and all(days.include(day) for days in self.days)


def _meet(asked: Sequence[tuple[Asked, bool]], day: dt.date) -> bool:
    """Whether there is a minute of `day` at which all is as wanted."""
    minutes = {0}
    sure = []
    for one, wanted in asked:
        own = one.minutes(day)
        if own is None or (one.lines and not wanted):
            continue
        minutes.update(own)
        sure.append((one, wanted))
    return any(all(one.holds(day, minute) == wanted for one, wanted in sure) for minute in minutes)


def _cron_minutes(line: str, day: dt.date) -> list[int]:
    """The minutes of a day that a cron line names."""
    from cronsim import CronSim

    cron = CronSim(line, dt.datetime.combine(day, dt.time()))
    if day.month not in cron.months or not cron.match_day(day):
        return []
    return [hour * 60 + minute for hour in sorted(cron.hours) for minute in sorted(cron.minutes)]


def _days_in(span: Span) -> Iterator[dt.date]:
    if isinstance(span.first, dt.date) and isinstance(span.last, dt.date):
        length = min((span.last - span.first).days, AHEAD_DAYS)
        yield from (span.first + dt.timedelta(days=more) for more in range(length + 1))


def _shared(one: Rule, other: Rule) -> Iterator[str]:
    """The addresses that both set, not always to the same value."""
    for address in _set_by(one).keys() & _set_by(other).keys():
        values = _set_by(one)[address] | _set_by(other)[address]
        if len(values) > 1 or any(isinstance(value, Pick) for value in values):
            yield address


def _set_by(rule: Rule) -> dict[str, set[Value | Pick | None]]:
    found: dict[str, set[Value | Pick | None]] = {}
    for act in (*rule.do, *rule.after):
        found.setdefault(act.address, set()).add(act.to)
    return found
