"""Runs a plan, judges what came of it, puts right what can be put right, and lets verified engines appear."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from vivant.engines.builder.compare import THRESHOLDS, Row, Threshold, failing, worst
from vivant.engines.builder.errors import BuildError
from vivant.engines.builder.install import install_engines, install_student
from vivant.engines.builder.order import Order
from vivant.engines.builder.parts import parts_of
from vivant.engines.builder.plan import Kept, Plan, plan
from vivant.engines.builder.step import Shelf, Watch
from vivant.engines.builder.work import read_rows
from vivant.engines.contract import Part

ANEW = "none, as ranges that are taken anew are enough"
ATTEMPTS = 5  # at keeping enough layers in float


@dataclass(frozen=True, slots=True)
class Outcome:
    """What was built: how each engine compares with float, the layer that INT8 costs most, the layers kept in
    float, where the engines are, and the student that is there now, if one was made."""

    rows: tuple[Row, ...]
    worst_layer: str
    kept: Kept
    engines: tuple[Path, ...]
    student: Path | None


class NotNear(BuildError):
    """Engines that do not paint as float does; they are not installed. `rows` say how far they are."""

    def __init__(self, message: str, rows: Sequence[Row]) -> None:
        super().__init__(message)
        self.rows = tuple(rows)


def build(order: Order, shelf: Shelf, watch: Watch) -> Outcome:
    """Does whatever is not done yet. Raises NotNear, BuildError and EngineError; what was installed before
    stays as it is then."""
    least = THRESHOLDS[order.precision]
    kept: dict[Part, tuple[str, ...]] = {}
    for _ in range(ATTEMPTS):
        asked = plan(order, parts_of(order), kept)
        watch.planned(shelf.missing(*asked.goals))
        for goal in asked.goals:
            shelf.get(goal, watch)
        rows, layer = _found(asked, shelf)
        bad = failing(rows, least)
        if not bad:
            return _installed(order, asked, shelf, rows, layer, kept)
        if order.precision != "int8":
            raise NotNear(_unlike(order, bad, least), rows)
        kept |= _advised(asked, shelf, watch, bad)
        if not order.fix:
            raise NotNear(f"{_unlike(order, bad, least)} {_advice(kept)}", rows)
    raise NotNear(
        f"{_unlike(order, bad, least)} That is with {sum(map(len, kept.values()))} layers kept in float. "
        "Calibrate with frames of the room (--calibration FILM), or ask for --precision fp32.",
        rows,
    )


def _found(asked: Plan, shelf: Shelf) -> tuple[list[Row], str]:
    """All comparisons, and the layer that lost most at any size."""
    places = [shelf.place(one) for one in asked.trials.values()]
    rows = [row for place in places for row in read_rows(place)]
    layers = [json.loads(path.read_text()) for place in places for path in place.glob("worst.json")]
    if not layers:
        return rows, ""
    lost = min(layers, key=lambda layer: float(layer["cosine"]))
    return rows, f"{lost['name']} (cosine {lost['cosine']:.4f})"


def _advised(asked: Plan, shelf: Shelf, watch: Watch, bad: Sequence[Row]) -> dict[Part, tuple[str, ...]]:
    """The layers to keep in float, of the parts that are too far from float; where only the whole is, of the
    part that is furthest."""
    parts = [part for part in asked.advice if any(row.part == part for row in bad)]
    if not parts:
        rows, _ = _found(asked, shelf)
        furthest = min((row for row in worst(rows).values() if row.part != "whole"), key=lambda r: r.psnr_db)
        parts = [part for part in asked.advice if part == furthest.part]
    goals = [asked.advice[part] for part in parts]
    watch.planned(shelf.missing(*goals))
    found = {}
    for part, goal in zip(parts, goals, strict=True):
        found[part] = tuple(json.loads((shelf.get(goal, watch) / "keep.json").read_text()))
    return found


def _installed(
    order: Order, asked: Plan, shelf: Shelf, rows: Sequence[Row], layer: str, kept: Kept
) -> Outcome:
    stores = [shelf.get(one) for one in asked.engines.values()]
    try:
        engines = install_engines(stores, rows, layer, order.material.digest)
        student = install_student(shelf.get(asked.student), order.name) if asked.makes_student else None
    except OSError as error:
        raise BuildError(f"what was built cannot be put in its place: {error}. Free some space.") from error
    return Outcome(tuple(rows), layer, dict(kept), tuple(engines), student)


def _unlike(order: Order, bad: Sequence[Row], least: Threshold) -> str:
    row = min(bad, key=lambda row: row.psnr_db)
    return (
        f"{order.source.name} on {order.backend} in {order.precision} is too far from float and is not "
        f"installed: {row.part} {row.output} comes to {row.psnr_db:.1f} dB and cosine {row.cosine:.5f} "
        f"({row.wish}), and at least {least.psnr_db:g} dB and {least.cosine:g} are needed."
    )


def _advice(kept: Kept) -> str:
    lines = [f"  {part}: {', '.join(names) or ANEW}" for part, names in kept.items()]
    return "\n".join(["Keep these layers in float, which --fix does:", *lines])
