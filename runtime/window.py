"""A window of glfw with an OpenGL context in it: full screen, keys, HiDPI, and swaps that wait."""

from __future__ import annotations

import ctypes
from collections import deque
from typing import Any, Final

import moderngl

from vivant.runtime.frames import MonotonicClock, VivantError
from vivant.runtime.pacing import Brake
from vivant.runtime.placing import Size

USUAL_HZ: Final = 60.0  # where a display does not say, as virtual ones do not
KEYS_KEPT: Final = 32
NAMED_KEYS: Final = ("escape", "f9", "space", "enter", "tab", "backspace", "left", "right", "up", "down")


def load_glfw() -> Any:
    """The glfw module, initialised. Raises VivantError when there is no library or no display."""
    try:
        import glfw
    except ImportError as error:
        raise VivantError(f"No window can be opened: {error} Use --headless.") from error
    glfw.ERROR_REPORTING = "log"  # on the logger "glfw", at debug level; what matters is raised here
    if not glfw.init():
        raise VivantError(
            f"No window can be opened: {reason(glfw)} "
            "Use --headless, or start it in a session with a display."
        )
    return glfw


def reason(glfw: Any) -> str:
    """What went wrong in glfw last."""
    _, description = glfw.get_error()
    text = description.decode(errors="replace") if description else "glfw gives no reason"
    return text.rstrip(".") + "."


def chosen_monitor(glfw: Any, number: int) -> Any:
    """Monitor `number`, from 0. Raises VivantError with the list of those that there are."""
    monitors = glfw.get_monitors()
    if 0 <= number < len(monitors):
        return monitors[number]
    lines = []
    for index, monitor in enumerate(monitors):
        mode, name = glfw.get_video_mode(monitor), glfw.get_monitor_name(monitor).decode(errors="replace")
        lines.append(f"  {index}: {name}, {mode.size.width}x{mode.size.height} at {mode.refresh_rate} Hz")
    raise VivantError(f"There is no monitor {number}. Choose one of:\n" + "\n".join(lines or ["  (none)"]))


class Loader:
    """Finds OpenGL's functions through glfw, for moderngl: in the same way on X11, Wayland and the others."""

    def __init__(self, glfw: Any, window: Any) -> None:
        self._glfw, self._window = glfw, window

    def load_opengl_function(self, name: str) -> int:
        return ctypes.cast(self._glfw.get_proc_address(name), ctypes.c_void_p).value or 0

    def __enter__(self) -> Loader:
        self._glfw.make_context_current(self._window)
        return self

    def __exit__(self, *exception: object) -> None:
        """The context stays current: it is the only one of its thread."""

    def release(self) -> None:
        """The window owns the context and takes it along."""


class Window:
    """A Surface that people see. `surface.open_window` makes it and says what it raises."""

    def __init__(self, size_px: Size, *, fullscreen: bool, monitor: int, title: str) -> None:
        self._glfw = glfw = load_glfw()
        try:
            self._window = self._make(size_px, title, chosen_monitor(glfw, monitor))
            self.context: moderngl.Context = self._context()
        except BaseException:
            glfw.terminate()
            raise
        self._pressed: deque[str] = deque(maxlen=KEYS_KEPT)
        self._wants_toggle = fullscreen
        self._windowed = (0, 0, *size_px)  # x, y and size of the window while it fills a monitor
        self._closed = False
        self._brake = Brake(USUAL_HZ, MonotonicClock())
        self._names = {getattr(glfw, f"KEY_{name.upper()}"): name for name in NAMED_KEYS}
        glfw.set_key_callback(self._window, self._heard)
        glfw.set_window_pos_callback(self._window, self._moved)
        glfw.set_framebuffer_size_callback(self._window, self._resized)
        glfw.swap_interval(1)
        glfw.show_window(self._window)
        self._resized(self._window, *glfw.get_framebuffer_size(self._window))
        self._attend()

    @property
    def size_px(self) -> Size:
        return self._size_px

    @property
    def refresh_hz(self) -> float:
        return self._brake.refresh_hz

    @property
    def closed(self) -> bool:
        return self._closed or bool(self._glfw.window_should_close(self._window))

    def pressed(self) -> tuple[str, ...]:
        pressed = tuple(self._pressed)
        self._pressed.clear()
        return pressed

    def target(self) -> moderngl.Framebuffer:
        return self.context.screen

    def swap(self) -> None:
        self._glfw.swap_buffers(self._window)
        self._brake.swapped()
        self._attend()

    def idle(self) -> None:
        self._brake.wait()
        self._attend()

    def close(self) -> None:
        if not self._closed:
            self._closed = True
            self.context.release()
            self._glfw.terminate()  # which also gives a monitor its own mode back

    def _make(self, size_px: Size, title: str, monitor: Any) -> Any:
        glfw = self._glfw
        glfw.default_window_hints()
        glfw.window_hint(glfw.CONTEXT_VERSION_MAJOR, 3)
        glfw.window_hint(glfw.CONTEXT_VERSION_MINOR, 3)
        glfw.window_hint(glfw.OPENGL_PROFILE, glfw.OPENGL_CORE_PROFILE)
        glfw.window_hint(glfw.OPENGL_FORWARD_COMPAT, True)  # macOS gives a core profile only with it
        glfw.window_hint(glfw.AUTO_ICONIFY, False)  # a projector keeps its picture
        glfw.window_hint(glfw.DEPTH_BITS, 0)
        glfw.window_hint(glfw.STENCIL_BITS, 0)
        glfw.window_hint(glfw.VISIBLE, False)
        window = glfw.create_window(*size_px, title, None, None)
        if not window:
            raise VivantError(
                f"No window with OpenGL 3.3 can be opened: {reason(glfw)} "
                "Update the graphics driver, or use --headless."
            )
        left, top, width, height = glfw.get_monitor_workarea(monitor)
        x, y = left + max(0, (width - size_px[0]) // 2), top + max(0, (height - size_px[1]) // 2)
        glfw.set_window_pos(window, x, y)
        return window

    def _context(self) -> moderngl.Context:
        self._glfw.make_context_current(self._window)
        loader: Any = Loader(self._glfw, self._window)  # Any: moderngl's stubs leave the argument out
        return moderngl.create_context(require=330, context=loader)

    def _heard(self, window: Any, key: int, scancode: int, action: int, modifiers: int) -> None:
        """A key: only noted here, because glfw calls this in the middle of its own work."""
        if action != self._glfw.PRESS:
            return
        name = self._names.get(key) or self._glfw.get_key_name(key, scancode)
        if not name:
            return
        self._pressed.append(name)
        if name == "escape":
            self._glfw.set_window_should_close(self._window, True)
        self._wants_toggle ^= name == "f"

    def _resized(self, window: Any, width: int, height: int) -> None:
        self._size_px = (max(1, width), max(1, height))  # a minimised window has no pixels
        self._is_elsewhere = True

    def _moved(self, window: Any, x: int, y: int) -> None:
        self._is_elsewhere = True

    def _attend(self) -> None:
        """Hear the system out, and do what it said. Asking where the window is costs a round trip: only
        when it moved."""
        self._glfw.poll_events()
        if self._wants_toggle:
            self._wants_toggle = False
            self._toggle()
        if self._is_elsewhere:
            self._is_elsewhere = False
            monitor = self._beneath()
            refresh_hz = self._glfw.get_video_mode(monitor).refresh_rate if monitor else 0
            self._brake.refresh_hz = float(refresh_hz) if refresh_hz > 0 else USUAL_HZ

    def _toggle(self) -> None:
        """From window to full screen on the monitor beneath it, or back to where the window was."""
        glfw, window = self._glfw, self._window
        if glfw.get_window_monitor(window):
            glfw.set_window_monitor(window, None, *self._windowed, glfw.DONT_CARE)
            glfw.set_input_mode(window, glfw.CURSOR, glfw.CURSOR_NORMAL)
        else:
            monitor = self._beneath()
            if monitor is None:
                return
            self._windowed = (*glfw.get_window_pos(window), *glfw.get_window_size(window))
            mode = glfw.get_video_mode(monitor)
            glfw.set_window_monitor(window, monitor, 0, 0, *mode.size, mode.refresh_rate or glfw.DONT_CARE)
            glfw.set_input_mode(window, glfw.CURSOR, glfw.CURSOR_HIDDEN)
        glfw.swap_interval(1)  # some systems forget it with the mode

    def _beneath(self) -> Any:
        """The monitor that shows the middle of the window, else the first; None when all are unplugged."""
        glfw = self._glfw
        x, y = glfw.get_window_pos(self._window)
        width, height = glfw.get_window_size(self._window)
        for monitor in glfw.get_monitors():
            left, top = glfw.get_monitor_pos(monitor)
            across, down = glfw.get_video_mode(monitor).size
            if 0 <= x + width // 2 - left < across and 0 <= y + height // 2 - top < down:
                return monitor
        return glfw.get_primary_monitor()
