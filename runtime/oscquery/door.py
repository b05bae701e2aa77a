"""The door of OSCQuery: every parameter found, read and set by programs that know nothing of this one, and by
people with a browser."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

from vivant.runtime.aliases import aliases_of
from vivant.runtime.endpoints import Endpoint, is_loopback, outward
from vivant.runtime.frames import EMPTY, Clock, Value
from vivant.runtime.inbox import Inbox
from vivant.runtime.oscquery.answers import EVERYWHERE
from vivant.runtime.oscquery.events import Event, Happened, events_of
from vivant.runtime.oscquery.namespace import Board
from vivant.runtime.oscquery.server import Packet, QueryServer
from vivant.runtime.oscquery.session import Session
from vivant.runtime.packets import message
from vivant.runtime.parameters import STATUS
from vivant.runtime.tape import Tap
from vivant.runtime.tree import Tree

if TYPE_CHECKING:
    from vivant.runtime.scene import Scene

PUBLISH_NS: Final = 50_000_000  # twenty times a second
STATUS_NS: Final = 1_000_000_000
REFUSALS_A_SECOND: Final = 20
MOST_HAPPENED: Final = 64  # events that are kept for clients that read slowly


class QueryDoor:
    """Publishes the tree at `listen` and takes what comes over the websockets, from the hosts that the scene
    allows; `osc` is where OSC is really heard, and `tap` gets what comes too. A Door.

    Raises VivantError when the port cannot be had.
    """

    name = "oscquery"

    def __init__(
        self,
        scene: Scene,
        listen: Endpoint,
        clock: Clock,
        osc: Endpoint | None,
        tap: Tap | None = None,
        announce: bool = True,
    ) -> None:
        self._allow = scene.osc.allow
        self._server = QueryServer(listen, self._allow, f"Vivant: {scene.title}", osc, tap, announce)
        aliases = aliases_of(scene.osc.aliases)
        self._inbox: Inbox[Session] = Inbox("oscquery", clock, self._refuse, aliases=aliases)
        self._status: Mapping[str, Value] = EMPTY
        self._published_ns = self._told_ns = self._refused_ns = -STATUS_NS
        self._refusals = 0
        self._asked = self._version = -1
        self._events: Mapping[str, Event] = EMPTY
        self._last: dict[str, tuple[Value, ...]] = {}
        self._happened: deque[Happened] = deque(maxlen=MOST_HAPPENED)
        self._told = self._said = 0  # events until now, and those that are published

    @property
    def address(self) -> Endpoint:
        """Where it really listens."""
        return self._server.address

    def describe(self) -> str:
        """Where it is and who may come, for the first lines of a show."""
        host, port = self.address
        if is_loopback(host):
            return f"OSCQuery and sliders on http://{host}:{port}, for this machine only"
        host = outward() if host == EVERYWHERE else host
        who = f"for {', '.join(self._allow)}" if self._allow else "for everyone who reaches it"
        return f"OSCQuery and sliders on http://{host}:{port}, open to the network {who}"

    def drain(self, tree: Tree, now_ns: int) -> None:
        """Take what came over the websockets into `tree`."""
        self._inbox.drain(tree, self._next, now_ns)

    def feed(self, tree: Tree, status: Callable[[], Mapping[str, Value]], now_ns: int) -> None:
        """Publish what is, twenty times a second when it changed; the status once a second when anybody
        asks."""
        if now_ns - self._published_ns < PUBLISH_NS:
            return
        self._published_ns = now_ns
        server = self._server
        asked = server.counted["requests"]
        fresh = now_ns - self._told_ns >= STATUS_NS and (server.sessions > 0 or asked != self._asked)
        if fresh:
            self._told_ns, self._asked = now_ns, asked
            found = {STATUS + name: value for name, value in status().items()}
            self._status = {a: v for a, v in found.items() if a in tree.parameters and _finite(v)}
        grown = tree.parameters is not server.board.parameters
        if fresh or grown or tree.version != self._version or self._told != self._said:
            self._version, self._said = tree.version, self._told
            if grown:
                self._events = events_of(tree.parameters)
            values = MappingProxyType({**tree.current, **self._status})
            last = MappingProxyType(dict(self._last))
            server.board = Board(tree.parameters, values, self._events, last, tuple(self._happened))

    def tell(self, address: str, args: Sequence[Value]) -> None:
        """An event, for those who listen to its address: with the next that is published."""
        if address in self._events:
            self._told += 1
            self._last[address] = tuple(args)
            self._happened.append(Happened(self._told, address, self._last[address]))

    @property
    def refused(self) -> int:
        """How many messages were refused so far."""
        return self._inbox.refused.total()

    def counts(self) -> dict[str, Any]:
        """Messages as in Inbox.counts; the server's connections, requests and what it turned away."""
        server = self._server
        return {
            **self._inbox.counts(),
            "server": dict(server.counted)
            | {
                "sessions": server.sessions,
                "rested_s": round(server.rested_s, 3),
                "zeroconf": "off" if server.announcement is None else server.announcement.state,
            },
        }

    def close(self) -> None:
        """End the server."""
        self._server.close()

    def _next(self) -> Packet | None:
        try:
            return self._server.waiting.popleft()
        except IndexError:
            return None

    def _refuse(self, sender: Session, address: str, reason: str, now_ns: int) -> None:
        if now_ns - self._refused_ns >= STATUS_NS:
            self._refused_ns, self._refusals = now_ns, 0
        self._refusals += 1
        if self._refusals <= REFUSALS_A_SECOND:
            sender.refusals.append(message("/vivant/refused", (address, reason)))


def _finite(value: Value) -> bool:
    return isinstance(value, str) or abs(value) < float("inf")
