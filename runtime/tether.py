"""The show's end of the line to the process that watches over it (vivant.runtime.standing).

A thread of its own says that the present loop still turns, and where the show stands; and hears when nobody
watches any more, which ends the show. The present loop only sets attributes here, and never waits.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Final

LOG: Final = logging.getLogger("vivant.tether")
LINE: Final = "VIVANT_LINE"  # the environment's word for the descriptor (on Windows: the handle)
LOOK_S: Final = 0.05  # a panic is told so soon
BEAT_S: Final = 0.25
PLACE_S: Final = 1.0  # between two words on where the show stands
TOLD_LIMIT_S: Final = 1.0
ORPHAN_LIMIT_S: Final = 20.0  # what an orderly end may take once nobody watches

WORDS: Final = ("here", "limit_s", "until_ns", "shown_ns", "gap_ms", "place", "ending")
"""What the show says, in JSON objects with some of: `here`, its process id; `limit_s`, how long its start may
take; `until_ns`, when it ends; `shown_ns`, the present loop turns, and showed its newest picture then;
`gap_ms`, without a picture over the restart; `place`; `ending`."""


@dataclass(frozen=True, slots=True)
class Before:
    """What the watching process says first: how often the show was started again and why, how many times in a
    row it did not live long, and what the process before said. Times as MonotonicClock has them."""

    restarts: int = 0
    reasons: tuple[str, ...] = ()
    failures: int = 0
    place: Any = None  # JSON of vivant.runtime.returning.Place, which judges it
    until_ns: int | None = None
    shown_ns: int = 0
    gap_ms: float = 0.0

    @classmethod
    def read(cls, said: bytes) -> Before:
        """Raises ValueError or TypeError for what is not one."""
        found = cls(**json.loads(said))
        return replace(found, reasons=tuple(found.reasons))

    def packed(self) -> bytes:
        """As `read` takes it."""
        return json.dumps(asdict(self)).encode()


class Tether:
    """`before` is what was said first. What is said here only sets attributes; the thread tells them."""

    def __init__(self, line: Connection, before: Before) -> None:
        self._line, self.before = line, before
        self._words: dict[str, Any] = {"here": os.getpid()}  # replaced, never changed
        self._told: dict[str, Any] = {}
        self._shown_ns = self._turns = self._turns_told = 0
        self._beat_s = self._place_s = 0.0
        self._ending = False
        self._thread = threading.Thread(target=self._run, name="tether", daemon=True)
        self._thread.start()

    @classmethod
    def find(cls) -> Tether | None:
        """The line that this process was started with; None where nobody watches."""
        number = os.environ.pop(LINE, "")
        if not number:
            return None
        line = _connection(int(number))
        return cls(line, Before.read(line.recv_bytes()))

    def expect(self, limit_s: float) -> None:
        """The show may take so long until its present loop turns."""
        self._say("limit_s", limit_s)

    def until(self, until_ns: int | None) -> int | None:
        """When the show ends: the first process decides, the others keep to it."""
        until_ns = until_ns if self.before.until_ns is None else self.before.until_ns
        self._say("until_ns", until_ns)
        return until_ns

    def turned(self, shown_ns: int) -> None:
        """Once a refresh: the loop turns, and showed its newest picture then (0: none yet)."""
        if shown_ns and not self._shown_ns and self.before.shown_ns:
            gap_ms = (shown_ns - self.before.shown_ns) / 1e6
            LOG.info("the picture is back after %.1f s", gap_ms / 1e3)
            self._say("gap_ms", max(gap_ms, self.before.gap_ms))
        self._shown_ns = shown_ns
        self._turns += 1

    def stands(self, place: Mapping[str, Any]) -> None:
        """Where the show stands: told once a second, at once when its `panic` changed."""
        self._say("place", place)

    def ending(self) -> None:
        """The show is over, whatever may happen to this process from now on. Returns when that was told."""
        self._ending = True
        self._thread.join(TOLD_LIMIT_S)

    def counts(self) -> dict[str, Any]:
        """For the report: restarts of the whole show, why, and the longest time without a picture."""
        gap_ms = self._words.get("gap_ms", self.before.gap_ms)
        return {
            "restarts": self.before.restarts,
            "reasons": list(self.before.reasons),
            "longest_gap_ms": gap_ms,
        }

    def _say(self, key: str, value: Any) -> None:
        self._words = {**self._words, key: value}

    def _run(self) -> None:
        try:
            while not self._ending:
                if self._line.poll(LOOK_S):
                    self._line.recv_bytes()  # nobody says anything here: this is the end
                news = self._news(time.monotonic())
                if news:
                    self._line.send_bytes(json.dumps(news, default=str).encode())
            self._line.send_bytes(json.dumps({"ending": True}).encode())
        except (EOFError, OSError):
            self._orphaned()

    def _news(self, now_s: float) -> dict[str, Any]:
        """What differs from what was told, as far as it is time for it."""
        words, turns = self._words, self._turns
        news = {key: value for key, value in words.items() if value != self._told.get(key)}
        if "place" in news and self._due(words["place"], now_s):
            self._place_s = now_s
        else:
            news.pop("place", None)
        self._told |= news
        if turns != self._turns_told and now_s - self._beat_s >= BEAT_S:
            self._turns_told, self._beat_s = turns, now_s
            return news | {"shown_ns": self._shown_ns}
        return news

    def _due(self, place: Mapping[str, Any], now_s: float) -> bool:
        told = self._told.get("place")
        return told is None or told["panic"] != place["panic"] or now_s - self._place_s >= PLACE_S

    def _orphaned(self) -> None:
        """Nobody watches any more: end as by Ctrl-C, by force where that takes too long."""
        if self._ending:
            return
        LOG.warning("the process that watched over the show is gone; the show ends")
        if sys.platform == "win32":
            import _thread

            _thread.interrupt_main()
        else:
            signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)
        time.sleep(ORPHAN_LIMIT_S)
        os._exit(1)


def _connection(number: int) -> Connection:
    if sys.platform == "win32":
        from multiprocessing.connection import PipeConnection

        os.set_handle_inheritable(number, False)
        return PipeConnection(number)
    os.set_inheritable(number, False)
    return Connection(number)


def following(path: Path) -> Path:
    """Where a recording goes on after a restart: FILE-2, FILE-3 ..., the first that nobody wrote yet."""
    number = 2
    while (found := path.with_stem(f"{path.stem}-{number}")).exists():
        number += 1
    return found


def told(line: Connection) -> dict[str, Any]:
    """The watching side: one word of the show. Raises EOFError or OSError at its end; what is no word is
    none, and counts as silence."""
    said = line.recv_bytes()
    with contextlib.suppress(ValueError):
        word = json.loads(said)
        return word if isinstance(word, dict) else {}
    return {}
