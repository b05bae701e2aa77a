"""Without a display the clock is the refresh: whole periods, no burst after a late one."""

from __future__ import annotations

import itertools

from vivant.runtime.frames import ManualClock
from vivant.runtime.pacing import EARLY_SWAPS, Brake, Metronome

PERIOD_NS = 20_000_000


def test_a_metronome_wakes_at_multiples_of_the_period() -> None:
    clock = ManualClock(7)
    metronome = Metronome(50.0, clock, clock.advance_s)
    times = []
    for work_s in (0.001, 0.019, 0.0):
        clock.advance_s(work_s)
        metronome.wait()
        times.append(clock.ns)
    assert times == [7 + PERIOD_NS, 7 + 2 * PERIOD_NS, 7 + 3 * PERIOD_NS]


def test_who_is_late_goes_on_at_the_next_multiple_without_catching_up() -> None:
    clock = ManualClock()
    metronome = Metronome(50.0, clock, clock.advance_s)
    clock.advance_s(0.071)
    metronome.wait()
    assert clock.ns == 4 * PERIOD_NS
    metronome.wait()
    assert clock.ns == 5 * PERIOD_NS


def test_a_sleep_that_ends_early_does_not_make_a_second_refresh() -> None:
    clock = ManualClock()
    metronome = Metronome(50.0, clock, lambda seconds: clock.advance_s(seconds - 1e-6))
    metronome.wait()
    metronome.wait()
    assert clock.ns == 2 * PERIOD_NS - 1000


def test_a_metronome_keeps_time_for_weeks() -> None:
    clock = ManualClock()
    metronome = Metronome(60.0, clock, clock.advance_s)
    clock.advance_s(21 * 24 * 3600)
    metronome.wait()
    metronome.wait()
    assert abs(clock.ns - round((21 * 24 * 3600 * 60 + 2) * 1e9 / 60)) < 2000


def test_a_brake_leaves_swaps_alone_that_wait_for_the_display() -> None:
    clock, slept = ManualClock(), []
    brake = Brake(50.0, clock, slept.append)
    for late in (1.0, 1.0, 2.0, 0.1, 0.1, 1.0) * 10:  # after a late frame a driver's queue takes two at once
        clock.advance_s(0.020 * late)
        brake.swapped()
    assert slept == []


def test_a_brake_holds_swaps_that_do_not_wait() -> None:
    clock = ManualClock()
    brake = Brake(50.0, clock, clock.advance_s)
    for _ in range(EARLY_SWAPS):
        clock.advance_s(0.001)
        brake.swapped()
    times = []
    for _ in range(5):
        clock.advance_s(0.003)
        brake.swapped()
        times.append(clock.ns)
    assert {after - before for before, after in itertools.pairwise(times)} == {PERIOD_NS}


def test_a_refresh_without_a_swap_lasts_as_long_as_one_with() -> None:
    clock = ManualClock()
    brake = Brake(50.0, clock, clock.advance_s)
    clock.advance_s(0.004)
    brake.wait()
    assert clock.ns == PERIOD_NS
