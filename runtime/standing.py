"""Watches over a show from outside of it: starts it, hears that it lives, starts it again when it does not.

What brings the show's own process down (a graphics driver, memory, a kill) cannot touch this one: it draws
nothing, loads nothing of the show, and knows of it only what comes down the line (vivant.runtime.tether).
Where the show stood, and that an operator's panic held, is handed to the process that follows.
"""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection, Pipe
from types import FrameType
from typing import Any, Final

from vivant.runtime.backoff import HEALTHY_AFTER_S, START_LIMIT_S, BackOff
from vivant.runtime.tether import LINE, Before, told

LOG: Final = logging.getLogger("vivant.standing")
TICK_S: Final = 0.25
GAVE_UP: Final = 70  # the exit code of "internal software error" in sysexits.h
WRONG: Final = 2  # of what a person has to put right
CTRL_C: Final = (130, 128 + 15)  # as a show that was asked to end while it started may say it
LARGEST_CODE: Final = 255  # Windows writes a crash as a larger one
REASONS_KEPT: Final = 20
ALWAYS: Final = (signal.SIGINT, signal.SIGTERM)  # shells have it that one in the background ignores Ctrl-C
FORCE_AFTER: Final = 3  # times of asking
SAY_WHERE_S: Final = 1.0  # a frozen process has so long to write down where it hangs


@dataclass(frozen=True, slots=True)
class Limits:
    """Seconds without a word: until the present loop turns (the show itself asks for more where its student
    is large), once it turns, and once the show is over. Failures in a row, none of which lived long, after
    which a show is given up: one that has run, and one that never has."""

    start_s: float = START_LIMIT_S
    silent_s: float = 10.0  # a window that is dragged may stop its loop for some; a driver is reset after two
    ending_s: float = 30.0
    most: int = 12
    most_at_start: int = 3


class Child:
    """One process of the show, with what it said."""

    def __init__(self, command: Sequence[str], before: Before) -> None:
        self._line, theirs = Pipe()
        self.process = subprocess.Popen(command, start_new_session=True, **_handing(theirs))
        theirs.close()
        self.started_s = time.monotonic()
        self.before = before
        self.spoke = self.turns = self.ending = False
        self.limit_s: float | None = None
        self._closed = False
        with contextlib.suppress(OSError):  # it ended already
            self._line.send_bytes(before.packed())

    def hear(self) -> bool:
        """Wait for a word, at most TICK_S; whether one came."""
        try:
            if not self._closed and not self._line.poll(TICK_S):
                return False
            word = {} if self._closed else told(self._line)
        except (EOFError, OSError):
            self._closed, word = True, {}
        if self._closed:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(TICK_S)
        self._take(word)
        return bool(word)

    def drain(self) -> None:
        """Hear what it had still said when it ended."""
        while not self._closed and self.hear():
            pass

    def _take(self, word: dict[str, Any]) -> None:
        self.spoke = self.spoke or bool(word)
        self.turns = self.turns or "shown_ns" in word
        self.ending = self.ending or "ending" in word
        self.limit_s = word.get("limit_s", self.limit_s)
        kept = {key: word[key] for key in ("until_ns", "gap_ms", "place") if word.get(key) is not None}
        if word.get("shown_ns"):
            kept["shown_ns"] = word["shown_ns"]
        self.before = replace(self.before, **kept)

    def tell(self, number: int) -> None:
        """Pass a signal on. One that has not spoken yet has nothing to put in order."""
        if self.spoke and sys.platform != "win32":  # there the console tells both
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.process.pid, number)
        elif not self.spoke:
            self.process.kill()

    def end(self, say_where: bool = False) -> None:
        """End it by force; `say_where` it hangs, first. Calling it again does nothing."""
        if say_where and self.process.poll() is None and sys.platform != "win32":
            with contextlib.suppress(ProcessLookupError, subprocess.TimeoutExpired):
                os.kill(self.process.pid, signal.SIGABRT)  # it runs with -X faulthandler
                self.process.wait(SAY_WHERE_S)
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self._line.close()
        if sys.platform != "win32":  # what it started ends by itself when it is gone; what hangs, now
            for number in (signal.SIGTERM, signal.SIGCONT):
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.killpg(self.process.pid, number)


class Standing:
    """A show that is started again for as long as there is hope. One thread: the main one."""

    def __init__(
        self, command: Sequence[str], limits: Limits | None = None, back_off: BackOff | None = None
    ) -> None:
        self._command, self._limits = tuple(command), limits or Limits()
        self._back_off = back_off or BackOff()
        self._child: Child | None = None
        self._ran = False
        self._asked: list[int] = []

    def run(self) -> int:
        """Until the show ends; its exit code, or GAVE_UP. A signal that a person ended it by is the negative
        of its number, as subprocess has it."""
        for number in _numbers():  # what is heard here is not ignored by the child either
            if number in ALWAYS or signal.getsignal(number) is not signal.SIG_IGN:
                signal.signal(number, self._heard)
        before = Before()
        while True:
            self._child = child = Child(self._command, before)
            if self._asked:
                child.tell(self._asked[-1])
            trouble = self._watch(child)
            self._ran = self._ran or child.turns
            code = child.process.returncode
            if not trouble or self._asked or child.ending:
                if trouble and not self._asked:
                    LOG.warning("the show was over, and then %s", trouble)
                return -self._asked[-1] if self._asked and not child.spoke else int(code)
            lived_s = time.monotonic() - child.started_s
            wait_s = self._back_off.failed(lived_s)
            if self._back_off.failures >= (self._limits.most if self._ran else self._limits.most_at_start):
                return self._give_up(trouble)
            LOG.warning("the show %s; starting it again in %.2f s", trouble, wait_s)
            self._wait(wait_s)
            if self._asked:
                return -self._asked[-1]
            before = self._following(child.before, trouble)

    def _following(self, before: Before, trouble: str) -> Before:
        return replace(
            before,
            restarts=before.restarts + 1,
            reasons=(*before.reasons, trouble)[-REASONS_KEPT:],
            failures=self._back_off.failures,
        )

    def _watch(self, child: Child) -> str:
        """Until the process has ended, by itself or by force; what was wrong with that, or nothing."""
        silent_s, at_s = 0.0, time.monotonic()
        while child.process.poll() is None:
            heard, now_s = child.hear(), time.monotonic()
            # where this process itself was stopped, or the machine slept, nobody was silent meanwhile
            silent_s = 0.0 if heard else silent_s + min(now_s - at_s, 2 * TICK_S)
            at_s = now_s
            if silent_s > self._limit_s(child):
                child.end(say_where=True)
                return self._silence(child, silent_s)
        child.drain()
        child.end()
        return self._trouble(child.process.returncode)

    def _limit_s(self, child: Child) -> float:
        limits = self._limits
        if child.ending or self._asked:
            return limits.ending_s
        return limits.silent_s if child.turns else (child.limit_s or limits.start_s)

    def _silence(self, child: Child, silent_s: float) -> str:
        if child.ending or self._asked:
            return f"did not end in {silent_s:.0f} s"
        return f"was frozen for {silent_s:.0f} s" if child.turns else f"did not get ready in {silent_s:.0f} s"

    def _trouble(self, code: int) -> str:
        """Why an exit code is not the end of the show; nothing where it is. What a person has to put right is
        final only at the first start: a camera that was there an hour ago may come back."""
        if code == 0 or code in CTRL_C:
            return ""
        if code < 0:
            with contextlib.suppress(ValueError):
                return f"was ended by {signal.Signals(-code).name}"
        if 0 < code <= LARGEST_CODE and not (self._ran or (self._child is not None and self._child.turns)):
            return ""
        return f"ended with exit code {code}"

    def _give_up(self, trouble: str) -> int:
        print(
            f"The show was started {self._back_off.failures} times in a row, and none of them lived for "
            f"{HEALTHY_AFTER_S:.0f} s: the last one {trouble}. It is not started again. What went wrong "
            "stands above, each time before 'starting it again'; docs/unattended.md says what to try.",
            file=sys.stderr,
            flush=True,
        )
        return GAVE_UP

    def _wait(self, wait_s: float) -> None:
        end_s = time.monotonic() + wait_s
        while not self._asked and (left_s := end_s - time.monotonic()) > 0:
            time.sleep(min(left_s, TICK_S))

    def _heard(self, number: int, frame: FrameType | None) -> None:
        self._asked.append(number)
        if self._child is not None and self._child.process.returncode is None:
            if len(self._asked) >= FORCE_AFTER:
                self._child.process.kill()
            else:
                self._child.tell(number)


def stand(arguments: Sequence[str]) -> int:
    """Run `vivant ARGUMENTS` as a child for as long as there is hope; the exit code for this process. One
    that a person's signal ended ends this process by the same."""
    command = (sys.executable, "-P", "-X", "faulthandler", "-m", "vivant.cli.app", *arguments)
    code = Standing(command).run()
    if code < 0 and -code in _numbers():
        signal.signal(-code, signal.SIG_DFL)
        os.kill(os.getpid(), -code)
    return code if code >= 0 else 128 - code


def _numbers() -> tuple[int, ...]:
    """The signals by which a person, a terminal or a service manager ends a show."""
    if sys.platform == "win32":
        return (signal.SIGINT, signal.SIGTERM, signal.SIGBREAK)
    return (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def _handing(line: Connection) -> dict[str, Any]:
    """How Popen hands the line to the child, and how the child is told."""
    number = line.fileno()
    environment = {**os.environ, LINE: str(number)}
    if sys.platform == "win32":
        os.set_handle_inheritable(number, True)
        start = subprocess.STARTUPINFO(lpAttributeList={"handle_list": [number]})
        return {"env": environment, "startupinfo": start}
    return {"env": environment, "pass_fds": (number,)}
