"""Other names for parameters, so that a layout made for another program can be kept as it is."""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Final

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from vivant.runtime.fades import CURVES
from vivant.runtime.frames import Value
from vivant.runtime.parameters import CLAMP_SHARE, LARGEST_NUMBER, NORM, ROOT, Parameter
from vivant.runtime.problems import key_text, problem
from vivant.runtime.tree import Tree

ADDRESS: Final = re.compile(r"(/[!-~]+)+")  # printable ASCII ...
RESERVED: Final = re.compile(r"[#*,?\[\]{}]|//|/$")  # ... without what OSC 1.0 keeps for patterns
STEPS: Final = 40  # of halving, to go a curve back: finer than float32

Number = Annotated[float, Field(strict=False, allow_inf_nan=False)]
Ends = Annotated[tuple[Number, Number], Field(strict=False)]


class Renamed(BaseModel):
    """What an alias means: the parameter `to`; `from`, the numbers that its sender sends from one end to the
    other; `onto`, where in the parameter's range these are meant to lie (all of it, if not given); and one
    of the fades' curves between the two."""

    model_config = ConfigDict(
        strict=True, extra="forbid", frozen=True, allow_inf_nan=False, populate_by_name=True
    )

    to: str
    from_: Ends | None = Field(None, alias="from")
    onto: Ends | None = None
    norm: bool = False
    curve: str = "linear"

    @model_validator(mode="before")
    @classmethod
    def _short(cls, given: Any) -> Any:  # Any: whatever TOML holds
        return {"to": given} if isinstance(given, str) else given

    @field_validator("from_", "onto")
    @classmethod
    def _apart(cls, ends: tuple[float, float] | None) -> tuple[float, float] | None:
        if ends is not None and ends[0] == ends[1]:
            raise ValueError("should be two different numbers, such as [0, 127]")
        return ends

    @field_validator("curve")
    @classmethod
    def _curve(cls, name: str) -> str:
        if name not in CURVES:
            raise ValueError(f"should be one of {', '.join(CURVES)}")
        return name

    @property
    def address(self) -> str:
        """The full address of what is meant."""
        return self.to if self.to.startswith("/") else ROOT + self.to


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
        return (self.low + (self.high - self.low) * CURVES[self.curve](min(max(share, 0.0), 1.0)),)

    def back(self, parameter: Parameter, value: Value) -> Value:
        """What the sender would have sent for `value` of the target's parameter."""
        if self.plain and not self.target.endswith(NORM):
            return value
        number = parameter.norm(value) if self.target.endswith(NORM) else float(value)
        if self.plain:
            return number
        share = min(max((number - self.low) / (self.high - self.low), 0.0), 1.0)
        return self.begin + (self.end - self.begin) * _backwards(self.curve, share)


def _backwards(curve: str, reached: float) -> float:
    """Where on a curve, all of which rise, `reached` is."""
    if curve == "linear":
        return reached
    low, high = 0.0, 1.0
    for _ in range(STEPS):
        middle = (low + high) / 2
        low, high = (middle, high) if CURVES[curve](middle) < reached else (low, middle)
    return high


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
        trouble = _trouble(one, tree)
        if trouble is not None:
            yield problem(("osc", "aliases", address), one.to, trouble)


def _address_trouble(text: str) -> str | None:
    if not ADDRESS.fullmatch(text) or RESERVED.search(text):
        return "the address should be one of plain characters, such as /layer1/opacity"
    if f"{text}/".startswith(ROOT):
        return f"the address should not begin with {ROOT}, with which Vivant's own begin"
    return None


def _trouble(one: Renamed, tree: Tree) -> str | None:
    known, wanted = tree.addresses(), one.address
    if wanted not in known:
        near = difflib.get_close_matches(wanted, known, n=1)
        return "unknown parameter; " + (f"did you mean '{near[0]}'?" if near else "see: vivant parameters")
    parameter = tree.parameters.get(wanted) or tree.parameters[wanted.removesuffix(NORM)]
    if parameter.read_only:
        return "is only reported, it cannot be set"
    if parameter.kind in ("action", "text") and (one.from_ or one.onto or one.norm):
        return f"is {'an action' if parameter.kind == 'action' else 'a text'} and has no range to map onto"
    if one.onto is not None and one.norm:
        return "'onto' is in the parameter's own unit, so that norm = true does not go with it"
    if one.onto is not None:
        return _outside(one.onto, parameter, wanted.endswith(NORM))
    return None


def _outside(onto: tuple[float, float], parameter: Parameter, norm: bool) -> str | None:
    if parameter.kind not in ("float", "int") and not norm:
        return "is no number, so that 'onto' does not go with it; leave it away"
    low, high = (0.0, 1.0) if norm else (parameter.minimum, parameter.maximum)
    if low <= min(onto) and max(onto) <= high:
        return None
    return f"'onto' should be within [{low:g}, {high:g}]"
