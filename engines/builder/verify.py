"""An engine against its float student, on frames it was not calibrated with."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from vivant.engines.buildable import Share, Size
from vivant.engines.builder.compare import Row, compared
from vivant.engines.builder.trial import Easel, Wish, made_up_adapter, runs_of, wishes_of
from vivant.engines.card import Card
from vivant.engines.contract import Engine, LoadedStudent, Precision
from vivant.engines.kinds import load_student
from vivant.engines.manifest import staged_in
from vivant.engines.watched import Sight, watching
from vivant.runtime.frames import U8, Array

REFERENCE = "onnxruntime"  # runs the float graphs that everything else is held against


@dataclass(frozen=True, slots=True)
class Tried:
    """A student as the show would load it: its folder, and how it runs."""

    folder: Path
    backend: str
    precision: Precision
    size_px: Size
    threads: int


def held_against_float(
    tried: Tried, engines: Path | None, frames: Sequence[U8], scratch: Path, share: Share
) -> list[Row]:
    """Every graph on what the float student's graph is given there, and the whole student beside it, in every
    wish, each on one of the `frames`. `engines` is the store that the engines lie in (None: the one that the
    show uses); `scratch` an empty folder for what is needed meanwhile. Raises EngineError."""
    adapter = made_up_adapter(Card.read(tried.folder), scratch)
    worn = [adapter] if adapter else []
    rows: list[Row] = []
    with ExitStack() as opened:
        plain = Tried(tried.folder, REFERENCE, "float", tried.size_px, tried.threads)
        reference, seen = _opened(opened, plain, worn, scratch / "float", recording=True)
        student, own = _opened(opened, tried, worn, engines)
        outputs = {part: _outputs(engine) for part, engine in own.engines.items()}
        wishes = wishes_of(reference)
        easels = Easel(reference), Easel(student)
        for done, (wish, frame) in enumerate(_in_turn(wishes, frames)):
            wanted = easels[0].paint(frame, wish.controls)
            for part, given, right in runs_of(seen.watched):
                own.engines[part].run(given, outputs[part])
                rows += compared(part, wish.name, right, outputs[part])
            made = easels[1].paint(frame, wish.controls)
            rows += compared("whole", wish.name, {"picture": wanted}, {"picture": made})
            share((done + 1) / len(wishes))
    return rows


def _in_turn(wishes: Sequence[Wish], frames: Sequence[U8]) -> Iterator[tuple[Wish, U8]]:
    for index, wish in enumerate(wishes):
        yield wish, frames[index % len(frames)]


def _opened(
    opened: ExitStack, tried: Tried, worn: Sequence[Path], store: Path | None, recording: bool = False
) -> tuple[LoadedStudent, Sight]:
    with ExitStack() as inside:
        if store is not None:
            inside.enter_context(staged_in(store))
        sight = inside.enter_context(watching(recording))
        student = load_student(
            tried.folder, tried.backend, tried.precision, tried.size_px, tried.threads, worn
        )
    return opened.enter_context(student), sight


def _outputs(engine: Engine) -> dict[str, Array]:
    return {spec.name: np.zeros(spec.shape, spec.dtype) for spec in engine.outputs}
