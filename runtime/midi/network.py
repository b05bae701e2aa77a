"""MIDI over a network connection, `tcp:HOST:PORT`: for machines without a MIDI system. Plain MIDI bytes, as
mido's sockets send them."""

from __future__ import annotations

import logging
import re
import select
import socket
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from queue import Empty, SimpleQueue
from typing import Final

from vivant.runtime.endpoints import endpoint
from vivant.runtime.frames import VivantError
from vivant.runtime.oscquery.pace import Pace

LOG: Final = logging.getLogger("vivant.midi")
POLL_S: Final = 0.002
MOST_CLIENTS: Final = 16
PIECE: Final = 1_024  # bytes that are read of one client before the next has its turn
RECEIVE_BUFFER: Final = 8_192  # bytes: what waits there is old, and comes before what is new
SYSEX: Final = 0xF0
REAL_TIME: Final = 0xF8
CHANNEL: Final = {0x80: 2, 0x90: 2, 0xA0: 2, 0xB0: 2, 0xC0: 1, 0xD0: 1, 0xE0: 2}
DATA: Final = CHANNEL | {0xF1: 1, 0xF2: 2, 0xF3: 1, 0xF6: 0}
"""How many data bytes follow a status, channel messages without their channel."""
UNDEFINED: Final = (0xF4, 0xF5, 0xF9, 0xFD)
SYSEX_ENDS: Final = 0xF7
STATUS: Final = re.compile(rb"[\x80-\xff]")
REASONS: Final = ("system_exclusive", "stray", "undefined", "broken", "too_many")
"""Why bytes become no message: exclusive to some maker's devices; data that belongs to nothing, counted by
stretches; a status that MIDI does not have; a message that ends in the middle; a connection too many."""


class Wire:
    """Bytes of one connection on their way to messages. Keeps three bytes at most, whatever comes, and counts
    in `refused` what becomes none, by REASONS."""

    def __init__(self, refused: Counter[str]) -> None:
        self._refused = refused
        self._message: list[int] = []
        self._missing = 0
        self._exclusive = False

    def messages(self, piece: bytes) -> Iterator[list[int]]:
        """The messages that `piece` completes: running status is understood, and real time may stand
        anywhere. What lies between two messages is passed over whole, however long it is."""
        at = 0
        while at < len(piece):
            byte = piece[at]
            if byte < 0x80 and not self._message:
                found = STATUS.search(piece, at)
                self._refused["stray"] += not self._exclusive
                at = len(piece) if found is None else found.start()
                continue
            at += 1
            if byte in UNDEFINED:
                self._refused["undefined"] += 1
            elif byte >= REAL_TIME:
                yield [byte]
            elif byte >= 0x80:
                yield from self._begin(byte)
            else:
                self._message.append(byte)
                if len(self._message) > self._missing:
                    yield self._message
                    self._message = self._message[:1] if self._message[0] < SYSEX else []

    def _begin(self, status: int) -> Iterator[list[int]]:
        self._refused["broken"] += len(self._message) > 1
        self._refused["system_exclusive"] += status == SYSEX
        self._refused["stray"] += status == SYSEX_ENDS and not self._exclusive
        self._message, self._exclusive = [], status == SYSEX
        count = DATA.get(status if status >= SYSEX else status & 0xF0)
        if count == 0:
            yield [status]
        elif count is not None:
            self._message, self._missing = [status], count


class NetworkPort:
    """Listens for programs that send MIDI bytes; what it is told goes to all of them. A thread of its own,
    that takes no more than its share of a processor: beyond it senders wait, and while there is no `room` for
    what they say. `refused` counts what was no message, by REASONS; only that thread writes it.

    Raises VivantError when the port cannot be had.
    """

    def __init__(
        self, name: str, hear: Callable[[str, Sequence[int]], None], room: Callable[[], bool]
    ) -> None:
        self.name, self._hear, self._room = name, hear, room
        host, number = endpoint(name.removeprefix("tcp:"))
        try:
            self._server = socket.create_server((host, number), backlog=MOST_CLIENTS)
        except OSError as error:
            raise VivantError(f"MIDI cannot listen on {host}:{number}: {error.strerror or error}") from error
        self._server.setsockopt(
            socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER
        )  # its connections inherit it
        self._server.setblocking(False)
        self._clients: dict[socket.socket, Wire] = {}
        self.refused = Counter(dict.fromkeys(REASONS, 0))  # whole from the start: another thread reads it
        self._out: SimpleQueue[Sequence[int]] = SimpleQueue()
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"midi {name}", daemon=True)
        self._thread.start()

    def send(self, message: Sequence[int]) -> None:
        """Say something to all that are connected, soon."""
        self._out.put(message)

    def close(self) -> None:
        """End the thread and free the port."""
        self._closed.set()
        self._thread.join(3.0)

    def _run(self) -> None:
        pace = Pace()
        while not self._closed.is_set():
            try:
                self._serve()
            except Exception as error:  # the thread's outer edge: a client may send or do anything
                LOG.warning("MIDI on %s: %s", self.name, error)
                self._closed.wait(POLL_S)
            pace.step()
        for client in tuple(self._clients):
            self._end(client)
        self._server.close()

    def _serve(self) -> None:
        if not self._room():
            self._closed.wait(POLL_S)
            self._tell()
            return
        readable, _, _ = select.select([self._server, *self._clients], [], [], POLL_S)
        for one in readable:
            if one is self._server:
                self._accept()
            else:
                self._read(one)
        self._tell()

    def _accept(self) -> None:
        try:
            client, _ = self._server.accept()
        except OSError:  # it is gone already
            return
        if len(self._clients) >= MOST_CLIENTS:
            self.refused["too_many"] += 1
            client.close()
            return
        client.setblocking(False)
        self._clients[client] = Wire(self.refused)

    def _read(self, client: socket.socket) -> None:
        try:
            piece = client.recv(PIECE)
        except BlockingIOError:
            return
        except OSError:
            piece = b""
        if not piece:
            self._end(client)
            return
        for message in self._clients[client].messages(piece):
            self._hear(self.name, message)

    def _tell(self) -> None:
        """Hand on what is to be said; who does not read it is sent away."""
        while True:
            try:
                message = bytes(self._out.get_nowait())
            except Empty:
                return
            for client in tuple(self._clients):
                try:
                    client.sendall(message)
                except OSError:
                    self._end(client)

    def _end(self, client: socket.socket) -> None:
        del self._clients[client]
        client.close()
