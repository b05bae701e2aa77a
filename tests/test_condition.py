"""Condition: the cut keeps proportions, noise is calmed without trails, signals say what they claim."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vivant.runtime.condition import SMOOTH_ADDRESS, Condition, cut_to
from vivant.runtime.frames import U8, Controls, Frame

SIZE_PX = (96, 96)
FRAME_NS = 33_333_333
NOISE = 5.0  # grey levels, a webcam in a dim room


def controls(smooth: float) -> Controls:
    return Controls(numbers={SMOOTH_ADDRESS: smooth})


def frame(pixels: U8, serial: int) -> Frame:
    return Frame(pixels, serial, serial * FRAME_NS)


def scene(height: int = 120, width: int = 160) -> U8:
    """A smooth picture with edges."""
    y, x = np.mgrid[0:height, 0:width]
    pixels = np.stack([x * 200 // width + 20, y * 200 // height + 20, np.full_like(x, 90)], -1).astype(
        np.uint8
    )
    pixels[30:70, 40:60] = (200, 60, 40)
    return pixels


def with_noise(pixels: U8, seed: int) -> U8:
    noise = np.random.default_rng(seed).normal(0.0, NOISE, pixels.shape)
    return np.clip(pixels + noise, 0, 255).astype(np.uint8)


def error(found: U8, true: U8) -> float:
    """Mean absolute difference in grey levels."""
    return float(np.abs(found.astype(np.float64) - true).mean())


@settings(deadline=None)
@given(
    st.integers(1, 300),
    st.integers(1, 300),
    st.integers(1, 8).map(lambda n: 32 * n),
    st.integers(1, 8).map(lambda n: 32 * n),
)
def test_a_frame_of_any_shape_fills_a_picture_of_any_shape(
    height: int, width: int, out_height: int, out_width: int
) -> None:
    out = np.zeros((out_height, out_width, 3), np.uint8)
    cut_to(np.full((height, width, 3), 77, np.uint8), out)
    assert (out == 77).all()


def test_the_middle_is_taken_in_its_proportions() -> None:
    pixels = np.zeros((100, 300, 3), np.uint8)
    pixels[:, 100:200] = 255
    out = np.empty((64, 64, 3), np.uint8)
    cut_to(pixels, out)
    assert (out == 255).all()
    y, x = np.mgrid[0:240, 0:320] - np.array([120, 160])[:, None, None]
    disc = np.where(np.hypot(x, y)[..., None] < 60, 255, 0).astype(np.uint8).repeat(3, 2)
    out = np.empty((96, 96, 3), np.uint8)
    cut_to(disc, out)
    rows, columns = (out[..., 0] > 127).any(1).sum(), (out[..., 0] > 127).any(0).sum()
    assert rows == columns == 48


def test_a_large_frame_is_averaged_and_not_sampled() -> None:
    checks = (np.indices((512, 512)).sum(0) % 2 * 255).astype(np.uint8)[..., None].repeat(3, 2)
    out = np.empty((64, 64, 3), np.uint8)
    cut_to(checks, out)
    assert np.abs(out.astype(int) - 128).max() <= 1


def test_without_smoothing_the_frame_goes_through() -> None:
    condition, expected = Condition(SIZE_PX), np.empty((96, 96, 3), np.uint8)
    for serial in (1, 2):
        given_pixels = with_noise(scene(), serial)
        found, _ = condition.apply(frame(given_pixels, serial), controls(0.0))
        cut_to(given_pixels, expected)
        assert (found == expected).all()


def test_the_frame_itself_is_never_written_to() -> None:
    condition, pixels = Condition((160, 128)), scene(128, 160)
    pixels.flags.writeable = False
    for serial in range(3):
        condition.apply(frame(pixels, serial), controls(1.0))


def test_noise_where_nothing_moves_is_averaged_away() -> None:
    condition, clean = Condition(SIZE_PX), np.empty((96, 96, 3), np.uint8)
    cut_to(scene(), clean)
    for serial in range(60):
        pixels = with_noise(scene(), serial)
        found, _ = condition.apply(frame(pixels, serial), controls(1.0))
    rough = np.empty_like(clean)
    cut_to(pixels, rough)
    # An average over 1 / STILL_SHARE = 20 frames leaves a sixth of the noise; rounding adds a quarter level.
    assert error(found, clean) < error(rough, clean) / 3


def test_averaging_comes_to_rest_at_the_true_level() -> None:
    condition = Condition(SIZE_PX)
    condition.apply(frame(np.full((96, 96, 3), 100, np.uint8), 0), controls(1.0))
    for serial in range(1, 150):
        found, _ = condition.apply(frame(np.full((96, 96, 3), 101, np.uint8), serial), controls(1.0))
    assert (found == 101).all()


def test_what_moves_is_followed_at_once() -> None:
    condition, clean = Condition(SIZE_PX), np.empty((96, 96, 3), np.uint8)
    for serial in range(30):
        pixels = scene()
        pixels[80:110, 4 * serial : 4 * serial + 30] = (250, 240, 60)
        found, _ = condition.apply(frame(pixels, serial), controls(1.0))
        cut_to(pixels, clean)
        assert error(found, clean) < 0.5  # grey levels: no trail of an object 150 levels apart


def test_a_cut_to_another_scene_is_shown_whole() -> None:
    condition, expected = Condition(SIZE_PX), np.empty((96, 96, 3), np.uint8)
    condition.apply(frame(scene(), 0), controls(1.0))
    other = 255 - scene()[:, ::-1]
    found, _ = condition.apply(frame(other, 1), controls(1.0))
    cut_to(other, expected)
    assert error(found, expected) < 1.0


def test_smoothing_that_is_turned_on_later_begins_with_the_picture_of_then() -> None:
    condition, expected = Condition(SIZE_PX), np.empty((96, 96, 3), np.uint8)
    condition.apply(frame(scene(), 0), controls(1.0))
    condition.apply(frame(scene(), 1), controls(0.0))
    other = np.full((120, 160, 3), 99, np.uint8)
    found, _ = condition.apply(frame(other, 2), controls(0.5))
    cut_to(other, expected)
    assert (found == expected).all()


@pytest.mark.parametrize("smooth", [-1.0, 7.0, True, "much", float("nan")])
def test_a_smoothing_that_makes_no_sense_ends_nothing(smooth: float | bool | str) -> None:
    condition = Condition(SIZE_PX)
    for serial in range(3):
        asked = Controls(numbers={SMOOTH_ADDRESS: smooth})
        found, _ = condition.apply(frame(scene(), serial), asked)
    expected = np.empty_like(found)
    cut_to(scene(), expected)
    assert error(found, expected) < 0.5


def test_a_still_noisy_room_has_no_motion() -> None:
    condition = Condition((384, 384))
    for serial in range(10):
        _, signals = condition.apply(frame(with_noise(scene(480, 640), serial), serial), controls(0.0))
    assert signals["motion"] < 0.001
    assert signals["presence"] < 0.1


def test_motion_says_how_much_moves_and_where() -> None:
    condition = Condition(SIZE_PX)
    dark = np.full((96, 96, 3), 40, np.uint8)
    condition.apply(frame(dark, 0), controls(0.0))
    lit = dark.copy()
    lit[48:, :48] = 200
    _, signals = condition.apply(frame(lit, 1), controls(0.0))
    assert signals["motion"] == pytest.approx(0.25, abs=0.02)
    assert signals["motion_x"] == pytest.approx(0.25, abs=0.02)
    assert signals["motion_y"] == pytest.approx(0.75, abs=0.02)
    assert signals["presence"] == 1.0
    assert signals["light"] == pytest.approx((0.75 * 40 + 0.25 * 200) / 255, abs=0.01)


def test_presence_fades_when_nothing_moves_any_more() -> None:
    condition = Condition(SIZE_PX)
    condition.apply(frame(np.zeros((96, 96, 3), np.uint8), 0), controls(0.0))
    found = []
    for serial in range(1, 300):
        _, signals = condition.apply(frame(np.full((96, 96, 3), 200, np.uint8), serial), controls(0.0))
        found.append(signals["presence"])
    assert found[0] == 1.0
    assert found[-1] < 0.35
    assert found == sorted(found, reverse=True)


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 255), st.integers(-(10**10), 10**10)), min_size=1, max_size=8))
def test_signals_stay_in_their_range_whatever_the_clock_says(frames: list[tuple[int, int]]) -> None:
    condition = Condition((32, 32))
    for level, captured_ns in frames:
        seen = Frame(np.full((24, 32, 3), level, np.uint8), 1, captured_ns)
        found, signals = condition.apply(seen, controls(0.7))
        assert found.shape == (32, 32, 3)
        assert all(0.0 <= value <= 1.0 for value in signals.values())
