"""What each step of a build does: one function for one kind of step, files in, files out."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from vivant.engines import registry
from vivant.engines.buildable import Buildable, Size
from vivant.engines.builder import folders
from vivant.engines.builder.compare import Row, Threshold, quiet
from vivant.engines.builder.errors import BuildError
from vivant.engines.builder.graphs import checked, simplified
from vivant.engines.builder.int8 import (
    KINDS,
    Pattern,
    SampleFiles,
    Samples,
    every_layer,
    keep_calibrated,
    pattern_of,
    read_calibrated,
    write_int8,
)
from vivant.engines.builder.layers import FEW, MANY, Scale, costs, to_keep
from vivant.engines.builder.order import Order
from vivant.engines.builder.step import Making
from vivant.engines.builder.trial import Easel, wishes_of
from vivant.engines.builder.verify import Tried, float_student, held_against_float, worst_layers
from vivant.engines.card import Card
from vivant.engines.contract import GraphSource, Kind, Part, Precision
from vivant.engines.manifest import keep, staged_in
from vivant.engines.quantize import calibrate
from vivant.runtime.frames import U8

STUDENT = "student"  # how every step calls the student folder that it needs
CALIBRATED = 40  # frames that ranges are taken from


def load(source: Path, making: Making) -> None:
    folders.load(source, making.folder)


def slots(wanted: tuple[int, int], making: Making) -> None:
    folders.slotted(making.given[STUDENT], making.folder, wanted)


def samples(frames: Sequence[U8], sizes_px: Sequence[Size], threads: int, making: Making) -> None:
    """What each graph of the float student is given, in every wish, at every size in turn; into a folder for
    each part."""
    card = Card.read(making.given[STUDENT])
    files = {part: SampleFiles(making.folder / part) for part in card.parts}
    for turn, size_px in enumerate(sizes_px):
        mine = range(turn, max(CALIBRATED, len(sizes_px)), len(sizes_px))
        with float_student(making.given[STUDENT], size_px, threads) as (loaded, sight):
            easel, wishes = Easel(loaded), wishes_of(loaded)
            for done, index in enumerate(mine):
                wish = wishes[index % len(wishes)]
                easel.paint(frames[index % len(frames)], wish.controls)
                for part, given, _ in sight.take():
                    files[part].add(wish.name, given)
                making.share((turn + (done + 1) / len(mine)) / len(sizes_px))
    for one in files.values():
        one.close()


def calibration(part: Part, linear: bool, making: Making) -> None:
    """How far each tensor of a part reaches. `linear` layers are looked at too."""
    quiet()
    found = Samples(making.given["samples"] / part)
    plain = making.given[STUDENT] / f"{part}.float.onnx"
    keep_calibrated(calibrate(plain, found, found.groups, KINDS if linear else ("Conv",)), making.folder)


def quantized(part: Part, kind: Kind, kept: Sequence[str], making: Making) -> None:
    """The INT8 graph of a part, `kept` layers of it in float, simplified."""
    calibrated = read_calibrated(making.given["calibrated"])
    pattern = _pattern(making.given[STUDENT], part, kind, calibrated).without(kept)
    with TemporaryDirectory() as scratch:
        plain = Path(scratch) / "plain.onnx"
        write_int8(calibrated, pattern, plain, symmetric=kind == "int8_symmetric")
        before, after = simplified(plain, making.folder / f"{part}.{kind}.onnx")
    told = {"layers": len(pattern.layers), "kept": list(kept), "nodes": [before, after]}
    (making.folder / "told.json").write_text(json.dumps(told))


def _pattern(student: Path, part: Part, kind: Kind, calibrated: Any) -> Pattern:  # quantize.Calibrated
    card = Card.read(student)
    if card.diffusion is not None:
        from vivant.engines.diffusion.int8 import base_layers

        names = tuple(base_layers(calibrated.model))
        return Pattern(names, names)
    before = card.graphs[part].get(kind)
    return pattern_of(student / before.file) if before else every_layer(calibrated)


def student(kept: Mapping[Part, Sequence[str]], making: Making) -> None:
    """A student of the graphs that were made: each need named "part kind" gives one, "guard" its guard."""
    graphs = {
        (part, kind): making.given[f"{part} {kind}"] / f"{part}.{kind}.onnx"
        for part, kind in (name.split() for name in making.given if " " in name)
    }
    more = {"guard.npz": making.given["guard"] / "guard.npz"} if "guard" in making.given else {}
    facts = {"kept_in_float": {part: list(names) for part, names in kept.items() if names}}
    folders.assembled(making.given[STUDENT], making.folder, graphs, facts, more)  # type: ignore[arg-type]


def check(part: Part, making: Making) -> None:
    """Every graph of one part."""
    folder = making.given[STUDENT]
    card = Card.read(folder)
    nodes = {kind: checked(folder / file.file, card, part) for kind, file in card.graphs[part].items()}
    (making.folder / "nodes.json").write_text(json.dumps(nodes))


def compiled(order: Order, part: Part, sizes_px: tuple[Size, ...], making: Making) -> None:
    """The engine of one part, in a store of its own."""
    folder = making.given[STUDENT]
    source = GraphSource(folder, Card.read(folder), part, order.precision)
    (engine,) = buildable(order.backend).unbuilt(source, sizes_px, order.machine)
    with staged_in(making.folder):
        keep(engine.manifest.folder, engine.manifest, engine.compiled(making.share))


def buildable(backend: str) -> Buildable:
    """The module of a backend that compiles. Raises EngineError when it is not here."""
    module: Any = registry.module(backend)
    found: Buildable = module
    return found


def verified(order: Order, size_px: Size, making: Making) -> None:
    """What came of holding the engines at one size against float: rows.json, and worst.json for INT8."""
    tried = Tried(making.given[STUDENT], order.backend, order.precision, size_px, order.machine.threads)
    frames = order.material.held_out
    with TemporaryDirectory() as store:
        engines = [path for name, path in making.given.items() if name.startswith("engine ")]
        for kept in (folder for path in engines for folder in path.iterdir() if folder.is_dir()):
            (Path(store) / kept.name).symlink_to(kept, target_is_directory=True)
        rows = held_against_float(tried, Path(store) if engines else None, frames, making.share)
    (making.folder / "rows.json").write_text(json.dumps([asdict(row) for row in rows]))
    if order.precision == "int8":
        layers = worst_layers(tried, graph_kind(order.backend, order.precision), frames)
        (making.folder / "worst.json").write_text(json.dumps(layers))


def read_rows(folder: Path) -> list[Row]:
    return [Row(**row) for row in json.loads((folder / "rows.json").read_text())]


def read_worst(folders: Iterable[Path]) -> dict[Part, tuple[str, float]]:
    """The layer of each part that is furthest from float at any of some sizes, and its cosine."""
    found: dict[Part, tuple[str, float]] = {}
    for path in (path for folder in folders for path in folder.glob("worst.json")):
        for part, (name, cosine) in json.loads(path.read_text()).items():
            if part not in found or cosine < found[part][1]:
                found[part] = name, cosine
    return found


def graph_kind(backend: str, precision: Precision) -> Kind:
    """Which graph of a student a backend builds from."""
    if precision != "int8":
        return "float"
    return "int8_symmetric" if backend == "tensorrt" else "int8"


def advice(part: Part, kind: Kind, least: Threshold, at_least: int, making: Making) -> None:
    """costs.json: what each layer costs, dearest first; keep.json: which are to stay in float, `at_least` so
    many."""
    calibrated = read_calibrated(making.given["calibrated"])
    folder = making.given[STUDENT]
    found = Samples(making.given["samples"] / part)
    few, many = (
        Scale(folder / f"{part}.float.onnx", calibrated, found, kind == "int8_symmetric", count)
        for count in (FEW, MANY)
    )
    pattern = _pattern(folder, part, kind, calibrated)
    dearest = costs(few, pattern, lambda share: making.share(share * 0.8))
    kept = to_keep(many, pattern, dearest, least, at_least)
    if kept is None:
        raise BuildError(
            f"{part} comes no nearer to float than {least.psnr_db} dB with any layer kept in float. Ask for "
            "--precision fp32, or calibrate with frames of the room: --calibration FILM"
        )
    (making.folder / "costs.json").write_text(json.dumps([asdict(cost) for cost in dearest]))
    (making.folder / "keep.json").write_text(json.dumps(kept))
