"""In the render process: adapters are read and packed on a thread, and hung between two frames."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Final

from vivant.engines.contract import Fitted

LOG: Final = logging.getLogger("vivant.render")

Read = Callable[[Path], Fitted]


@dataclass(frozen=True, slots=True)
class Fit:
    """The present process asks for an adapter: the file to read."""

    path: str


@dataclass(frozen=True, slots=True)
class Hung:
    """It can be worn from this frame on; or the `problem` for which it cannot."""

    path: str
    name: str = ""
    hash: str = ""
    problem: str = ""


class Fitting:
    """`ask` and `ready` belong to the frame path and never wait. The thread begins with the first request. It
    has the priority of the show: a slower one could be put to sleep with Python's lock in its hands."""

    def __init__(self) -> None:
        self._asked: SimpleQueue[tuple[Read, str] | None] = SimpleQueue()
        self._done: SimpleQueue[tuple[str, Fitted | str]] = SimpleQueue()
        self._thread: threading.Thread | None = None

    def ask(self, read: Read, path: str) -> None:
        """Have a file read by `read`, which may take long."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, name="fitting", daemon=True)
            self._thread.start()
        self._asked.put((read, path))

    def ready(self) -> list[tuple[str, Fitted | str]]:
        """What was read since the last call, by path; words for what cannot be used."""
        found = []
        try:
            while True:
                found.append(self._done.get_nowait())
        except Empty:
            return found

    def close(self) -> None:
        """End the thread after what it is at; closing twice is no error."""
        self._asked.put(None)

    def _work(self) -> None:
        while (asked := self._asked.get()) is not None:
            read, path = asked
            # the outer edge of this thread: whatever is wrong with a file is that file's trouble alone
            try:
                self._done.put((path, read(Path(path))))
            except Exception as error:
                LOG.warning("an adapter cannot be worn: %s", error)
                self._done.put((path, str(error)))
