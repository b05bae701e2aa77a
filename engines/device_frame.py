"""A whole frame on one device: encode, rest, denoise, guard, planes and decode, as one CUDA graph on a GPU.

Shared by torch and TensorRT, and run by torch on a CPU stage by stage. The guard chooses on the device: what
it does not admit is never decoded, and the host is asked nothing between the camera's frame and the picture.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol

import numpy as np
import torch
from torch import Tensor

from vivant.engines.contract import EngineError, Part, TensorSpec
from vivant.engines.cuda import OnFailure
from vivant.engines.device_graph import Mark, Order, Stage, StageGraph
from vivant.engines.walk import WIDTH, Walk
from vivant.runtime.frames import F32, U8, Array

MADE: Final = frozenset({"code", "guide", "planes", "frame", "sigma"})  # inputs that the frame itself makes
NO_NUMBERS: Final[F32] = np.zeros(0, np.float32)


class TensorPart(Protocol):
    """A part of a student whose tensors lie on a device, on torch's current stream."""

    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]

    def put_tensors(self, tensors: Mapping[str, Tensor]) -> None:
        """One run from and into tensors by name; neither waits nor asks the host."""


class Chooser(Protocol):
    """The guard on a device (vivant.guardrails.device): what it admits of a finished latent becomes `code`
    and `guide`, what it found `numbers`; all three stay where they are."""

    code: Tensor
    guide: Tensor | None
    numbers: Tensor

    def choose(self, code: Tensor, guide: Tensor | None) -> None: ...


class Planes(Protocol):
    """Planes on a device (vivant.engines.field_torch)."""

    planes: Tensor
    shift: Tensor

    def put(self, guide: Tensor, asked: Tensor) -> None: ...


@dataclass(frozen=True, slots=True)
class Asked:
    """What one frame is to be: its walk; `bands`, within which code and guide stay at rest
    (vivant.runtime.rest); what the planes are asked for (TorchPlaneField.ask), nothing where there are
    none."""

    walk: Walk
    bands: tuple[float, float] = (0.0, 0.0)
    planes: F32 = field(default_factory=lambda: NO_NUMBERS)


@dataclass(frozen=True, slots=True)
class Painted:
    """`pixels` u8 (H, W, 4) RGBA and `guide` (1, 1, H/2, W/2) of the latent that the guard chose, `numbers`
    what it found, all valid until the next frame; what each stage took on the device."""

    pixels: U8
    guide: F32 | None
    numbers: F32
    timings_ms: Mapping[str, float]


class Mirror:
    """An array on the host and the same on the device, which both stay where they are. `array` is numpy's."""

    def __init__(self, shape: tuple[int, ...], dtype: str, device: torch.device) -> None:
        kind = torch.from_numpy(np.empty(0, dtype)).dtype
        self._host = torch.zeros(shape, dtype=kind, pin_memory=device.type == "cuda")
        self.array: Array = self._host.numpy()
        self.tensor = torch.zeros(shape, dtype=kind, device=device)

    def up(self) -> None:
        """Put the copy to the device on the current stream."""
        self.tensor.copy_(self._host, non_blocking=True)

    def down(self, source: Tensor) -> None:
        """Put the copy of a device's tensor to the host on the current stream."""
        self._host.copy_(source, non_blocking=True)


class DeviceFrame:
    """One student at one size on one device. One thread may use it.

    `give` what does not change with every frame (styles, adapters, prompts) and `give_noise` before the first
    `paint`; both may be called between any two frames."""

    def __init__(
        self,
        parts: Mapping[Part, TensorPart],
        device: torch.device,
        chooser: Chooser,
        planes: Planes | None = None,
        steps: Sequence[int] = (1, 2, 3, 4),
        noises: int = 1,
        on_failure: OnFailure = "stop",
    ) -> None:
        """Captures a graph for each number in `steps`. `noises` is how many noises walks may use: one, and
        one more for each step that adds fresh noise. Raises EngineError as StageGraph does."""
        self._parts, self._chooser, self._field = parts, chooser, planes
        self._order = Order(device)
        self._most = max(steps)
        encode, denoise = parts["encode"], parts["denoise"]
        shapes = {spec.name: spec for part in parts.values() for spec in (*part.inputs, *part.outputs)}
        self._frame = _mirror(shapes["frame"], device)
        self._picture = _mirror(shapes["picture"], device)
        self._numbers = Mirror((2 + 2 + WIDTH * self._most + _asked(planes),), "float32", device)
        self._found = Mirror(tuple(chooser.numbers.shape), "float32", device)
        self._noise = [_mirror(shapes["denoised"], device) for _ in range(noises)]
        self._given = {
            (part, spec.name): _mirror(spec, device)
            for part, engine in parts.items()
            for spec in engine.inputs
            if spec.name not in MADE
        }
        self._seen = {spec.name: _zeros(spec, device) for spec in encode.outputs}
        self._held = {spec.name: _zeros(spec, device) for spec in encode.outputs}
        self._code = _zeros(denoise.outputs[0], device)
        self._denoised = _zeros(denoise.outputs[0], device)
        self._sigma = torch.zeros(1, 1, device=device)
        self._guide = _mirror(shapes["guide"], device) if "guide" in self._seen else None
        self._shift = Mirror(tuple(planes.shift.shape), "int16", device) if planes is not None else None
        self._numbers.array[2] = 1.0
        self._marks = (Mark(device), Mark(device))
        with self._order():
            self._numbers.up()
        self.graphs = {n: StageGraph(self._stages(n), self._order, on_failure) for n in steps}
        self.forget()

    @property
    def without_graph(self) -> int:
        """How many frames ran without a graph, by the policy no_graph."""
        return sum(graph.without_graph for graph in self.graphs.values())

    def forget(self) -> None:
        """Take the next frame's latent as it is, at rest with nothing that came before."""
        with self._order():
            for held in self._held.values():
                held.fill_(torch.nan)

    def give(self, part: Part, name: str, array: Array) -> None:
        """Set an input of a part from the next frame on; what is the same already costs a comparison. Raises
        EngineError for an input that is not there or does not fit."""
        held = self._given.get((part, name))
        if held is None or held.array.shape != array.shape or held.array.dtype != array.dtype:
            needed = "no such input" if held is None else f"{held.array.dtype} {held.array.shape}"
            raise EngineError(f"{part}.{name} was given {array.dtype} {array.shape}; it takes {needed}")
        if not np.array_equal(held.array, array):
            np.copyto(held.array, array)
            with self._order():
                held.up()

    def give_noise(self, index: int, noise: F32) -> None:
        """Set a noise: 0 is mixed in at the start, i is what step i adds."""
        np.copyto(self._noise[index].array, noise)
        with self._order():
            self._noise[index].up()

    def carry(self, shift: Array | None) -> None:
        """By how many blocks textures were carried (PlaneField), (H/2, W/2, 2); None by none."""
        if self._shift is None or self._field is None or (shift is None and not self._shift.array.any()):
            return
        self._shift.array[...] = 0 if shift is None else shift
        with self._order():
            self._shift.up()
            self._field.shift.copy_(self._shift.tensor)

    def paint(self, pixels: U8, asked: Asked) -> Painted:
        """One frame, u8 (H, W, 3) sRGB; returns when its picture is on the host."""
        graph = self.graphs.get(len(asked.walk.steps))
        if graph is None:
            known = ", ".join(map(str, self.graphs))
            raise EngineError(f"frames of {known} steps were made ready, not of {len(asked.walk.steps)}")
        if pixels.shape != self._frame.array.shape[1:] or pixels.dtype != np.uint8:
            wanted = self._frame.array.shape[1:]
            raise EngineError(f"frames are uint8 {wanted}, but {pixels.dtype} {pixels.shape} was given")
        np.copyto(self._frame.array[0], pixels)
        numbers = self._numbers.array
        numbers[:2] = asked.bands
        numbers[2 : 4 + WIDTH * self._most] = asked.walk.numbers(self._most)
        numbers[4 + WIDTH * self._most :] = asked.planes
        before, after = self._marks
        with self._order():
            before.pass_by()
            self._frame.up()
            self._numbers.up()
            graph.launch()
            self._picture.down(self._picture.tensor)
            self._found.down(self._chooser.numbers)
            if self._guide is not None and self._chooser.guide is not None:
                self._guide.down(self._chooser.guide)
            after.pass_by()
        self._order.wait()
        timings = {"upload": graph.first.ms_since(before), **graph.timings_ms()}
        timings["download"] = after.ms_since(graph.last)
        guide = self._guide.array if self._guide is not None else None
        return Painted(self._picture.array[0], guide, self._found.array, timings)

    def _stages(self, steps: int) -> list[Stage]:
        found: list[Stage] = [("encode", self._encode), ("denoise", lambda: self._denoise(steps))]
        found.append(("guard", lambda: self._chooser.choose(self._code, self._held.get("guide"))))
        if self._field is not None:
            found.append(("planes", self._plan))
        return [*found, ("decode", self._decode)]

    def _encode(self) -> None:
        self._parts["encode"].put_tensors({"frame": self._frame.tensor, **self._seen})
        for index, (name, held) in enumerate(self._held.items()):
            now = self._seen[name]
            still = (now - held).abs() <= self._numbers.tensor[index]  # false for a NaN, which comes through
            held.copy_(torch.where(still, held, now))

    def _denoise(self, steps: int) -> None:
        start = self._numbers.tensor[2:4]
        self._code.copy_(self._held["code"] * start[0] + self._noise[0].tensor * start[1])
        tensors = {"sigma": self._sigma, "code": self._code, "denoised": self._denoised}
        tensors |= self._with_guide(self._held.get("guide")) | self._given_to("denoise")
        for index in range(steps):
            sigma, a, b, c = self._numbers.tensor[4 + WIDTH * index :][:WIDTH].unbind()
            self._sigma.copy_(sigma)
            self._parts["denoise"].put_tensors(tensors)
            after = self._code * a + self._denoised * b
            if index + 1 < len(self._noise):
                after = after + self._noise[index + 1].tensor * c
            self._code.copy_(after)

    def _plan(self) -> None:
        assert self._field is not None and self._chooser.guide is not None
        self._field.put(self._chooser.guide, self._numbers.tensor[4 + WIDTH * self._most :])

    def _decode(self) -> None:
        tensors = {"code": self._chooser.code, "picture": self._picture.tensor}
        tensors |= self._with_guide(self._chooser.guide) | self._given_to("decode")
        if self._field is not None:
            tensors["planes"] = self._field.planes
        self._parts["decode"].put_tensors(tensors)

    def _given_to(self, part: Part) -> dict[str, Tensor]:
        return {name: held.tensor for (of, name), held in self._given.items() if of == part}

    def _with_guide(self, guide: Tensor | None) -> dict[str, Tensor]:
        return {} if guide is None else {"guide": guide}


def _asked(planes: Planes | None) -> int:
    from vivant.engines.field_torch import ASKED

    return 0 if planes is None else ASKED


def _mirror(spec: TensorSpec, device: torch.device) -> Mirror:
    return Mirror(spec.shape, spec.dtype, device)


def _zeros(spec: TensorSpec, device: torch.device) -> Tensor:
    return Mirror(spec.shape, spec.dtype, device).tensor
