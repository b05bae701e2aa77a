"""The performer: any frame can be drawn again, and the dancer keeps her bones and her feet on the floor."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vivant.runtime.senses.acts import ACT_S, ACTS
from vivant.runtime.senses.costume import LIMBS
from vivant.runtime.senses.dance import CYCLE_S, FOREARM, SHIN, THIGH, UPPER_ARM, WALK_S, bent, dance
from vivant.runtime.senses.performer import TOGETHER, Performer
from vivant.runtime.senses.shapes import LAYERS, SUBPIXELS, View, capsules

SIZE_PX = (320, 240)
FPS = 60.0
SEEDS = st.integers(0, 2**31)


@pytest.mark.parametrize("seed", [0, 1, 5])
def test_a_frame_is_a_pure_function_of_seed_and_number(seed: int) -> None:
    forth, back = Performer(SIZE_PX, seed, 30.0), Performer(SIZE_PX, seed, 30.0)
    numbers = [0, TOGETHER - 1, TOGETHER, 700]
    first = {k: forth.frame(k) for k in numbers}
    for k in reversed(numbers):
        assert (back.frame(k) == first[k]).all()


def test_another_seed_is_another_performance() -> None:
    one, other = (Performer(SIZE_PX, seed, 30.0).frame(90) for seed in (3, 6))  # the same costume
    assert (one != other).mean() > 0.1


def test_a_frame_is_new_memory_that_nobody_writes_to_later() -> None:
    performer = Performer(SIZE_PX, 0, 30.0)
    kept = performer.frame(10)
    copy = kept.copy()
    performer.frame(11)
    assert (kept == copy).all()


def test_nothing_jumps_where_outlines_are_made_anew() -> None:
    performer = Performer(SIZE_PX, 0, FPS)
    frames = [performer.frame(k).astype(int) for k in range(2 * TOGETHER + 4)]
    changes = [np.abs(b - a).mean() for a, b in pairwise(frames)]
    assert min(changes) > 0.0
    assert max(changes) < 4 * np.median(changes)


def test_the_figure_fills_most_of_the_height_and_stays_in_the_square_middle() -> None:
    performer = Performer((640, 480), 0, 30.0)
    boxes = np.concatenate([performer._prepare(k).box_px for k in range(0, 1800, 5 * TOGETHER)])
    left, top, right, bottom = boxes.T
    assert (left > 85).all()
    assert (right < 555).all()
    assert (bottom < 476).all()
    assert 0.68 * 480 < np.median(bottom - top) < 0.88 * 480


@settings(deadline=None, max_examples=25)
@given(SEEDS, st.floats(0.0, 1e6))
def test_bones_keep_their_length_and_feet_stay_on_the_floor(seed: int, start_s: float) -> None:
    poses = dance(seed, start_s + np.arange(0.0, 2 * CYCLE_S, 0.05))
    assert np.isfinite(poses.joints).all()
    for side in "lr":
        for first, second, length in (
            ("hip", "knee", THIGH),
            ("knee", "ankle", SHIN),
            ("shoulder", "elbow", UPPER_ARM),
            ("elbow", "hand", FOREARM),
        ):
            bone = poses.at(f"{first}_{side}") - poses.at(f"{second}_{side}")
            assert np.abs(np.linalg.norm(bone, axis=1) - length).max() < 1e-6
        assert poses.at(f"toe_{side}")[:, 1].min() > -0.03
    assert poses.at("head")[:, 1].max() < 1.05


@settings(deadline=None, max_examples=25)
@given(SEEDS, st.floats(0.0, 1e6))
def test_no_joint_moves_faster_than_a_dancer_can(seed: int, start_s: float) -> None:
    poses = dance(seed, start_s + np.arange(0.0, 2 * CYCLE_S, 1 / FPS))
    speed = np.linalg.norm(np.diff(poses.joints, axis=0), axis=2) * FPS
    assert speed.max() < 6.0  # body heights a second: a hand in a pirouette; a jump would be 60


def test_a_foot_that_stands_does_not_slide_while_the_other_steps() -> None:
    poses = dance(4, np.arange(CYCLE_S + 0.7, CYCLE_S + 0.7 * WALK_S, 1 / FPS))
    low = [poses.at(f"ankle_{side}")[:, 1] for side in "lr"]
    standing = np.minimum(*low)
    assert np.ptp(standing) < 1e-3


def test_every_act_is_danced_and_begins_and_ends_standing() -> None:
    ends = dance(0, np.arange(len(ACTS) + 1) * CYCLE_S)
    middles = dance(0, np.arange(len(ACTS)) * CYCLE_S + WALK_S + 0.4 * ACT_S)
    relative = ends.joints - ends.at("pelvis")[:, None]
    assert np.abs(relative[:, :, 1] - relative[0, :, 1]).max() < 0.05
    poses = (middles.joints - middles.at("pelvis")[:, None]).reshape(len(ACTS), -1)
    for index, pose in enumerate(poses):
        others = np.delete(poses, index, 0)
        assert np.abs(others - pose).max(1).min() > 0.05


@given(st.floats(-1.0, 1.0), st.floats(-1.0, 1.0), st.floats(-1.0, 1.0))
def test_a_limb_reaches_its_goal_or_stretches_towards_it(x: float, y: float, z: float) -> None:
    start, goal = np.zeros((1, 3)), np.array([[x, y, z]])
    middle, end = bent(start, goal, 0.3, 0.25, np.array([[0.0, 0.3, 1.0]]))
    far = float(np.linalg.norm(goal))
    assert np.linalg.norm(middle) == pytest.approx(0.3, abs=1e-6) or far < 0.06
    if 0.06 < far < 0.54:
        assert np.abs(end - goal).max() < 1e-6
    elif far >= 0.56:
        assert float((end @ goal.T)[0, 0]) == pytest.approx(float(np.linalg.norm(end)) * far, rel=1e-6)


def test_the_layers_of_a_limb_lie_inside_its_rim() -> None:
    import cv2

    at = np.array([[20.0, 20.0], [80.0, 50.0]])
    (pile,) = capsules(at[:1], at[1:], np.array([9.0]), np.array([5.0]))
    assert pile.shape[0] == len(LAYERS)
    rim = pile[0].astype(np.float32)
    for layer in pile[1:]:
        for point in layer.astype(np.float32):
            assert cv2.pointPolygonTest(rim, point.tolist(), True) > -0.5 * SUBPIXELS


def test_nearer_is_larger_and_lower_on_the_picture() -> None:
    view = View(SIZE_PX)
    far, near = np.array([0.0, 0.0, -0.5]), np.array([0.0, 0.0, 0.5])
    assert view.unit_px(near) > view.unit_px(far)
    assert view.project(near)[1] > view.project(far)[1]


def test_every_limb_has_a_colour() -> None:
    performer = Performer(SIZE_PX, 0, 30.0)
    assert {limb.group for limb in LIMBS} == set(performer._figure._ramps)
