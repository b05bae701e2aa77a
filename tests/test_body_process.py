"""Body, between processes: tracked beside the picture, replaced when it dies, ended with its parent; nothing
of a frame stays where it was handed over, and of pose_only nothing of it goes on."""

from __future__ import annotations

import multiprocessing as mp
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path as File

import numpy as np
import psutil
import pytest
from conftest import ROOT, Start
from pydantic import ValidationError

from vivant.runtime.body.process import (
    ERRORS_IN_A_ROW,
    SIDE_PX,
    BodyTracking,
    Tracked,
    body_lanes,
    write_frame,
)
from vivant.runtime.body.registry import choose, open_tracker
from vivant.runtime.body.section import EDGE, OUTSIDE, PAINT, Body, body_parameters, body_signals
from vivant.runtime.body.seen import MASK_PX, Bodies, Seen, pack
from vivant.runtime.body.watch import Watch, middle_of
from vivant.runtime.exchange import LaneReader, LaneWriter, make_lanes, write_picture
from vivant.runtime.frames import U8, Controls, Frame, MonotonicClock, Picture, VivantError
from vivant.runtime.path import Path, Stopwatch, StudentChoice
from vivant.runtime.scene import load_scene, tree_of

CONTEXT = mp.get_context("spawn")
CLOCK = MonotonicClock()
MARK = (211, 13, 137)  # a colour that no drawing has
LIMIT_S = 60.0  # on a machine that is busy; it takes one second on a quiet one


@pytest.fixture
def tracking() -> Iterator[Callable[[Body], BodyTracking]]:
    running: list[BodyTracking] = []

    def make(body: Body) -> BodyTracking:
        running.append(BodyTracking(body, CONTEXT, CLOCK))
        return running[-1]

    yield make
    for one in running:
        one.close()


def picture(index: int, colour: tuple[int, int, int] = (30, 40, 220)) -> U8:
    """A grey room through which somebody of one colour goes."""
    pixels = np.full((96, 96, 3), 120, np.uint8)
    at = 4 + index % 50
    pixels[30:70, at : at + 20] = colour
    return pixels


def until(tracked: BodyTracking, watch: Watch, true: Callable[[], bool]) -> bool:
    """Show frames as a show does until it is `true`; False when it never was."""
    end, index = time.perf_counter() + LIMIT_S, 0
    while time.perf_counter() < end:
        tracked.signals(CLOCK.now_ns())
        watch.look(picture(index), Frame(picture(index), index + 1, CLOCK.now_ns()))
        if true():
            return True
        index += 1
        time.sleep(0.01)
    return False


def test_frames_go_to_a_process_and_people_come_back(tracking: Callable[[Body], BodyTracking]) -> None:
    body = Body(track="moving", rate_hz=60)
    tracked = tracking(body)
    watch = Watch(body, tracked.lanes)
    assert until(tracked, watch, lambda: watch.newest is not None and watch.mask() is not None)
    found = watch.look(picture(0), Frame(picture(0), 1, CLOCK.now_ns()))
    assert found["tracking"] == 1.0
    assert until(tracked, watch, lambda: tracked.counts()["tracked"] > 3)
    counts = tracked.counts()
    assert counts["tracker"] == "moving" and counts["errors"] == counts["restarts"] == 0
    assert counts["took_p50_ms"] > 0


def test_a_tracker_that_is_killed_is_followed_by_another(tracking: Callable[[Body], BodyTracking]) -> None:
    body = Body(track="moving", rate_hz=60)
    tracked = tracking(body)
    watch = Watch(body, tracked.lanes)
    assert until(tracked, watch, lambda: watch.newest is not None)
    first = tracked.pid
    assert first is not None
    os.kill(first, signal.SIGKILL)
    assert until(tracked, watch, lambda: tracked.pid not in (None, first))
    killed_ns = CLOCK.now_ns()
    assert until(tracked, watch, lambda: watch.newest is not None and watch.newest.captured_ns > killed_ns)
    assert tracked.counts()["restarts"] == 1


def test_a_tracker_dies_with_its_parent() -> None:
    program = (
        "import multiprocessing as mp, time\n"
        "from vivant.runtime.body.process import BodyTracking\n"
        "from vivant.runtime.body.section import Body\n"
        "from vivant.runtime.frames import MonotonicClock\n"
        "if __name__ == '__main__':\n"
        "    one = BodyTracking(Body(track='moving'), mp.get_context('spawn'), MonotonicClock())\n"
        "    while one._process.hello is None: one.signals(0); time.sleep(0.01)\n"
        "    print(one.pid, flush=True); time.sleep(100)\n"
    )
    with subprocess.Popen([sys.executable, "-P", "-c", program], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        parent.kill()
    end = time.perf_counter() + LIMIT_S
    while psutil.pid_exists(child) and time.perf_counter() < end:
        time.sleep(0.02)
    assert not psutil.pid_exists(child)


def test_a_render_process_that_is_started_again_goes_on_with_the_tracker_that_is_there(
    tracking: Callable[[Body], BodyTracking],
) -> None:
    body = Body(track="moving", rate_hz=60)
    tracked = tracking(body)
    first = Watch(body, tracked.lanes)
    assert until(tracked, first, lambda: first.newest is not None)
    pid = tracked.pid
    second = Watch(body, tracked.lanes)
    assert second.newest is None
    assert until(tracked, second, lambda: second.newest is not None)
    assert tracked.pid == pid and tracked.counts()["restarts"] == 0


@pytest.mark.slow
def test_a_show_goes_on_while_its_tracker_is_killed(start: Start, tmp_path: File) -> None:
    scene = tmp_path / "piece.toml"
    scene.write_text(
        'title = "Piece"\ninput = "performer"\nstudent = "null"\nbackend = "null"\nprecision = "float"\n'
        'audit = "off"\nladder = false\n'
        'size = [256, 256]\nwindow_size = [256, 256]\n[osc]\nlisten = "off"\n[body]\ntrack = "moving"\n'
    )
    show = start("run", scene, "--headless", "--seconds", "14", "--report", "report.json")
    own = os.nice(0)
    end = time.perf_counter() + LIMIT_S
    tracker: psutil.Process | None = None
    while tracker is None and time.perf_counter() < end and show.poll() is None:
        children = psutil.Process(show.pid).children(recursive=True)
        tracker = next((child for child in children if child.nice() > own), None)
        time.sleep(0.05)
    assert tracker is not None, show.communicate()[1] if show.poll() is not None else "no tracker was started"
    time.sleep(1.0)
    tracker.kill()
    _, error = show.communicate(timeout=LIMIT_S)
    assert show.returncode == 0, error
    import json

    report = json.loads((tmp_path / "report.json").read_text())
    assert report["sources"]["body"]["restarts"] == 1
    assert report["render_process"]["restarts"] == 0
    assert report["frames"]["held"] == 0 and report["frames"]["errors"] == 0
    assert report["frames"]["presented"] > 10


class Broken:
    """A tracker that no frame suits."""

    name = "broken"

    def track(self, pixels: U8, captured_ns: int) -> Bodies:
        raise ValueError("not this one")

    def close(self) -> None: ...


def test_a_frame_that_cannot_be_tracked_is_nobody_and_many_in_a_row_end_the_process() -> None:
    lanes = body_lanes(CONTEXT)
    ours, theirs = CONTEXT.Pipe()
    writer, reader, tracked = (
        LaneWriter(lanes.frames),
        LaneReader(lanes.frames),
        Tracked(Broken(), lanes, theirs),
    )
    for serial in range(1, ERRORS_IN_A_ROW):
        write_frame(writer, picture(serial), serial, serial)
        parts = reader.newest()
        assert parts is not None
        seen = tracked._look(parts)
        assert seen.serial == serial and seen.bodies.mask is None
    write_frame(writer, picture(0), 99, 99)
    parts = reader.newest()
    assert parts is not None
    with pytest.raises(ValueError, match="not this one"):
        tracked._look(parts)
    ours.close()
    theirs.close()


def answer(watch: Watch, lanes_writer: LaneWriter, serial: int, at_ns: int) -> None:
    mask = np.zeros((MASK_PX, MASK_PX), np.uint8)
    mask[60:150, 70:120] = 255
    lanes_writer.write(pack(Seen(Bodies(mask), serial, at_ns)))


def test_frames_are_offered_at_their_rate_and_one_at_a_time() -> None:
    lanes = body_lanes(CONTEXT)
    watch = Watch(Body(track="moving", rate_hz=10), lanes)
    reader, writer = LaneReader(lanes.frames), LaneWriter(lanes.seen)
    offered: list[int] = []
    for index in range(60):
        at_ns = 1 + index * 33_333_333
        watch.look(picture(index), Frame(picture(index), index + 1, at_ns))
        if reader.waiting and reader.newest() is not None:
            offered.append(index)
            if index < 45:  # then it says nothing any more
                answer(watch, writer, len(offered), at_ns)
    assert offered[:5] == [0, 3, 6, 9, 12]
    assert [index for index in offered if index > 45] == []
    watch.look(picture(0), Frame(picture(0), 61, 1 + (offered[-1] + 31) * 33_333_333))
    assert reader.waiting  # a second later it is asked again


def test_an_answer_that_is_none_is_counted_and_points_from_nowhere_are_put_in_bounds() -> None:
    lanes = body_lanes(CONTEXT)
    watch, writer = Watch(Body(track="moving"), lanes), LaneWriter(lanes.seen)
    for parts in ([b"{}"], [b"no json", b"", b"", b""], [b'{"sides": [], "serial": 1}', b"abc", b"", b""]):
        writer.write([np.frombuffer(part, np.uint8) for part in parts])
        assert watch.look(picture(0), Frame(picture(0), 1, 1)) == {"tracking": 0.0}
    assert watch.refused == 3
    poses = np.full((1, 33, 3), np.nan, np.float32)
    poses[0, 5:] = 1e30
    writer.write(pack(Seen(Bodies(None, poses), 1, 2)))
    found = watch.look(picture(0), Frame(picture(0), 2, 3))
    assert found["people"] == 1.0 and all(np.isfinite(value) for value in found.values())
    mask = watch.mask()
    assert mask is not None and mask.shape == (MASK_PX, MASK_PX)


def test_while_tracking_is_off_no_frame_is_offered_and_nobody_is_known() -> None:
    lanes = body_lanes(CONTEXT)
    watch, writer = Watch(Body(track="moving"), lanes), LaneWriter(lanes.seen)
    watch.look(picture(0), Frame(picture(0), 1, 1))
    answer(watch, writer, 1, 1)
    assert watch.look(picture(1), Frame(picture(1), 2, 100_000_000))["people"] == 1.0
    reader = LaneReader(lanes.frames)
    found: dict[str, float] = {}
    for index in range(2, 60):
        found = watch.look(picture(index), Frame(picture(index), index, index * 100_000_000), tracked=False)
    assert not reader.waiting and watch.mask() is None
    assert found == {"tracking": 0.0}


def test_nothing_of_a_frame_stays_in_the_lane_once_it_was_answered() -> None:
    lanes = body_lanes(CONTEXT)
    watch = Watch(Body(track="moving"), lanes)
    writer = LaneWriter(lanes.seen)
    marked = np.full((96, 96, 3), MARK, np.uint8)
    watch.look(marked, Frame(marked, 1, 1))
    assert bytes(MARK) * 3 in memory_of(lanes.frames)
    answer(watch, writer, 1, 1)
    watch.look(marked, Frame(marked, 2, 2))
    assert bytes(MARK) not in memory_of(lanes.frames)


def memory_of(lane: object) -> bytes:
    return bytes(lane._raw)  # type: ignore[attr-defined]


def test_a_large_frame_is_made_smaller_for_the_tracker() -> None:
    lanes = body_lanes(CONTEXT)
    reader = LaneReader(lanes.frames)
    write_frame(LaneWriter(lanes.frames), np.zeros((512, 1024, 3), np.uint8), 1, 1)
    parts = reader.newest()
    assert parts is not None and len(parts[1]) == SIDE_PX * SIDE_PX // 2 * 3


@pytest.mark.parametrize("paint", ["all", "people", "background", "trails"])
def test_pose_only_lets_no_pixel_of_the_camera_go_on(paint: str) -> None:
    """A frame that is one marked colour: nowhere in what the student gets, in the picture and its source, in
    the lane to the screen, or in what stays for the next frame is a pixel near that colour."""
    lanes, shown = body_lanes(CONTEXT), make_lanes(CONTEXT)
    body = Body(track="moving", pose_only=True, flow=True)
    watch, writer, out = Watch(body, lanes), LaneWriter(lanes.seen), LaneWriter(shown.pictures)
    stopwatch = Stopwatch(CLOCK, shown.pulse)
    numbers = {PAINT: paint, OUTSIDE: "room", EDGE: 0.0, "/vivant/motion/smooth": 0.5}
    controls = Controls(
        size_px=(128, 128), styles={"mosaic": 1.0}, want_source=True, want_held=True, numbers=numbers
    )
    rough = np.random.default_rng(6).integers(-6, 7, (240, 320, 3))
    marked = np.clip(np.array(MARK) + rough, 0, 255).astype(np.uint8)
    made: Picture | None = None
    with Path(StudentChoice("null", "null", "float", threads=1, seed=0), (128, 128), watch=watch) as path:
        for serial in range(1, 12):
            at_ns = serial * 66_666_667
            stopwatch.start(CLOCK.now_ns())
            painted = path.picture(Frame(marked, serial, at_ns), controls, stopwatch, serial)
            made = painted if painted.verdict.admits else made  # a busy machine holds one now and then
            write_picture(out, painted)
            answer(watch, writer, serial, at_ns)
        watch.look(np.zeros((128, 128, 3), np.uint8), Frame(marked, 12, 12 * 66_666_667))
        condition = path.condition
        assert made is not None and made.source is not None
        kept = (made.source, made.pixels[..., :3], condition._cut, condition._stillness._out)
        for pixels in (*kept, condition._paint._ghost, condition._paint._room):  # type: ignore[union-attr]
            assert not near_mark(pixels).any()
        assert not near_mark(np.rint(condition._stillness._held).astype(np.int64)).any()
    assert near_mark(marked).all()  # the test itself would notice
    held = np.frombuffer(memory_of(lanes.frames), np.uint8)
    assert not near_mark(held[: len(held) // 3 * 3].reshape(-1, 3)).any()
    sent = np.frombuffer(memory_of(shown.pictures), np.uint8)
    for step in (3, 4):  # source and pixels
        for shift in range(step):
            usable = (len(sent) - shift) // step * step
            assert not near_mark(sent[shift : shift + usable].reshape(-1, step)[:, :3]).any()


def near_mark(pixels: U8 | np.ndarray) -> np.ndarray:  # type: ignore[type-arg]
    return np.asarray(np.abs(pixels.astype(np.int64) - np.array(MARK)).max(-1) < 24)


def test_without_pose_only_the_test_above_would_fail() -> None:
    watch = Watch(Body(track="moving"), None)
    marked = np.full((240, 320, 3), MARK, np.uint8)
    shown = make_lanes(CONTEXT)
    stopwatch = Stopwatch(CLOCK, shown.pulse)
    with Path(StudentChoice("null", "null", "float", threads=1, seed=0), (128, 128), watch=watch) as path:
        stopwatch.start(CLOCK.now_ns())
        made = path.picture(
            Frame(marked, 1, 1),
            Controls(size_px=(128, 128), styles={"mosaic": 1.0}, want_source=True),
            stopwatch,
            1,
        )
    if made.verdict.admits:  # a busy machine holds it
        assert made.source is not None and near_mark(made.source).all()
    assert near_mark(path.condition._cut).all()


def test_a_depth_cameras_mask_is_used_for_the_very_frame_it_came_with() -> None:
    watch = Watch(Body(track="near"), None)
    near = np.zeros((48, 64), np.uint8)
    near[:, 24:40] = 255
    found = watch.look(picture(0), Frame(picture(0), 1, 66_666_667, near))
    assert found["people"] == 1.0 and found["body_x"] == pytest.approx(0.5, abs=0.02)
    mask = watch.mask()
    assert mask is not None and mask[MASK_PX // 2, MASK_PX // 2] == 255 and mask[0, 0] == 0


def test_of_a_wide_mask_the_middle_is_what_the_picture_shows() -> None:
    mask = np.zeros((100, 300), np.uint8)
    mask[:, 100:200] = 255
    assert middle_of(mask, (64, 64, 3)).shape == (100, 100)
    assert (middle_of(mask, (64, 64, 3)) == 255).all()


def test_a_tracker_that_is_not_here_is_refused_with_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vivant.runtime.body.registry.find_spec", lambda name: None)
    with pytest.raises(VivantError, match=r"mediapipe is not installed\. Run: make body"):
        choose(Body(track="mediapipe"))
    found = choose(Body(track="auto"))
    assert found.name == "moving" and "make body" in found.reason
    assert open_tracker("moving", Body(track="moving")).name == "moving"


@pytest.mark.parametrize(
    ("table", "words"),
    [
        ({"pose_only": True}, "set track"),
        ({"track": "tasks"}, "needs the folder"),
        ({"track": "tasks", "tasks": "nowhere/at/all"}, "there is no folder"),
        ({"track": "auto", "find": []}, "at least 1"),
        ({"track": "kinect"}, "'off', 'auto'"),
        ({"rate_hz": 0.0}, "greater than or equal to 1"),
    ],
)
def test_a_section_that_cannot_be_meant_is_refused(table: dict[str, object], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        Body.model_validate(table)


def test_a_section_brings_its_parameters_and_signals_only_where_it_is_on() -> None:
    assert list(body_parameters({})) == [] and list(body_signals({"track": "off"})) == []
    assert {one.address for one in body_parameters({"track": "auto"})} >= {PAINT, OUTSIDE, EDGE}
    assert {"people", "wave"} <= set(body_signals({"track": "auto"}))
    assert list(body_signals({"flow": True})) == ["flow_x", "flow_y"]
    assert "tracking" in body_signals({"track": 3, "flow": "yes"})  # wrong, and said elsewhere


def test_triggers_and_starting_values_of_a_scene_may_name_what_body_brings(tmp_path: File) -> None:
    scene = tmp_path / "piece.toml"
    text = (
        'title = "Piece"\ninput = "performer"\n[body]\ntrack = "moving"\n[triggers.up]\n'
        'when = { signal = "people", above = 1 }\ndo = { set = "body/paint", to = "trails" }\n'
        '[parameters]\n"body/paint" = "people"\n'
    )
    scene.write_text(text)
    assert tree_of(load_scene(scene)).value(PAINT) == "people"
    scene.write_text(text.replace('track = "moving"', 'track = "off"'))
    with pytest.raises(VivantError, match="people"):
        load_scene(scene)


def test_nothing_heavy_is_imported_to_know_what_a_scene_says() -> None:
    program = (
        "import sys\nimport vivant.runtime.body.section, vivant.runtime.body.registry\n"
        "print([name for name in ('cv2', 'mediapipe') if name in sys.modules])\n"
    )
    done = subprocess.run(
        [sys.executable, "-P", "-c", program], capture_output=True, text=True, check=True, cwd=ROOT
    )
    assert done.stdout.strip() == "[]"
