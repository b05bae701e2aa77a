"""A tape played back into a show, at the times at which its packets were heard."""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from vivant.runtime.aliases import Alias
from vivant.runtime.frames import Clock, Value
from vivant.runtime.inbox import Inbox
from vivant.runtime.tape import Heard, Recorded
from vivant.runtime.tree import Tree

LOG = logging.getLogger("vivant.tape")
READ_AHEAD: Final = 2_000  # packets
PAUSE_S: Final = 0.05


class ReplayDoor:
    """Reads a tape on a thread of its own, a little ahead, and lets each packet act when it is due, counted
    from the first refresh. Time tags count as they did when the tape was made. A Door.

    Raises VivantError when the file is no tape.
    """

    name = "replay"

    def __init__(self, path: Path, clock: Clock, aliases: Sequence[Alias] = ()) -> None:
        self._tape = Recorded(path)
        self._inbox: Inbox[str] = Inbox("replay", clock, self._refuse, aliases=aliases, wall_s=self._wall_s)
        self._began_ns: int | None = None
        self._now_ns = 0
        self._ahead: deque[Heard] = deque()
        self._read_all = False
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._read, name="vivant-replay", daemon=True)
        self._thread.start()

    def describe(self) -> str:
        """Which tape, for the first lines of a show."""
        return f"OSC is replayed from {self._tape.path}"

    def drain(self, tree: Tree, now_ns: int) -> None:
        """Let act what is due."""
        self._began_ns = now_ns if self._began_ns is None else self._began_ns
        self._now_ns = now_ns
        self._inbox.drain(tree, self._due, now_ns)

    def feed(self, tree: Tree, status: Callable[[], Mapping[str, Value]], now_ns: int) -> None:
        """Nothing: nobody listens."""

    def tell(self, address: str, args: Sequence[Value]) -> None:
        """Nothing: nobody listens."""

    @property
    def refused(self) -> int:
        """How many messages were refused so far."""
        return self._inbox.refused.total()

    def counts(self) -> dict[str, Any]:
        """Messages as in Inbox.counts, lines that could not be read, and whether all was played."""
        done = self._read_all and not self._ahead
        return {**self._inbox.counts(), "damaged": self._tape.damaged, "done": done}

    def close(self) -> None:
        """End the thread. Calling it again does nothing."""
        self._closed.set()
        self._thread.join(timeout=1.0)

    def _elapsed_s(self) -> float:
        return 0.0 if self._began_ns is None else (self._now_ns - self._began_ns) / 1e9

    def _wall_s(self) -> float:
        """What the clock on the wall said when the tape was where it is now."""
        return self._tape.wall_s + self._elapsed_s()

    def _due(self) -> tuple[bytes, str] | None:
        if not self._ahead or self._ahead[0].at_s > self._elapsed_s():
            return None
        heard = self._ahead.popleft()
        return heard.packet, heard.sender

    def _refuse(self, sender: str, address: str, reason: str, now_ns: int) -> None:
        """Nobody is there to be told; it is counted."""

    def _read(self) -> None:
        """The thread."""
        try:
            for heard in self._tape:
                while len(self._ahead) >= READ_AHEAD and not self._closed.wait(PAUSE_S):
                    pass
                if self._closed.is_set():
                    return
                self._ahead.append(heard)
        except OSError as error:
            LOG.warning("the replay of %s ends here: %s", self._tape.path, error)
        self._read_all = True
