"""A student's ONNX graph in what TensorRT's parser reads."""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from vivant.engines.contract import EngineError, Precision

HALF_SCALES: Final = 19  # the first opset whose Q/DQ takes scales in FP16
MOVERS: Final = ("DepthToSpace", "Transpose", "Reshape")  # they move numbers and do not change them


def prepared(graph: bytes, precision: Precision) -> bytes:
    """What TensorRT is to build from a student's ONNX graph. Raises EngineError for one that it cannot be
    made from.

    Two things that onnxruntime runs, TensorRT's parser refuses: biases as int32 behind DequantizeLinear,
    which become float constants; and work on u8 behind a Cast, which moves before it, as u8 may only enter
    and leave. A strongly typed network runs what is written, so what is not INT8 is written in FP16 for
    int8 (against the float graph that costs nothing measurable, where INT8 itself costs 25 to 48 dB).
    """
    import onnx
    from onnx.checker import ValidationError
    from onnx.shape_inference import InferenceError
    from onnx.version_converter import ConvertError

    model = onnx.load_from_string(graph)
    plain = [one for one in model.opset_import if not one.domain]
    del model.opset_import[:]
    model.opset_import.extend(plain)
    try:
        _float_biases(model.graph)
        _leave_at_once(model.graph)
        if precision == "int8":
            model = _halved(model)
        onnx.checker.check_model(model, full_check=True)
    except (ConvertError, InferenceError, ValidationError) as error:
        raise EngineError(
            f"this graph cannot be prepared for TensorRT ({str(error).strip().splitlines()[0]}). Export the "
            "student anew, or ask for precision float."
        ) from error
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


def _halved(model: Any) -> Any:
    """The same model with FP16 wherever there was float32, but at its doors."""
    from onnx import TensorProto, version_converter

    if model.opset_import[0].version < HALF_SCALES:
        model = version_converter.convert_version(model, HALF_SCALES)
    graph = model.graph
    # how far to resize stays float32, as the operator has it
    kept = {name for node in graph.node if node.op_type == "Resize" for name in node.input[1:3]}
    for constant in graph.initializer:
        if constant.name not in kept:
            _halve(constant)
    for node in graph.node:
        for attribute in node.attribute:
            if node.op_type == "Cast" and attribute.name == "to" and attribute.i == TensorProto.FLOAT:
                attribute.i = TensorProto.FLOAT16
            if node.output[0] not in kept:
                _halve(attribute.t)
    del graph.value_info[:]
    _cast_at_doors(graph)
    return model


def _halve(tensor: Any) -> None:  # Any: onnx.TensorProto
    from onnx import TensorProto, numpy_helper

    if tensor.data_type == TensorProto.FLOAT:
        value = numpy_helper.to_array(tensor).astype(np.float16)
        tensor.CopyFrom(numpy_helper.from_array(value, tensor.name))


def _cast_at_doors(graph: Any) -> None:
    """float32 -> Cast -> all that was there -> Cast -> float32."""
    from onnx import TensorProto, helper

    doors = [one.name for one in (*graph.input, *graph.output) if _is_float(one)]
    inside = {name: f"{name}_half" for name in doors}
    for node in graph.node:
        node.input[:] = [inside.get(name, name) for name in node.input]
        node.output[:] = [inside.get(name, name) for name in node.output]
    for one in filter(_is_float, graph.input):
        graph.node.insert(0, helper.make_node("Cast", [one.name], [inside[one.name]], to=TensorProto.FLOAT16))
    for one in filter(_is_float, graph.output):
        graph.node.append(helper.make_node("Cast", [inside[one.name]], [one.name], to=TensorProto.FLOAT))


def _is_float(door: Any) -> bool:
    from onnx import TensorProto

    return bool(door.type.tensor_type.elem_type == TensorProto.FLOAT)
