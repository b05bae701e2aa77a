"""What is done to a graph before TensorRT reads it: what its parser refuses, what is not INT8."""

from __future__ import annotations

import numpy as np
import pytest
from test_engines import arrays_for
from tiny_tensorrt import source_of, symmetric_student

from vivant.engines import tensorrt_plans
from vivant.engines.contract import PARTS, EngineError
from vivant.engines.specs import tensor_specs
from vivant.engines.tensorrt_graph import prepared

SIZE = (96, 64)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The tiny student with symmetric INT8 graphs as they ship."""
    pytest.importorskip("onnx", reason="needs onnx (the distill extra) to write a student")
    return symmetric_student(tmp_path_factory.mktemp("student") / "tiny")


BIASED = """<ir_version: 10, opset_import: ["" : 17]>
biased (float[1,3,h,w] frame) => (uint8[1,H,W,1] picture)
  <float[4,3,3,3] first, float[4] shift, float[4,4,3,3] second> {
  seen = Conv <pads = [1, 1, 1, 1]> (frame, first, shift)
  active = Relu (seen)
  made = Conv <pads = [1, 1, 1, 1]> (active, second, shift)
  bright = Relu (made)
  bytes = Cast <to = 2> (bright)
  turned = DepthToSpace <blocksize = 2, mode = "CRD"> (bytes)
  picture = Transpose <perm = [0, 2, 3, 1]> (turned)
}"""


def biased(folder):
    """A graph with the two things that TensorRT's parser refuses."""
    from onnx import numpy_helper, parser, save

    from vivant.engines.quantize import calibrate, quantize

    model = parser.parse_model(BIASED)
    del model.graph.initializer[:]
    rng = np.random.Generator(np.random.Philox(key=1))
    for name, shape in (("first", (4, 3, 3, 3)), ("shift", (4,)), ("second", (4, 4, 3, 3))):
        value = rng.random(shape, np.float32)
        model.graph.initializer.append(numpy_helper.from_array(value, name))
    save(model, folder / "float.onnx")
    sample = {"frame": rng.random((1, 3, 8, 8), np.float32)}
    quantize(calibrate(folder / "float.onnx", [sample]), folder / "int8.onnx", symmetric=True)
    return (folder / "int8.onnx").read_bytes(), sample


def refused(graph):
    """What of a graph TensorRT's parser would refuse."""
    import onnx

    made = onnx.load_from_string(graph).graph
    constants = {one.name: one.data_type for one in made.initializer}
    dequantized = [node.input[0] for node in made.node if node.op_type == "DequantizeLinear"]
    found = ["bias"] * [constants.get(name) for name in dequantized].count(onnx.TensorProto.INT32)
    for output in made.output:
        last = next(node.op_type for node in made.node if output.name in node.output)
        if output.type.tensor_type.elem_type == onnx.TensorProto.UINT8 and last != "Cast":
            found.append("bytes")
    return found


def test_what_tensorrts_parser_refuses_is_taken_out_of_a_graph(tmp_path):
    pytest.importorskip("onnx", reason="needs onnx (the distill extra) to write a graph")
    from fake_tensorrt import _Session

    graph, sample = biased(tmp_path)
    assert refused(graph) == ["bias", "bias", "bytes"]
    made = prepared(graph, "float")
    assert refused(made) == []
    before, after = (_Session(one).session.run(None, sample) for one in (graph, made))
    assert np.abs(before[0].astype(int) - after[0]).max() <= 1  # a float bias may round the other way
    assert prepared(made, "float") == made


@pytest.mark.parametrize("part", PARTS)
def test_what_is_not_int8_becomes_half_and_costs_less_than_int8(folder, part):
    """FP16 holds 11 bits and INT8 7: against the float graph nobody can tell whether the rest is halved."""
    import onnx
    from fake_tensorrt import _Session

    source = source_of(folder, part)
    graph = (folder / tensorrt_plans.graph_file(source).file).read_bytes()
    half = prepared(graph, "int8")
    assert refused(half) == []
    assert [one.name for one in onnx.load_from_string(half).graph.input] == [
        one.name for one in onnx.load_from_string(graph).graph.input
    ]
    constants = {one.name: one.data_type for one in onnx.load_from_string(half).graph.initializer}
    resized = {
        n for node in onnx.load_from_string(half).graph.node if node.op_type == "Resize" for n in node.input
    }
    assert {name for name, kind in constants.items() if kind == onnx.TensorProto.FLOAT} <= resized
    inputs = arrays_for(tensor_specs(source.card, part, SIZE)[0])
    exact, int8, int8_half = (
        _Session(one).session.run(None, inputs)
        for one in ((folder / f"{part}.float.onnx").read_bytes(), prepared(graph, "float"), half)
    )
    for wanted, full, halved in zip(exact, int8, int8_half, strict=True):
        assert full.dtype == halved.dtype == wanted.dtype
        lost, lost_with_half = (
            np.sqrt(np.mean((one.astype(np.float64) - wanted) ** 2)) for one in (full, halved)
        )
        assert lost_with_half <= 1.1 * lost + 2.0**-10 * np.abs(wanted).max()


def test_a_graph_that_cannot_be_prepared_is_explained(folder):
    import onnx

    model = onnx.load(folder / "decode.float.onnx")
    model.graph.node[0].input[0] = "nobody"
    with pytest.raises(EngineError, match="cannot be prepared for TensorRT"):
        prepared(model.SerializeToString(), "int8")
