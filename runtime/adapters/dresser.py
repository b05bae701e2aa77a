"""The dresser: a process that watches a scene's adapter folders, checks what it finds, and auditions it.

Auditions run where nobody else wants the processor, so no picture is late for them; looking and checking
take milliseconds. It shares nothing with the show but one line, so nothing that a file does to it can end the
show. It tells News and is told nothing.
"""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import sys
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

from vivant.engines.adapter_file import sha256_of
from vivant.engines.card import Card
from vivant.engines.contract import Precision
from vivant.engines.kinds import kind_of
from vivant.engines.student import find
from vivant.runtime.adapters.found import Candidate, clash, folders, looked_at, named
from vivant.runtime.adapters.registry import Record, Registry
from vivant.runtime.adapters.watch import Watch
from vivant.runtime.frames import Controls, MonotonicClock, VivantError

if TYPE_CHECKING:
    from vivant.runtime.adapters.audition import Stage

LOG: Final = logging.getLogger("vivant.adapters")
LOOK_S: Final = 0.2  # between two looks into the folders
NICER: Final = 10  # than the show; auditions run in idle time alone
State = Literal["refused", "waiting", "passed", "quarantined"]


@dataclass(frozen=True, slots=True)
class DressJob:
    """What a dresser is told once. `base` is what the scene starts with; `entries` its adapters, files and
    folders; `locked` the hashes that its lock allows, None without a lock; `registry` where things are kept.
    """

    student: str
    backend: str
    precision: Precision
    size_px: tuple[int, int]
    base: Controls
    entries: tuple[str, ...]
    registry: str
    locked: frozenset[str] | None = None


@dataclass(frozen=True, slots=True)
class News:
    """What is known of one file now. `kept` is its copy in the registry; `reason` why it is not worn, `sheet`
    the picture of an audition that it failed."""

    state: State
    path: str
    name: str = ""
    hash: str = ""
    kept: str = ""
    summary: str = ""
    alone: bool = False
    reason: str = ""
    sheet: str = ""


class Dresser:
    """One thread. `tell` takes every News; `step` is called again and again, auditions at most one adapter,
    and never raises for what a file holds."""

    def __init__(self, job: DressJob, tell: Callable[[News], None]) -> None:
        self._job, self._tell = job, tell
        self._registry = Registry(Path(job.registry))
        self._card = Card.read(find(job.student))
        self._guard = self._card.guard.sha256 if self._card.guard else ""
        self._watch = Watch(folders(job.entries), named(job.entries))
        self._given: dict[str, str] = {}  # name -> the file that has it
        self._shipped = kind_of(self._card).wardrobe(self._card)
        self._queue: deque[News] = deque()
        self._stage: Stage | None = None

    def step(self, now_ns: int) -> bool:
        """Look into the folders, then hold one audition; whether there is more to do at once."""
        for path in self._watch.look(now_ns):
            self._take(path)
        if self._queue:
            with idle():
                self._audition(self._queue.popleft())
        return bool(self._queue)

    def warm_up(self) -> None:
        """Load what auditions need before the first file comes."""
        try:
            with idle():
                self._staged()
        except VivantError as error:
            LOG.warning("%s", error)

    def close(self) -> None:
        """Give the student back."""
        if self._stage is not None:
            self._stage.close()

    def _take(self, path: Path) -> None:
        one = looked_at(self._card, path)
        others = {name for name, owner in self._given.items() if owner != str(path)}
        one = clash(one, {*others, *self._shipped}, self._card)
        if one.problem:
            self._say(News("refused", str(path), one.name, reason=one.problem))
            return
        try:
            news = self._known(one, sha256_of(path))
        except (OSError, VivantError) as error:
            news = News("refused", str(path), one.name, reason=str(error))
        if news.state != "refused":
            self._given[one.name] = str(path)
        if news.state == "waiting":
            self._queue.append(news)
        self._say(news)

    def _known(self, one: Candidate, digest: str) -> News:
        """What is known of a file that fits: by the lock, and by an audition that was held before."""
        assert one.worn is not None
        path = str(one.path)
        if self._job.locked is not None and digest not in self._job.locked:
            return News(
                "refused",
                path,
                one.name,
                digest,
                reason=f"{path} is not in the scene's lock. To take it in: vivant scenes lock",
            )
        kept = str(self._registry.keep(one.path))
        record = self._registry.record(digest, self._card.hash, self._guard)
        state, reason, sheet = self._verdict(record)
        return News(state, path, one.name, digest, kept, one.worn.summary, one.worn.alone, reason, sheet)

    def _verdict(self, record: Record | None) -> tuple[State, str, str]:
        if record is None:
            return "waiting", "", ""
        if record.passed:
            return "passed", "", ""
        sheet = self._registry.sheet(record.sha256, record.student, record.guard)
        return "quarantined", f"held in {record.held} of {record.tried} ways: {record.reason}", str(sheet)

    def _audition(self, news: News) -> None:
        from vivant.runtime.adapters.audition import audition_sheet

        try:
            stage = self._staged()
            record, tried = stage.audition(stage.student.fitted(Path(news.kept)))
            if not record.passed:
                audition_sheet(record, tried, self._registry.sheet(news.hash, record.student, record.guard))
            self._registry.write(record)
            state, reason, sheet = self._verdict(record)
        # whatever an adapter does to this process, it has not passed
        except Exception as error:
            state, reason, sheet = "refused", f"it could not be auditioned: {error}", ""
        self._say(replace(news, state=state, reason=reason, sheet=sheet))

    def _staged(self) -> Stage:
        if self._stage is None:
            from vivant.runtime.adapters.audition import Stage

            job = self._job
            self._stage = Stage.load(job.student, job.backend, job.precision, job.size_px, job.base)
        return self._stage

    def _say(self, news: News) -> None:
        if news.state in ("refused", "quarantined"):
            LOG.warning("adapter %s %s: %s", news.name or Path(news.path).name, news.state, news.reason)
        self._tell(news)


def dress(job: DressJob, line: Connection) -> None:
    """Body of the process: until the line closes. Ends with the parent."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if hasattr(os, "nice"):
        os.nice(NICER)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s: %(message)s", stream=sys.stderr)
    clock = MonotonicClock()
    dresser = Dresser(job, line.send)
    try:
        with contextlib.suppress(OSError):  # the show has gone
            dresser.step(clock.now_ns())
            if folders(job.entries) and Card.read(find(job.student)).kind == "house":
                dresser.warm_up()
            while not line.poll(0 if dresser.step(clock.now_ns()) else LOOK_S):
                pass
    finally:
        dresser.close()


@contextlib.contextmanager
def idle() -> Iterator[None]:
    """Run only where nobody else wants the processor. A user who may not come back from there stays."""
    if not hasattr(os, "SCHED_IDLE"):
        yield
        return
    os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
    try:
        yield
    finally:
        with contextlib.suppress(PermissionError):
            os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))


def auditioning_backend(backend: str, precision: Precision) -> tuple[str, Precision]:
    """Where auditions run: on the processor, whatever the show runs on. Raises EngineError."""
    from vivant.engines.registry import BACKENDS, choose, look

    on_processor = [name for name in ("openvino", "onnxruntime") if look(name).usable]
    chosen = backend if backend in on_processor else next(iter(on_processor), choose("auto")[0])
    kinds = BACKENDS[chosen].precisions
    return chosen, precision if precision in kinds else "float"
