"""What every engine and every backend promises; one file per backend keeps the promise."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Protocol, Self

from vivant.runtime.frames import U8, Array, Controls, Latent, VivantError

Precision = Literal["int8", "float", "bf16", "half"]
"""What a student runs in; bf16 and half are its float graph with bfloat16 or float16 arithmetic, where the
processor has it."""
Kind = Literal["int8", "float", "int8_rounded", "int8_symmetric"]
"""The graphs a student may ship. int8_rounded has every layer's output rounded to INT8: onnxruntime runs a
layer in float otherwise, OpenVINO is as fast and 1 to 3 dB nearer to float without. int8_symmetric is what
TensorRT builds its INT8 engines from."""
Part = Literal["encode", "denoise", "decode", "control"]
"""The graphs of a student. `control` is a ControlNet with an engine of its own, which few have."""
PARTS: tuple[Part, ...] = ("encode", "denoise", "decode")
"""What every student has; what one has besides says Card.parts."""


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


@dataclass(frozen=True, slots=True)
class Wearable:
    """An adapter that a student may wear: its file, one line on it, and whether it is a medium of its own
    (`alone`) or goes with every style. `license` is empty where the file states none."""

    path: Path
    summary: str
    alone: bool
    rank: int = 0
    license: str = ""


@dataclass(frozen=True, slots=True)
class Fitted:
    """An adapter that was read, checked and packed for a student's slots, to be hung between two frames.
    `recipe` names the planes that it paints with, if it has its own; `content` is for the student alone."""

    name: str
    hash: str
    recipe: str | None
    content: Any  # of the kind that made it


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


class LoadedStudent(Protocol):
    """A student in use, of whatever kind (vivant.engines.kinds loads it from a card). Owned by one thread.
    What its methods return are views of its own buffers, valid until the same method is called again.

    `engines`, by part, close with it; `recipes` are those that the planes may be made for, none for a student
    without planes; `adapters` the hash of each that can be worn, by name; `facts` what a report says of it;
    `counts` its totals by name.
    """

    card: Any  # vivant.engines.card.Card, as above
    folder: Path
    backend: str
    precision: Precision
    ran_precision: Mapping[Part, str]
    size_px: tuple[int, int]

    @property
    def engines(self) -> Mapping[Part, Engine]: ...
    @property
    def hash(self) -> str: ...
    @property
    def guard_file(self) -> tuple[Path, str]: ...
    @property
    def recipes(self) -> tuple[str, ...]: ...
    @property
    def adapters(self) -> Mapping[str, str]: ...
    @property
    def facts(self) -> Mapping[str, Any]: ...
    @property
    def counts(self) -> Mapping[str, int]: ...

    def prepare(self, controls: Controls) -> None:
        """Everything that `controls` ask for and that takes long, before the first frame. Raises
        EngineError."""

    def deny(self, denied: Any) -> None:
        """Refuse prompts that mean too nearly the same as these concepts (vivant.engines.diffusion.concepts.
        Denied); before `prepare`. Raises EngineError for a student without a text encoder."""

    def refusals(self) -> list[tuple[str, str]]:
        """Prompts that were refused since the last call, each with its reason."""

    def fitted(self, path: Path) -> Fitted:
        """Reads and checks an adapter; on any thread, and it may take long. Raises EngineError."""

    def hang(self, fitted: Fitted) -> None:
        """One more adapter that can be worn from the next frame on, or another of the same name."""

    def forget(self) -> None:
        """Take the next frame as the first: nothing of those before is in it."""

    def encode(self, pixels: U8) -> Latent: ...
    def denoise(self, latent: Latent, controls: Controls) -> Latent: ...
    def dress(self, controls: Controls) -> Mapping[str, float]:
        """What the planes are to be made for, weights by recipe; empty for a student without planes."""

    def decode(self, latent: Latent, planes: U8 | None, controls: Controls) -> U8: ...
    def close(self) -> None: ...
    def __enter__(self) -> Self: ...
    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


class Backend(Protocol):
    """A module of engines/ with these two functions."""

    def available(self) -> Availability: ...
    def load(self, source: GraphSource, size_px: tuple[int, int], threads: int) -> Engine: ...
