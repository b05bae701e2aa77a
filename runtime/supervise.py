"""The present process's watch over the render process: start it, hear its pulse, start it again.

A CUDA fault, a segmentation fault in a driver or a `kill -9` takes the render process alone. The present
process goes on drawing the last admitted picture and starts another one with the full snapshot.
"""

from __future__ import annotations

import contextlib
import logging
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnContext
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any, Final, Protocol

from vivant.runtime.backoff import BACK_OFF_S, START_LIMIT_S, BackOff
from vivant.runtime.frames import STAGES, Clock, VivantError

LOG = logging.getLogger("vivant.supervise")

START_S_A_GIGABYTE: Final = 120.0  # besides: a student of gigabytes is read, checked, widened and compiled
SILENT_LIMIT_S: Final = 2.0
SLOWEST: Final = 12.0  # times one denoising step at the start: four steps, on a machine three times as busy
STOP_WAIT_S: Final = 3.0


def start_limit_s(files: Iterable[Path]) -> float:
    """How long a render process may take to get ready with a student of these files."""
    size = sum(path.stat().st_size for path in files if path.is_file())
    return START_LIMIT_S + START_S_A_GIGABYTE * size / 1e9


SAID: Final = 256  # words of children that wait to be read
RENDER, PRESENT, STAGE = 0, 1, 2  # cells of Lanes.pulse


@dataclass(frozen=True, slots=True)
class Hello:
    """What a render process says once it can render: which sense and engine it really uses.

    `facts` go into the report as they are (backend, reason, precision, student hash, sizes, versions).
    """

    facts: dict[str, Any]
    problem: str = ""  # a person's error message; empty when it is ready


class Pulsed(Protocol):
    """What a process and the one that watches it share: at least a pulse, as Lanes has."""

    @property
    def pulse(self) -> Any: ...  # a ctypes array; multiprocessing gives it no public type


class RenderProcess:
    """One render process after another, or one of another `name`. Only the present loop's thread calls it.

    `body(job, lanes, connection)` is what runs in the child; it sends one Hello and then renders until
    the connection closes. Words go both ways meanwhile (`tell`, `said`): what they mean is for others.
    """

    def __init__(
        self,
        context: SpawnContext,
        body: Callable[[Any, Any, Connection], None],
        job: Any,
        lanes: Pulsed,
        clock: Clock,
        start_limit_s: float = START_LIMIT_S,
        name: str = "render",
        back_off_s: Sequence[float] = BACK_OFF_S,
    ) -> None:
        self._context, self._body, self.job = context, body, job
        self._name, self._back_off = name, BackOff(back_off_s)
        self._start_limit_s = start_limit_s
        self._lanes, self._clock = lanes, clock
        self._process: BaseProcess | None = None
        self._line: Connection | None = None
        self._started_ns = 0
        self._start_at_ns = 0
        self.hello: Hello | None = None
        self.facts: dict[str, Any] = {}
        self.restarts = 0
        self._said: deque[Any] = deque(maxlen=SAID)
        self.hears: dict[type, Callable[[Any], None]] = {}
        """Who hears words of a kind, as they come; all others wait in `said`."""
        self.trouble = ""  # why the last one was given up

    @property
    def pid(self) -> int | None:
        """The child's process id, or None while there is none."""
        return None if self._process is None else self._process.pid

    def start(self) -> None:
        """Start a child. Returns at once; `hello` is set by `poll` when it can render."""
        ours, theirs = self._context.Pipe()
        self._lanes.pulse[RENDER] = 0
        self.hello = None
        self._process = self._context.Process(
            target=self._body, args=(self.job, self._lanes, theirs), name=f"vivant-{self._name}", daemon=True
        )
        self._process.start()
        theirs.close()
        self._line = ours
        self._started_ns = self._clock.now_ns()

    def wait_until_ready(self) -> Hello:
        """Before the show: wait for the first Hello. Raises VivantError with the child's own words."""
        assert self._line is not None
        if not self._line.poll(self._start_limit_s):
            raise VivantError(
                f"the render process said nothing for {self._start_limit_s:.0f} s; see its log lines above"
            )
        self._listen()
        if self.hello is None:
            raise VivantError("the render process ended before it could render; see its log lines above")
        if self.hello.problem:
            raise VivantError(self.hello.problem)
        return self.hello

    def said(self) -> list[Any]:
        """What children said since the last call, beside their Hello."""
        words = list(self._said)
        self._said.clear()
        return words

    def tell(self, word: Any) -> bool:
        """Say something to the child; False when there is none that hears."""
        if self._line is None:
            return False
        try:
            self._line.send(word)
        except OSError:
            return False
        return True

    def poll(self) -> None:
        """Once a refresh: take a Hello, notice death or silence, start again when the back-off is over."""
        now_ns = self._clock.now_ns()
        self._lanes.pulse[PRESENT] = now_ns
        if self._process is None:
            if now_ns >= self._start_at_ns:
                self.restarts += 1
                self.start()
            return
        self._listen()
        trouble = self._trouble(now_ns)
        if trouble:
            self._give_up(trouble, now_ns)

    def _listen(self) -> None:
        if self._line is None:
            return
        with contextlib.suppress(EOFError, OSError):  # a dead child is noticed by _trouble
            while self._line.poll(0):
                said = self._line.recv()
                if isinstance(said, Hello):
                    self.hello = said
                    if not said.problem:
                        self.facts = said.facts
                elif type(said) in self.hears:
                    self.hears[type(said)](said)
                else:
                    self._said.append(said)

    def _trouble(self, now_ns: int) -> str:
        assert self._process is not None
        if not self._process.is_alive():
            return f"ended with exit code {self._process.exitcode}"
        if self.hello is not None and self.hello.problem:
            return f"could not start: {self.hello.problem}"
        beat_ns = int(self._lanes.pulse[RENDER])
        if self.hello is None or beat_ns == 0:
            waited_s = (now_ns - self._started_ns) / 1e9
            return "did not get ready" if waited_s > self._start_limit_s else ""
        silent_s = (now_ns - beat_ns) / 1e9
        stage = STAGES[int(self._lanes.pulse[STAGE]) % len(STAGES)]
        return f"silent for {silent_s:.1f} s in stage {stage}" if silent_s > self._silent_limit_s() else ""

    def _silent_limit_s(self) -> float:
        """How long a stage may take: a student that takes seconds for a step is not silent, it is slow."""
        return max(SILENT_LIMIT_S, SLOWEST * float(self.facts.get("step_ms", 0.0)) / 1e3)

    def _give_up(self, trouble: str, now_ns: int) -> None:
        wait_s = self._back_off.failed((now_ns - self._started_ns) / 1e9)
        self._start_at_ns = now_ns + round(wait_s * 1e9)
        self.trouble = trouble
        LOG.warning("%s process %s %s; starting another in %.2f s", self._name, self.pid, trouble, wait_s)
        self._end(grace_s=0.0)

    def _end(self, grace_s: float) -> None:
        if self._line is not None:
            self._line.close()
            self._line = None
        if self._process is not None:
            if grace_s:
                self._process.join(grace_s)
            if self._process.is_alive():
                self._process.kill()
            self._process.join(STOP_WAIT_S)
            self._process = None

    def change(self, job: Any) -> None:
        """Another job from now on: the child ends at once, and another one is started with it. Until that can
        render, the last picture is all there is."""
        self._end(grace_s=0.0)
        self.job, self._back_off.failures = job, 0
        self.start()

    def stop(self) -> None:
        """End the child: ask by closing the line, wait, then kill."""
        self._end(grace_s=STOP_WAIT_S)
