"""Measures every stage of a student on every backend, one frame of each in turn.

Taking turns means that what disturbs the machine disturbs all alike: the ratios hold where figures do not.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

import numpy as np

from vivant.engines import registry
from vivant.engines.contract import EngineError, LoadedStudent, Precision
from vivant.engines.field import PlaneField
from vivant.engines.kinds import load_student
from vivant.engines.machine import machine, versions
from vivant.engines.student import find
from vivant.runtime.frames import U8, Controls, Latent, Verdict

STAGES: Final = ("encode", "denoise", "guard", "planes", "decode", "total")
WARM_UP: Final = 3  # frames of each contender and style that are not counted
FRAMES: Final = 8  # pictures that are painted over and over
HOLD: Final = 0.9
STRENGTH: Final = 0.25  # of the house student; what has no styles is a diffusion student, and takes half
HALF_WAY: Final = 0.5

Judge = Callable[[Latent, Controls], Verdict]


class WholeFrame(Protocol):
    """All stages at once on a device (vivant.runtime.whole)."""

    def picture(self, pixels: U8, controls: Controls, smooth: float, hold: float, carry: float) -> Timed: ...


class Timed(Protocol):
    """What a whole frame says of itself."""

    @property
    def timings_ms(self) -> Mapping[str, float]: ...


@dataclass(slots=True)
class Contender:
    """One student on one backend in one precision; `whole` where its stages run as one. `times_ms` by stage,
    a sample a frame."""

    student: LoadedStudent
    threads: int
    judge: Judge
    planes: PlaneField | None
    whole: WholeFrame | None = None
    times_ms: dict[str, list[float]] = field(default_factory=dict)

    def paint(self, pixels: U8, controls: Controls, counted: bool) -> None:
        """One frame through all stages. It is decoded whatever the guard says: nobody sees it."""
        begun = time.perf_counter_ns()
        if self.whole is None:
            took = self._stage_by_stage(pixels, controls)
        else:
            took = dict(self.whole.picture(pixels, controls, 0.0, HOLD, 0.0).timings_ms)
        took["total"] = (time.perf_counter_ns() - begun) / 1e6
        if counted:
            for stage, ms in took.items():
                self.times_ms.setdefault(stage, []).append(ms)

    def _stage_by_stage(self, pixels: U8, controls: Controls) -> dict[str, float]:
        marks = [time.perf_counter_ns()]
        latent = self.student.encode(pixels)
        marks.append(time.perf_counter_ns())
        latent = self.student.denoise(latent, controls)
        marks.append(time.perf_counter_ns())
        self.judge(latent, controls)
        marks.append(time.perf_counter_ns())
        planes = None
        if self.planes is not None and latent.guide is not None:
            planes = self.planes.update(latent.guide, self.student.dress(controls), HOLD)
        marks.append(time.perf_counter_ns())
        self.student.decode(latent, planes, controls)
        marks.append(time.perf_counter_ns())
        return {stage: ns / 1e6 for stage, ns in zip(STAGES, np.diff(marks).tolist(), strict=False)}

    def rows(self) -> list[dict[str, Any]]:
        """A row for each stage, as the bench's JSON has them."""
        width, height = self.student.size_px
        named = {
            "student": self.student.card.name,
            "backend": self.student.backend,
            "precision": self.student.precision,
            "size": f"{width}x{height}",
            "threads": self.threads,
        }
        return [named | {"stage": stage} | _percentiles(times) for stage, times in self.times_ms.items()]


@dataclass(frozen=True, slots=True)
class Setting:
    """What is measured: a student's name or folder, at a size (None: its own), on so many threads, on some
    backends (none: all). `judge_of` and `whole_of` come from where guards are known."""

    student: str
    size_px: tuple[int, int] | None
    threads: int
    judge_of: Callable[[LoadedStudent], Judge]
    whole_of: Callable[[LoadedStudent], WholeFrame | None] = lambda student: None
    backends: tuple[str, ...] = ()


def contenders(setting: Setting) -> tuple[list[Contender], dict[str, str]]:
    """A student on everything that can run it here, and why the rest cannot. Raises EngineError when nothing
    can run it, and for a backend that is not there."""
    find(setting.student)  # a name that is wrong is wrong on every backend: say it once
    found: list[Contender] = []
    absent: dict[str, str] = {}
    for backend in setting.backends or registry.BACKENDS:
        state = registry.look(backend, deep=True)
        if not state.usable:
            absent[backend] = state.reason
            continue
        for precision in registry.BACKENDS[backend].precisions:
            try:
                found.append(_contender(setting, backend, precision))
            except EngineError as error:
                absent[f"{backend} {precision}"] = str(error)
    if not found:
        raise EngineError(f"nothing can run student {setting.student} here: " + "; ".join(absent.values()))
    return found, absent


def measure(racers: Sequence[Contender], seconds: float) -> Iterator[float]:
    """Paints with each contender in turn for `seconds`, an equal part of them in each style; yields the
    part that is done, in [0, 1]. Contenders start in another order each round."""
    asked = _controls(racers[0].student)
    frames = moving_scene(racers[0].student.size_px)
    for racer in racers:
        racer.student.prepare(asked[0])
    for index, controls in enumerate(asked):
        for _ in range(WARM_UP):
            for racer in racers:
                racer.paint(frames[0], controls, counted=False)
        start, rounds = time.perf_counter(), 0
        done = 0.0
        while done < 1 or rounds == 0:
            for turn in range(len(racers)):
                racer = racers[(turn + rounds) % len(racers)]
                racer.paint(frames[rounds % FRAMES], controls, counted=True)
            rounds += 1
            done = (time.perf_counter() - start) * len(asked) / seconds
            yield min((index + min(done, 1.0)) / len(asked), 1.0)


def results(racers: Sequence[Contender], absent: dict[str, str]) -> dict[str, Any]:
    """The bench's JSON: the machine, how busy it is (runnable threads over a minute, None where the system
    does not tell), what each contender really ran in, and the rows."""
    load = round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None
    ran = {f"{r.student.backend} {r.student.precision}": r.student.ran_precision for r in racers}
    about = machine() | {"load": load, "versions": versions(), "ran": ran, "absent": absent}
    return {"machine": about, "rows": [row for racer in racers for row in racer.rows()]}


def moving_scene(size_px: tuple[int, int]) -> list[U8]:
    """Frames u8 (H, W, 3) of soft discs that move over a gradient: a room, as far as cost goes."""
    width, height = size_px
    down, across = np.mgrid[0 : 1 : 1j * height, 0 : width / height : 1j * width].astype(np.float32)
    frames = []
    for turn in np.arange(FRAMES) / FRAMES * 2 * np.pi:
        frame = np.stack([0.3 + 0.4 * down, 0.35 + 0.2 * across, 0.6 - 0.3 * down], -1)
        for i, colour in enumerate(((0.9, 0.7, 0.5), (0.1, 0.15, 0.3), (0.7, 0.2, 0.2), (0.95, 0.95, 0.9))):
            x, y = 0.5 + 0.3 * np.cos(turn + i * 1.7), 0.5 + 0.2 * np.sin(turn * (1 + i % 2) + i)
            cover = 1 / (1 + np.exp(60 * (np.hypot(across - x, down - y) - 0.1 - 0.04 * i)))
            frame += cover[:, :, None] * (np.array(colour, np.float32) - frame)
        frames.append((np.clip(frame, 0, 1) * 255).astype(np.uint8))
    return frames


def _contender(setting: Setting, backend: str, precision: Precision) -> Contender:
    student = load_student(setting.student, backend, precision, setting.size_px, setting.threads)
    planes = PlaneField(student.size_px, 0) if student.recipes else None
    return Contender(student, setting.threads, setting.judge_of(student), planes, setting.whole_of(student))


def _controls(student: LoadedStudent) -> list[Controls]:
    """What is painted: each style in turn."""
    if not student.card.styles:
        return [Controls(strength=HALF_WAY)]
    return [Controls(strength=STRENGTH, styles={style: 1.0}) for style in student.card.styles]


def _percentiles(times_ms: list[float]) -> dict[str, Any]:
    p50, p95, p99 = np.percentile(times_ms, (50, 95, 99)).round(3).tolist()
    return {"p50_ms": p50, "p95_ms": p95, "p99_ms": p99, "runs": len(times_ms)}
