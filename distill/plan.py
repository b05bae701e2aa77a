"""A training plan: which styles, how wide a network, what the losses weigh and how long. Read from TOML."""

from __future__ import annotations

import dataclasses
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
    widths = facts.get("widths", {})
    sizes = {f.name for f in dataclasses.fields(Widths)}
    problems += [
        f"  widths.{key}: unknown key; widths are {', '.join(sorted(sizes))}"
        for key in widths
        if key not in sizes
    ]
    weights = facts.get("weights", {})
    problems += [
        f"  weights.{key}: unknown loss; losses are {', '.join(LOSSES)}"
        for key in weights
        if key not in LOSSES
    ]
    folders = {*facts.get("styles", ()), BLENDS}
    problems += [
        f"  picks.{key}: neither a style of this plan nor {BLENDS}"
        for key in facts.get("picks", {})
        if key not in folders
    ]
    if problems:
        raise PlanError(
            "\n".join([f"{where}: {len(problems)} problem{'s' * (len(problems) > 1)}", *problems])
        )
    values = dict(facts)
    values["styles"] = tuple(facts["styles"])
    if "widths" in facts:
        values["widths"] = Widths(**widths)
    return Plan(**values)


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
