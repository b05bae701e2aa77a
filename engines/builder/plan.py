"""Which steps lead from an order to verified engines, and what goes into each."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Final

from vivant.engines import adapter, buildable, manifest, quantize, registry
from vivant.engines.buildable import Size
from vivant.engines.builder import compare, folders, graphs, int8, layers, models, trial, verify, work
from vivant.engines.builder.compare import THRESHOLDS
from vivant.engines.builder.order import Order
from vivant.engines.builder.step import Step, hashes, step
from vivant.engines.builder.work import STUDENT
from vivant.engines.card import CARD, Card
from vivant.engines.contract import Kind, Part

CODE: Final = (
    adapter,
    buildable,
    compare,
    folders,
    graphs,
    int8,
    layers,
    manifest,
    quantize,
    trial,
    verify,
    work,
)
PACKAGES: Final = ("numpy", "onnx", "onnxruntime", "polygraphy", "onnx-graphsurgeon", "torch", "diffusers")
MORE: Final = 2  # times as many layers are kept where those that were kept did not do
INT8_KINDS: Final[tuple[Kind, ...]] = ("int8", "int8_symmetric")

Kept = Mapping[Part, tuple[str, ...]]
"""Layers that stay in float, by part."""


@dataclass(frozen=True, slots=True)
class Plan:
    """`student` gives the folder that engines are built of, `checks` look at its graphs, `engines` compile
    them (by "engine PART"), `trials` verify them at each size. `advice` by part finds what to keep in float.
    `makes_student` says that the folder is a student of its own, which is not there yet."""

    student: Step
    checks: tuple[Step, ...]
    engines: Mapping[str, Step]
    trials: Mapping[Size, Step]
    advice: Mapping[Part, Step]
    makes_student: bool

    @property
    def goals(self) -> tuple[Step, ...]:
        return (*self.checks, *self.trials.values())


def plan(order: Order, parts: Sequence[Part], kept: Kept) -> Plan:
    """The steps of an order for a student with these parts, some layers `kept` in float."""
    origin = _origin(order)
    student, calibrated = _student(order, parts, kept, origin)
    checks = tuple(
        step("check", part, partial(work.check, part), _facts(), {STUDENT: student}, 0.5) for part in parts
    )
    engines = _engines(order, parts, student)
    trials = {size: _trial(order, student, engines, size) for size in order.sizes_px}
    return Plan(
        student,
        checks,
        engines,
        trials,
        _advice(order, parts, kept, calibrated),
        order.is_model or student.key != _loaded(order).key,
    )


def _loaded(order: Order) -> Step:
    card = hashlib.sha256((order.source / CARD).read_bytes()).hexdigest()
    return step("load", order.source.name, partial(work.load, order.source), {"card": card}, guess_s=0.5)


def _origin(order: Order) -> Step:
    """The student before its INT8 graphs are made anew: as it is, with other slots, or a model's export."""
    if order.is_model:
        facts = _facts(**models.facts_of(order))
        return step("export", order.source.name, partial(models.export, order), facts, guess_s=60.0)
    loaded = _loaded(order)
    if order.slots is None or order.slots == _slots(Card.read(order.source)):
        return loaded
    return step(
        "slots", "", partial(work.slots, order.slots), _facts(slots=order.slots), {STUDENT: loaded}, 2.0
    )


def _slots(card: Card) -> tuple[int, int] | None:
    return (card.adapters.slots, card.adapters.rank) if card.adapters else None


def _student(
    order: Order, parts: Sequence[Part], kept: Kept, origin: Step
) -> tuple[Step, Mapping[Part, Mapping[str, Step]]]:
    """The student's folder, and what an INT8 graph of each part is made from."""
    seen = _samples(order, origin)
    linear = order.is_model or Card.read(order.source).diffusion is not None
    calibrated: dict[Part, Mapping[str, Step]] = {}
    for part in parts:
        needs = {STUDENT: origin, "samples": seen}
        make = partial(work.calibration, part, linear)
        made = step("calibrate", part, make, _facts(linear=linear), needs, 20.0)
        calibrated[part] = {**needs, "calibrated": made}
    changed = {STUDENT: origin}
    if order.is_model:
        changed["guard"] = step("guard", "", partial(models.guard, order), _facts(), {"samples": seen}, 5.0)
    for part, kind in _changed(order, parts, kept):
        names = tuple(kept.get(part, ()))
        make = partial(work.quantized, part, kind, names)
        made = step("quantize", f"{part} {kind}", make, _facts(kept=names), calibrated[part], 5.0)
        changed[f"{part} {kind}"] = made
    if len(changed) == 1:
        return origin, calibrated
    facts = _facts(kept={part: list(names) for part, names in kept.items()})
    return step("assemble", "", partial(work.student, kept), facts, changed, 0.5), calibrated


def _changed(order: Order, parts: Sequence[Part], kept: Kept) -> list[tuple[Part, Kind]]:
    """The INT8 graphs that are made anew: all of them, or those of parts that keep layers in float."""
    if order.precision != "int8":
        return []
    if order.recalibrate or order.is_model:
        return [(part, kind) for part in parts for kind in INT8_KINDS]
    return [(part, work.graph_kind(order.backend, order.precision)) for part in kept]


def _samples(order: Order, origin: Step) -> Step:
    make = partial(work.samples, order.material.seen, order.sizes_px, order.machine.threads)
    if order.is_model:
        make = partial(models.samples, order)
    facts = _facts(material=order.material.digest, sizes=order.sizes_px)
    return step("samples", "", make, facts, {STUDENT: origin}, 30.0)


def _engines(order: Order, parts: Sequence[Part], student: Step) -> dict[str, Step]:
    door = registry.door(order.backend)
    if door.reads != "graphs":
        return {}
    groups = [order.sizes_px] if door.built_before else [(size,) for size in order.sizes_px]
    found = {}
    for sizes_px in groups:
        words = " ".join(map(told, sizes_px))
        for part in parts:
            facts = _facts(
                **where(order.backend), precision=order.precision, sizes=sizes_px,
                threads=order.machine.threads, compatibility=order.machine.compatibility,
            )  # fmt: skip
            make = partial(work.compiled, order, part, sizes_px)
            guess_s = 180.0 if door.built_before else 1.0
            found[f"engine {part} {words}"] = step(
                "build", f"{part} {words}", make, facts, {STUDENT: student}, guess_s
            )
    return found


def _trial(order: Order, student: Step, engines: Mapping[str, Step], size_px: Size) -> Step:
    mine = {name: one for name, one in engines.items() if told(size_px) in name.split()}
    facts = _facts(
        **where(order.backend), precision=order.precision, size=size_px, threads=order.machine.threads,
        material=order.material.digest, adapters=hashes(adapter.SHIPPED),
    )  # fmt: skip
    make = partial(work.verified, order, size_px)
    return step("verify", told(size_px), make, facts, {STUDENT: student, **mine}, 20.0)


def _advice(
    order: Order, parts: Sequence[Part], kept: Kept, calibrated: Mapping[Part, Mapping[str, Step]]
) -> dict[Part, Step]:
    """Of a part of which layers are kept already, more are."""
    if order.precision != "int8":
        return {}
    kind, least = work.graph_kind(order.backend, order.precision), THRESHOLDS[order.precision]
    found = {}
    for part in parts:
        at_least = MORE * max(len(kept[part]), 1) if part in kept else 0
        facts = _facts(kind=kind, psnr_db=least.psnr_db, cosine=least.cosine, at_least=at_least)
        make = partial(work.advice, part, kind, least, at_least)
        found[part] = step("layers", part, make, facts, calibrated[part], 30.0)
    return found


def told(size_px: Size) -> str:
    """A size as people write it, and as the names of steps have it."""
    return f"{size_px[0]}x{size_px[1]}"


def where(backend: str) -> dict[str, str]:
    """What is compiled for here: the backend, its version and the device."""
    module: Any = registry.module(backend)
    version, device = module.here() if hasattr(module, "here") else (registry.look(backend).version, "")
    return {"backend": backend, "version": version, "device": device}


def _facts(**more: Any) -> dict[str, Any]:
    """What a step depends on besides files: versions, the builder's own code, and `more`."""
    return {"versions": _versions(), "code": _code(), **more}


def _versions() -> dict[str, str]:
    found = {}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def _code() -> str:
    digest = hashlib.sha256()
    for module in CODE:
        digest.update(Path(str(module.__file__)).read_bytes())
    return digest.hexdigest()
