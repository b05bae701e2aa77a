"""Other names for parameters, so that a layout made for another program can be kept as it is."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from pydantic import Field, ValidationError, model_validator

from vivant.runtime.frames import Value
from vivant.runtime.mapped import SHAPES, Ends, Mapped, backwards, ends_trouble, target_trouble
from vivant.runtime.parameters import CLAMP_SHARE, LARGEST_NUMBER, NORM, ROOT, Parameter
from vivant.runtime.problems import key_text, problem
from vivant.runtime.tree import Tree

ADDRESS: Final = re.compile(r"(/[!-~]+)+")  # printable ASCII ...
RESERVED: Final = re.compile(r"[#*,?\[\]{}]|//|/$")  # ... without what OSC 1.0 keeps for patterns


class Renamed(Mapped):
    """What an alias means: the parameter `to`; `from`, the numbers that its sender sends from one end to the
    other; `onto`, where in the parameter's range these are meant to lie (all of it, if not given); and the
    curve between the two."""

    from_: Ends | None = Field(None, alias="from")
    onto: Ends | None = None
    norm: bool = False

    @model_validator(mode="before")
    @classmethod
    def _short(cls, given: Any) -> Any:  # Any: whatever TOML holds
        return {"to": given} if isinstance(given, str) else given


@dataclass(frozen=True, slots=True)
class Alias:
    """`address` stands for `target`, an address that the tree knows. With `begin` and `end` apart, a number
    between them lies as far between `low` and `high`, along `curve`."""

    address: str
    target: str
    begin: float = 0.0
    end: float = 0.0
    low: float = 0.0
    high: float = 1.0
    curve: str = "linear"

    @property
    def plain(self) -> bool:
        """Whether values pass as they are."""
        return self.begin == self.end

    def turn(self, args: Sequence[object]) -> Sequence[object] | None:
        """What the arguments mean to the target; None for a number too far outside. What is no number is left
        to the target to refuse."""
        if self.plain or len(args) != 1 or not isinstance(args[0], bool | int | float):
            return args
        if args[0] != args[0]:  # NaN
            return args
        number = float(args[0]) if abs(args[0]) < LARGEST_NUMBER else math.inf
        share = (number - self.begin) / (self.end - self.begin)
        if not -CLAMP_SHARE <= share <= 1 + CLAMP_SHARE:
            return None
        return (self.low + (self.high - self.low) * SHAPES[self.curve](min(max(share, 0.0), 1.0)),)

    def back(self, parameter: Parameter, value: Value) -> Value:
        """What the sender would have sent for `value` of the target's parameter."""
        if self.plain and not self.target.endswith(NORM):
            return value
        number = parameter.norm(value) if self.target.endswith(NORM) else float(value)
        if self.plain:
            return number
        share = min(max((number - self.low) / (self.high - self.low), 0.0), 1.0)
        return self.begin + (self.end - self.begin) * backwards(self.curve, share)


def aliases_of(renamed: Mapping[str, Renamed]) -> tuple[Alias, ...]:
    """The aliases of a scene whose section has no problems."""
    return tuple(_alias(address, one) for address, one in renamed.items())


def _alias(address: str, one: Renamed) -> Alias:
    if one.onto is not None:
        return Alias(address, one.address, *(one.from_ or (0.0, 1.0)), *one.onto, curve=one.curve)
    if one.from_ is None and not one.norm:
        return Alias(address, one.address)
    target = one.address if one.address.endswith(NORM) else one.address + NORM
    return Alias(address, target, *(one.from_ or (0.0, 1.0)), curve=one.curve)


def alias_problems(aliases: Mapping[str, Any], tree: Tree) -> Iterator[str]:
    """What the addresses and the parameters say against the table of aliases, one line each. An alias that
    is wrong in itself is another problem, and skipped."""
    for address, given in aliases.items():
        trouble = _address_trouble(address)
        if trouble is not None:
            yield f"{key_text(('osc', 'aliases', address))}: {trouble}"
        try:
            one = Renamed.model_validate(given)
        except ValidationError:
            continue
        where = ("osc", "aliases", address)
        trouble = target_trouble(one.address, tree, norm=True) or _clash(one, tree)
        if trouble is not None:
            yield problem(where, one.to, trouble)
        elif one.onto is not None:
            parameter = tree.parameters[one.address.removesuffix(NORM)]
            trouble = ends_trouble(one.onto, parameter, one.address.endswith(NORM))
            if trouble is not None:
                yield problem((*where, "onto"), one.onto, trouble)


def _address_trouble(text: str) -> str | None:
    if not ADDRESS.fullmatch(text) or RESERVED.search(text):
        return "the address should be one of plain characters, such as /layer1/opacity"
    if f"{text}/".startswith(ROOT):
        return f"the address should not begin with {ROOT}, with which Vivant's own begin"
    return None


def _clash(one: Renamed, tree: Tree) -> str | None:
    """What of an alias does not go with what."""
    parameter = tree.parameters[one.address.removesuffix(NORM)]
    if parameter.kind in ("action", "text") and (one.from_ or one.onto or one.norm):
        return f"is {'an action' if parameter.kind == 'action' else 'a text'} and has no range to map onto"
    if one.onto is not None and one.norm:
        return "'onto' is in the parameter's own unit, so that norm = true does not go with it"
    return None
