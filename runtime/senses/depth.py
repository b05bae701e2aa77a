"""A depth camera (Intel RealSense, through pyrealsense2): its colours, and who stands near.

Written after the library's documentation and never run: there was no such camera where it was written.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, Protocol

import numpy as np
from numpy.typing import NDArray

from vivant.runtime.frames import U8, Clock
from vivant.runtime.senses.contract import SenseError
from vivant.runtime.senses.running import RunningSense

SIZE_PX: Final = (640, 480)
NEAR_M: Final = 2.5  # who is nearer stands before the piece; `depth:0@1.8` says otherwise
FARTHEST_M: Final = 20.0
WAIT_MS: Final = 2000
Depths = NDArray[np.uint16]


@dataclass(frozen=True, slots=True)
class Place:
    """Which camera, by its index or serial number, and how near is near."""

    which: str
    near_m: float = NEAR_M


class DepthDevice(Protocol):
    """An open camera. One thread uses it."""

    def read(self) -> tuple[U8, Depths, float] | None:
        """The next colours u8 (H, W, 3) RGB, as new memory, the depths u16 (H, W) seen from the same place (0
        is unknown), and the metres of one step of depth; None when none came in two seconds."""

    def release(self) -> None:
        """Let go of it."""


def open_depth(where: str, clock: Clock, fps: float) -> RunningSense:
    """Watch a depth camera on a thread of its own; it may come and go."""
    place = place_of(where)
    return RunningSense(
        f"depth:{where}", clock, lambda sense: watch(sense, place, lambda: realsense(place, fps))
    )


def check_depth(where: str) -> None:
    """Raises SenseError that says what is missing."""
    place = place_of(where)
    library = _library(where)
    found = [_serial(device) for device in library.context().query_devices()]
    if not found:
        raise SenseError(f"depth:{where} is not there: no RealSense camera is plugged in (USB 3).")
    if _chosen(place.which, found) is None:
        raise SenseError(
            f"depth:{where} is not there. Depth cameras here: {', '.join(f'depth:{one}' for one in found)}."
        )


def place_of(where: str) -> Place:
    """`0`, a serial number, or one of them with the distance in metres: `0@1.8`. Raises SenseError."""
    which, _, metres = where.partition("@")
    try:
        near_m = float(metres) if metres else NEAR_M
    except ValueError:
        near_m = 0.0
    if not which.isalnum() or not 0.0 < near_m <= FARTHEST_M:
        raise SenseError(
            f"input depth:{where} is not known. Give depth:0, or with the metres that are near: depth:0@1.8"
        )
    return Place(which, near_m)


def watch(sense: RunningSense, place: Place, opener: Callable[[], DepthDevice | None]) -> None:
    """Body of the sense's thread: open, hand on until it fails, wait, open again."""
    while not sense.closed:
        device = opener()
        if device is None:
            sense.lose("it cannot be opened")
        else:
            try:
                hand_on_all(sense, place, device)
            finally:
                device.release()
        if sense.closed or not sense.wait_to_retry():
            return


def hand_on_all(sense: RunningSense, place: Place, device: DepthDevice) -> None:
    """Hand on frames with their masks until there are none."""
    while not sense.closed:
        found = device.read()
        captured_ns = sense.clock.now_ns()
        if found is None:
            sense.lose("it sends no more frames")
            return
        pixels, depths, step_m = found
        sense.hand_on(pixels, captured_ns, near_mask(depths, step_m, place.near_m))


def near_mask(depths: Depths, step_m: float, near_m: float) -> U8:
    """255 where something is nearer than `near_m`, u8 (H, W); holes that the sensor leaves are closed."""
    import cv2

    near = ((depths > 0) & (depths < near_m / step_m)).astype(np.uint8) * 255
    near = cv2.morphologyEx(near, cv2.MORPH_OPEN, np.ones((3, 3), np.uint8))
    return np.asarray(cv2.morphologyEx(near, cv2.MORPH_CLOSE, np.ones((9, 9), np.uint8)), np.uint8)


def realsense(place: Place, fps: float) -> DepthDevice | None:
    """The camera, streaming; None when it is not there or does not start."""
    library = _library(place.which)
    serial = _chosen(place.which, [_serial(device) for device in library.context().query_devices()])
    if serial is None:
        return None
    try:
        return RealSense(library, serial, round(fps))
    except RuntimeError:  # all that this library raises: busy, unplugged, or a mode that it has not
        return None


class RealSense:
    """A RealSense camera whose depths are turned into its colour camera's place."""

    def __init__(self, library: Any, serial: str, fps: int) -> None:
        config = library.config()
        config.enable_device(serial)
        config.enable_stream(library.stream.color, *SIZE_PX, library.format.rgb8, fps)
        config.enable_stream(library.stream.depth, *SIZE_PX, library.format.z16, fps)
        self._pipeline = library.pipeline()
        profile = self._pipeline.start(config)
        self._align = library.align(library.stream.color)
        self._step_m = float(profile.get_device().first_depth_sensor().get_depth_scale())

    def read(self) -> tuple[U8, Depths, float] | None:
        try:
            frames = self._align.process(self._pipeline.wait_for_frames(WAIT_MS))
        except RuntimeError:  # nothing came
            return None
        colours, depths = frames.get_color_frame(), frames.get_depth_frame()
        if not colours or not depths:
            return None
        # the library's memory is reused: both are copied
        return np.array(colours.get_data(), np.uint8), np.array(depths.get_data(), np.uint16), self._step_m

    def release(self) -> None:
        self._pipeline.stop()


def _library(where: str) -> Any:  # Any: pyrealsense2 has no types
    try:
        import pyrealsense2
    except ImportError as error:
        raise SenseError(
            f"input depth:{where} needs pyrealsense2 ({error}). Install it: pip install pyrealsense2"
        ) from error
    return pyrealsense2


def _serial(device: Any) -> str:
    import pyrealsense2

    return str(device.get_info(pyrealsense2.camera_info.serial_number))


def _chosen(which: str, serials: list[str]) -> str | None:
    """The serial number that is meant: itself, or by its index in the list."""
    if which in serials:
        return which
    return serials[int(which)] if which.isdecimal() and int(which) < len(serials) else None
