"""The picture's stages from encode to decode as one piece of work on a GPU, for students that offer it.

What runtime.path does stage by stage, with the same rest, guard, planes, textures and stillness; here the
guard chooses and softens on the device, and a picture that it did not admit is not handed on.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from vivant.engines.cuda import OnFailure
from vivant.engines.device_contract import DeviceStudent
from vivant.engines.device_frame import NO_NUMBERS, Asked, DeviceFrame, Painted
from vivant.engines.field_torch import TorchPlaneField
from vivant.engines.walk import Wish
from vivant.guardrails.acts import Acts
from vivant.guardrails.device import NUMBERS, DeviceGuard
from vivant.guardrails.frozen import Frozen
from vivant.runtime.frames import F32, U8, Clock, Controls, MonotonicClock, Verdict
from vivant.runtime.rest import CODE_BAND, GUIDE_BAND
from vivant.runtime.still import SHARE
from vivant.runtime.still_device import DeviceStill

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
        clock: Clock | None = None,
    ) -> None:
        """`seed` moves the textures under the canvas. Raises EngineError."""
        made = _shapes(student)
        _, height, width, _ = made["picture"]
        self._student, self.guard = student, guard
        clock = clock or MonotonicClock()
        self.acts, self.frozen = Acts(clock), Frozen(clock)
        planes = None
        self._field = None
        if guard.guide is not None:
            self._field = TorchPlaneField((width, height), seed, student.device, recipes)
            planes = tuple(self._field.planes.shape)
        still = DeviceStill(made["picture"], made["denoised"], made.get("guide"), planes, student.device)
        self.frame = DeviceFrame(student, guard, self._field, still, on_failure)
        self._noises: list[F32 | None] = [None] * student.noises
        self._guide: F32 | None = None
        self._last: Verdict | None = None
        self._kept_for: object = None
        self._admitted = False
        self._smooth = 0.0
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

    def show_anew(self) -> None:
        """The next picture is taken as it is (Still.forget)."""
        self._kept_for = None

    def picture(self, pixels: U8, controls: Controls, smooth: float, hold: float, carry: float) -> Whole:
        """One frame u8 (H, W, 3); `smooth`, `hold` and `carry` as Rest.settle, Still.keep and
        PlaneField.update have them.

        Textures are carried by the motion up to the frame before: its guide is what the host has."""
        wish = self._student.asks(controls, pixels)
        self._give(wish)
        smooth = max(smooth, 0.0)
        if smooth and not self._smooth:
            self.frame.forget()  # as Rest does
        self._smooth = smooth
        style = (controls.styles, controls.adapters)
        asked = Asked(
            wish.walk,
            (CODE_BAND * smooth, GUIDE_BAND * smooth),
            wish.feedback if self._admitted else 0.0,
            SHARE**smooth if smooth and style == self._kept_for else 1.0,
            self.acts.asks(),
            self._planes(wish, hold, carry),
        )
        looked: Mapping[str, float] = {}
        if wish.left_out is not None:
            code, looked = self.frame.look(pixels, asked)
            if wish.left_out(code) and self._last is not None:
                return self._handed_on(self.acts.again(self._last), self.frame.again(asked), looked)
        painted = self.frame.paint(pixels, asked)
        self._last = self._judged(pixels, controls, painted)
        self._guide = painted.guide
        verdict = self.acts.again(self._last)
        if verdict.admits:
            self._admitted, self._kept_for = True, style if smooth else None
        return self._handed_on(verdict, painted, looked)

    def _judged(self, pixels: U8, controls: Controls, painted: Painted) -> Verdict:
        """What the device found, and what the host holds against it."""
        numbers = dict(zip(NUMBERS, painted.numbers, strict=True))
        verdict = self.guard.verdict(painted.numbers, painted.timings_ms["guard"])
        near = self.guard.near
        self.frozen.see(pixels)
        still = self.frozen.told(bool(numbers["same"]), controls)
        if not still.admits:
            verdict, near = still, False
        return self.acts.told(verdict, near, int(numbers["which"]))

    def _give(self, wish: Wish) -> None:
        for index, noise in enumerate(wish.noises):
            if noise is not self._noises[index]:
                self.frame.give_noise(index, noise)
                self._noises[index] = noise
        for (part, name), array in wish.given.items():
            self.frame.give(part, name, array)
        if wish.edges is not None:
            self.frame.give_edges(wish.edges)

    def _planes(self, wish: Wish, hold: float, carry: float) -> F32:
        if self._field is None:
            return NO_NUMBERS
        if self._guide is not None:
            self.frame.carry(self._field.follow(self._guide, wish.recipes, carry))
        return self._field.ask(wish.recipes, hold)

    def _handed_on(self, verdict: Verdict, painted: Painted, looked: Mapping[str, float]) -> Whole:
        took = dict(painted.timings_ms)
        for stage, ms in looked.items():
            took[stage] = took.get(stage, 0.0) + ms
        return Whole(verdict, painted.pixels if verdict.admits else NO_PIXELS, took)


def _shapes(student: DeviceStudent) -> dict[str, tuple[int, ...]]:
    """Of what its parts give, by name."""
    return {spec.name: spec.shape for part in student.parts.values() for spec in part.outputs}
