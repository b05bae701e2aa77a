"""What comes to a door that speaks OSC, from the raw packet to the parameter tree.

Of several messages to one address that wait at a refresh only the newest is taken, whatever it holds;
actions are all taken. A bundle whose time tag lies in the future waits for the refresh that is seen nearest
to its time; one whose time is past acts at once, and so does `/vivant/panic` whatever its time.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Any, Final, Generic, TypeVar

from vivant.runtime.aliases import Alias
from vivant.runtime.frames import EMPTY, Clock
from vivant.runtime.packets import (
    AT_ONCE,
    LARGEST_MESSAGE,
    Malformed,
    address_of,
    arguments,
    split,
    time_tag,
)
from vivant.runtime.parameters import PANIC, PANIC_RELEASE
from vivant.runtime.schedule import Schedule
from vivant.runtime.tree import Tree

FEWEST_APPLIED: Final = 64  # a drain: whatever it costs, so that no flood starves the other addresses
MOST_WAITING: Final = (
    4_096  # messages left for the next refresh; only actions and subscriptions can be so many
)
LONGEST_ECHO: Final = 100  # characters of an address that go back to its sender

Sender = TypeVar("Sender", bound=Hashable)
Place = tuple[str, Alias | None]  # what a raw address means: the tree's or the door's, and by which alias
Waiting = tuple[Place, bytes, Sender]
Own = Mapping[str, Callable[[Sender, Sequence[Any], int], str | None]]


class Inbox(Generic[Sender]):
    """Messages of many senders on their way into the tree. One thread uses it: the present loop's.

    `source` is what the tree counts them under; `refuse` is told of sender, address, reason and time of each
    that is not taken; `own` are addresses that the door itself acts upon, which answer with the reason of
    a refusal; `wall_s` is the clock that time tags are read by, in seconds since 1970.
    """

    def __init__(
        self,
        source: str,
        clock: Clock,
        refuse: Callable[[Sender, str, str, int], None],
        own: Own[Sender] = EMPTY,
        aliases: Sequence[Alias] = (),
        wall_s: Callable[[], float] = time.time,
    ) -> None:
        self._source, self._clock, self._wall_s = source, clock, wall_s
        self._tell_refusal, self._own, self._aliases = refuse, own, tuple(aliases)
        self._tree: Tree | None = None
        self._grown = 0
        self._places: dict[bytes, Place] = {}
        self._actions: frozenset[str] = frozenset()
        self._waiting: dict[Hashable, Waiting[Sender]] = {}
        self._later: Schedule[Waiting[Sender]] = Schedule()
        self._counts: Counter[str] = Counter()
        self.refused: Counter[str] = Counter()
        """How many were refused, by reason."""

    def drain(
        self,
        tree: Tree,
        take: Callable[[], tuple[bytes, Sender] | None],
        now_ns: int,
        budget_ms: float = 2.0,
    ) -> None:
        """Take packets from `take` until it has none, and what is due, into `tree`, for about `budget_ms` at
        most; the rest waits for the next refresh."""
        if tree is not self._tree or tree.grown != self._grown:
            self._learn(tree)
        began_ns = self._clock.now_ns()
        for waiting in self._later.refresh(now_ns):
            self._place(*waiting, now_ns)
        self._sort(take, began_ns + round(budget_ms * 0.5e6), now_ns)
        self._apply(tree, began_ns + round(budget_ms * 1e6), now_ns)

    def counts(self) -> dict[str, Any]:
        """`received` messages are applied, clamped, superseded, refused by reason, or still waiting. Of them
        `scheduled` had a time to come, and `late` had one that was past."""
        named = ("received", "applied", "clamped", "superseded", "scheduled", "late")
        return {
            **{name: self._counts[name] for name in named},
            "waiting": len(self._waiting) + len(self._later),
            "refused_by_reason": dict(self.refused),
        }

    def _learn(self, tree: Tree) -> None:
        self._tree, self._grown = tree, tree.grown
        known = (*tree.addresses(), *self._own)
        self._places = {address.encode(): (address, None) for address in known}
        self._places |= {one.address.encode(): (one.target, one) for one in self._aliases}
        self._actions = frozenset(a for a, one in tree.parameters.items() if one.kind == "action")

    def _sort(self, take: Callable[[], tuple[bytes, Sender] | None], deadline_ns: int, now_ns: int) -> None:
        """Put what came in its place by raw address, unparsed; the newest of an address wins."""
        now_tag = time_tag(self._wall_s())
        while self._clock.now_ns() <= deadline_ns:
            taken = take()
            if taken is None:
                return
            packet, sender = taken
            try:
                messages = split(packet)
            except Malformed:
                self._counts["received"] += 1
                self._refuse(sender, "", "malformed", now_ns)
                continue
            for message, tag in messages:
                self._counts["received"] += 1
                self._sort_one(message, sender, tag - now_tag if tag > AT_ONCE else None, now_ns)

    def _sort_one(self, message: bytes, sender: Sender, ahead: int | None, now_ns: int) -> None:
        """`ahead` is how far the message's time lies in the future, in 1/2**32 s; None for at once."""
        raw = address_of(message)
        place = self._places.get(raw)
        if place is None:
            address = raw.decode("utf-8", "replace")[:LONGEST_ECHO]
            absent = {} if self._tree is None else self._tree.absent
            self._refuse(sender, address, absent.get(address, "unknown_address"), now_ns)
            return
        self._counts["late"] += ahead is not None and ahead <= 0
        if ahead is None or ahead <= 0 or place[0] == PANIC:
            self._place(place, message, sender, now_ns)
            return
        reason = self._put_off(place, message, sender, now_ns + (ahead * 1_000_000_000 >> 32), now_ns)
        if reason is not None:
            self._refuse(sender, place[0], reason, now_ns)

    def _put_off(self, place: Place, message: bytes, sender: Sender, due_ns: int, now_ns: int) -> str | None:
        """Keep a message for its time; the reason when it is not kept. No panic that is yet to come may find
        its end in the heap already."""
        if place[0] == PANIC_RELEASE:
            return "not_at_once"
        if len(message) > LARGEST_MESSAGE:
            return "malformed"
        reason = self._later.put((place, message, sender), due_ns, now_ns)
        self._counts["scheduled"] += reason is None
        return reason

    def _place(self, place: Place, message: bytes, sender: Sender, now_ns: int) -> None:
        address = place[0]
        key: Hashable = address
        if address in self._actions:
            self._counts["actions"] += 1
            key = self._counts["actions"]  # a number of its own
        elif address in self._own:
            key = (address, sender)
        if self._waiting.pop(key, None) is not None:
            self._counts["superseded"] += 1
        elif len(self._waiting) >= MOST_WAITING:
            self._refuse(sender, address, "too_many", now_ns)
            return
        self._waiting[key] = (place, message, sender)

    def _apply(self, tree: Tree, deadline_ns: int, now_ns: int) -> None:
        applied = 0
        while self._waiting:
            if applied >= FEWEST_APPLIED and self._clock.now_ns() > deadline_ns:
                return
            applied += 1
            place, message, sender = self._waiting.pop(next(iter(self._waiting)))
            reason = self._take(tree, place, message, sender, now_ns)
            if reason is not None:
                self._refuse(sender, place[0] if place[1] is None else place[1].address, reason, now_ns)

    def _take(self, tree: Tree, place: Place, message: bytes, sender: Sender, now_ns: int) -> str | None:
        """Let one message act; the reason when it is refused."""
        address, alias = place
        try:
            args: Sequence[object] | None = arguments(message)
        except Malformed:
            return "malformed"
        if address in self._own:
            reason = self._own[address](sender, args or (), now_ns)
            self._counts["applied"] += reason is None
            return reason
        args = args if alias is None or args is None else alias.turn(args)
        if args is None:
            return "out_of_range"
        outcome = tree.set(address, args, now_ns, self._source)
        if outcome.taken:
            self._counts[outcome.verb] += 1
        return outcome.reason

    def _refuse(self, sender: Sender, address: str, reason: str, now_ns: int) -> None:
        self.refused[reason] += 1
        self._tell_refusal(sender, address, reason, now_ns)
