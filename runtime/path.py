"""The stages of the picture for one size, and the judgement between them: a frame in, a Picture out."""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path as File
from typing import TYPE_CHECKING, Any, Final, Self

import numpy as np

from vivant.engines.contract import EngineError, Fitted, LoadedStudent, Precision
from vivant.engines.diffusion.concepts import Denied
from vivant.engines.field import BANKS, PlaneField, tile_blocks
from vivant.engines.kinds import load_student
from vivant.engines.slots import ORIENTED, RECIPES
from vivant.guardrails.acts import Acts
from vivant.guardrails.frozen import Frozen
from vivant.guardrails.guard import Guard
from vivant.guardrails.guard_file import GuardFile
from vivant.runtime.adapters.fitting import Fit, Fitting, Hung
from vivant.runtime.body.watch import Watch
from vivant.runtime.condition import SMOOTH_ADDRESS, Condition
from vivant.runtime.frames import (
    STAGES,
    U8,
    Clock,
    Controls,
    Frame,
    Latent,
    MonotonicClock,
    Picture,
    Value,
    Verdict,
)
from vivant.runtime.rest import Rest
from vivant.runtime.still import Still
from vivant.runtime.supervise import RENDER, STAGE

if TYPE_CHECKING:
    from vivant.runtime.whole import WholeFrame  # torch comes with it

LOG = logging.getLogger("vivant.render")
NO_PIXELS: Final[U8] = np.empty((0, 0, 4), np.uint8)
HOLD_ADDRESS: Final = "/vivant/motion/hold"
CARRY_ADDRESS: Final = "/vivant/motion/carry"


class Stopwatch:
    """Times the stages of one frame and tells the supervisor which one is running.

    `pulse` is Lanes.pulse: a stage that never ends is found there by name.
    """

    def __init__(self, clock: Clock, pulse: Any) -> None:
        self._clock, self._pulse = clock, pulse
        self._stage, self._since_ns = STAGES[0], 0
        self.timings_ms: dict[str, float] = {}

    def start(self, captured_ns: int) -> None:
        """A frame was taken: `sense` is the age that it has by now."""
        now_ns = self._clock.now_ns()
        self.timings_ms = {"sense": (now_ns - captured_ns) / 1e6}
        self._since_ns = now_ns
        self._pulse[RENDER] = now_ns

    def enter(self, stage: str) -> None:
        """The stage that begins now; `leave` ends it."""
        self._stage = stage
        self._pulse[STAGE] = STAGES.index(stage)

    def leave(self) -> None:
        """The stage that was entered is over."""
        now_ns = self._clock.now_ns()
        self.timings_ms[self._stage] = (now_ns - self._since_ns) / 1e6
        self._since_ns = now_ns
        self._pulse[RENDER] = now_ns


@dataclass(frozen=True, slots=True)
class StudentChoice:
    """Which student to load, on which backend (already chosen), in which precision, on how many threads."""

    student: str
    backend: str
    precision: Precision
    threads: int
    seed: int
    adapters: tuple[str, ...] = ()  # files beside those that come with vivant
    guards: tuple[GuardFile, ...] = ()  # beside the student's own
    denied: Denied | None = None  # concepts


class Path:
    """Condition, student, guard and planes for one size of picture. One thread; a context manager. `first`
    is what the first frame will be asked for, as far as it takes long to get ready; `step_ms` what one
    denoising step took at the start. `watch` sees the frames where people are tracked."""

    def __init__(
        self,
        choice: StudentChoice,
        size_px: tuple[int, int],
        first: Controls | None = None,
        watch: Watch | None = None,
    ) -> None:
        self.size_px = size_px
        self.condition, self._watch = Condition(size_px, watch), watch
        self._refused_before = 0 if watch is None else watch.refused
        self.student = load_student(
            choice.student,
            choice.backend,
            choice.precision,
            size_px,
            choice.threads,
            [File(name) for name in choice.adapters],
        )
        self.rest, self.still = Rest(), Still()
        # a student that denoises several frames at once paints the oldest of them
        delay = int(self.student.facts.get("delay_frames", 0))
        self._captured_ns: deque[int] = deque(maxlen=delay + 1)
        self.frozen = Frozen(MonotonicClock())
        self.guard = Guard.load(
            *self.student.guard_file, more=(self.frozen, *choice.guards), student=self.student.hash
        )
        self.acts = Acts(MonotonicClock())
        self.planes = PlaneField(size_px, choice.seed) if self.student.recipes else None
        self.whole: WholeFrame | None = None
        self._part_by_part = 0
        try:
            if choice.denied is not None:
                self.student.deny(choice.denied)
            self._warm_up(first or Controls())
            self._apart = refusal_of_whole(self.student, choice)
            self.whole = None if self._apart else whole_of(self.student, choice.seed)
        except BaseException:
            self.student.close()
            raise

    @property
    def counts(self) -> Mapping[str, int]:
        """The student's totals, and how many frames ran by which policy where a GPU could do better."""
        without_graph = 0 if self.whole is None else self.whole.without_graph
        own = {"part_by_part": self._part_by_part, "without_graph": without_graph}
        if self._watch is not None:
            own["answers_refused"] = self._watch.refused - self._refused_before
        return {**self.student.counts, **own}

    def _warm_up(self, first: Controls) -> None:
        """Run every stage once, so that the first frame of the show pays for nothing new."""
        width, height = self.size_px
        grey = np.full((height, width, 3), 128, np.uint8)
        self.student.prepare(first)
        latent = self.student.encode(grey)
        began = time.perf_counter()
        latent = self.student.denoise(latent, Controls())
        self.step_ms = (time.perf_counter() - began) * 1e3
        self.guard.judge(latent, Controls())
        every = Controls(styles=dict.fromkeys(self.student.card.styles, 1.0))
        if self.planes is not None and latent.guide is not None:
            for recipe in self.student.recipes:  # adapters' too: a texture may take seconds to make
                self.planes.update(latent.guide, {recipe: 1.0})
        self.student.decode(latent, self._woven(latent, every), every)
        self.student.forget()
        self.frozen.forget()
        if self.planes is not None:
            self.planes.forget()

    def _woven(self, latent: Latent, controls: Controls) -> U8 | None:
        """The planes of a judged latent; None for a student without."""
        if self.planes is None or latent.guide is None:
            return None
        return self.planes.update(
            latent.guide,
            self.student.dress(controls),
            number(controls, HOLD_ADDRESS, 0.9),
            number(controls, CARRY_ADDRESS, 1.0),
        )

    def picture(self, frame: Frame, controls: Controls, watch: Stopwatch, serial: int) -> Picture:
        """Sense to decode for one frame. A latent that is not admitted is never decoded."""
        self._captured_ns.append(frame.captured_ns)
        watch.enter("condition")
        pixels, signals = self.condition.apply(frame, controls)
        watch.leave()
        painted = self._stage_by_stage if self.whole is None else self._at_once
        verdict, drawn = painted(pixels, controls, watch)
        return Picture(
            pixels=drawn,
            serial=serial,
            verdict=verdict,
            captured_ns=self._captured_ns[0],
            rendered_ns=0,
            timings_ms=watch.timings_ms,
            signals=signals,
            source=pixels if (controls.want_source if verdict.admits else controls.want_held) else None,
        )

    def _stage_by_stage(self, pixels: U8, controls: Controls, watch: Stopwatch) -> tuple[Verdict, U8]:
        """The stages from encode to decode, on the processor's word."""
        self._part_by_part += bool(self._apart)
        watch.enter("encode")
        latent = self.student.encode(pixels)
        smooth = number(controls, SMOOTH_ADDRESS, 0.5)
        latent = self.rest.settle(latent, smooth)
        watch.leave()
        watch.enter("denoise")
        latent = self.student.denoise(latent, controls)
        watch.leave()
        watch.enter("guard")
        self.frozen.see(pixels)
        latent, verdict = self.acts.act(self.guard, latent, controls)
        watch.leave()
        drawn = NO_PIXELS
        if verdict.admits:
            watch.enter("planes")
            planes = self._woven(latent, controls)
            watch.leave()
            watch.enter("decode")
            drawn = self.student.decode(latent, planes, controls)
            drawn = self.still.keep(drawn, latent, planes, controls, smooth)
            watch.leave()
        return verdict, drawn

    def _at_once(self, pixels: U8, controls: Controls, watch: Stopwatch) -> tuple[Verdict, U8]:
        """The same stages as one piece of work on a GPU, where the guard chooses what is decoded."""
        assert self.whole is not None
        watch.enter("decode")
        made = self.whole.picture(
            pixels,
            controls,
            number(controls, SMOOTH_ADDRESS, 0.5),
            number(controls, HOLD_ADDRESS, 0.9),
            number(controls, CARRY_ADDRESS, 1.0),
        )
        watch.leave()
        # what the GPU did not say is on the host: copies, and asking; it counts as decode's
        inside = {
            stage: made.timings_ms.get(stage, 0.0) for stage in ("encode", "denoise", "guard", "planes")
        }
        watch.timings_ms["decode"] -= sum(inside.values())
        watch.timings_ms |= inside
        return made.verdict, made.pixels

    def fitted(self, file: File) -> Fitted:
        """An adapter read, checked and packed, and its textures made; on any thread. Raises EngineError."""
        fitted = self.student.fitted(file)
        if fitted.recipe is not None and self.planes is not None:
            if self.whole is not None and fitted.recipe not in self.student.recipes:
                raise EngineError(
                    f"{file} paints with planes '{fitted.recipe}', which are laid out on the GPU when a show "
                    "starts. Start the show again."
                )
            make_textures(fitted.recipe)
        return fitted

    def hang(self, fitted: Fitted) -> None:
        """Between two frames: an adapter that can be worn from the next one on."""
        self.student.hang(fitted)
        self.still.forget()
        if self.whole is not None:
            self.whole.show_anew()

    def close(self) -> None:
        """Free the engines."""
        self.student.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def make_textures(recipe: str) -> None:
    """Make or load what planes of a recipe are taken from, so that its first frame need not."""
    for group, source in RECIPES[recipe].sources.items():
        if group in ORIENTED:
            BANKS[source]()
        else:
            tile_blocks(source)


def refusal_of_whole(student: LoadedStudent, choice: StudentChoice) -> str:
    """Why the stages of a student whose engines lie on a GPU run one by one, by the policy part_by_part;
    empty where they need not, and where there is no GPU."""
    from vivant.engines.on_device import gpu_of, refusal

    found = refusal(student)
    if not found and choice.guards and gpu_of(student) is not None:
        found = "the guards of the scene judge on the processor"
    if found:
        LOG.warning("policy part_by_part: stages run one by one, because %s", found)
    return found


def whole_of(student: LoadedStudent, seed: int) -> WholeFrame | None:
    """All stages of a student at once, where its engines lie on a GPU; None where they run one by one."""
    from vivant.engines.on_device import on_device

    found = on_device(student)
    if found is None:
        return None
    from vivant.runtime.whole import WholeFrame

    return WholeFrame.load(found, student.guard_file, student.recipes, seed)


def number(controls: Controls, address: str, default: float) -> float:
    """A number among the controls; the default when the snapshot does not hold a finite one."""
    value: Value = controls.numbers.get(address, default)
    with contextlib.suppress(ValueError):
        if np.isfinite(found := float(value)):
            return found
    return default


def held(frame: Frame, serial: int, reason: str) -> Picture:
    """A picture that must not be drawn, for a frame that could not be judged."""
    return Picture(NO_PIXELS, serial, Verdict(reason=reason), frame.captured_ns, 0)


class Paths:
    """The path in use, and the next one while it is loaded on a thread of its own.

    `want` never waits: the new size takes effect between two frames once its engines are ready. A size
    that cannot be loaded is logged once and not tried again.
    """

    def __init__(self, choice: StudentChoice, first: Controls, watch: Watch | None = None) -> None:
        self._choice, self._watch = choice, watch
        self._loaded: Path | None = None
        self._refused: set[tuple[int, int]] = set()
        self._thread: threading.Thread | None = None
        self._fitting, self._fitted = Fitting(), dict[str, Fitted]()
        LOG.info(
            "getting ready at %dx%d; the first time on a machine this takes some ten seconds", *first.size_px
        )
        self.now = Path(choice, first.size_px, first, watch)

    def want(self, controls: Controls) -> Path:
        """The path to use for the next frame; starts loading another when the size that is asked for is not
        its own."""
        size_px = controls.size_px
        if self._loaded is not None:
            self.now.close()
            self.now, self._loaded = self._loaded, None
            for fitted in self._fitted.values():
                self.now.hang(fitted)
            LOG.info("pictures are %dx%d now", *self.now.size_px)
        loading = self._thread is not None and self._thread.is_alive()
        if size_px != self.now.size_px and not loading and size_px not in self._refused:
            self._thread = threading.Thread(target=self._load, args=(controls,), name="load", daemon=True)
            self._thread.start()
        return self.now

    def dress(self, words: Sequence[Fit]) -> list[Hung]:
        """Have adapters read, and hang those that are. Never waits."""
        for word in words:
            self._fitting.ask(self.now.fitted, word.path)
        said = []
        for path, found in self._fitting.ready():
            if isinstance(found, str):
                said.append(Hung(path, problem=found))
                continue
            self.now.hang(found)
            self._fitted[found.name] = found
            said.append(Hung(path, found.name, found.hash))
        return said

    def _load(self, controls: Controls) -> None:
        size_px = controls.size_px
        try:
            self._loaded = Path(self._choice, size_px, controls, self._watch)
        except Exception:
            self._refused.add(size_px)
            LOG.exception("cannot change to %dx%d; staying at %dx%d", *size_px, *self.now.size_px)

    def close(self) -> None:
        """Wait for a load under way and free everything."""
        self._fitting.close()
        if self._thread is not None:
            self._thread.join()
        self.now.close()
        if self._loaded is not None:
            self._loaded.close()
