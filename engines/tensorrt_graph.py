"""A student's ONNX graph in what TensorRT's parser reads."""

from __future__ import annotations

from typing import Any, Final

import numpy as np

MOVERS: Final = ("DepthToSpace", "Transpose", "Reshape")  # they move numbers and do not change them


def readable(graph: bytes) -> bytes:
    """The same graph in what TensorRT's parser reads. Two things that onnxruntime runs, it refuses: biases
    as int32 behind DequantizeLinear, which become float constants; and work on u8 behind a Cast, which
    moves before it, as u8 may only enter and leave."""
    import onnx

    model = onnx.load_from_string(graph)
    _float_biases(model.graph)
    _leave_at_once(model.graph)
    del model.opset_import[:]
    model.opset_import.extend(one for one in onnx.load_from_string(graph).opset_import if not one.domain)
    onnx.checker.check_model(model)
    made: bytes = model.SerializeToString()
    return made


def _float_biases(graph: Any) -> None:  # Any: onnx.GraphProto, and onnx has no types
    from onnx import TensorProto, numpy_helper

    constants = {one.name: one for one in graph.initializer}
    for node in [one for one in graph.node if one.op_type == "DequantizeLinear"]:
        bias = constants.get(node.input[0])
        if bias is None or bias.data_type != TensorProto.INT32:
            continue
        scale = numpy_helper.to_array(constants[node.input[1]])
        value = (numpy_helper.to_array(bias) * scale).astype(np.float32)
        graph.initializer.append(numpy_helper.from_array(value, node.output[0]))
        graph.node.remove(node)
    read = {name for node in graph.node for name in node.input}
    for constant in [one for one in graph.initializer if one.name not in read]:
        graph.initializer.remove(constant)


def _leave_at_once(graph: Any) -> None:
    """x -> Cast to u8 -> movers -> output becomes x -> movers -> Cast to u8 -> output."""
    from onnx import TensorProto

    maker = {name: node for node in graph.node for name in node.output}
    for output in [one for one in graph.output if one.type.tensor_type.elem_type == TensorProto.UINT8]:
        movers: list[Any] = []
        node = maker[output.name]
        while node.op_type in MOVERS:
            movers.insert(0, node)
            node = maker[node.input[0]]
        if not movers or node.op_type != "Cast":
            continue
        between = node.output[0]
        movers[0].input[0] = node.input[0]
        movers[-1].output[0], node.output[0] = between, output.name
        node.input[0] = between
        graph.node.remove(node)
        graph.node.insert(list(graph.node).index(movers[-1]) + 1, node)
        stale = [one for one in graph.value_info if one.name in {n for m in movers for n in m.output}]
        for one in stale:
            graph.value_info.remove(one)
