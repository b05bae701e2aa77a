"""The process in which the critic looks at pictures: one at a time, at low priority, never waited for."""

from __future__ import annotations

import contextlib
import logging
import os
import signal
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnContext
from multiprocessing.process import BaseProcess
from typing import Final

import numpy as np

from vivant.guardrails.critic import Critic, Finding, Plan
from vivant.runtime.exchange import MAX_SIDE_PX, Lane, LaneReader, LaneWriter
from vivant.runtime.frames import U8, Clock, VivantError

LOG: Final = logging.getLogger("vivant.critic")
NICER: Final = 10  # than the show
START_LIMIT_S: Final = 60.0
BACK_OFF_S: Final = (1.0, 2.0, 5.0, 10.0, 30.0)
STOP_WAIT_S: Final = 2.0


@dataclass(frozen=True, slots=True)
class Ready:
    """It can look at pictures; or the `problem` for which it cannot."""

    problem: str = ""


@dataclass(frozen=True, slots=True)
class Word:
    """What it found, or why it found nothing (`problem`)."""

    finding: Finding | None
    problem: str = ""


class CriticProcess:
    """One process after another. Only the present loop's thread calls it, and nothing but `wait_until_ready`
    and `close` waits."""

    def __init__(self, context: SpawnContext, plan: Plan, clock: Clock) -> None:
        self._context, self._plan, self._clock = context, plan, clock
        self._lane = Lane(context, MAX_SIDE_PX * MAX_SIDE_PX * 4 + 64)
        self._writer = LaneWriter(self._lane)
        self._process: BaseProcess | None = None
        self._line: Connection | None = None
        self._ready = False
        self._again_ns = 0
        self._failures = 0
        self.restarts = 0

    def start(self) -> None:
        """Start one; returns at once."""
        ours, theirs = self._context.Pipe()
        self._process = self._context.Process(
            target=criticise, args=(self._plan, self._lane, theirs), name="vivant-critic", daemon=True
        )
        self._process.start()
        theirs.close()
        self._line = ours

    def wait_until_ready(self) -> None:
        """Before the show. Raises VivantError with what is wrong with the classifier."""
        assert self._line is not None
        said: object = None
        if self._line.poll(START_LIMIT_S):
            with contextlib.suppress(EOFError, OSError):
                said = self._line.recv()
        if not isinstance(said, Ready):
            raise VivantError(
                f"critic {self._plan.file} brought its process down, or said nothing for "
                f"{START_LIMIT_S:.0f} s. Try it by hand: vivant guard critic SCENE PICTURE"
            )
        if said.problem:
            raise VivantError(said.problem)
        self._ready = True

    def ask(self, pixels: U8) -> bool:
        """Have a picture u8 (H, W, 4) looked at; False where nobody can. One at a time."""
        if self._line is None or not self._ready:
            return False
        shape = np.array(pixels.shape, np.int64).view(np.uint8)
        self._writer.write([shape, np.ascontiguousarray(pixels).reshape(-1)])
        with contextlib.suppress(OSError):  # it has ended, and `said` will find that
            self._line.send(True)
        return True

    def said(self) -> list[Word]:
        """What came since the last call. A process that ended is a word too; another one follows it."""
        if self._line is None:
            if self._process is None and self._clock.now_ns() >= self._again_ns:
                self.restarts += 1
                self.start()
            return []
        found: list[Word] = []
        try:
            while self._line.poll(0):
                said = self._line.recv()
                if isinstance(said, Word):
                    found.append(said)
                    self._failures = 0
                elif isinstance(said, Ready) and not said.problem:
                    self._ready = True
                elif isinstance(said, Ready):
                    found.append(Word(None, said.problem))
        except (EOFError, OSError):
            found.append(Word(None, self._ended()))
        return found

    def give_up(self) -> None:
        """End one that says nothing; another one follows."""
        self._ended()

    def close(self) -> None:
        """End it for good."""
        self._stop()

    def _ended(self) -> str:
        """What became of the process; when the next may start."""
        code = self._stop()
        wait_s = BACK_OFF_S[min(self._failures, len(BACK_OFF_S) - 1)]
        self._failures += 1
        self._again_ns = self._clock.now_ns() + round(wait_s * 1e9)
        LOG.warning("the critic's process ended (exit code %s); another follows in %.0f s", code, wait_s)
        return f"its process ended (exit code {code})"

    def _stop(self) -> int | None:
        self._ready = False
        if self._line is not None:
            self._line.close()
            self._line = None
        if self._process is None:
            return None
        self._process.kill()
        self._process.join(STOP_WAIT_S)
        code, self._process = self._process.exitcode, None
        return code


def criticise(plan: Plan, lane: Lane, line: Connection) -> None:
    """Body of the process: until the line closes."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if hasattr(os, "nice"):
        os.nice(NICER)
    import cv2

    cv2.setNumThreads(1)
    reader = LaneReader(lane)
    with contextlib.suppress(EOFError, OSError):
        try:
            critic = Critic(plan)
        except VivantError as problem:
            line.send(Ready(str(problem)))
            return
        line.send(Ready())
        while True:
            line.recv()
            line.send(_word(critic, reader))


def _word(critic: Critic, reader: LaneReader) -> Word:
    # the outer edge of this process: whatever a picture does to the classifier is told, and holds
    try:
        parts = reader.newest()
        if parts is None:
            return Word(None, "the picture did not arrive")
        shape = np.frombuffer(parts[0], np.int64)
        return Word(critic.look(np.frombuffer(parts[1], np.uint8).reshape(*shape)))
    except Exception as error:
        return Word(None, f"{type(error).__name__}: {error}")
