"""OSC out: value changes, the state of the show and refusals, to everyone who asked for them."""

from __future__ import annotations

import math
import socket
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from vivant.runtime.aliases import Alias
from vivant.runtime.endpoints import Endpoint
from vivant.runtime.frames import Value, VivantError
from vivant.runtime.packets import message
from vivant.runtime.parameters import NORM, STATUS
from vivant.runtime.tree import Tree

FEED_NS: Final = 33_000_000  # thirty times a second
SECOND_NS: Final = 1_000_000_000
SUBSCRIPTION_S: Final = 60
MOST_SUBSCRIBERS: Final = 16
CHANGES_A_FEED: Final = 16  # to one subscriber; the rest follows at the next, so that a refresh is never late
REFUSALS_A_SECOND: Final = 20
LARGEST_STATUS: Final = 2**31


@dataclass(slots=True)
class Subscriber:
    """Who gets feedback, up to which version of the tree they know it, and until when (None: for ever)."""

    where: Endpoint
    expires_ns: int | None
    seen: int = 0


class Feedback:
    """What the network does not take at once (`send` says so by False) is counted and forgotten. A change is
    told at the parameter's address, its norm, and those `aliases` that stand for it.

    One thread uses it: the present loop's. Raises VivantError when a fixed target's name is not known.
    """

    def __init__(
        self,
        send: Callable[[bytes, Endpoint], bool],
        targets: Sequence[Endpoint] = (),
        aliases: Sequence[Alias] = (),
    ) -> None:
        self._send_datagram = send
        self._aliases: dict[str, list[Alias]] = {}
        for alias in aliases:
            self._aliases.setdefault(alias.target.removesuffix(NORM), []).append(alias)
        found = [Subscriber(_resolved(target), None) for target in targets]
        self._subscribers = {subscriber.where: subscriber for subscriber in found}
        self._fed_ns = self._told_ns = self._refused_ns = -SECOND_NS
        self._refusals = 0
        self.sent = self.failed = self.unanswered = 0

    def subscribe(self, where: Endpoint, now_ns: int) -> bool:
        """Send to `where` for a minute from now; a new one first gets every value. False when it is full."""
        known = self._subscribers.get(where)
        if known is None:
            self._forget_expired(now_ns)
            if len(self._subscribers) >= MOST_SUBSCRIBERS:
                return False
            known = self._subscribers[where] = Subscriber(where, now_ns)
        if known.expires_ns is not None:
            known.expires_ns = now_ns + SUBSCRIPTION_S * SECOND_NS
        return True

    def unsubscribe(self, where: Endpoint) -> None:
        """Stop sending to `where`, unless the scene names it."""
        known = self._subscribers.get(where)
        if known is not None and known.expires_ns is not None:
            del self._subscribers[where]

    def answer(self, where: Endpoint, address: str, args: Sequence[object]) -> None:
        """One message to one receiver."""
        self._send(message(address, args), where)

    def tell(self, address: str, args: Sequence[object]) -> None:
        """One message to every subscriber."""
        if self._subscribers:
            datagram = message(address, args)
            for where in self._subscribers:
                self._send(datagram, where)

    def refuse(self, sender: Endpoint, address: str, reason: str, now_ns: int) -> None:
        """Say `/vivant/refused address reason` to the sender and its host's subscriptions."""
        if now_ns - self._refused_ns >= SECOND_NS:
            self._refused_ns, self._refusals = now_ns, 0
        if self._refusals >= REFUSALS_A_SECOND:
            self.unanswered += 1
            return
        self._refusals += 1
        datagram = message("/vivant/refused", (address, reason))
        for where in {sender, *(where for where in self._subscribers if where[0] == sender[0])}:
            self._send(datagram, where)

    def feed(self, tree: Tree, status: Callable[[], Mapping[str, Value]], now_ns: int) -> None:
        """Send what changed, at most thirty times a second, and once a second the state of the show.

        `status` is asked only when somebody listens; its keys are the names below /vivant/status/, and
        those that the tree does not list are left out.
        """
        if now_ns - self._fed_ns < FEED_NS:
            return
        self._fed_ns = now_ns
        self._forget_expired(now_ns)
        if not self._subscribers:
            return
        made: dict[str, list[bytes]] = {}
        for subscriber in self._subscribers.values():
            for version, address in tree.changes(subscriber.seen)[:CHANGES_A_FEED]:
                subscriber.seen = version
                if address not in made:
                    made[address] = _value_messages(tree, address, self._aliases.get(address, ()))
                for datagram in made[address]:
                    self._send(datagram, subscriber.where)
        if now_ns - self._told_ns >= SECOND_NS:
            self._told_ns = now_ns
            for datagram in _status_messages(tree, status()):
                for where in self._subscribers:
                    self._send(datagram, where)

    def counts(self) -> dict[str, int]:
        """Messages sent, not taken by the network, refusals left unanswered; subscribers now."""
        return {
            "sent": self.sent,
            "failed": self.failed,
            "unanswered": self.unanswered,
            "subscribers": len(self._subscribers),
        }

    def _forget_expired(self, now_ns: int) -> None:
        for where, one in tuple(self._subscribers.items()):
            if one.expires_ns is not None and one.expires_ns <= now_ns:
                del self._subscribers[where]

    def _send(self, datagram: bytes, where: Endpoint) -> None:
        if self._send_datagram(datagram, where):
            self.sent += 1
        else:
            self.failed += 1


def _value_messages(tree: Tree, address: str, aliases: Sequence[Alias]) -> list[bytes]:
    parameter, value = tree.parameters[address], tree.value(address)
    made = [message(address, (value,))]
    if parameter.kind != "text":
        made.append(message(address + NORM, (parameter.norm(value),)))
    return made + [message(alias.address, (alias.back(parameter, value),)) for alias in aliases]


def _status_messages(tree: Tree, status: Mapping[str, object]) -> Iterable[bytes]:
    for name, value in status.items():
        known = STATUS + name in tree.parameters
        if (known and isinstance(value, str)) or (
            known and isinstance(value, int | float) and math.isfinite(value) and abs(value) < LARGEST_STATUS
        ):
            yield message(STATUS + name, (value,))


def _resolved(target: Endpoint) -> Endpoint:
    try:
        return socket.gethostbyname(target[0]), target[1]
    except OSError as error:
        raise VivantError(
            f"OSC feedback to {target[0]}:{target[1]}: no machine of this name is known. Write its address."
        ) from error
