"""The quality ladder against a model machine on a manual clock."""

from __future__ import annotations

import itertools

from hypothesis import given
from hypothesis import strategies as st

from vivant.runtime.ladder import DWELL_NS, Ladder

SIZES = (256, 320, 384, 448, 512)
SECOND = 1_000_000_000


def run(ladder: Ladder, seconds: float, ms_at_384: float, fixed_ms: float, start_ns: int = 0) -> int:
    """Step ten times a second on a machine whose model takes `ms_at_384` there; returns the end time."""
    now_ns = start_ns
    for _ in range(round(seconds * 10)):
        now_ns += SECOND // 10
        model_ms = ms_at_384 * (ladder.size / 384) ** 2
        ladder.step(now_ns, 100, fixed_ms + model_ms, model_ms)
    return now_ns


def test_a_fast_machine_climbs_to_the_top_after_two_seconds() -> None:
    ladder = Ladder(SIZES, 384, 30)
    run(ladder, 1.9, 4.0, 10.0)
    assert ladder.size == 384
    run(ladder, 1, 4.0, 10.0, 2 * SECOND)
    assert ladder.size == 512


def test_a_slow_machine_steps_down_and_says_why() -> None:
    ladder = Ladder(SIZES, 384, 30)
    run(ladder, 3, 30.0, 5.0)
    assert ladder.size == 320
    assert "p95 35.0 ms of 30 ms" in ladder.steps[0].reason


def test_nothing_changes_inside_the_dwell_and_a_rung_that_fits_is_kept() -> None:
    ladder = Ladder(SIZES, 384, 30)
    now = run(ladder, 3, 10.0, 15.0)
    assert ladder.size == 384
    run(ladder, DWELL_NS / SECOND * 3, 10.0, 15.0, now)
    assert ladder.steps == []


def test_too_slow_later_steps_down_once_per_dwell() -> None:
    ladder = Ladder(SIZES, 384, 30)
    now = run(ladder, 4, 10.0, 15.0)
    run(ladder, 30, 24.0, 15.0, now)
    gaps = [b.at_ns - a.at_ns for a, b in zip(ladder.steps, ladder.steps[1:], strict=False)]
    assert ladder.size < 384
    assert all(gap >= DWELL_NS for gap in gaps)


def test_a_burst_of_a_second_changes_nothing() -> None:
    ladder = Ladder(SIZES, 384, 30)
    now_ns = run(ladder, 30, 10.0, 15.0)
    now_ns = run(ladder, 3, 30.0, 15.0, now_ns)  # as long as the window of samples remembers it
    run(ladder, 30, 10.0, 15.0, now_ns)
    assert ladder.steps == []


def test_without_samples_it_stays() -> None:
    ladder = Ladder(SIZES, 384, 30)
    assert ladder.step(60 * SECOND, 3, 500.0, 400.0) is None


@given(st.floats(1, 40), st.floats(0, 40))
def test_on_a_steady_machine_it_settles(ms_at_384: float, fixed_ms: float) -> None:
    ladder = Ladder(SIZES, 384, 30)
    run(ladder, 150, ms_at_384, fixed_ms)
    assert len(ladder.steps) <= len(SIZES)


def test_a_climb_that_had_to_be_taken_back_is_tried_less_and_less_often() -> None:
    """Pictures at 384 take a fifth longer than the area says: it looks as if they would fit."""
    ladder, now_ns = Ladder(SIZES, 320, 30), 0
    for _ in range(9000):
        now_ns += SECOND // 10
        model_ms = 12.0 * (ladder.size / 384) ** 2
        latency_ms = 9.5 + model_ms + (10.0 if ladder.size >= 384 else 0.0)
        ladder.step(now_ns, 100, latency_ms, model_ms)
    climbs = [step.at_ns for step in ladder.steps[1:] if step.size_to > step.size_from]
    gaps = [b - a for a, b in itertools.pairwise(climbs)]
    assert len(climbs) >= 3
    assert all(later > earlier for earlier, later in itertools.pairwise(gaps))


def test_a_start_just_inside_the_budget_is_kept() -> None:
    ladder = Ladder(SIZES, 384, 30)
    run(ladder, 5, 10.0, 19.5)
    assert ladder.size == 384
    assert ladder.steps == []
