"""What every sense promises, whatever it looks at."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Literal, Protocol

from vivant.runtime.frames import Frame, Value, VivantError

State = Literal["starting", "live", "lost", "ended"]

Phase = Callable[[], int | None]
"""For a sense that sets its own time: by how many nanoseconds its next frames should come later
(negative: earlier) to meet the display's refresh; None while that is not known. Called from the
sense's thread once a frame; one answer moves a release by at most half a frame."""


class SenseError(VivantError):
    """What a scene wants to look at is not there, or is not what it is taken for."""


class Sense(Protocol):
    """Something that hands on frames from a thread of its own. Any thread may call.

    Serials start at 1 and rise by one a frame. `captured_ns` is read when the pixels were there, before
    they were converted.
    """

    @property
    def name(self) -> str:
        """What is looked at, as the scene wrote it: `camera:0`, `clip:tide.mp4`, `performer`."""

    @property
    def state(self) -> State:
        """`starting` until the first frame, `lost` while the signal is away, `ended` once closed."""

    def latest(self) -> Frame | None:
        """The newest frame; None before the first. Never waits."""

    def wait_newer(self, serial: int, timeout_s: float) -> Frame | None:
        """The newest frame once its serial is above `serial`, at once when it is there already; None
        when none came within `timeout_s` or the sense was closed."""

    def heed(self, numbers: Mapping[str, Value]) -> None:
        """The show's values by address, for a sense of which something can be set."""

    def counts(self) -> Mapping[str, int]:
        """Since the start: frames `captured`, times the signal was `lost`, `retries` to get it back."""

    def close(self) -> None:
        """End the thread and free the device. Calling it again does nothing."""
