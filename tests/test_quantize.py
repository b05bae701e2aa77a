"""INT8 graphs: what is quantized, what is not, and how near they come to the float ones."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs torch: pip install '.[distill]'")
onnx = pytest.importorskip("onnx", reason="needs onnx: pip install '.[distill]'")
import onnxruntime  # noqa: E402

from vivant.distill.export import write_float  # noqa: E402
from vivant.engines.contract import PARTS, Part  # noqa: E402
from vivant.engines.network import House, Widths  # noqa: E402
from vivant.engines.planes import PLANE_NAMES  # noqa: E402
from vivant.engines.quantize import QuantizeError, quantize  # noqa: E402
from vivant.runtime.frames import Array  # noqa: E402

pytestmark = pytest.mark.torch
TINY = Widths(half=16, quarter=16, eighth=16, sixteenth=16, style=8)


def inputs_of(part: Part, height: int, width: int, seed: int = 0) -> dict[str, Array]:
    rng = np.random.default_rng(seed)
    inputs: dict[str, Array] = {"frame": rng.integers(0, 256, (1, height, width, 3), dtype=np.uint8)}
    if part == "encode":
        return inputs
    code = rng.standard_normal((1, 16, height // 8, width // 8), dtype=np.float32)
    guide = rng.random((1, 1, height // 2, width // 2), dtype=np.float32)
    style = np.eye(4, dtype=np.float32)[seed % 4][None]
    if part == "denoise":
        return {"code": code, "guide": guide, "sigma": np.full((1, 1), 0.25, np.float32), "style": style}
    planes = rng.integers(0, 256, (1, len(PLANE_NAMES), height, width), dtype=np.uint8)
    return {"code": code, "guide": guide, "planes": planes, "style": style}


def run(path: Path, inputs: dict[str, Array]) -> list[Array]:
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    made: list[Array] = session.run(None, inputs)
    return made


@pytest.fixture(scope="module")
def tiny() -> House:
    """A tiny network with BatchNorm statistics and FiLM that do something."""
    torch.manual_seed(0)
    house = House(TINY)
    for parameter in house.parameters():
        parameter.data += 0.05 * torch.randn_like(parameter)
    house.train()
    with torch.no_grad():
        for seed in range(8):
            frame = torch.from_numpy(inputs_of("encode", 64, 64, seed)["frame"])
            code, guide = house.encode(frame)
            sigma, style = torch.full((1, 1), 0.25), torch.eye(4)[seed % 4][None]
            house.denoise(code, guide, sigma, style)
            planes = torch.from_numpy(inputs_of("decode", 64, 64, seed)["planes"])
            house.decode.paint(code, guide, planes, style)
    return house.eval()


@pytest.fixture(scope="module")
def folder(tiny: House, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("student")
    write_float(tiny, folder)
    for part in PARTS:
        samples = [inputs_of(part, 64, 64 + 32 * (seed % 2), seed) for seed in range(6)]
        quantize(folder / f"{part}.float.onnx", folder / f"{part}.int8.onnx", samples)
    return folder


@pytest.mark.parametrize("part", PARTS)
@pytest.mark.parametrize(("height", "width"), [(64, 64), (96, 128)])
def test_float_graphs_compute_what_the_network_computes(
    tiny: House, folder: Path, part: Part, height: int, width: int
) -> None:
    inputs = inputs_of(part, height, width)
    with torch.inference_mode():
        wanted: Any = tiny.get_submodule(part)(*(torch.from_numpy(value) for value in inputs.values()))
    made = run(folder / f"{part}.float.onnx", inputs)
    for one, other in zip(made, wanted if isinstance(wanted, tuple) else (wanted,), strict=True):
        assert one.shape == other.shape and str(one.dtype) in str(other.dtype)
        # two float32 libraries add in other orders; a picture may then round one step apart
        tolerance = 1 if one.dtype == np.uint8 else 1e-4
        np.testing.assert_allclose(one.astype(np.float32), other.float().numpy(), atol=tolerance)


@pytest.mark.parametrize("part", PARTS)
@pytest.mark.parametrize(("height", "width"), [(64, 64), (96, 128)])
def test_int8_graphs_stay_near_the_float_ones_at_every_size(
    folder: Path, part: Part, height: int, width: int
) -> None:
    inputs = inputs_of(part, height, width, seed=9)
    plain, quantized = (run(folder / f"{part}.{kind}.onnx", inputs) for kind in ("float", "int8"))
    for one, other in zip(plain, quantized, strict=True):
        assert one.shape == other.shape and one.dtype == other.dtype
        error = np.mean((one.astype(np.float64) - other) ** 2)
        span = float(one.max()) - float(one.min())
        assert 10 * math.log10(span**2 / max(error, 1e-12)) > 30


def weight_types(path: Path) -> dict[str, set[int]]:
    """The ONNX types of the tensors that each convolution's weights are dequantized from."""
    graph = onnx.load(path).graph
    kind = {initializer.name: initializer.data_type for initializer in graph.initializer}
    source = {n.output[0]: n.input[0] for n in graph.node if n.op_type == "DequantizeLinear"}
    return {
        node.output[0]: {kind.get(source.get(node.input[1], node.input[1]), 0)}
        for node in graph.node
        if node.op_type == "Conv"
    }


@pytest.mark.parametrize("part", PARTS)
def test_convolutions_are_int8_but_for_those_that_write_an_output(folder: Path, part: Part) -> None:
    types = weight_types(folder / f"{part}.int8.onnx")
    outputs = {output.name for output in onnx.load(folder / f"{part}.int8.onnx").graph.output}
    inner = [kinds for name, kinds in types.items() if name not in outputs]
    assert len(inner) >= 4 and all(kinds == {onnx.TensorProto.INT8} for kinds in inner)
    assert all(onnx.TensorProto.INT8 not in kinds for name, kinds in types.items() if name in outputs)


def test_bytes_go_in_and_out_without_a_float_round_trip(folder: Path) -> None:
    for part in ("encode", "decode"):
        kinds = {node.op_type for node in onnx.load(folder / f"{part}.int8.onnx").graph.node}
        assert not kinds & {"Cast", "Round", "Clip", "Sub"}


def test_the_guide_is_not_rounded(folder: Path) -> None:
    inputs = inputs_of("encode", 64, 64)
    plain, quantized = (run(folder / f"encode.{kind}.onnx", inputs)[1] for kind in ("float", "int8"))
    np.testing.assert_allclose(plain, quantized, atol=1e-6)  # the same float32 convolution of the same bytes


def test_openvino_runs_the_convolutions_in_int8(folder: Path) -> None:
    import openvino

    core = openvino.Core()
    model = core.read_model(folder / "decode.int8.onnx")
    model.reshape({name: value.shape for name, value in inputs_of("decode", 96, 128).items()})
    compiled = core.compile_model(model, "CPU")
    convolutions = [
        node.get_rt_info()["runtimePrecision"].astype(str)
        for node in compiled.get_runtime_model().get_ops()
        if node.get_rt_info()["layerType"].astype(str) == "Convolution"
    ]
    assert len(convolutions) >= 10
    assert set(convolutions) <= {"u8", "i8"}


def test_quantizing_without_samples_is_refused(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(QuantizeError, match="calibration"):
        quantize(folder / "encode.float.onnx", tmp_path / "encode.int8.onnx", [])
