"""What other programs' addresses and controllers are mapped onto: a parameter, a part of its range, a
curve."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Annotated, Final

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from vivant.runtime.fades import CURVES
from vivant.runtime.parameters import NORM, Parameter, address_of
from vivant.runtime.tree import Tree

SHAPES: Final[Mapping[str, Callable[[float], float]]] = MappingProxyType(
    {**CURVES, "square": lambda x: x * x, "root": math.sqrt}
)
"""How a position from 0 to 1 becomes a share of the range; all rise. The only door from a name to one."""
HALVINGS: Final = 40  # to go a shape back: finer than float32


def _known(name: str) -> str:
    if name not in SHAPES:
        raise ValueError(f"should be one of {', '.join(SHAPES)}")
    return name


def _apart(ends: tuple[float, float]) -> tuple[float, float]:
    if ends[0] == ends[1]:
        raise ValueError("has the same end twice: it would move nothing")
    return ends


Shape = Annotated[str, AfterValidator(_known)]
Number = Annotated[float, Field(strict=False, allow_inf_nan=False)]
Ends = Annotated[tuple[Number, Number], Field(strict=False), AfterValidator(_apart)]
"""Two different numbers; the second may be the smaller."""


class Mapped(BaseModel):
    """What is moved, `to` (/vivant/ may be left out), and along which of SHAPES."""

    model_config = ConfigDict(
        strict=True, extra="forbid", frozen=True, allow_inf_nan=False, populate_by_name=True
    )

    to: str
    curve: Shape = "linear"

    @property
    def address(self) -> str:
        """The whole address of what is moved."""
        return address_of(self.to)


def target_trouble(address: str, tree: Tree, norm: bool = False) -> str | None:
    """What keeps `address` from being moved; its door /norm only goes where there is `norm`."""
    plain = address.removesuffix(NORM)
    parameter = tree.parameters.get(plain)
    if parameter is None or parameter.read_only or (norm and address not in tree.addresses()):
        return tree.problem(address if norm else plain, 0.0)
    return None if norm or address == plain else "leave /norm out"


def ends_trouble(ends: tuple[float, float], parameter: Parameter, norm: bool = False) -> str | None:
    """What keeps `ends` from being a part of the parameter's range, or of [0, 1] at its door /norm."""
    if norm:
        return None if min(ends) >= 0 and max(ends) <= 1 else "should lie in [0, 1]"
    if parameter.kind not in ("float", "int"):
        return f"goes with a number; {parameter.address} is a {parameter.kind}"
    if not all(parameter.minimum <= end <= parameter.maximum for end in ends):
        return f"should lie in {parameter.range_text()}"
    return None


def backwards(shape: str, reached: float) -> float:
    """Where on a shape `reached` is, both in [0, 1]."""
    if shape == "linear":
        return reached
    curve, low, high = SHAPES[shape], 0.0, 1.0
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        low, high = (middle, high) if curve(middle) < reached else (low, middle)
    return high
