"""Which adapter hangs in which slot of a student, for students of every kind.

The slots are a function of what is worn and of nothing before: names in their order from the first slot on.
So the same scales give the same picture to the last bit, whatever was worn in between.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Mapping

from vivant.runtime.frames import F32


class Hangers:
    """`count` slots; `fill(slot, name)` copies an adapter into one. One thread.

    What hangs in a slot beyond those in use stays there at a scale of zero, and adds nothing.
    """

    def __init__(self, count: int, fill: Callable[[int, str], None]) -> None:
        self._names: list[str | None] = [None] * count
        self._fill = fill

    def wear(self, scales: Mapping[str, float], known: Container[str], into: F32) -> dict[str, float]:
        """Hang what is asked for and write the scales of the slots into `into` (count,). The adapters that
        are worn now and their scales in [0, 1]: the heaviest where there are more than slots. Names that are
        not `known`, and scales that are no number above zero, count for nothing."""
        asked = {name: min(float(s), 1.0) for name, s in scales.items() if name in known and s > 0}
        heaviest = sorted(asked.items(), key=lambda item: (-item[1], item[0]))[: len(self._names)]
        worn = dict(sorted(heaviest))
        into[:] = 0.0
        for slot, (name, scale) in enumerate(worn.items()):
            if self._names[slot] != name:
                self._fill(slot, name)
                self._names[slot] = name
            into[slot] = scale
        return worn

    def renew(self, name: str) -> None:
        """The adapter of this name is another one now: whatever slot it hangs in is filled again."""
        self._names = [None if held == name else held for held in self._names]
