"""Pictures as a camera of this machine: v4l2loopback on Linux, through pyvirtualcam (elsewhere OBS's)."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any, Final

import numpy as np

from vivant.runtime.frames import U8
from vivant.runtime.outputs.contract import OutputError, Receiver
from vivant.runtime.placing import Size

FPS: Final = 60
LOOPBACK: Final = "sudo modprobe v4l2loopback video_nr=10 exclusive_caps=1"


def check_virtual_camera(device: str) -> None:
    """Raises OutputError where pyvirtualcam or, on Linux, the device is not there."""
    try:
        import pyvirtualcam  # noqa: F401
    except ImportError as error:
        raise OutputError(
            f"camera:{device} needs pyvirtualcam ({error}). Install it: pip install 'vivant[camera]'"
        ) from error
    if sys.platform == "linux" and not Path(device).exists():
        raise OutputError(f"camera:{device}: there is no such device. Make one: {LOOPBACK}")


class CameraReceiver:
    """The virtual camera `device`. Cameras know no alpha, and many programs want even sizes."""

    def __init__(self, device: str, size_px: Size) -> None:
        import pyvirtualcam

        width, height = self._even = (size_px[0] // 2 * 2, size_px[1] // 2 * 2)
        self._camera: Any = pyvirtualcam.Camera(
            width=width, height=height, fps=FPS, device=device, fmt=pyvirtualcam.PixelFormat.RGB
        )

    def send(self, pixels: U8) -> None:
        width, height = self._even
        self._camera.send(np.ascontiguousarray(pixels[:height, :width, :3]))

    def close(self) -> None:
        self._camera.close()


def open_virtual_camera(device: str, size_px: Size) -> Receiver:
    """A virtual camera of a size."""
    return CameraReceiver(device, size_px)
