"""The engines of a student, all of them loaded or none, and arrays for what they take and give."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from vivant.engines import registry
from vivant.engines.card import Card
from vivant.engines.contract import Engine, GraphSource, Part, Precision
from vivant.engines.watched import Through, as_loaded
from vivant.runtime.frames import Array


def load_engines(
    folder: Path,
    card: Card,
    backend: str,
    precision: Precision,
    size_px: tuple[int, int],
    threads: int,
    through: Through = as_loaded,
) -> dict[Part, Engine]:
    """The graphs of a card on a backend, loaded and warmed up at `size_px` (width, height), each as
    `through` hands it on. Raises EngineError; what was loaded before is closed then."""
    registry.check_precision(backend, precision)
    module = registry.module(backend)
    engines: dict[Part, Engine] = {}
    try:
        for part in card.parts:
            engine = module.load(GraphSource(folder, card, part, precision), size_px, threads)
            engines[part] = through(part, engine)
    except BaseException:
        for engine in engines.values():
            engine.close()
        raise
    return engines


def buffers(engine: Engine) -> dict[str, Array]:
    """An array of zeros for each input and output, which stays where the engine has bound it."""
    return {spec.name: np.zeros(spec.shape, spec.dtype) for spec in (*engine.inputs, *engine.outputs)}
