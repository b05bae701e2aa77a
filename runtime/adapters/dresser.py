"""The dresser: a process that watches a scene's adapter folders, checks what it finds, and auditions it.

Auditions have a process of their own (auditor), so looking and checking, which take milliseconds, never wait
for one. It shares nothing with the show but one line, so nothing that a file does to it can end the
show. It tells News and is told nothing.
"""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import sys
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Final, Literal, Protocol

from vivant.engines.adapter_file import sha256_of
from vivant.engines.card import Card
from vivant.engines.kinds import kind_of
from vivant.engines.student import find
from vivant.runtime.adapters.auditor import AuditorProcess
from vivant.runtime.adapters.found import Candidate, clash, folders, looked_at, named
from vivant.runtime.adapters.job import DressJob, guard_hash
from vivant.runtime.adapters.registry import Record, Registry
from vivant.runtime.adapters.watch import Watch
from vivant.runtime.frames import MonotonicClock, VivantError

LOG: Final = logging.getLogger("vivant.adapters")
LOOK_S: Final = 0.2  # between two looks into the folders
NICER: Final = 10  # than the show
State = Literal["refused", "waiting", "passed", "quarantined", "away", "back"]
"""Of a file; and of a folder, which may be `away` or `back`."""


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


class Auditions(Protocol):
    """Where auditions are held: one at a time."""

    def ask(self, kept: str) -> None: ...
    def done(self) -> list[tuple[str, str]]: ...
    def close(self) -> None: ...


class Dresser:
    """One thread. `tell` takes every News; `step` is called again and again, waits for nothing, and never
    raises for what a file holds."""

    def __init__(self, job: DressJob, tell: Callable[[News], None], auditions: Auditions) -> None:
        self._job, self._tell, self._auditions = job, tell, auditions
        self._registry = Registry(Path(job.registry))
        self._card = Card.read(find(job.student))
        self._guard = guard_hash(self._card, job.guards)
        self._watch = Watch(folders(job.entries), named(job.entries))
        self._given: dict[str, str] = {}  # name -> the file that has it
        self._shipped = kind_of(self._card).wardrobe(self._card)
        self._queue: deque[News] = deque()
        self._auditioning: News | None = None

    @property
    def busy(self) -> bool:
        """Whether an audition is under way or waits."""
        return self._auditioning is not None or bool(self._queue)

    def step(self, now_ns: int) -> None:
        """Look into the folders, hear of the audition that was asked for, and ask for the next."""
        for folder, there in self._watch.moved():
            self._moved(folder, there)
        for path in self._watch.look(now_ns):
            self._take(path)
        for _, problem in self._auditions.done():
            self._finish(problem)
        if self._queue and self._auditioning is None:
            self._auditioning = self._queue.popleft()
            self._auditions.ask(self._auditioning.kept)

    def close(self) -> None:
        """End the auditions."""
        self._auditions.close()

    def _moved(self, folder: Path, there: bool) -> None:
        if there:
            self._say(News("back", str(folder)))
            return
        reason = f"{folder} is away: what is worn stays. Bring it back; it is looked into again by itself"
        self._say(News("away", str(folder), reason=reason))

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

    def _finish(self, problem: str) -> None:
        """An audition is over: what its record says, or why there is none."""
        news, self._auditioning = self._auditioning, None
        assert news is not None
        record = self._registry.record(news.hash, self._card.hash, self._guard)
        state, reason, sheet = self._verdict(record)
        if problem or record is None:
            state, reason, sheet = "refused", problem or "its audition left no record", ""
        self._say(replace(news, state=state, reason=reason, sheet=sheet))

    def _say(self, news: News) -> None:
        if news.state in ("refused", "quarantined", "away"):
            LOG.warning("adapter %s %s: %s", news.name or Path(news.path).name, news.state, news.reason)
        self._tell(news)


def dress(job: DressJob, line: Connection) -> None:
    """Body of the process: until the line closes. Ends with the parent."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if hasattr(os, "nice"):
        os.nice(NICER)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s: %(message)s", stream=sys.stderr)
    clock = MonotonicClock()
    auditions = AuditorProcess(job)
    dresser = Dresser(job, line.send, auditions)
    try:
        with contextlib.suppress(OSError):  # the show has gone
            if job.eager:
                auditions.start()
            dresser.step(clock.now_ns())
            while not line.poll(LOOK_S):
                dresser.step(clock.now_ns())
    finally:
        dresser.close()
