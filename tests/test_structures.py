"""What painters are given: drawn by seed, full of people, and apart from what is held out."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

pytest.importorskip("skimage", reason="needs scikit-image: pip install '.[distill]'")
pytest.importorskip("sklearn", reason="needs scikit-learn: pip install '.[distill]'")

from vivant.distill import motion, structures
from vivant.distill.motion import FRAMES, MOTIONS, training_motion
from vivant.distill.people import light, person, portrait
from vivant.distill.scenery import SCENES, scenery
from vivant.distill.sources import (
    FILM_STEP,
    KEPT_APART,
    PHOTOGRAPHS,
    Sources,
    gather,
    load,
    open_sources,
)
from vivant.distill.stage import TRAINED_SEEDS, performer
from vivant.distill.structures import (
    HELD_OUT_SEEDS,
    KINDS,
    held_out,
    training_structure,
    walkers,
)
from vivant.distill.weather import weather
from vivant.runtime.frames import VivantError

SIZE = 64
LENGTH = 36


@pytest.fixture(scope="module")
def sources() -> Sources:
    return open_sources()


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Frames of one grey each: 0, 7, 14, ..."""
    path = tmp_path_factory.mktemp("film") / "film.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"MJPG"), 10, (192, 160))
    for i in range(LENGTH):
        writer.write(np.full((160, 192, 3), 7 * i, np.uint8))
    writer.release()
    return path


def test_structures_are_drawn_by_seed_and_vary(sources: Sources) -> None:
    drawn = [training_structure(sources, np.random.default_rng(i), SIZE) for i in range(16)]
    again = training_structure(sources, np.random.default_rng(7), SIZE)
    assert all(s.shape == (SIZE, SIZE, 3) and s.dtype == np.uint8 for s in drawn)
    assert np.array_equal(drawn[7], again)
    assert len({s.tobytes() for s in drawn}) == 16


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_structure_is_a_picture(kind: str, sources: Sources) -> None:
    made = KINDS[kind][0](sources, np.random.default_rng(3), SIZE)
    assert made.shape == (SIZE, SIZE, 3) and made.dtype == np.float32
    assert np.isfinite(made).all() and made.min() >= 0 and made.max() <= 1
    assert made.std() > 0.02


@pytest.mark.parametrize("kind", SCENES)
def test_every_scene_can_be_empty_of_people(kind: str) -> None:
    made = SCENES[kind][0](np.random.default_rng(1), SIZE, 0)
    assert made.shape == (SIZE, SIZE, 3) and np.isfinite(made).all()


def test_people_or_faces_are_in_nearly_half_of_what_is_drawn() -> None:
    """By kind, counting only what shows somebody for certain."""
    total = sum(share for _, share in KINDS.values())
    sure = sum(KINDS[kind][1] for kind in ("performer", "portrait", "faces", "film"))
    peopled = 1 - SCENES["still_life"][1] / sum(share for _, share in SCENES.values()) - 0.15
    assert (sure + peopled * KINDS["scene"][1]) / total >= 0.45


def test_a_portrait_stands_out_from_its_ground() -> None:
    ground = np.full((SIZE, SIZE, 3), 0.5, np.float32)
    made = portrait(np.random.default_rng(5), SIZE, ground)
    assert np.array_equal(ground, np.full_like(ground, 0.5))
    changed = np.abs(made - ground).max(-1) > 0.02
    assert 0.1 < changed.mean() < 0.95


def test_people_and_lights_differ_and_are_drawn_by_seed() -> None:
    one, again, other = (person(np.random.default_rng(i)) for i in (1, 1, 2))
    assert one.skin == again.skin and one.head == again.head and one.head != other.head
    assert np.linalg.norm(light(np.random.default_rng(0)).key) == pytest.approx(1, abs=1e-5)


def test_held_out_structures_have_names_and_are_not_among_what_is_trained_on(sources: Sources) -> None:
    held = held_out(SIZE)
    assert set(held) == {"astronaut", "chelsea", "coffee", "dancer_far", "dancer_near", "portrait"}
    assert not set(KEPT_APART) & set(PHOTOGRAPHS)
    for photograph in sources.photographs:
        small = cv2.resize(photograph, (SIZE, SIZE), interpolation=cv2.INTER_AREA)
        assert all(np.abs(small.astype(int) - h).mean() > 15 for h in held.values())
    assert np.array_equal(held["portrait"], held_out(SIZE)["portrait"])


def test_training_never_dances_a_held_out_dance(monkeypatch: pytest.MonkeyPatch) -> None:
    danced = []

    def spy(seed: int, times_s: object) -> object:
        danced.append(seed)
        raise StopIteration

    monkeypatch.setattr("vivant.distill.stage.dance", spy)
    for i in range(200):
        with pytest.raises(StopIteration):
            performer(np.random.default_rng(i), SIZE)
    assert max(danced) < TRAINED_SEEDS
    assert all(HELD_OUT_SEEDS[name] >= TRAINED_SEEDS for name in ("dancer_far", "dancer_near"))


def test_the_last_third_of_a_clip_is_held_out(film: Path) -> None:
    trained = [round(frame.mean() / 7) for frame in open_sources(film).film]
    held = {round(cut.mean() / 7) for name, cut in held_out(32, film).items() if name.startswith("clip")}
    assert trained == [k + i for k in range(0, 24, FILM_STEP) for i in (0, 1)]
    assert held and min(held) >= 24


def test_an_archive_brings_the_very_same_sources(film: Path, tmp_path: Path) -> None:
    material = gather(film)
    material.save(tmp_path / "made" / "structures.npz")
    brought = load(tmp_path / "made" / "structures.npz")
    assert brought.digest() == material.digest() != gather(None).digest()
    here, there = open_sources(film), open_sources(archive=tmp_path / "made" / "structures.npz")
    assert all(np.array_equal(a, b) for a, b in zip(here.film, there.film, strict=True))
    assert np.array_equal(here.faces, there.faces)


def test_what_is_no_film_and_what_is_no_archive_is_named(tmp_path: Path) -> None:
    broken = tmp_path / "film.avi"
    with pytest.raises(VivantError, match=r"film\.avi has no frame that can be read"):
        gather(broken)
    broken.write_text("no film")
    with pytest.raises(VivantError, match=r"film\.avi has no frame that can be read"):
        gather(broken)
    with pytest.raises(VivantError, match=r"film\.avi cannot be read"):
        load(broken)


def test_a_missing_library_is_told_with_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vivant.distill.sources.find_spec", lambda name: None)
    with pytest.raises(VivantError, match=r"need skimage.*pip install"):
        gather(None)


@pytest.mark.parametrize("kind", MOTIONS)
def test_a_motion_is_some_frames_that_differ_a_little(kind: str, sources: Sources) -> None:
    frames = MOTIONS[kind][0](sources, np.random.default_rng(2), SIZE)
    assert len(frames) == FRAMES
    assert all(f.shape == (SIZE, SIZE, 3) and f.min() >= 0 and f.max() <= 1 for f in frames)
    change = float(np.abs(frames[-1] - frames[-2]).mean())
    assert change == 0 if kind == "still" else 0 < change < 0.15


def test_a_pan_moves_by_what_it_says() -> None:
    scene = cv2.GaussianBlur(np.random.default_rng(0).random((90, 90, 3), np.float32), (0, 0), 2)
    one, moved = (motion._seen(scene, 64, (dx, 0.0), 0.0, 1.0) for dx in (0.0, 3.0))
    assert np.allclose(one[8:-8, 8:-8], moved[8:-8, 11:-5], atol=1e-3)  # whole pixels: no interpolation


def test_a_still_camera_hisses_anew_in_each_frame(sources: Sources, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(motion, "MOTIONS", {"still": MOTIONS["still"]})
    one, other = training_motion(sources, np.random.default_rng(4), SIZE)[-2:]
    away = (one.astype(float) - other) / 255
    assert 0.002 < away.std() < 0.04


def test_crops_of_the_film_are_where_somebody_walks(sources: Sources) -> None:
    ground = np.zeros((300, 400, 3), np.uint8)
    moved = ground.copy()
    moved[200:220, 300:310] = 255
    walked = Sources(sources.photographs, sources.weights, sources.faces, (ground, moved))
    for seed in range(8):
        _, (top, left, side) = walkers(walked, np.random.default_rng(seed))
        assert top <= 220 and top + side >= 200 and left <= 310 and left + side >= 300
        assert 0 <= top <= 300 - side and 0 <= left <= 400 - side


def test_weather_is_the_same_for_all_frames_but_for_the_noise() -> None:
    seen = weather(np.random.default_rng(0), noise=0.0)
    picture = np.random.default_rng(1).random((SIZE, SIZE, 3), np.float32)
    one, other = (seen.over(picture, np.random.default_rng(i)) for i in (2, 3))
    assert np.array_equal(one, other)


def test_scenery_and_structures_stay_within_reach_of_one_another() -> None:
    """The kinds that a collage may hold do not include another collage."""
    assert list(KINDS)[-1] == "collage"
    assert scenery(np.random.default_rng(0), SIZE).dtype == np.float32
    assert structures.REGRADED < 0.5
