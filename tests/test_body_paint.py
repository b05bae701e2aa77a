"""Body, from a mask to what the student is given: carried by flow, painted by the parameters, in place."""

from __future__ import annotations

import numpy as np
import pytest

from vivant.runtime.body.drawing import Drawing, draw_lines, drawn_mask
from vivant.runtime.body.flow import SIGNALS, Flow
from vivant.runtime.body.moving import Moving
from vivant.runtime.body.paint import GREY, Blend, Paint
from vivant.runtime.body.section import EDGE, OUTSIDE, PAINT, TRAIL_S, Body
from vivant.runtime.body.seen import MASK_PX, NO_POSES, POSE_POINTS, Bodies, Seen
from vivant.runtime.body.watch import Watch
from vivant.runtime.condition import Condition
from vivant.runtime.frames import F32, U8, Controls, Frame

SIZE_PX = (192, 192)
FRAME_NS = 33_333_333
PERSON = slice(60, 130), slice(70, 110)


def room(seed: int = 0) -> U8:
    """A picture with texture, so that flow has something to hold on to."""
    import cv2

    rough = np.random.default_rng(seed).integers(60, 190, (24, 24, 3), dtype=np.uint8)
    return np.asarray(cv2.resize(rough, SIZE_PX, interpolation=cv2.INTER_CUBIC), np.uint8)


def mask_at(rows: slice, columns: slice) -> U8:
    mask = np.zeros((MASK_PX, MASK_PX), np.uint8)
    mask[rows, columns] = 255
    return mask


def painted(paint: str, outside: str = "grey", mask: U8 | None = None, frames: int = 3, **more: float) -> U8:
    """The picture after some frames of the same room, in which somebody stands at PERSON."""
    watch, part, pixels = Watch(Body(track="moving"), None), Paint(SIZE_PX), room()
    numbers = {PAINT: paint, OUTSIDE: outside, EDGE: 0.0, TRAIL_S: 2.0} | more
    for index in range(1, frames + 1):
        pixels = room()
        watch.flow.see(pixels, index * FRAME_NS)
        watch.newest = Seen(Bodies(mask_at(*PERSON) if mask is None else mask), index, index * FRAME_NS)
        part.apply(pixels, watch, index * FRAME_NS, Controls(numbers=numbers))
    return pixels


def test_all_leaves_the_picture_as_it_is() -> None:
    assert (painted("all") == room()).all()


def test_people_alone_stand_before_the_outside() -> None:
    found = painted("people")
    assert np.abs(found[PERSON].astype(int) - room()[PERSON]).max() <= 1
    found[PERSON] = GREY
    assert np.abs(found.astype(int) - GREY).max() <= 1


def test_a_soft_edge_lies_outside_so_that_somebody_small_is_whole() -> None:
    small = mask_at(slice(90, 100), slice(90, 96))
    found = painted("background", mask=small, **{EDGE: 1.0})
    assert np.abs(found[90:100, 90:96].astype(int) - GREY).max() <= 1
    beside = found[95, 96:135].astype(int)
    assert (
        0 < np.abs(beside - room()[95, 96:135]).mean() < np.abs(GREY - room()[95, 96:135].astype(int)).mean()
    )


def test_the_background_alone_has_the_outside_where_people_are() -> None:
    found = painted("background")
    assert np.abs(found[PERSON].astype(int) - GREY).max() <= 1
    inside = found.copy()
    inside[PERSON] = room()[PERSON]
    assert np.abs(inside.astype(int) - room()).max() <= 1


@pytest.mark.parametrize("outside", ["grey", "blurred", "dark", "room"])
def test_every_outside_hides_the_detail_of_what_is_not_painted_or_darkens_it(outside: str) -> None:
    found, there = painted("people", outside), room()
    rows, columns = slice(0, 40), slice(0, 192)
    rough = np.abs(np.diff(there[rows, columns].astype(int), axis=1)).mean()
    assert np.abs(np.diff(found[rows, columns].astype(int), axis=1)).mean() < 0.7 * rough
    assert np.abs(found[PERSON].astype(int) - there[PERSON]).max() <= 1


def test_the_room_is_what_stood_where_people_stand_now() -> None:
    """Somebody white walks through the room: with `background` and `room` nobody is there."""
    watch, part = Watch(Body(track="moving"), None), Paint(SIZE_PX)
    numbers = {PAINT: "background", OUTSIDE: "room", EDGE: 0.2}
    for index in range(1, 150):
        pixels = room()
        columns = slice(min(index, 140), min(index, 140) + 30)
        pixels[60:130, columns] = 250
        at_ns = index * FRAME_NS
        watch.flow.see(pixels, at_ns)
        watch.newest = Seen(Bodies(mask_at(slice(60, 130), columns)), index, at_ns)
        part.apply(pixels, watch, at_ns, Controls(numbers=numbers))
    assert np.abs(pixels[60:130, 141:168].astype(int) - room()[60:130, 141:168]).mean() < 12.0


def test_trails_stay_where_people_were_and_fade() -> None:
    watch, part = Watch(Body(track="moving"), None), Paint(SIZE_PX)
    numbers = {PAINT: "trails", OUTSIDE: "grey", EDGE: 0.0, TRAIL_S: 1.0}
    left: list[float] = []
    for index in range(1, 60):
        pixels = np.full((192, 192, 3), 60, np.uint8)
        columns = slice(20, 50) if index < 5 else slice(120, 150)
        pixels[60:130, columns] = 250
        at_ns = index * FRAME_NS
        watch.flow.see(pixels, at_ns)
        watch.newest = Seen(Bodies(mask_at(slice(60, 130), columns)), index, at_ns)
        part.apply(pixels, watch, at_ns, Controls(numbers=numbers))
        if index >= 5:
            left.append(float(pixels[80:110, 25:45].mean()))
            assert pixels[80:110, 125:145].mean() > 240
    assert left[0] > 220
    assert left == sorted(left, reverse=True)
    assert left[-1] == pytest.approx(GREY, abs=6)


def test_somebody_who_is_lost_fades_out_of_the_picture() -> None:
    watch, part = Watch(Body(track="moving"), None), Paint(SIZE_PX)
    contrast = []
    for index in range(1, 40):
        pixels, at_ns = room(), index * FRAME_NS
        watch.newest = Seen(Bodies(mask_at(*PERSON)), index, at_ns) if index < 5 else None
        watch.flow.see(pixels, at_ns)
        part.apply(pixels, watch, at_ns, Controls(numbers={PAINT: "people", OUTSIDE: "grey", EDGE: 0.0}))
        contrast.append(float(np.abs(pixels[PERSON].astype(int) - GREY).mean()))
    assert contrast[3] > 20 and 2 < contrast[6] < contrast[3]
    assert contrast[-1] < 1.0


@pytest.mark.parametrize("numbers", [{PAINT: 7}, {PAINT: "people", EDGE: float("nan"), OUTSIDE: "pink"}, {}])
def test_values_that_make_no_sense_end_nothing(numbers: dict[str, float | str]) -> None:
    condition = Condition(SIZE_PX, Watch(Body(track="moving"), None))
    for index in range(1, 4):
        found, _ = condition.apply(Frame(room(), index, index * FRAME_NS), Controls(numbers=numbers))
        assert found.shape == (192, 192, 3)


def test_a_mask_is_carried_to_where_its_people_are_now() -> None:
    flow, wide = Flow(), np.concatenate([room(1), room(2)], axis=1)
    steps = 4, 3  # pixels a frame, frames between the mask and now
    for index in range(steps[1] + 1):
        shift = index * steps[0]
        flow.see(np.ascontiguousarray(wide[:, 40 - shift : 40 - shift + 192]), (index + 1) * FRAME_NS)
    mask = mask_at(*PERSON)
    carried = flow.carried(mask, FRAME_NS)
    expected = np.roll(mask, steps[0] * steps[1], axis=1)

    def overlap(found: U8) -> float:
        a, b = found > 127, expected > 127
        return float((a & b).sum() / (a | b).sum())

    assert overlap(mask) < 0.6
    assert overlap(carried) > 0.85
    assert (flow.carried(mask, (steps[1] + 1) * FRAME_NS) == mask).all()
    assert (flow.carried(mask, 12345) == mask).all()  # a frame that nobody remembers


def test_flow_says_which_way_the_picture_goes() -> None:
    flow, wide = Flow(), np.concatenate([room(1), room(2)], axis=1)
    for index in range(20):
        flow.see(np.ascontiguousarray(wide[:, 100 - 4 * index : 292 - 4 * index]), (index + 1) * FRAME_NS)
        found = flow.signals()
    assert set(found) == set(SIGNALS)
    assert found["flow_x"] == pytest.approx(4 / 192 / 0.0333, rel=0.25)  # to the right
    assert abs(found["flow_y"]) < 0.1
    flow.see(np.ascontiguousarray(wide[:, 24:216]), 21 * FRAME_NS)
    flow.forget()
    assert flow.signals() == {"flow_x": 0.0, "flow_y": 0.0}


def test_blending_is_exact_to_a_level() -> None:
    random = np.random.default_rng(4)
    below, above = random.integers(0, 256, (2, 64, 96, 3), dtype=np.uint8)
    weights: F32 = random.random((64, 96), np.float32)
    shares = np.floor(weights * 255)[..., None] / 255
    expected = below + (above.astype(float) - below) * shares
    Blend((96, 64)).lay(below, above, weights)
    assert np.abs(below - expected).max() <= 1.0


def test_a_pose_becomes_a_mask_where_no_model_gives_one() -> None:
    pose = np.full((1, POSE_POINTS, 3), 0.5, np.float32)
    pose[0, :, 2] = 0.9
    for point, (x, y) in {11: (0.6, 0.3), 12: (0.4, 0.3), 23: (0.56, 0.6), 24: (0.44, 0.6)}.items():
        pose[0, point, :2] = x, y
    mask = drawn_mask(pose)
    assert mask is not None and mask.shape == (MASK_PX, MASK_PX)
    assert mask[MASK_PX * 45 // 100, MASK_PX // 2] == 255
    assert mask[5, 5] == 0 and 0.02 < (mask > 0).mean() < 0.6
    assert drawn_mask(NO_POSES) is None


def test_a_drawing_shows_the_figure_and_covers_everything() -> None:
    out = np.full((192, 192, 3), 255, np.uint8)
    drawing = Drawing(SIZE_PX)
    drawing.draw(out, mask_at(*PERSON), Bodies())
    assert out[PERSON].mean() > out[:40].mean() + 40
    assert out.max() < 255
    drawing.draw(out, None, None)
    assert out.std() < 30


def test_lines_are_drawn_where_the_points_are() -> None:
    pose = np.zeros((1, POSE_POINTS, 3), np.float32)
    pose[0, 11], pose[0, 13] = (0.25, 0.5, 1.0), (0.75, 0.5, 1.0)
    picture = np.zeros((100, 100, 3), np.uint8)
    draw_lines(picture, Bodies(poses=pose), (255, 255, 255), 2)
    assert picture[50, 50].min() == 255 and picture[20].max() == 0


def test_whoever_walks_through_a_still_room_is_found_without_a_model() -> None:
    tracker, random = Moving(15.0), np.random.default_rng(5)
    for index in range(60):
        noise = random.normal(0, 3, (192, 192, 3))
        pixels = np.clip(room() + noise, 0, 255).astype(np.uint8)
        if index >= 40:
            pixels[60:130, 3 * index - 90 : 3 * index - 60] = (20, 30, 220)
        found = tracker.track(pixels, index * FRAME_NS)
    assert found.mask is not None
    there = mask_at(slice(60, 130), slice(3 * 59 - 90, 3 * 59 - 60)) > 127
    mask = found.mask > 127
    assert (mask & there).sum() / (mask | there).sum() > 0.7


def test_a_lamp_that_is_switched_on_is_nobody() -> None:
    tracker = Moving(15.0)
    for index in range(40):
        tracker.track(room(), index * FRAME_NS)
    found = tracker.track(np.clip(room().astype(int) + 60, 0, 255).astype(np.uint8), 40 * FRAME_NS)
    assert found.mask is not None and not found.mask.any()
