"""An engine against its float student, on frames it was not calibrated with."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from vivant.engines.buildable import Share, Size
from vivant.engines.builder.compare import Row, compared
from vivant.engines.builder.layers import layer_by_layer
from vivant.engines.builder.models import made_up_lora
from vivant.engines.builder.trial import MADE_UP, Easel, made_up_adapter, wishes_of
from vivant.engines.card import Card
from vivant.engines.contract import Engine, Kind, LoadedStudent, Part, Precision
from vivant.engines.kinds import load_student
from vivant.engines.manifest import staged_in
from vivant.engines.watched import Sight, as_loaded
from vivant.runtime.frames import U8, Array

REFERENCE = "onnxruntime"  # runs the float graphs that everything else is held against
LOOKED_AT = 2  # inputs of each graph on which every layer is looked at


@dataclass(frozen=True, slots=True)
class Tried:
    """A student as the show would load it: its folder, and how it runs."""

    folder: Path
    backend: str
    precision: Precision
    size_px: Size
    threads: int


def held_against_float(tried: Tried, engines: Path | None, frames: Sequence[U8], share: Share) -> list[Row]:
    """Every graph on what the float student's graph is given there, and the whole student beside it, in every
    wish, each on one of the `frames`. `engines` is the store that the engines lie in (None: the one that the
    show uses). Raises EngineError."""
    rows: list[Row] = []
    with (
        float_student(tried.folder, tried.size_px, tried.threads) as (reference, seen),
        _student(tried, engines) as student,
    ):
        outputs = {part: _outputs(engine) for part, engine in student.engines.items()}
        wishes = wishes_of(reference)
        easel, other = Easel(reference), Easel(student)
        for index, wish in enumerate(wishes):
            frame = frames[index % len(frames)]
            wanted = easel.paint(frame, wish.controls)
            for part, given, right in seen.take():
                student.engines[part].run(given, outputs[part])
                rows += compared(part, wish.name, right, outputs[part])
            made = other.paint(frame, wish.controls)
            rows += compared("whole", wish.name, {"picture": wanted}, {"picture": made})
            share((index + 1) / len(wishes))
    return rows


def worst_layers(tried: Tried, kind: Kind, frames: Sequence[U8]) -> dict[Part, tuple[str, float]]:
    """Of each part the layer whose output in the INT8 graph is furthest from the float graph's, and their
    cosine."""
    card = Card.read(tried.folder)
    found: dict[Part, tuple[str, float]] = {}
    with float_student(tried.folder, tried.size_px, tried.threads) as (reference, seen):
        easel = Easel(reference)
        for index, wish in enumerate(wishes_of(reference)[:LOOKED_AT]):
            easel.paint(frames[index % len(frames)], wish.controls)
        runs = seen.take()
    for part in card.parts:
        plain, quantized = (tried.folder / card.graphs[part][one].file for one in ("float", kind))
        inputs = [given for of, given, _ in runs if of == part][:LOOKED_AT]
        layers = layer_by_layer(plain, quantized, inputs)
        if layers:
            found[part] = min(layers.items(), key=lambda layer: layer[1])
    return found


@contextmanager
def float_student(folder: Path, size_px: Size, threads: int) -> Iterator[tuple[LoadedStudent, Sight]]:
    """The reference, and sight of all its graphs run. What onnxruntime makes of them is not kept."""
    tried, sight = Tried(folder, REFERENCE, "float", size_px, threads), Sight()
    with TemporaryDirectory() as store, _student(tried, Path(store), sight) as opened:
        yield opened, sight


@contextmanager
def _student(tried: Tried, store: Path | None, sight: Sight | None = None) -> Iterator[LoadedStudent]:
    """A student with adapters of random weights in its wardrobe, where it has slots."""
    with TemporaryDirectory() as scratch:
        worn = made_up(Card.read(tried.folder), Path(scratch))
        with ExitStack() as inside:
            if store is not None:
                inside.enter_context(staged_in(store))
            student = load_student(
                tried.folder, tried.backend, tried.precision, tried.size_px, tried.threads, worn,
                as_loaded if sight is None else sight.through,
            )  # fmt: skip
        with student:
            yield student


def made_up(card: Card, folder: Path) -> list[Path]:
    """Adapter files of random weights in `folder`, as many as a student wears at once, at most two."""
    make = made_up_lora if card.diffusion else made_up_adapter
    slots, _ = card.slots or (0, 0)
    return [make(card, folder / f"{name}.safetensors", seed) for seed, name in enumerate(MADE_UP[:slots])]


def _outputs(engine: Engine) -> dict[str, Array]:
    return {spec.name: np.zeros(spec.shape, spec.dtype) for spec in engine.outputs}
