"""The UDP port of a door: one thread that does nothing but put raw datagrams aside for the present loop."""

from __future__ import annotations

import errno
import logging
import select
import socket
import threading
import time
from collections import deque
from collections.abc import Sequence
from typing import Final

from vivant.runtime.endpoints import Endpoint, among, is_loopback, network
from vivant.runtime.frames import VivantError
from vivant.runtime.packets import LARGEST_DATAGRAM
from vivant.runtime.parameters import PANIC, PANIC_RELEASE
from vivant.runtime.tape import Tap

LOG = logging.getLogger("vivant.osc")

WAITING_BYTES: Final = (
    8 * 2**20
)  # some 25,000 short datagrams; a present loop that stands for a second is dead
ENTRY_BYTES: Final = 300  # what Python needs around one datagram
RECEIVE_BUFFER: Final = 4 * 2**20  # asked for; the kernel gives what it allows
KNOWN_SENDERS: Final = 1024  # judged hosts that are remembered; forged ones must not grow without end
FEW: Final = 2  # datagrams at a waking: more are a stream, and then the thread sleeps between its sweeps,
REST_S: Final = 0.003  # because a waking for each of 20,000 a second would cost the picture a core
PAUSE_S: Final = 0.1  # after an error of the socket, so that a broken network does not cost a core

URGENT: Final = (PANIC, PANIC_RELEASE)
MOST_URGENT: Final = 64  # a panic is one message; a flood of them is still a panic

Datagram = tuple[bytes, Endpoint]


class Port:
    """Datagrams in the order they came. The thread only appends, one other thread only takes; each count is
    written by one thread alone, so that nothing needs a lock. When too much waits, the oldest goes.

    What begins with an address in `urgent`, beside URGENT, comes first; `tap` gets what is put aside too.
    Raises VivantError when it cannot listen at `listen`; port 0 takes any free one.
    """

    def __init__(
        self,
        listen: Endpoint,
        allow: Sequence[str] = (),
        urgent: Sequence[str] = (),
        tap: Tap | None = None,
    ) -> None:
        self._allowed = [network(text) for text in allow]
        self._first = tuple(address.encode() + b"\0" for address in (*URGENT, *urgent))
        self._tap = tap
        self._judged: dict[str, bool] = {}
        self._socket = _bound(listen)
        self._outward = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        for one in (self._socket, self._outward):
            one.setblocking(False)
        self.address: Endpoint = self._socket.getsockname()[:2]
        self._waiting: deque[Datagram] = deque()
        self._urgent: deque[Datagram] = deque(maxlen=MOST_URGENT)
        self._bytes_in = self._bytes_evicted = self._bytes_out = 0
        self.datagrams = self.overflow = self.not_allowed = self.errors = 0
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._receive, name="vivant-osc", daemon=True)
        self._thread.start()

    def __len__(self) -> int:
        """How many datagrams wait."""
        return len(self._urgent) + len(self._waiting)

    def take(self) -> Datagram | None:
        """The oldest datagram with its sender, an urgent one before all others; None when none waits. Never
        blocks."""
        try:
            datagram = (self._urgent or self._waiting).popleft()
        except IndexError:
            return None
        self._bytes_out += ENTRY_BYTES + len(datagram[0])
        return datagram

    def send(self, datagram: bytes, where: Endpoint) -> bool:
        """Send without waiting; False when the network did not take it.

        From the port that listens, because clients and firewalls take answers from no other; what leaves
        the machine from a port that only this machine reaches has to go through another one.
        """
        outward = is_loopback(self.address[0]) and not is_loopback(where[0])
        try:
            (self._outward if outward else self._socket).sendto(datagram, where)
        except OSError:
            return False
        return True

    def admits(self, host: str) -> bool:
        """Whether `host`, a numeric address, may send here: anyone, when nobody was named."""
        if not self._allowed:
            return True
        judged = self._judged.get(host)
        if judged is None:
            judged = among(host, self._allowed)
            if len(self._judged) < KNOWN_SENDERS:
                self._judged[host] = judged
        return judged

    def _receive(self) -> None:
        while not self._closed.is_set():
            try:
                select.select([self._socket], [], [])
                came = self._sweep()
            except OSError as error:
                self.errors += 1
                LOG.warning("the OSC socket answered: %s", error)
                self._closed.wait(PAUSE_S)
                continue
            if came > FEW:
                time.sleep(REST_S)

    def _sweep(self) -> int:
        """Put aside all that is there; how many datagrams that was."""
        came = 0
        while not self._closed.is_set():
            try:
                datagram, sender = self._socket.recvfrom(LARGEST_DATAGRAM + 1)
            except BlockingIOError:
                break
            except ConnectionResetError:  # Windows: a receiver of ours has gone
                continue
            came += 1
            if not self._closed.is_set():
                self._keep(datagram, sender)
        return came

    def _keep(self, datagram: bytes, sender: Endpoint) -> None:
        if not self.admits(sender[0]):
            self.not_allowed += 1
            return
        self.datagrams += 1
        self._bytes_in += ENTRY_BYTES + len(datagram)
        if self._tap is not None:
            self._tap.hear(datagram, sender)
        # never behind a flood, nor thrown away with it
        (self._urgent if datagram.startswith(self._first) else self._waiting).append((datagram, sender))
        while self._bytes_in - self._bytes_evicted - self._bytes_out > WAITING_BYTES and self._waiting:
            self._evict()

    def _evict(self) -> None:
        try:
            datagram, _ = self._waiting.popleft()
        except IndexError:  # the other thread took it in this very moment
            return
        self._bytes_evicted += ENTRY_BYTES + len(datagram)
        self.overflow += 1

    def close(self) -> None:
        """Wake the thread, end it and free the port. Calling it again does nothing."""
        if self._closed.is_set():
            return
        self._closed.set()
        host, port = self.address
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as poke:
            poke.sendto(b"", ("127.0.0.1" if host == "0.0.0.0" else host, port))
        self._thread.join(timeout=1.0)
        self._socket.close()
        self._outward.close()


def _bound(listen: Endpoint) -> socket.socket:
    host, port = listen
    opened = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    try:
        _widen(opened)
        opened.bind(listen)
    except OSError as error:
        opened.close()
        raise VivantError(f"OSC cannot listen on {host}:{port}: {_why(error, host, port)}") from error
    return opened


def _widen(opened: socket.socket) -> None:
    """The largest receive buffer that the system grants: it holds what comes while the thread waits."""
    size = RECEIVE_BUFFER
    while size >= 2**16:
        try:
            opened.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, size)
            return
        except OSError:  # macOS refuses what is too large, Linux shortens it
            size //= 2


def _why(error: OSError, host: str, port: int) -> str:
    other = f"--osc {host}:{port + 1 if port < 65535 else port - 1}"
    if error.errno == errno.EADDRINUSE:
        return (
            f"another program has port {port}. Close it, or choose another port: {other}, or in the scene "
            f'[osc] listen = "{other.removeprefix("--osc ")}"'
        )
    if isinstance(error, socket.gaierror) or error.errno == errno.EADDRNOTAVAIL:
        return (
            f"{host} is no address of this machine. 127.0.0.1 hears this machine, 0.0.0.0 the whole network"
        )
    if error.errno == errno.EACCES:
        return f"port {port} is not open to this user. Choose one above 1023: --osc {host}:9000"
    return str(error.strerror or error)
