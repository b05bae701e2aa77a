"""When the frames of films and drawn figures are released, and when the next one is made."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from vivant.runtime.frames import ManualClock
from vivant.runtime.senses.pace import HOPELESS_NS, SPARE, Pace


def test_frames_are_due_at_their_own_time() -> None:
    clock = ManualClock(5_000)
    pace = Pace(clock)
    assert [pace.due_ns(k * 1_000, 1_000) for k in range(3)] == [5_000, 6_000, 7_000]


def test_a_short_delay_is_caught_up_and_a_long_one_let_go() -> None:
    clock = ManualClock(0)
    pace = Pace(clock)
    period_ns = 20_000_000
    pace.due_ns(0, period_ns)
    clock.ns = 3 * period_ns
    assert pace.due_ns(period_ns, period_ns) == period_ns
    clock.ns = 2 * HOPELESS_NS
    assert pace.due_ns(2 * period_ns, period_ns) == clock.ns
    assert pace.due_ns(3 * period_ns, period_ns) == clock.ns + period_ns


@given(st.lists(st.one_of(st.none(), st.integers(-(10**9), 10**9)), max_size=20))
def test_meeting_the_display_moves_a_release_by_at_most_half_a_frame(offsets_ns: list[int | None]) -> None:
    wishes = iter(offsets_ns)
    clock, period_ns = ManualClock(0), 10_000_000
    pace = Pace(clock, lambda: next(wishes))
    last_ns = pace.due_ns(0, period_ns)
    for k, offset_ns in enumerate(offsets_ns, 1):
        due_ns = pace.due_ns(k * period_ns, period_ns)
        moved_ns = due_ns - last_ns - period_ns
        assert abs(moved_ns) <= period_ns // 2
        assert moved_ns * (offset_ns or 0) >= 0
        last_ns = clock.ns = due_ns


def test_the_next_frame_is_made_as_late_as_the_longest_of_late_allows() -> None:
    pace, period_ns = Pace(ManualClock(0)), 33_000_000
    assert pace.rest_ns(period_ns, 2_000_000) == period_ns - round(SPARE * 2_000_000)
    long_ns = pace.rest_ns(period_ns, 8_000_000)
    assert long_ns == period_ns - round(SPARE * 8_000_000)
    rests_ns = [pace.rest_ns(period_ns, 2_000_000) for _ in range(100)]
    assert long_ns < rests_ns[0] < period_ns - round(SPARE * 5_000_000), "the next long one is expected"
    assert rests_ns[-1] == period_ns - round(SPARE * 2_000_000), "for some seconds"
    assert pace.rest_ns(period_ns, 40_000_000) == 0
