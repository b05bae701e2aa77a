"""The engines of a student, seen from outside while it paints: the builder looks at what each is given."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Self

import numpy as np

from vivant.engines.contract import Engine, Part
from vivant.runtime.frames import Array

Arrays = Mapping[str, Array]
Through = Callable[[Part, Engine], Engine]
"""What a student is to run in the place of an engine that was loaded for it."""


def as_loaded(part: Part, engine: Engine) -> Engine:
    """The engine itself."""
    return engine


class Watched:
    """An engine that keeps copies of what it was given and what it made, until they are taken. What does not
    change from run to run is kept once: adapters of a diffusion student take a hundred megabytes."""

    def __init__(self, engine: Engine) -> None:
        self.inputs, self.outputs = engine.inputs, engine.outputs
        self.ran_precision = engine.ran_precision
        self._engine = engine
        self._runs: list[tuple[Arrays, Arrays]] = []
        self._before: Arrays = {}

    def run(self, inputs: Arrays, outputs: Arrays) -> None:
        before = self._before
        self._before = {
            name: before[name] if np.array_equal(before.get(name, ()), array) else array.copy()
            for name, array in inputs.items()
        }
        self._engine.run(inputs, outputs)
        self._runs.append((self._before, {name: value.copy() for name, value in outputs.items()}))

    def take(self) -> list[tuple[Arrays, Arrays]]:
        """All runs since the last time."""
        taken, self._runs = self._runs, []
        return taken

    def close(self) -> None:
        self._engine.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class Sight:
    """All engines of a student, watched: `through` goes where the student is loaded."""

    def __init__(self) -> None:
        self.watched: dict[Part, Watched] = {}

    def through(self, part: Part, engine: Engine) -> Engine:
        """The engine, watched from now on."""
        self.watched[part] = found = Watched(engine)
        return found

    def take(self) -> list[tuple[Part, Arrays, Arrays]]:
        """What each graph was given and made since this was asked last."""
        return [(part, *run) for part, engine in self.watched.items() for run in engine.take()]
