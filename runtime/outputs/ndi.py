"""Pictures over the network as NDI, through cyndilib (which brings the NDI library along)."""

from __future__ import annotations

from fractions import Fraction
from typing import Any, Final

from vivant.runtime.frames import U8
from vivant.runtime.outputs.contract import OutputError, Receiver
from vivant.runtime.placing import Size

FPS: Final = 60


def check_ndi(name: str) -> None:
    """Raises OutputError where cyndilib is not there."""
    try:
        import cyndilib.sender  # noqa: F401
    except ImportError as error:
        raise OutputError(
            f"ndi:{name} needs cyndilib ({error}). Install it: pip install 'vivant[ndi]'"
        ) from error


class NdiReceiver:
    """The NDI source `name` of this machine."""

    def __init__(self, name: str, size_px: Size) -> None:
        from cyndilib.sender import Sender
        from cyndilib.video_frame import VideoSendFrame
        from cyndilib.wrapper.ndi_structs import FourCC

        frame = VideoSendFrame()
        frame.set_resolution(*size_px)
        frame.set_frame_rate(Fraction(FPS, 1))
        frame.set_fourcc(FourCC.RGBA)
        self._sender: Any = Sender(name, clock_video=False, clock_audio=False)  # no types
        self._sender.set_video_frame(frame)
        self._sender.open()

    def send(self, pixels: U8) -> None:
        self._sender.write_video(pixels.reshape(-1))

    def close(self) -> None:
        self._sender.close()


def open_ndi(name: str, size_px: Size) -> Receiver:
    """An NDI source of a size."""
    return NdiReceiver(name, size_px)
