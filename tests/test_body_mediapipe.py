"""Body with mediapipe itself, where it is installed (make body, make body-tasks), and looking at an input."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from conftest import COMMAND

from vivant.runtime.body.look import Look, overlaid, picture_of, summary, words_of
from vivant.runtime.body.quiet import quiet
from vivant.runtime.body.reading import SIGNALS, Reading, Smoothing
from vivant.runtime.body.registry import no_solutions, open_tracker
from vivant.runtime.body.section import Body
from vivant.runtime.body.seen import Seen
from vivant.runtime.body.solutions import levels, sharpened
from vivant.runtime.body.tasks import models_in
from vivant.runtime.condition import cut_to
from vivant.runtime.frames import U8, VivantError
from vivant.runtime.senses.performer import Performer

FPS = 30.0
MODELS = os.environ.get("VIVANT_TASKS", "")


@cache
def dance() -> tuple[U8, ...]:
    """Twenty pictures of the performer, a fifteenth of a second apart, as a student gets them."""
    performer, pictures = Performer((640, 480), 0, FPS), []
    for index in range(20):
        cut = np.empty((384, 384, 3), np.uint8)
        cut_to(performer.frame(2 * index), cut)
        pictures.append(cut)
    return tuple(pictures)


@pytest.fixture
def body() -> Iterator[Body]:
    """[body] with every part of mediapipe's own models."""
    asked = Body(track="mediapipe", find=("mask", "pose", "hands"))
    lacks = no_solutions(asked)
    if lacks:
        pytest.skip(lacks)
    yield asked


def read(body: Body, pictures: tuple[U8, ...]) -> tuple[list[Seen], dict[str, float]]:
    tracker, reading, seen = open_tracker(body.track, body), Reading(Smoothing()), []
    try:
        for index, pixels in enumerate(pictures):
            at_ns = (index + 1) * 66_666_667
            seen.append(Seen(tracker.track(pixels, at_ns), index, at_ns))
            reading.hear(seen[-1])
    finally:
        tracker.close()
    return seen, reading.signals(at_ns)


def test_mediapipe_sees_the_performer(body: Body) -> None:
    seen, signals = read(body, dance())
    found = [one.bodies for one in seen if len(one.bodies.poses)]
    assert len(found) >= 18  # she is in the middle all the time
    assert all(0.03 < float((one.mask > 127).mean()) < 0.25 for one in found if one.mask is not None)
    assert signals["people"] == 1.0 and signals["body"] > 0.8
    assert 0.3 < signals["body_x"] < 0.7
    assert signals["both_up"] == 1.0  # so the dance begins


def test_mediapipe_sees_nobody_in_an_empty_room(body: Body) -> None:
    empty = np.full((384, 384, 3), 150, np.uint8)
    _, signals = read(body, (empty,) * 8)
    assert signals["people"] == 0.0 and signals["body"] == 0.0
    assert "body_x" not in signals


def test_tasks_see_the_performer_with_models_of_your_own() -> None:
    if not MODELS:
        pytest.skip("VIVANT_TASKS names no folder of .task files (pose_landmarker*.task, selfie*.tflite)")
    asked = Body.model_validate({"track": "tasks", "tasks": MODELS, "find": ["mask", "pose"]})
    _, signals = read(asked, dance())
    assert signals["people"] == 1.0 and signals["both_up"] == 1.0
    assert 0.3 < signals["body_x"] < 0.7


def test_models_are_known_by_their_names(tmp_path: Path) -> None:
    for name in ("pose_landmarker_heavy.task", "hand_landmarker.task", "selfie_multiclass_256x256.tflite"):
        (tmp_path / name).touch()
    found = models_in(tmp_path, ("mask", "pose", "hands"))
    assert {part: path.name for part, path in found.items()} == {
        "mask": "selfie_multiclass_256x256.tflite",
        "pose": "pose_landmarker_heavy.task",
        "hands": "hand_landmarker.task",
    }
    (tmp_path / "pose_landmarker_heavy.task").unlink()
    assert set(models_in(tmp_path, ("mask", "pose"))) == {"mask"}
    with pytest.raises(VivantError, match=r"holds no model for the body: none named \*pose"):
        models_in(tmp_path, ("pose",))


def test_doubts_of_a_segmentation_are_decided() -> None:
    shares = np.array([0.0, 0.3, 0.6, 0.9, 1.0], np.float32)
    assert sharpened(shares) == pytest.approx([0.0, 0.0, 0.5, 1.0, 1.0])
    assert levels(np.array([-1.0, 0.5, 2.0], np.float32)).tolist() == [0, 127, 255]


def test_what_libraries_say_as_they_start_is_left_out_and_what_comes_after_is_not() -> None:
    program = (
        "import os\nfrom vivant.runtime.body.quiet import quiet\n"
        "with quiet(): os.write(2, b'noise')\n"
        "os.write(2, b'word')\n"
    )
    done = subprocess.run([sys.executable, "-P", "-c", program], capture_output=True, text=True, check=True)
    assert done.stderr == "word"
    with pytest.raises(RuntimeError, match="heard"), quiet():
        raise RuntimeError("heard")


def test_looking_at_an_input_gives_moments_signals_and_a_sheet(tmp_path: Path) -> None:
    import cv2

    look, shares = Look("performer", Body(track="moving"), 2.0, 4), list[float]()
    moments = look.run(shares.append)
    assert len(moments) == 4 and shares == sorted(shares)
    rows = list(summary(look.heard))
    assert {row[0] for row in rows} <= set(SIGNALS) and rows[0][0] == "tracking"
    assert "frames tracked" in look.cost() and "moving" in look.describe()
    assert overlaid(moments[-1]).shape == overlaid(moments[-1], drawn=True).shape == (384, 384, 3)
    assert words_of(moments[-1]).startswith("people ")
    sheet = tmp_path / "sheet.png"
    picture_of(moments, sheet)
    assert cv2.imread(str(sheet)).shape[1] > 1000
    with pytest.raises(VivantError, match="no frame was tracked"):
        picture_of([], sheet)


def test_the_command_says_what_is_here_and_what_is_wrong() -> None:
    listed = subprocess.run([*COMMAND, "body", "trackers"], capture_output=True, text=True, check=True)
    assert "yes  moving" in listed.stdout
    wrong = subprocess.run([*COMMAND, "body", "look", "--find", "tail"], capture_output=True, text=True)
    assert wrong.returncode == 2 and "find.0" in wrong.stderr and "Traceback" not in wrong.stderr
    off = subprocess.run([*COMMAND, "body", "look", "--track", "off"], capture_output=True, text=True)
    assert off.returncode == 2 and "--track auto" in off.stderr
