"""The shaders of the show, compiled once, with the meshes and the noise that they draw with."""

from __future__ import annotations

from typing import Any, Final

import moderngl
import numpy as np

from vivant.runtime.frames import F32, U8
from vivant.shaders import source

MESH_CELLS: Final = 16  # a side: fine enough for what varies slowly, coarse enough to cost nothing
NOISE_PX: Final = 256
NOISE_SEED: Final = 2
NOISE_UNIT: Final = 2  # units 0 and 1 hold pictures
LIMITS_UNIT: Final = 3  # how far the flash guard lets the picture move, and where

SHADERS: Final = {
    "idle": ("idle.vert", "tint.frag", ()),
    "glow": ("whole.vert", "glow.frag", ()),
    "border": ("border.vert", "tint.frag", ()),
    "fade": ("whole.vert", "develop.frag", ("FADE",)),
    "grade": ("whole.vert", "develop.frag", ("GRADE",)),
    "fade+grade": ("whole.vert", "develop.frag", ("FADE", "GRADE")),
    "picture": ("picture.vert", "picture.frag", ()),
    "picture+grain": ("picture.vert", "picture.frag", ("GRAIN",)),
    "flash cells": ("whole.vert", "flash_cells.frag", ()),
    "flash damp": ("whole.vert", "flash_damp.frag", ()),
}
UNITS: Final = {
    "newest": 0,
    "picture": 0,
    "glow": 0,
    "drawn": 0,
    "previous": 1,
    "before": 1,
    "noise": NOISE_UNIT,
    "limits": LIMITS_UNIT,
}


def noise_tile(seed: int) -> U8:
    """Film grain, u8 (NOISE_PX, NOISE_PX): it repeats, is a little soft, and its mean is one half."""
    plain = np.random.Generator(np.random.Philox(seed)).standard_normal((NOISE_PX, NOISE_PX))
    soft = plain + 0.35 * sum(np.roll(plain, step, axis) for step in (-1, 1) for axis in (0, 1))
    soft = (soft - soft.mean()) / soft.std()
    tile: U8 = np.clip(np.rint(127.5 + 40.0 * soft), 0, 255).astype(np.uint8)
    return tile


def mesh(cells: int) -> tuple[F32, Any]:
    """Corners f32 (n, 2) in [0, 1] and the int32 triangle indices of a square of `cells` x `cells`."""
    line = np.linspace(0.0, 1.0, cells + 1, dtype=np.float32)
    corners = np.stack(np.meshgrid(line, line), axis=-1).reshape(-1, 2)
    first = (np.arange(cells)[:, None] * (cells + 1) + np.arange(cells)).reshape(-1, 1)
    triangles = first + np.array([0, 1, cells + 1, cells + 1, 1, cells + 2])
    return corners, triangles.astype(np.int32)


class Passes:
    """Draws one pass at a time into the framebuffer in use. Only the context's thread may use it."""

    def __init__(self, context: moderngl.Context, sharp: bool) -> None:
        self._context = context
        noise = context.texture((NOISE_PX, NOISE_PX), 1, noise_tile(NOISE_SEED).tobytes())
        noise.filter = (moderngl.NEAREST, moderngl.NEAREST)
        self._noise = noise
        self._programs: dict[str, Any] = {}  # moderngl brings no types that hold its programs' uniforms
        self._arrays: dict[tuple[str, int], Any] = {}
        shapes = {cells: self._shape(cells) for cells in (1, MESH_CELLS)}
        for name, (vertex, fragment, defines) in SHADERS.items():
            switches = (*defines, "SHARP") if sharp else defines
            program = context.program(source(vertex), source(fragment, *switches))
            for sampler, unit in UNITS.items():
                if sampler in program:
                    program[sampler] = unit
            self._programs[name] = program
            for cells, (corners, indices) in shapes.items():
                self._arrays[name, cells] = context.vertex_array(
                    program, [(corners, "2f", "at")], index_buffer=indices
                )

    def _shape(self, cells: int) -> tuple[Any, Any]:
        corners, triangles = mesh(cells)
        return self._context.buffer(corners.tobytes()), self._context.buffer(triangles.tobytes())

    def draw(self, name: str, *textures: Any, curved: bool = False, **uniforms: Any) -> None:
        """Run the pass `name` with `textures` on units 0 and 1. `curved` takes the mesh, for a pass whose
        vertices differ from a plain rectangle; uniforms that the pass was compiled without are left out."""
        for unit, texture in enumerate(textures):
            texture.use(unit)
        self._noise.use(NOISE_UNIT)
        program = self._programs[name]
        for uniform, value in uniforms.items():
            if uniform in program:
                program[uniform] = value
        self._arrays[name, MESH_CELLS if curved else 1].render()
