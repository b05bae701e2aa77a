"""What was said to a show over OSC, kept in a file with the time of each packet, and read back.

The file is lines of JSON: the first says what it is and when it began, each other one holds `at_s` since
then, `from`, the first `address` for whoever reads it, and the packet in base64.
"""

from __future__ import annotations

import base64
import json
import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TextIO

from vivant.runtime.doors import Status
from vivant.runtime.endpoints import Endpoint
from vivant.runtime.frames import Clock, MonotonicClock, Value, VivantError
from vivant.runtime.packets import LARGEST_DATAGRAM, Malformed, address_of, split
from vivant.runtime.tree import Tree

LOG = logging.getLogger("vivant.tape")

KIND: Final = "vivant osc"
VERSION: Final = 1
MOST_WAITING: Final = 20_000  # packets of one tap, until the writer comes by
SWEEP_S: Final = 0.05
LARGEST_FILE: Final = 2 * 2**30  # bytes; a week of faders is less
LONGEST_LINE: Final = 4 * LARGEST_DATAGRAM
LATEST_S: Final = 366 * 86400.0


class Tap:
    """Where one thread leaves copies of what it heard. It never waits: when the writer does not keep up, the
    oldest are lost, and counted by what is missing."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.heard = 0
        self.waiting: deque[tuple[int, bytes, str]] = deque(maxlen=MOST_WAITING)

    def hear(self, packet: bytes, sender: Endpoint) -> None:
        """Keep a packet with the time now. The tap's own thread."""
        self.heard += 1
        self.waiting.append((self._clock.now_ns(), packet, f"{sender[0]}:{sender[1]}"))


class Tape:
    """Writes what its taps heard, on a thread of its own. A Door through which nothing comes in.

    Raises VivantError when the file cannot be written. A disk that fills up later ends the tape, not the
    show.
    """

    name = "tape"

    def __init__(
        self, path: Path, clock: Clock | None = None, wall_s: Callable[[], float] = time.time
    ) -> None:
        self.path = path
        self.refused = 0
        self._clock = MonotonicClock() if clock is None else clock
        self._taps: list[Tap] = []
        self._began_ns = self._clock.now_ns()
        self.written = self.bytes = 0
        self.trouble = ""
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file: TextIO = path.open("w", encoding="utf-8")
        except OSError as error:
            raise VivantError(f"{path} cannot be written: {error.strerror or error}") from error
        self._put({"kind": KIND, "version": VERSION, "wall_s": wall_s()})
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._write, name="vivant-tape", daemon=True)
        self._thread.start()

    def tap(self) -> Tap:
        """A new tap, for one thread."""
        self._taps.append(Tap(self._clock))
        return self._taps[-1]

    def describe(self) -> str:
        """Where it goes, for the first lines of a show."""
        return f"what is heard over OSC is kept in {self.path}"

    def drain(self, tree: Tree, now_ns: int) -> None:
        """Nothing."""

    def feed(self, tree: Tree, status: Status, now_ns: int) -> None:
        """Nothing."""

    def tell(self, address: str, args: Sequence[Value]) -> None:
        """Nothing."""

    def counts(self) -> dict[str, Any]:
        """Packets `written`, and `lost` because they came too fast, the file was full, or the disk failed."""
        waiting = sum(len(tap.waiting) for tap in self._taps)
        lost = sum(tap.heard for tap in self._taps) - self.written - waiting
        return {
            "file": str(self.path),
            "written": self.written,
            "lost": max(lost, 0),
            "trouble": self.trouble,
        }

    def close(self) -> None:
        """Write what waits, and end. Calling it again does nothing."""
        if not self._closed.is_set():
            self._closed.set()
            self._thread.join(timeout=5.0)
            self._file.close()

    def _write(self) -> None:
        while not self._closed.wait(SWEEP_S):
            self._sweep()
        self._sweep()

    def _sweep(self) -> None:
        found: list[tuple[int, bytes, str]] = []
        for tap in tuple(self._taps):
            found += [tap.waiting.popleft() for _ in range(len(tap.waiting))]
        if self.trouble:
            return
        try:
            for at_ns, packet, sender in sorted(found, key=lambda one: one[0]):
                if self.bytes > LARGEST_FILE:
                    raise OSError(f"it has {self.bytes} bytes, which is enough")
                self._put(_line((at_ns - self._began_ns) / 1e9, packet, sender))
                self.written += 1
            self._file.flush()
        except OSError as error:
            self.trouble = str(error)
            LOG.warning("%s ends here: %s", self.path, error)

    def _put(self, line: dict[str, Any]) -> None:
        self.bytes += self._file.write(json.dumps(line) + "\n")


def _line(at_s: float, packet: bytes, sender: str) -> dict[str, Any]:
    try:
        first = split(packet)[:1]
    except Malformed:
        first = []
    address = address_of(first[0][0]).decode("utf-8", "replace") if first else ""
    return {
        "at_s": round(at_s, 6),
        "from": sender,
        "address": address,
        "osc": base64.b64encode(packet).decode(),
    }


@dataclass(frozen=True, slots=True)
class Heard:
    """One packet of a tape, `at_s` seconds after it began."""

    at_s: float
    packet: bytes
    sender: str


class Recorded:
    """A tape to be read. Raises VivantError when it is none."""

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            with path.open("rb") as file:
                first = json.loads(file.readline(LONGEST_LINE))
            if first["kind"] != KIND or first["version"] != VERSION:
                raise ValueError(f"version {first['version']}")
            self.wall_s = float(first["wall_s"])
            """When it began, in seconds since 1970: the clock that its time tags were written by."""
        except OSError as error:
            raise VivantError(f"{path} cannot be read: {error.strerror or error}") from error
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise VivantError(
                f"{path} is no OSC recording of this version ({error}). Make one: vivant osc record FILE"
            ) from error
        self.damaged = 0
        """Lines that could not be read so far: the last one, where the power went; others, where an editor
        was."""

    def __iter__(self) -> Iterator[Heard]:
        """Every packet in order. Lines that cannot be read are counted and left out."""
        latest_s = 0.0
        with self.path.open("rb") as file:
            file.readline(LONGEST_LINE)
            while line := file.readline(LONGEST_LINE):
                try:
                    heard = _heard(line)
                except (ValueError, KeyError, TypeError, RecursionError):
                    self.damaged += 1
                    continue
                latest_s = max(latest_s, heard.at_s)
                yield Heard(latest_s, heard.packet, heard.sender)


def _heard(line: bytes) -> Heard:
    found = json.loads(line)
    at_s, packet = float(found["at_s"]), base64.b64decode(found["osc"], validate=True)
    if not 0 <= at_s <= LATEST_S or len(packet) > LARGEST_DATAGRAM:
        raise ValueError("no time, or no packet")
    return Heard(at_s, packet, str(found["from"]))
