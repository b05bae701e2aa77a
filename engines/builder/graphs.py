"""ONNX graphs of a student: checked, simplified, and given other adapter slots."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import numpy as np

from vivant.engines.builder.compare import quiet
from vivant.engines.builder.errors import BuildError
from vivant.engines.builder.int8 import KINDS
from vivant.engines.card import Card, data_file
from vivant.engines.contract import Part
from vivant.engines.quantize import name_of, save
from vivant.engines.specs import check_names, tensor_specs

log = logging.getLogger(__name__)

ROWS = {"adapter_down": 0, "adapter_up": 0, "adapter_scale": 1}
"""Which axis of each adapter input depends on how many slots there are, and of which rank."""


def checked(path: Path, card: Card, part: Part) -> int:
    """How many nodes a graph has. Raises BuildError for one that ONNX's checker refuses, and EngineError for
    one with other tensors than the card says."""
    import onnx
    from onnx.checker import ValidationError

    try:
        onnx.checker.check_model(str(path), full_check=True)  # by path: weights may lie beside it
        model = onnx.load(path, load_external_data=False)
    except (ValidationError, onnx.shape_inference.InferenceError, OSError, ValueError) as error:
        first = str(error).strip().splitlines()[0]
        raise BuildError(f"{path} is no sound ONNX graph: {first}. Export the student anew.") from error
    sides = tensor_specs(card, part, (card.default_size, card.default_size))
    for specs, values in zip(sides, (model.graph.input, model.graph.output), strict=True):
        check_names(specs, [value.name for value in values], f"{card.name}.{part}")
    return len(model.graph.node)


def simplified(source: Path, target: Path) -> tuple[int, int]:
    """Writes a graph without what can be computed now, by polygraphy's constant folding; weights of Q/DQ stay
    as they are. How many nodes there were and are. A graph above two gigabytes stays as it is, which the
    log says."""
    import onnx

    model = onnx.load(source)
    before = len(model.graph.node)
    if data_file(source).exists():
        log.warning("%s is above two gigabytes: it is built without being simplified", source.name)
    else:
        model = _folded(model)
    save(model, target)
    return before, len(model.graph.node)


def _folded(model: Any) -> Any:  # onnx has no types
    quiet()
    from polygraphy.backend.onnx import FoldConstants

    # without shape inference, which takes what is broadcast for 1 and would fix sizes that are free
    return FoldConstants(model, error_ok=True, copy=True, do_shape_inference=False)()


def with_slots(source: Path, target: Path, slots: tuple[int, int], wanted: tuple[int, int]) -> None:
    """Writes a house student's graph with `wanted` (slots, rank) in place of `slots`: its adapter inputs are
    longer or shorter, and so is the constant that spreads scales over rows. A part without adapters is
    copied. Raises BuildError for a graph that does not have its slots there."""
    import onnx
    from onnx import numpy_helper

    model = onnx.load(source)
    found = {one.name: one for one in model.graph.input if one.name in ROWS}
    rows = {
        "adapter_down": wanted[0] * wanted[1],
        "adapter_up": wanted[0] * wanted[1],
        "adapter_scale": wanted[0],
    }
    for name, value in found.items():
        value.type.tensor_type.shape.dim[ROWS[name]].dim_value = rows[name]
    spreads = 0
    for tensor in _constants(model.graph):
        if found and _spreads(numpy_helper.to_array(tensor), slots):
            tensor.CopyFrom(numpy_helper.from_array(spread(wanted), tensor.name))
            spreads += 1
    if found and not spreads:
        raise BuildError(f"{source} does not spread {slots[0]} scales over slots: give it no other slots")
    del model.graph.value_info[:]
    save(model, target)
    try:
        onnx.shape_inference.infer_shapes(model, strict_mode=True, data_prop=True)
    except onnx.shape_inference.InferenceError as error:
        raise BuildError(f"{source} cannot have {wanted[0]} slots of rank {wanted[1]}: {error}") from error


def spread(slots: tuple[int, int]) -> np.ndarray[Any, np.dtype[np.float32]]:
    """(slots, slots * rank): row k is 1 where the rows of slot k are."""
    return np.repeat(np.eye(slots[0], dtype=np.float32), slots[1], 1)


def _spreads(value: np.ndarray[Any, Any], slots: tuple[int, int]) -> bool:
    wanted = spread(slots)
    return value.shape == wanted.shape and bool(np.array_equal(value, wanted))


def _constants(graph: Any) -> list[Any]:
    """Every constant tensor, initializers and Constant nodes alike."""
    nodes = [attribute.t for node in graph.node if node.op_type == "Constant" for attribute in node.attribute]
    return [*graph.initializer, *nodes]


def layers_of(path: Path) -> dict[str, str]:
    """What each layer with weights is written in: INT8, FP16 or float, by its name. (What really runs says
    the backend.)"""
    import onnx
    from onnx import TensorProto

    graph = onnx.load(path, load_external_data=False).graph
    stored = {one.name: one.data_type for one in graph.initializer}
    source = {node.output[0]: node.input[0] for node in graph.node if node.op_type == "DequantizeLinear"}
    words = {TensorProto.INT8: "INT8", TensorProto.UINT8: "INT8", TensorProto.FLOAT16: "FP16"}
    return {
        name_of(node): words.get(stored[weight], "float")
        for node in graph.node
        if node.op_type in KINDS and (weight := source.get(node.input[1], node.input[1])) in stored
    }
