"""Runs a plan, judges what came of it, puts right what can be put right, and lets verified engines appear."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from vivant.engines.builder.compare import THRESHOLDS, Row, Threshold, failing, worst
from vivant.engines.builder.errors import BuildError
from vivant.engines.builder.install import install_engine, install_student
from vivant.engines.builder.order import Order
from vivant.engines.builder.parts import parts_of
from vivant.engines.builder.plan import Kept, Plan, plan, told
from vivant.engines.builder.step import Shelf, Watch
from vivant.engines.builder.work import read_rows, read_worst
from vivant.engines.contract import Part

ANEW = "none, as ranges that are taken anew are enough"
ATTEMPTS = 5  # at keeping enough layers in float


@dataclass(frozen=True, slots=True)
class Outcome:
    """What was built: how each engine compares with float, the layer of each part that is furthest from float
    and its cosine, the layers kept in float, where the engines are, and the student that is there now, if one
    was made."""

    rows: tuple[Row, ...]
    worst_layers: Mapping[Part, tuple[str, float]]
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
        rows = _rows(asked, shelf)
        bad = failing(rows, least)
        if not bad:
            return _installed(order, asked, shelf, rows, kept)
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


def _rows(asked: Plan, shelf: Shelf) -> list[Row]:
    return [row for one in asked.trials.values() for row in read_rows(shelf.place(one))]


def _advised(asked: Plan, shelf: Shelf, watch: Watch, bad: Sequence[Row]) -> dict[Part, tuple[str, ...]]:
    """The layers to keep in float, of the parts that are too far from float; where only the whole is, of the
    part that is furthest."""
    parts = [part for part in asked.advice if any(row.part == part for row in bad)]
    if not parts:
        rows = _rows(asked, shelf)
        furthest = min((row for row in worst(rows).values() if row.part != "whole"), key=lambda r: r.psnr_db)
        parts = [part for part in asked.advice if part == furthest.part]
    goals = [asked.advice[part] for part in parts]
    watch.planned(shelf.missing(*goals))
    found = {}
    for part, goal in zip(parts, goals, strict=True):
        found[part] = tuple(json.loads((shelf.get(goal, watch) / "keep.json").read_text()))
    return found


def _installed(order: Order, asked: Plan, shelf: Shelf, rows: Sequence[Row], kept: Kept) -> Outcome:
    layers = read_worst(shelf.place(one) for one in asked.trials.values())
    of_size = {size: read_rows(shelf.place(one)) for size, one in asked.trials.items()}
    engines: list[Path] = []
    try:
        for name, one in asked.engines.items():
            mine = [row for size, found in of_size.items() if told(size) in name.split() for row in found]
            engines += install_engine(shelf.get(one), mine, layers, order.material.digest)
        student = install_student(shelf.get(asked.student), order.name) if asked.makes_student else None
    except OSError as error:
        raise BuildError(f"what was built cannot be put in its place: {error}. Free some space.") from error
    return Outcome(tuple(rows), layers, dict(kept), tuple(engines), student)


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
