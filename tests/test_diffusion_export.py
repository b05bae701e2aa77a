"""The three graphs of a diffusion student give what the networks give, in float and in INT8."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs torch: pip install '.[distill]'")
pytest.importorskip("diffusers", reason="needs diffusers")
onnx = pytest.importorskip("onnx", reason="needs onnx: pip install '.[distill]'")
import tiny_diffusion as tiny  # noqa: E402
from tiny_diffusion import one_thread  # noqa: E402, F401  # an autouse fixture

from vivant.engines.contract import EngineError  # noqa: E402
from vivant.engines.diffusion.bank import Layout  # noqa: E402
from vivant.engines.diffusion.export import (  # noqa: E402
    Decode,
    Encode,
    parity,
    store_half,
    write_graph,
)
from vivant.engines.diffusion.int8 import write_int8  # noqa: E402
from vivant.engines.diffusion.noise import noise  # noqa: E402
from vivant.engines.diffusion.steps import ADVANCE, Sampler, img2img, schedule, sigmas_of  # noqa: E402
from vivant.engines.diffusion.unet import Denoise, all_sites  # noqa: E402
from vivant.engines.diffusion.wiring import Wiring  # noqa: E402
from vivant.engines.quantize import data_file  # noqa: E402

pytestmark = pytest.mark.torch
SIGMAS = sigmas_of(tiny.SD)


def frames(side: int) -> Any:
    rng = np.random.default_rng(side)
    return torch.from_numpy(rng.integers(0, 256, (1, side, side, 3), dtype=np.uint8))


def adapted(kind: str, wiring: Wiring) -> tuple[Denoise, Layout]:
    unet = tiny.unet(kind)
    layout = Layout(all_sites(unet), slots=2, rank=4)
    return Denoise(unet, SIGMAS, wiring, layout), layout


@pytest.mark.parametrize("vae", [tiny.taesd, tiny.kl])
def test_encode_and_decode_graphs_are_the_autoencoder(vae: Any, tmp_path: Path) -> None:
    model = vae()
    encode, decode = Encode(model), Decode(model)
    write_graph(encode, {"frame": frames(64)}, encode.outputs, tmp_path / "encode.onnx")
    with torch.inference_mode():
        code = encode(frames(96))  # another size than the traced one
        picture = decode(code)
    assert code.shape == (1, 4, 12, 12) and picture.shape == (1, 96, 96, 4) and picture.dtype == torch.uint8
    assert (picture[..., 3] == 255).all() and float(picture[..., :3].float().std()) > 1
    found = parity(tmp_path / "encode.onnx", {"frame": frames(96).numpy()}, code.numpy())
    assert found.psnr_db > 100  # measured: 156
    write_graph(decode, {"code": torch.randn(1, 4, 8, 8)}, decode.outputs, tmp_path / "decode.onnx")
    found = parity(tmp_path / "decode.onnx", {"code": code.numpy()}, picture.numpy())
    assert found.most <= 1  # a value between two bytes may round either way


def test_codes_are_those_of_the_pipelines_of_diffusers() -> None:
    model = tiny.kl()
    x = frames(64).permute(0, 3, 1, 2).float() / 127.5 - 1
    wanted = model.encode(x).latent_dist.mode() * model.config.scaling_factor
    torch.testing.assert_close(Encode(model)(frames(64)), wanted, atol=1e-5, rtol=1e-5)
    back = ((model.decode(wanted / model.config.scaling_factor).sample / 2 + 0.5).clamp(0, 1) * 255).round()
    made = Decode(model)(wanted)[..., :3].permute(0, 3, 1, 2)
    assert float((made.float() - back).abs().max()) <= 1


@pytest.mark.parametrize(
    ("kind", "wiring"),
    [
        ("sd", Wiring()),
        ("sd", Wiring("v_prediction", boundary=10.0)),
        ("sdxl", Wiring(pooled=True, negative=True)),
    ],
)
def test_denoise_graphs_are_the_network_at_every_size(kind: str, wiring: Wiring, tmp_path: Path) -> None:
    model, layout = adapted(kind, wiring)
    write_graph(model, tiny.tensors(model.names, layout), ("denoised",), tmp_path / "denoise.onnx")
    given = tiny.tensors(model.names, layout, side=12, seed=7) | {"sigma": torch.tensor([[0.4]])}
    with torch.inference_mode():
        wanted = model(*given.values())
    found = parity(tmp_path / "denoise.onnx", tiny.as_arrays(given), wanted.numpy())
    assert found.psnr_db > 100  # measured: 140 to 144


def test_an_input_that_the_network_does_not_use_is_refused(tmp_path: Path) -> None:
    class Half(torch.nn.Module):
        def forward(self, code: Any, unused: Any) -> Any:
            return code * 2

    given = {"code": torch.zeros(1, 4, 8, 8), "pooled": torch.zeros(1, 4)}
    with pytest.raises(EngineError, match="does not use pooled"):
        write_graph(Half(), given, ("denoised",), tmp_path / "x.onnx")


def test_weights_that_a_protobuf_cannot_hold_go_to_one_file_beside_it(tmp_path: Path) -> None:
    decode, code = Decode(tiny.taesd()), torch.randn(1, 4, 8, 8)
    path = tmp_path / "decode.onnx"
    with torch.inference_mode():
        wanted = decode(code).numpy()
    for _ in range(2):  # twice: nothing is left behind of the first
        write_graph(decode, {"code": code}, decode.outputs, path, whole_bytes=1000)
    assert {each.name for each in tmp_path.iterdir()} == {"decode.onnx", "decode.onnx.data"}
    assert path.stat().st_size < data_file(path).stat().st_size
    assert parity(path, {"code": code.numpy()}, wanted).most <= 1
    write_int8(path, [{"code": code.numpy()}], tmp_path / "decode.int8.onnx")
    assert parity(tmp_path / "decode.int8.onnx", {"code": code.numpy()}, wanted).psnr_db > 30


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # diffusers and numpy 2
@pytest.mark.parametrize("count", [1, 2, 3, 4])
def test_graphs_in_the_loop_are_a_pipeline_of_diffusers(count: int, graphs: Path) -> None:
    """All parts through onnxruntime, against UNet and scheduler of diffusers from the same code and noise."""
    import onnxruntime
    from diffusers import EulerDiscreteScheduler

    unet = tiny.unet()
    session = onnxruntime.InferenceSession(graphs / "denoise.float.onnx", providers=["CPUExecutionProvider"])
    model = Denoise(unet, SIGMAS, Wiring(), Layout(all_sites(unet), 2, 4))
    fixed = tiny.as_arrays(tiny.tensors(model.names, Layout(all_sites(unet), 2, 4)))
    fixed["adapter_scale"][:] = 0

    def run(x: Any, sigma: float) -> Any:
        given = fixed | {"code": x, "sigma": np.array([[sigma]], np.float32)}
        return session.run(None, given)[0]

    clean, first = noise(1, (1, 4, 8, 8)), noise(2, (1, 4, 8, 8))
    steps = schedule(Sampler("euler"), SIGMAS, count, strength=0.5)
    made = img2img(run, clean, steps, ADVANCE["euler"], lambda i: first)
    scheduler = EulerDiscreteScheduler(**tiny.SD, timestep_spacing="trailing")
    scheduler.set_timesteps(2 * count)
    scheduler.set_begin_index(count)
    bare = tiny.unet()
    x = scheduler.add_noise(torch.from_numpy(clean), torch.from_numpy(first), scheduler.timesteps[count:][:1])
    with torch.inference_mode():
        for time in scheduler.timesteps[count:]:
            out = bare(
                scheduler.scale_model_input(x, time),
                time,
                torch.from_numpy(fixed["prompt"]),
                return_dict=False,
            )[0]
            x = scheduler.step(out, time, x, return_dict=False)[0]
    np.testing.assert_allclose(made, x.numpy(), atol=1e-4 * max(1.0, float(x.abs().max())))


@pytest.fixture(scope="module")
def graphs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("graphs")
    model, layout = adapted("sd", Wiring())
    write_graph(model, tiny.tensors(model.names, layout), ("denoised",), folder / "denoise.float.onnx")
    return folder


def test_weights_may_be_stored_in_half_the_bytes_and_are_computed_with_as_before(tmp_path: Path) -> None:
    unet = tiny.unet().half().float()  # a model that came in half precision
    model = Denoise(unet, sigmas_of(tiny.SD), Wiring())
    given = tiny.tensors(model.names)
    whole, half = tmp_path / "whole.onnx", tmp_path / "half.onnx"
    write_graph(model, given, ("denoised",), whole)
    write_graph(model, given, ("denoised",), half, half=True)
    assert half.stat().st_size < 0.7 * whole.stat().st_size  # small tensors stay
    with torch.inference_mode():
        wanted = model(*given.values()).numpy()
    assert parity(half, tiny.as_arrays(given), wanted).psnr_db > 100
    graph = onnx.load(half)
    assert all(np.isfinite(onnx.numpy_helper.to_array(one)).all() for one in graph.graph.initializer)


def test_weights_beyond_half_precision_stay_whole() -> None:
    big = np.full((64, 64), 1e6, np.float32)
    graph = onnx.helper.make_graph(
        [onnx.helper.make_node("MatMul", ["x", "w"], ["y"])],
        "big",
        [onnx.helper.make_tensor_value_info("x", 1, [1, 64])],
        [onnx.helper.make_tensor_value_info("y", 1, [1, 64])],
        [onnx.numpy_helper.from_array(big, "w")],
    )
    assert store_half(onnx.helper.make_model(graph)) == 0
