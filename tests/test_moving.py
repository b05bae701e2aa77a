"""How a student's motion is measured, on the null student."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

pytest.importorskip("torch", reason="needs torch: pip install '.[distill]'")
pytest.importorskip("skimage", reason="needs scikit-image: pip install '.[distill]'")

from vivant.distill import moving
from vivant.distill.evaluate import Wish
from vivant.distill.moving import (
    BEGIN,
    Motion,
    Shot,
    clip_shot,
    flicker,
    measure,
    performer_shot,
    play,
    table,
)
from vivant.distill.reel import write_film
from vivant.distill.teachers import paint_with
from vivant.engines.kinds import load_student
from vivant.engines.student import Student
from vivant.guardrails.guard import Guard
from vivant.guardrails.sanity import Sanity
from vivant.runtime.condition import SMOOTH_ADDRESS
from vivant.runtime.frames import Frame, ManualClock, VivantError
from vivant.runtime.path import HOLD_ADDRESS, Stopwatch, StudentChoice
from vivant.runtime.path import Path as ShowPath

pytestmark = pytest.mark.torch
INK = Wish("ink", "ink", {}, "ink")
SHOW = {SMOOTH_ADDRESS: moving.SMOOTH, HOLD_ADDRESS: moving.HOLD}


@pytest.fixture(scope="module")
def null() -> Iterator[Student]:
    with load_student("null", "null", "float", (64, 64), 1) as student:
        yield student


def shot(count: int) -> Shot:
    scene = cv2.resize(np.random.default_rng(0).integers(0, 256, (8, 8, 3), dtype=np.uint8), (64, 64))
    return Shot("rolling", [np.roll(scene, 3 * k, 1) for k in range(count)], 30.0)


def test_pictures_that_stay_do_not_flicker_and_others_do_by_their_difference() -> None:
    grey = np.full((4, 4, 3), 100, np.uint8)
    assert flicker([grey, grey, grey]) == 0
    assert flicker([grey, grey + 51, grey + 51]) == pytest.approx(0.1)
    assert flicker([grey, 0 * grey]) == flicker([0 * grey, grey]) > 0


def test_frames_go_the_path_of_the_show_and_what_is_seen_on_it_is_kept(null: Student) -> None:
    first, *_, last = list(play(null, shot(3), INK))
    assert first.given.shape == first.picture.shape == (64, 64, 3)
    assert not np.array_equal(first.picture, last.picture)
    assert np.array_equal(first.given, shot(1).frames[0])  # the first frame is smoothed with nothing
    again = list(play(null, shot(3), INK))[2]
    assert np.array_equal(again.picture, last.picture) and np.array_equal(again.planes, last.planes)


def test_the_path_that_is_measured_is_that_of_the_show(null: Student) -> None:
    dance, controls = performer_shot(64, 4), replace(INK.controls(moving.STRENGTH), numbers=SHOW)
    choice = StudentChoice("null", "null", "float", 1, moving.SEED)
    with ShowPath(choice, (64, 64)) as path:
        path.guard = Guard([Sanity()])  # that of the null student was fitted to larger pictures
        watch = Stopwatch(ManualClock(), [0, 0, 0, 0])
        for serial, (pixels, step) in enumerate(zip(dance.frames, play(null, dance, INK), strict=True)):
            frame = Frame(pixels, serial, round(serial * 1e9 / 30))
            picture = path.picture(frame, controls, watch, serial)
            assert picture.verdict.admits, picture.verdict
            assert np.array_equal(picture.pixels[..., :3], step.picture)


def test_a_student_is_measured_beside_its_teacher_and_before_a_still_camera(
    null: Student, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(moving, "SETTLE", 3)
    monkeypatch.setattr(moving, "STILL", 2)
    told: list[tuple[str, int]] = []
    count = BEGIN + 3
    motion, rows = measure(null, shot(count), INK, lambda name, done: told.append((name, done)))
    assert told == [("rolling: ink", k) for k in range(count)] and len(rows) == 3
    assert motion.frames == pytest.approx(flicker([row[0] for row in rows]))
    assert motion.ratio == pytest.approx(flicker([row[2] for row in rows]) / motion.teacher)
    assert 0 < motion.still < motion.student
    step = list(play(null, shot(count), INK))[BEGIN + 1]
    assert np.array_equal(rows[1][1], paint_with("ink", step.given, step.planes, moving.SEED))


def test_figures_are_told_as_a_table() -> None:
    text = table([Motion("film", "ink", 0.02, 0.04, 0.05, 0.001)])
    assert text.splitlines()[2] == "| film | ink | 0.0200 | 0.0400 | 0.0500 | 1.25 | 0.0010 |"


@pytest.mark.parametrize(
    ("student", "still", "steady"),
    [(0.7, 0.0, True), (1.3, 0.0029, True), (0.69, 0, False), (1.31, 0, False)],
)
def test_a_style_is_steady_within_the_bounds_that_are_named(
    student: float, still: float, steady: bool
) -> None:
    assert Motion("film", "ink", 0.5, 1.0, student, still).steady is steady
    assert not Motion("film", "ink", 0.5, 1.0, student, 0.003).steady


def test_a_film_is_measured_in_its_last_third_and_its_own_time(tmp_path: Path) -> None:
    path = tmp_path / "film.mp4"
    write_film(path, [np.full((64, 64, 3), 10 * k, np.uint8) for k in range(24)], fps=10)
    found = clip_shot(path, 3)
    assert (found.name, found.refresh_hz, len(found.frames)) == ("film", 10, BEGIN + 3)
    # H.264 at a high quality and colours that were subsampled: two grey levels
    assert [int(f.mean()) for f in found.frames] == pytest.approx([160 + 10 * k for k in range(7)], abs=2)
    assert len(clip_shot(path, 99).frames) == 8


def test_a_film_that_is_too_short_is_refused_by_name(tmp_path: Path) -> None:
    film = tmp_path / "short.mp4"
    write_film(film, [np.zeros((64, 64, 3), np.uint8)] * 6)
    with pytest.raises(VivantError, match=r"short\.mp4 has 2 frames in its last third.*at least 6"):
        clip_shot(film, 5)


def test_the_performer_moves_from_frame_to_frame() -> None:
    seen = performer_shot(64, 3).frames
    assert len(seen) == BEGIN + 3 and seen[0].shape == (64, 64, 3)
    assert not np.array_equal(seen[0], seen[2])
