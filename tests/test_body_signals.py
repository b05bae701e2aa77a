"""Body, from what a tracker saw to signals: smoothing, counting, gestures, and what a loss does."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vivant.runtime.body.counting import NOBODY, silhouettes
from vivant.runtime.body.gestures import Gestures, Threshold, posture
from vivant.runtime.body.one_euro import OneEuro
from vivant.runtime.body.reading import SIGNALS, SILENT_NS, Reading, Smoothing
from vivant.runtime.body.seen import HAND_POINTS, MASK_PX, POSE_POINTS, Bodies, Seen, as_mask, pack, unpack
from vivant.runtime.frames import F32, U8

FRAME_NS = 66_666_667  # fifteen a second
LEFT, RIGHT = 0.60, 0.40  # where the person's own left and right shoulder are, who faces the camera


def standing(x: float = 0.5, left: tuple[float, float] = (0.66, 0.62), scale: float = 1.0) -> F32:
    """A pose f32 (33, 3) of somebody at `x` whose left wrist is at `left`, the right one hanging."""
    pose = np.zeros((POSE_POINTS, 3), np.float32)
    points = {
        0: (0.50, 0.20),
        11: (LEFT, 0.32),
        12: (RIGHT, 0.32),
        13: ((LEFT + left[0]) / 2, (0.32 + left[1]) / 2),
        14: (0.36, 0.46),
        15: left,
        16: (0.34, 0.62),
        23: (0.56, 0.60),
        24: (0.44, 0.60),
        25: (0.56, 0.78),
        26: (0.44, 0.78),
        27: (0.56, 0.95),
        28: (0.44, 0.95),
    }
    for point, (px, py) in points.items():
        pose[point] = x + (px - 0.5) * scale, 0.5 + (py - 0.5) * scale, 0.98
    return pose


def mask_of(*boxes: tuple[int, int, int, int]) -> U8:
    """A mask with boxes (left, top, width, height) of people, in cells."""
    mask = np.zeros((MASK_PX, MASK_PX), np.uint8)
    for left, top, width, height in boxes:
        mask[top : top + height, left : left + width] = 255
    return mask


def seen(index: int, *poses: F32, mask: U8 | None = None) -> Seen:
    found = np.stack(poses) if poses else np.empty((0, POSE_POINTS, 3), np.float32)
    return Seen(Bodies(mask, found), index, (index + 1) * FRAME_NS)


def after(reading: Reading, index: int) -> dict[str, float]:
    return reading.signals((index + 1) * FRAME_NS)


def test_one_euro_calms_noise_and_follows_a_leap() -> None:
    noise = np.random.default_rng(1).normal(0.5, 0.02, 120)
    calm = OneEuro(1.0, 0.3)
    values = [calm.step(float(value), index * FRAME_NS) for index, value in enumerate(noise)]
    assert np.std(values[30:]) < 0.5 * np.std(noise[30:])
    for index in range(120, 135):
        value = calm.step(0.9, index * FRAME_NS)
    assert value == pytest.approx(0.9, abs=0.02)


def test_one_euro_is_the_filter_of_the_paper() -> None:
    """Against the algorithm written down once more from the paper, at a steady rate."""
    rate_hz, cutoff, beta = 15.0, 1.0, 0.5

    def alpha(hz: float) -> float:
        return 1.0 / (1.0 + rate_hz / (2 * math.pi * hz))

    given_values = np.cumsum(np.random.default_rng(2).normal(0, 0.05, 60))
    ours, theirs, speed = OneEuro(cutoff, beta), float(given_values[0]), 0.0
    for index, value in enumerate(given_values):
        found = ours.step(float(value), round(index / rate_hz * 1e9))
        if index:
            speed = alpha(1.0) * (value - theirs) * rate_hz + (1 - alpha(1.0)) * speed
            share = alpha(cutoff + beta * abs(speed))
            theirs = share * value + (1 - share) * theirs
        assert found == pytest.approx(theirs, abs=1e-6)


@settings(deadline=None)
@given(st.lists(st.tuples(st.floats(), st.integers(-(10**12), 10**12)), min_size=1, max_size=20))
def test_one_euro_takes_whatever_comes(values: list[tuple[float, int]]) -> None:
    calm = OneEuro(1.0, 1.0)
    for value, at_ns in values:
        found = calm.step(min(max(value, -1e6), 1e6) if math.isfinite(value) else value, at_ns)
        assert math.isfinite(found)


def test_people_who_stand_apart_are_counted_and_specks_are_not() -> None:
    mask = mask_of((20, 60, 20, 80), (90, 60, 24, 90), (150, 70, 18, 70), (5, 5, 3, 3))
    found = silhouettes(mask)
    assert found.people == 3
    assert found.x == pytest.approx((90 + 12) / MASK_PX, abs=0.01)
    assert found.y == pytest.approx((60 + 45) / MASK_PX, abs=0.01)
    assert found.share == pytest.approx((20 * 80 + 24 * 90 + 18 * 70) / MASK_PX**2, rel=0.02)


def test_an_empty_mask_shows_nobody() -> None:
    assert silhouettes(np.zeros((MASK_PX, MASK_PX), np.uint8)) == NOBODY
    assert silhouettes(np.full((MASK_PX, MASK_PX), 90, np.uint8)) == NOBODY  # a doubt everywhere is no one


def test_a_threshold_stands_until_it_falls_below_the_lower_one() -> None:
    threshold = Threshold(0.5, 0.3)
    assert [threshold.step(value) for value in (0.4, 0.6, 0.4, 0.2, 0.4)] == [False, True, True, False, False]


@pytest.mark.parametrize(
    ("left_wrist", "right_wrist", "expected"),
    [
        ((0.66, 0.62), (0.34, 0.62), {"hands_up": 0, "raised": 0, "both_up": 0, "arms_wide": 0}),
        ((0.62, 0.05), (0.34, 0.62), {"hands_up": 1, "raised": 1, "both_up": 0, "arms_wide": 0}),
        ((0.62, 0.05), (0.38, 0.05), {"hands_up": 2, "raised": 1, "both_up": 1, "arms_wide": 0}),
        ((0.95, 0.33), (0.05, 0.33), {"hands_up": 0, "raised": 0, "both_up": 0, "arms_wide": 1}),
    ],
)
def test_gestures_are_what_the_arms_do(
    left_wrist: tuple[float, float], right_wrist: tuple[float, float], expected: dict[str, float]
) -> None:
    pose = standing(left=left_wrist)
    pose[16, :2] = right_wrist
    found, gestures = posture(pose, 1.0), Gestures()
    assert found is not None
    gestures.step(found, (left_wrist[0], right_wrist[0]), 1)
    assert {name: gestures.found[name] for name in expected} == expected


def test_a_hand_that_goes_to_and_fro_waves_and_one_that_is_held_up_does_not() -> None:
    waving, still = Reading(Smoothing()), Reading(Smoothing())
    for index in range(30):
        x = 0.66 + 0.08 * math.sin(2 * math.pi * 1.5 * index / 15)  # three ways a second
        waving.hear(seen(index, standing(left=(x, 0.15))))
        still.hear(seen(index, standing(left=(0.66, 0.15))))
    assert after(waving, 29)["wave"] == 1.0
    assert after(still, 29)["wave"] == 0.0


def test_a_pose_without_shoulders_says_nothing_of_the_arms() -> None:
    pose = standing()
    pose[11, 2] = 0.1
    assert posture(pose, 1.0) is None


def test_somebody_who_stands_there_is_described() -> None:
    reading = Reading(Smoothing())
    for index in range(20):
        reading.hear(seen(index, standing(0.4), mask=mask_of((60, 40, 36, 140))))
    found = after(reading, 19)
    assert found["people"] == 1.0 and found["tracking"] == 1.0
    assert found["body"] > 0.9
    assert found["body_x"] == pytest.approx(0.4, abs=0.01)
    assert found["body_y"] == pytest.approx(0.46, abs=0.01)
    assert found["body_speed"] < 0.01
    assert found["body_size"] == pytest.approx(36 * 140 / MASK_PX**2, rel=0.05)
    assert found["hand_left_x"] == pytest.approx(0.56, abs=0.01)
    assert set(found) <= set(SIGNALS)


def test_the_speed_is_in_heights_a_second() -> None:
    reading = Reading(Smoothing())
    for index in range(30):
        reading.hear(seen(index, standing(0.2 + 0.3 * index / 15)))
    assert after(reading, 29)["body_speed"] == pytest.approx(0.3, rel=0.1)


def test_a_short_loss_is_bridged_and_a_long_one_is_absence() -> None:
    reading = Reading(Smoothing(hold_s=0.5))
    for index in range(10):
        reading.hear(seen(index, standing(left=(0.62, 0.05)), mask=mask_of((60, 40, 36, 140))))
    assert after(reading, 9)["raised"] == 1.0
    nobody = np.zeros((MASK_PX, MASK_PX), np.uint8)
    for index in range(10, 14):  # a quarter of a second
        reading.hear(seen(index, mask=nobody))
    bridged = after(reading, 13)
    assert bridged["body"] > 0.9 and "body_x" in bridged and bridged["raised"] == 1.0
    for index in range(14, 100):
        reading.hear(seen(index, mask=nobody))
    lost = after(reading, 99)
    assert lost["people"] == 0.0 and lost["raised"] == 0.0
    assert lost["body"] < 0.05 and lost["interaction"] < 0.1
    assert not {"body_x", "body_y", "body_speed", "hand_left_x", "reach"} & set(lost)


def test_gestures_end_with_the_pose_even_where_a_silhouette_stays() -> None:
    reading, mask = Reading(Smoothing(hold_s=0.5)), mask_of((60, 40, 36, 140))
    for index in range(10):
        reading.hear(seen(index, standing(left=(0.62, 0.05)), mask=mask))
    for index in range(10, 30):
        reading.hear(seen(index, mask=mask))
    found = after(reading, 29)
    assert found["people"] == 1.0 and "body_x" in found
    assert found["raised"] == 0.0 and "reach" not in found


def test_a_tracker_that_says_nothing_knows_nothing() -> None:
    reading = Reading(Smoothing())
    assert reading.signals(FRAME_NS) == {"tracking": 0.0}
    reading.hear(seen(0, standing()))
    assert reading.signals(FRAME_NS + SILENT_NS + 1) == {"tracking": 0.0}


def test_one_frame_of_nonsense_does_not_change_the_number_of_people() -> None:
    reading = Reading(Smoothing())
    for index in range(12):
        boxes = [(20, 60, 30, 90), (100, 60, 30, 90)]
        if index == 8:
            boxes += [(60, 20, 20, 30), (160, 20, 20, 30)]
        reading.hear(seen(index, mask=mask_of(*boxes)))
        if index > 2:
            assert after(reading, index)["people"] == 2.0


def test_of_several_the_one_who_counted_goes_on_counting_until_another_is_much_nearer() -> None:
    reading = Reading(Smoothing())
    for index in range(20):
        reading.hear(seen(index, standing(0.3, scale=0.5), standing(0.8, scale=0.53)))
    first = after(reading, 19)["body_x"]
    assert first == pytest.approx(0.8, abs=0.02)
    for index in range(20, 40):
        reading.hear(seen(index, standing(0.3, scale=0.55), standing(0.8, scale=0.53)))
    assert after(reading, 39)["body_x"] == pytest.approx(0.8, abs=0.02)
    for index in range(40, 60):
        reading.hear(seen(index, standing(0.3, scale=0.9), standing(0.8, scale=0.5)))
    assert after(reading, 59)["body_x"] == pytest.approx(0.3, abs=0.02)


def test_interaction_rises_with_what_people_do_and_falls_when_they_stand_still() -> None:
    reading = Reading(Smoothing())
    for index in range(30):
        x = 0.66 + 0.1 * math.sin(2 * math.pi * 1.5 * index / 15)
        reading.hear(seen(index, standing(left=(x, 0.15))))
    busy = after(reading, 29)["interaction"]
    for index in range(30, 120):
        reading.hear(seen(index, standing()))
    assert busy > 0.5
    assert after(reading, 119)["interaction"] < 0.1


def test_hands_alone_are_known_by_their_side() -> None:
    reading, hand = Reading(Smoothing()), np.full((1, HAND_POINTS, 2), 0.25, np.float32)
    reading.hear(Seen(Bodies(None, hands=hand, sides=("right",)), 0, FRAME_NS))
    found = reading.signals(FRAME_NS)
    assert found["hand_right_x"] == pytest.approx(0.25) and "hand_left_x" not in found


@settings(deadline=None, max_examples=40)
@given(
    st.lists(st.tuples(st.integers(0, 3), st.floats(-2, 3), st.integers(-5, 200)), min_size=1, max_size=12)
)
def test_signals_are_finite_whatever_is_seen_and_whenever(frames: list[tuple[int, float, int]]) -> None:
    reading = Reading(Smoothing())
    for people, x, index in frames:
        poses = [standing(x + 0.1 * number) for number in range(people)]
        reading.hear(seen(index, *poses))
        found = after(reading, index)
        assert all(math.isfinite(value) for value in found.values())
        assert set(found) <= set(SIGNALS)
        assert all(0.0 <= found[name] <= 1.0 for name in ("body", "interaction") if name in found)


def test_what_was_seen_survives_the_lane() -> None:
    hands = np.random.default_rng(3).random((2, HAND_POINTS, 2), np.float32)
    mask = mask_of((1, 2, 30, 40))
    bodies = Bodies(mask, standing()[None], hands, ("left", "right"))
    shapes = silhouettes(mask)
    there = unpack([bytearray(part.tobytes()) for part in pack(Seen(bodies, 7, 99, 1.5, 3.25, shapes))])
    assert there.shapes == shapes
    assert (there.serial, there.captured_ns, there.aspect, there.took_ms) == (7, 99, 1.5, 3.25)
    assert there.bodies.mask is not None and (there.bodies.mask == mask).all()
    assert (there.bodies.poses == bodies.poses).all() and (there.bodies.hands == hands).all()
    assert there.bodies.sides == ("left", "right")
    nothing = unpack([bytearray(part.tobytes()) for part in pack(Seen(Bodies(), 1, 2))])
    assert nothing.bodies.mask is None and len(nothing.bodies.poses) == len(nothing.bodies.hands) == 0


def test_a_mask_of_any_size_becomes_one_of_ours() -> None:
    mask = np.zeros((480, 640), np.uint8)
    mask[:, :320] = 255
    found = as_mask(mask)
    assert found.shape == (MASK_PX, MASK_PX)
    assert (found[:, : MASK_PX // 2 - 1] == 255).all() and (found[:, MASK_PX // 2 + 1 :] == 0).all()
