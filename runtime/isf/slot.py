"""An ISF file at its place in a show: its parameters, its clock, and a changed file that takes over."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from vivant.runtime.frames import EMPTY, Value
from vivant.runtime.isf.card import Card
from vivant.runtime.isf.effect import Effect, Moment
from vivant.runtime.isf.header import END, IMAGE_INPUT, PROGRESS, START, IsfError, Shader
from vivant.runtime.isf.hearing import Hearing
from vivant.runtime.isf.inputs import Input
from vivant.runtime.parameters import Parameter

LONGEST_DELTA_S: Final = 1.0  # of TIMEDELTA, after an effect was off
Wall = Callable[[], datetime]


class Slot:
    """One effect or transition. Only the context's thread may use it. `below` is where its parameters lie;
    `pictures` are files for image inputs, those left out see the picture that the effect is laid over."""

    def __init__(
        self,
        name: str,
        below: str,
        shader: Shader,
        card: Card,
        hearing: Hearing,
        pictures: Mapping[str, Path],
    ) -> None:
        self.name, self.below = name, below
        self._card, self._hearing = card, hearing
        self._given = {image: card.picture(path) for image, path in pictures.items()}
        self._take(Effect(card, shader))
        self._building: tuple[Effect, Iterator[None]] | None = None
        self._time_s = 0.0
        self._drawn_ns: int | None = None
        self.reloaded = 0
        self.drawn = 0

    @property
    def lives(self) -> bool:
        """Whether it may change though nothing that it is given did."""
        return self._effect.lives

    @property
    def shader(self) -> Shader:
        """What is drawn now."""
        return self._effect.shader

    @property
    def building(self) -> bool:
        """Whether a changed file is being compiled."""
        return self._building is not None

    def start(self) -> None:
        """Compile all of it, before the show. Raises IsfError naming file and line."""
        for _ in self._effect.compile():
            pass

    def renew(self, shader: Shader) -> None:
        """Begin to compile a changed file; the one before is drawn until that is done."""
        if self._building is not None:
            self._building[0].release()
        coming = Effect(self._card, shader)
        self._building = coming, coming.compile()

    def work(self) -> bool:
        """Compile one program more, between two frames; whether the changed file is in force from now on.
        Raises IsfError when it is refused: then the one before stays."""
        if self._building is None:
            return False
        coming, steps = self._building
        try:
            next(steps)
        except StopIteration:
            self._effect.release()
            self._take(coming)
            self._building = None
            self.reloaded += 1
            return True
        except IsfError:
            coming.release()
            self._building = None
            raise
        return False

    def _take(self, effect: Effect) -> None:
        self._effect, self._index = effect, 0
        inputs = effect.shader.header.inputs
        self._uniforms = {one.name: one.uniform(self.below) for one in set_by_people(effect.shader)}
        self._images = [one.name for one in inputs if one.type == "image"]
        self._heard = [one for one in inputs if one.type in ("audio", "audioFFT")]

    def parameters_with(self, shader: Shader) -> Iterator[Parameter]:
        """What could be set if `shader` were in its place."""
        yield from parameters_of(shader, self.below)

    def values(self, values: Mapping[str, Value]) -> dict[str, Any]:
        """Its uniforms by name; `values` by address."""
        return {name: read(values) for name, read in self._uniforms.items()}

    def draw(
        self,
        target: Any,
        before: Any,
        values: Mapping[str, Any],
        mix: float,
        now_ns: int,
        wall: Wall,
        images: Mapping[str, Any] = EMPTY,
    ) -> None:
        """Draw over the texture `before` onto all of the framebuffer `target`."""
        textures = {name: self._given.get(name, before) for name in self._images}
        textures |= {one.name: self._hearing.texture(one) for one in self._heard}
        moment = self._moment(now_ns, wall())
        self._effect.draw(target, before, {**textures, **images}, values, moment, mix)
        self.drawn += 1

    def _moment(self, now_ns: int, day: datetime) -> Moment:
        delta_s = 0.0 if self._drawn_ns is None else max(0, now_ns - self._drawn_ns) / 1e9
        delta_s = min(delta_s, LONGEST_DELTA_S)
        self._drawn_ns = now_ns
        self._time_s += delta_s
        self._index += 1
        seconds = day.hour * 3600 + day.minute * 60 + day.second + day.microsecond / 1e6
        date = (float(day.year), float(day.month), float(day.day), seconds)
        return Moment(self._time_s, delta_s, self._index - 1, date)

    def forget(self) -> None:
        """Empty its buffers, and begin with frame 0 again; its time goes on."""
        self._effect.forget()
        self._index, self._drawn_ns = 0, None

    def release(self) -> None:
        """Give everything back to the graphics card."""
        if self._building is not None:
            self._building[0].release()
        self._effect.release()
        for texture in self._given.values():
            texture.release()


def parameters_of(shader: Shader, below: str) -> Iterator[Parameter]:
    """What of a shader's inputs can be set, at addresses `below`."""
    for one in set_by_people(shader):
        yield from one.parameters(below)


def set_by_people(shader: Shader) -> Iterator[Input]:
    """Its inputs but for pictures, sound and a transition's progress."""
    for one in shader.header.inputs:
        if not one.is_texture and not (shader.header.kind == "transition" and one.name == PROGRESS):
            yield one


def picture_inputs(shader: Shader) -> tuple[str, ...]:
    """The image inputs that a scene may give files for."""
    own = (IMAGE_INPUT, START, END)
    return tuple(i.name for i in shader.header.inputs if i.type == "image" and i.name not in own)
