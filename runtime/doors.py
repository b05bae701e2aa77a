"""Doors: everything through which a show is told what to do, and tells how it is. OSC, MIDI, OSCQuery."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from vivant.runtime.frames import Value
from vivant.runtime.tree import Tree

Status = Callable[[], Mapping[str, Value]]


class Door(Protocol):
    """One door to the parameter tree. All methods belong to the present loop's thread; none of them waits,
    and once it is open none raises: what cannot be taken is counted and answered."""

    name: str
    """What the report calls it: `osc`, `midi`."""

    def describe(self) -> str:
        """Where it listens and to whom, for the first lines of a show."""

    def drain(self, tree: Tree, now_ns: int) -> None:
        """Once a refresh, before the controls are handed on: take what waits into the tree."""

    def feed(self, tree: Tree, status: Status, now_ns: int) -> None:
        """Once a refresh, after the swap: tell what changed."""

    def tell(self, address: str, args: Sequence[Value]) -> None:
        """Something happened: say it at once to whoever listens."""

    @property
    def refused(self) -> int:
        """How many messages were refused so far."""

    def counts(self) -> dict[str, Any]:
        """For the report: what became of everything that came."""

    def close(self) -> None:
        """End its threads and free what it holds. Calling it again does nothing."""


class Doors:
    """All doors of a show, as one."""

    def __init__(self, doors: Sequence[Door] = ()) -> None:
        self.all = tuple(doors)

    def drain(self, tree: Tree, now_ns: int) -> None:
        for door in self.all:
            door.drain(tree, now_ns)

    def feed(self, tree: Tree, status: Status, now_ns: int) -> None:
        for door in self.all:
            door.feed(tree, status, now_ns)

    def tell(self, address: str, args: Sequence[Value]) -> None:
        for door in self.all:
            door.tell(address, args)

    @property
    def refused(self) -> int:
        """Of all doors together."""
        return sum(door.refused for door in self.all)

    def counts(self) -> dict[str, dict[str, Any]]:
        """By the name of the door."""
        return {door.name: door.counts() for door in self.all}
