"""Which video devices of a Linux machine are cameras, without starting any."""

from __future__ import annotations

import os
import struct
from pathlib import Path
from typing import Final

# From linux/videodev2.h: struct v4l2_capability and the flags of its fields.
CAPABILITY: Final = struct.Struct("=16s32s32sIII12x")
QUERY_CAPABILITY: Final = 0x80685600  # VIDIOC_QUERYCAP
VIDEO_CAPTURE: Final = 0x1
VIDEO_CAPTURE_MPLANE: Final = 0x1000
HAS_DEVICE_CAPS: Final = 0x80000000


def capture_devices(folder: Path) -> list[tuple[Path, str]]:
    """(device file, the maker's name) of each camera among `folder`'s video files, in their order.

    A camera often has a second device file for metadata; it is left out.
    """
    files = [path for path in folder.glob("video*") if path.name[5:].isdecimal()]
    found = [(path, capture_name(path)) for path in sorted(files, key=lambda path: int(path.name[5:]))]
    return [(path, name) for path, name in found if name is not None]


def capture_name(path: Path) -> str | None:
    """The name of the camera behind a device file; None when it is none or may not be opened."""
    import fcntl  # not on Windows

    answer = bytearray(CAPABILITY.size)
    try:
        device = os.open(path, os.O_RDWR | os.O_NONBLOCK)
    except OSError:
        return None
    try:
        fcntl.ioctl(device, QUERY_CAPABILITY, answer)
    except OSError:
        return None
    finally:
        os.close(device)
    return name_of_capture(bytes(answer))


def name_of_capture(capability: bytes) -> str | None:
    """The card's name in a v4l2_capability, if that device captures pictures."""
    _, card, _, _, whole, device = CAPABILITY.unpack(capability)
    flags = device if whole & HAS_DEVICE_CAPS else whole
    if not flags & (VIDEO_CAPTURE | VIDEO_CAPTURE_MPLANE):
        return None
    return str(card.split(b"\0")[0].decode("utf-8", "replace"))
