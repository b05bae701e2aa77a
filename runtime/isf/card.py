"""What all ISF effects on one graphics card share: the square they are drawn with, and laying pictures."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import moderngl
import numpy as np

from vivant.runtime.frames import U8
from vivant.runtime.isf.glsl import BEFORE, COMPOSE, CORNER, MIX_UNIFORM, PLAIN_VERTEX
from vivant.runtime.isf.header import IsfError
from vivant.runtime.placing import Size
from vivant.shaders import VERSION

LARGEST_PX: Final = 4096  # a side of any buffer or picture
COPY: Final = (
    VERSION
    + """uniform sampler2D drawing;
uniform bool upside_down;
in vec2 isf_FragNormCoord;
out vec4 colour;
void main() {
    vec2 at = isf_FragNormCoord;
    colour = texture(drawing, upside_down ? vec2(at.x, 1.0 - at.y) : at);
}
"""
)


class Card:
    """One OpenGL context, as effects use it. Only the context's thread may call. Rows of what it makes begin
    at the bottom, as ISF has them. Textures are Any: moderngl brings no types for what is asked of them."""

    def __init__(self, context: moderngl.Context) -> None:
        self.context = context
        corners = np.array([[0, 0], [1, 0], [0, 1], [1, 1]], np.float32)
        self._square = context.buffer(corners.tobytes())
        self.black: Any = self.texture((1, 1), data=b"\x00\x00\x00\xff")
        self._rest = context.framebuffer([context.texture((1, 1), 4)])
        self._copy: Any = context.program(PLAIN_VERTEX, COPY)
        self._compose: Any = context.program(PLAIN_VERTEX, COMPOSE)
        self._compose["isf_drawing_"], self._compose[BEFORE] = 0, 1
        self._copies, self._composes = self.array(self._copy), self.array(self._compose)

    def array(self, program: Any) -> Any:
        """The square as `program` takes it; a vertex shader need not look at its corners."""
        return self.context.vertex_array(
            program, [(self._square, "2f", CORNER)], mode=moderngl.TRIANGLE_STRIP, skip_errors=True
        )

    def texture(
        self, size: Size, floats: bool = False, data: bytes | None = None, components: int = 4
    ) -> Any:
        """A texture that is read smoothly and ends at its edges; u8, or float32 for `floats`."""
        made = self.context.texture(size, components, data, dtype="f4" if floats else "f1")
        made.filter = (moderngl.LINEAR, moderngl.LINEAR)
        made.repeat_x = made.repeat_y = False
        return made

    def target(self, size: Size, floats: bool = False) -> Any:
        """A framebuffer with a texture of its own, black."""
        made = self.context.framebuffer([self.texture(size, floats)])
        made.clear()
        return made

    def resized(self, kept: Any, size: Size) -> Any:
        """`kept` when it has this size, else a new framebuffer in its place; what was in it is lost."""
        if kept is not None and kept.size == size:
            return kept
        if kept is not None:
            self.free(kept)
        return self.target(size)

    def free(self, target: Any) -> None:
        """Give back a framebuffer and what it is made of."""
        self._rest.use()  # what is in use is bound again by moderngl, though it be gone
        for made in (*target.color_attachments, target):
            made.release()

    def use(self, target: Any, size: Size | None = None) -> None:
        """Draw into `target` from here on, over all of it or so many pixels, in a known state."""
        target.viewport = (0, 0, *(size or target.size))
        target.use()
        self.context.enable_only(moderngl.NOTHING)

    def copy(self, drawing: Any, target: Any, upside_down: bool = False, size: Size | None = None) -> None:
        """All of a texture over all of `target`, or so many pixels of it."""
        self.use(target, size)
        drawing.use(0)
        self._copy["upside_down"] = upside_down
        self._copies.render()

    def compose(self, drawing: Any, before: Any, target: Any, mix: float, veil: float) -> None:
        """Draw `drawing` over `before` as far as `mix` [0, 1] says; `veil` says how much of that is seen
        where its alpha is 0, instead of black."""
        self.use(target)
        drawing.use(0)
        before.use(1)
        self._compose[MIX_UNIFORM], self._compose["isf_veil_"] = mix, veil
        self._composes.render()

    def release(self) -> None:
        """Give back what it made for itself."""
        for made in (
            *(self._copies, self._composes, self._copy, self._compose, self._square, self.black),
            *self._rest.color_attachments,
            self._rest,
        ):
            made.release()

    def picture(self, path: Path) -> Any:
        """A texture of the picture file at `path`. Raises IsfError when it is none."""
        pixels = read_picture(path)
        return self.texture((pixels.shape[1], pixels.shape[0]), data=pixels[::-1].tobytes())


def read_picture(path: Path) -> U8:
    """A picture file as u8 (H, W, 4) RGBA, top row first, no side longer than LARGEST_PX. Raises IsfError."""
    import cv2

    try:
        data = np.frombuffer(path.read_bytes(), np.uint8)
    except OSError as error:
        raise IsfError(f"{path} cannot be read: {error.strerror or error}") from error
    found = cv2.imdecode(data, cv2.IMREAD_UNCHANGED) if data.size else None
    if found is None:
        raise IsfError(f"{path} is no picture that can be read; PNG and JPEG can")
    found = (found // 257).astype(np.uint8) if found.dtype == np.uint16 else found.astype(np.uint8)
    ways = {1: cv2.COLOR_GRAY2RGBA, 3: cv2.COLOR_BGR2RGBA, 4: cv2.COLOR_BGRA2RGBA}
    rgba = cv2.cvtColor(found, ways[1 if found.ndim == 2 else found.shape[2]])
    over = LARGEST_PX / max(rgba.shape[:2])
    if over < 1.0:
        rgba = cv2.resize(rgba, None, fx=over, fy=over, interpolation=cv2.INTER_AREA)
    return np.asarray(rgba, np.uint8)
