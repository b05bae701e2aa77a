"""ISF files looked at without a show: do they compile, what do they draw, how long does a frame take."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from vivant.runtime.frames import U8, MonotonicClock, VivantError
from vivant.runtime.isf.card import Card
from vivant.runtime.isf.effect import Effect, Moment
from vivant.runtime.isf.header import END, PROGRESS, IsfError, Shader, read_shader
from vivant.runtime.isf.hearing import Hearing
from vivant.runtime.sheet import (
    CELL_PX,
    GROUND,
    GUTTER_PX,
    LABEL_PX,
    MARGIN_PX,
    label,
    lay,
    picture_png,
    resized,
)
from vivant.runtime.surface import open_headless

FPS: Final = 30
SMALL_PX: Final = (16, 16)
STILLS_S: Final = (0.5, 1.5, 2.5, 3.5)
SHARES: Final = (0.2, 0.4, 0.6, 0.8)
"""Where a transition is at its stills."""
CYCLES: Final = 2.0  # of the wave that is heard, in one frame


@dataclass(frozen=True, slots=True)
class Looked:
    """`stills` u8 (H, W, 3) of a shader with a word on each; `frame_ms` the median of what one took."""

    shader: Shader
    stills: tuple[tuple[str, U8], ...]
    frame_ms: float


class Bench:
    """A graphics card without a display, and the pictures that shaders are shown: `picture` by seconds, u8
    (H, W, 3). Close it."""

    def __init__(self, size_px: tuple[int, int], picture: Callable[[float], U8]) -> None:
        """Raises VivantError without OpenGL."""
        self._surface = open_headless(size_px, clock=MonotonicClock())
        self.renderer = str(self._surface.context.info["GL_RENDERER"])
        self._card, self._size_px, self._picture = Card(self._surface.context), size_px, picture
        self._hearing = Hearing(self._card)
        self._under: Any = self._card.texture(size_px)
        self._later: Any = self._card.texture(size_px)

    def check(self, shader: Shader) -> None:
        """Compile it. Raises IsfError naming file and line."""
        self._compiled(shader).release()

    def _compiled(self, shader: Shader) -> Effect:
        effect = Effect(self._card, shader)
        for _ in effect.compile():
            pass
        return effect

    def look(self, shader: Shader) -> Looked:
        """Some seconds of it at thirty frames each, with the inputs as they are at first. Raises IsfError."""
        effect = self._compiled(shader)
        target = self._card.target(self._size_px)
        given = {one.name: one.starting() for one in shader.header.inputs if not one.is_texture}
        times, stills = [], []
        transition = shader.header.kind == "transition"
        due = dict(zip((round(at_s * FPS) for at_s in STILLS_S), SHARES, strict=True))
        for index in range(max(due) + 1):
            if transition:
                given[PROGRESS] = (index + 1) / (max(due) + 2) if index not in due else due[index]
            images = self._shown(shader, index / FPS)
            moment = Moment(index / FPS, index and 1.0 / FPS, index)
            began_s = time.perf_counter()
            effect.draw(target, self._under, images, given, moment)
            self._card.context.finish()
            times.append(1000 * (time.perf_counter() - began_s))
            if index in due:
                word = f"{due[index]:.0%}" if transition else f"{index / FPS:.1f} s"
                stills.append((word, self._read(target)))
        effect.release()
        self._card.free(target)
        return Looked(shader, tuple(stills), statistics.median(times))

    def _shown(self, shader: Shader, at_s: float) -> dict[str, Any]:
        """What its pictures show now; a transition goes to one of some seconds later."""
        self._write(self._under, 0.0 if shader.header.kind == "transition" else at_s)
        if shader.header.kind == "transition":
            self._write(self._later, STILLS_S[-1])
        phase = np.linspace(0.0, 1.0, 512, dtype=np.float32)
        wave = np.sin(2 * np.pi * (CYCLES * phase + at_s)) * np.sin(np.pi * phase)
        self._hearing.set(wave[None], np.exp(-6.0 * phase)[None] * (0.6 + 0.4 * np.sin(6.0 * at_s)))
        images = {}
        for one in shader.header.inputs:
            if one.type == "image":
                images[one.name] = self._later if one.name == END else self._under
            elif one.is_texture:
                images[one.name] = self._hearing.texture(one)
        return images

    def _write(self, texture: Any, at_s: float) -> None:
        import cv2

        pixels = cv2.resize(self._picture(at_s), self._size_px, interpolation=cv2.INTER_AREA)
        texture.write(cv2.cvtColor(pixels, cv2.COLOR_RGB2RGBA)[::-1].tobytes())

    def _read(self, target: Any) -> U8:
        width, height = self._size_px
        rows = np.frombuffer(target.read(components=4), np.uint8).reshape(height, width, 4)
        return np.ascontiguousarray(rows[::-1, :, :3])

    def close(self) -> None:
        """Give the card back."""
        self._surface.close()


def undrawable(files: Sequence[Path]) -> list[str]:
    """What this machine's graphics card says against files whose headers are fine. Raises VivantError without
    OpenGL, where there are files."""
    if not files:
        return []
    bench, found = Bench(SMALL_PX, lambda at_s: np.zeros((8, 8, 3), np.uint8)), []
    try:
        for path in files:
            try:
                bench.check(read_shader(path))
            except IsfError as error:
                found += str(error).splitlines()
    finally:
        bench.close()
    return found


def files_of(names: Sequence[Path]) -> list[Path]:
    """The ISF files that are meant: files as they are, folders with all .fs in them. Raises VivantError for
    what is not there, and for a folder without any."""
    found: list[Path] = []
    for path in names:
        there = sorted(path.rglob("*.fs")) if path.is_dir() else [path]
        if not there:
            raise VivantError(f"there is no ISF file (*.fs) in {path}")
        found += there
    return found


def readable(files: Sequence[Path]) -> Iterator[tuple[Path, Shader | IsfError]]:
    """Each file as it was read, or why it was not."""
    for path in files:
        try:
            yield path, read_shader(path)
        except IsfError as error:
            yield path, error


def sheet(looked: Sequence[Looked], path: Path) -> None:
    """Write a PNG: a row of stills for each shader, with its name and its words."""
    rows = [[(word, resized(still)) for word, still in one.stills] for one in looked]
    heights = [max(cell.shape[0] for _, cell in row) + LABEL_PX for row in rows]
    across = max(map(len, rows))
    width = 2 * MARGIN_PX + across * (CELL_PX + GUTTER_PX) - GUTTER_PX
    page = np.full((2 * MARGIN_PX + sum(heights), width, 3), GROUND, np.uint8)
    top = MARGIN_PX
    for one, row, height in zip(looked, rows, heights, strict=True):
        for index, (word, cell) in enumerate(row):
            left = MARGIN_PX + index * (CELL_PX + GUTTER_PX)
            lay(page, cell, left, top)
            name = one.shader.path.stem if index == 0 else ""
            lay(page, label(f"{name}  {word}".strip()), left, top + cell.shape[0])
        top += height
    picture_png(page, path)
