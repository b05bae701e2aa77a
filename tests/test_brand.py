"""The brand box: colours are told from the latent, and what leaves the box is held."""

from __future__ import annotations

import hashlib
from pathlib import Path

import cv2
import numpy as np
import pytest

from vivant.engines.kinds import load_student
from vivant.engines.student import Student
from vivant.guardrails.brand import BrandBox, Limits, away_from, away_of, features, measured
from vivant.guardrails.brand_fit import clouds, fit_brand, found_palette, palette_of, rarely, strays, turned
from vivant.guardrails.brand_map import Painted, lab_of, map_of
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
        box, card, sha256 = fit_brand(student, stills, out, each=12, steps=200)
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
        ((255, 255, 255), "brand box"),
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


def test_half_of_the_pictures_a_map_is_fitted_to_are_in_other_colours_and_as_light() -> None:
    frame = blue_room(3)
    for seed in range(4):
        changed = turned(frame, np.random.default_rng(seed))
        lab = [cv2.cvtColor(one, cv2.COLOR_RGB2LAB).astype(int) for one in (frame, changed)]
        assert np.abs(lab[0][..., 1:] - lab[1][..., 1:]).mean() > 8
        assert np.abs(lab[0][..., 0] - lab[1][..., 0]).mean() < 8


def test_clouds_take_the_share_of_a_picture_that_they_are_asked_for() -> None:
    for seed, share in enumerate((0.1, 0.4, 0.9)):
        assert clouds((160, 240), share, np.random.default_rng(seed)).mean() == pytest.approx(share, abs=0.06)


def in_lab(*colours: tuple[int, int, int]) -> np.ndarray:
    return lab_of(np.array(colours, np.float32) / 255)


def test_a_written_palette_is_as_far_away_as_it_is_seen_to_be() -> None:
    """To within the side of a bin."""
    away = away_from(palette_of([(230, 30, 30)]))
    red, pink, blue, grey = in_lab((230, 30, 30), (230, 60, 90), (40, 60, 230), (120, 120, 120))
    found = away_of(np.stack([red, pink, blue, grey]), away)
    assert found[0] < 5.0 and found[3] == 0.0, "greys belong to every palette"
    for place, colour in ((1, pink), (2, blue)):
        assert found[place] == pytest.approx(np.hypot(*(colour - red)[1:]), abs=5.0)


def test_a_found_palette_is_the_commonest_colours_of_what_was_painted_plain_in_that_style() -> None:
    blue, teal, red = in_lab((50, 80, 150), (30, 130, 130), (200, 40, 40))
    shares = np.array([1.0, 0.0], np.float32), np.array([0.0, 1.0], np.float32)

    def came(to: np.ndarray, style: int, plain: bool) -> Painted:
        return Painted(shares[style], np.zeros((3, 1000), np.float32), to, plain, False)

    mostly = np.concatenate([np.tile(blue, (996, 1)), np.tile(red, (4, 1))])
    painted = [came(mostly, 0, True), came(np.tile(teal, (1000, 1)), 0, False), came(mostly[::-1], 1, False)]
    away = away_from(found_palette(painted, 0))
    near, astray, rare = away_of(np.stack([blue, teal, red]), away)
    assert near < 5.0 and astray > 20.0 and rare > 50.0


def test_off_the_palette_counts_in_part_from_half_of_the_reach_and_vivid_is_a_share() -> None:
    away = away_from(palette_of([(60, 60, 60)]))
    limits = Limits((0, 100), (0, 100), 40.0, (0.1,), 50.0, (0.5,))
    chromas = np.array([5.0] * 4 + [30.0] * 2 + [60.0] * 2, np.float32)
    lab = np.stack([np.full(8, 50.0), chromas, np.zeros(8)], 1).astype(np.float32)
    found = measured(lab, away, limits)
    assert found["vivid_area"] == pytest.approx(0.25)
    assert found["off_palette"] == pytest.approx((2 * 0.5 + 2) / 8, abs=0.05)
    assert found["chroma"] == pytest.approx(chromas.mean(), rel=1e-5) and found["lightness"] == 50.0


def test_what_is_rarely_exceeded_lies_beyond_the_highest_of_a_few_and_is_nearly_that_of_many() -> None:
    drawn = np.random.default_rng(4).exponential(1.0, 20_000).astype(np.float32)
    few = rarely(drawn[:150])
    assert few > drawn[:150].max()
    assert few == pytest.approx(np.log(1 / 2e-4), rel=0.35)
    assert (drawn > rarely(drawn)).sum() == 0 and rarely(np.zeros(9, np.float32)) == 0.0


def test_a_map_is_found_that_bends_and_differs_by_style_and_its_error_is_of_what_was_kept_apart() -> None:
    """A fold no linear map makes: |x|, in one style on a*, in the other on b*."""
    rng = np.random.default_rng(1)
    painted = []
    for index in range(48):
        x = rng.normal(0, 1, (3, 60)).astype(np.float32)
        style, bent = index % 2, 30 * np.abs(x[0])
        lab = np.stack([50 + 10 * x[1], bent * (style == 0), bent * (style == 1)], 1).astype(np.float32)
        shares = np.eye(2, dtype=np.float32)[style]
        painted.append(Painted(shares, x, lab, True, index % 8 < 2))
    found = map_of(("one", "two"), painted, steps=400)
    assert max(found.errors) < 9.0, "the best linear map errs by 18"
    worse = [Painted(one.shares, one.features, -one.lab, True, True) for one in painted if one.apart]
    assert min(map_of(("one", "two"), [*painted[2:8], *worse], steps=20).errors) > 20.0


def test_what_is_a_little_outside_may_be_softened_and_what_is_far_may_not(fitted) -> None:  # type: ignore[no-untyped-def]
    student, box, _, _, _ = fitted
    guard = Guard([box])
    near, far = {}, {}
    limits = box.limits
    for place, lightness in ((near, limits.lightness[1] + 1), (far, limits.lightness[1] + 200)):
        place["excess"], place["what"] = box.excess(
            {"lightness": lightness, "chroma": sum(limits.chroma) / 2, "off_palette": 0.0, "vivid_area": 0.0},
            0.1,
            0.1,
        )
    assert 1 < near["excess"] < far["excess"]
    assert "lightness" in near["what"]
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
    for name, value in (
        ("palette", np.zeros((2, 2))),
        ("weights", np.zeros(3)),
        ("hidden", np.zeros((5, 2))),
        ("version", np.array(9)),
    ):
        path = tmp_path / f"{name}.npz"
        wrong = write_guard_file(path, "brand", student.hash, own | {name: value})
        guard = Guard.load(*student.guard_file, more=(GuardFile(path, wrong),), student=student.hash)
        assert guard.closed, name
    assert hashlib.sha256(out.read_bytes()).hexdigest() == sha256


def test_what_was_painted_off_the_palette_is_told_from_the_picture(fitted) -> None:  # type: ignore[no-untyped-def]
    student, box, card, _, _ = fitted
    assert set(card["tried"]) == {"approved", "off-brand"}
    assert card["tried"]["off-brand"]["of"] > 0
    latent = student.denoise(student.encode(cv2.resize(blue_room(9), SIZE)), STYLE)
    seen = features(latent).reshape(latent.code.shape[1] + 1, -1)
    shares = box.colour_map.shares(STYLE)
    half = np.tile(in_lab((60, 60, 60)), (seen.shape[1], 1))
    half[: len(half) // 2] = in_lab((20, 220, 40))
    assert strays(box, Painted(shares, seen, half, False, True)) == pytest.approx(0.5, abs=0.02)


def test_too_few_pictures_are_an_error(fitted, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    student = fitted[0]
    with pytest.raises(PicturesError, match="at least one approved picture"):
        fit_brand(student, [], tmp_path / "brand.npz")
