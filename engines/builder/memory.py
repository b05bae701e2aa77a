"""How much memory an engine takes when it is loaded: measured, by loading it."""

from __future__ import annotations

import gc
from pathlib import Path

from vivant.engines import registry
from vivant.engines.buildable import Size
from vivant.engines.card import Card
from vivant.engines.contract import GraphSource
from vivant.engines.manifest import Manifest


def memory_of(folder: Path, manifest: Manifest, size_px: Size, threads: int) -> tuple[str, int]:
    """Where, "host" or "GPU", and how many bytes more are taken there while the engine of the student in
    `folder` is loaded and has run once. An engine may find room in what was free before: then it is fewer, or
    none. Raises EngineError."""
    source = GraphSource(folder, Card.read(folder), manifest.part, manifest.precision)
    gpu = registry.door(manifest.backend).built_before
    taken = _taken_on_gpu if gpu else _taken_here
    module = registry.module(manifest.backend)
    gc.collect()
    before = taken()
    with module.load(source, size_px, threads):
        return "GPU" if gpu else "host", max(taken() - before, 0)


def _taken_here() -> int:
    import psutil

    return int(psutil.Process().memory_info().rss)


def _taken_on_gpu() -> int:
    from vivant.engines.cuda import checked, cudart

    free, whole = checked(cudart().cudaMemGetInfo(), "asking for free memory")
    return int(whole - free)
