"""The planes: their layout, that they follow the guide, and that they know nothing else of the frame."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import platformdirs
import pytest

from vivant.engines.bank import stored
from vivant.engines.planes import GROUPS, PLANE_NAMES, STYLES, ZERO, PlaneField, tangents
from vivant.engines.strokebank import DAB, STROKE, UNCOVERED, Layer
from vivant.engines.tiles import CELL_PX
from vivant.runtime.frames import F32, U8

SIZE = 128
EVERY = np.ones(len(STYLES), np.float32)


def only(style: str) -> F32:
    return np.array([style == name for name in STYLES], np.float32)


def blob(seed: int) -> F32:
    """A guide (1, 1, H/2, W/2) with smooth shapes of every direction."""
    y, x = np.mgrid[0 : SIZE // 2, 0 : SIZE // 2] / SIZE
    a, b, c, d = np.random.default_rng(seed).uniform(4, 14, 4)
    return (0.5 + 0.25 * np.sin(a * x + b * y) + 0.25 * np.sin(c * x * y * 4 - d * y))[None, None].astype(
        np.float32
    )


def ramp(angle: float) -> F32:
    """A guide whose lines of equal tone lie at `angle` everywhere."""
    y, x = np.mgrid[0 : SIZE // 2, 0 : SIZE // 2].astype(np.float32)
    return (0.5 + 0.4 * np.sin((np.cos(angle) * y - np.sin(angle) * x) / 3))[None, None].astype(np.float32)


def value(planes: U8, name: str) -> F32:
    return (planes[0, PLANE_NAMES.index(name)].astype(np.float32) - ZERO) / 64


def test_there_are_twenty_planes_of_the_canvas_in_bytes() -> None:
    planes = PlaneField((SIZE, 96), 1).update(np.full((1, 1, 48, SIZE // 2), 0.5, np.float32), EVERY)
    assert len(PLANE_NAMES) == len(set(PLANE_NAMES)) == 20
    assert planes.shape == (1, 20, 96, SIZE) and planes.dtype == np.uint8
    assert all(planes[0, i].std() > 3 for i in range(20))


def test_the_same_seed_guide_and_styles_give_the_same_planes() -> None:
    first, again, other = (PlaneField((SIZE, SIZE), seed).update(blob(2), EVERY).copy() for seed in (1, 1, 2))
    assert np.array_equal(first, again)
    assert all((first[0, i] != other[0, i]).mean() > 0.3 for i in range(20) if i not in (4, 5))


@pytest.mark.parametrize("style", STYLES)
def test_planes_that_a_style_does_not_read_are_zero_also_after_another_style(style: str) -> None:
    field = PlaneField((SIZE, SIZE), 1)
    field.update(blob(3), EVERY)
    planes = field.update(blob(3), only(style))
    for name in PLANE_NAMES:
        assert (value(planes, name).any()) == (name in GROUPS[style]), name
    assert np.array_equal(planes, PlaneField((SIZE, SIZE), 1).update(blob(3), only(style)))


def test_tangents_lie_along_lines_of_equal_tone_at_every_angle() -> None:
    for angle in np.linspace(0, np.pi, 12, endpoint=False):
        planes = PlaneField((SIZE, SIZE), 1).update(ramp(angle), only("ink"))
        middle = (slice(24, -24),) * 2
        error = np.hypot(
            value(planes, "cos2theta")[middle] - np.cos(2 * angle),
            value(planes, "sin2theta")[middle] - np.sin(2 * angle),
        )
        assert error.max() < 0.15  # of the double angle: 4 degrees


def test_turning_the_guide_by_a_quarter_turns_the_tangents_by_a_quarter() -> None:
    upright, turned = tangents(blob(4)[0, 0]), tangents(np.ascontiguousarray(np.rot90(blob(4)[0, 0])))
    # of the double angle that is half a turn; the filters are symmetric, so only rounding is left
    np.testing.assert_allclose(turned, -np.rot90(upright), atol=1e-5)
    assert np.abs(upright).max() > 0.01


def test_hatch_runs_along_the_tangent_and_cross_hatch_does_not() -> None:
    planes = PlaneField((SIZE, SIZE), 1).update(ramp(0.0), only("engraving"))
    for name, lies_along in (("hatch_even", True), ("hatch_odd", True), ("cross_even", False)):
        across, along = (np.abs(np.diff(value(planes, name), axis=axis)).mean() for axis in (0, 1))
        assert (across > 3 * along) == lies_along, name


@pytest.mark.parametrize("layer", [STROKE, DAB], ids=lambda layer: layer.name)
@pytest.mark.parametrize("angle", [0.0, 0.7, 2.5])
def test_across_and_along_lead_each_pixel_of_a_stroke_to_one_seed(layer: Layer, angle: float) -> None:
    planes = PlaneField((SIZE, SIZE), 1).update(ramp(angle), only("strokes"))
    theta = (np.arctan2(value(planes, "sin2theta"), value(planes, "cos2theta")) / 2) % np.pi
    across, along, name = (value(planes, f"{layer.name}_{part}") for part in ("across", "along", "id"))
    y, x = np.mgrid[0:SIZE, 0:SIZE]
    u, v = along * layer.half_length_px, across * layer.half_width_px
    seed_x = x - u * np.cos(theta) + v * np.sin(theta)
    seed_y = y - u * np.sin(theta) - v * np.cos(theta)
    # neighbours in the middle with one id belong, but for rare equal ids, to one stroke
    inner = np.zeros((SIZE, SIZE), bool)
    inner[24:-24, 24:-24] = True
    same = inner[:, 1:] & (np.diff(name, axis=1) == 0) & (across[:, 1:] <= 1) & (across[:, :-1] <= 1)
    apart = np.hypot(np.diff(seed_x, axis=1), np.diff(seed_y, axis=1))[same]
    assert same.mean() > 0.1 and np.quantile(apart, 0.9) < 2.5  # the tangent varies by up to an entry


def test_a_pixel_under_no_stroke_says_so() -> None:
    planes = PlaneField((256, 256), 5).update(np.full((1, 1, 128, 128), 0.5, np.float32), only("strokes"))
    for layer in (STROKE, DAB):
        across = np.abs(value(planes, f"{layer.name}_across"))
        bare = across == UNCOVERED
        assert (across[~bare] <= 1).all()
        assert 0 < bare.mean() < 0.06


def test_cell_offsets_lead_each_pixel_to_the_seed_of_its_cell() -> None:
    planes = PlaneField((SIZE, SIZE), 1).update(blob(0), only("mosaic"))
    y, x = np.mgrid[0:SIZE, 0:SIZE]
    seed_x, seed_y = x - CELL_PX * value(planes, "cell_dx"), y - CELL_PX * value(planes, "cell_dy")
    inside = value(planes, "cell_edge") > -0.75  # more than a pixel from the border
    both = inside[:, 1:] & inside[:, :-1]
    moved = np.hypot(np.diff(seed_x, axis=1), np.diff(seed_y, axis=1))[both]
    assert both.mean() > 0.4 and moved.max() < 0.25  # a sixty-fourth of a cell is 0.17 px


@pytest.mark.parametrize("style", STYLES)
def test_a_blank_guide_gives_the_same_planes_whatever_was_seen_before(style: str) -> None:
    blank = np.full((1, 1, SIZE // 2, SIZE // 2), 0.5, np.float32)
    fresh = PlaneField((SIZE, SIZE), 1).update(blank, only(style)).copy()
    for seen in (6, 7):
        field = PlaneField((SIZE, SIZE), 1)
        field.update(blob(seen), only(style), hold=0.9)
        assert np.array_equal(field.update(blank, only(style)), fresh)


def test_holding_makes_the_planes_follow_slowly_and_arrive() -> None:
    def strayed(hold: float, frames: int) -> float:
        field = PlaneField((SIZE, SIZE), 1)
        before = value(field.update(ramp(0.3), only("ink")), "cos2theta").copy()
        for _ in range(frames):
            after = value(field.update(ramp(1.6), only("ink"), hold), "cos2theta")
        return float(np.abs(after - before).mean())

    at_once = strayed(0.0, 1)
    assert at_once > 1.0
    assert strayed(0.9, 1) < 0.2 * at_once
    assert strayed(0.9, 60) > 0.98 * at_once


def test_a_bank_is_kept_and_an_unreadable_one_is_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(platformdirs, "user_cache_dir", lambda name: str(tmp_path))
    made = np.arange(12, dtype=np.uint8).reshape(3, 4)
    assert np.array_equal(stored("bank", "one", lambda: made), made)
    assert np.array_equal(stored("bank", "one", lambda: made + 1), made)
    assert np.array_equal(stored("bank", "two", lambda: made + 1), made + 1)
    (path,) = (tmp_path / "banks").glob("bank-one.npy")
    path.write_bytes(path.read_bytes()[:-5])
    with caplog.at_level(logging.WARNING):
        assert np.array_equal(stored("bank", "one", lambda: made + 2), made + 2)
    assert "cannot be read" in caplog.text
    assert np.array_equal(np.load(path), made + 2)
    assert not list((tmp_path / "banks").glob("*.part"))


def test_a_cache_that_cannot_be_written_costs_only_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setattr(platformdirs, "user_cache_dir", lambda name: str(tmp_path / "file"))
    with caplog.at_level(logging.WARNING):
        assert stored("bank", "one", lambda: np.ones((2, 2), np.uint8)).all()
    assert "cannot be written" in caplog.text


def test_planes_of_a_style_that_comes_grow_with_its_weight_and_come_back_whole() -> None:
    field, guide = PlaneField((128, 128), 3), blob(0)
    whole = {style: field.update(guide, only(style)).astype(float) - ZERO for style in STYLES}
    mixed = np.array([0.8, 0.0, 0.2, 0.0], np.float32)  # mosaic, with half of engraving's planes
    faint = field.update(guide, mixed).astype(float) - ZERO
    hatch, cell = PLANE_NAMES.index("hatch_even"), PLANE_NAMES.index("cell_dx")
    assert np.abs(faint[0, hatch] - 0.5 * whole["engraving"][0, hatch]).max() <= 1.0
    assert np.array_equal(faint[0, cell], whole["mosaic"][0, cell])
    again = field.update(guide, only("mosaic")).astype(float) - ZERO
    assert np.array_equal(again, whole["mosaic"])
