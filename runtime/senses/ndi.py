"""Pictures from the network as NDI, through cyndilib (which brings the NDI library along)."""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from vivant.runtime.frames import U8, Clock
from vivant.runtime.senses.contract import SenseError
from vivant.runtime.senses.feed import Feed, follow
from vivant.runtime.senses.running import RunningSense

LOOK_S: Final = 1.0


def check_ndi(name: str) -> None:
    """Raises SenseError where cyndilib is not there. A source may come later."""
    try:
        import cyndilib.receiver  # noqa: F401
    except ImportError as error:
        raise SenseError(
            f"input ndi:{name} needs cyndilib ({error}). Install it: pip install 'vivant[ndi]'"
        ) from error


def open_ndi(name: str, clock: Clock) -> RunningSense:
    """Watch the NDI source `name`, as its program calls it or with its machine: `MACHINE (name)`."""
    return follow(f"ndi:{name}", clock, lambda: find_ndi(name))


def find_ndi(name: str, look_s: float = LOOK_S) -> Feed | None:
    """The source, if it shows itself within `look_s`."""
    from cyndilib.finder import Finder

    finder = Finder()
    finder.open()
    try:
        finder.wait_for_sources(look_s)
        for source in finder.iter_sources():
            if name in (source.name, source.stream_name):
                return NdiFeed(source)
        return None
    finally:
        finder.close()


class NdiFeed:
    """A source that is received. NDI's frame synchroniser gives the newest frame at once; the waiting call
    of cyndilib would hold all of Python while it waits."""

    def __init__(self, source: Any) -> None:
        from cyndilib.receiver import Receiver
        from cyndilib.video_frame import VideoFrameSync
        from cyndilib.wrapper.ndi_recv import RecvBandwidth, RecvColorFormat

        self._receiver = Receiver(
            color_format=RecvColorFormat.RGBX_RGBA, bandwidth=RecvBandwidth.highest, recv_name="Vivant"
        )
        self._frame = VideoFrameSync()
        self._receiver.frame_sync.set_video_frame(self._frame)
        self._receiver.set_source(source)
        self._seen: tuple[float, float] | None = None

    def take(self) -> U8 | None:
        self._receiver.frame_sync.capture_video()
        width, height = self._frame.get_resolution()
        stamp = (self._frame.get_timestamp_posix(), self._frame.get_timecode_posix())
        if not width or not height or stamp == self._seen:
            return None
        self._seen = stamp
        stride = self._frame.get_line_stride()
        rows = np.asarray(self._frame.get_array(), np.uint8)[: height * stride].reshape(height, stride)
        picture: U8 = rows[:, : width * 4].reshape(height, width, 4)[..., :3].copy()
        return picture

    def close(self) -> None:
        self._receiver.disconnect()
