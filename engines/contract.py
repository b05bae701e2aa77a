"""What every engine and every backend promises; one file per backend keeps the promise."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Protocol, Self

from vivant.runtime.frames import Array, VivantError

Precision = Literal["int8", "float", "bf16"]
"""What a student runs in; bf16 is its float graph with bfloat16 arithmetic, where the processor has it."""
Kind = Literal["int8", "float", "int8_symmetric"]
"""The graphs a student may ship; int8_symmetric is what TensorRT builds its INT8 engines from."""
Part = Literal["encode", "denoise", "decode"]
PARTS: tuple[Part, ...] = ("encode", "denoise", "decode")


class EngineError(VivantError):
    """An engine cannot be loaded or does not match its manifest."""


@dataclass(frozen=True, slots=True)
class TensorSpec:
    """One input or output: numpy `dtype` name and the exact `shape` it was loaded for."""

    name: str
    dtype: str
    shape: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Availability:
    """Whether a backend can run here; `reason` says what is missing and how to get it."""

    usable: bool
    version: str
    reason: str = ""


@dataclass(frozen=True, slots=True)
class GraphSource:
    """One part of a student on disk. `folder` holds its card.json; `card` is that file, parsed and checked.

    ONNX backends read `folder / card.graphs[part][precision]`; the torch backend reads
    `folder / card.weights` into vivant.engines.house.
    """

    folder: Path
    card: Any  # vivant.engines.card.Card; Any keeps this module at the bottom of the imports
    part: Part
    precision: Precision


class Engine(Protocol):
    """One graph, loaded for one size. One thread may use it. `run` writes into the caller's arrays
    (C-contiguous, dtype and shape as in the specs) and keeps no reference to them."""

    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    ran_precision: str
    """The precision that really runs, e.g. 'int8', 'f32', 'bf16'."""

    def run(self, inputs: Mapping[str, Array], outputs: Mapping[str, Array]) -> None: ...
    def close(self) -> None: ...
    def __enter__(self) -> Self: ...
    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


class Backend(Protocol):
    """A module of engines/ with these two functions."""

    def available(self) -> Availability: ...
    def load(self, source: GraphSource, size_px: tuple[int, int], threads: int) -> Engine: ...
