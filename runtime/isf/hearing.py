"""What shaders hear: the wave and its spectrum as pictures, one row for each channel."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

import numpy as np

from vivant.runtime.frames import F32
from vivant.runtime.isf.card import LARGEST_PX, Card
from vivant.runtime.isf.inputs import Input

SILENCE: Final = np.zeros((1, 1), np.float32)


def loudest(rows: F32, columns: int) -> F32:
    """`rows` (C, N), about 0, in so many columns: each the value farthest from 0 of those it stands for; in
    one alone, which is a volume, above 0."""
    parts = _parts(np.abs(rows) if columns == 1 else rows, columns)
    index = np.abs(parts).argmax(-1)[..., None]
    found: F32 = np.take_along_axis(parts, index, -1)[..., 0]
    return found


def mean(rows: F32, columns: int) -> F32:
    """`rows` (C, N) in so many columns, each the mean of those it stands for."""
    found: F32 = _parts(rows, columns).mean(-1, dtype=np.float32)
    return found


def _parts(rows: F32, columns: int) -> F32:
    """(C, columns, n): the values that each column stands for; where there are fewer, some come twice."""
    count = rows.shape[1]
    each = max(1, -(-count // columns))
    at = np.minimum(np.arange(columns)[:, None] * count // columns + np.arange(each), count - 1)
    parts: F32 = rows[:, at]
    return parts


REDUCED: Final[Mapping[str, Callable[[F32, int], F32]]] = {"audio": loudest, "audioFFT": mean}


class Hearing:
    """The newest sound, as textures for the inputs that want it. One thread: the context's."""

    def __init__(self, card: Card) -> None:
        self._card = card
        self._heard: dict[str, F32] = {"audio": SILENCE, "audioFFT": SILENCE}
        self._textures: dict[tuple[str, int], tuple[int, Any]] = {}
        self._version = 0

    def set(self, samples: F32, spectrum: F32) -> None:
        """`samples` f32 (C, N) in [-1, 1] and `spectrum` f32 (C, M) in [0, 1] of now; what is no number
        counts as silence. What is empty is silence too."""
        for kind, rows in (("audio", samples), ("audioFFT", spectrum)):
            whole = np.nan_to_num(
                np.atleast_2d(np.asarray(rows, np.float32)), nan=0.0, posinf=1.0, neginf=0.0
            )
            self._heard[kind] = np.clip(whole, -1.0, 1.0) if whole.size else SILENCE
        self._version += 1

    def texture(self, one: Input) -> Any:
        """What the input `one`, of the type audio or audioFFT, reads now: a wave about one half, or a
        spectrum."""
        key = one.type, one.samples
        version, texture = self._textures.get(key, (-1, None))
        if version == self._version:
            return texture
        rows = self._heard[one.type]
        columns = min(one.samples or rows.shape[1], LARGEST_PX)
        if columns != rows.shape[1]:
            rows = REDUCED[one.type](rows, columns)
        if one.type == "audio":
            rows = 0.5 + 0.5 * rows
        size = (rows.shape[1], rows.shape[0])
        if texture is None or texture.size != size:
            if texture is not None:
                texture.release()
            texture = self._card.texture(size, floats=True, components=1)
            texture.swizzle = "RRR1"
        texture.write(np.ascontiguousarray(rows, np.float32).tobytes())
        self._textures[key] = (self._version, texture)
        return texture

    def release(self) -> None:
        """Give its textures back."""
        for _, texture in self._textures.values():
            texture.release()
        self._textures = {}
