"""The process in which auditions are held, one at a time, where nobody else wants the processor.

It may starve for as long as the show needs the machine, and an adapter that brings it down is refused for
that; the dresser, which asks, goes on.
"""

from __future__ import annotations

import contextlib
import logging
import multiprocessing as mp
import os
import signal
import sys
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import TYPE_CHECKING, Final

from vivant.runtime.adapters.job import DressJob
from vivant.runtime.adapters.registry import Registry
from vivant.runtime.frames import VivantError

if TYPE_CHECKING:
    from vivant.runtime.adapters.audition import Stage

LOG: Final = logging.getLogger("vivant.adapters")
STOP_WAIT_S: Final = 2.0


class Auditor:
    """Holds auditions and writes their records; loads its student at the first. One thread."""

    def __init__(self, job: DressJob) -> None:
        self._job, self._registry = job, Registry(Path(job.registry))
        self._stage: Stage | None = None

    def prepare(self) -> Stage:
        """The student, loaded. Raises VivantError."""
        if self._stage is None:
            from vivant.runtime.adapters.audition import Stage

            job = self._job
            self._stage = Stage.load(
                job.student, job.backend, job.precision, job.size_px, job.base, job.guards
            )
        return self._stage

    def hold(self, kept: str) -> str:
        """Audition a kept file; empty when its record is written, else why there is none."""
        from vivant.runtime.adapters.audition import audition_sheet

        # whatever an adapter does here, it has not passed
        try:
            stage = self.prepare()
            record, tried = stage.audition(stage.student.fitted(Path(kept)))
            if not record.passed:
                sheet = self._registry.sheet(record.sha256, record.student, record.guard)
                audition_sheet(record, tried, sheet)
            self._registry.write(record)
        except Exception as error:
            return f"it could not be auditioned: {error}"
        return ""

    def close(self) -> None:
        """Give the student back."""
        if self._stage is not None:
            self._stage.close()


class AuditorProcess:
    """`ask` for one audition at a time, then look for it in `done`. One thread."""

    def __init__(self, job: DressJob) -> None:
        self._job = job
        self._process: BaseProcess | None = None
        self._line: Connection | None = None
        self._asked: str | None = None

    def start(self) -> None:
        """Have a process; nothing when there is one."""
        if self._process is not None:
            return
        context = mp.get_context("spawn")
        ours, theirs = context.Pipe()
        self._process = context.Process(
            target=audit, args=(self._job, theirs), name="vivant-auditor", daemon=True
        )
        self._process.start()
        theirs.close()
        self._line = ours

    def ask(self, kept: str) -> None:
        """Have a kept file auditioned."""
        self.start()
        assert self._line is not None
        self._asked = kept
        with contextlib.suppress(OSError):  # it has ended, and `done` will find that
            self._line.send(kept)

    def done(self) -> list[tuple[str, str]]:
        """The file that was asked for, and why there is no record of it (empty: there is); or nothing yet."""
        if self._asked is None or self._line is None or not self._line.poll(0):
            return []
        kept, self._asked = self._asked, None
        try:
            return [(kept, str(self._line.recv()))]
        except (EOFError, OSError):
            assert self._process is not None
            self._process.join(STOP_WAIT_S)
            code = self._process.exitcode
            self.close()
            return [(kept, f"its audition ended the process (exit code {code})")]

    def close(self) -> None:
        """End the process, in the middle of an audition if need be: nothing of it is lost but time."""
        if self._line is not None:
            self._line.close()
            self._line = None
        if self._process is not None:
            self._process.kill()
            self._process.join(STOP_WAIT_S)
            self._process = None


def audit(job: DressJob, line: Connection) -> None:
    """Body of the process: auditions until the line closes."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    give_way()
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(name)s: %(message)s", stream=sys.stderr)
    auditor = Auditor(job)
    try:
        if job.eager:
            try:
                auditor.prepare()
            except VivantError as error:
                LOG.warning("%s", error)
        while True:
            line.send(auditor.hold(line.recv()))
    except (EOFError, OSError):
        auditor.close()


def give_way() -> None:
    """Let this process run only where nobody else wants the processor."""
    if hasattr(os, "SCHED_IDLE"):
        os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
    elif hasattr(os, "nice"):
        os.nice(19)
