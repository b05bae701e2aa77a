"""The policy that asks whether an encoder can have made a latent: its grain, and how code and guide go
together, place by place.

A small network that comes with the student, in the same file as its envelope. It was fitted to latents of
the student against the same latents spoiled (vivant.guardrails.spoil); it sees a few places at once, no
things.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from vivant.guardrails.envelope import read_arrays
from vivant.guardrails.probe import Probe
from vivant.runtime.frames import F32, Array

NAME: Final = "coherence"
KIND: Final = "what no encoder makes"
VERSION: Final = 1
_PREFIX: Final = "coherence_"


@dataclass(frozen=True, slots=True)
class Coherence:
    """What coherence_fit found. `graph` is ONNX as Probe takes it; a logit above `threshold` is a HOLD.
    `layers` are its convolutions, the head last: weight, bias, stride; for those who run it without ONNX.
    `count` of latents fitted to; `false_hold_rate` of those kept apart."""

    graph: bytes
    threshold: float
    layers: tuple[tuple[F32, F32, int], ...]
    guided: bool
    count: int
    false_hold_rate: float


def policies_of(kept: Mapping[str, Array]) -> tuple[Probe, ...]:
    """The policy in a guard file's arrays: none where the student brings none. Raises KeyError, ValueError or
    TypeError for a broken one."""
    found = coherence_of(kept)
    if found is None:
        return ()
    threshold = np.array([found.threshold], np.float32)
    return (Probe(found.graph, (KIND,), threshold, found.guided, NAME),)


def in_guard_of(path: Path, sha256: str) -> bool:
    """Whether the guard file of a student, of this hash, holds one. Raises GuardFileError."""
    return f"{_PREFIX}version" in read_arrays(path, sha256)


def coherence_of(kept: Mapping[str, Array]) -> Coherence | None:
    """As `arrays_of` wrote it. Raises as policies_of."""
    if f"{_PREFIX}version" not in kept:
        return None
    version = int(kept[f"{_PREFIX}version"])
    if version != VERSION:
        raise ValueError(f"coherence of version {version}, and this is version {VERSION}. Fit it again")
    strides = [int(stride) for stride in kept[f"{_PREFIX}strides"]]
    layers = tuple(
        (kept[f"{_PREFIX}weight{index}"], kept[f"{_PREFIX}bias{index}"], stride)
        for index, stride in enumerate(strides)
    )
    return Coherence(
        kept[f"{_PREFIX}graph"].tobytes(),
        float(kept[f"{_PREFIX}threshold"]),
        layers,
        bool(kept[f"{_PREFIX}guided"]),
        int(kept[f"{_PREFIX}count"]),
        float(kept[f"{_PREFIX}false_hold_rate"]),
    )


def arrays_of(found: Coherence) -> dict[str, Array]:
    """What a student's guard file holds of it."""
    arrays: dict[str, Array] = {
        "version": np.array(VERSION),
        "graph": np.frombuffer(found.graph, np.uint8),
        "threshold": np.array(found.threshold),
        "strides": np.array([stride for _, _, stride in found.layers]),
        "guided": np.array(found.guided),
        "count": np.array(found.count),
        "false_hold_rate": np.array(found.false_hold_rate),
    }
    for index, (weight, bias, _) in enumerate(found.layers):
        arrays |= {f"weight{index}": weight, f"bias{index}": bias}
    return {f"{_PREFIX}{name}": array for name, array in arrays.items()}
