"""Pictures to other programs of a Windows machine as a Spout sender, through SpoutGL."""

from __future__ import annotations

import sys
from typing import Any, Final

from vivant.runtime.frames import U8
from vivant.runtime.outputs.contract import OutputError, Receiver
from vivant.runtime.placing import Size

GL_RGBA: Final = 0x1908


def check_spout(name: str) -> None:
    """Raises OutputError on other systems, and where SpoutGL is not there."""
    if sys.platform != "win32":
        raise OutputError(f"spout:{name}: Spout is for Windows. Use ndi:{name}, or syphon:{name} on macOS")
    try:
        import SpoutGL  # noqa: F401
    except ImportError as error:
        raise OutputError(
            f"spout:{name} needs SpoutGL ({error}). Install it: pip install 'vivant[spout]'"
        ) from error


class SpoutReceiver:
    """The Spout sender `name`. Spout draws with an OpenGL context of its own, on the thread that sends."""

    def __init__(self, name: str, size_px: Size) -> None:
        import SpoutGL

        self._name, self._size_px = name, size_px
        self._sender: Any = SpoutGL.SpoutSender()  # no types
        if not self._sender.createOpenGL():
            raise OutputError(f"spout:{name}: no OpenGL context for it. Update the graphics driver")
        self._sender.setSenderName(name)

    def send(self, pixels: U8) -> None:
        width, height = self._size_px
        if not self._sender.sendImage(pixels, width, height, GL_RGBA, False, 0):
            raise OutputError(f"spout:{self._name} took no picture of {width}x{height}")
        self._sender.setFrameSync(self._name)

    def close(self) -> None:
        self._sender.releaseSender()
        self._sender.closeOpenGL()


def open_spout(name: str, size_px: Size) -> Receiver:
    """A Spout sender of a size."""
    return SpoutReceiver(name, size_px)
