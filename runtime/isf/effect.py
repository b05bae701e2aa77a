"""One ISF file on the graphics card: its passes, the buffers between them and what stays in those."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

import moderngl

from vivant.runtime.isf.card import LARGEST_PX, Card
from vivant.runtime.isf.expressions import Sum
from vivant.runtime.isf.glsl import (
    BEFORE,
    MIX_UNIFORM,
    complaints,
    draws_in_place,
    fragment_source,
    lives,
    veil,
    vertex_source,
)
from vivant.runtime.isf.header import IsfError, Pass, Shader
from vivant.runtime.placing import Size

LONGEST_TIME_S: Final = 6 * 3600.0
"""TIME begins again after so long: a shader's float would count it in ever larger steps."""
WARM_PX: Final = (8, 8)


@dataclass(frozen=True, slots=True)
class Moment:
    """What a frame's shaders know of time: seconds since the effect began and since its last frame, which
    frame it is, and the day: year, month, day, seconds of it."""

    time_s: float = 0.0
    delta_s: float = 0.0
    index: int = 0
    date: tuple[float, float, float, float] = (1970.0, 1.0, 1.0, 0.0)

    def uniforms(self) -> dict[str, Any]:
        """By the names that ISF gives them."""
        return {
            "TIME": math.fmod(self.time_s, LONGEST_TIME_S),
            "TIMEDELTA": self.delta_s,
            "FRAMEINDEX": self.index & 0x7FFFFFFF,
            "DATE": self.date,
        }


class Buffer:
    """What one TARGET names. It has two sides where it may be read while it is drawn: what was drawn last is
    read then. One that is not `persistent` begins black in every frame."""

    def __init__(self, card: Card, persistent: bool, floats: bool, two_sides: bool) -> None:
        self._card, self._persistent, self._floats = card, persistent, floats
        self._two_sides = two_sides
        self._drawn: Any = None
        self._other: Any = None
        self._fresh = True

    @property
    def texture(self) -> Any:
        """What is read: what was drawn last; black before that."""
        return self._card.black if self._fresh or self._drawn is None else self._drawn.color_attachments[0]

    def frame(self) -> None:
        """Another frame begins."""
        self._fresh = not self._persistent

    def begin(self, size: Size) -> tuple[Any, Any]:
        """Where to draw now, and what its own name reads meanwhile."""
        if not self._two_sides:
            self._drawn, self._fresh = self._sized(self._drawn, size), False
            return self._drawn, self._card.black
        read = self.texture
        if self._drawn is not None and self._drawn.size != size:  # what has built up stays, in the new size
            grown = self._card.target(size, self._floats)
            self._card.copy(self._drawn.color_attachments[0], grown)
            read = read if self._fresh else grown.color_attachments[0]
            self._card.free(self._drawn)
            self._drawn = grown
        self._drawn, self._other, self._fresh = self._sized(self._other, size), self._drawn, False
        return self._drawn, read

    def _sized(self, kept: Any, size: Size) -> Any:
        if kept is not None and kept.size == size:
            return kept
        if kept is not None:
            self._card.free(kept)
        return self._card.target(size, self._floats)

    def release(self) -> None:
        """Give back its textures; drawn into again, it begins black."""
        for side in (self._drawn, self._other):
            if side is not None:
                self._card.free(side)
        self._drawn = self._other = None


class Effect:
    """A shader, compiled. Only the context's thread may use it. Draw only what `compile` was walked through
    to its end."""

    def __init__(self, card: Card, shader: Shader) -> None:
        self._card, self.shader = card, shader
        self._passes = shader.header.passes
        self._in_place = draws_in_place(shader)
        self._last = len(self._passes) - 1
        self._programs: dict[int, tuple[Any, Any, dict[str, int]]] = {}
        self._buffers: dict[str | None, Buffer] = {}
        self._pictures: dict[str, Any] = {}
        self.lives = lives(shader)
        """Whether it may change though nothing that it is given did."""

    def compile(self) -> Iterator[None]:
        """Build one program, or load one picture, at each step. Raises IsfError naming file and line."""
        for target in dict.fromkeys(one.target for one in self._passes):
            same = [one for one in self._passes if one.target == target]
            persistent, floats = any(one.persistent for one in same), any(one.floats for one in same)
            self._buffers[target] = Buffer(self._card, persistent, floats, persistent or len(same) > 1)
        for name, path in self.shader.header.images.items():
            self._pictures[name] = self._card.picture(path)
            yield
        for index, one in enumerate(self._passes):
            if one.target is not None or index == self._last:
                self._programs[index] = self._build(index, one)
                yield

    def _build(self, index: int, one: Pass) -> tuple[Any, Any, dict[str, int]]:
        in_place = self._in_place and index == self._last
        try:
            program: Any = self._card.context.program(
                vertex_source(self.shader, index), fragment_source(self.shader, index, in_place)
            )
        except moderngl.Error as error:
            raise IsfError("\n".join(complaints(self.shader, str(error)))) from error
        samplers = [name for name in self._sampler_names() if name in program]
        units = {name: unit for unit, name in enumerate(samplers)}
        for name, unit in units.items():
            program[name] = unit
        array = self._card.array(program)
        warm = self._card.target(WARM_PX, one.floats)
        self._card.use(warm)  # a driver finishes a program at its first use
        for unit in units.values():
            self._card.black.use(unit)
        array.render()
        self._card.free(warm)
        return program, array, units

    def _sampler_names(self) -> Iterator[str]:
        header = self.shader.header
        yield BEFORE
        yield from (one.name for one in header.inputs if one.is_texture)
        yield from header.images
        yield from header.buffers

    def draw(
        self,
        target: Any,
        before: Any,
        images: Mapping[str, Any],
        values: Mapping[str, Any],
        moment: Moment,
        mix: float = 1.0,
    ) -> None:
        """Draw onto all of the framebuffer `target`. `before` is the texture that it is laid over as far as
        alpha and `mix` [0, 1] say; `images` textures by input, black where one is missing; `values` of the
        other inputs by name. Rows begin at the bottom."""
        size: Size = target.size
        for buffer in self._buffers.values():
            buffer.frame()
        textures = {BEFORE: before, **images, **self._pictures}
        textures |= {name: self._buffers[name].texture for name in self.shader.header.buffers}
        known = {**moment.uniforms(), **values, MIX_UNIFORM: mix}
        sizes = self._sizes(size, values)
        for index, (program, array, units) in self._programs.items():
            name = self._passes[index].target
            own = self._card.black
            into = target
            if index != self._last or not self._in_place:
                into, own = self._buffers[name].begin(sizes[index])
            for sampler, unit in units.items():
                (own if sampler == name else textures.get(sampler, self._card.black)).use(unit)
            for uniform, value in (*known.items(), ("RENDERSIZE", tuple(map(float, into.size)))):
                if uniform in program:
                    program[uniform] = value
            self._card.use(into)
            if self.shader.vertex is not None or not self._in_place:
                into.clear()
            array.render()
            if name is not None:
                textures[name] = self._buffers[name].texture
        if not self._in_place:
            drawn = self._buffers[self._passes[self._last].target].texture
            self._card.compose(drawn, before, target, mix, veil(self.shader))

    def _sizes(self, size: Size, values: Mapping[str, Any]) -> list[Size]:
        """Of every pass, worked out once a frame."""
        numbers = {name: float(value) for name, value in values.items() if isinstance(value, int | float)}
        numbers |= {"WIDTH": float(size[0]), "HEIGHT": float(size[1])}
        return [
            (side_px(one.width, numbers, size[0]), side_px(one.height, numbers, size[1]))
            for one in self._passes
        ]

    def forget(self) -> None:
        """Empty every buffer: nothing of earlier pictures is left in it."""
        for buffer in self._buffers.values():
            buffer.release()

    def release(self) -> None:
        """Give everything back to the graphics card."""
        self.forget()
        for texture in self._pictures.values():
            texture.release()
        for program, array, _ in self._programs.values():
            array.release()
            program.release()
        self._programs, self._pictures = {}, {}


def side_px(wanted: Sum | None, numbers: Mapping[str, float], whole: int) -> int:
    """A side of a pass in pixels: what `wanted` says, or the `whole` where it says nothing that is a size."""
    if wanted is None:
        return whole
    try:
        return int(min(max(wanted(numbers), 1.0), LARGEST_PX))
    except (ArithmeticError, ValueError):  # divided by zero, the root of less than nothing, no number
        return whole
