"""Each ISF file in tests/isf shows, to the pixel, what its GLSL says of inputs, passes and time."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
from isf_stage import F64, FILES, HEIGHT, WIDTH, Stage, floats

from vivant.runtime.frames import ManualClock, VivantError
from vivant.runtime.isf.effect import Effect, Moment
from vivant.runtime.surface import open_headless

pytestmark = pytest.mark.gl
X = np.broadcast_to((np.arange(WIDTH) + 0.5) / WIDTH, (HEIGHT, WIDTH))
Y = np.broadcast_to(((np.arange(HEIGHT) + 0.5) / HEIGHT)[:, None], (HEIGHT, WIDTH))
ONE = np.ones((HEIGHT, WIDTH))
WAVE = np.array([[0.5, -1.0, 0.25, 0.0] * 4, [1.0, 0.0, 0.0, 0.0] * 4], np.float32)
BANDS = np.array([[0.0, 0.2, 0.4, 0.4, 0.6, 1.0, 1.0, 1.0]], np.float32)
DAY = (2026.0, 3.0, 31.0, 21600.0)
FRAMES = tuple(Moment(0.5 + index / 10, index and 0.1, index, DAY) for index in range(12))


def rgb(red: Any, green: Any = None, blue: Any = None) -> F64:
    """Three numbers or planes as one picture; one alone is grey."""
    green, blue = (red, red) if green is None else (green, blue)
    return np.stack([np.broadcast_to(plane, (HEIGHT, WIDTH)) for plane in (red, green, blue)], -1)


def moved(picture: F64, x: int = 0, y: int = 0) -> F64:
    """What is read so many pixels to the right and above, clamped at the edges."""
    rows = np.clip(np.arange(HEIGHT) + y, 0, HEIGHT - 1)
    columns = np.clip(np.arange(WIDTH) + x, 0, WIDTH - 1)
    return picture[rows][:, columns]


@dataclass(frozen=True, slots=True)
class Case:
    """What the frame after `frames` should show of the picture that is below and another one."""

    shows: Callable[[F64, F64], F64]
    frames: int = 1
    values: Mapping[str, Any] = field(default_factory=dict)
    mix: float = 1.0


def life(u: F64, o: F64) -> F64:
    """Three cells that lie, and after one frame stand."""
    cells = np.zeros((HEIGHT, WIDTH))
    cells[7:10, 12] = 1.0
    return rgb(cells)


def corners(u: F64, o: F64) -> F64:
    """The picture corners.png, read with its smooth edges: red and green above, blue and half-clear white."""
    pixels = np.zeros((4, 4, 4))
    pixels[..., 3] = 1.0
    pixels[2:, :2], pixels[2:, 2:] = (1, 0, 0, 1), (0, 1, 0, 1)
    pixels[:2, :2], pixels[:2, 2:] = (0, 0, 1, 1), (1, 1, 1, 128 / 255)
    read = sampled(pixels, X * 4 - 0.5, Y * 4 - 0.5)
    over: F64 = read[..., :3] * read[..., 3:]
    return over + (1.0 - read[..., 3:]) * u


def sampled(pixels: F64, x: F64, y: F64) -> F64:
    """Bilinear reads at pixel places, clamped at the edges."""
    x0, y0 = np.floor(x).astype(int), np.floor(y).astype(int)
    fx, fy = (x - x0)[..., None], (y - y0)[..., None]
    rows, columns = pixels.shape[:2]

    def at(xs: Any, ys: Any) -> F64:
        found: F64 = pixels[np.clip(ys, 0, rows - 1), np.clip(xs, 0, columns - 1)]
        return found

    low = at(x0, y0) * (1 - fx) + at(x0 + 1, y0) * fx
    high = at(x0, y0 + 1) * (1 - fx) + at(x0 + 1, y0 + 1) * fx
    mixed: F64 = low * (1 - fy) + high * fy
    return mixed


def both_ways(u: F64, o: F64) -> F64:
    across = 0.5 * (u + moved(u, 1))
    return 0.5 * (across + moved(across, 0, 1))


CASES: Mapping[str, Case] = {
    "input_float": Case(lambda u, o: rgb(0.25, 0, 0)),
    "input_float_range": Case(lambda u, o: rgb(0.25), values={"level": -1.0}),
    "input_bool": Case(lambda u, o: 1.0 - u),
    "input_long_values": Case(lambda u, o: rgb(0, 0.5, 0)),
    "input_long_range": Case(lambda u, o: rgb(0.7), values={"count": 7}),
    "input_point": Case(lambda u, o: rgb(0.25, 0.75, 0)),
    "input_color": Case(lambda u, o: rgb(0.2, 0.4, 0.6)),
    "input_event": Case(lambda u, o: rgb(1), values={"hit": True}),
    "input_images": Case(lambda u, o: 0.5 * (u + o)),
    "input_audio": Case(lambda u, o: rgb(between_the_channels())),
    "input_audio_channels": Case(lambda u, o: rgb(np.where(Y < 0.5, 0.0, 1.0))),
    "input_audio_volume": Case(lambda u, o: rgb(1.0)),
    "input_audio_fft": Case(lambda u, o: rgb(np.choose((X * 4).astype(int), [0.1, 0.4, 0.8, 1.0]))),
    "input_named_mix": Case(lambda u, o: rgb(0.5)),
    "input_every": Case(lambda u, o: rgb(0.5 * 0.5 * heard(WAVE) + spectral(BANDS), u[..., 1], u[..., 2])),
    "read_norm_pixel": Case(lambda u, o: u[:, ::-1]),
    "read_pixel": Case(lambda u, o: moved(u, 2, -1)),
    "read_this_pixel": Case(lambda u, o: u[..., ::-1]),
    "read_this_norm_pixel": Case(lambda u, o: rgb(u[..., 1])),
    "read_norm_this_pixel": Case(lambda u, o: 0.5 * u),
    "read_size": Case(lambda u, o: rgb(WIDTH / 64, HEIGHT / 64, 0)),
    "read_in_loop": Case(lambda u, o: (moved(u, -1) + u + moved(u, 1)) / 3),
    "uniform_rendersize": Case(lambda u, o: rgb(X, Y, 0)),
    "uniform_norm_coord": Case(lambda u, o: rgb(X, Y, 0)),
    "uniform_time": Case(lambda u, o: rgb(0.7, 0.07, 0), frames=3),
    "uniform_timedelta": Case(lambda u, o: rgb(1.0), frames=2),
    "uniform_date": Case(lambda u, o: rgb(0.25, 1.0, 0.25)),
    "uniform_frameindex": Case(lambda u, o: rgb(0.4), frames=5),
    "uniform_passindex": Case(lambda u, o: rgb(0.75, 0, 0)),
    "pass_two": Case(lambda u, o: (1.0 - u) * (1, 0.5, 1)),
    "pass_half": Case(lambda u, o: rgb(12 / 64, 8 / 64, 12 / 64)),
    "pass_size_of_input": Case(lambda u, o: rgb(24 / 64, 6 / 64, 0), values={"amount": 6.0}),
    "pass_size_number": Case(lambda u, o: rgb(32 / 64, 2 / 64, 0)),
    "pass_average": Case(lambda u, o: rgb(*u.mean((0, 1)))),
    "pass_three": Case(both_ways),
    "pass_same_twice": Case(lambda u, o: rgb(0.75, 1.0, 0), frames=3),
    "pass_last_has_target": Case(lambda u, o: 0.25 * u + 0.25),
    "pass_unused": Case(lambda u, o: rgb(0, 1, 0)),
    "pass_float": Case(lambda u, o: rgb(0.5, 0.5, 0.5)),
    "persistent_counter": Case(lambda u, o: rgb(0.4, 0, 0), frames=4),
    "persistent_float": Case(lambda u, o: rgb(0.6, 0, 0), frames=4),
    "persistent_shift": Case(lambda u, o: moved(u, -3), frames=4),
    "persistent_trail": Case(lambda u, o: u * (1 - 0.5**4), frames=4),
    "persistent_two": Case(lambda u, o: rgb(0.3, 0.6, 0), frames=3),
    "persistent_life": Case(life, frames=2),
    "persistent_heals": Case(lambda u, o: rgb(0.5, 0.25, 0), frames=3),
    "v1_persistent": Case(lambda u, o: rgb(0.3, 0, 0), frames=3),
    "v1_buffer_sizes": Case(lambda u, o: rgb(8 / 64, 2 / 64, 0.5)),
    "v1_names": Case(lambda u, o: u[::-1]),
    "v1_imported": Case(corners),
    "imported_picture": Case(corners),
    "imported_size": Case(lambda u, o: rgb(0.5, 0.5, u[..., 2])),
    "vertex_varying": Case(lambda u, o: moved(u, 1)),
    "vertex_moves": Case(lambda u, o: small(u)),
    "vertex_passes": Case(lambda u, o: rgb(0.25, 0.75, 0)),
    "vertex_v1": Case(lambda u, o: rgb(Y, 0, 0)),
    "old_texture2d": Case(lambda u, o: sampled(u, Y * WIDTH - 0.5, X * HEIGHT - 0.5)),
    "old_texture2drect": Case(lambda u, o: u[::-1, ::-1]),
    "old_fragdata": Case(lambda u, o: rgb(u[..., 0], u[..., 1], 0.5)),
    "old_precision": Case(lambda u, o: 0.375 * 0.375 + (1 - 0.375) * u),
    "old_own_texture": Case(lambda u, o: rgb(u[..., 1], u[..., 2], u[..., 0])),
    "old_rect": Case(lambda u, o: rgb(X * WIDTH / 64, Y * HEIGHT / 64, WIDTH / 64)),
    "draw_alpha": Case(lambda u, o: 0.5 * u),
    "draw_over": Case(lambda u, o: np.where((X < 0.5)[..., None], 0.5 * u + 0.5 * rgb(1, 0, 0), u)),
    "draw_discard": Case(lambda u, o: np.where((X * WIDTH < 6)[..., None], 0.0, u)),
    "draw_bright": Case(lambda u, o: np.clip(u * 4 - 1, 0, 1)),
    "draw_return": Case(lambda u, o: np.where((Y > 0.5)[..., None], rgb(0, 1, 0), u)),
    "draw_rgb_alone": Case(lambda u, o: rgb(u[..., 0])),
    "transition_fade": Case(lambda u, o: 0.75 * u + 0.25 * o, values={"progress": 0.25}),
    "transition_wipe": Case(
        lambda u, o: np.where((Y < 0.5)[..., None], o, u), values={"progress": 0.5, "upward": True}
    ),
    "header_lenient": Case(lambda u, o: rgb(0.5, 0.5, 0)),
}


def between_the_channels() -> F64:
    """The wave at each column, read in the middle of its two rows."""
    wave = WAVE.mean(0)[None, :, None].astype(float)
    mean: F64 = 0.5 + 0.5 * sampled(wave, X * WAVE.shape[1] - 0.5, 0 * X)[..., 0]
    return mean


def heard(wave: Any) -> float:
    """The two rows read between them, in the middle: of a wave that repeats every four samples."""
    middle = wave[:, 7:9].astype(float).mean()
    return float(0.5 + 0.5 * middle)


def spectral(bands: Any) -> float:
    return float(bands[0, 3:5].astype(float).mean())


def small(u: F64) -> F64:
    """A rectangle of half the size in the middle shows the whole picture; around it is nothing."""
    whole = np.zeros((HEIGHT, WIDTH, 3))
    inside = np.s_[HEIGHT // 4 : HEIGHT * 3 // 4, WIDTH // 4 : WIDTH * 3 // 4]
    x, y = X * 2 - 0.5, Y * 2 - 0.5
    shrunk = rgb(1.0, sampled(u, x * WIDTH - 0.5, y * HEIGHT - 0.5)[..., 1], 0.0)
    whole[inside] = shrunk[inside]
    return whole


@pytest.fixture(scope="module")
def stage() -> Iterator[Stage]:
    try:
        surface = open_headless((16, 16), clock=ManualClock())
    except VivantError as error:
        pytest.skip(str(error))
    made = Stage(surface.context)
    made.hear(WAVE, BANDS)
    yield made
    surface.close()


def opened(stage: Stage, name: str) -> Effect:
    return stage.effect(FILES / f"{name}.fs")


def test_every_file_has_an_expected_picture() -> None:
    assert {path.stem for path in FILES.glob("*.fs")} == set(CASES)
    assert len(CASES) >= 50


@pytest.mark.parametrize("name", CASES)
def test_a_shader_shows_what_it_says(stage: Stage, name: str) -> None:
    case, effect = CASES[name], opened(stage, name)
    shown = stage.draw(effect, case.values, FRAMES[: case.frames])
    wanted = case.shows(floats(stage.under), floats(stage.other))
    assert np.abs(shown - wanted).max() <= 1.6 / 255 * (1 + 0.3 * case.frames)
    effect.release()


@pytest.mark.parametrize("name", ["input_color", "pass_two", "draw_discard", "pass_last_has_target"])
def test_half_of_an_effect_is_half_of_what_was_there(stage: Stage, name: str) -> None:
    effect = opened(stage, name)
    whole, half = stage.draw(effect), stage.draw(effect, mix=0.25)
    assert np.abs(half - (0.75 * floats(stage.under) + 0.25 * whole)).max() <= 2 / 255
    effect.release()


def test_an_input_that_is_set_changes_the_picture_and_its_default_does_not(stage: Stage) -> None:
    effect = opened(stage, "input_bool")
    assert np.abs(stage.draw(effect, {"invert": False}) - floats(stage.under)).max() <= 1 / 255
    assert np.abs(stage.draw(effect) - (1 - floats(stage.under))).max() <= 1 / 255


def test_an_event_is_there_for_the_frame_that_it_is_given_to(stage: Stage) -> None:
    effect = opened(stage, "persistent_life")
    lying = stage.draw(effect, moments=FRAMES[:1])
    standing = stage.draw(effect, moments=FRAMES[1:2])
    assert not np.array_equal(lying, standing)
    stage.draw(effect, moments=FRAMES[2:4])
    assert np.array_equal(stage.draw(effect, {"again": True}, FRAMES[4:5]), lying)


def test_what_has_built_up_stays_when_the_picture_grows_and_goes_when_it_is_forgotten(stage: Stage) -> None:
    effect = opened(stage, "persistent_counter")
    stage.draw(effect, moments=FRAMES[:3])
    grown = stage.draw(effect, moments=FRAMES[3:4], size=(40, 30))
    assert grown.shape == (30, 40, 3)
    assert np.abs(grown[..., 0] - 0.4).max() <= 3 / 255
    effect.forget()
    assert np.abs(stage.draw(effect)[..., 0] - 0.1).max() <= 1 / 255


def test_silence_is_a_flat_wave_and_no_spectrum(stage: Stage) -> None:
    stage.hear(np.full((2, 0), 0.0, np.float32), np.zeros((1, 0), np.float32))
    assert np.abs(stage.draw(opened(stage, "input_audio")) - 0.5).max() <= 1 / 255
    assert stage.draw(opened(stage, "input_audio_fft")).max() == 0.0
    stage.hear(np.full((1, 8), np.nan, np.float32), np.full((1, 8), np.inf, np.float32))
    assert np.abs(stage.draw(opened(stage, "input_audio")) - 0.5).max() <= 1 / 255
    assert stage.draw(opened(stage, "input_audio_fft")).min() == 1.0
    stage.hear(WAVE, BANDS)
