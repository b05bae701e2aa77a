"""What the show is drawn on: a window, or a framebuffer where there is no display. One code path for both."""

from __future__ import annotations

import ctypes
import os
import sys
import time
from ctypes.util import find_library
from typing import Any, Final, Protocol

import moderngl

from vivant.runtime.frames import Clock, VivantError
from vivant.runtime.pacing import Metronome, Sleep
from vivant.runtime.placing import Size

OPENGL: Final = 330
HEADLESS_PACKAGES: Final = "libegl1 libgl1-mesa-dri libgles2"


class Surface(Protocol):
    """A place to draw on. Only the thread that opened it may use it."""

    context: moderngl.Context

    @property
    def size_px(self) -> Size:
        """Framebuffer pixels (width, height) now: a window may be resized between two refreshes."""

    @property
    def refresh_hz(self) -> float:
        """The display's refresh rate, or the rate that stands in for it."""

    @property
    def closed(self) -> bool:
        """Whether a person closed it."""

    def pressed(self) -> tuple[str, ...]:
        """The keys pressed since the last call, such as "f", "p", "space" or "escape"."""

    def target(self) -> moderngl.Framebuffer:
        """What to draw on until the next swap."""

    def swap(self) -> None:
        """Show what was drawn and wait for the refresh."""

    def idle(self) -> None:
        """Wait for the refresh and leave on the screen what is there."""

    def close(self) -> None:
        """Give everything back to the system."""


class Headless:
    """A framebuffer that nobody sees, refreshed by the clock."""

    def __init__(
        self, context: moderngl.Context, size_px: Size, metronome: Metronome, refresh_hz: float
    ) -> None:
        self.context = context
        self.size_px = size_px
        self.refresh_hz = refresh_hz
        self.closed = False
        self._metronome = metronome
        self._framebuffer = context.framebuffer([context.renderbuffer(size_px, 4)])

    def pressed(self) -> tuple[str, ...]:
        return ()

    def target(self) -> moderngl.Framebuffer:
        return self._framebuffer

    def swap(self) -> None:
        """As a window's swap does, this bounds what the driver may queue; then it waits for the refresh."""
        self.context.finish()
        self._metronome.wait()

    def idle(self) -> None:
        self._metronome.wait()

    def close(self) -> None:
        if not self.closed:
            self.closed = True
            self.context.release()
            release_thread()


def release_thread() -> None:
    """Take the released context off this thread, which moderngl leaves to EGL: a window opened on the same
    thread later would be refused its own."""
    library = find_library("EGL") if sys.platform.startswith("linux") else None
    if library is not None:
        ctypes.CDLL(library).eglReleaseThread()


def display_present() -> bool:
    """Whether a window could be opened here, as far as the environment says."""
    if sys.platform in ("win32", "darwin"):
        return True
    return bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))


def leave_cores_to_the_model() -> None:
    """Let Mesa's software renderer draw on the thread that asks, unless told otherwise; call it before
    making a context.

    Measured: the same total cost as with a thread of its own, a core stays free for the student, and the
    slowest pictures come sooner. And with threads, Mesa 22.3 may free a fence that a thread still unlocks
    (lp_setup.c asks without its lock whether it was signalled): see docs/decisions/0007.
    """
    os.environ.setdefault("LP_NUM_THREADS", "0")


def open_headless(
    size_px: Size, *, refresh_hz: float = 60.0, clock: Clock, sleep: Sleep = time.sleep
) -> Surface:
    """A surface without a display that keeps `refresh_hz` by `clock`. Raises VivantError without OpenGL."""
    leave_cores_to_the_model()
    # EGL needs no display server; the other systems draw off the screen with their own library.
    settings: dict[str, Any] = {"backend": "egl"} if sys.platform.startswith("linux") else {}
    try:
        context = moderngl.create_context(require=OPENGL, standalone=True, **settings)
    except Exception as error:  # glcontext raises bare Exception for every reason it has
        raise VivantError(
            f"Cannot draw without a display: {error}. On Debian or Ubuntu: apt install {HEADLESS_PACKAGES}"
        ) from error
    return Headless(context, size_px, Metronome(refresh_hz, clock, sleep), refresh_hz)


def open_window(
    size_px: Size, *, fullscreen: bool = False, monitor: int = 0, title: str = "Vivant"
) -> Surface:
    """A window of `size_px` screen units on the numbered monitor, or all of that monitor.

    In it Esc closes and F changes between window and full screen. Raises VivantError when there is no
    display, no such monitor or no OpenGL 3.3.
    """
    from vivant.runtime.window import Window  # glfw comes with it

    leave_cores_to_the_model()
    return Window(size_px, fullscreen=fullscreen, monitor=monitor, title=title)
