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
from typing import Any, Final

import numpy as np

from vivant.guardrails.envelope import read_arrays
from vivant.guardrails.probe import passed_or_held
from vivant.guardrails.sanity import malformed
from vivant.runtime.frames import F32, Array, Controls, Judgement, Latent, Verdict

NAME: Final = "coherence"
KIND: Final = "what no encoder makes"
VERSION: Final = 2
_PREFIX: Final = "coherence_"
SETTINGS: Final[Mapping[str, Any]] = {
    "INFERENCE_PRECISION_HINT": "f32",  # else bf16 runs unasked, and the threshold is another
    "PERFORMANCE_HINT": "LATENCY",
    "NUM_STREAMS": 1,
    "INFERENCE_NUM_THREADS": 1,  # the other cores paint
    "ENABLE_CPU_PINNING": False,  # it runs where it is called
}


@dataclass(frozen=True, slots=True)
class Separable:
    """A block: each feature convolved by itself, `deep` (A, 1, 3, 3), then all at each place, `point`
    (B, A, 1, 1) and `bias` (B,), and what of it is above zero."""

    deep: F32
    point: F32
    bias: F32


@dataclass(frozen=True, slots=True)
class Layers:
    """The network, for those who run it without its graph: patches of the code, `of_code` (A, C, p, p), and
    of the guide, `of_guide` (A, 1, 4p, 4p), side by side, with one `bias` (A,), and what of it is above zero;
    then the blocks; then each feature's most and mean, `head` (1, 2B) and `head_bias` (1,)."""

    of_code: F32
    of_guide: F32 | None
    bias: F32
    blocks: tuple[Separable, ...]
    head: F32
    head_bias: F32

    def arrays(self) -> dict[str, Array]:
        """By the names of a guard file."""
        own = {name: getattr(self, name) for name in ("of_code", "of_guide", "bias", "head", "head_bias")}
        for index, block in enumerate(self.blocks):
            own |= {f"{name}{index}": getattr(block, name) for name in Separable.__slots__}
        return {name: array for name, array in own.items() if array is not None}

    @classmethod
    def of(cls, kept: Mapping[str, Array]) -> Layers:
        """As `arrays` wrote them. Raises KeyError."""
        count = sum(name.startswith("deep") for name in kept)
        blocks = tuple(
            Separable(*(kept[f"{name}{index}"] for name in Separable.__slots__)) for index in range(count)
        )
        return cls(
            kept["of_code"], kept.get("of_guide"), kept["bias"], blocks, kept["head"], kept["head_bias"]
        )


@dataclass(frozen=True, slots=True)
class Coherence:
    """What coherence_fit found. `graph` is ONNX: code f32 (1, C, h, w) and, if `guided`, guide f32
    (1, 1, 4h, 4w), to a logit f32 (1, 1); one above `threshold` is a HOLD. `layers` are the same. `count` of
    latents fitted to; `false_hold_rate` of those kept apart."""

    graph: bytes
    threshold: float
    layers: Layers
    guided: bool
    count: int
    false_hold_rate: float


class Coherent:
    """The policy. OpenVINO compiles the graph for one size at a time, `prepare`; arrays that lie where those
    before lay are not bound again. Numbers that are none are Sanity's to hold: OpenVINO takes them for zero.
    One thread. Raises ValueError when graph and threshold are of no use."""

    name = NAME

    def __init__(self, found: Coherence) -> None:
        import openvino

        if not np.isfinite(found.threshold):
            raise ValueError(f"a threshold of {found.threshold}")
        self._core, self._tensor = openvino.Core(), openvino.Tensor
        try:
            self._core.read_model(found.graph)
        except RuntimeError as error:
            raise ValueError(f"its graph cannot be loaded: {error}") from error
        self._found, self._kind = found, (found.layers.of_code.shape[1], found.guided)
        self._shape: tuple[int, ...] = ()
        self._bound: dict[str, F32] = {}

    def judge(self, latent: Latent, controls: Controls) -> Verdict:
        fault = self._refused(latent)
        if fault:
            return Verdict(Judgement.HOLD, 0.0, fault)
        return passed_or_held(self.logit(latent) - self._found.threshold, KIND)

    def logit(self, latent: Latent) -> float:
        """Of a well-formed latent."""
        if latent.code.shape != self._shape:
            self.prepare(latent)
        self._bind("code", latent.code)
        if latent.guide is not None:
            self._bind("guide", latent.guide)
        self._request.infer()
        return float(self._logit[0, 0])

    def prepare(self, latent: Latent) -> None:
        """Compile for latents of this size: a tenth of a second. One that is no latent is left to `judge`."""
        if self._refused(latent):
            return
        model = self._core.read_model(self._found.graph)
        shapes = {"code": list(latent.code.shape)}
        if latent.guide is not None:
            shapes["guide"] = list(latent.guide.shape)
        model.reshape(shapes)
        self._request = self._core.compile_model(model, "CPU", dict(SETTINGS)).create_infer_request()
        self._logit = self._request.get_output_tensor(0).data
        self._bound.clear()
        self._shape = latent.code.shape

    def _refused(self, latent: Latent) -> str:
        fault = malformed(latent)
        if not fault and (latent.code.shape[1], latent.guide is not None) != self._kind:
            fault = "the network was fitted to latents of another shape"
        return fault

    def _bind(self, name: str, array: F32) -> None:
        # what is bound is kept alive here, as the request itself keeps no array; so no other can be the same
        if self._bound.get(name) is not array:
            whole = np.ascontiguousarray(array)
            self._request.set_tensor(name, self._tensor(whole, shared_memory=True))
            self._bound[name] = whole


def policies_of(kept: Mapping[str, Array]) -> tuple[Coherent, ...]:
    """The policy in a guard file's arrays: none where the student brings none. Raises KeyError, ValueError or
    TypeError for a broken one."""
    found = coherence_of(kept)
    return () if found is None else (Coherent(found),)


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
    return Coherence(
        kept[f"{_PREFIX}graph"].tobytes(),
        float(kept[f"{_PREFIX}threshold"]),
        Layers.of({name.removeprefix(_PREFIX): array for name, array in kept.items()}),
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
        "guided": np.array(found.guided),
        "count": np.array(found.count),
        "false_hold_rate": np.array(found.false_hold_rate),
        **found.layers.arrays(),
    }
    return {f"{_PREFIX}{name}": array for name, array in arrays.items()}
