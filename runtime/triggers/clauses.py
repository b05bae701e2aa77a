"""What a condition asks for, as clauses: any one of them, whole, makes it true.

Thresholds count at their loosest (with hysteresis a condition stays true down to `until`), so that a clause
that is found impossible is impossible.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Final

from vivant.runtime.parameters import Parameter, address_of
from vivant.runtime.signals import SENSED
from vivant.runtime.triggers.agreement import SIGNAL
from vivant.runtime.triggers.rules import (
    Compound,
    Leaf,
    ParameterIs,
    Part,
    Rule,
    SignalIs,
    Stands,
    Threshold,
)

MOST_CLAUSES: Final = 256  # a condition with more is believed to be possible

Literal = tuple[Leaf, bool]  # a condition, and whether it is wanted or its contrary
Clause = tuple[Literal, ...]


@dataclass(frozen=True, slots=True)
class Range:
    """Numbers between two bounds; `shut` says whether both bounds are in it."""

    low: float = -math.inf
    high: float = math.inf
    low_shut: bool = True
    high_shut: bool = True

    def meet(self, other: Range) -> Range:
        """What both have."""
        low = max((self.low, not self.low_shut), (other.low, not other.low_shut))
        high = min((self.high, self.high_shut), (other.high, other.high_shut))
        return Range(low[0], high[0], not low[1], high[1])

    @property
    def empty(self) -> bool:
        """Whether no number is in it."""
        return self.low > self.high or (self.low == self.high and not (self.low_shut and self.high_shut))


def clauses(part: Part, wanted: bool = True) -> list[Clause] | None:
    """The clauses of a condition, or of its contrary; None when there are too many to look at."""
    if not isinstance(part, Compound):
        return [((part, wanted),)]
    if part.word == "not":
        return clauses(part.parts[0], not wanted)
    inner = [clauses(one, wanted) for one in part.parts]
    known = [one for one in inner if one is not None]
    if len(known) < len(inner):
        return None
    if (part.word == "any") == wanted:
        joined = [clause for one in known for clause in one]
        return joined if len(joined) <= MOST_CLAUSES else None
    if math.prod(map(len, known)) > MOST_CLAUSES:
        return None
    return [tuple(literal for clause in choice for literal in clause) for choice in product(*known)]


def contradicts_itself(
    clause: Clause, parameters: Mapping[str, Parameter], rules: Mapping[str, Rule]
) -> bool:
    """Whether numbers, values and states exclude each other, whatever the calendar says."""
    ranges: dict[str, Range] = {}
    for name, found in _ranges(clause, parameters):
        ranges[name] = ranges.get(name, Range()).meet(found)
        if ranges[name].empty:
            return True
    return _unequal(clause) or _two_states(clause, rules)


def _ranges(clause: Clause, parameters: Mapping[str, Parameter]) -> Iterator[tuple[str, Range]]:
    for leaf, wanted in clause:
        if isinstance(leaf, SignalIs):
            name, whole = _signal(leaf.signal, parameters)
        elif isinstance(leaf, ParameterIs) and leaf.equals is None:
            name = address_of(leaf.parameter)
            one = parameters[name]
            whole = Range(one.minimum, one.maximum)
        else:
            continue
        yield name, whole
        if wanted:
            first = _region(leaf, True, first=True)
            yield name, Range(1.0, 0.0) if whole.meet(first).empty else _region(leaf, True)
        else:
            yield name, _region(leaf, False)


def _signal(name: str, parameters: Mapping[str, Parameter]) -> tuple[str, Range]:
    declared = parameters.get(SIGNAL + name)
    if declared is not None:
        return SIGNAL + name, Range(declared.minimum, declared.maximum)
    return f"signal {name}", Range(0.0, 1.0 if name in (*SENSED, "intensity") else math.inf)


def _region(keys: Threshold, wanted: bool, first: bool = False) -> Range:
    """Where it can be true; `first`: where it can become so."""
    if keys.above is not None:
        bound = keys.above if first or not wanted or keys.until is None else keys.until
        return Range(low=bound, low_shut=False) if wanted else Range(high=bound)
    assert keys.below is not None
    bound = keys.below if first or not wanted or keys.until is None else keys.until
    return Range(high=bound, high_shut=False) if wanted else Range(low=bound)


def _unequal(clause: Clause) -> bool:
    wanted: dict[str, set[object]] = {}
    unwanted: dict[str, set[object]] = {}
    for leaf, is_wanted in clause:
        if isinstance(leaf, ParameterIs) and leaf.equals is not None:
            place = wanted if is_wanted else unwanted
            place.setdefault(address_of(leaf.parameter), set()).add(leaf.equals)
    return any(len(values) > 1 or values & unwanted.get(a, set()) for a, values in wanted.items())


def _two_states(clause: Clause, rules: Mapping[str, Rule]) -> bool:
    """Two triggers of one group that should stand at once, or one that should stand and not stand."""
    stand: dict[str, str] = {}
    named = {leaf.stands for leaf, wanted in clause if isinstance(leaf, Stands) and wanted}
    if named & {leaf.stands for leaf, wanted in clause if isinstance(leaf, Stands) and not wanted}:
        return True
    for name in named:
        group = rules[name].group
        if group is not None and stand.setdefault(group, name) != name:
            return True
    return False


def states(clause: Clause) -> Sequence[str]:
    """The triggers that a clause wants to stand."""
    return [leaf.stands for leaf, wanted in clause if isinstance(leaf, Stands) and wanted]
