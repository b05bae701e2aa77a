"""The audition: an adapter is worn upon stored frames and controls, and the guard judges each latent.

What the student makes without it is judged too, and a way to paint that is held even then says nothing of
the adapter. One that paints a flat colour over pictures that were none fails as well. Runs off the picture's
path, on a student of its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, Self

import numpy as np

from vivant.engines.contract import Fitted, LoadedStudent, Precision
from vivant.engines.field import PlaneField
from vivant.engines.kinds import load_student
from vivant.engines.machine import cores
from vivant.guardrails.guard import Guard
from vivant.guardrails.guard_file import GuardFile
from vivant.runtime.adapters.job import guard_hash
from vivant.runtime.adapters.registry import Record
from vivant.runtime.condition import Condition
from vivant.runtime.frames import U8, Controls, Frame, Latent, Verdict, VivantError

STRENGTHS: Final = (0.1, 0.25, 0.5, 0.8)
MOMENTS: Final = (0, 45, 90, 150, 210, 270, 330, 400)  # frames of the performer's dance, at thirty a second
FPS: Final = 30.0
HALF_WORN: Final = 3  # every so many ways are tried at half scale too
MOST_HELD: Final = 0.06  # of the ways: a guard's false holds are far below, a bad adapter is held far more
FLAT: Final = 3.0  # standard deviation of a picture, of 255, that shows nothing
LONGEST_CAPTION: Final = 40  # characters that fit below a picture
STEADY_MS: Final = 10_000.0  # a judgement may take so long here: this process runs when nobody else does


@dataclass(frozen=True, slots=True)
class Way:
    """One frame u8 (H, W, 3) and the controls to paint it by, without an adapter."""

    pixels: U8
    controls: Controls


@dataclass(frozen=True, slots=True)
class Tried:
    """A way with an adapter at a scale: the guard's verdict, and what is wrong (empty: nothing). Pictures u8
    (H, W, 4) without and with it; they are for people, and the show never sees them."""

    way: Way
    scale: float
    verdict: Verdict
    problem: str
    without: U8
    worn: U8


def stored_ways(size_px: tuple[int, int], styles: Sequence[str], base: Controls) -> list[Way]:
    """Frames of the built-in performer by the controls that the scene starts with, at several strengths and
    seeds and in every style of a house student."""
    from vivant.runtime.senses.performer import SEED, SIZE_PX, Performer

    performer = Performer(SIZE_PX, SEED, FPS)
    ways = []
    for index, moment in enumerate(MOMENTS):
        frame = Frame(performer.frame(moment), index + 1, 0)
        pixels, _ = Condition(size_px).apply(frame, base)
        strength, styled = STRENGTHS[index % len(STRENGTHS)], base.styles
        if styles:
            styled = {styles[index % len(styles)]: 1.0}
        controls = replace(base, strength=strength, seed=index, styles=styled, adapters={}, size_px=size_px)
        ways.append(Way(pixels.copy(), base if not index and not styles else controls))
    return ways


class Stage:
    """A student of its own with its guard, and what it makes of the stored ways without any adapter. One
    thread; a context manager. Raises VivantError where the guard is closed: nothing can be judged then."""

    def __init__(self, student: LoadedStudent, base: Controls, guards: tuple[GuardFile, ...] = ()) -> None:
        self.student, self._guards = student, guards
        self.guard = Guard.load(*student.guard_file, limit_ms=STEADY_MS, more=guards, student=student.hash)
        if self.guard.closed:
            raise VivantError(f"no adapter can be auditioned: {self.guard.closed}")
        self._planes = PlaneField(student.size_px, 0) if student.recipes else None
        student.prepare(base)
        ways = stored_ways(student.size_px, student.card.styles, base)
        self._bare = [(way, picture) for way, verdict, picture in map(self._alone, ways) if verdict.admits]
        if not self._bare:
            raise VivantError(
                f"no adapter can be auditioned: the guard of {student.card.name} holds every stored picture "
                "even without one. Look at it with: vivant bench"
            )

    @classmethod
    def load(
        cls,
        student: str,
        backend: str,
        precision: Precision,
        size_px: tuple[int, int],
        base: Controls,
        guards: tuple[GuardFile, ...] = (),
    ) -> Self:
        """On as many threads as a show, so that its compiled engines are found in the store; `guards` are the
        scene's own, beside the student's."""
        loaded = load_student(student, backend, precision, size_px, cores())
        try:
            return cls(loaded, base, guards)
        except BaseException:
            loaded.close()
            raise

    def audition(self, fitted: Fitted) -> tuple[Record, list[Tried]]:
        """What the guard says of an adapter, and every way that was tried."""
        self.student.hang(fitted)
        tried = []
        for index, (way, without) in enumerate(self._bare):
            for scale in (1.0, 0.5) if index % HALF_WORN == 0 else (1.0,):
                tried.append(self._try(way, fitted.name, scale, without))
        held = [one for one in tried if one.problem]
        worst = min(held, key=lambda one: one.verdict.score, default=None)
        record = Record(
            name=fitted.name,
            sha256=fitted.hash,
            student=self.student.hash,
            guard=guard_hash(self.student.card, self._guards),
            passed=len(held) <= MOST_HELD * len(tried),
            held=len(held),
            tried=len(tried),
            reason=worst.problem if worst is not None else "",
        )
        return record, tried

    def close(self) -> None:
        """Give the student back."""
        self.student.close()

    def _alone(self, way: Way) -> tuple[Way, Verdict, U8]:
        verdict, picture = self._painted(way.pixels, way.controls)
        return way, verdict, picture

    def _try(self, way: Way, name: str, scale: float, without: U8) -> Tried:
        verdict, picture = self._painted(way.pixels, replace(way.controls, adapters={name: scale}))
        problem = "" if verdict.admits else verdict.reason
        if not problem and spread(picture) < FLAT <= spread(without):
            problem = f"it paints one flat colour: a spread of {spread(picture):.1f} of 255"
        return Tried(way, scale, verdict, problem, without, picture)

    def _painted(self, pixels: U8, controls: Controls) -> tuple[Verdict, U8]:
        """Judged, and decoded whatever the verdict, as the first frame of a show would be."""
        self.student.forget()
        latent = self.student.denoise(self.student.encode(pixels), controls)
        verdict = self.guard.judge(latent, controls)
        return verdict, self.student.decode(latent, self._woven(latent, controls), controls).copy()

    def _woven(self, latent: Latent, controls: Controls) -> U8 | None:
        if self._planes is None or latent.guide is None:
            return None
        self._planes.forget()
        return self._planes.update(latent.guide, self.student.dress(controls))


def spread(picture: U8) -> float:
    """The standard deviation of a picture's colours, of 255."""
    return float(np.std(picture[::4, ::4, :3].astype(np.float32), axis=(0, 1)).mean())


def audition_sheet(record: Record, tried: Sequence[Tried], path: Path) -> None:
    """A picture for people: what was tried, without the adapter above and with it below, at which scale, and
    the guard's score and reason. Raises VivantError when it cannot be written."""
    from vivant.runtime.sheet import contact_sheet

    columns = [(one.without[..., :3], one.worn) for one in tried]
    words = [f"x{one.scale:g} {one.verdict.score:.2f} {one.problem or one.verdict.reason}" for one in tried]
    shown = [word if len(word) <= LONGEST_CAPTION else f"{word[: LONGEST_CAPTION - 3]}..." for word in words]
    contact_sheet(columns, path, captions=shown)
