"""Waits grow with failures in a row and begin anew after a long life."""

from __future__ import annotations

from vivant.runtime.backoff import BACK_OFF_S, HEALTHY_AFTER_S, BackOff


def test_each_failure_in_a_row_waits_longer_and_the_last_wait_stays() -> None:
    back_off = BackOff()
    waits = [back_off.failed(1.0) for _ in range(len(BACK_OFF_S) + 2)]
    assert waits == [*BACK_OFF_S, BACK_OFF_S[-1], BACK_OFF_S[-1]]
    assert back_off.failures == len(waits)


def test_a_process_that_lived_long_begins_anew() -> None:
    back_off = BackOff((0.0, 5.0))
    assert [back_off.failed(lived_s) for lived_s in (1.0, 1.0, HEALTHY_AFTER_S + 1, 1.0)] == [
        0.0,
        5.0,
        0.0,
        5.0,
    ]
