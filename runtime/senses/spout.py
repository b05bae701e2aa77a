"""Pictures of other programs of a Windows machine by Spout, through SpoutGL."""

from __future__ import annotations

import sys
from typing import Any, Final

import numpy as np

from vivant.runtime.frames import U8, Clock
from vivant.runtime.senses.contract import SenseError
from vivant.runtime.senses.feed import Feed, follow
from vivant.runtime.senses.running import RunningSense

GL_RGBA: Final = 0x1908


def check_spout(name: str) -> None:
    """Raises SenseError on other systems, and where SpoutGL is not there. A sender may come later."""
    if sys.platform != "win32":
        raise SenseError(f"input spout:{name}: Spout is for Windows. Use ndi:{name}")
    try:
        import SpoutGL  # noqa: F401
    except ImportError as error:
        raise SenseError(
            f"input spout:{name} needs SpoutGL ({error}). Install it: pip install 'vivant[spout]'"
        ) from error


def open_spout(name: str, clock: Clock) -> RunningSense:
    """Watch the Spout sender `name`."""
    return follow(f"spout:{name}", clock, lambda: find_spout(name))


def find_spout(name: str) -> Feed | None:
    """The sender, if there is one of this name."""
    import SpoutGL

    receiver: Any = SpoutGL.SpoutReceiver()  # no types
    if not receiver.createOpenGL():
        raise SenseError(f"input spout:{name}: no OpenGL context for it. Update the graphics driver")
    if name not in receiver.getSenderList():
        receiver.closeOpenGL()
        return None
    receiver.setReceiverName(name)
    return SpoutFeed(receiver)


class SpoutFeed:
    """A sender that is received, with an OpenGL context of its own."""

    def __init__(self, receiver: Any) -> None:
        self._receiver = receiver
        self._pixels: U8 = np.empty((0, 0, 4), np.uint8)

    def take(self) -> U8 | None:
        received = self._receiver.receiveImage(self._pixels if self._pixels.size else None, GL_RGBA, False, 0)
        if received and self._receiver.isUpdated():  # another size: the next call fills what fits it
            size = self._receiver.getSenderHeight(), self._receiver.getSenderWidth()
            self._pixels = np.zeros((*size, 4), np.uint8)
            return None
        if not received or not self._pixels.size or not self._receiver.isFrameNew():
            return None
        return self._pixels[..., :3].copy()

    def close(self) -> None:
        self._receiver.releaseReceiver()
        self._receiver.closeOpenGL()
