"""What is drawn is what was asked for, to the pixel, and nothing on the screen ever jumps."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator

import moderngl
import numpy as np
import pytest
from numpy.typing import NDArray

from vivant.runtime.canvas import HELD_PERIODS_S, Canvas, Look, Profile, grain_start, is_software, phases
from vivant.runtime.frames import U8, ManualClock, VivantError
from vivant.runtime.passes import noise_tile
from vivant.runtime.surface import open_headless

pytestmark = pytest.mark.gl
REFRESH_S = 1 / 60
Shown = NDArray[np.int16]  # signed, so that differences are
Draw = Callable[..., Shown]


@pytest.fixture(scope="module")
def context() -> Iterator[moderngl.Context]:
    try:
        surface = open_headless((16, 16), clock=ManualClock())
    except VivantError as error:
        pytest.skip(str(error))
    yield surface.context
    surface.close()


@pytest.fixture
def canvas(context: moderngl.Context) -> Canvas:
    return Canvas(context, "light")


@pytest.fixture
def draw(context: moderngl.Context, canvas: Canvas) -> Iterator[Draw]:
    """Draw on a new target and read what is on it, int16 (H, W, 3)."""
    targets: dict[tuple[int, int], moderngl.Framebuffer] = {}

    def run(
        size_px: tuple[int, int], look: Look | None = None, canvas: Canvas = canvas, **how: object
    ) -> Shown:
        if size_px not in targets:
            targets[size_px] = context.framebuffer([context.renderbuffer(size_px, 4)])
        canvas.draw(targets[size_px], size_px, look or Look(), **how)  # type: ignore[arg-type]
        shown = canvas.read()
        assert (shown[..., 3] == 255).all(), "what is shown is opaque"
        return shown[..., :3].astype(np.int16)

    yield run
    for target in targets.values():
        target.release()


def picture(width: int, height: int, seed: int = 1) -> U8:
    """Coloured noise, opaque."""
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 4), np.uint8)
    pixels[..., 3] = 255
    return pixels


def flat(width: int, height: int, *colour: int) -> U8:
    return np.full((height, width, 4), (*colour, 255), np.uint8)


def ramp(width: int, height: int) -> U8:
    """Brighter to the right in red and downwards in green: smooth, so that motion shows as small changes."""
    pixels = flat(width, height, 0, 0, 80)
    pixels[..., 0] = np.linspace(0, 255, width)
    pixels[..., 1] = np.linspace(0, 255, height)[:, None]
    return pixels


def test_at_its_own_size_a_picture_keeps_every_value(canvas: Canvas, draw: Draw) -> None:
    for size in ((96, 64), (33, 47), (128, 128)):
        pixels = picture(*size)
        canvas.show(pixels)
        assert np.abs(draw(size) - pixels[..., :3]).max() <= 1  # a rounding of the blend of one texel


def test_what_is_read_has_the_top_row_first_and_may_be_kept(canvas: Canvas, draw: Draw) -> None:
    pixels = flat(32, 32, 0, 0, 255)
    pixels[0] = (255, 0, 0, 255)
    canvas.show(pixels)
    draw((32, 32))
    kept = canvas.read()
    canvas.show(flat(32, 32, 9, 9, 9))
    draw((32, 32))
    assert tuple(kept[0, 5]) == (255, 0, 0, 255)
    assert tuple(kept[31, 5]) == (0, 0, 255, 255)


def test_a_fade_weighs_the_newest_against_the_one_before(canvas: Canvas, draw: Draw) -> None:
    before, newest = picture(48, 48, 1), picture(48, 48, 2)
    canvas.show(picture(48, 48, 3))
    canvas.show(before)
    canvas.show(newest)
    a, b = before[..., :3].astype(float), newest[..., :3].astype(float)
    for fade in (0.0, 0.25, 0.5, 1.0):
        wanted = a + fade * (b - a)
        assert np.abs(draw((48, 48), fade=fade) - wanted).max() <= 1.5  # rounded to bytes twice


def test_the_first_picture_has_nothing_to_fade_from(canvas: Canvas, draw: Draw) -> None:
    pixels = picture(48, 48)
    canvas.show(pixels)
    assert np.abs(draw((48, 48), fade=0.3) - pixels[..., :3]).max() <= 1


def test_pictures_of_two_sizes_of_the_ladder_fade_into_each_other(canvas: Canvas, draw: Draw) -> None:
    canvas.show(flat(64, 64, 200, 100, 0))
    canvas.show(flat(96, 96, 100, 200, 50))
    assert np.abs(draw((120, 120), fade=0.5) - (150, 150, 25)).max() <= 1
    canvas.show(flat(32, 32, 10, 20, 30))
    assert np.abs(draw((120, 120)) - (10, 20, 30)).max() <= 1


def test_fit_shows_all_with_a_dark_border_of_the_pictures_own_colours(canvas: Canvas, draw: Draw) -> None:
    canvas.show(flat(64, 64, 200, 120, 40))
    shown = draw((160, 64))
    assert np.abs(shown[:, 48:112] - (200, 120, 40)).max() <= 1
    for side in (shown[:, :48], shown[:, 112:]):
        assert (side.mean((0, 1)) > (20, 10, 3)).all(), "not black"
        assert (side.mean((0, 1)) < (60, 40, 20)).all(), "dark"


def test_fill_crops_and_mirror_swaps_left_and_right(canvas: Canvas, draw: Draw) -> None:
    pixels = flat(64, 64, 0, 0, 0)
    pixels[:16] = pixels[48:] = (255, 0, 0, 255)  # cropped away on a target twice as wide as high
    pixels[16:48, :32] = (0, 255, 0, 255)
    canvas.show(pixels)
    shown = draw((128, 64), Look(aspect="fill"))
    assert shown[..., 0].max() <= 128, "a mixture at the border of the crop, no more"
    assert tuple(shown[32, 20]) == (0, 255, 0)
    assert tuple(shown[32, 100]) == (0, 0, 0)
    mirrored = draw((128, 64), Look(aspect="fill", mirror=True))
    assert np.abs(mirrored - shown[:, ::-1]).max() <= 1


def test_mirror_reaches_the_border_too(canvas: Canvas, draw: Draw) -> None:
    canvas.show(ramp(64, 64))
    shown, mirrored = draw((160, 64)), draw((160, 64), Look(mirror=True))
    assert np.abs(mirrored - shown[:, ::-1]).max() <= 3  # the border's dither does not turn round


def test_blank_is_black_and_what_was_there_comes_back(canvas: Canvas, draw: Draw) -> None:
    assert draw((64, 48), blank=True).max() == 0
    pixels = picture(64, 48)
    canvas.show(pixels)
    assert draw((64, 48), blank=True).max() == 0
    assert np.abs(draw((64, 48)) - pixels[..., :3]).max() <= 1


def test_before_the_first_picture_the_screen_is_dark_calm_and_not_black(canvas: Canvas, draw: Draw) -> None:
    assert not canvas.has_picture
    shown = [draw((160, 90), time_s=index * REFRESH_S) for index in range(30)]
    assert all(frame.max() < 64 and frame.mean() > 5 for frame in shown)
    steps = [np.abs(after - before).max() for before, after in itertools.pairwise(shown)]
    assert max(steps) <= 2
    assert canvas.moves
    assert np.abs(draw((160, 90), time_s=8.0) - shown[0]).mean() > 1, "it moves"


def test_the_first_picture_grows_out_of_the_dark(canvas: Canvas, draw: Draw) -> None:
    draw((64, 64), time_s=0.0)
    canvas.show(flat(64, 64, 240, 240, 240))
    means = [draw((64, 64), time_s=index * REFRESH_S).mean() for index in range(1, 60)]
    assert means[0] < 40
    assert max(np.diff(means)) < 15
    assert min(np.diff(means)) > -0.1
    assert means[-1] == 240
    assert not canvas.moves


def test_a_held_picture_comes_alive_slowly_and_settles_without_a_jump(canvas: Canvas, draw: Draw) -> None:
    canvas.show(ramp(96, 96))
    still = draw((192, 192), time_s=0.0)
    held = [draw((192, 192), held_s=index * REFRESH_S, time_s=index * REFRESH_S) for index in range(240)]
    assert np.abs(held[29] - still).max() <= 1, "not before half a second"
    assert np.abs(held[-1] - still).max() >= 3, "a picture on hold is not frozen"
    back = [draw((192, 192), held_s=0.0, time_s=4.0 + index * REFRESH_S) for index in range(120)]
    film = [still, *held, *back]
    assert max(np.abs(b - a).max() for a, b in itertools.pairwise(film)) <= 2
    assert np.abs(film[-1] - still).max() <= 1


def test_a_stall_of_the_loop_does_not_let_the_motion_jump(canvas: Canvas, draw: Draw) -> None:
    canvas.show(ramp(96, 96))
    still = draw((192, 192), time_s=0.0)
    assert np.abs(draw((192, 192), held_s=60.0, time_s=60.0) - still).max() <= 2


def test_a_held_picture_shows_nothing_beyond_its_edges(canvas: Canvas, draw: Draw) -> None:
    pixels = flat(96, 96, 0, 0, 0)
    pixels[2:-2, 2:-2] = (255, 255, 255, 255)
    canvas.show(pixels)
    for index in range(400):
        shown = draw((192, 192), held_s=9.0, time_s=index * 0.1)
        # Twice as large the black rim is four pixels wide, and one more is a mixture. A motion past the
        # picture's edge would repeat it there.
        assert shown[6:-6, 6:-6].min() == 255


def test_exposure_is_in_stops_of_linear_light(canvas: Canvas, draw: Draw) -> None:
    def linear(value: float) -> float:
        c = value / 255
        return c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4

    canvas.show(flat(8, 8, 100, 100, 100))
    for stops in (-1.0, 0.5, 1.0):
        shown = draw((8, 8), Look(exposure=stops))[0, 0, 0]
        assert linear(shown) / linear(100) == pytest.approx(2**stops, rel=0.05)  # the cubic's error


def test_a_grade_that_changes_nothing_is_exact_and_a_slight_one_does_not_jump(
    canvas: Canvas, draw: Draw
) -> None:
    pixels = picture(64, 64)
    canvas.show(pixels)
    assert np.abs(draw((64, 64), Look(exposure=1e-6)) - pixels[..., :3]).max() <= 1


def test_saturation_contrast_and_temperature(canvas: Canvas, draw: Draw) -> None:
    canvas.show(flat(8, 8, 180, 90, 40))
    grey = draw((8, 8), Look(saturation=0.0))[0, 0]
    assert grey.max() - grey.min() <= 1
    assert np.ptp(draw((8, 8), Look(saturation=1.5))[0, 0]) > 140
    assert np.abs(draw((8, 8), Look(contrast=0.0)) - 118).max() <= 1  # middle grey: 18 % of linear light
    canvas.show(flat(8, 8, 128, 128, 128))
    warm, cold = draw((8, 8), Look(temperature=1.0))[0, 0], draw((8, 8), Look(temperature=-1.0))[0, 0]
    assert warm[0] > warm[1] > warm[2]
    assert cold[0] < cold[1] < cold[2]


def test_grain_moves_twelve_times_a_second_and_never_flashes(canvas: Canvas, draw: Draw) -> None:
    canvas.show(flat(64, 64, 128, 128, 128))
    look = Look(grain=1.0)
    shown = [draw((256, 256), look, time_s=time_s) for time_s in (1.00, 1.01, 1.10, 1.20)]
    assert (shown[0] == shown[1]).all()
    assert (shown[1] != shown[2]).mean() > 0.5
    assert all(frame.std() > 3 for frame in shown)
    means = [frame.mean() for frame in shown]
    assert max(means) - min(means) < 0.1  # the noise repeats after 256 pixels, wherever it begins
    assert abs(means[0] - 128) < 1


def test_a_vignette_darkens_the_corners_and_leaves_the_middle(canvas: Canvas, draw: Draw) -> None:
    canvas.show(flat(64, 64, 200, 200, 200))
    shown = draw((128, 128), Look(vignette=1.0))
    assert shown[64, 64, 0] >= 198
    assert shown[0, 0, 0] < 80
    assert np.abs(shown - shown[::-1, ::-1]).max() <= 1


@pytest.mark.parametrize("profile", ["light", "full"])
@pytest.mark.parametrize("size", [(1, 1), (3, 500), (501, 7), (640, 360)])
def test_every_look_draws_on_a_target_of_any_shape(
    context: moderngl.Context, draw: Draw, profile: Profile, size: tuple[int, int]
) -> None:
    canvas = Canvas(context, profile)
    canvas.show(picture(64, 32))
    canvas.show(flat(32, 32, 90, 60, 30))
    look = Look(0.2, 1.1, 0.9, 0.1, 0.3, 0.5, "fit", True)
    assert draw(size, look, canvas=canvas, fade=0.5, held_s=3.0, time_s=2.0).shape == (size[1], size[0], 3)


def test_the_full_profile_is_exact_at_its_own_size_and_sharper_above(
    context: moderngl.Context, draw: Draw
) -> None:
    edge = flat(32, 32, 60, 60, 60)
    edge[:, 16:] = (190, 190, 190, 255)
    steepest = {}
    for profile in ("light", "full"):
        canvas = Canvas(context, profile)
        canvas.show(edge)
        assert np.abs(draw((32, 32), canvas=canvas) - edge[..., :3]).max() <= 1
        steepest[profile] = np.diff(draw((128, 128), canvas=canvas)[64, :, 0]).max()
    assert steepest["full"] > 1.1 * steepest["light"]


def test_a_picture_that_is_none_is_refused(canvas: Canvas) -> None:
    with pytest.raises(ValueError, match="u8"):
        canvas.show(np.zeros((8, 8, 3), np.uint8))
    with pytest.raises(ValueError, match="nothing was drawn"):
        canvas.read()


def test_slow_waves_stay_smooth_after_three_months() -> None:
    time_s = 90 * 24 * 3600.0
    before, after = phases(HELD_PERIODS_S, time_s), phases(HELD_PERIODS_S, time_s + REFRESH_S)
    for a, b, period_s in zip(before, after, HELD_PERIODS_S, strict=True):
        assert (b - a) % math.tau == pytest.approx(math.tau * REFRESH_S / period_s, rel=1e-4)


def test_grain_begins_elsewhere_at_every_twelfth_of_a_second() -> None:
    assert len({grain_start(index / 12 + 0.01) for index in range(100)}) == 100


def test_the_noise_is_even() -> None:
    tile = noise_tile(2)
    assert abs(tile.mean() - 127.5) < 0.2
    assert 30 < tile.std() < 45


def test_software_renderers_are_known_by_name() -> None:
    assert is_software("llvmpipe (LLVM 15.0.6, 256 bits)")
    assert not is_software("NVIDIA RTX A6000/PCIe/SSE2")
