"""Drives: signals that move parameters while the show runs, [drives.NAME] in a scene.

A drive adds to what the operator set and never changes it: take the drive away, and the value is what it was.
What the drives add up to is clamped into the parameter's range.
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from vivant.runtime.fades import CURVES
from vivant.runtime.frames import EMPTY
from vivant.runtime.parameters import ROOT, Parameter, address_of
from vivant.runtime.problems import problem
from vivant.runtime.tempo.lookahead import DRAWN, Lead
from vivant.runtime.tempo.parameters import SIGNALS as BEAT_SIGNALS
from vivant.runtime.tree import Tree
from vivant.runtime.triggers.agreement import SIGNAL
from vivant.runtime.triggers.rules import Declared

DRIVE: Final = ROOT + "drive/"
DRIVES_ON: Final = ROOT + "drives/on"
LONGEST_STEP_S: Final = 1.0  # a show that stood still goes on from where it was
IN_UNITS: Final = frozenset({"bpm", "tempo_bpm", "beats", "age_s"})
"""Signals that do not lie in [0, 1]."""
Beats = Callable[[int], Mapping[str, float]]


class Drive(BaseModel):
    """[drives.NAME]: `signal`, between the two values of `from`, adds 0 to `amount` to the parameter `to`, or
    what lies between the two values of `range`, along `curve`. Times are time constants."""

    model_config = ConfigDict(
        strict=True,
        extra="forbid",
        frozen=True,
        allow_inf_nan=False,
        validate_by_name=True,
        validate_by_alias=True,
    )

    signal: str
    to: str
    amount: float | None = None
    range: tuple[float, float] | None = Field(None, strict=False)
    from_: tuple[float, float] | None = Field(None, alias="from", strict=False)
    curve: str = "linear"
    attack_s: float = Field(0.05, ge=0, le=60)
    release_s: float = Field(0.3, ge=0, le=60)

    @field_validator("curve")
    @classmethod
    def _curve(cls, name: str) -> str:
        if name not in CURVES:
            raise ValueError(f"should be one of {', '.join(CURVES)}")
        return name

    @model_validator(mode="after")
    def _whole(self) -> Drive:
        if (self.amount is None) == (self.range is None):
            raise ValueError("give either amount or range")
        if self.from_ is not None and self.from_[0] == self.from_[1]:
            raise ValueError("from should be two different values of the signal")
        return self

    @property
    def adds(self) -> tuple[float, float]:
        """What it adds when the signal is at the beginning of `from`, and at its end."""
        if self.range is not None:
            return self.range
        assert self.amount is not None
        return 0.0, self.amount


@dataclass(slots=True)
class Running:
    """A drive at work: `share` in [0, 1] is the signal, followed."""

    drive: Drive
    address: str
    scale: str
    low: float
    high: float
    share: float = 0.0

    def step(self, number: float | None, step_s: float) -> None:
        """Follow the signal; one that is absent or no number lets go."""
        known = number is not None and math.isfinite(number)
        goal = (number - self.low) / (self.high - self.low) if known and number is not None else 0.0
        goal = min(max(goal, 0.0), 1.0)
        constant_s = self.drive.attack_s if goal > self.share else self.drive.release_s
        near = 1.0 - math.exp(-step_s / constant_s) if constant_s > 0 else 1.0
        self.share += (goal - self.share) * near

    def adds(self, scale: float) -> float:
        """What it adds now."""
        low, high = self.drive.adds
        return scale * (low + (high - low) * CURVES[self.drive.curve](self.share))


class Drives:
    """The drives of one show. One thread: the present loop's. `step` never waits.

    `beats` says the beat's signals at any time: those that move a picture run ahead by what a picture takes
    to be seen."""

    def __init__(
        self,
        drives: Mapping[str, Drive],
        tree: Tree,
        declared: Mapping[str, Declared] = EMPTY,
        beats: Beats | None = None,
    ) -> None:
        self._tree, self._declared, self._beats = tree, declared, beats
        self._running = [self._begin(name, drive) for name, drive in drives.items()]
        self._last_ns: int | None = None

    def step(self, now_ns: int, signals: Mapping[str, float], lead: Lead) -> Mapping[str, float]:
        """Once a refresh, after everything that sets values: by address, the values that the drives make of
        those that are set."""
        step_s = 0.0 if self._last_ns is None else (now_ns - self._last_ns) / 1e9
        self._last_ns = now_ns
        on = bool(self._tree.current[DRIVES_ON])
        sums: dict[str, float] = {}
        for one in self._running:
            number = self._number(one, now_ns, signals, lead) if on else None
            one.step(number, min(max(step_s, 0.0), LONGEST_STEP_S))
            added = one.adds(float(self._tree.current[one.scale])) if on or one.share > 1e-3 else 0.0
            if added:
                sums[one.address] = sums.get(one.address, 0.0) + added
        return {address: self._clamped(address, added) for address, added in sums.items()}

    def _begin(self, name: str, drive: Drive) -> Running:
        declared = self._declared.get(drive.signal)
        usual = (0.0, 1.0) if declared is None else (declared.minimum, declared.maximum)
        low, high = usual if drive.from_ is None else drive.from_
        return Running(drive, address_of(drive.to), DRIVE + name, low, high)

    def _number(self, one: Running, now_ns: int, signals: Mapping[str, float], lead: Lead) -> float | None:
        signal = one.drive.signal
        if signal in self._declared:
            return float(self._tree.current[SIGNAL + signal])
        if signal in BEAT_SIGNALS and self._beats is not None:
            ahead_ns = lead.drawn_ns if one.address.startswith(DRAWN) else lead.painted_ns
            return self._beats(now_ns + ahead_ns).get(signal)
        return signals.get(signal)

    def _clamped(self, address: str, added: float) -> float:
        parameter = self._tree.parameters[address]
        value = float(self._tree.current[address]) + added
        return min(max(value, parameter.minimum), parameter.maximum)


def drive_parameters(table: Mapping[str, Any]) -> Iterator[Parameter]:
    """The parameters that the table [drives] adds."""
    if table:
        yield Parameter(DRIVES_ON, "bool", "whether signals drive parameters", True)
    for name, one in table.items():
        of = f": {one.get('signal')} to {one.get('to')}" if isinstance(one, Mapping) else ""
        yield Parameter(DRIVE + name, "float", f"how much of the drive {name}{of}", 1.0)


def drive_problems(table: Mapping[str, Any], tree: Tree, signals: Collection[str]) -> Iterator[str]:
    """Every name in [drives] that means nothing in this show. `signals` are all that there are. What is
    wrong with a table in itself the scene says."""
    for name, one in table.items():
        if not isinstance(one, Mapping):
            continue
        signal, to = one.get("signal"), one.get("to")
        if isinstance(signal, str):
            yield from _signal_trouble(name, signal, one, signals)
        if isinstance(to, str):
            yield from _target_trouble(name, to, tree)


def _signal_trouble(
    name: str, signal: str, one: Mapping[str, Any], signals: Collection[str]
) -> Iterator[str]:
    where = ("drives", name, "signal")
    if signal not in signals:
        near = difflib.get_close_matches(signal, signals, n=1)
        hint = f"did you mean '{near[0]}'?" if near else f"write it under [signals.{signal}]"
        yield problem(where, signal, f"unknown signal; {hint}")
    elif signal in IN_UNITS and one.get("from", one.get("from_")) is None:
        yield problem(where, signal, "does not lie between 0 and 1; give from = [low, high]")


def _target_trouble(name: str, to: str, tree: Tree) -> Iterator[str]:
    where, address = ("drives", name, "to"), address_of(to)
    parameter = tree.parameters.get(address)
    if parameter is None:
        yield problem(where, to, tree.problem(address, 0.0) or "has no door of its own")
    elif parameter.kind != "float" or parameter.read_only:
        yield problem(where, to, "is no float that could be driven")
    elif address.startswith((DRIVE, SIGNAL)):
        yield problem(where, to, "is what drives are made of; drive a parameter of the picture")
