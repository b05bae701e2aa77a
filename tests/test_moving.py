"""How a student's motion is measured, on the null student."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

pytest.importorskip("torch", reason="needs torch: pip install '.[distill]'")
pytest.importorskip("skimage", reason="needs scikit-image: pip install '.[distill]'")

from vivant.distill import moving
from vivant.distill.evaluate import Wish
from vivant.distill.moving import (
    TILE_PX,
    Motion,
    clip_frames,
    flicker,
    measure,
    performer_frames,
    play,
    sheet,
    table,
    write_film,
)
from vivant.distill.teachers import paint_with
from vivant.engines.student import Student
from vivant.runtime.frames import U8, VivantError

pytestmark = pytest.mark.torch
INK = Wish("ink", "ink", {}, "ink")


@pytest.fixture(scope="module")
def null() -> Iterator[Student]:
    with Student.load("null", "null", "float", (64, 64), 1) as student:
        yield student


def frames(count: int) -> list[U8]:
    scene = cv2.resize(np.random.default_rng(0).integers(0, 256, (8, 8, 3), dtype=np.uint8), (64, 64))
    return [np.roll(scene, 3 * k, 1) for k in range(count)]


def test_pictures_that_stay_do_not_flicker_and_others_do_by_their_difference() -> None:
    grey = np.full((4, 4, 3), 100, np.uint8)
    assert flicker([grey, grey, grey]) == 0
    assert flicker([grey, grey + 51, grey + 51]) == pytest.approx(0.1)
    assert flicker([grey, 0 * grey]) == flicker([0 * grey, grey]) > 0


def test_frames_go_the_path_of_the_show_and_what_is_seen_on_it_is_kept(null: Student) -> None:
    first, *_, last = list(play(null, frames(3), INK))
    assert first.given.shape == first.picture.shape == (64, 64, 3)
    assert not np.array_equal(first.picture, last.picture)
    assert np.array_equal(first.given, frames(1)[0])  # the first frame is smoothed with nothing
    again = list(play(null, frames(3), INK))[2]
    assert np.array_equal(again.picture, last.picture) and np.array_equal(again.planes, last.planes)


def test_a_student_is_measured_beside_its_teacher_and_before_a_still_camera(
    null: Student, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(moving, "SETTLE", 3)
    monkeypatch.setattr(moving, "STILL", 2)
    told: list[tuple[str, int]] = []
    motion, rows = measure(null, frames(3), INK, lambda name, done: told.append((name, done)))
    assert told == [("ink", 0), ("ink", 1), ("ink", 2)] and len(rows) == 3
    assert motion.frames == pytest.approx(flicker([row[0] for row in rows]))
    assert motion.ratio == pytest.approx(flicker([row[2] for row in rows]) / motion.teacher)
    assert 0 < motion.still < motion.student
    step = list(play(null, frames(3), INK))[1]
    assert np.array_equal(rows[1][1], paint_with("ink", step.given, step.planes, moving.SEED))


def test_a_sheet_shows_some_frames_with_teacher_and_student_below() -> None:
    rows = [tuple(np.full((64, 64, 3), 10 * k + i, np.uint8) for i in range(3)) for k in range(9)]
    made = sheet(rows, columns=3)  # type: ignore[arg-type]
    assert made.shape == (3 * TILE_PX, 3 * TILE_PX, 3)
    assert [int(made[TILE_PX + 1, TILE_PX * c + 1, 0]) for c in range(3)] == [1, 41, 81]


def test_figures_are_told_as_a_table() -> None:
    text = table([Motion("ink", 0.02, 0.04, 0.05, 0.001)])
    assert text.splitlines()[2] == "| ink | 0.0200 | 0.0400 | 0.0500 | 1.25 | 0.0010 |"


def test_a_film_is_written_and_its_last_third_is_held_out(tmp_path: Path) -> None:
    film = tmp_path / "made" / "film.mp4"
    write_film(film, [np.full((64, 64, 3), 20 * k, np.uint8) for k in range(12)])
    with av.open(str(film)) as opened:
        assert sum(1 for _ in opened.decode(video=0)) == 12
    held = clip_frames(film, 9)
    assert len(held) == 4
    # H.264 at a high quality and colours that were subsampled: two grey levels
    assert [int(frame.mean()) for frame in held] == pytest.approx([160, 180, 200, 220], abs=2)
    assert len(clip_frames(film, 2)) == 2


def test_a_film_without_a_last_third_is_refused_by_name(tmp_path: Path) -> None:
    film = tmp_path / "short.mp4"
    write_film(film, [np.zeros((64, 64, 3), np.uint8)] * 2)
    with pytest.raises(VivantError, match=r"short\.mp4 has no two frames in its last third"):
        clip_frames(film, 5)


def test_the_performer_moves_from_frame_to_frame() -> None:
    seen = performer_frames(64, 3)
    assert len(seen) == 3 and seen[0].shape == (64, 64, 3)
    assert not np.array_equal(seen[0], seen[2])
