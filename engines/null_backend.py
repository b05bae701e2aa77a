"""A student in plain numpy: no weights, no library. It runs the whole show where nothing else can, and in
tests; the picture is the room in coarse colour, lit by the guide, with the planes' relief on it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib.metadata import version
from types import TracebackType
from typing import Self

import numpy as np

from vivant.engines.contract import Availability, EngineError, GraphSource, Part
from vivant.engines.slots import GROUPS, block
from vivant.engines.specs import Specs, check_arrays, tensor_specs
from vivant.engines.textures.store import UNIT, ZERO
from vivant.runtime.frames import F32, Array

LUMA = np.array([0.299, 0.587, 0.114], np.float32)  # ITU-R BT.601
GAIN = 4.0  # brings pooled colours to about unit variance
TINT = 0.35  # in units of the code
RELIEF = 0.35

Tensors = Mapping[str, Array]


def available() -> Availability:
    """Always."""
    return Availability(True, version("vivant"))


def load(source: GraphSource, size_px: tuple[int, int], threads: int) -> NullEngine:
    """`threads` and the source's precision change nothing here: it is float32 on one thread."""
    specs = tensor_specs(source.card, source.part, size_px)
    return NullEngine(_PARTS[source.part], specs, f"{source.card.name}.{source.part}")


class NullEngine:
    """One part, as a function on numpy arrays."""

    ran_precision = "f32"

    def __init__(
        self, part: Callable[[Tensors, Tensors], None], specs: tuple[Specs, Specs], graph: str
    ) -> None:
        self.inputs, self.outputs = specs
        self._graph = graph
        self._part: Callable[[Tensors, Tensors], None] | None = part

    def run(self, inputs: Tensors, outputs: Tensors) -> None:
        if self._part is None:
            raise EngineError(f"{self._graph} is closed")
        check_arrays(self.inputs, inputs, self._graph)
        check_arrays(self.outputs, outputs, self._graph)
        self._part(inputs, outputs)

    def close(self) -> None:
        self._part = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _encode(inputs: Tensors, outputs: Tensors) -> None:
    """Channels 0-2 are the mean colour of 8x8 pixels, the rest the mean colours of its 4x4 quadrants."""
    frame, code = inputs["frame"][0], outputs["code"][0]
    rows = frame[0::2].astype(np.uint16) + frame[1::2]
    half = (rows[:, 0::2] + rows[:, 1::2]).astype(np.float32) * np.float32(1 / (4 * 255))
    outputs["guide"][0, 0] = half @ LUMA
    quadrants = _halved(half)
    code[:3] = _halved(quadrants).transpose(2, 0, 1)
    for channel in range(3, len(code)):
        quadrant, colour = divmod(channel - 3, 3)
        code[channel] = quadrants[quadrant // 2 % 2 :: 2, quadrant % 2 :: 2, colour]
    code -= np.float32(0.5)
    code *= np.float32(GAIN)


def _denoise(inputs: Tensors, outputs: Tensors) -> None:
    """The noisier, the more each place takes from its neighbours; a style adds its tint to the colours."""
    code, sigma, style = inputs["code"][0], float(inputs["sigma"][0, 0]), inputs["style"][0]
    padded = np.pad(code, ((0, 0), (1, 1), (1, 1)), mode="edge")
    around = padded[:, :-2, 1:-1] + padded[:, 2:, 1:-1] + padded[:, 1:-1, :-2] + padded[:, 1:-1, 2:]
    share = np.float32(min(sigma, 0.8))
    denoised = outputs["denoised"][0]
    denoised[...] = code * (1 - share) + around * (share / 4)
    denoised[:3] += (style @ _tints(len(style)))[:, None, None]


def _decode(inputs: Tensors, outputs: Tensors) -> None:
    code, guide, planes = inputs["code"][0], inputs["guide"][0, 0], inputs["planes"][0]
    height, width = guide.shape
    colour = np.clip(code[:3].transpose(1, 2, 0) / np.float32(GAIN) + np.float32(0.5), 0.02, 1)
    shade = colour / (colour @ LUMA)[:, :, None]  # colour at luma 1, lit by the guide below
    # the mean of all planes, pixel by pixel: a block's groups hold y, x, plane in turn
    relief = np.zeros((height, 2, width, 2), np.float32)
    for group, names in GROUPS.items():
        part = planes[..., block(group)].reshape(height, width, 2, 2, len(names))
        relief += part.sum(axis=-1, dtype=np.uint16).transpose(0, 2, 1, 3) - np.float32(ZERO * len(names))
    relief = relief.reshape(2 * height, 2 * width) * np.float32(RELIEF / UNIT)
    light = np.repeat(np.repeat(guide, 2, 0), 2, 1) * (1 + relief) * 255
    picture = outputs["picture"][0]
    rgb = np.repeat(np.repeat(shade, 8, 0), 8, 1) * light[:, :, None]
    picture[:, :, :3] = np.clip(rgb, 0, 255)
    picture[:, :, 3] = 255


def _halved(x: F32) -> F32:
    return (x[0::2, 0::2] + x[1::2, 0::2] + x[0::2, 1::2] + x[1::2, 1::2]) * np.float32(0.25)


def _tints(styles: int) -> F32:
    """One colour offset a style, evenly round the colour circle: (S, 3)."""
    turn = np.arange(styles)[:, None] / styles + np.arange(3)[None] / 3
    return (TINT * np.cos(2 * np.pi * turn)).astype(np.float32)


_PARTS: dict[Part, Callable[[Tensors, Tensors], None]] = {
    "encode": _encode,
    "denoise": _denoise,
    "decode": _decode,
}
