"""What waits for its time, without a thread that sleeps."""

from __future__ import annotations

import random

import pytest

from vivant.runtime.schedule import FURTHEST_NS, MOST, Schedule

SECOND_NS = 1_000_000_000


@pytest.mark.parametrize("refresh_hz", [30, 60, 144])
def test_each_item_is_taken_at_the_refresh_whose_end_is_nearest_to_its_time(refresh_hz: int) -> None:
    schedule: Schedule[int] = Schedule()
    draw, period_ns = random.Random(2), SECOND_NS // refresh_hz
    for refresh in range(100):  # it learns how long a refresh is
        assert schedule.refresh(refresh * period_ns) == []
    now_ns = 100 * period_ns
    for _ in range(500):
        due_ns = now_ns + draw.randrange(SECOND_NS // 10, 2 * SECOND_NS)
        assert schedule.put(due_ns, due_ns, now_ns) is None
    taken: list[int] = []
    while len(schedule):
        for due_ns in schedule.refresh(now_ns):
            assert abs(now_ns + period_ns - due_ns) <= 0.51 * period_ns  # it is measured
            taken.append(due_ns)
        now_ns += period_ns
    assert taken == sorted(taken) and len(taken) == 500


def test_of_one_time_the_first_that_came_is_the_first_taken() -> None:
    schedule: Schedule[str] = Schedule()
    for name in "cab":
        schedule.put(name, SECOND_NS, 0)
    assert schedule.refresh(SECOND_NS) == ["c", "a", "b"]


def test_what_is_too_far_away_or_too_many_is_not_kept() -> None:
    schedule: Schedule[int] = Schedule()
    assert schedule.put(0, FURTHEST_NS + 1, 0) == "too_far"
    assert all(schedule.put(i, SECOND_NS, 0) is None for i in range(MOST))
    assert schedule.put(0, SECOND_NS, 0) == "too_many"
    assert len(schedule.refresh(SECOND_NS)) == MOST
    assert schedule.put(0, SECOND_NS, 0) is None


def test_a_refresh_that_stood_still_does_not_stretch_the_look_ahead() -> None:
    schedule: Schedule[int] = Schedule()
    schedule.refresh(0)
    schedule.refresh(5 * SECOND_NS)
    schedule.put(1, 6 * SECOND_NS, 5 * SECOND_NS)
    assert schedule.refresh(5 * SECOND_NS + SECOND_NS // 60) == []
