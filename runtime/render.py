"""THE loop: sense, condition, encode, denoise, guard, planes, decode, exchange. The render process."""

from __future__ import annotations

import contextlib
import gc
import logging
import signal
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from multiprocessing.connection import Connection
from typing import TYPE_CHECKING, Any, Final

from vivant.engines.contract import Precision
from vivant.engines.diffusion.concepts import Denied
from vivant.guardrails.guard_file import GuardFile
from vivant.runtime.adapters.fitting import Fit, Hung
from vivant.runtime.exchange import LaneReader, Lanes, LaneWriter, read_controls, write_picture
from vivant.runtime.frames import Controls, Frame, Judgement, MonotonicClock, Picture, Verdict, VivantError
from vivant.runtime.genlock import Genlock
from vivant.runtime.refusals import Unspoken
from vivant.runtime.supervise import RENDER, Hello

if TYPE_CHECKING:  # the present process imports this module for its names alone
    from vivant.runtime.body.process import BodyLanes
    from vivant.runtime.body.section import Body
    from vivant.runtime.path import Path, Paths, Stopwatch
    from vivant.runtime.senses.contract import Sense
    from vivant.runtime.senses.registry import Choice

LOG = logging.getLogger("vivant.render")
FRAME_WAIT_S: Final = 0.1
WAITS_TOLD: Final = 5  # waits without a frame before the present process is told why, and again
ERRORS_IN_A_ROW: Final = 30  # a path that fails this often is broken: end, and be started anew


@dataclass(frozen=True, slots=True)
class Job:
    """What a render process is told once, when it is spawned; everything else comes with the controls."""

    sense: str
    student: str
    backend: str
    precision: Precision
    threads: int
    seed: int
    controls: Controls
    adapters: tuple[str, ...] = ()  # files beside those that come with vivant
    guards: tuple[GuardFile, ...] = ()  # beside the student's own
    denied: Denied | None = None  # concepts that no prompt may mean
    checked: bool = False  # the sense was there before: it may be away now, and will be waited for
    body: Body | None = None  # None where nobody is tracked
    body_lanes: BodyLanes | None = None  # to the tracker and back; None where none runs


def render(job: Job, lanes: Lanes, line: Connection) -> None:
    """Body of the render process: say Hello, then paint until the line closes. Ends with the parent."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C goes to both; the present process decides
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s: %(message)s", stream=sys.stderr)
    import cv2

    from vivant.engines.registry import choose
    from vivant.runtime.body.watch import Watch
    from vivant.runtime.path import Paths, StudentChoice
    from vivant.runtime.senses.registry import check_sense, choose_sense, open_sense

    cv2.setNumThreads(1)  # its pictures are small: a second core serves the student better
    clock, genlock = MonotonicClock(), Genlock()
    try:
        looked_at = choose_sense(job.sense)
        if not job.checked:
            check_sense(looked_at.spec)
        backend, reason = choose(job.backend)
        choice = StudentChoice(
            job.student, backend, job.precision, job.threads, job.seed, job.adapters, job.guards,
            job.denied,
        )  # fmt: skip
        watch = None if job.body is None else Watch(job.body, job.body_lanes)
        paths = Paths(choice, job.controls, watch)
        sense = open_sense(looked_at.spec, clock, phase=genlock.phase_ns)
    except VivantError as problem:
        say(line, Hello({}, str(problem)))
        return
    lanes.pulse[RENDER] = clock.now_ns()
    gc.collect()
    gc.freeze()  # what is here stays for the show: collecting it again and again would cost frames
    say(line, Hello(facts(paths.now, looked_at, backend, reason, job)))
    try:
        paint(job.controls, paths, sense, lanes, line, clock, genlock)
    finally:
        sense.close()
        paths.close()


def say(line: Connection, hello: Hello | Hung | Unspoken) -> None:
    """Tell the present process; one that is gone by now needs no answer, and the loop will see it."""
    with contextlib.suppress(OSError):
        line.send(hello)


def paint(
    controls: Controls,
    paths: Paths,
    sense: Sense,
    lanes: Lanes,
    line: Connection,
    clock: MonotonicClock,
    genlock: Genlock,
) -> None:
    """The loop itself. The newest frame and the newest controls make the next picture."""
    from vivant.runtime.path import Stopwatch

    reader, writer = LaneReader(lanes.controls), LaneWriter(lanes.pictures)
    watch, tally, seen, waits = Stopwatch(clock, lanes.pulse), Tally(), 0, 0
    while (words := heard(line)) is not None:
        lanes.pulse[RENDER] = clock.now_ns()
        controls = read_controls(reader) or controls
        path = paths.want(controls)
        sense.heed(controls.numbers)
        for hung in paths.dress(words):
            say(line, hung)
        for text, why in path.student.refusals():
            say(line, Unspoken(text, why))
        frame = sense.wait_newer(seen, FRAME_WAIT_S)
        if frame is None:
            waits += 1
            if waits % WAITS_TOLD == 0:
                write_picture(writer, no_frame(sense, tally))
            continue
        waits = 0
        tally.dropped += max(0, frame.serial - seen - 1) if seen else 0
        seen = frame.serial
        watch.start(frame.captured_ns)
        picture = tally.attempt(path, frame, controls, watch)
        counts = tally.counts(sense.counts())
        ready_ns = clock.now_ns()
        write_picture(writer, replace(picture, rendered_ns=ready_ns, counts=counts))
        genlock.painted(ready_ns, controls)


def heard(line: Connection) -> list[Fit] | None:
    """What the present process said since the last frame; None when it wants no more pictures, or is no
    more."""
    words = []
    try:
        while line.poll(0):
            words.append(line.recv())
    except (EOFError, OSError):
        return None
    return words


def no_frame(sense: Sense, tally: Tally) -> Picture:
    """What is sent where no frame comes, so that the other side knows why nothing moves."""
    from vivant.runtime.path import NO_PIXELS

    verdict = Verdict(reason=f"no frame from {sense.name}: {sense.state}")
    return Picture(NO_PIXELS, tally.serial, verdict, 0, 0, counts=tally.counts(sense.counts()))


@dataclass(slots=True)
class Tally:
    """What became of every frame since this process started."""

    serial: int = 0
    dropped: int = 0
    rendered: int = 0
    admitted: int = 0
    softened: int = 0
    held: int = 0
    errors: int = 0
    in_a_row: int = 0
    of_students: dict[str, int] = field(default_factory=dict)
    _counted: dict[str, int] = field(default_factory=dict)
    _path: Path | None = None

    def attempt(self, path: Path, frame: Frame, controls: Controls, watch: Stopwatch) -> Picture:
        """Paint one frame; an error of any kind is a HOLD with a reason. Raises after too many in a row."""
        from vivant.runtime.path import held

        self.serial += 1
        try:
            picture: Picture = path.picture(frame, controls, watch, self.serial)
            self.in_a_row = 0
        except Exception as error:
            self.errors += 1
            self.in_a_row += 1
            if self.in_a_row == 1:
                LOG.exception("frame %d could not be painted: held", frame.serial)
            if self.in_a_row >= ERRORS_IN_A_ROW:
                raise
            picture = held(frame, self.serial, f"{type(error).__name__}: {error}")
        self._add(path.counts, path)
        self.rendered += 1
        judgement = picture.verdict.judgement
        self.admitted += judgement is Judgement.PASS
        self.softened += judgement is Judgement.SOFTEN
        self.held += not picture.verdict.admits
        return picture

    def counts(self, sensed: Mapping[str, int]) -> dict[str, int]:
        """The totals that travel with every picture."""
        return {
            "captured": sensed.get("captured", 0),
            "lost": sensed.get("lost", 0),
            "dropped": self.dropped,
            "rendered": self.rendered,
            "admitted": self.admitted,
            "softened": self.softened,
            "held": self.held,
            "errors": self.errors,
            **self.of_students,
        }

    def _add(self, counts: Mapping[str, int], path: Path) -> None:
        """What the student counted since the last frame: one that is loaded anew counts from zero."""
        before = self._counted if path is self._path else {}
        for name, count in counts.items():
            self.of_students[name] = self.of_students.get(name, 0) + count - before.get(name, 0)
        self._counted, self._path = dict(counts), path


def facts(path: Path, looked_at: Choice, backend: str, reason: str, job: Job) -> dict[str, Any]:
    """What the report says of the sense and the engine that are really used."""
    student = path.student
    return {
        "input": looked_at.spec,
        "input_reason": looked_at.reason,
        "backend": backend,
        "backend_reason": reason,
        "precision": student.ran_precision,
        "threads": job.threads,
        "step_ms": path.step_ms,
        "student": dict(student.facts),
        "adapters": dict(student.adapters),
    }
