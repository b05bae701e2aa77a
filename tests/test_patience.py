"""A refresh waits for a picture as long as it can still draw it, and no longer."""

from __future__ import annotations

from vivant.runtime.frames import ManualClock
from vivant.runtime.patience import FIRST_NS, LOOK_S, SPARE_NS, Patience

REFRESH_NS = 16_666_667


def waited(patience: Patience, clock: ManualClock, there_ns: int) -> int:
    """How long it waits for a picture that comes at `there_ns`, in a refresh that begins now."""
    began_ns = clock.ns
    patience.wait(lambda: clock.ns >= began_ns + there_ns, began_ns + REFRESH_NS)
    return clock.ns - began_ns


def test_a_picture_is_seen_as_soon_as_it_is_there() -> None:
    clock = ManualClock(5)
    patience = Patience(clock, clock.advance_s)
    assert waited(patience, clock, 0) == 0
    assert 3_000_000 <= waited(patience, clock, 3_000_000) <= 3_000_000 + LOOK_S * 1e9


def test_waiting_ends_while_there_is_time_to_draw() -> None:
    clock = ManualClock(5)
    patience = Patience(clock, clock.advance_s)
    assert waited(patience, clock, REFRESH_NS) == REFRESH_NS - FIRST_NS - SPARE_NS


def test_a_long_draw_shortens_the_wait_at_once_and_short_ones_lengthen_it_slowly() -> None:
    clock = ManualClock(5)
    patience = Patience(clock, clock.advance_s)
    patience.drew(9_000_000)
    assert waited(patience, clock, REFRESH_NS) == REFRESH_NS - 9_000_000 - SPARE_NS
    patience.drew(2_000_000)
    assert 9_500_000 < patience.draw_ns < 10_000_000
    for _ in range(400):
        patience.drew(2_000_000)
    assert abs(patience.draw_ns - (2_000_000 + SPARE_NS)) < 10_000


def test_where_drawing_takes_longer_than_a_refresh_nobody_waits() -> None:
    clock = ManualClock(5)
    patience = Patience(clock, clock.advance_s)
    patience.drew(40_000_000)
    assert waited(patience, clock, 5_000_000) == 0
