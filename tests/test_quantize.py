"""INT8 graphs: what is quantized, what is not, and how near they come to the float ones."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs torch: pip install '.[distill]'")
onnx = pytest.importorskip("onnx", reason="needs onnx: pip install '.[distill]'")
import onnxruntime  # noqa: E402

from vivant.distill.graphs import write_float  # noqa: E402
from vivant.engines.contract import PARTS, Part  # noqa: E402
from vivant.engines.house import RANK, SLOTS, STYLES, Adapted, Bank, House, Widths  # noqa: E402
from vivant.engines.quantize import QuantizeError, calibrate, quantize  # noqa: E402
from vivant.engines.slots import CHANNELS  # noqa: E402
from vivant.runtime.frames import Array  # noqa: E402

pytestmark = pytest.mark.torch
TINY = Widths(weave=16, half=16, quarter=16, eighth=16, sixteenth=16, style=8)


def worn(part: Part, rng: np.random.Generator) -> dict[str, Array]:
    """Adapters in both slots, at two scales."""
    sites = House(TINY).get_submodule(part).sites
    inputs, outputs = (sum(sizes) for sizes in zip(*sites.values(), strict=True))
    down, up = (
        0.2 * rng.standard_normal((SLOTS * RANK, size), dtype=np.float32) for size in (inputs, outputs)
    )
    return {"adapter_down": down, "adapter_up": up, "adapter_scale": np.array([[0.7, 0.3]], np.float32)}


def inputs_of(part: Part, height: int, width: int, seed: int = 0) -> dict[str, Array]:
    rng = np.random.default_rng(seed)
    inputs: dict[str, Array] = {"frame": rng.integers(0, 256, (1, height, width, 3), dtype=np.uint8)}
    if part == "encode":
        return inputs
    code = rng.standard_normal((1, 16, height // 8, width // 8), dtype=np.float32)
    guide = rng.random((1, 1, height // 2, width // 2), dtype=np.float32)
    style = np.eye(STYLES, dtype=np.float32)[seed % STYLES][None]
    if part == "denoise":
        own = {"code": code, "guide": guide, "sigma": np.full((1, 1), 0.25, np.float32), "style": style}
    else:
        planes = rng.integers(0, 256, (1, height // 2, width // 2, CHANNELS), dtype=np.uint8)
        own = {"code": code, "guide": guide, "planes": planes, "style": style}
    return own | worn(part, rng)


def in_torch(house: House, part: Part, inputs: dict[str, Array]) -> Any:  # one tensor or several
    module = house.get_submodule(part)
    given = [torch.from_numpy(value) for value in inputs.values()]
    return module(*given[:-3], Bank(*given[-3:])) if isinstance(module, Adapted) else module(*given)


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
            sigma, style = torch.full((1, 1), 0.25), torch.eye(STYLES)[seed % STYLES][None]
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
        calibrated = calibrate(folder / f"{part}.float.onnx", samples)
        quantize(calibrated, folder / f"{part}.int8.onnx")
        quantize(calibrated, folder / f"{part}.int8_symmetric.onnx", symmetric=True)
    return folder


@pytest.mark.parametrize("part", PARTS)
@pytest.mark.parametrize(("height", "width"), [(64, 64), (96, 128)])
def test_float_graphs_compute_what_the_network_computes(
    tiny: House, folder: Path, part: Part, height: int, width: int
) -> None:
    inputs = inputs_of(part, height, width)
    with torch.inference_mode():
        wanted = in_torch(tiny, part, inputs)
    made = run(folder / f"{part}.float.onnx", inputs)
    for one, other in zip(made, wanted if isinstance(wanted, tuple) else (wanted,), strict=True):
        assert one.shape == other.shape and str(one.dtype) in str(other.dtype)
        # two float32 libraries add in other orders; a picture may then round one step apart
        tolerance = 1 if one.dtype == np.uint8 else 1e-4
        np.testing.assert_allclose(one.astype(np.float32), other.float().numpy(), atol=tolerance)


@pytest.mark.parametrize("part", PARTS)
@pytest.mark.parametrize(("height", "width"), [(64, 64), (96, 128)])
@pytest.mark.parametrize("kind", ["int8", "int8_symmetric"])
def test_int8_graphs_stay_near_the_float_ones_at_every_size(
    folder: Path, part: Part, kind: str, height: int, width: int
) -> None:
    inputs = inputs_of(part, height, width, seed=9)
    plain, quantized = (run(folder / f"{part}.{each}.onnx", inputs) for each in ("float", kind))
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
@pytest.mark.parametrize("kind", ["int8", "int8_symmetric"])
def test_convolutions_are_int8_but_for_those_that_write_an_output(
    folder: Path, part: Part, kind: str
) -> None:
    types = weight_types(folder / f"{part}.{kind}.onnx")
    outputs = {output.name for output in onnx.load(folder / f"{part}.{kind}.onnx").graph.output}
    inner = [kinds for name, kinds in types.items() if name not in outputs]
    assert len(inner) >= 4 and all(kinds == {onnx.TensorProto.INT8} for kinds in inner)
    assert all(onnx.TensorProto.INT8 not in kinds for name, kinds in types.items() if name in outputs)


def test_bytes_go_in_and_out_without_a_float_round_trip(folder: Path) -> None:
    for part in ("encode", "decode"):
        kinds = {node.op_type for node in onnx.load(folder / f"{part}.int8.onnx").graph.node}
        assert not kinds & {"Cast", "Round", "Clip", "Sub"}


def test_a_picture_is_rounded_once_and_what_is_always_255_leaves_as_255(folder: Path, tmp_path: Path) -> None:
    graph = onnx.load(folder / "decode.int8.onnx").graph
    maker = {name: node for node in graph.node for name in node.output}
    node = maker["picture"]
    while node.op_type != "QuantizeLinear":
        node = maker[node.input[0]]
    assert maker[node.input[0]].op_type == "Conv"
    calibrated = calibrate(folder / "decode.float.onnx", [inputs_of("decode", 64, 64)])
    short = {name: (low, min(high, 254.4)) for name, (low, high) in calibrated.ranges.items()}
    quantize(replace(calibrated, ranges=short), tmp_path / "decode.onnx")
    picture = run(tmp_path / "decode.onnx", inputs_of("decode", 64, 64))[0]
    assert (picture[..., 3] == 255).all()


@pytest.mark.parametrize("part", PARTS)
def test_symmetric_graphs_have_signed_activations_and_no_zero_point(folder: Path, part: Part) -> None:
    graph = onnx.load(folder / f"{part}.int8_symmetric.onnx").graph
    constants = {i.name: onnx.numpy_helper.to_array(i) for i in graph.initializer}
    zeros = [constants[n.input[2]] for n in graph.node if n.op_type == "QuantizeLinear"]
    assert len(zeros) >= 4
    assert all(zero.dtype == np.int8 and not zero.any() for zero in zeros)


def test_only_the_named_convolutions_are_quantized(folder: Path, tmp_path: Path) -> None:
    plain = folder / "decode.float.onnx"
    names = [node.name for node in onnx.load(plain).graph.node if node.op_type == "Conv"]
    quantize(calibrate(plain, [inputs_of("decode", 64, 64)]), tmp_path / "decode.onnx", only=names[2:4])
    quantized = list(weight_types(tmp_path / "decode.onnx").values())
    assert len(quantized) == len(names)
    assert sum(kinds == {onnx.TensorProto.INT8} for kinds in quantized) == 2


@pytest.mark.parametrize("symmetric", [False, True])
def test_the_guide_is_not_rounded_nor_clipped_to_what_calibration_saw(
    folder: Path, tmp_path: Path, symmetric: bool
) -> None:
    plain, quantized = folder / "encode.float.onnx", tmp_path / "encode.onnx"
    dim = [{"frame": inputs_of("encode", 64, 64, seed)["frame"] // 2} for seed in range(3)]
    quantize(calibrate(plain, dim), quantized, symmetric)
    one, other = (run(path, inputs_of("encode", 64, 64))[1] for path in (plain, quantized))
    np.testing.assert_allclose(one, other, atol=1e-6)  # the same float32 convolution of the same bytes


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


def test_calibrating_without_samples_is_refused(folder: Path) -> None:
    with pytest.raises(QuantizeError, match=r"encode\.float\.onnx: no calibration samples"):
        calibrate(folder / "encode.float.onnx", [])


def test_ranges_are_averaged_within_a_group_and_joined_over_the_groups(folder: Path) -> None:
    greys = [{"frame": np.full((1, 64, 64, 3), grey, np.uint8)} for grey in (0, 64, 192, 255)]
    plain = folder / "encode.float.onnx"
    grey = next(name for name in calibrate(plain, greys).ranges if "Transpose" in name)

    def ends(groups: list[str] | None) -> tuple[float, float]:
        return calibrate(plain, greys, groups).ranges[grey]

    steps = [(grey - 128) / 255 for grey in (0, 64, 192, 255)]
    assert ends(None) == pytest.approx((np.mean(steps), np.mean(steps)), abs=1e-6)
    assert ends(["dim", "dim", "bright", "bright"]) == pytest.approx(
        (np.mean(steps[:2]), np.mean(steps[2:])), abs=1e-6
    )
    assert ends(["a", "b", "c", "d"]) == pytest.approx((steps[0], steps[3]), abs=1e-6)


def test_one_calibration_serves_both_kinds_of_graph_and_stays_as_it_is(folder: Path, tmp_path: Path) -> None:
    calibrated = calibrate(folder / "encode.float.onnx", [inputs_of("encode", 64, 64)])
    for symmetric in (False, True, False):
        quantize(calibrated, tmp_path / f"{symmetric}.onnx", symmetric)
        seen = (tmp_path / f"{symmetric}.onnx").read_bytes()
    quantize(calibrated, tmp_path / "again.onnx")
    assert (tmp_path / "again.onnx").read_bytes() == seen


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # the newer exporter needs onnxscript
def test_biases_take_back_what_rounding_weights_costs_in_the_mean(tmp_path: Path) -> None:
    """Inputs far from zero, one of them with a weight that makes all others coarse: without the correction
    the mean of the output is off by what the rounded weights lose."""
    rng = np.random.default_rng(3)
    layer = torch.nn.Conv2d(8, 4, 1)
    with torch.no_grad():
        layer.weight.copy_(torch.from_numpy(rng.normal(0, 0.02, (4, 8, 1, 1)).astype(np.float32)))
        layer.weight[:, 0] = 3.0
    network = torch.nn.Sequential(layer, torch.nn.ReLU(), torch.nn.Conv2d(4, 4, 1)).eval()
    samples = [{"x": 2 + 0.05 * rng.random((1, 8, 6, 6), dtype=np.float32)} for _ in range(4)]
    torch.onnx.export(
        network, (torch.from_numpy(samples[0]["x"]),), str(tmp_path / "f.onnx"), input_names=["x"],
        opset_version=17, dynamo=False,
    )  # fmt: skip
    calibrated = calibrate(tmp_path / "f.onnx", samples)
    quantize(calibrated, tmp_path / "corrected.onnx")
    still = {name: np.zeros_like(mean) for name, mean in calibrated.means.items()}
    quantize(replace(calibrated, means=still), tmp_path / "plain.onnx")
    wanted = run(tmp_path / "f.onnx", samples[0])[0]
    off = {
        kind: float(np.abs((run(tmp_path / f"{kind}.onnx", samples[0])[0] - wanted).mean((0, 2, 3))).max())
        for kind in ("corrected", "plain")
    }
    assert off["corrected"] < 0.4 * off["plain"], off
