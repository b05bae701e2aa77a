"""The wall clock of triggers: hours, days, recurrences, and both changes of summer time."""

from __future__ import annotations

import datetime as dt
import math
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vivant.runtime.triggers.almanac import (
    MOMENT_S,
    Almanac,
    Days,
    Moments,
    Recurrence,
    cron_of,
    hours_of,
    in_hours,
    span_of,
    weekdays_of,
    zone_of,
)

VIENNA = ZoneInfo("Europe/Vienna")
MINUTE = dt.timedelta(minutes=1)


def wall(text: str) -> float:
    """Seconds since 1970 of a zoned date and time."""
    return dt.datetime.fromisoformat(text).timestamp()


def minutes_true(window: str, begin: str, hours: int) -> int:
    """For how many of the real minutes from `begin` on the window is true in Vienna."""
    almanac, start_s = Almanac(VIENNA), wall(begin)
    windows, days = (hours_of(window),), (Days(),)
    return sum(in_hours(windows, days, almanac.local(start_s + 60 * m)) for m in range(hours * 60))


@pytest.mark.parametrize(
    ("window", "begin", "minutes"),
    [
        ("02:00-03:00", "2026-03-28T00:00+01:00", 60),
        ("02:00-03:00", "2026-03-29T00:00+01:00", 0),  # the hour that is left out
        ("01:30-02:30", "2026-03-29T00:00+01:00", 30),
        ("01:00-04:00", "2026-03-29T00:00+01:00", 120),
        ("02:00-03:00", "2026-10-25T00:00+02:00", 120),  # the hour that comes twice
        ("02:30-02:40", "2026-10-25T00:00+02:00", 20),
        ("22:00-02:00", "2026-10-24T12:00+02:00", 240),
    ],
)
def test_hours_are_those_of_the_clock_on_the_wall(window: str, begin: str, minutes: int) -> None:
    assert minutes_true(window, begin, 20) == minutes


@pytest.mark.parametrize(
    ("line", "begin", "moments"),
    [
        ("02:30", "2026-03-29T00:30+01:00", ["2026-03-29T03:00+02:00"]),  # in the gap: at its end
        ("02:30", "2026-10-25T00:30+02:00", ["2026-10-25T02:30+02:00"]),  # twice: the first time
        ("30 * * * *", "2026-10-25T01:50+02:00", ["2026-10-25T02:30+02:00", "2026-10-25T02:30+01:00"]),
    ],
)
def test_a_moment_comes_once_whatever_summer_time_does(line: str, begin: str, moments: list[str]) -> None:
    watch, start_s = Moments(cron_of(line), Almanac(VIENNA)), wall(begin)
    seen = [watch.current(start_s + second) for second in range(0, 9_000, 10)]
    found = sorted({began_s for began_s in seen if began_s is not None})
    assert found == [wall(text) for text in moments]


def test_a_moment_lasts_a_minute() -> None:
    watch, due_s = Moments(cron_of("07:30"), Almanac(VIENNA)), wall("2026-11-21T07:30+01:00")
    assert [watch.current(due_s + s) for s in (-0.1, 0.0, 59.9, 60.0)] == [None, due_s, due_s, None]
    assert watch.current(due_s + 86_400) == due_s + 86_400


def test_a_clock_that_jumps_leaves_out_what_lies_in_the_jump_and_can_go_back() -> None:
    watch, due_s = Moments(cron_of("07:30"), Almanac(VIENNA)), wall("2026-11-21T07:30+01:00")
    assert watch.current(due_s - 3600) is None
    assert watch.current(due_s + 3600) is None
    assert watch.current(due_s - 5) is None
    assert watch.current(due_s + 5) == due_s


@given(
    st.integers(0, 2 * 365 * 86_400),
    st.sampled_from(["*/7 * * * *", "30 2 * * *", "0 0 1 * *", "15 3 * * sun"]),
)
def test_a_moment_that_is_found_late_is_the_one_that_was_followed(second: int, line: str) -> None:
    now_s = wall("2026-01-01T00:00+01:00") + second
    fresh, followed = Moments(line, Almanac(VIENNA)), Moments(line, Almanac(VIENNA))
    for step in range(-200, 1, 20):
        last = followed.current(now_s + step)
    found = fresh.current(now_s)
    assert found == last
    assert found is None or now_s - MOMENT_S < found <= now_s


def test_what_goes_past_midnight_belongs_to_the_day_on_which_it_began() -> None:
    friday = (Days(weekdays=weekdays_of("fri")),)
    windows = (hours_of("22:00-02:00"),)
    at = dt.datetime.fromisoformat
    assert in_hours(windows, friday, at("2026-11-20T23:00"))
    assert in_hours(windows, friday, at("2026-11-21T01:59"))
    assert not in_hours(windows, friday, at("2026-11-20T01:00"))
    assert not in_hours(windows, friday, at("2026-11-21T02:00"))
    assert not in_hours(windows, friday, at("2026-11-21T23:00"))


def test_a_whole_day_has_every_minute() -> None:
    windows = (hours_of("00:00-24:00"),)
    day = dt.datetime(2026, 11, 21)
    assert all(in_hours(windows, (Days(),), day + m * MINUTE) for m in range(24 * 60))


def test_weekdays_go_past_sunday() -> None:
    assert weekdays_of("sat-mon") == {5, 6, 0}
    assert weekdays_of("Wed") == {2}


def test_yearly_spans_go_past_new_year_and_know_the_leap_day() -> None:
    span = span_of("12-29..01-06")
    days = ["2026-12-28", "2026-12-29", "2027-01-06", "2027-01-07"]
    assert [span.includes(dt.date.fromisoformat(d)) for d in days] == [False, True, True, False]
    assert span_of("02-29").includes(dt.date(2028, 2, 29))
    assert not span_of("02-29").includes(dt.date(2027, 2, 28))


def test_a_span_has_both_its_ends() -> None:
    span = span_of("2026-11-29..2026-12-24")
    assert span.includes(dt.date(2026, 11, 29)) and span.includes(dt.date(2026, 12, 24))
    assert not span.includes(dt.date(2026, 12, 25)) and not span.includes(dt.date(2027, 12, 1))


def test_recurrences_name_days() -> None:
    first_friday = Recurrence("FREQ=MONTHLY;BYDAY=1FR")
    found = [day for day in (dt.date(2026, 11, d) for d in range(1, 31)) if first_friday.includes(day)]
    assert found == [dt.date(2026, 11, 6)]
    second = Recurrence("FREQ=WEEKLY;INTERVAL=2", dt.date(2026, 11, 3))
    assert [second.includes(dt.date(2026, 11, d)) for d in (3, 10, 17)] == [True, False, True]
    assert second.includes(dt.date(2028, 11, 14)) and not second.includes(dt.date(2026, 10, 20))


@pytest.mark.parametrize(
    ("read", "text", "says"),
    [
        (hours_of, "22-23", "write it as"),
        (hours_of, "25:00-26:00", "no such time"),
        (hours_of, "10:61-11:00", "no such time"),
        (hours_of, "10:00-10:00", "never true"),
        (weekdays_of, "fry", "should be one of mon"),
        (weekdays_of, "mon-fry", "should be one of mon"),
        (span_of, "2026-13-01", "write days as"),
        (span_of, "12-01..2026-12-24", "at one end only"),
        (span_of, "2026-12-24..2026-12-01", "ends before it begins"),
        (cron_of, "25:00", "minute hour day month weekday"),
        (cron_of, "61 * * * *", "bad minute"),
        (cron_of, "0 0 31 2 *", "bad day-of-month"),
        (Recurrence, "FREQ=HOURLY", "needs FREQ=YEARLY"),
        (Recurrence, "FREQ=DAILY;BYHOUR=3", "whole days"),
        (Recurrence, "FREQ=WEEKLY;BYDAY=XX", ""),
        (zone_of, "Europe/Wien", "did you mean 'Europe/Vienna'?"),
    ],
)
def test_what_is_no_time_is_refused_with_how_to_write_it(read: object, text: str, says: str) -> None:
    assert callable(read)
    with pytest.raises(ValueError) as error:
        read(text)
    assert says in str(error.value)


@given(st.text(max_size=20))
def test_any_text_is_read_or_refused_as_a_value_error(text: str) -> None:
    for read in (hours_of, weekdays_of, span_of, cron_of):
        try:
            read(text)
        except ValueError:
            continue


def test_the_machines_own_zone_is_known() -> None:
    assert math.isfinite(dt.datetime(2026, 1, 1, tzinfo=zone_of("local")).timestamp())
