"""The server of OSCQuery: HTTP and websockets on one port, on a thread of its own.

The thread answers from the newest Board that the present loop published, and puts aside what clients send
for its next refresh. It never asks the present loop for anything, and never takes more than its share of a
processor (vivant.runtime.oscquery.pace).
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import socket
import threading
from collections import Counter, deque
from collections.abc import Sequence
from http import HTTPStatus
from typing import Final

from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.datastructures import Headers
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response

from vivant.runtime.endpoints import Endpoint, among, network
from vivant.runtime.frames import EMPTY, VivantError
from vivant.runtime.oscquery.announce import Announcement
from vivant.runtime.oscquery.answers import Answer, Host, answer, speaks_to_us
from vivant.runtime.oscquery.namespace import Board
from vivant.runtime.oscquery.pace import Pace
from vivant.runtime.oscquery.session import Session
from vivant.runtime.packets import LARGEST_DATAGRAM
from vivant.runtime.tape import Tap

LOG = logging.getLogger("vivant.oscquery")
SILENT: Final = logging.getLogger("vivant.oscquery.connections")  # a line for each stranger would be a flood
SILENT.disabled = True

MOST_CONNECTIONS: Final = 48
MOST_OF_A_HOST: Final = 24  # a browser, three programs, and what they open beside
MOST_WAITING: Final = 256  # packets that the present loop has not taken; then their senders wait
BACKLOG: Final = 64
RECEIVE_BUFFER: Final = 32_768  # bytes of a connection: what waits there is old, and comes before what is new
OPEN_S: Final = 5.0  # for a request to arrive whole
CLOSE_S: Final = 3.0
NEWS_S: Final = 0.05  # twenty times a second
ROOM_S: Final = 0.01
BROKEN: Final = (1002, 1007, 1009)  # how a websocket ends whose client sent what is none, no text, too much
POLICY: Final = (
    "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; connect-src 'self' ws:"
)

Packet = tuple[bytes, Session]


class QueryServer:
    """Listens at `listen` for the hosts in `allow` (all, when empty). The present loop's thread writes
    `board`, takes from `waiting` and calls `close`; everything else is the server's thread's.

    Raises VivantError when the port cannot be had; port 0 takes any free one.
    """

    def __init__(
        self,
        listen: Endpoint,
        allow: Sequence[str],
        name: str,
        osc: Endpoint | None,
        tap: Tap | None = None,
        announce: bool = True,
    ) -> None:
        self._socket = _bound(listen)
        self.address: Endpoint = self._socket.getsockname()[:2]
        self.host = Host(name, osc, self.address)
        self._allowed = [network(text) for text in allow]
        self._own_names = frozenset({"localhost", socket.gethostname().lower().removesuffix(".local")})
        self._tap = tap
        self.board = Board(EMPTY, EMPTY)
        self.waiting: deque[Packet] = deque()
        self.counted: Counter[str] = Counter()
        self.sessions = 0
        self.announcement = Announcement(self.host) if announce else None
        self._pace: Pace | None = None
        self._hosts: Counter[str] = Counter()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._end: asyncio.Event | None = None
        self._begun = threading.Event()
        self._thread = threading.Thread(target=self._run, name="vivant-oscquery", daemon=True)
        self._thread.start()
        self._begun.wait(OPEN_S)

    def close(self) -> None:
        """End the thread and free the port. Calling it again does nothing."""
        if self._loop is not None and self._end is not None and self._thread.is_alive():
            with contextlib.suppress(RuntimeError):  # the loop has just ended by itself
                self._loop.call_soon_threadsafe(self._end.set)
            self._thread.join(timeout=CLOSE_S + 2.0)
        self._socket.close()

    @property
    def rested_s(self) -> float:
        """How long the thread rested because too much came."""
        return 0.0 if self._pace is None else self._pace.rested_s

    def _run(self) -> None:
        """The thread: its outer edge."""
        self._pace = Pace()
        try:
            asyncio.run(self._serve())
        except Exception as error:
            self.counted["errors"] += 1
            LOG.exception("OSCQuery has ended, the show goes on: %s", error)
        finally:
            self._begun.set()

    async def _serve(self) -> None:
        self._loop, self._end = asyncio.get_running_loop(), asyncio.Event()
        self._begun.set()
        while not self.board.parameters and not self._end.is_set():
            await asyncio.sleep(NEWS_S)  # who comes before the first refresh waits, instead of seeing nothing
        query = self

        class Ours(Guarded):
            server_of_query = query

        server: Server
        async with serve(
            self._attend,
            sock=self._socket,
            process_request=self._answer,
            create_connection=Ours,
            compression=None,
            open_timeout=OPEN_S,
            close_timeout=CLOSE_S,
            max_size=LARGEST_DATAGRAM,
            server_header=None,
            logger=SILENT,
            backlog=BACKLOG,
        ) as server:
            said = asyncio.create_task(self._announce())
            await self._end.wait()
            said.cancel()
            if self.announcement is not None:
                await self.announcement.end()
            server.close()
            for connection in tuple(server.connections):
                connection.transport.abort()

    async def _announce(self) -> None:
        if self.announcement is not None:
            await self.announcement.begin()

    def enter(self, host: str) -> bool:
        """A connection is there: whether it may stay. `leave` follows in both cases."""
        self.counted["connections"] += 1
        self._hosts[host] += 1
        if not among(host, self._allowed):
            self.counted["not_allowed"] += 1
            return False
        if self._hosts.total() > MOST_CONNECTIONS or self._hosts[host] > MOST_OF_A_HOST:
            self.counted["too_many"] += 1
            return False
        return True

    def leave(self, host: str, spoke: bool) -> None:
        """A connection is gone; `spoke` when a request of it could be read."""
        self.counted["unread"] += not spoke
        self._hosts[host] -= 1
        if self._hosts[host] <= 0:
            del self._hosts[host]

    def rest(self) -> None:
        """After a piece of work of the server's thread."""
        if self._pace is not None:
            self._pace.step()

    def _answer(self, connection: ServerConnection, request: Request) -> Response | None:
        """An HTTP answer; None goes on to the websocket."""
        self.counted["requests"] += 1
        headers = request.headers
        hosts, origins = headers.get_all("Host"), headers.get_all("Origin")
        origin = origins[0] if origins else None
        if len(hosts) != 1 or not speaks_to_us(hosts[0], origin, self._own_names):
            self.counted["foreign"] += 1
            return _response(Answer(403, b"not for this server\n", "text/plain"))
        if request.method != "GET":
            self.counted["bad_requests"] += 1
            return _response(Answer(405))
        if "websocket" in ",".join(headers.get_all("Upgrade")).lower():
            return None
        try:
            found = answer(request.path, ",".join(headers.get_all("Accept")), self.board, self.host)
        except ValueError:  # no URL at all
            found = Answer(400)
        self.counted["bad_requests"] += found.status >= 400
        return _response(found)

    async def _attend(self, connection: ServerConnection) -> None:
        """A websocket from its beginning to its end."""
        session = Session(self.board)
        self.sessions += 1
        told = asyncio.create_task(self._tell(connection, session))
        try:
            with contextlib.suppress(ConnectionClosed):
                async for message in connection:
                    await self._heard(message, session, connection)
        finally:
            self.sessions -= 1
            ended = connection.protocol.close_sent
            self.counted["broken"] += ended is not None and ended.code in BROKEN
            told.cancel()

    async def _heard(self, message: str | bytes, session: Session, connection: ServerConnection) -> None:
        if isinstance(message, str):
            self.counted["commands"] += 1
            self.counted["commands_refused"] += not session.obey(message, self.board)
            return
        while len(self.waiting) >= MOST_WAITING and self._end is not None and not self._end.is_set():
            await asyncio.sleep(ROOM_S)
        self.counted["packets"] += 1
        self.waiting.append((message, session))
        if self._tap is not None:
            self._tap.hear(message, connection.remote_address[:2])

    async def _tell(self, connection: ServerConnection, session: Session) -> None:
        """Send a client its news. One that reads slowly gets the newest of each when it has read the last."""
        with contextlib.suppress(ConnectionClosed):
            while True:
                for one in session.news(self.board):
                    await connection.send(one)
                    self.counted["sent"] += 1
                self.rest()
                await asyncio.sleep(NEWS_S)


class Guarded(ServerConnection):
    """A connection that the server may turn away before it costs anything."""

    server_of_query: QueryServer
    _from = ""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Let it stay, or end it."""
        super().connection_made(transport)
        peer = transport.get_extra_info("peername")
        self._from = str(peer[0]) if peer else ""
        if not self.server_of_query.enter(self._from):
            self.transport.abort()
        self.server_of_query.rest()

    def data_received(self, data: bytes) -> None:
        """Read, then rest when it was much."""
        super().data_received(data)
        self.server_of_query.rest()

    def connection_lost(self, exc: Exception | None) -> None:
        """It is gone."""
        self.server_of_query.leave(self._from, self.request is not None)
        super().connection_lost(exc)


def _response(found: Answer) -> Response:
    headers = Headers(
        {
            "Connection": "close",
            "Content-Length": str(len(found.body)),
            "Cache-Control": "no-store",
            "X-Content-Type-Options": "nosniff",
        }
    )
    if found.body:
        headers["Content-Type"] = found.content
    if found.content.startswith("text/html"):
        headers["Content-Security-Policy"] = POLICY
    return Response(found.status, HTTPStatus(found.status).phrase, headers, found.body)


def _bound(listen: Endpoint) -> socket.socket:
    host, port = listen
    try:
        opened = socket.create_server(listen, backlog=BACKLOG)
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER)  # every connection inherits it
        return opened
    except OSError as error:
        other = f"{host}:{port + 1 if port < 65535 else port - 1}"
        why = error.strerror or str(error)
        if error.errno == errno.EADDRINUSE:
            why = f"another program has port {port}. Close it, or choose another: --oscquery {other}"
        elif isinstance(error, socket.gaierror) or error.errno == errno.EADDRNOTAVAIL:
            why = f"{host} is no address of this machine. 127.0.0.1 is this machine, 0.0.0.0 the network"
        raise VivantError(f"OSCQuery cannot listen on {host}:{port}: {why}") from error
