"""The OSC door: datagrams in, values into the parameter tree, feedback out.

A message that is malformed, unknown, out of range or of the wrong type is counted, answered and ignored.
Of several messages to one address that wait at a refresh only the newest is taken, whatever it holds;
actions are all taken. A bundle's messages are taken with the others; one whose time tag lies in the future
is taken at once, and counted as early.
"""

from __future__ import annotations

import ipaddress
import time
from collections import Counter
from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, Self

from vivant.runtime.endpoints import Endpoint, is_loopback
from vivant.runtime.feedback import SUBSCRIPTION_S, Feedback
from vivant.runtime.frames import Clock, MonotonicClock, Value
from vivant.runtime.packets import Malformed, address_of, arguments, split, time_tag
from vivant.runtime.port import Port
from vivant.runtime.tree import Tree

if TYPE_CHECKING:
    from vivant.runtime.scene import Scene

PING: Final = "/vivant/ping"
SUBSCRIBE: Final = "/vivant/subscribe"
UNSUBSCRIBE: Final = "/vivant/unsubscribe"
FEWEST_APPLIED: Final = 64  # a drain: whatever it costs, so that no flood starves the other addresses
MOST_WAITING: Final = (
    4_096  # messages left for the next refresh; only actions and subscriptions can be so many
)
LONGEST_ECHO: Final = 100  # characters of an address that go back to its sender

Waiting = tuple[str, bytes, Endpoint]  # address, message, sender


class OscDoor:
    """Hears OSC at `listen` from the senders in `allow` (all, when empty) and tells `targets` and whoever
    subscribes. A Door.

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
    ) -> None:
        self._port = Port(listen, allow)
        self._feedback = Feedback(self._port.send, targets)
        self._allow = tuple(allow)
        self._clock = MonotonicClock() if clock is None else clock
        self._wall_s = wall_s
        self._tree: Tree | None = None
        self._grown = 0
        self._addresses: dict[bytes, str] = {}
        self._actions: frozenset[str] = frozenset()
        self._waiting: dict[Hashable, Waiting] = {}
        self._counts: Counter[str] = Counter()
        self._refused: Counter[str] = Counter()
        self._own: Mapping[str, Callable[[Endpoint, Sequence[Any], int], str | None]] = {
            PING: self._ping,
            SUBSCRIBE: self._subscribe,
            UNSUBSCRIBE: self._unsubscribe,
        }

    @classmethod
    def of(cls, scene: Scene, clock: Clock) -> Self | None:
        """The door that a scene asks for; None when it asks for none."""
        listen = scene.osc.listen_at
        return None if listen is None else cls(listen, scene.osc.allow, scene.osc.targets, clock)

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
        if tree is not self._tree or tree.grown != self._grown:
            self._learn(tree)
        began_ns = self._clock.now_ns()
        self._sort(began_ns + round(budget_ms * 0.5e6), now_ns)
        self._apply(tree, began_ns + round(budget_ms * 1e6), now_ns)

    def feed(self, tree: Tree, status: Callable[[], Mapping[str, Value]], now_ns: int) -> None:
        """Send feedback, if any is due: see Feedback.feed."""
        self._feedback.feed(tree, status, now_ns)

    def tell(self, address: str, args: Sequence[Value]) -> None:
        """Say something to every subscriber at once."""
        self._feedback.tell(address, args)

    @property
    def refused(self) -> int:
        """How many messages were refused so far."""
        return self._refused.total() + self._port.not_allowed

    def counts(self) -> dict[str, Any]:
        """What became of everything that came: `received` messages are applied, clamped, superseded, refused
        by reason, or still waiting; `overflow` counts datagrams that were never looked at."""
        refused = dict(self._refused)
        if self._port.not_allowed:
            refused["not_allowed"] = refused.get("not_allowed", 0) + self._port.not_allowed
        counted = {name: self._counts[name] for name in ("applied", "clamped", "superseded", "early")}
        return {
            "datagrams": self._port.datagrams,
            "received": self._counts["received"] + self._port.not_allowed,
            **counted,
            "waiting": len(self._waiting),
            "overflow": self._port.overflow,
            "refused_by_reason": refused,
            "feedback": self._feedback.counts(),
        }

    def close(self) -> None:
        """End the receiving thread and free the port."""
        self._port.close()

    def _learn(self, tree: Tree) -> None:
        self._tree, self._grown = tree, tree.grown
        self._addresses = {address.encode(): address for address in (*tree.addresses(), *self._own)}
        self._actions = frozenset(a for a, one in tree.parameters.items() if one.kind == "action")

    def _sort(self, deadline_ns: int, now_ns: int) -> None:
        """Put every waiting message in its place by raw address, unparsed; the newest of an address wins."""
        now_tag = time_tag(self._wall_s())
        for _ in range(len(self._port)):
            if self._clock.now_ns() > deadline_ns:
                return
            taken = self._port.take()
            if taken is None:
                return
            datagram, sender = taken
            try:
                messages = split(datagram)
            except Malformed:
                self._counts["received"] += 1
                self._refuse(sender, "", "malformed", now_ns)
                continue
            for message, tag in messages:
                self._counts["received"] += 1
                self._counts["early"] += tag > now_tag
                self._place(message, sender, now_ns)

    def _place(self, message: bytes, sender: Endpoint, now_ns: int) -> None:
        raw = address_of(message)
        address = self._addresses.get(raw)
        if address is None:
            self._refuse(sender, raw.decode("utf-8", "replace")[:LONGEST_ECHO], "unknown_address", now_ns)
            return
        key: Hashable = address
        if address in self._actions:
            key = self._counts["received"]  # a number of its own
        elif address in self._own:
            key = (address, sender)
        if self._waiting.pop(key, None) is not None:
            self._counts["superseded"] += 1
        elif len(self._waiting) >= MOST_WAITING:
            self._refuse(sender, address, "too_many", now_ns)
            return
        self._waiting[key] = (address, message, sender)

    def _apply(self, tree: Tree, deadline_ns: int, now_ns: int) -> None:
        applied = 0
        while self._waiting:
            if applied >= FEWEST_APPLIED and self._clock.now_ns() > deadline_ns:
                return
            applied += 1
            address, message, sender = self._waiting.pop(next(iter(self._waiting)))
            reason = self._take(tree, address, message, sender, now_ns)
            if reason is not None:
                self._refuse(sender, address, reason, now_ns)

    def _take(self, tree: Tree, address: str, message: bytes, sender: Endpoint, now_ns: int) -> str | None:
        """Let one message act; the reason when it is refused."""
        try:
            args = arguments(message)
        except Malformed:
            return "malformed"
        if address in self._own:
            reason = self._own[address](sender, args, now_ns)
            self._counts["applied"] += reason is None
            return reason
        outcome = tree.set(address, args, now_ns, "osc")
        if outcome.taken:
            self._counts[outcome.verb] += 1
        return outcome.reason

    def _refuse(self, sender: Endpoint, address: str, reason: str, now_ns: int) -> None:
        self._refused[reason] += 1
        self._feedback.refuse(sender, address, reason, now_ns)

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
