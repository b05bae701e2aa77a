"""The flash guard on a real off-screen surface: bit-equal where nothing flashes, damped where it does."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import moderngl
import numpy as np
import pytest
from flash_sequences import FIELD

from vivant.guardrails.flash import MOST_TRANSITIONS, Watch
from vivant.guardrails.flash_film import cells_of
from vivant.runtime.canvas import Canvas, Look
from vivant.runtime.frames import U8, ManualClock
from vivant.runtime.surface import open_headless

pytestmark = pytest.mark.gl
SIZE = (192, 108)
HZ = 60
GREY, WHITE, RED = (60, 60, 60), (250, 250, 250), (200, 10, 10)


class Screen:
    """A canvas with or without its guard, refreshed by hand, and what its output was measured to flash."""

    def __init__(self, context: moderngl.Context, target: moderngl.Framebuffer, guarded: bool = True) -> None:
        self.canvas, self.target = Canvas(context, guarded=guarded), target
        self.watch = Watch(FIELD)
        self.most = dict.fromkeys(self.watch.kinds, 0)
        self.refreshes = 1

    def show(self, picture: U8 | None, look: Look | None = None, blank: bool = False) -> U8:
        if picture is not None:
            self.canvas.show(picture)
        self.refreshes += 1
        self.canvas.draw(
            self.target, SIZE, look or Look(aspect="fill"), time_s=self.refreshes / HZ, blank=blank
        )
        shown = self.canvas.read()
        self.watch.see(cells_of(shown), self.refreshes * 1_000_000_000 // HZ)
        found = self.watch.transitions()
        self.most = {kind: max(self.most[kind], found[kind]) for kind in found}
        return shown


@pytest.fixture
def surface() -> Iterator[tuple[moderngl.Context, moderngl.Framebuffer]]:
    surface = open_headless(SIZE, clock=ManualClock(), sleep=lambda seconds: None)
    yield surface.context, surface.target()
    surface.close()


def plain(colour: tuple[int, int, int]) -> U8:
    return np.full((90, 160, 4), (*colour, 255), np.uint8)


def textured(seed: int) -> U8:
    noise = np.random.Generator(np.random.Philox(seed)).uniform(100, 150, (90, 160, 4))
    noise[..., 3] = 255
    return noise.astype(np.uint8)


def refreshes_of_a_strobe(flashes_hz: float, seconds: float) -> list[int]:
    """0 or 1 at every refresh."""
    return [int(index * 2 * flashes_hz / HZ + 1e-9) % 2 for index in range(round(seconds * HZ))]


def test_what_does_not_flash_is_shown_bit_by_bit(surface) -> None:
    guarded, bare = Screen(*surface), Screen(*surface, guarded=False)
    for index in range(2 * HZ):  # a slow fade over moving texture, with every part of the look
        look = Look(exposure=1.5 * index / HZ - 1.0, saturation=1.2, grain=0.3, vignette=0.4, aspect="fill")
        picture = textured(index // 2)
        assert np.array_equal(guarded.show(picture, look), bare.show(picture, look))
    assert guarded.canvas.flash is not None
    assert guarded.canvas.flash.counts() == {"engaged": 0, "damped_s": 0}


@pytest.mark.parametrize("flashes_hz", [3.7, 10, 30])
@pytest.mark.parametrize("colours", [(GREY, WHITE), (GREY, RED)], ids=["white", "red"])
def test_a_strobe_passes_when_it_is_guarded_and_does_not_without(surface, colours, flashes_hz) -> None:
    guarded, bare = Screen(*surface), Screen(*surface, guarded=False)
    for lit in refreshes_of_a_strobe(flashes_hz, 2.5):
        guarded.show(plain(colours[lit]))
        bare.show(plain(colours[lit]))
    assert max(bare.most.values()) > MOST_TRANSITIONS
    assert max(guarded.most.values()) < MOST_TRANSITIONS  # the third flash is never complete


@pytest.mark.parametrize("way", ["exposure", "blank"])
def test_a_strobe_that_the_show_makes_itself_is_damped(surface, way: str) -> None:
    guarded, bare = Screen(*surface), Screen(*surface, guarded=False)
    for index, lit in enumerate(refreshes_of_a_strobe(10, 3.0)):
        look = Look(exposure=2.0 * lit - 1.0, aspect="fill") if way == "exposure" else Look(aspect="fill")
        for screen in (guarded, bare):
            screen.show(textured(index // 2), look, blank=way == "blank" and not lit)
    assert bare.most["general"] > MOST_TRANSITIONS
    assert guarded.most["general"] <= MOST_TRANSITIONS


def test_the_operators_black_is_there_at_the_next_refresh_though_the_picture_is_damped(surface) -> None:
    screen = Screen(*surface)
    for lit in refreshes_of_a_strobe(10, 1.0):
        screen.show(plain((GREY, WHITE)[lit]))
    assert screen.canvas.flash is not None
    assert screen.canvas.flash.damping.active
    assert screen.show(plain(WHITE), blank=True)[..., :3].max() == 0


def test_damping_is_released_smoothly_and_ends_with_the_picture_as_it_is(surface) -> None:
    screen = Screen(*surface)
    for lit in refreshes_of_a_strobe(10, 4.0):
        screen.show(plain((GREY, WHITE)[lit]))
    levels = [int(screen.show(plain(WHITE))[54, 96, 1]) for _ in range(4 * HZ)]
    assert levels[0] < 220
    assert levels == sorted(levels)
    assert max(after - before for before, after in pairwise(levels)) < 25
    assert levels[-1] == 250
    assert screen.canvas.flash is not None
    assert not screen.canvas.flash.active
    picture = textured(5)
    bare = Screen(*surface, guarded=False)
    assert np.array_equal(screen.show(picture), bare.show(picture))


def test_only_where_it_flashes_is_it_damped(surface) -> None:
    screen = Screen(*surface)
    for lit in refreshes_of_a_strobe(10, 1.5):
        picture = plain(GREY)
        picture[:, :60] = (*WHITE, 255) if lit else (*GREY, 255)
        screen.show(picture)
    assert screen.canvas.flash is not None
    assert 0.2 < screen.canvas.flash.damping.share < 0.6
    picture = plain(GREY)
    picture[:, 120:] = (*WHITE, 255)
    assert screen.show(picture)[54, 180, 1] == 250


def test_another_size_of_the_window_does_not_end_the_guard(surface) -> None:
    screen = Screen(*surface)
    small = surface[0].framebuffer([surface[0].renderbuffer((96, 54), 4)])
    for index, lit in enumerate(refreshes_of_a_strobe(10, 1.0)):
        screen.canvas.show(plain((GREY, WHITE)[lit]))
        target, size = (screen.target, SIZE) if index < 10 else (small, (96, 54))
        screen.canvas.draw(target, size, Look(), time_s=index / HZ)
    assert screen.canvas.flash is not None
    assert screen.canvas.flash.damping.active
    assert screen.canvas.read().shape == (54, 96, 4)
    small.release()
