"""Interaction intensity: how it rises, falls and forgives."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vivant.runtime.intensity import FALL_S, FULL_MOTION, RISE_S, Intensity


def after(intensity: Intensity, begin_s: float, seconds: float, motion: float, step_s: float = 0.1) -> float:
    for step in range(1, round(seconds / step_s) + 1):
        intensity.step(round((begin_s + step * step_s) * 1e9), {"motion": motion})
    return intensity.value


def test_waving_for_one_time_constant_makes_it_sixty_three_percent() -> None:
    intensity = Intensity()
    intensity.step(0, {})
    assert after(intensity, 0, RISE_S, FULL_MOTION) == pytest.approx(1 - math.exp(-1), abs=1e-6)


def test_half_is_left_half_a_minute_after_everybody_left() -> None:
    intensity = Intensity()
    intensity.step(0, {})
    full = after(intensity, 0, 60, 1.0)
    assert full == pytest.approx(1.0, abs=1e-4)
    assert after(intensity, 60, FALL_S * math.log(2), 0.0) == pytest.approx(full / 2, abs=0.005)


def test_it_is_the_same_at_every_refresh_rate() -> None:
    slow, fast = Intensity(), Intensity()
    slow.step(0, {})
    fast.step(0, {})
    assert after(slow, 0, 8, 0.05, 0.5) == pytest.approx(after(fast, 0, 8, 0.05, 0.01), abs=1e-9)


@given(st.lists(st.tuples(st.integers(0, 10**13), st.floats() | st.none()), max_size=30))
def test_it_stays_between_zero_and_one_whatever_comes(steps: list[tuple[int, float | None]]) -> None:
    intensity = Intensity()
    for now_ns, motion in steps:
        value = intensity.step(now_ns, {} if motion is None else {"motion": motion})
        assert 0.0 <= value <= 1.0
