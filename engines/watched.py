"""The engines of a student, seen from outside while it paints: the builder looks at what each is given."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

from vivant.engines.contract import Engine, Part
from vivant.runtime.frames import Array

Arrays = Mapping[str, Array]


class Watched:
    """An engine that keeps copies of what it was given and what it made, until they are taken."""

    def __init__(self, engine: Engine) -> None:
        self.inputs, self.outputs = engine.inputs, engine.outputs
        self.ran_precision = engine.ran_precision
        self._engine = engine
        self._runs: list[tuple[Arrays, Arrays]] = []

    def run(self, inputs: Arrays, outputs: Arrays) -> None:
        given = {name: value.copy() for name, value in inputs.items()}
        self._engine.run(inputs, outputs)
        self._runs.append((given, {name: value.copy() for name, value in outputs.items()}))

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


@dataclass(frozen=True, slots=True)
class Sight:
    """What was loaded while one looked: the engines by part, and those that keep their runs."""

    engines: dict[Part, Engine] = field(default_factory=dict)
    watched: dict[Part, Watched] = field(default_factory=dict)
    recording: bool = False


_SIGHT: ContextVar[Sight | None] = ContextVar("sight", default=None)


@contextmanager
def watching(recording: bool = False) -> Iterator[Sight]:
    """Engines that are loaded inside are found in the Sight; when `recording`, they keep their runs."""
    token = _SIGHT.set(Sight(recording=recording))
    try:
        sight = _SIGHT.get()
        assert sight is not None
        yield sight
    finally:
        _SIGHT.reset(token)


def seen(part: Part, engine: Engine) -> Engine:
    """The engine as who loads it is to use it: itself, where nobody looks."""
    sight = _SIGHT.get()
    if sight is None:
        return engine
    sight.engines[part] = engine
    if sight.recording:
        engine = sight.watched[part] = Watched(engine)
    return engine
