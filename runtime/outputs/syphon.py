"""Pictures to other programs of a Mac as a Syphon server, through syphon-python and Metal."""

from __future__ import annotations

import sys
from typing import Any

from vivant.runtime.frames import U8
from vivant.runtime.outputs.contract import OutputError, Receiver
from vivant.runtime.placing import Size


def check_syphon(name: str) -> None:
    """Raises OutputError on other systems, and where syphon-python is not there."""
    if sys.platform != "darwin":
        raise OutputError(f"syphon:{name}: Syphon is for macOS. Use ndi:{name}, or spout:{name} on Windows")
    try:
        import syphon  # noqa: F401
    except ImportError as error:
        raise OutputError(
            f"syphon:{name} needs syphon-python ({error}). Install it: pip install 'vivant[syphon]'"
        ) from error


class SyphonReceiver:
    """The Syphon server `name`, with a Metal texture of the picture's size."""

    def __init__(self, name: str, size_px: Size) -> None:
        import Metal
        import syphon

        self._server: Any = syphon.SyphonMetalServer(name)  # no types
        describe = Metal.MTLTextureDescriptor.texture2DDescriptorWithPixelFormat_width_height_mipmapped_
        kind = describe(Metal.MTLPixelFormatRGBA8Unorm, *size_px, False)
        self._texture: Any = self._server.device.newTextureWithDescriptor_(kind)

    def send(self, pixels: U8) -> None:
        from syphon.utils.numpy import copy_image_to_mtl_texture

        copy_image_to_mtl_texture(pixels, self._texture)
        self._server.publish_frame_texture(self._texture, is_flipped=True)

    def close(self) -> None:
        self._server.stop()


def open_syphon(name: str, size_px: Size) -> Receiver:
    """A Syphon server of a size."""
    return SyphonReceiver(name, size_px)
