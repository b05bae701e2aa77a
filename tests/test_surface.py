"""A window opens, resizes, fills the screen and closes; without a display the clock is the refresh."""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator

import numpy as np
import pytest

from vivant.runtime.canvas import Canvas, Look
from vivant.runtime.frames import ManualClock, VivantError
from vivant.runtime.surface import Surface, display_present, open_headless, open_window

pytestmark = pytest.mark.gl
LONGEST_S = 10.0  # how long a virtual display may take to answer before a test gives up


@pytest.fixture(scope="module")
def virtual_display() -> Iterator[str]:
    """The name of an Xvfb display, 800 x 600."""
    program = shutil.which("Xvfb")
    if program is None:
        pytest.skip("Xvfb is missing: apt install xvfb")
    command = [program, "-displayfd", "1", "-screen", "0", "800x600x24", "-nolisten", "tcp", "-noreset"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as server:
        assert server.stdout is not None
        yield f":{server.stdout.readline().strip()}"
        server.terminate()


@pytest.fixture
def display(virtual_display: str, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("DISPLAY", virtual_display)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    return virtual_display


@pytest.fixture
def window(display: str) -> Iterator[Surface]:
    surface = open_window((320, 240), fullscreen=False, monitor=0, title="a window of the tests")
    yield surface
    surface.close()


def xdotool(*arguments: str) -> str:
    program = shutil.which("xdotool")
    if program is None:
        pytest.skip("xdotool is missing: apt install xdotool")
    return subprocess.run([program, *arguments], check=True, capture_output=True, text=True).stdout


def press(*keys: str) -> None:
    """Press keys in the window: Xvfb has no window manager that would focus it."""
    number = xdotool("search", "--name", "a window of the tests").split()[0]
    xdotool("windowfocus", "--sync", number, "key", *keys)


def swap_until(surface: Surface, done: Callable[[], bool]) -> None:
    until = time.monotonic() + LONGEST_S
    while not done():
        assert time.monotonic() < until, "the display did not answer"
        surface.swap()


def test_a_window_shows_what_the_canvas_draws(window: Surface) -> None:
    assert window.size_px == (320, 240)
    assert window.refresh_hz == 60.0  # a virtual display names no rate
    canvas = Canvas(window.context)
    pixels = np.full((240, 320, 4), (10, 60, 110, 255), np.uint8)
    pixels[:120] = (200, 150, 100, 255)
    canvas.show(pixels)
    canvas.draw(window.target(), window.size_px, Look())
    shown = canvas.read()
    window.swap()
    assert np.abs(shown.astype(int) - pixels).max() <= 1
    assert not window.closed


def test_the_picture_follows_when_the_window_is_resized(window: Surface) -> None:
    canvas = Canvas(window.context)
    canvas.show(np.full((64, 64, 4), 255, np.uint8))
    xdotool("search", "--name", "a window of the tests", "windowsize", "--sync", "500", "400")
    swap_until(window, lambda: window.size_px == (500, 400))
    canvas.draw(window.target(), window.size_px, Look(aspect="fill"))
    shown = canvas.read()
    assert shown.shape == (400, 500, 4)
    assert shown.min() == 255


def test_escape_closes(window: Surface) -> None:
    window.swap()
    press("p", "space", "Escape")
    swap_until(window, lambda: window.closed)
    assert window.pressed() == ("p", "space", "escape")
    assert window.pressed() == ()


def test_f_fills_the_monitor_and_goes_back(window: Surface) -> None:
    window.swap()
    press("f")
    swap_until(window, lambda: window.size_px == (800, 600))
    press("f")
    swap_until(window, lambda: window.size_px == (320, 240))
    assert window.pressed() == ("f", "f")
    assert not window.closed


def test_a_window_can_begin_in_full_screen(display: str) -> None:
    surface = open_window((320, 240), fullscreen=True, monitor=0, title="full")
    swap_until(surface, lambda: surface.size_px == (800, 600))
    surface.close()
    assert surface.closed


def test_a_monitor_that_is_not_there_is_answered_with_those_that_are(display: str) -> None:
    with pytest.raises(VivantError, match=r"no monitor 7[\s\S]*0: .*800x600"):
        open_window((320, 240), fullscreen=False, monitor=7, title="none")


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="other systems always have a display")
def test_without_a_display_the_error_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    assert not display_present()
    with pytest.raises(VivantError, match="--headless"):
        open_window((320, 240), fullscreen=False, monitor=0, title="none")


def test_a_headless_surface_keeps_its_refresh_by_the_clock() -> None:
    clock = ManualClock()
    surface = open_headless((64, 48), refresh_hz=50.0, clock=clock, sleep=clock.advance_s)
    assert (surface.size_px, surface.refresh_hz, surface.pressed()) == ((64, 48), 50.0, ())
    surface.swap()
    clock.advance_s(0.045)
    surface.swap()
    surface.idle()
    assert clock.ns == 100_000_000
    surface.close()
    assert surface.closed


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="EGL is used on Linux only")
def test_without_opengl_the_error_names_the_packages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GLCONTEXT_LINUX_LIBEGL", "/nowhere/libEGL.so.1")
    with pytest.raises(VivantError, match="apt install libegl1 libgl1-mesa-dri libgles2"):
        open_headless((64, 48), clock=ManualClock())
