"""The render process's end of tracking: it offers frames, hears what was seen in them, and never waits."""

from __future__ import annotations

from typing import Final

from vivant.runtime.body.drawing import drawn_mask
from vivant.runtime.body.flow import JUST_TWO, REMEMBERED, Flow
from vivant.runtime.body.process import BodyLanes, write_frame
from vivant.runtime.body.reading import SILENT_NS, Reading
from vivant.runtime.body.section import Body
from vivant.runtime.body.seen import Bodies, Seen, as_mask, unpack
from vivant.runtime.exchange import LaneReader, LaneWriter
from vivant.runtime.frames import U8, Frame

EARLY: Final = 0.85  # of the period: frames come when they come, and the next would be too late
OVERDUE_NS: Final = 1_000_000_000  # an answer that takes longer will not come: another frame is offered


class Watch:
    """What the student's frames are looked at with. One thread. `lanes` is None where no tracker runs.

    At most one frame lies in the lane to the tracker, and none once it has answered.
    """

    def __init__(self, body: Body, lanes: BodyLanes | None) -> None:
        self.body = body
        self._writer = None if lanes is None else LaneWriter(lanes.frames)
        self._reader = None if lanes is None else LaneReader(lanes.seen)
        self._reading = Reading(body.smoothing)
        self.flow = Flow(JUST_TWO if body.pose_only else REMEMBERED)
        self._period_ns = round(EARLY * 1e9 / body.rate_hz)
        self._serial = 0
        self._asked_ns: int | None = None
        self._offered_ns: int | None = None
        self.newest: Seen | None = None
        """What was seen last; None when that is long ago."""
        self._near: U8 | None = None
        self.refused = 0
        """Answers that were none."""

    def look(self, pixels: U8, frame: Frame, tracked: bool = True) -> dict[str, float]:
        """Show `frame` as the student would get it, `pixels` u8 (H, W, 3); the signals of now. While it is
        not to be `tracked` nobody is known."""
        captured_ns, body = frame.captured_ns, self.body
        self._hear()
        if body.flow or (self.newest is not None and not body.pose_only):
            self.flow.see(pixels, captured_ns)
        found = self.flow.signals() if body.flow else {}
        if not tracked:
            self.newest = self._near = None
        else:
            self._track(pixels, frame)
        return found if body.track == "off" else found | self._reading.signals(captured_ns)

    def _track(self, pixels: U8, frame: Frame) -> None:
        captured_ns = frame.captured_ns
        self._near = None if frame.near is None else as_mask(middle_of(frame.near, pixels.shape))
        if self.body.track == "near" and self._near is not None:
            self._take(Seen(Bodies(self._near), 0, captured_ns, pixels.shape[1] / pixels.shape[0]))
        if self._writer is not None:
            self._offer(self._writer, pixels, captured_ns)
        if self.newest is not None and captured_ns - self.newest.captured_ns > SILENT_NS:
            self.newest = None

    def mask(self) -> U8 | None:
        """Where people are in the frame that was shown last to `look`, u8 (h, h), or None."""
        if self._near is not None:
            return self._near
        if self.newest is None:
            return None
        found = self.newest.bodies
        mask = drawn_mask(found.poses) if found.mask is None else found.mask
        if mask is None or self.body.pose_only:  # no frame is kept, so there is nothing to carry it by
            return mask
        return self.flow.carried(mask, self.newest.captured_ns)

    def _hear(self) -> None:
        if self._reader is None or self._writer is None:
            return
        parts = self._reader.newest()
        if parts is None:
            return
        try:
            seen = unpack(parts)
        except (ValueError, KeyError, TypeError, IndexError):  # the picture is not held for it
            self.refused += 1
            return
        if seen.serial == self._serial:
            self._asked_ns = None
            self._writer.wipe()
        self._take(seen)

    def _take(self, seen: Seen) -> None:
        self.newest = seen
        self._reading.hear(seen)

    def _offer(self, writer: LaneWriter, pixels: U8, captured_ns: int) -> None:
        """The next frame when it is time and the last one was answered, or never will be."""
        if self._offered_ns is not None and 0 <= captured_ns - self._offered_ns < self._period_ns:
            return
        if self._asked_ns is not None:
            if 0 <= captured_ns - self._asked_ns < OVERDUE_NS:
                return
            writer.wipe()
        self._serial += 1
        write_frame(writer, pixels, self._serial, captured_ns)
        self._asked_ns = self._offered_ns = captured_ns


def middle_of(mask: U8, shape: tuple[int, ...]) -> U8:
    """The part of a frame's mask u8 (h, w) that a picture of `shape` (H, W, ...) shows: its middle."""
    height, width = mask.shape
    scale = min(height / shape[0], width / shape[1])
    rows, columns = max(1, round(shape[0] * scale)), max(1, round(shape[1] * scale))
    top, left = (height - rows) // 2, (width - columns) // 2
    return mask[top : top + rows, left : left + columns]
