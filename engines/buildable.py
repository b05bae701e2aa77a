"""What a backend offers the builder: its engines before they are compiled."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from vivant.engines.card import CardFile
from vivant.engines.contract import EngineError, GraphSource
from vivant.engines.manifest import Manifest, is_staged, keep, recall, relatives

log = logging.getLogger(__name__)

Size = tuple[int, int]  # width, height
Share = Callable[[float], None]
"""Told how much of the work is done, in [0, 1]."""
Compatibility = Literal["this_gpu", "ampere_plus"]
"""Which GPUs an engine runs on: the one it was built on (fastest), or any of SM 8.0 and newer."""


@dataclass(frozen=True, slots=True)
class Machine:
    """What an engine is compiled for: the threads of a CPU, and of a GPU its number and whether others of its
    kind are to run it too."""

    threads: int = 1
    gpu: int = 0
    compatibility: Compatibility = "this_gpu"


@dataclass(frozen=True, slots=True)
class Unbuilt:
    """An engine for `sizes_px` (width, height) that is not compiled yet. `compiled` does the work, seconds to
    minutes; it raises EngineError."""

    manifest: Manifest
    sizes_px: tuple[Size, ...]
    compiled: Callable[[Share], bytes]


class Buildable(Protocol):
    """A backend's module with this function."""

    def unbuilt(
        self, source: GraphSource, sizes_px: Sequence[Size], machine: Machine
    ) -> Sequence[Unbuilt]: ...


def kept_or_compiled(engine: Unbuilt) -> bytes:
    """What the store has of an engine, or, at its first start, compiled now and kept. Raises EngineError when
    what is kept is damaged."""
    manifest = engine.manifest
    kept = recall(manifest.folder, manifest)
    if kept is not None:
        return kept
    for line in relatives(manifest):
        log.warning("%s", line)
    if not is_staged():  # else the builder is at work, and tells itself what it does
        log.info("compiling %s for this machine, once; the next start takes it from the store", manifest.what)
    compiled = engine.compiled(lambda share: None)
    try:
        keep(manifest.folder, manifest, compiled)
    except OSError as error:
        log.warning("the compiled engine is not kept, the next start will be slower: %s", error)
    return compiled


def manifest_of(
    source: GraphSource,
    file: CardFile,
    shapes: dict[str, tuple[int, ...]],
    backend: str,
    version: str,
    device: str,
    threads: int = 0,
    rewrite: str = "",
) -> Manifest:
    """What an engine of one part of a student is made from: the graph in `file`, and as Manifest has it."""
    slots, rank = source.card.slots or (0, 0)
    return Manifest(
        student=source.card.name,
        part=source.part,
        precision=source.precision,
        model_sha256=file.whole,
        calibration_sha256=file.whole if source.precision == "int8" else "",
        shapes=shapes,
        adapter_slots=slots,
        adapter_rank=rank,
        backend=backend,
        backend_version=version,
        device=device,
        threads=threads,
        rewrite=rewrite,
    )


def refuse_gpu_wishes(backend: str, machine: Machine) -> None:
    """Raises EngineError where something is asked of a CPU that only a GPU has."""
    if machine.compatibility != "this_gpu":
        raise EngineError(
            f"--compatibility {machine.compatibility} is for tensorrt; {backend} compiles for this CPU. "
            "Leave it out."
        )
