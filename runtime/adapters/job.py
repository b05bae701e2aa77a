"""What the dresser and its auditor are told once."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from vivant.engines.card import Card
from vivant.engines.contract import Precision
from vivant.guardrails.guard_file import GuardFile
from vivant.runtime.frames import Controls


@dataclass(frozen=True, slots=True)
class DressJob:
    """`base` is what the scene starts with; `entries` its adapters, files and folders; `registry` where
    things are kept; `locked` the hashes that its lock allows, None without a lock; `eager` has the auditor
    load its student before the first file comes."""

    student: str
    backend: str
    precision: Precision
    size_px: tuple[int, int]
    base: Controls
    entries: tuple[str, ...]
    registry: str
    locked: frozenset[str] | None = None
    eager: bool = False
    guards: tuple[GuardFile, ...] = ()  # of the scene's own, beside the student's


def guard_hash(card: Card, guards: Sequence[GuardFile]) -> str:
    """One hash of all that judges: an audition holds for it alone. The student's guard is its own."""
    own = card.guard.sha256 if card.guard else ""
    if not guards:
        return own
    return hashlib.sha256("\n".join((own, *(one.sha256 for one in guards))).encode()).hexdigest()


def auditioning_backend(backend: str, precision: Precision) -> tuple[str, Precision]:
    """Where auditions run: on the processor, whatever the show runs on. Raises EngineError."""
    from vivant.engines.registry import BACKENDS, choose, look

    on_processor = [name for name in ("openvino", "onnxruntime") if look(name).usable]
    chosen = backend if backend in on_processor else next(iter(on_processor), choose("auto")[0])
    kinds = BACKENDS[chosen].precisions
    return chosen, precision if precision in kinds else "float"
