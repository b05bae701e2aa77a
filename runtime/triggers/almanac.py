"""The wall clock of a show: its time zone, days and hours, and the moments that a cron line names.

Hours and days are those that a clock on the wall of `zone` shows. In the hour that summer time leaves out
nothing is true; in the hour that comes twice it is true twice as long. A moment (`at`) that falls into the
gap comes at its end, and one in the hour that comes twice comes once, the first time (cronsim does as
Debian's cron does).
"""

from __future__ import annotations

import datetime as dt
import re
import zoneinfo
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from dateutil.rrule import rrule

LOCAL: Final = "local"
WEEKDAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
DAY_MINUTES: Final = 24 * 60
MOMENT_S: Final = 60.0  # a moment is true for cron's own grain: the minute that it begins
AHEAD: Final = dt.timedelta(days=400)  # a recurrence is worked out so far at once, off the refresh
MONDAY: Final = dt.date(2024, 1, 1)  # what "every second week" counts from when a scene does not say
COARSE: Final = ("YEARLY", "MONTHLY", "WEEKLY", "DAILY")
HOURS: Final = re.compile(r"(\d{1,2}):(\d\d)-(\d{1,2}):(\d\d)")
CLOCK_TIME: Final = re.compile(r"([01]?\d|2[0-3]):([0-5]\d)")

Window = tuple[int, int]  # minutes of the day: from, until (not with it); until <= from goes past midnight


def zone_of(name: str) -> dt.tzinfo:
    """The zone of an IANA name ("Europe/Vienna"), or this machine's for "local". Raises ValueError."""
    if name == LOCAL:
        import tzlocal

        return tzlocal.get_localzone()
    try:
        return zoneinfo.ZoneInfo(name)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError) as error:
        import difflib

        near = difflib.get_close_matches(name, zoneinfo.available_timezones(), n=1)
        hint = f"did you mean '{near[0]}'?" if near else "write it as Europe/Vienna, or local"
        raise ValueError(f"is no time zone; {hint}") from error


def hours_of(text: str) -> Window:
    """'18:00-23:00' as minutes of the day. 24:00 is the end of a day. Raises ValueError."""
    found = HOURS.fullmatch(text.strip())
    if found is None:
        raise ValueError("write it as 18:00-23:00")
    hour, minute, last_hour, last_minute = map(int, found.groups())
    begin, end = hour * 60 + minute, last_hour * 60 + last_minute
    if minute > 59 or last_minute > 59 or begin >= DAY_MINUTES or end > DAY_MINUTES:
        raise ValueError("there is no such time of day; hours go from 00:00 to 24:00")
    if begin == end:
        raise ValueError("begins when it ends, so it is never true; a whole day is 00:00-24:00")
    return begin, end


def weekdays_of(text: str) -> frozenset[int]:
    """'fri' or 'mon-fri' as numbers, Monday 0; 'sat-mon' goes past Sunday. Raises ValueError."""
    first, dash, last = text.strip().lower().partition("-")
    if first not in WEEKDAYS or (dash and last not in WEEKDAYS):
        raise ValueError(f"should be one of {', '.join(WEEKDAYS)}, or two of them as mon-fri")
    begin, end = WEEKDAYS.index(first), WEEKDAYS.index(last or first)
    return frozenset((begin + more) % 7 for more in range((end - begin) % 7 + 1))


@dataclass(frozen=True, slots=True)
class Span:
    """From one day to another, both with it; (month, day) where it comes every year."""

    first: dt.date | tuple[int, int]
    last: dt.date | tuple[int, int]

    def includes(self, day: dt.date) -> bool:
        """Whether `day` lies in it; a yearly span may go past New Year."""
        if isinstance(self.first, dt.date) and isinstance(self.last, dt.date):
            return self.first <= day <= self.last
        today = (day.month, day.day)
        if self.first <= self.last:  # type: ignore[operator]  # both are of one kind: see span_of
            return self.first <= today <= self.last  # type: ignore[operator]
        return today >= self.first or today <= self.last  # type: ignore[operator]


def span_of(text: str) -> Span:
    """'2026-11-29..2026-12-24', one day, or '12-01..01-06' for every year. Raises ValueError."""
    first, dots, last = (part.strip() for part in text.partition(".."))
    begin, end = _day(first), _day(last if dots else first)
    if isinstance(begin, dt.date) != isinstance(end, dt.date):
        raise ValueError("has a year at one end only; write both with it, or both without")
    if isinstance(begin, dt.date) and isinstance(end, dt.date) and end < begin:
        raise ValueError("ends before it begins")
    return Span(begin, end)


def _day(text: str) -> dt.date | tuple[int, int]:
    try:
        if len(text) == len("12-24"):
            leap = dt.date.fromisoformat(f"2024-{text}")
            return leap.month, leap.day
        return dt.date.fromisoformat(text)
    except ValueError as error:
        raise ValueError(f"{error}; write days as 2026-12-24, or 12-24 for every year") from error


@dataclass(slots=True)
class Recurrence:
    """Days by a recurrence rule of RFC 5545 ("FREQ=MONTHLY;BYDAY=1FR"), counted from `since`.

    Raises ValueError for a rule that is none, or that is finer than days.
    """

    text: str
    since: dt.date = MONDAY
    _rule: rrule = field(init=False)
    _days: frozenset[dt.date] = field(init=False, default=frozenset())
    _known: tuple[dt.date, dt.date] | None = field(init=False, default=None)

    def __post_init__(self) -> None:
        from dateutil.rrule import rrule, rrulestr

        parts = {name: value for name, _, value in (p.partition("=") for p in self.text.upper().split(";"))}
        if parts.get("FREQ") not in COARSE:
            raise ValueError(f"needs FREQ={', '.join(COARSE[:-1])} or {COARSE[-1]}; hours go into time or at")
        if {"BYHOUR", "BYMINUTE", "BYSECOND", "DTSTART"} & {*parts}:
            raise ValueError("is about whole days: hours go into time or at, the first day into since")
        rule = rrulestr(self.text, dtstart=dt.datetime.combine(self.since, dt.time()))
        if not isinstance(rule, rrule):
            raise ValueError("should be one rule, such as FREQ=MONTHLY;BYDAY=1FR")
        self._rule = rule

    def includes(self, day: dt.date) -> bool:
        """Whether the rule names `day`."""
        if self._known is None or not self._known[0] <= day <= self._known[1]:
            first, last = day - dt.timedelta(days=1), day + AHEAD
            begin, end = (dt.datetime.combine(at, dt.time()) for at in (first, last))
            self._days = frozenset(one.date() for one in self._rule.between(begin, end, inc=True))
            self._known = first, last
        return day in self._days


@dataclass(frozen=True, slots=True)
class Days:
    """Days that fulfil all that is given: in one of the `spans`, on a weekday, named by the recurrence."""

    spans: tuple[Span, ...] = ()
    weekdays: frozenset[int] | None = None
    recurrence: Recurrence | None = None

    def include(self, day: dt.date) -> bool:
        """Whether `day` is one of them."""
        return (
            (not self.spans or any(span.includes(day) for span in self.spans))
            and (self.weekdays is None or day.weekday() in self.weekdays)
            and (self.recurrence is None or self.recurrence.includes(day))
        )


class Almanac:
    """What the clock on the wall shows, worked out once a second. `wall_s` is seconds since 1970."""

    def __init__(self, zone: dt.tzinfo) -> None:
        self.zone = zone
        self._second = -1
        self._local = dt.datetime.fromtimestamp(0, zone)

    def local(self, wall_s: float) -> dt.datetime:
        """The local date and time, to the second."""
        second = int(wall_s)
        if second != self._second:
            self._second, self._local = second, dt.datetime.fromtimestamp(second, self.zone)
        return self._local


def in_hours(windows: Sequence[Window], days: Sequence[Days], now: dt.datetime) -> bool:
    """Whether `now` is in one of the windows of a day that all `days` include. Past midnight a window
    still belongs to the day on which it began."""
    minute, today = now.hour * 60 + now.minute, now.date()
    for begin, end in windows:
        if begin < end:
            found = begin <= minute < end and _all(days, today)
        else:
            found = (minute >= begin and _all(days, today)) or (
                minute < end and _all(days, today - dt.timedelta(days=1))
            )
        if found:
            return True
    return False


def _all(days: Sequence[Days], day: dt.date) -> bool:
    return all(one.include(day) for one in days)


def cron_of(text: str) -> str:
    """A cron line of five fields; '07:30' becomes the one that means it. Raises ValueError."""
    from cronsim import CronSim, CronSimError

    found = CLOCK_TIME.fullmatch(text.strip())
    line = f"{int(found[2])} {int(found[1])} * * *" if found else text.strip()
    if len(line.split()) != 5:
        raise ValueError("write it as 07:30, or as a cron line: minute hour day month weekday")
    try:
        CronSim(line, dt.datetime(2026, 1, 1))
    except CronSimError as error:
        raise ValueError(f"is no cron line: {str(error).lower()}") from error
    return line


class Moments:
    """The moments of one cron line, in the order of time. One thread."""

    def __init__(self, line: str, almanac: Almanac) -> None:
        self._line, self._almanac = line, almanac
        self._seen_s, self._due_s = float("inf"), float("inf")

    def current(self, wall_s: float) -> float | None:
        """When the moment began that is true at `wall_s`; None between moments.

        A clock that was set back, or that jumped, is looked at anew: what lies in the jump is left out.
        """
        if wall_s < self._seen_s or wall_s >= self._due_s + MOMENT_S:
            self._due_s = self._next(wall_s)
        self._seen_s = wall_s
        return self._due_s if self._due_s <= wall_s else None

    def _next(self, wall_s: float) -> float:
        """The first moment that is not over at `wall_s`."""
        from cronsim import CronSim

        since = dt.datetime.fromtimestamp(int(wall_s - MOMENT_S) - 1, self._almanac.zone)
        for moment in CronSim(self._line, since):
            due_s = moment.timestamp()
            if due_s + MOMENT_S > wall_s:
                return due_s
        return float("inf")
