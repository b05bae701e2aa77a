"""Records what is shown as an H.264 file on a thread of its own, and never lets a refresh wait for it."""

from __future__ import annotations

import logging
import os
import sys
import threading
from fractions import Fraction
from io import FileIO
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any, Final

import numpy as np

from vivant.runtime.frames import U8, VivantError

LOG = logging.getLogger("vivant.record")
SLOTS: Final = 4  # pictures that may wait for the disk: an eighth of a second
TICKS_PER_S: Final = 90_000  # the usual time base of video
KEYFRAMES_S: Final = 2  # at most so much is lost when the power goes
NICER: Final = 10  # than the show: a tenth of a core that both want, so a recording loses pictures first
# Measured on one core at 640x640: about 5 ms a frame, 0.6 ms more than "ultrafast" for a sixth of its size.
# No B-frames: with them the first picture would not be at second zero.
ENCODER: Final = {"preset": "veryfast", "crf": "20", "bf": "0"}
# Fragments until it is closed, an ordinary file after: what was written survives a kill.
CONTAINER: Final = {"movflags": "+hybrid_fragmented", "flush_packets": "1"}
BT709: Final = 1  # the number of primaries, transfer and matrix alike in H.264


class Recorder:
    """Writes pictures of `size_px` (width, height; odd sizes lose a row or column) to the mp4 at `path`.

    Every picture keeps its own time, so a dropped one makes the one before stay longer and the speed is
    always right; `fps` is what players are told and what the picture rate should be about. The memory is
    that of SLOTS pictures. Raises VivantError when the file cannot be written.
    """

    def __init__(self, path: Path, size_px: tuple[int, int], fps: float) -> None:
        self.path = path
        self.written = 0
        self.stopped: str | None = None
        self._offered = 0  # counted by the present loop, `written` by the thread: neither needs a lock
        self._refused = 0
        self._fps = fps
        self._size_px = (size_px[0] // 2 * 2, size_px[1] // 2 * 2)
        self._free: SimpleQueue[Any] = SimpleQueue()
        self._full: SimpleQueue[tuple[Any, int] | None] = SimpleQueue()
        self._began_ns: int | None = None
        self._last_ticks = -1
        self._container, self._stream = self._open()
        for _ in range(SLOTS):
            self._free.put(blank_frame(self._size_px))
        self._thread = threading.Thread(target=self._run, name="record", daemon=True)
        self._thread.start()

    @property
    def dropped(self) -> int:
        """Pictures that were offered and are not in the file."""
        return self._refused if self.stopped is None else self._offered - self.written

    def offer(self, pixels: U8, time_ns: int) -> bool:
        """Copy `pixels` u8 (H, W, 4) RGBA, shown at `time_ns`, to be written; False when it is dropped.

        Never waits: when the disk is behind, the picture is counted and forgotten. A picture of another
        size (the window was resized) is scaled to the file's.
        """
        self._offered += 1
        try:
            slot = self._free.get_nowait() if self.stopped is None else None
        except Empty:
            slot = None
        if slot is None:
            self._refused += 1
            return False
        size = (pixels.shape[1] // 2 * 2, pixels.shape[0] // 2 * 2)
        if (slot.width, slot.height) != size:
            slot = blank_frame(size)
        np.copyto(pixels_of(slot), pixels[: size[1], : size[0]])
        self._full.put((slot, time_ns))
        return True

    def close(self, limit_s: float = 5.0) -> None:
        """Write what waits and finish the file, for at most `limit_s`; what a stuck disk keeps is left."""
        self._full.put(None)
        self._thread.join(limit_s)
        if self._thread.is_alive() and self.stopped is None:
            self.stopped = f"the disk did not take the end of the recording within {limit_s:g} s"
            LOG.warning("%s: %s", self.path, self.stopped)

    def counts(self) -> dict[str, Any]:
        """For the report: the file, pictures written and dropped, and why it stopped early, if it did."""
        return {
            "file": str(self.path),
            "written": self.written,
            "dropped": self.dropped,
            "stopped": self.stopped,
        }

    def _open(self) -> tuple[Any, Any]:
        import av

        if self.path.suffix.lower() != ".mp4":
            raise VivantError(f"Cannot record to {self.path}: a recording is an .mp4 file; name it so.")
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._file = WholeFile(self.path, "wb")
            try:
                return self._begin()
            except BaseException:
                self._file.close()
                raise
        except (av.FFmpegError, OSError) as error:
            raise VivantError(
                f"Cannot record to {self.path}: {error.strerror or error}. "
                "Choose a folder that can be written to, on a disk with room."
            ) from error

    def _begin(self) -> tuple[Any, Any]:
        import av

        container = av.open(self._file, "w", format="mp4", options=dict(CONTAINER))
        stream: Any = container.add_stream("libx264", rate=Fraction(self._fps).limit_denominator(1001))
        stream.width, stream.height = self._size_px
        stream.pix_fmt = "yuv420p"
        stream.options = ENCODER | {"g": str(round(self._fps * KEYFRAMES_S))}
        codec = stream.codec_context
        codec.time_base = Fraction(1, TICKS_PER_S)
        codec.thread_count = 1
        codec.colorspace = codec.color_primaries = codec.color_trc = BT709
        container.start_encoding()
        return container, stream

    def _run(self) -> None:
        give_way()
        try:
            while (item := self._full.get()) is not None:
                slot, time_ns = item
                self._write(slot, time_ns)
                self._free.put(slot)
            self._finish()
        except Exception as error:  # the thread's edge: the show goes on without its recording
            self.stopped = f"{type(error).__name__}: {error}"
            LOG.warning("%s: the recording stopped: %s", self.path, self.stopped)
            self._file.close()

    def _finish(self) -> None:
        self._mux(self._stream.encode(None))
        if self.written:  # FFmpeg dies (SIGSEGV) where it is to join fragments and there are none
            self._container.close()
        self._file.close()
        if not self.written:
            self.stopped = "no picture came"
            self.path.unlink()

    def _write(self, slot: Any, time_ns: int) -> None:
        if self._began_ns is None:
            self._began_ns = time_ns
        ticks = max(self._last_ticks + 1, (time_ns - self._began_ns) * TICKS_PER_S // 1_000_000_000)
        width, height = self._size_px
        frame = slot.reformat(width, height, "yuv420p", dst_colorspace="ITU709")
        frame.pts, frame.time_base = ticks, Fraction(1, TICKS_PER_S)
        frame.duration = round(TICKS_PER_S / self._fps)
        self._last_ticks = ticks
        self._mux(self._stream.encode(frame))

    def _mux(self, packets: list[Any]) -> None:
        for packet in packets:
            self._container.mux(packet)
            self.written += 1


def give_way() -> None:
    """Let this thread run only where the rest of the show leaves time."""
    if sys.platform.startswith("linux"):  # elsewhere this would slow down the whole process
        show = os.getpriority(os.PRIO_PROCESS, 0)
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), show + NICER)  # beyond 19 it is 19


class WholeFile(FileIO):
    """A file whose write takes all that it is given. PyAV is handed this and not a path, because it keeps
    Python's lock while it finishes a path's file: a stuck disk would stop the whole process."""

    def write(self, data: Any, /) -> int:
        left = memoryview(data)
        while left:
            left = left[super().write(left) :]
        return len(data)


def blank_frame(size_px: tuple[int, int]) -> Any:
    """An RGBA frame of (width, height) whose memory `pixels_of` gives."""
    import av

    return av.VideoFrame(*size_px, "rgba")


def pixels_of(frame: Any) -> U8:
    """A view u8 (H, W, 4) of an RGBA frame's memory."""
    plane = frame.planes[0]
    rows: U8 = np.frombuffer(plane, np.uint8).reshape(frame.height, plane.line_size)
    return rows[:, : frame.width * 4].reshape(frame.height, frame.width, 4)
