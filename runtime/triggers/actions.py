"""What a trigger does: the acts of a rule as changes of the parameter tree, with their fades."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from vivant.runtime.frames import Value
from vivant.runtime.parameters import CHOOSE
from vivant.runtime.tempo.lookahead import DRAWN
from vivant.runtime.tree import Tree
from vivant.runtime.triggers.conditions import chance_of
from vivant.runtime.triggers.rules import Act, Pick

SOURCE = "triggers"


@dataclass(frozen=True, slots=True)
class Change:
    """A parameter that got a value, on its way there for `fade_s` (None: as the parameter does itself)."""

    address: str
    value: Value
    fade_s: float | None = None


def changes(acts: Sequence[Act], tree: Tree, key: str, drawn: bool | None = None) -> Iterator[Change]:
    """What `acts` come to now: all of them, or those that the present process draws with, or the others.
    `key` decides what "random" picks; one is taken after the other, so that a second "next" goes on from the
    first."""
    for index, act in enumerate(acts):
        if drawn is not None and act.address.startswith(DRAWN) != drawn:
            continue
        value = True if act.to is None else act.to
        if isinstance(value, Pick):
            value = _picked(value, act.address, tree, f"{key}/{index}")
        yield Change(act.address, value, act.fade_s)


def carry_out(
    acts: Sequence[Act], tree: Tree, now_ns: int, key: str, drawn: bool | None = None
) -> tuple[Change, ...]:
    """Change the tree as `changes` say; returns what was changed. What the tree refuses it counts itself."""
    made = []
    for change in changes(acts, tree, key, drawn):
        outcome = tree.set(change.address, (change.value,), now_ns, SOURCE, change.fade_s)
        if outcome.taken:
            made.append(change)
    return tuple(made)


def _picked(pick: Pick, address: str, tree: Tree, key: str) -> Value:
    """The next value of a choice or of a whole number, or another one by chance."""
    parameter, current = tree.parameters[address], tree.value(address)
    if address == CHOOSE or parameter.choices:
        options: Sequence[Value] = parameter.choices
    else:
        options = range(int(parameter.minimum), int(parameter.maximum) + 1)
    at = options.index(current)
    if pick is Pick.NEXT:
        return options[(at + 1) % len(options)]
    others = max(len(options) - 1, 1)
    return options[(at + 1 + int(chance_of(key) * others)) % len(options)]
