"""The brand box: colours are told from the latent, and what leaves the box is held."""

from __future__ import annotations

import hashlib
from pathlib import Path

import cv2
import numpy as np
import pytest

from vivant.engines.kinds import load_student
from vivant.engines.student import Student
from vivant.guardrails.brand import BrandBox, bins_of, measured
from vivant.guardrails.brand_fit import fit_brand, found_palette, painted_palette, turned
from vivant.guardrails.guard import Guard
from vivant.guardrails.guard_file import GuardFile, write_guard_file
from vivant.guardrails.pictures import PicturesError, Still
from vivant.runtime.frames import Controls, Judgement, Latent

SIZE = (128, 128)
STYLE = Controls(strength=0.1, styles={"ink": 1.0})


def blue_room(seed: int) -> np.ndarray:
    """Shapes in blues and greys, neither dark nor bright."""
    rng = np.random.default_rng(seed)
    frame = np.full((160, 160, 3), (70, 90, 120), np.float32)
    for _ in range(10):
        colour = np.array((60, 85, 130)) * rng.uniform(0.6, 1.5)
        centre = tuple(map(int, rng.integers(0, 160, 2)))
        cv2.circle(frame, centre, int(rng.integers(8, 40)), tuple(map(float, colour)), -1)
    return cv2.GaussianBlur(frame, (0, 0), 2).clip(0, 255).astype(np.uint8)


@pytest.fixture(scope="module")
def fitted(tmp_path_factory: pytest.TempPathFactory):  # type: ignore[no-untyped-def]
    out = tmp_path_factory.mktemp("brand") / "brand.npz"
    with load_student("null", "null", "float", SIZE, 1) as student:
        stills = [Still(str(index), blue_room(index)) for index in range(20)]
        box, card, sha256 = fit_brand(student, stills, out, each=12)
        yield student, box, card, out, sha256


def judged(student: Student, policy: BrandBox, frame: np.ndarray):  # type: ignore[no-untyped-def]
    latent = student.denoise(student.encode(cv2.resize(frame, SIZE)), STYLE)
    return policy.judge(latent, STYLE)


def test_the_error_of_the_colour_map_is_known_for_each_style_and_mostly_small(fitted) -> None:  # type: ignore[no-untyped-def]
    """Small beside the hundred and more between two saturated colours."""
    _, box, card, _, _ = fitted
    errors = card["colour_errors"]
    assert tuple(errors) == box.colour_map.styles and tuple(errors.values()) == box.colour_map.errors
    assert card["colour_error"] == pytest.approx(np.sqrt(np.mean(np.square(list(errors.values())))))
    assert 0.0 < np.median(list(errors.values())) < 20.0


def test_new_pictures_of_the_kind_are_inside(fitted) -> None:  # type: ignore[no-untyped-def]
    student, box, _, _, _ = fitted
    held = [judged(student, box, blue_room(1000 + index)) for index in range(40)]
    assert sum(not verdict.admits for verdict in held) <= 1, [v.reason for v in held if not v.admits]


@pytest.mark.parametrize(
    ("colour", "word"),
    [
        ((255, 0, 200), "brand box"),
        ((0, 220, 30), "brand box"),
        ((255, 255, 255), "lightness"),
        ((0, 0, 0), "brand box"),
    ],
)
def test_off_brand_colours_and_light_are_held(fitted, colour: tuple[int, int, int], word: str) -> None:  # type: ignore[no-untyped-def]
    student, box, _, _, _ = fitted
    frame = (blue_room(5) * 0.1 + np.array(colour) * 0.9).astype(np.uint8)
    verdict = judged(student, box, frame)
    assert verdict.judgement is Judgement.HOLD, verdict
    assert word in verdict.reason


@pytest.mark.parametrize("colour", [(200, 60, 30), (40, 170, 50), (190, 40, 160)])
def test_a_part_in_a_colour_that_was_never_shown_is_held(fitted, colour: tuple[int, int, int]) -> None:  # type: ignore[no-untyped-def]
    """A map that was fitted to blues alone would take it for a blue."""
    student, box, _, _, _ = fitted
    frame = blue_room(2005)
    assert judged(student, box, frame).admits
    frame[40:120, 20:90] = colour
    verdict = judged(student, box, frame)
    assert verdict.judgement is Judgement.HOLD, verdict


def test_most_pictures_a_map_is_fitted_to_are_in_other_colours_and_as_light() -> None:
    frame = blue_room(3)
    rng = np.random.default_rng(2)
    assert np.array_equal(turned(frame, 0, rng), frame)
    lab = [cv2.cvtColor(one, cv2.COLOR_RGB2LAB).astype(int) for one in (frame, turned(frame, 1, rng))]
    assert np.abs(lab[0][..., 1:] - lab[1][..., 1:]).mean() > 8
    assert np.abs(lab[0][..., 0] - lab[1][..., 0]).mean() < 8


def test_a_palette_that_is_written_counts_instead_of_the_one_that_is_found() -> None:
    written = painted_palette([(230, 30, 30)], reach=15.0)
    red = cv2.cvtColor(np.array([[[230, 30, 30]]], np.float32) / 255, cv2.COLOR_RGB2LAB)[0, 0]
    assert written[bins_of(red[1]), bins_of(red[2])]
    assert 1 <= written.sum() <= 24
    blue = found_palette([blue_room(1).reshape(-1, 3).astype(np.float32) / 255])
    assert not blue[bins_of(red[1]), bins_of(red[2])]


def test_greys_belong_to_every_palette_and_areas_are_shares() -> None:
    colours = np.full((10, 10, 3), 0.5, np.float32)
    colours[:3] = (1.0, 0.0, 0.8)
    found = measured(colours, painted_palette([(0, 0, 255)], 10.0), vivid=50.0)
    assert found["off_palette"] == pytest.approx(0.3)
    assert found["vivid_area"] == pytest.approx(0.3)


def test_what_is_a_little_outside_may_be_softened_and_what_is_far_may_not(fitted) -> None:  # type: ignore[no-untyped-def]
    student, box, _, _, _ = fitted
    guard = Guard([box])
    near, far = {}, {}
    limits = box.limits
    for place, lightness in ((near, limits.lightness[1] + 1), (far, limits.lightness[1] + 200)):
        place["excess"], place["what"] = box.excess(
            {"lightness": lightness, "chroma": sum(limits.chroma) / 2, "off_palette": 0.0, "vivid_area": 0.0}
        )
    assert 1 < near["excess"] < far["excess"]
    latent = student.denoise(student.encode(np.full((128, 128, 3), 255, np.uint8)), STYLE)
    assert not guard.judge(latent, STYLE).admits
    spoiled = latent.code.copy()
    spoiled[0, 0, 0, 0] = np.nan
    assert not guard.judge(Latent(spoiled, latent.guide), STYLE).admits
    assert not guard.near


def test_its_file_is_read_as_it_was_written_and_wrong_ones_close_the_guard(fitted, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    student, box, _, out, sha256 = fitted
    read = GuardFile(out, sha256).load(student.hash)
    assert isinstance(read, BrandBox)
    assert judged(student, read, blue_room(7)) == judged(student, box, blue_room(7))
    kept = GuardFile(out, sha256).read()
    own = {name: kept[name] for name in kept if name not in ("kind", "student")}
    for name, value in (("palette", np.zeros((2, 2))), ("weights", np.zeros(3)), ("version", np.array(9))):
        path = tmp_path / f"{name}.npz"
        wrong = write_guard_file(path, "brand", student.hash, own | {name: value})
        guard = Guard.load(*student.guard_file, more=(GuardFile(path, wrong),), student=student.hash)
        assert guard.closed, name
    assert hashlib.sha256(out.read_bytes()).hexdigest() == sha256


def test_too_few_pictures_are_an_error(fitted, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    student = fitted[0]
    with pytest.raises(PicturesError, match="at least one approved picture"):
        fit_brand(student, [], tmp_path / "brand.npz")
