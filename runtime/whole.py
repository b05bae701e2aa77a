"""The picture's stages from encode to decode as one piece of work on a GPU, for students that offer it.

What runtime.path does stage by stage, with the same rest, guard, planes and textures; here the guard chooses
on the device, and a picture that it did not admit is not handed on.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from vivant.engines.cuda import OnFailure
from vivant.engines.device_frame import NO_NUMBERS, Asked, DeviceFrame
from vivant.engines.field_torch import TorchPlaneField
from vivant.engines.on_device import DeviceStudent
from vivant.guardrails.device import DeviceGuard
from vivant.runtime.frames import F32, U8, Controls, Verdict
from vivant.runtime.rest import CODE_BAND, GUIDE_BAND

STEPS = (1, 2, 3, 4)
NO_PIXELS: U8 = np.empty((0, 0, 4), np.uint8)


@dataclass(frozen=True, slots=True)
class Whole:
    """One frame: `pixels` u8 (H, W, 4) RGBA, valid until the next one and empty unless the verdict admits;
    what each stage took on the device."""

    verdict: Verdict
    pixels: U8
    timings_ms: Mapping[str, float]


class WholeFrame:
    """One student at one size. One thread. Made before the show: it captures a graph for each number of
    steps, and lays out the textures of `recipes`."""

    def __init__(
        self,
        student: DeviceStudent,
        guard: DeviceGuard,
        recipes: tuple[str, ...],
        seed: int,
        on_failure: OnFailure = "stop",
        steps: tuple[int, ...] = STEPS,
    ) -> None:
        """`seed` moves the textures under the canvas. Raises EngineError."""
        _, height, width, _ = _shapes(student)["picture"]
        guided = guard.guide is not None
        self._student, self.guard = student, guard
        self._field = TorchPlaneField((width, height), seed, student.device, recipes) if guided else None
        self.frame = DeviceFrame(
            student.parts, student.device, guard, self._field, steps, student.noises, on_failure
        )
        self._noises: list[F32 | None] = [None] * student.noises
        self._guide: F32 | None = None
        if self._field is not None:
            self._field.forget()

    @classmethod
    def load(
        cls, student: DeviceStudent, guard_file: tuple[Path, str], recipes: tuple[str, ...], seed: int
    ) -> WholeFrame:
        """With the guard of a student (LoadedStudent.guard_file)."""
        made = _shapes(student)
        guard = DeviceGuard.load(*guard_file, made["denoised"], made.get("guide"), student.device)
        return cls(student, guard, recipes, seed)

    @property
    def without_graph(self) -> int:
        """How many frames were put together anew, by the policy no_graph."""
        return self.frame.without_graph

    def picture(self, pixels: U8, controls: Controls, smooth: float, hold: float, carry: float) -> Whole:
        """One frame u8 (H, W, 3); `smooth`, `hold` and `carry` as Rest.settle and PlaneField.update have
        them.

        Textures are carried by the motion up to the frame before: its guide is what the host has."""
        walk, recipes, noises, given = self._student.asks(controls)
        for index, noise in enumerate(noises):
            if noise is not self._noises[index]:
                self.frame.give_noise(index, noise)
                self._noises[index] = noise
        for (part, name), array in given.items():
            self.frame.give(part, name, array)
        planes = NO_NUMBERS
        if self._field is not None:
            planes = self._field.ask(recipes, hold)
            if self._guide is not None:
                self.frame.carry(self._field.follow(self._guide, recipes, carry))
        smooth = max(smooth, 0.0)
        painted = self.frame.paint(pixels, Asked(walk, (CODE_BAND * smooth, GUIDE_BAND * smooth), planes))
        verdict = self.guard.verdict(painted.numbers, painted.timings_ms["guard"])
        self._guide = painted.guide
        return Whole(verdict, painted.pixels if verdict.admits else NO_PIXELS, painted.timings_ms)


def _shapes(student: DeviceStudent) -> dict[str, tuple[int, ...]]:
    """Of what its parts give, by name."""
    return {spec.name: spec.shape for part in student.parts.values() for spec in part.outputs}
