"""A training plan: which styles, how wide a network, what the losses weigh and how long. Read from TOML."""

from __future__ import annotations

import dataclasses
import math
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from vivant.distill.pool import BLENDS
from vivant.engines.house import Widths
from vivant.runtime.frames import VivantError

LOSSES = ("near", "texture", "drift", "motion", "fool", "matching")
NUMBERS: Mapping[str, tuple[type, float, float]] = {  # kind, least and most of each
    "minutes": (float, 0.01, math.inf),
    "steps": (int, 1, math.inf),
    "stills": (int, 1, math.inf),
    "moving": (int, 0, math.inf),
    "crop_px": (int, 32, 256),
    "seed": (int, 0, math.inf),
    "rate": (float, 1e-6, 1.0),
    "last_rate": (float, 0.0, 1.0),
    "freeze_norm": (float, 0.0, 1.0),
    "critic_from": (float, 0.0, 1.0),
}


class PlanError(VivantError):
    """A plan that cannot be trained."""


@dataclass(frozen=True, slots=True)
class Plan:
    """`minutes` of training over all resumed runs; `steps` ends it earlier. A batch is `stills` crops and
    `moving` pairs of crops of `crop_px`, each from a folder of the pool drawn by its share in `picks`."""

    styles: tuple[str, ...]
    picks: Mapping[str, float]
    minutes: float
    steps: int | None = None
    stills: int = 12
    moving: int = 2
    crop_px: int = 128
    seed: int = 0
    rate: float = 2e-3
    last_rate: float = 0.03  # of `rate`, at the end of the cosine
    freeze_norm: float = 0.85  # share of the time after which BatchNorm keeps its statistics
    critic_from: float = 0.55  # share of the time after which the critic plays
    weights: Mapping[str, float] = field(
        default_factory=lambda: {
            "near": 1.0,
            "texture": 1.2,
            "drift": 0.05,
            "motion": 0.5,
            "fool": 0.03,
            "matching": 0.3,
        }
    )
    widths: Widths = field(default_factory=Widths)

    def draw(self, rng: np.random.Generator) -> tuple[list[str], list[str]]:
        """The folders that the stills and the moving pairs of one batch come from."""
        names, shares = list(self.picks), np.array(list(self.picks.values()))
        # stratified: each batch holds nearly each folder's share, the rest is left to chance
        places = (np.arange(self.stills) + rng.random(self.stills)) / self.stills
        order = rng.permutation(len(names))
        edges = np.cumsum((shares / shares.sum())[order])
        stills = [names[order[min(int(np.searchsorted(edges, p)), len(names) - 1)]] for p in places]
        own = [name for name in names if name in self.styles]
        return stills, [own[i] for i in rng.integers(len(own), size=self.moving)]

    def facts(self) -> dict[str, Any]:
        """The plan as plain values, as checkpoints and cards hold it."""
        return {f.name: _plain(getattr(self, f.name)) for f in dataclasses.fields(self)}


def _plain(value: Any) -> Any:  # plain values of any kind
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return dataclasses.asdict(value)
    if isinstance(value, Mapping):
        return dict(value)
    return list(value) if isinstance(value, tuple) else value


def plan_of(facts: Mapping[str, Any], where: str = "plan") -> Plan:
    """A plan from plain values. Raises PlanError naming every problem."""
    known = {f.name for f in dataclasses.fields(Plan)}
    problems = [
        f"  {key}: unknown key; a plan has {', '.join(sorted(known))}" for key in facts if key not in known
    ]
    problems += [f"  {key}: missing" for key in ("styles", "picks", "minutes") if key not in facts]
    # names are looked for only in what has the shape of a plan
    problems += _misshapen(facts) or _unknown_names(facts)
    if problems:
        raise PlanError(
            "\n".join([f"{where}: {len(problems)} problem{'s' * (len(problems) > 1)}", *problems])
        )
    values = dict(facts)
    values["styles"] = tuple(facts["styles"])
    if "widths" in facts:
        values["widths"] = Widths(**facts["widths"])
    return Plan(**values)


def _misshapen(facts: Mapping[str, Any]) -> list[str]:
    """One line for each value that is of the wrong type or out of its range."""
    problems = []
    for key, (kind, least, most) in NUMBERS.items():
        value = facts.get(key)
        if value is not None and not _within(value, kind, least, most):
            what = "a whole number" if kind is int else "a number"
            upto = "or more" if most == math.inf else f"to {most:g}"
            problems.append(f"  {key}: {value!r}; give {what}, {least:g} {upto}")
    styles = facts.get("styles", [])
    if not isinstance(styles, list | tuple) or not all(isinstance(style, str) for style in styles):
        problems.append(f"  styles: {styles!r}; give a list of names")
    for key, kind, least in (("picks", float, 0.0), ("weights", float, 0.0), ("widths", int, 1)):
        table = facts.get(key, {})
        if not isinstance(table, Mapping):
            problems.append(f"  {key}: {table!r}; give a table, [{key}]")
            continue
        problems += [
            f"  {key}.{name}: {value!r}; give a number, {least:g} or more"
            for name, value in table.items()
            if not _within(value, kind, least, math.inf)
        ]
        if key == "picks" and table and not problems and not sum(table.values()):
            problems.append("  picks: are all 0; give one of them more")
    return problems


def _within(value: Any, kind: type, least: float, most: float) -> bool:
    kinds = (int,) if kind is int else (int, float)
    return isinstance(value, kinds) and not isinstance(value, bool) and least <= value <= most


def _unknown_names(facts: Mapping[str, Any]) -> list[str]:
    """One line for each width, loss and folder that there is not."""
    sizes = {f.name for f in dataclasses.fields(Widths)}
    folders = {*facts.get("styles", ()), BLENDS}
    return [
        *(
            f"  widths.{key}: unknown key; widths are {', '.join(sorted(sizes))}"
            for key in facts.get("widths", {})
            if key not in sizes
        ),
        *(
            f"  weights.{key}: unknown loss; losses are {', '.join(LOSSES)}"
            for key in facts.get("weights", {})
            if key not in LOSSES
        ),
        *(
            f"  picks.{key}: neither a style of this plan nor {BLENDS}"
            for key in facts.get("picks", {})
            if key not in folders
        ),
    ]


def read_plan(path: Path, **instead: float | int | None) -> Plan:
    """The plan in a TOML file; what is given in `instead` and is not None takes the place of its own.
    Raises PlanError when the file is missing or wrong."""
    try:
        facts = tomllib.loads(path.read_text())
    except OSError as error:
        raise PlanError(
            f"{path} cannot be read ({error.strerror}). Name a plan, as distill/house.toml is one"
        ) from error
    except tomllib.TOMLDecodeError as error:
        raise PlanError(f"{path}: {error}") from error
    return plan_of(facts | {key: value for key, value in instead.items() if value is not None}, str(path))
