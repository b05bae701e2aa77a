"""A camera of this machine, through OpenCV: V4L2, AVFoundation, DirectShow or Media Foundation."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol

from vivant.runtime.frames import U8, Clock
from vivant.runtime.senses.contract import SenseError
from vivant.runtime.senses.running import RunningSense
from vivant.runtime.senses.video4linux import capture_devices

SIZE_PX: Final = (640, 480)  # every camera offers it, and its square middle is larger than most students
DAMAGED_IN_A_ROW: Final = 15  # cheap cameras send a broken JPEG now and then; half a second of them is a loss
PROBED: Final = 4  # how many indexes are tried where the system has no list of cameras
APIS: Final = {"linux": ("CAP_V4L2",), "darwin": ("CAP_AVFOUNDATION",), "win32": ("CAP_DSHOW", "CAP_MSMF")}


class Device(Protocol):
    """What of cv2.VideoCapture is used. `grab` returns when a frame is there."""

    def grab(self) -> bool: ...
    def retrieve(self) -> tuple[bool, Any]: ...  # BGR u8 (H, W, 3), or None: cv2 is not typed
    def release(self) -> None: ...


Opener = Callable[[], Device | None]


@dataclass(frozen=True, slots=True)
class Camera:
    """One camera that could be asked for: `spec` as a scene names it, `name` as the maker does."""

    spec: str
    name: str


def open_camera(where: str, clock: Clock, fps: float) -> RunningSense:
    """Watch `where`, an index or a device path, on a thread of its own; it may come and go."""
    return RunningSense(f"camera:{where}", clock, lambda sense: watch(sense, lambda: open_device(where, fps)))


def watch(sense: RunningSense, opener: Opener) -> None:
    """Body of the sense's thread: open, hand on until it fails, wait, open again."""
    while not sense.closed:
        device = opener()
        if device is None:
            sense.lose("it cannot be opened")
        else:
            try:
                hand_on_all(sense, device)
            finally:
                device.release()
        if sense.closed or not sense.wait_to_retry():
            return


def hand_on_all(sense: RunningSense, device: Device) -> None:
    """Hand on frames until there are none. The time is taken when a frame is there, before it is unpacked."""
    damaged = 0
    while not sense.closed:
        if not device.grab():
            sense.lose("it sends no more frames")
            return
        captured_ns = sense.clock.now_ns()
        whole, pixels = device.retrieve()
        if whole and pixels is not None and pixels.size:
            damaged = 0
            sense.hand_on(rgb(pixels), captured_ns)
        elif (damaged := damaged + 1) >= DAMAGED_IN_A_ROW:
            sense.lose(f"{damaged} damaged frames in a row")
            return


def rgb(pixels: U8) -> U8:
    """A new array u8 (H, W, 3) in RGB, of BGR or grey."""
    import cv2

    converted: U8 = cv2.cvtColor(pixels, cv2.COLOR_GRAY2RGB if pixels.ndim == 2 else cv2.COLOR_BGR2RGB)
    return converted


def open_device(where: str, fps: float) -> Device | None:
    """A camera that delivers the newest frame it has; None when it does not open."""
    if sys.platform == "linux":
        if not device_path(where).exists():
            return None  # asking OpenCV would print a warning at every try
        os.environ.setdefault("OPENCV_VIDEOIO_V4L_SELECT_TIMEOUT", "2")  # seconds; 10 is a frozen picture
    elif sys.platform == "darwin" and threading.current_thread() is not threading.main_thread():
        os.environ.setdefault("OPENCV_AVFOUNDATION_SKIP_AUTH", "1")  # only the main thread may ask for leave
    import cv2

    for api in APIS.get(sys.platform, ("CAP_ANY",)):
        device = cv2.VideoCapture(int(where) if where.isdecimal() else where, getattr(cv2, api))
        if device.isOpened():
            device.set(cv2.CAP_PROP_FOURCC, cv2.VideoWriter.fourcc(*"MJPG"))  # raw, USB 2 is slow
            device.set(cv2.CAP_PROP_FRAME_WIDTH, SIZE_PX[0])
            device.set(cv2.CAP_PROP_FRAME_HEIGHT, SIZE_PX[1])
            device.set(cv2.CAP_PROP_FPS, fps)
            device.set(cv2.CAP_PROP_BUFFERSIZE, 1)
            return device
        device.release()
    return None


def device_path(where: str) -> Path:
    """The device file of an index or a path, on Linux."""
    return Path(f"/dev/video{where}" if where.isdecimal() else where)


def cameras() -> tuple[Camera, ...]:
    """The cameras of this machine. Opens each for a moment where the system has no list (not on Linux)."""
    if sys.platform == "linux":
        return tuple(Camera(f"camera:{path}", name) for path, name in capture_devices(Path("/dev")))
    return tuple(
        Camera(f"camera:{index}", f"camera {index}") for index in range(PROBED) if delivers(str(index))
    )


def delivers(where: str, fps: float = 30.0) -> bool:
    """Whether a camera opens and gives a frame."""
    device = open_device(where, fps)
    if device is None:
        return False
    try:
        return device.grab()
    finally:
        device.release()


def check_camera(where: str, opens: Callable[[str], bool] = delivers) -> None:
    """Raises SenseError that says what is wrong and which cameras there are."""
    if not opens(where):
        raise SenseError(f"camera:{where} {_why_not(where)} {_offer()}")


def _why_not(where: str) -> str:
    if sys.platform != "linux":
        return "does not open. Is it plugged in, allowed in the system's privacy settings and not in use?"
    path = device_path(where)
    if not path.exists():
        return f"does not exist: there is no {path}."
    if not os.access(path, os.R_OK | os.W_OK):
        return (
            f"may not be used by you: add yourself to the group of {path} (often 'video') and log in again."
        )
    return "is there but gives no frame: another program may be using it; close that one first."


def _offer() -> str:
    found = cameras()
    if not found:
        return "This machine has no camera that can be used; try --input performer."
    return "Cameras here: " + ", ".join(f"{camera.spec} ({camera.name})" for camera in found) + "."
