"""The parameters as OSCQuery sees them: a tree of nodes with attributes, made from what was last published.

The protocol: https://github.com/Vidvox/OSCQueryProposal
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final

from vivant.runtime.frames import EMPTY, Value
from vivant.runtime.oscquery.events import Event, Happened
from vivant.runtime.parameters import Parameter

READ, WRITE = 1, 2
ATTRIBUTES: Final = frozenset(
    {
        "ACCESS",
        "CONTENTS",
        "CRITICAL",
        "DESCRIPTION",
        "FULL_PATH",
        "RANGE",
        "TAGS",
        "TYPE",
        "UNIT",
        "VALUE",
    }
)
"""What a node may have."""
UNKNOWN_HERE: Final = frozenset({"CLIPMODE", "EXTENDED_TYPE", "OVERLOADS"})
"""What the protocol knows and no node of ours has."""
TYPES: Final[Mapping[str, str]] = MappingProxyType(
    {"float": "f", "int": "i", "bool": "T", "choice": "s", "action": "I", "text": "s"}
)
UNITS: Final[Mapping[str, str]] = MappingProxyType(
    {"s": "time.second", "ms": "time.ms", "px": "distance.pixels", "Hz": "time.hz", "bpm": "time.bpm"}
)
"""Our units in the protocol's words; others go as they are."""


@dataclass(frozen=True, slots=True)
class Board:
    """What the present loop published: every parameter and event by address, the values that are known now,
    what was last said of each event, and the latest that happened, the newest last. Nobody edits one."""

    parameters: Mapping[str, Parameter]
    values: Mapping[str, Value]
    events: Mapping[str, Event] = field(default_factory=lambda: EMPTY)
    last: Mapping[str, tuple[Value, ...]] = field(default_factory=lambda: EMPTY)
    happened: tuple[Happened, ...] = ()

    def said(self, address: str) -> Any:
        """The value at `address` as its TYPE has it; None for what has none now."""
        value, parameter = self.values.get(address), self.parameters[address]
        if value is None:
            return None
        if parameter.kind == "float":
            return float(value)
        return int(value) if parameter.numbered else value


def node(board: Board, path: str) -> dict[str, Any] | None:
    """The node at `path` with all that lies below it; None where there is none. `path` has no slash at its
    end."""
    top: dict[str, Any] = _container(path)
    found = path == ""
    for address in (*board.parameters, *board.events):
        if address == path:
            top |= _attributes(board, address)
            found = True
        elif address.startswith(f"{path}/"):
            _grow(top, address.removeprefix(f"{path}/").split("/"), _attributes(board, address))
            found = True
    return top if found else None


def _container(path: str) -> dict[str, Any]:
    return {"FULL_PATH": path or "/", "ACCESS": 0}


def _grow(top: dict[str, Any], names: list[str], attributes: dict[str, Any]) -> None:
    """Hang a parameter's or an event's attributes into the tree below `top`."""
    at = top
    for name in names:
        path = f"{at['FULL_PATH'].rstrip('/')}/{name}"
        at = at.setdefault("CONTENTS", {}).setdefault(name, _container(path))
    at |= attributes


def _attributes(board: Board, address: str) -> dict[str, Any]:
    event = board.events.get(address)
    return _parameter(board, board.parameters[address]) if event is None else _event(board, address, event)


def _event(board: Board, address: str, event: Event) -> dict[str, Any]:
    found: dict[str, Any] = {
        "FULL_PATH": address,
        "DESCRIPTION": event.meaning,
        "ACCESS": READ,
        "TYPE": event.types,
        "TAGS": ["event"],
    }
    return found | ({"VALUE": list(board.last[address])} if address in board.last else {})


def _parameter(board: Board, parameter: Parameter) -> dict[str, Any]:
    value = board.said(parameter.address)
    found: dict[str, Any] = {
        "FULL_PATH": parameter.address,
        "DESCRIPTION": parameter.meaning,
        "ACCESS": access(parameter),
        "TYPE": type_of(parameter, value),
        "TAGS": [parameter.kind],
    }
    if parameter.kind == "action":
        return found | {"CRITICAL": True}
    if value is not None:
        found["VALUE"] = [value]
    if parameter.unit:
        found["UNIT"] = [UNITS.get(parameter.unit, parameter.unit)]
    if parameter.numbered:
        numbers = [int(one) for one in parameter.choices]
        found["RANGE"] = [{"VALS": numbers, "MIN": min(numbers), "MAX": max(numbers)}]
    elif parameter.choices:
        found["RANGE"] = [{"VALS": list(parameter.choices)}]
    elif parameter.kind in ("float", "int") and not parameter.read_only:
        number = int if parameter.kind == "int" else float
        ends = {"MIN": parameter.minimum, "MAX": parameter.maximum}
        found["RANGE"] = [{key: number(end) for key, end in ends.items() if math.isfinite(end)}]
    return found


def access(parameter: Parameter) -> int:
    """The protocol's mask: 1 can be read, 2 can be set."""
    if parameter.kind == "action":
        return WRITE
    return READ if parameter.read_only else READ | WRITE


def type_of(parameter: Parameter, value: Any) -> str:  # Any: as Board.said gives it
    """The type tag of a parameter; of a bool that of its value."""
    if parameter.kind == "bool":
        return "T" if value else "F"
    return "i" if parameter.numbered else TYPES[parameter.kind]


def differences(old: Mapping[str, object], new: Mapping[str, object]) -> Iterator[tuple[str, str]]:
    """(command, address) of what became of the parameters, or of the events: PATH_ADDED, PATH_REMOVED,
    PATH_CHANGED."""
    for address, one in new.items():
        if address not in old:
            yield "PATH_ADDED", address
        elif old[address] != one:
            yield "PATH_CHANGED", address
    for address in old:
        if address not in new:
            yield "PATH_REMOVED", address
