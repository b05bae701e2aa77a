"""The planes: how they lie in memory, that they follow the guide, and that they know nothing else."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from itertools import combinations, pairwise
from pathlib import Path

import cv2
import numpy as np
import platformdirs
import pytest

from vivant.engines.field import BANKS, TILES, WHOLE_FROM, PlaneField, demands, tangents
from vivant.engines.slots import CHANNELS, FORM, GROUPS, OFFSETS, PLANE_NAMES, RECIPES, block, read, recipe
from vivant.engines.textures import dots, shards, tesserae
from vivant.engines.textures.store import ORIENTATIONS, TILE_PX, UNIT, ZERO, blocks, stored
from vivant.engines.textures.strokes import DAB, STROKE, UNCOVERED, Layer, breadth
from vivant.runtime.frames import F32, U8

SIZE = 128
FLAT = np.full((1, 1, SIZE // 2, SIZE // 2), 0.5, np.float32)


def blob(seed: int, shift: float = 0.0, size_px: tuple[int, int] = (SIZE, SIZE)) -> F32:
    """A guide (1, 1, H/2, W/2) of smooth shapes in every direction, moved right by `shift` of its pixels."""
    y, x = np.mgrid[0 : size_px[1] // 2, 0 : size_px[0] // 2] / SIZE
    x = x - shift / SIZE
    a, b, c, d = np.random.default_rng(seed).uniform(4, 14, 4)
    return (0.5 + 0.25 * np.sin(a * x + b * y) + 0.25 * np.sin(c * x * y * 4 - d * y))[None, None].astype(
        np.float32
    )


def speckled(shift: int) -> F32:
    """A guide with features everywhere, moved right by whole pixels."""
    rng = np.random.default_rng(4)
    wide = cv2.GaussianBlur(rng.standard_normal((SIZE // 2, SIZE)), (0, 0), 2.5)
    seen = wide[:, 32 - shift : 32 - shift + SIZE // 2]
    return np.asarray(0.5 + 0.2 * seen / wide.std(), np.float32)[None, None]


def ramp(angle: float) -> F32:
    """A guide whose lines of equal tone lie at `angle` everywhere."""
    y, x = np.mgrid[0 : SIZE // 2, 0 : SIZE // 2].astype(np.float32)
    return (0.5 + 0.4 * np.sin((np.cos(angle) * y - np.sin(angle) * x) / 3))[None, None].astype(np.float32)


def painted(guide: F32, weights: Mapping[str, float], seed: int = 1) -> U8:
    """The planes of a canvas that was never painted on before."""
    height, width = guide.shape[2:]
    return PlaneField((2 * width, 2 * height), seed).update(guide, weights).copy()


# How the planes lie in memory


def test_groups_lie_side_by_side_and_fill_all_but_the_last_four_bytes() -> None:
    taken = [i for name in OFFSETS for i in range(CHANNELS)[block(name)]]
    assert sorted(taken) == list(range(CHANNELS - 4))
    assert set(OFFSETS) == {*GROUPS, "form"}
    assert len(set(PLANE_NAMES)) == len(PLANE_NAMES)


def test_what_is_put_into_blocks_is_read_as_the_same_planes() -> None:
    rng = np.random.default_rng(0)
    planes = np.full((1, 24, 40, CHANNELS), ZERO, np.uint8)
    pixels = {
        group: rng.integers(0, 256, (len(names), 48, 80), dtype=np.uint8) for group, names in GROUPS.items()
    }
    for group, values in pixels.items():
        planes[0, ..., block(group)] = blocks(values)
    found = read(planes)
    assert set(found) == set(PLANE_NAMES)
    for group, names in GROUPS.items():
        for name, wanted in zip(names, pixels[group], strict=True):
            assert np.array_equal(found[name], (wanted.astype(np.float32) - ZERO) / UNIT), name
    assert np.array_equal(read(planes[0])["paper"], found["paper"])


def test_the_form_is_enlarged_to_the_pixels() -> None:
    planes = np.full((1, 24, 40, CHANNELS), ZERO, np.uint8)
    planes[0, ..., OFFSETS["form"]] = np.linspace(64, 192, 40).round()
    found = read(planes)
    assert all(found[name].shape == (48, 80) for name in FORM)
    assert (np.diff(found["cos2theta"], axis=1) >= 0).all()


@pytest.mark.parametrize("style", RECIPES)
def test_a_recipe_names_textures_that_are_there_and_as_wide_as_their_group(style: str) -> None:
    for group, source in RECIPES[style].sources.items():
        width = 4 * len(GROUPS[group])
        if source in BANKS:
            shape = (TILE_PX // 2, ORIENTATIONS + 1, TILE_PX // 2, width)
            assert BANKS[source]().shape == shape
        else:
            assert TILES[source]().shape == (len(GROUPS[group]), TILE_PX, TILE_PX)
    assert 0 <= RECIPES[style].carry <= 1
    assert "canvas" in RECIPES[style].groups


# Tiles and banks


def seam_and_inside(blocks_: U8, axis: int) -> tuple[float, float]:
    """The mean step over the border of a tile, and the largest such mean within it."""
    values = blocks_.astype(np.float32)
    steps = np.abs(np.roll(values, -1, axis) - values)
    by_place = steps.mean(tuple(i for i in range(values.ndim) if i != axis))
    return float(by_place[-1]), float(by_place[:-1].max())


@pytest.mark.parametrize("name", TILES)
def test_a_tile_repeats_without_a_seam(name: str) -> None:
    tile = blocks(TILES[name]())
    for axis in (0, 1):
        seam, inside = seam_and_inside(tile, axis)
        assert seam <= inside


@pytest.mark.parametrize("name", BANKS)
def test_a_bank_repeats_without_a_seam_at_every_orientation(name: str) -> None:
    bank = BANKS[name]()
    for entry in range(0, ORIENTATIONS, 5):
        for axis in (0, 1):
            seam, inside = seam_and_inside(bank[:, entry], axis)
            assert seam <= inside


def test_after_half_a_turn_a_stroke_is_named_by_the_other_direction() -> None:
    first, last = (BANKS["stroke"]()[:, entry].astype(int) for entry in (0, ORIENTATIONS))
    parts = [
        [4 * k + c for k in (0, 2, 4, 6) for c in (0, 1)],
        [4 * k + c for k in (0, 2, 4, 6) for c in (2, 3)],
    ]
    directed, undirected = parts
    assert np.array_equal(first[..., undirected], last[..., undirected])
    assert np.array_equal(np.clip(256 - first[..., directed], 0, 255), last[..., directed])


# What the planes depend on


@pytest.mark.parametrize("size_px", [(96, 160), (640, 544), (1056, 32)])
def test_planes_are_blocks_of_the_canvas_at_any_size(size_px: tuple[int, int]) -> None:
    width, height = size_px
    field = PlaneField(size_px, 1)
    for style in ("oil", "mosaic"):
        planes = field.update(blob(0, size_px=size_px), {style: 1.0})
        assert planes.shape == (1, height // 2, width // 2, CHANNELS) and planes.dtype == np.uint8
        for group in RECIPES[style].groups:
            assert planes[..., block(group)].std() > 3
        assert (planes[..., CHANNELS - 4 :] == ZERO).all()


def test_a_canvas_larger_than_a_tile_is_tiled() -> None:
    planes = painted(blob(0, size_px=(640, 544)), {"mosaic": 1.0})[0]
    half = TILE_PX // 2
    for group in ("canvas", "cell"):
        there = planes[..., block(group)]
        assert np.array_equal(there[:, :64], there[:, half : half + 64])
        assert np.array_equal(there[:16], there[half : half + 16])


@pytest.mark.parametrize("style", RECIPES)
def test_the_seed_moves_the_textures_and_nothing_else_is_left_to_chance(style: str) -> None:
    first, again, other = (painted(blob(2), {style: 1.0}, seed) for seed in (1, 1, 2))
    assert np.array_equal(first, again)
    for group in RECIPES[style].sources:
        assert (first[..., block(group)] != other[..., block(group)]).mean() > 0.3, group


@pytest.mark.parametrize("style", RECIPES)
def test_planes_that_a_style_does_not_read_are_zero(style: str) -> None:
    planes = painted(blob(3), {style: 1.0})
    for group in GROUPS:
        assert (planes[..., block(group)] != ZERO).any() == (group in RECIPES[style].sources), group


@pytest.mark.parametrize("style", RECIPES)
def test_switching_to_a_style_leaves_nothing_of_the_one_before(style: str) -> None:
    field, fresh = PlaneField((SIZE, SIZE), 1), painted(blob(3), {style: 1.0})
    for other in RECIPES:
        field.update(blob(3), {other: 0.6, style: 0.2})
        field.update(blob(3), {other: 1.0})
        assert np.array_equal(field.update(blob(3), {style: 1.0}), fresh), other


@pytest.mark.parametrize("style", RECIPES)
def test_a_blank_guide_gives_the_same_planes_whatever_was_seen_before(style: str) -> None:
    fresh = painted(FLAT, {style: 1.0})
    for seen in (6, 7):
        field = PlaneField((SIZE, SIZE), 1)
        field.update(blob(seen), {style: 1.0})
        field.update(blob(seen, 2.0), {style: 1.0}, hold=0.9)
        field.forget()
        assert np.array_equal(field.update(FLAT, {style: 1.0}, hold=0.9), fresh)


def test_style_names_are_all_that_weights_are_read_by() -> None:
    both, turned = (painted(blob(1), w) for w in ({"oil": 0.3, "ink": 0.7}, {"ink": 0.7, "oil": 0.3}))
    assert np.array_equal(both, turned)
    assert np.array_equal(painted(blob(1), {"oil": 1.0, "ink": 0.0}), painted(blob(1), {"oil": 1.0}))


# Following the guide


def test_tangents_lie_along_lines_of_equal_tone_at_every_angle() -> None:
    for angle in np.linspace(0, np.pi, 12, endpoint=False):
        value = read(painted(ramp(angle), {"ink": 1.0}))
        middle = (slice(24, -24),) * 2
        error = np.hypot(
            value["cos2theta"][middle] - np.cos(2 * angle), value["sin2theta"][middle] - np.sin(2 * angle)
        )
        assert error.max() < 0.15  # of the double angle: 4 degrees
        assert (value["coherence"][middle] > 0.5).all()


def test_turning_the_guide_by_a_quarter_turns_the_tangents_by_a_quarter() -> None:
    upright, turned = tangents(blob(4)[0, 0]), tangents(np.ascontiguousarray(np.rot90(blob(4)[0, 0])))
    # of the double angle that is half a turn; the filters are symmetric, so only rounding is left
    np.testing.assert_allclose(turned, -np.rot90(upright), atol=1e-5)
    assert np.abs(upright).max() > 0.01


def test_where_nothing_is_to_be_seen_nothing_is_sure() -> None:
    assert np.abs(read(painted(FLAT, {"ink": 1.0}))["coherence"]).max() == 0


def test_hatch_runs_along_the_tangent_and_cross_hatch_does_not() -> None:
    value = read(painted(ramp(0.0), {"engraving": 1.0}))
    for name, lies_along in (("hatch_even", True), ("hatch_odd", True), ("cross_even", False)):
        across, along = (np.abs(np.diff(value[name], axis=axis)).mean() for axis in (0, 1))
        assert (across > 3 * along) == lies_along, name


@pytest.mark.parametrize("name", GROUPS["grain"])
@pytest.mark.parametrize("angle", [0.0, np.pi / 2])
def test_grain_runs_along_the_tangent(name: str, angle: float) -> None:
    value = read(painted(ramp(angle), {"ink": 1.0}))[name][16:-16, 16:-16]
    down, right = (np.abs(np.diff(value, axis=axis)).mean() for axis in (0, 1))
    along, across = (right, down) if angle == 0 else (down, right)
    assert across > 2 * along


@pytest.mark.parametrize("layer", [STROKE, DAB], ids=lambda layer: layer.name)
@pytest.mark.parametrize("angle", [0.0, 0.7, 2.5])
def test_across_and_along_lead_each_pixel_of_a_stroke_to_one_seed(layer: Layer, angle: float) -> None:
    value = read(painted(ramp(angle), {"oil": 1.0}))
    theta = (np.arctan2(value["sin2theta"], value["cos2theta"]) / 2) % np.pi
    across, along, name, hue = (value[f"{layer.name}_{part}"] for part in ("across", "along", "id", "hue"))
    y, x = np.mgrid[0:SIZE, 0:SIZE]
    u, v = along * layer.half_length_px, across * layer.half_width_px * breadth(hue)
    seed_x = x - u * np.cos(theta) + v * np.sin(theta)
    seed_y = y - u * np.sin(theta) - v * np.cos(theta)
    # neighbours in the middle with one id belong, but for rare equal ids, to one stroke
    inner = np.zeros((SIZE, SIZE), bool)
    inner[24:-24, 24:-24] = True
    same = inner[:, 1:] & (np.diff(name, axis=1) == 0) & (across[:, 1:] <= 1) & (across[:, :-1] <= 1)
    apart = np.hypot(np.diff(seed_x, axis=1), np.diff(seed_y, axis=1))[same]
    assert same.mean() > 0.1 and np.quantile(apart, 0.9) < 2.5  # the tangent varies by up to an entry


def test_a_pixel_under_no_stroke_says_so() -> None:
    value = read(painted(np.full((1, 1, 128, 128), 0.5, np.float32), {"oil": 1.0}, seed=5))
    for layer in (STROKE, DAB):
        across = np.abs(value[f"{layer.name}_across"])
        bare = across == UNCOVERED
        assert (across[~bare] <= 1).all()
        assert 0 < bare.mean() < 0.1


@pytest.mark.parametrize(
    ("style", "unit_px"),
    [("mosaic", tesserae.CELL_PX), ("glass", shards.REACH_PX), ("stipple", dots.REACH_PX)],
)
def test_offsets_lead_each_pixel_to_the_middle_of_its_cell(style: str, unit_px: float) -> None:
    value = read(painted(blob(0), {style: 1.0}))
    y, x = np.mgrid[0:SIZE, 0:SIZE]
    middle_x, middle_y = x - unit_px * value["cell_dx"], y - unit_px * value["cell_dy"]
    same = np.diff(value["cell_id"], axis=1) == 0
    moved = np.hypot(np.diff(middle_x, axis=1), np.diff(middle_y, axis=1))[same]
    assert same.mean() > 0.4
    # both ends are rounded to a sixty-fourth of the unit, in x and y; few neighbours share an id by chance
    assert np.quantile(moved, 0.97) <= 1.5 * unit_px / UNIT


def test_holding_makes_the_planes_follow_slowly_and_arrive() -> None:
    def strayed(hold: float, frames: int) -> float:
        field = PlaneField((SIZE, SIZE), 1)
        before = read(field.update(ramp(0.3), {"ink": 1.0}))["cos2theta"]
        for _ in range(frames):
            after = read(field.update(ramp(1.6), {"ink": 1.0}, hold))["cos2theta"]
        return float(np.abs(after - before).mean())

    at_once = strayed(0.0, 1)
    assert at_once > 1.0
    assert strayed(0.9, 1) < 0.2 * at_once
    assert strayed(0.9, 60) > 0.98 * at_once


def test_what_is_forgotten_is_not_held() -> None:
    field = PlaneField((SIZE, SIZE), 1)
    for shift in (0.0, 2.0, 4.0):
        field.update(blob(2, shift), {"oil": 1.0}, hold=0.9)
    field.forget()
    assert np.array_equal(field.update(blob(5), {"oil": 1.0}, hold=0.9), painted(blob(5), {"oil": 1.0}))


# Blends


def test_a_style_that_comes_has_paler_planes_until_its_weight_is_enough() -> None:
    field, guide = PlaneField((SIZE, SIZE), 3), blob(0)
    whole = {
        style: field.update(guide, {style: 1.0}).astype(float) - ZERO for style in ("mosaic", "engraving")
    }
    faint = field.update(guide, {"mosaic": 0.8, "engraving": WHOLE_FROM / 2}).astype(float) - ZERO
    hatch, cell = block("hatch"), block("cell")
    assert np.abs(faint[..., hatch] - 0.5 * whole["engraving"][..., hatch]).max() <= 1.0  # rounding
    assert np.array_equal(faint[..., cell], whole["mosaic"][..., cell])
    again = field.update(guide, {"mosaic": 1.0}).astype(float) - ZERO
    assert np.array_equal(again, whole["mosaic"])


CROSSINGS = [
    (one, other)
    for one, other in combinations(RECIPES, 2)
    if any(RECIPES[other].sources.get(g, s) != s for g, s in RECIPES[one].sources.items())
]


@pytest.mark.parametrize(("one", "other"), [*CROSSINGS, ("oil", "mosaic"), ("filaments", "engraving")])
def test_nothing_leaps_when_a_style_fades_into_another(one: str, other: str) -> None:
    field, steps = PlaneField((SIZE, SIZE), 1), 40
    seen = [
        field.update(blob(1), {one: 1 - i / steps, other: i / steps}).astype(np.int16)
        for i in range(steps + 1)
    ]
    leap = max(int(np.abs(after - before).max()) for before, after in pairwise(seen))
    # weights move by a fortieth each, so a lead by a twentieth; a plane reaches 128 levels, and is rounded
    assert leap <= 128 * (2 / steps) / WHOLE_FROM + 1
    assert not np.array_equal(seen[0], seen[-1])


def test_styles_that_want_different_textures_in_one_group_are_among_those_that_fade() -> None:
    assert ("mosaic", "glass") in CROSSINGS and ("coral", "marbling") in CROSSINGS


def test_a_group_is_asked_for_at_the_weight_of_its_heaviest_style() -> None:
    assert demands({"ink": 1.0}) == {"canvas": ("canvas", 1.0), "grain": ("grain", 1.0)}
    assert demands({"ink": 0.1, "oil": 0.3})["grain"] == ("grain", pytest.approx(0.3 / WHOLE_FROM))
    assert demands({"ink": 0.1, "oil": 0.0}).keys() == {"canvas", "grain"}
    assert demands({}) == {}


def test_two_styles_that_want_one_group_for_themselves_are_weighed_against_each_other() -> None:
    assert demands({"mosaic": 0.5, "glass": 0.5})["cell"][1] == 0.0
    assert demands({"mosaic": 0.6, "glass": 0.4})["cell"] == ("tesserae", pytest.approx(0.2 / WHOLE_FROM))
    assert demands({"mosaic": 0.2, "glass": 0.8})["cell"] == ("shards", 1.0)
    three = demands({"mosaic": 0.4, "glass": 0.3, "stipple": 0.3})
    assert three["cell"] == ("tesserae", pytest.approx(0.1 / WHOLE_FROM))


# Going along with what moves


@pytest.fixture
def drifting(monkeypatch: pytest.MonkeyPatch) -> str:
    """A style whose cells, which have no direction, go along with what moves."""
    monkeypatch.setitem(RECIPES, "drifting", recipe(cell="tesserae", carry=1.0))  # type: ignore[arg-type]
    return "drifting"


def shift_of(before: U8, after: U8) -> int:
    """By how many blocks the middle of the cells has moved to the right."""
    was, now = (planes[0, ..., block("cell")].astype(np.int16) for planes in (before, after))
    far = {k: np.abs(np.roll(was, k, 1) - now)[16:-16, 16:-16].mean() for k in range(-12, 13)}
    return min(far, key=lambda k: far[k])


def test_planes_go_along_with_a_picture_that_shifts_and_slip_back_when_it_rests(drifting: str) -> None:
    field = PlaneField((SIZE, SIZE), 1)
    first = field.update(speckled(0), {drifting: 1.0}).copy()
    for frame in range(1, 5):
        moved = field.update(speckled(2 * frame), {drifting: 1.0}).copy()
    assert 6 <= shift_of(first, moved) <= 8  # eight blocks, of which some have slipped back
    for _ in range(120):
        rested = field.update(speckled(8), {drifting: 1.0})
    assert shift_of(first, rested) == 0


def test_carry_scales_how_far_planes_go_along(drifting: str) -> None:
    found = []
    for carry in (0.0, 0.5, 1.0):
        field = PlaneField((SIZE, SIZE), 1)
        first = field.update(speckled(0), {drifting: 1.0}, carry=carry).copy()
        for frame in range(1, 5):
            moved = field.update(speckled(2 * frame), {drifting: 1.0}, carry=carry)
        found.append(shift_of(first, moved))
    assert found[0] == 0 and 3 <= found[1] <= 4 and 6 <= found[2] <= 8


def test_strokes_are_carried_and_the_paper_never_is() -> None:
    field, still = PlaneField((SIZE, SIZE), 1), PlaneField((SIZE, SIZE), 1)
    first = field.update(speckled(0), {"oil": 1.0}).copy()
    for frame in range(1, 5):
        carried = field.update(speckled(2 * frame), {"oil": 1.0})
        stayed = still.update(speckled(2 * frame), {"oil": 1.0}, carry=0.0)
    assert np.array_equal(carried[..., block("canvas")], first[..., block("canvas")])
    assert (carried[..., block("stroke")] != stayed[..., block("stroke")]).mean() > 0.3
    assert np.array_equal(carried[..., block("form")], stayed[..., block("form")])


def test_a_still_picture_carries_nothing_and_neither_does_a_style_that_stays(drifting: str) -> None:
    field = PlaneField((SIZE, SIZE), 1)
    first = field.update(speckled(0), {drifting: 1.0}).copy()
    assert np.array_equal(field.update(speckled(0), {drifting: 1.0}), first)
    field = PlaneField((SIZE, SIZE), 1)
    for shift in range(4):
        planes = field.update(speckled(2 * shift), {"mosaic": 1.0})
    assert np.array_equal(planes, painted(speckled(6), {"mosaic": 1.0}))


def test_what_was_carried_is_put_back_when_a_style_comes_that_stays(drifting: str) -> None:
    field = PlaneField((SIZE, SIZE), 1)
    for shift in range(4):
        field.update(speckled(2 * shift), {drifting: 1.0})
    assert np.array_equal(field.update(speckled(8), {"mosaic": 1.0}), painted(speckled(8), {"mosaic": 1.0}))


# The cache of textures


def test_a_texture_is_kept_and_an_unreadable_one_is_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(platformdirs, "user_cache_dir", lambda name: str(tmp_path))
    made = np.arange(12, dtype=np.uint8).reshape(3, 4)
    assert np.array_equal(stored("bank", "one", lambda: made), made)
    assert np.array_equal(stored("bank", "one", lambda: made + 1), made)
    assert np.array_equal(stored("bank", "two", lambda: made + 1), made + 1)
    (path,) = (tmp_path / "banks").glob("bank-one.npy")
    path.unlink()  # a new file, for the old one is mapped
    path.write_bytes(b"\x93NUMPY")
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
