"""MIDI over a network connection, `tcp:HOST:PORT`: for machines without a MIDI system, through mido."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from queue import Empty, SimpleQueue
from typing import Any, Final

from vivant.runtime.endpoints import endpoint
from vivant.runtime.frames import VivantError

LOG: Final = logging.getLogger("vivant.midi")
POLL_S: Final = 0.002
MOST_CLIENTS: Final = 16
LONGEST_MESSAGE: Final = 3  # bytes: what is longer is system exclusive, and moves nothing


class NetworkPort:
    """Listens for programs that send MIDI bytes; what it is told goes to all of them. A thread of its own.

    Raises VivantError when the port cannot be had.
    """

    def __init__(self, name: str, hear: Callable[[str, Sequence[int]], None]) -> None:
        from mido.sockets import PortServer

        self.name, self._hear = name, hear
        host, number = endpoint(name.removeprefix("tcp:"))
        try:
            self._server: Any = PortServer(host, number)  # mido has no types
        except OSError as error:
            raise VivantError(f"MIDI cannot listen on {host}:{number}: {error.strerror or error}") from error
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
        clients: list[Any] = []
        while not self._closed.wait(POLL_S):
            try:
                self._serve(clients)
            except Exception as error:  # the thread's outer edge: a client may send or do anything
                LOG.warning("MIDI on %s: %s", self.name, error)
        for client in clients:
            client.close()
        self._server.close()

    def _serve(self, clients: list[Any]) -> None:
        while (client := self._server.accept(block=False)) is not None:
            if len(clients) >= MOST_CLIENTS:
                client.close()
            else:
                clients.append(client)
        for client in tuple(clients):
            for message in client.iter_pending():
                heard = message.bytes()
                if len(heard) <= LONGEST_MESSAGE:
                    self._hear(self.name, heard)
            if client.closed:
                clients.remove(client)
        self._tell(clients)

    def _tell(self, clients: list[Any]) -> None:
        from mido import Message

        while True:
            try:
                message = Message.from_bytes(self._out.get_nowait())
            except Empty:
                return
            for client in clients:
                if not client.closed:
                    client.send(message)
