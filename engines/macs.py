"""Multiply-accumulates of a student's graphs at a size, counted in the graphs themselves.

OpenVINO works the shapes out; nothing is run. What is counted as what: a convolution or product with fixed
weights is `convolution` or `linear`; a product of two things that depend on the frame is `attention`; one
whose weights come in as adapters is `adapters`. Normalisation, activations and sums count for nothing, as in
published figures.
"""

from __future__ import annotations

import io
import math
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from vivant.engines.card import Card, read_graph
from vivant.engines.contract import EngineError, Part, Precision
from vivant.engines.specs import tensor_specs

CONVOLUTIONS: Final = ("Convolution", "GroupConvolution")
ADAPTERS: Final = "adapter"  # how the names of all inputs begin that adapters come by


@dataclass(frozen=True, slots=True)
class Macs:
    """Multiply-accumulates of one run of one graph, by what they are for."""

    convolution: int = 0
    linear: int = 0
    attention: int = 0
    adapters: int = 0

    @property
    def total(self) -> int:
        return self.convolution + self.linear + self.attention + self.adapters


def count_student(
    folder: Path, size_px: tuple[int, int] | None = None, precision: Precision = "float"
) -> dict[Part, Macs]:
    """Of every graph of a student at `size_px` (width, height), None for its own size. Raises EngineError."""
    card = Card.read(folder)
    side = card.default_size
    if not card.graphs:
        raise EngineError(f"student {card.name} is code alone: it has no graphs to count in")
    return {part: count_part(folder, card, part, size_px or (side, side), precision) for part in card.parts}


def count_part(folder: Path, card: Card, part: Part, size_px: tuple[int, int], precision: Precision) -> Macs:
    """Of one graph. Raises EngineError."""
    import openvino

    graph = read_graph(folder, card.graph(part, precision))
    specs = tensor_specs(card, part, size_px)
    model = openvino.Core().read_model(graph if isinstance(graph, Path) else io.BytesIO(graph))
    model.reshape({spec.name: list(spec.shape) for spec in specs[0]})
    return _counted(model.get_ordered_ops())


def _counted(ops: Iterable[Any]) -> Macs:  # openvino has no types
    """Follows from op to op what each depends on: nothing but constants, adapters, or the frame."""
    depends: dict[str, frozenset[str]] = {}
    found = {"convolution": 0, "linear": 0, "attention": 0, "adapters": 0}
    for op in ops:
        name, kind = op.get_friendly_name(), op.get_type_name()
        sources = [depends[value.get_node().get_friendly_name()] for value in op.input_values()]
        if kind == "Parameter":
            depends[name] = frozenset([name])
            continue
        depends[name] = frozenset().union(*sources)
        if kind in CONVOLUTIONS:
            word = "adapters" if kind == "GroupConvolution" and _worn(depends[name]) else "convolution"
            found[word] += _convolution(op, kind)
        elif kind == "MatMul":
            found[_use(sources)] += _product(op)
    return Macs(**found)


def _worn(sources: frozenset[str]) -> bool:
    return any(name.startswith(ADAPTERS) for name in sources)


def _use(sources: list[frozenset[str]]) -> str:
    if not all(sources):
        return "linear"
    if any(all(name.startswith(ADAPTERS) for name in one) for one in sources):
        return "adapters"
    return "attention"


def _convolution(op: Any, kind: str) -> int:
    weights = list(op.input_value(1).get_shape())
    per_output = weights[2:] if kind == "GroupConvolution" else weights[1:]
    return int(math.prod(op.output(0).get_shape()) * math.prod(per_output))


def _product(op: Any) -> int:
    a = list(op.input_value(0).get_shape())
    inner = a[-2] if op.get_attributes()["transpose_a"] and len(a) > 1 else a[-1]
    return int(math.prod(op.output(0).get_shape()) * inner)
