"""A whole frame on one device: encode, rest, denoise, guard, planes and decode, as one CUDA graph on a GPU.

Shared by torch and TensorRT, and run by torch on a CPU stage by stage. The guard chooses on the device: what
it does not admit is never decoded, and the host is asked nothing between the camera's frame and the picture.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

import numpy as np
import torch
from torch import Tensor

from vivant.engines.contract import EngineError, Part, TensorSpec
from vivant.engines.cuda import OnFailure
from vivant.engines.device_contract import Chooser, DeviceStudent, Keeper, Mirror, Planes
from vivant.engines.device_graph import Mark, Order, Stage, StageGraph
from vivant.engines.walk import WIDTH, Walk
from vivant.runtime.frames import F32, U8, Array

MADE: Final = frozenset({"planes", "frame", "sigma", "control"})  # by the frame itself, as all outputs are
NO_NUMBERS: Final[F32] = np.zeros(0, np.float32)
FEEDBACK: Final = 2  # after the bands of code and guide
SHARE: Final = 3
START: Final = 4
STEPS: Final = 6


@dataclass(frozen=True, slots=True)
class Asked:
    """What one frame is to be: its walk; `bands`, within which code and guide stay at rest
    (vivant.runtime.rest); `feedback`, the share of the code that was admitted last in this one's; `share`,
    that of this picture in the mean where nothing changed (vivant.runtime.still), 1 takes it as it is; what
    the guard is told (Chooser), and what the planes are asked for (TorchPlaneField.ask), nothing where there
    are none."""

    walk: Walk
    bands: tuple[float, float] = (0.0, 0.0)
    feedback: float = 0.0
    share: float = 1.0
    guard: F32 = field(default_factory=lambda: NO_NUMBERS)
    planes: F32 = field(default_factory=lambda: NO_NUMBERS)


@dataclass(frozen=True, slots=True)
class Painted:
    """`pixels` u8 (H, W, 4) RGBA and `guide` (1, 1, H/2, W/2) of the latent that the guard chose, `numbers`
    what it found, all valid until the next frame; what each stage took on the device."""

    pixels: U8
    guide: F32 | None
    numbers: F32
    timings_ms: Mapping[str, float]


class DeviceFrame:
    """One student at one size on one device. One thread may use it.

    `give` what does not change with every frame (styles, adapters, prompts) and `give_noise` before the first
    `paint`; both may be called between any two frames."""

    def __init__(
        self,
        student: DeviceStudent,
        chooser: Chooser,
        planes: Planes | None = None,
        still: Keeper | None = None,
        on_failure: OnFailure = "stop",
    ) -> None:
        """Captures a graph for each of the student's numbers of steps. Raises EngineError as StageGraph
        does."""
        self._parts, self._chooser, self._field, self._still = student.parts, chooser, planes, still
        self._order = Order(student.device)
        self._most = max(student.steps)
        self._make_room(student, {s.name: s for p in self._parts.values() for s in (*p.inputs, *p.outputs)})
        self._numbers.array[START] = self._numbers.array[SHARE] = 1.0
        self._marks = (Mark(student.device), Mark(student.device))
        self._order.after_others()  # what lies on the device was put there on another stream
        with self._order():
            self._numbers.up()
        self.graphs = {n: StageGraph(self._stages(n), self._order, on_failure) for n in student.steps}
        self._first = self._again = None
        if student.leaves_out:
            self._first = StageGraph([("encode", self._encode)], self._order, on_failure)
            self._again = StageGraph([("decode", self._keep)], self._order, on_failure)
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

    def give_edges(self, edges: U8) -> None:
        """What a ControlNet is shown of the next frame, u8 (1, H, W, 1)."""
        assert self._edges is not None
        np.copyto(self._edges.array, edges)
        with self._order():
            self._edges.up()

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
        self._write(asked, pixels)
        return self._painted(graph)

    def look(self, pixels: U8, asked: Asked) -> tuple[F32, Mapping[str, float]]:
        """The clean code of a frame at rest, (1, C, h, w), valid until the next one, and what it took: for a
        student that leaves frames out. To encode the same frame again does no harm."""
        assert self._first is not None
        self._write(asked, pixels)
        before, after = self._marks
        with self._order():
            before.pass_by()
            self._frame.up()
            self._numbers.up()
            self._first.launch()
            self._clean.down(self._held["code"])
            after.pass_by()
        self._order.wait()
        return self._clean.array, self._took(self._first)

    def again(self, asked: Asked) -> Painted:
        """The latent that was painted last stands: its picture once more."""
        assert self._again is not None
        self._write(asked)
        return self._painted(self._again)

    def _write(self, asked: Asked, pixels: U8 | None = None) -> None:
        numbers, walked = self._numbers.array, STEPS + WIDTH * self._most
        told = walked + self._chooser.asked
        numbers[:FEEDBACK] = asked.bands
        numbers[FEEDBACK], numbers[SHARE] = asked.feedback, asked.share
        numbers[START:walked] = asked.walk.numbers(self._most)
        numbers[walked:told] = asked.guard if asked.guard.size else 0.0
        numbers[told:] = asked.planes
        if pixels is None:
            return
        if pixels.shape != self._frame.array.shape[1:] or pixels.dtype != np.uint8:
            wanted = self._frame.array.shape[1:]
            raise EngineError(f"frames are uint8 {wanted}, but {pixels.dtype} {pixels.shape} was given")
        np.copyto(self._frame.array[0], pixels)

    def _painted(self, graph: StageGraph) -> Painted:
        before, after = self._marks
        self._order.after_others()
        with self._order():
            before.pass_by()
            self._frame.up()
            self._numbers.up()
            graph.launch()
            self._picture.down(self._picture.tensor if self._still is None else self._still.picture)
            self._found.down(self._chooser.numbers)
            if self._guide is not None and self._chooser.guide is not None:
                self._guide.down(self._chooser.guide)
            after.pass_by()
        self._order.wait()
        guide = self._guide.array if self._guide is not None else None
        return Painted(self._picture.array[0], guide, self._found.array, self._took(graph))

    def _took(self, graph: StageGraph) -> Mapping[str, float]:
        before, after = self._marks
        upload, download = graph.first.ms_since(before), after.ms_since(graph.last)
        return {"upload": upload, **graph.timings_ms(), "download": download}

    def _make_room(self, student: DeviceStudent, specs: Mapping[str, TensorSpec]) -> None:
        """Everything that a graph reads and writes, at places that it may record."""
        device, planes = student.device, self._field
        made = MADE | {spec.name for part in self._parts.values() for spec in part.outputs}
        self._frame, self._picture = Mirror.of(specs["frame"], device), Mirror.of(specs["picture"], device)
        told = self._chooser.asked + _asked(planes)
        self._numbers = Mirror((STEPS + WIDTH * self._most + told,), "float32", device)
        self._found = Mirror(tuple(self._chooser.numbers.shape), "float32", device)
        self._noise = [Mirror.of(specs["denoised"], device) for _ in range(student.noises)]
        self._given = {
            (part, spec.name): Mirror.of(spec, device)
            for part, engine in self._parts.items()
            for spec in engine.inputs
            if spec.name not in made and (part, spec.name) not in student.kept
        }
        self._kept = student.kept
        encoded = self._parts["encode"].outputs
        self._seen = {spec.name: Mirror.of(spec, device).tensor for spec in encoded}
        self._held = {spec.name: Mirror.of(spec, device).tensor for spec in encoded}
        self._clean = Mirror.of(specs["denoised"], device)
        self._made = {spec.name: Mirror.of(spec, device).tensor for spec in self._between(specs)}
        self._made["sigma"] = torch.zeros(1, 1, device=device)
        self._guide = Mirror.of(specs["guide"], device) if "guide" in self._seen else None
        self._shift = Mirror(tuple(planes.shift.shape), "int16", device) if planes is not None else None
        shown = (*specs["frame"].shape[:3], 1)
        self._edges = Mirror(shown, "uint8", device) if student.sees == "edges" else None

    def _between(self, specs: Mapping[str, TensorSpec]) -> list[TensorSpec]:
        """What passes between the networks within a step: the code, what a ControlNet is shown and adds."""
        denoise = self._parts["denoise"]
        steering = self._parts["control"].outputs if "control" in self._parts else ()
        shown = [specs["control"]] if "control" in specs else []
        code = next(spec for spec in denoise.inputs if spec.name == "code")
        return [code, *denoise.outputs, *steering, *shown]

    def _stages(self, steps: int) -> list[Stage]:
        found: list[Stage] = [("encode", self._encode), ("denoise", lambda: self._denoise(steps))]
        found.append(("guard", self._choose))
        if self._field is not None:
            found.append(("planes", self._plan))
        return [*found, ("decode", self._decode)]

    def _encode(self) -> None:
        self._parts["encode"].put_tensors({"frame": self._frame.tensor, **self._seen})
        for index, (name, held) in enumerate(self._held.items()):
            now = self._seen[name]
            still = (now - held).abs() <= self._numbers.tensor[index]  # false for a NaN, which comes through
            held.copy_(torch.where(still, held, now))
        if "control" in self._made:
            shown = self._frame if self._edges is None else self._edges
            self._made["control"].copy_(shown.tensor.permute(0, 3, 1, 2).float() * (1 / 255))

    def _denoise(self, steps: int) -> None:
        code, denoised = self._made["code"], self._made["denoised"]
        numbers = self._numbers.tensor
        clean = self._held["code"] * (1 - numbers[FEEDBACK]) + self._chooser.code * numbers[FEEDBACK]
        code.copy_(clean * numbers[START] + self._noise[0].tensor * numbers[START + 1])
        tensors = self._made | self._with_guide(self._held.get("guide"))
        for index in range(steps):
            sigma, a, b, c = numbers[STEPS + WIDTH * index :][:WIDTH].unbind()
            self._made["sigma"].copy_(sigma)
            for part in ("control", "denoise"):
                if part in self._parts:
                    self._put(part, tensors)
            after = code * a + denoised * b
            if index + 1 < len(self._noise):
                after = after + self._noise[index + 1].tensor * c
            code.copy_(after)

    def _choose(self) -> None:
        told = self._numbers.tensor[STEPS + WIDTH * self._most :][: self._chooser.asked]
        self._chooser.choose(self._made["code"], self._held.get("guide"), told)

    def _plan(self) -> None:
        assert self._field is not None and self._chooser.guide is not None
        planes = STEPS + WIDTH * self._most + self._chooser.asked
        self._field.put(self._chooser.guide, self._numbers.tensor[planes:])

    def _decode(self) -> None:
        tensors = {"code": self._chooser.code, "picture": self._picture.tensor}
        tensors |= self._with_guide(self._chooser.guide)
        if self._field is not None:
            tensors["planes"] = self._field.planes
        self._put("decode", tensors)
        self._keep()

    def _keep(self) -> None:
        if self._still is not None:
            planes = self._field.planes if self._field is not None else None
            self._still.keep(self._picture.tensor, self._chooser, planes, self._numbers.tensor[SHARE])

    def _put(self, part: Part, tensors: Mapping[str, Tensor]) -> None:
        """One run of a part, with what it is given from outside of the frame."""
        engine = self._parts[part]
        given = {name: held.tensor for (of, name), held in self._given.items() if of == part}
        given |= {name: kept for (of, name), kept in self._kept.items() if of == part}
        every = {**tensors, **given}
        engine.put_tensors({spec.name: every[spec.name] for spec in (*engine.inputs, *engine.outputs)})

    def _with_guide(self, guide: Tensor | None) -> dict[str, Tensor]:
        return {} if guide is None else {"guide": guide}


def _asked(planes: Planes | None) -> int:
    from vivant.engines.field_torch import ASKED

    return 0 if planes is None else ASKED
