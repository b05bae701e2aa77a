"""The OSC door: datagrams in, values into the parameter tree, feedback out.

A message that is malformed, unknown, out of range or of the wrong type is counted, answered and ignored.
What is taken when: vivant.runtime.inbox. Whoever subscribes is told of every change: vivant.runtime.feedback.
"""

from __future__ import annotations

import ipaddress
import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, Self

from vivant.runtime.aliases import Alias, aliases_of
from vivant.runtime.endpoints import Endpoint, is_loopback
from vivant.runtime.feedback import SUBSCRIPTION_S, Feedback
from vivant.runtime.frames import Clock, MonotonicClock, Value
from vivant.runtime.inbox import Inbox
from vivant.runtime.port import URGENT, Port
from vivant.runtime.tape import Tap
from vivant.runtime.tree import Tree

if TYPE_CHECKING:
    from vivant.runtime.scene import Scene

PING: Final = "/vivant/ping"
SUBSCRIBE: Final = "/vivant/subscribe"
UNSUBSCRIBE: Final = "/vivant/unsubscribe"


class OscDoor:
    """Hears OSC at `listen` from the senders in `allow` (all, when empty) and tells `targets` and whoever
    subscribes. `aliases` are heard like what they stand for, and with `echo` told beside it. What is heard
    goes to `tap` too. A Door.

    Raises VivantError when the port cannot be had.
    """

    name = "osc"

    def __init__(
        self,
        listen: Endpoint,
        allow: Sequence[str] = (),
        targets: Sequence[Endpoint] = (),
        clock: Clock | None = None,
        wall_s: Callable[[], float] = time.time,
        aliases: Sequence[Alias] = (),
        echo: bool = False,
        tap: Tap | None = None,
    ) -> None:
        self._port = Port(listen, allow, [one.address for one in aliases if one.target in URGENT], tap)
        self._feedback = Feedback(self._port.send, targets, aliases if echo else ())
        self._allow = tuple(allow)
        own = {PING: self._ping, SUBSCRIBE: self._subscribe, UNSUBSCRIBE: self._unsubscribe}
        clock = MonotonicClock() if clock is None else clock
        self._inbox = Inbox("osc", clock, self._feedback.refuse, own, aliases, wall_s)

    @classmethod
    def of(cls, scene: Scene, clock: Clock, tap: Tap | None = None) -> Self | None:
        """The door that a scene asks for; None when it asks for none."""
        osc = scene.osc
        if osc.listen_at is None:
            return None
        aliases = aliases_of(osc.aliases)
        return cls(osc.listen_at, osc.allow, osc.targets, clock, aliases=aliases, echo=osc.echo, tap=tap)

    @property
    def address(self) -> Endpoint:
        """Where it really listens."""
        return self._port.address

    def describe(self) -> str:
        """Where it listens and who may send, for the first lines of a show."""
        host, port = self.address
        who = f"for {', '.join(self._allow)}" if self._allow else "for everyone who reaches it"
        if is_loopback(host):
            return f"OSC on {host}:{port}, for this machine only"
        return f"OSC on {host}:{port}, open to the network {who}"

    def drain(self, tree: Tree, now_ns: int, budget_ms: float = 2.0) -> None:
        """Take what waits into `tree`, once a refresh, for about `budget_ms` at most; the rest waits on."""
        self._inbox.drain(tree, self._port.take, now_ns, budget_ms)

    def feed(self, tree: Tree, status: Callable[[], Mapping[str, Value]], now_ns: int) -> None:
        """Send feedback, if any is due: see Feedback.feed."""
        self._feedback.feed(tree, status, now_ns)

    def tell(self, address: str, args: Sequence[Value]) -> None:
        """Say something to every subscriber at once."""
        self._feedback.tell(address, args)

    @property
    def refused(self) -> int:
        """How many messages were refused so far."""
        return self._inbox.refused.total() + self._port.not_allowed

    def counts(self) -> dict[str, Any]:
        """What became of everything that came: see Inbox.counts; `overflow` counts datagrams that were never
        looked at."""
        counted = self._inbox.counts()
        refused = counted.pop("refused_by_reason")
        if self._port.not_allowed:
            refused["not_allowed"] = refused.get("not_allowed", 0) + self._port.not_allowed
            counted["received"] += self._port.not_allowed
        return {
            "datagrams": self._port.datagrams,
            **counted,
            "overflow": self._port.overflow,
            "refused_by_reason": refused,
            "feedback": self._feedback.counts(),
        }

    def close(self) -> None:
        """End the receiving thread and free the port."""
        self._port.close()

    def _ping(self, sender: Endpoint, args: Sequence[object], now_ns: int) -> None:
        """`/vivant/ping [int or string]` is answered by `/vivant/pong` with the same, to the sender."""
        self._feedback.answer(sender, "/vivant/pong", [a for a in args[:1] if isinstance(a, int | str)])

    def _subscribe(self, sender: Endpoint, args: Sequence[object], now_ns: int) -> str | None:
        """`/vivant/subscribe [[host] port]`: feedback for a minute; answered by `/vivant/subscribed`."""
        where = self._where(sender, args)
        if isinstance(where, str):
            return where
        if not self._feedback.subscribe(where, now_ns):
            return "too_many"
        self._feedback.answer(sender, "/vivant/subscribed", (*where, SUBSCRIPTION_S))
        return None

    def _unsubscribe(self, sender: Endpoint, args: Sequence[object], now_ns: int) -> str | None:
        where = self._where(sender, args)
        if isinstance(where, str):
            return where
        self._feedback.unsubscribe(where)
        return None

    def _where(self, sender: Endpoint, args: Sequence[object]) -> Endpoint | str:
        """The receiver that a subscription means, or why there is none. Another host than the sender's must
        be named in `allow`: nobody aims our feedback at a third machine."""
        if len(args) > 2:
            return "wrong_arity"
        host: object = args[0] if len(args) == 2 else sender[0]
        port: object = args[-1] if args else sender[1]
        if not isinstance(host, str) or isinstance(port, bool) or not isinstance(port, int | float):
            return "wrong_type"
        if not 1 <= port <= 65535:  # NaN is not either
            return "out_of_range"
        try:
            ipaddress.IPv4Address(host)
        except ValueError:
            return "wrong_type"
        if host != sender[0] and not (self._allow and self._port.admits(host)):
            return "not_allowed"
        return host, int(port)
