"""Genlock brings a free-running source to the refresh from any phase, and leaves it alone there."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from vivant.runtime.frames import Controls
from vivant.runtime.genlock import MARGINS_NS, Genlock

REFRESH_NS = 16_666_667


def settle(phase_ns: int, fps: float, paint_ns: int, frames: int = 120) -> list[int]:
    """How long before it was last drawn in its refresh each picture was ready."""
    lock, due_ns, waits = Genlock(), phase_ns, []
    for _ in range(frames):
        ready_ns = due_ns + paint_ns
        began_ns = 1 + ready_ns // REFRESH_NS * REFRESH_NS
        lock.painted(ready_ns, Controls(draw_by_ns=began_ns, refresh_ns=REFRESH_NS))
        waits.append(began_ns + REFRESH_NS - ready_ns)
        due_ns += round(1e9 / fps) + (lock.phase_ns() or 0)
    return waits


@given(st.integers(0, REFRESH_NS), st.sampled_from([30.0, 60.0, 20.0]), st.integers(2_000_000, 14_000_000))
def test_pictures_come_to_be_ready_just_before_the_refresh(phase_ns: int, fps: float, paint_ns: int) -> None:
    waits = settle(phase_ns, fps, paint_ns)
    least_ns, most_ns = MARGINS_NS
    assert all(least_ns - 1_000_000 < wait < most_ns + 1_000_000 for wait in waits[-50:])


def test_without_a_known_refresh_nothing_is_nudged() -> None:
    lock = Genlock()
    lock.painted(5, Controls(draw_by_ns=3, refresh_ns=0))
    assert lock.phase_ns() is None


def test_a_single_late_picture_moves_nothing() -> None:
    lock = Genlock()
    for late_ns in (0, 7_000_000, 0):
        ready_ns = 1 + REFRESH_NS - lock.margin_ns + late_ns
        lock.painted(ready_ns, Controls(draw_by_ns=1, refresh_ns=REFRESH_NS))
    assert lock.phase_ns() == 0


def test_a_nudge_is_given_once() -> None:
    lock = Genlock()
    for _ in range(3):
        lock.painted(8_000_000, Controls(draw_by_ns=1, refresh_ns=REFRESH_NS))
    assert (lock.phase_ns() or 0) > 2_000_000
    assert lock.phase_ns() == 0


def test_the_margin_grows_where_pictures_miss_and_shrinks_where_they_do_not() -> None:
    lock = Genlock()
    for _ in range(40):  # each is ready just after the refresh that it was meant for
        lock.painted(1 + REFRESH_NS + 400_000, Controls(draw_by_ns=1, refresh_ns=REFRESH_NS))
    assert lock.margin_ns > MARGINS_NS[1] - 1_000_000
    for _ in range(2000):
        lock.painted(1 + REFRESH_NS - lock.margin_ns, Controls(draw_by_ns=1, refresh_ns=REFRESH_NS))
    assert lock.margin_ns == MARGINS_NS[0]
