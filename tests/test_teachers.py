"""The painters, the structures they paint and the pool they fill."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from vivant.distill import paint
from vivant.distill.gallery import contact_sheet, write_png
from vivant.distill.paint import Part, guide_of, paint_pair, paint_part, paint_pool
from vivant.distill.structures import Sources, held_out, open_sources, training_structure
from vivant.distill.teachers import TEACHERS
from vivant.engines.planes import STYLES
from vivant.runtime.frames import F32, U8, VivantError

SIZE = 128
KINDS = ("structure", "picture", "planes", "style")


@pytest.fixture(scope="module")
def portrait() -> U8:
    return held_out(SIZE)["astronaut"]


@pytest.fixture(scope="module")
def sources() -> Sources:
    return open_sources(None)


def coarse(picture: U8) -> F32:
    return cv2.GaussianBlur(picture.astype(np.float32) / 255, (0, 0), 8)


def fine(picture: U8) -> F32:
    grey = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY).astype(np.float32) / 255
    return grey - cv2.GaussianBlur(grey, (0, 0), 2)


def test_there_is_a_painter_for_each_style() -> None:
    assert tuple(TEACHERS) == STYLES


@pytest.mark.parametrize("style", STYLES)
def test_a_painter_repeats_itself_for_a_seed(style: str, portrait: U8) -> None:
    (planes, first), (_, again), (_, other) = (paint_pair(portrait, style, seed) for seed in (1, 1, 2))
    assert first.dtype == np.uint8 and first.shape == portrait.shape and planes.shape == (20, SIZE, SIZE)
    assert np.array_equal(first, again)
    assert np.abs(first.astype(int) - other).mean() > 5  # of 255: another canvas is another picture


@pytest.mark.parametrize("style", STYLES)
def test_a_painter_gives_finite_numbers_between_black_and_white(style: str) -> None:
    for level in (0.0, 1.0):
        flat = np.full((SIZE, SIZE, 3), level, np.float32)
        planes, _ = paint_pair((flat * 255).astype(np.uint8), style, 3)
        picture = TEACHERS[style](flat, planes, 3)
        assert picture.dtype == np.float32
        assert np.isfinite(picture).all() and picture.min() >= 0 and picture.max() <= 1


@pytest.mark.parametrize("style", STYLES)
def test_a_picture_keeps_the_scene_and_brings_marks_of_its_own(style: str, portrait: U8) -> None:
    picture = paint_pair(portrait, style, 1)[1]
    kept = np.corrcoef(coarse(picture).ravel(), coarse(portrait).ravel())[0, 1]
    borrowed = np.corrcoef(fine(picture).ravel(), fine(portrait).ravel())[0, 1]
    assert kept > 0.75
    assert borrowed < 0.7  # a photograph with a filter over it stays near 1
    assert fine(picture).std() > 0.04


@pytest.mark.parametrize("style", STYLES)
def test_the_marks_come_from_the_planes(style: str, portrait: U8) -> None:
    planes = paint_pair(portrait, style, 1)[0]
    seen = portrait.astype(np.float32) / 255
    marked, bare = TEACHERS[style](seen, planes, 1), TEACHERS[style](seen, np.full_like(planes, 128), 1)
    assert np.abs(marked - bare).mean() > 0.03


def test_the_guide_is_the_mean_luma_of_two_by_two_pixels() -> None:
    frame = np.random.default_rng(0).random((64, 32, 3), dtype=np.float32)
    guide = guide_of(frame)
    assert guide.shape == (1, 1, 32, 16) and guide.dtype == np.float32
    assert guide[0, 0, 3, 5] == pytest.approx(
        float((frame[6:8, 10:12] * [0.299, 0.587, 0.114]).sum() / 4), abs=1e-6
    )


def test_structures_are_drawn_by_seed_and_vary(sources: Sources) -> None:
    drawn = [training_structure(sources, np.random.default_rng(i), SIZE) for i in range(40)]
    again = training_structure(sources, np.random.default_rng(7), SIZE)
    assert all(s.shape == (SIZE, SIZE, 3) and s.dtype == np.uint8 for s in drawn)
    assert np.array_equal(drawn[7], again)
    assert len({s.tobytes() for s in drawn}) == 40
    assert np.std([s.mean() for s in drawn]) > 20  # bright and dark rooms


def test_held_out_structures_are_not_among_what_is_trained_on(sources: Sources) -> None:
    held = held_out(64)
    assert set(held) == {"astronaut", "chelsea"}
    for photograph in sources.photographs:
        small = cv2.resize(photograph, (64, 64), interpolation=cv2.INTER_AREA)
        assert all(np.abs(small.astype(int) - h).mean() > 20 for h in held.values())


@pytest.fixture
def film(tmp_path: Path) -> Path:
    """Nine frames, each of one tone: 0, 25, 50, ..."""
    path = tmp_path / "film.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"MJPG"), 10, (96, 64))
    for i in range(9):
        writer.write(np.full((64, 96, 3), 25 * i, np.uint8))
    writer.release()
    return path


def test_the_last_third_of_a_clip_is_held_out(film: Path) -> None:
    trained = {round(frame.mean() / 25) for frame in open_sources(film).frames}
    held = {round(cut.mean() / 25) for name, cut in held_out(32, film).items() if name.startswith("clip")}
    assert trained == {0, 1, 2, 3, 4, 5}
    assert held and held <= {6, 7, 8}


def test_a_clip_that_is_not_a_film_is_named(tmp_path: Path) -> None:
    broken = tmp_path / "film.avi"
    broken.write_text("no film")
    with pytest.raises(VivantError, match=r"film\.avi has no frame"):
        open_sources(broken)


def test_a_stopped_pool_goes_on_where_it_stopped(tmp_path: Path) -> None:
    part = Part(tmp_path, 0, 5, 3, None)
    paint_part(part)
    whole = {kind: np.load(tmp_path / f"{kind}0.npy") for kind in KINDS}
    assert json.loads(part.meta.read_text())["done"] == 5
    assert whole["style"].tolist() == [0, 1, 2, 3, 0]
    assert whole["planes"].shape == (5, 20, 256, 256) and whole["picture"].shape == (5, 256, 256, 3)
    part.meta.write_text(json.dumps({"done": 3, **part.told}))
    for kind in KINDS:
        np.lib.format.open_memmap(tmp_path / f"{kind}0.npy", mode="r+")[3:] = 0
    paint_part(part)
    assert all(np.array_equal(whole[kind], np.load(tmp_path / f"{kind}0.npy")) for kind in KINDS)


def test_another_pool_is_not_painted_over(tmp_path: Path) -> None:
    Part(tmp_path, 0, 2, 3, None).meta.write_text(
        json.dumps({"done": 1, **Part(tmp_path, 0, 2, 3, None).told})
    )
    with pytest.raises(VivantError, match=r"is of another pool: \{'seed': 3\}, asked for \{'seed': 4\}"):
        paint_pool(tmp_path, 2, 1, 4, None)


def test_two_workers_fill_a_pool(tmp_path: Path) -> None:
    paint_pool(tmp_path, 5, 2, 1, None)
    assert [json.loads((tmp_path / f"meta{w}.json").read_text())["done"] for w in (0, 1)] == [3, 2]
    first, second = (np.load(tmp_path / f"structure{w}.npy") for w in (0, 1))
    assert len(first) == 3 and len(second) == 2 and not np.array_equal(first[0], second[0])
    assert all(np.load(tmp_path / f"picture{w}.npy").std() > 10 for w in (0, 1))


def test_a_worker_that_ends_early_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "structure0.npy").mkdir()
    with pytest.raises(VivantError, match="ended early"):
        paint_pool(tmp_path, 1, 1, 1, None)


def test_the_contact_sheet_shows_every_style_under_the_structures(tmp_path: Path) -> None:
    sheet = contact_sheet(held_out(64), lambda seen, style: np.full_like(seen, 10 * STYLES.index(style)))
    assert sheet.shape == (5 * 64, 2 * 64, 3)
    assert [int(sheet[64 * (i + 1)].mean()) for i in range(4)] == [0, 10, 20, 30]
    write_png(tmp_path / "made" / "sheet.png", sheet)
    assert np.array_equal(cv2.imread(str(tmp_path / "made" / "sheet.png"))[..., ::-1], sheet)


def test_the_command_says_what_is_wrong_without_a_traceback(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(paint.typer.Exit) as ended:
        paint.main(tmp_path / "pool", 4, 1, 0, tmp_path / "absent.avi")
    assert ended.value.exit_code == 2
    assert "absent.avi has no frame" in capsys.readouterr().err
