"""The controllers that are plugged in: found, listened to, told back; they may come and go at any time.

One thread looks for ports and sends; the system's own MIDI thread hands on what comes. Both speak with the
present loop through queues that never wait.
"""

from __future__ import annotations

import logging
import re
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Sequence
from queue import Empty, SimpleQueue
from typing import Any, Final

from vivant.runtime.frames import Clock, VivantError
from vivant.runtime.midi.network import NetworkPort
from vivant.runtime.midi.section import TCP

LOG: Final = logging.getLogger("vivant.midi")
MOST_WAITING: Final = 8_192  # messages between two refreshes; 31,250 baud bring some 17 in one
ENOUGH: Final = 2_048  # messages: so many wait before network connections have to; one piece brings 512
MOST_PORTS: Final = 32
LOOK_S: Final = 1.0
CLOSE_WAIT_S: Final = 3.0
OURS: Final = "Vivant"
PASSED_OVER: Final = ("midi through", OURS.lower())
NUMBERS: Final = re.compile(r"\s+\d+:\d+$")  # ALSA's, which change with every plugging in

Heard = tuple[str, tuple[int, ...], int]  # port, message, when


class MidiError(VivantError):
    """MIDI cannot be had as it was asked for."""


class Waiting:
    """Messages on their way to the present loop. Any thread puts, one takes; what is too much is counted."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._messages: deque[Heard] = deque()
        self.received = self.overflow = 0

    def put(self, port: str, message: Sequence[int]) -> None:
        """Keep a message with the time of now."""
        if len(self._messages) >= MOST_WAITING:
            self.overflow += 1
            return
        self.received += 1
        self._messages.append((port, tuple(message), self._clock.now_ns()))

    def take(self) -> Heard | None:
        """The oldest; None when nothing waits."""
        try:
            return self._messages.popleft()
        except IndexError:
            return None

    def room(self) -> bool:
        """Whether a network connection may bring more; what the system brings does not ask."""
        return len(self._messages) < ENOUGH

    def __len__(self) -> int:
        return len(self._messages)


class Ports:
    """Every port whose name holds one of `names` ("all": any), and the network ports among them. Calls of the
    present loop never wait. `open_system` gives rtmidi's module, or one like it, and the system's number.

    Raises MidiError when a network port cannot be had, or python-rtmidi is not there.
    """

    def __init__(
        self,
        names: Sequence[str],
        waiting: Waiting,
        feedback: bool = True,
        system: Callable[[], tuple[Any, int]] | None = None,
    ) -> None:
        self._names = [name.lower() for name in names if not name.startswith(TCP)]
        self._waiting, self._feedback = waiting, feedback
        self._system = system or rtmidi_here
        if self._names:
            self._system()
        network = [name for name in names if name.startswith(TCP)]
        self._network = [NetworkPort(name, waiting.put, waiting.room) for name in network]
        self._open: dict[str, tuple[Any, Any]] = {}  # name: MidiIn and MidiOut, which have no types
        self._out: SimpleQueue[tuple[str, Sequence[int]] | None] = SimpleQueue()
        self._closed = threading.Event()
        self._trouble = ""
        self.lost = self.failed = 0
        self._thread = threading.Thread(target=self._run, name="midi ports", daemon=True)
        self._thread.start()

    @property
    def names(self) -> tuple[str, ...]:
        """The ports that are open now."""
        return (*self._open, *(port.name for port in self._network))

    @property
    def refused(self) -> Counter[str]:
        """What came over network connections and was no message, by reason. The system's own ports pass such
        things over themselves."""
        total: Counter[str] = Counter()
        for port in self._network:
            total.update(port.refused)
        return total

    def send(self, port: str, message: Sequence[int]) -> None:
        """Say something to one port's controller, soon."""
        self._out.put((port, message))

    def close(self) -> None:
        """End the thread and close every port. Calling it again does nothing."""
        if self._closed.is_set():
            return
        self._closed.set()
        self._out.put(None)
        self._thread.join(CLOSE_WAIT_S)
        for port in self._network:
            port.close()

    def _run(self) -> None:
        looker: Any = None
        while not self._closed.is_set():
            try:
                if self._names:
                    looker = looker or self._new("MidiIn")
                    self._look(looker)
                self._trouble = ""
            except Exception as error:  # the thread's outer edge: no system, or one that fails
                looker = None
                if str(error) != self._trouble:
                    LOG.warning("MIDI: %s. Trying again; the show goes on without", error)
                self._trouble = str(error)
                self.failed += 1
            self._send_until(time.monotonic() + LOOK_S)
        for name in tuple(self._open):
            self._shut(name)

    def _send_until(self, due_s: float) -> None:
        while (left_s := due_s - time.monotonic()) > 0:
            try:
                said = self._out.get(timeout=left_s)
            except Empty:
                return
            if said is None:
                return
            self._send(*said)

    def _send(self, port: str, message: Sequence[int]) -> None:
        for network in self._network:
            if network.name == port:
                network.send(message)
        _, out = self._open.get(port, (None, None))
        if out is None:
            return
        try:
            out.send_message(list(message))
        except Exception as error:  # rtmidi raises what its system raises
            self.failed += 1
            LOG.debug("%s took no message: %s", port, error)

    def _look(self, looker: Any) -> None:
        """Open what is new, shut what is gone."""
        there = looker.get_ports()
        for name in [name for name in self._open if name not in there]:
            self._shut(name)
            self.lost += 1
            LOG.warning("MIDI: %s is gone", name)
        for index, name in enumerate(there):
            if name not in self._open and self._wanted(name) and len(self._open) < MOST_PORTS:
                self._open[name] = self._opened(index, name)
                LOG.info("MIDI: %s", name)

    def _wanted(self, name: str) -> bool:
        lower = name.lower()
        return not lower.startswith(PASSED_OVER) and any(one == "all" or one in lower for one in self._names)

    def _opened(self, index: int, name: str) -> tuple[Any, Any]:
        heard = self._new("MidiIn")
        heard.ignore_types(sysex=True, timing=False, active_sense=True)
        heard.set_callback(lambda event, _: self._waiting.put(name, event[0]))
        heard.open_port(index)
        if not self._feedback:
            return heard, None
        out = self._new("MidiOut")
        bare = NUMBERS.sub("", name)
        for number, other in enumerate(out.get_ports()):
            if NUMBERS.sub("", other) == bare:
                out.open_port(number)
                return heard, out
        return heard, None

    def _shut(self, name: str) -> None:
        for part in self._open.pop(name):
            if part is not None:
                part.close_port()
                part.delete()

    def _new(self, kind: str) -> Any:
        module, api = self._system()
        return getattr(module, kind)(api, name=OURS)


def rtmidi_here() -> tuple[Any, int]:
    """rtmidi and the system's usual MIDI. Raises MidiError where python-rtmidi is not there."""
    try:
        import rtmidi
    except ImportError as error:
        raise MidiError(
            f"[midi] needs python-rtmidi ({error}). Install it: pip install python-rtmidi, "
            'or write inputs = "off"'
        ) from error
    return rtmidi, rtmidi.API_UNSPECIFIED


def present_ports() -> tuple[list[str], list[str]]:
    """The names of all inputs and outputs of this machine. Raises MidiError where there is no MIDI."""
    module, api = rtmidi_here()
    try:
        heard, out = module.MidiIn(api, name=OURS), module.MidiOut(api, name=OURS)
        return heard.get_ports(), out.get_ports()
    except module.SystemError as error:
        said = str(error).rstrip(".")
        raise MidiError(
            f"this machine has no MIDI system that can be asked: {said}. On Linux it is ALSA's sequencer: "
            "sudo modprobe snd-seq"
        ) from error
