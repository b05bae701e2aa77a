"""INT8 graphs of diffusion students: near the float ones, with the adapters' effect, attention left alone."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs torch: pip install '.[distill]'")
pytest.importorskip("diffusers", reason="needs diffusers")
onnx = pytest.importorskip("onnx", reason="needs onnx: pip install '.[distill]'")
import onnxruntime  # noqa: E402
import tiny_diffusion as tiny  # noqa: E402
from tiny_diffusion import one_thread  # noqa: E402, F401  # an autouse fixture

from vivant.engines.diffusion.bank import Layout  # noqa: E402
from vivant.engines.diffusion.export import Decode, Encode, compared, write_graph  # noqa: E402
from vivant.engines.diffusion.int8 import base_layers, write_int8  # noqa: E402
from vivant.engines.diffusion.steps import sigmas_of  # noqa: E402
from vivant.engines.diffusion.unet import Denoise, all_sites  # noqa: E402
from vivant.engines.diffusion.wiring import Wiring  # noqa: E402

pytestmark = pytest.mark.torch
SIGMA_OF = (14.0, 4.0, 1.5, 0.6)
SCALES = (0.0, 0.5, 1.0)
Inputs = dict[str, Any]


@cache
def session(path: Path) -> Any:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])


def run(path: Path, inputs: Inputs) -> Any:
    return session(path).run(None, inputs)[0]


def sample(model: Denoise, layout: Layout, index: int) -> Inputs:
    """Sigma and the adapters' scale in turn."""
    given = tiny.tensors(model.names, layout, seed=index)
    given["sigma"] = torch.tensor([[SIGMA_OF[index % 4]]])
    given["code"] = torch.randn(1, 4, 8, 8) * float((1 + given["sigma"] ** 2).sqrt())
    given["adapter_scale"] *= SCALES[index % 3]
    return tiny.as_arrays(given)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Denoise, Layout, Path]:
    unet = tiny.unet()
    layout = Layout(all_sites(unet), slots=2, rank=4)
    model = Denoise(unet, sigmas_of(tiny.SD), Wiring(), layout)
    folder = tmp_path_factory.mktemp("int8")
    write_graph(model, tiny.tensors(model.names, layout), ("denoised",), folder / "float.onnx")
    samples = [sample(model, layout, i) for i in range(12)]
    groups = [f"{i % 4} {i % 3}" for i in range(12)]
    assert write_int8(folder / "float.onnx", samples, folder / "int8.onnx", groups=groups) > 60
    return model, layout, folder


@pytest.mark.parametrize("index", range(16, 22))
def test_denoise_in_int8_stays_near_the_float_graph_and_keeps_what_adapters_do(
    made: tuple[Denoise, Layout, Path], index: int
) -> None:
    model, layout, folder = made
    inputs = sample(model, layout, index)
    plain, rounded = (run(folder / f"{kind}.onnx", inputs) for kind in ("float", "int8"))
    assert compared(rounded, plain).psnr_db > 33  # measured: 39 to 46
    bare = inputs | {"adapter_scale": np.zeros_like(inputs["adapter_scale"])}
    effect = plain - run(folder / "float.onnx", bare)
    kept = rounded - run(folder / "int8.onnx", bare)
    if SCALES[index % 3] > 0:
        assert np.abs(kept - effect).mean() < 0.2 * np.abs(effect).mean()  # measured: 0.07 to 0.14


def test_openvino_runs_both_graphs_with_adapters(made: tuple[Denoise, Layout, Path]) -> None:
    import openvino

    model, layout, folder = made
    inputs = sample(model, layout, 19)
    core = openvino.Core()
    plain = run(folder / "float.onnx", inputs)
    for kind, least_db in (("float", 100), ("int8", 33)):  # measured: 139 and 46
        graph = core.read_model(folder / f"{kind}.onnx")
        graph.reshape({name: value.shape for name, value in inputs.items()})
        compiled = core.compile_model(graph, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
        found = compared(compiled(inputs)[0], plain)
        assert found.psnr_db > least_db


def test_adapters_attention_and_the_embedding_of_time_stay_in_float(
    made: tuple[Denoise, Layout, Path],
) -> None:
    graph = onnx.load(made[2] / "int8.onnx").graph
    rounded = {node.output[0] for node in graph.node if node.op_type == "DequantizeLinear"}
    layers = [n for n in graph.node if n.op_type in ("Conv", "MatMul", "Gemm") and n.input[1] in rounded]
    assert not any("time_emb" in n.name or "conv_in" in n.name or "conv_out" in n.name for n in layers)
    assert all(
        any(a.name == "group" and a.i == 1 for a in n.attribute) for n in layers if n.op_type == "Conv"
    )
    low = [n for n in graph.node if n.op_type == "Softmax"]
    assert low and not any(set(n.input) & rounded for n in low)
    assert len(layers) == len(base_layers(onnx.load(made[2] / "float.onnx")))


@pytest.mark.parametrize("symmetric", [False, True])
def test_encode_and_decode_in_int8_stay_near_the_float_graphs(tmp_path: Path, symmetric: bool) -> None:
    vae = tiny.taesd()
    encode, decode = Encode(vae), Decode(vae)
    rng = np.random.default_rng(1)
    frames = [rng.integers(0, 256, (1, 64, 64, 3), dtype=np.uint8) for _ in range(4)]
    with torch.inference_mode():
        codes = [encode(torch.from_numpy(frame)).numpy() for frame in frames]
    cases = (("encode", encode, "frame", frames), ("decode", decode, "code", codes))
    for part, module, name, values in cases:
        plain, int8 = tmp_path / f"{part}.onnx", tmp_path / f"{part}.int8.onnx"
        write_graph(module, {name: torch.from_numpy(values[0])}, module.outputs, plain)
        write_int8(plain, [{name: value} for value in values[:3]], int8, symmetric)
        one, other = (run(path, {name: values[3]}) for path in (plain, int8))
        assert compared(other, one).psnr_db > 50 and one.dtype == other.dtype  # 62 to 66
