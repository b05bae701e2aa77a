"""Pictures of other programs of a Mac by Syphon, through syphon-python and Metal."""

from __future__ import annotations

import sys
from typing import Any

from vivant.runtime.frames import U8, Clock
from vivant.runtime.senses.contract import SenseError
from vivant.runtime.senses.feed import Feed, follow
from vivant.runtime.senses.running import RunningSense


def check_syphon(name: str) -> None:
    """Raises SenseError on other systems, and where syphon-python is not there. A server may come later."""
    if sys.platform != "darwin":
        raise SenseError(f"input syphon:{name}: Syphon is for macOS. Use ndi:{name}")
    try:
        import syphon  # noqa: F401
    except ImportError as error:
        raise SenseError(
            f"input syphon:{name} needs syphon-python ({error}). Install it: pip install 'vivant[syphon]'"
        ) from error


def open_syphon(name: str, clock: Clock) -> RunningSense:
    """Watch the Syphon server `name`, by its own name or its program's."""
    return follow(f"syphon:{name}", clock, lambda: find_syphon(name))


def find_syphon(name: str) -> Feed | None:
    """The server, if there is one of this name."""
    import syphon

    with syphon.SyphonServerDirectory() as directory:
        for server in directory.servers:
            if name in (server.name, server.app_name):
                return SyphonFeed(syphon.SyphonMetalClient(server))
    return None


class SyphonFeed:
    """A server that is received."""

    def __init__(self, client: Any) -> None:
        self._client = client

    def take(self) -> U8 | None:
        if not self._client.has_new_frame:
            return None
        from syphon.utils.numpy import copy_mtl_texture_to_image

        texture = self._client.new_frame_image
        if texture is None:
            return None
        image: U8 = copy_mtl_texture_to_image(texture)[..., 2::-1].copy()  # Syphon's textures are BGRA
        return image

    def close(self) -> None:
        self._client.stop()
