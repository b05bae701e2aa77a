"""A small graphics card for ISF files under test: draws them over known pictures and reads what came."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import moderngl
import numpy as np
from numpy.typing import NDArray

from vivant.runtime.frames import EMPTY, F32, U8
from vivant.runtime.isf.card import Card
from vivant.runtime.isf.effect import Effect, Moment
from vivant.runtime.isf.header import read_shader
from vivant.runtime.isf.hearing import Hearing

FILES = Path(__file__).parent / "isf"
WIDTH, HEIGHT = 24, 16
F64 = NDArray[np.float64]


def noise(seed: int, width: int = WIDTH, height: int = HEIGHT) -> U8:
    """A picture u8 (H, W, 4) of noise, opaque."""
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 4), np.uint8)
    pixels[..., 3] = 255
    return pixels


def floats(pixels: U8) -> F64:
    """Red, green and blue of a picture in [0, 1], (H, W, 3)."""
    found: F64 = pixels[..., :3] / 255.0
    return found


class Stage:
    """Rows begin at the bottom, as they do in ISF."""

    def __init__(self, context: moderngl.Context) -> None:
        self.card = Card(context)
        self.hearing = Hearing(self.card)
        self.under, self.other = noise(1), noise(2)
        self._textures = [self.texture(pixels) for pixels in (self.under, self.other)]

    def texture(self, pixels: U8) -> Any:
        return self.card.texture((pixels.shape[1], pixels.shape[0]), data=pixels.tobytes())

    def effect(self, path: Path) -> Effect:
        made = Effect(self.card, read_shader(path))
        for _ in made.compile():
            pass
        return made

    def draw(
        self,
        effect: Effect,
        values: Mapping[str, Any] = EMPTY,
        moments: Sequence[Moment] = (Moment(),),
        mix: float = 1.0,
        size: tuple[int, int] = (WIDTH, HEIGHT),
    ) -> F64:
        """What the last of so many frames shows, (H, W, 3) in [0, 1]. Image inputs see the picture below,
        those of other names than ISF's own the second one."""
        target = self.card.target(size)
        inputs = effect.shader.header.inputs
        given = {one.name: one.starting() for one in inputs if not one.is_texture} | dict(values)
        under, other = self._textures
        images = {
            one.name: under if one.name in ("inputImage", "startImage") else other
            for one in inputs
            if one.type == "image"
        }
        images |= {one.name: self.hearing.texture(one) for one in inputs if one.type.startswith("audio")}
        for moment in moments:
            effect.draw(target, under, images, given, moment, mix)
        pixels = np.frombuffer(target.read(components=4), np.uint8).reshape(size[1], size[0], 4)
        self.card.free(target)
        assert self.card.context.error == "GL_NO_ERROR"
        assert (pixels[..., 3] == 255).all(), "what is shown is opaque"
        return floats(pixels)

    def hear(self, wave: F32, spectrum: F32) -> None:
        self.hearing.set(wave, spectrum)
