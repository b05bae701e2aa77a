"""ControlNets and image prompts survive export, fused and as an engine of their own."""

from __future__ import annotations

from pathlib import Path

import pytest

torch = pytest.importorskip("torch", reason="needs torch: pip install '.[distill]'")
pytest.importorskip("diffusers", reason="needs diffusers")
pytest.importorskip("onnx", reason="needs onnx: pip install '.[distill]'")
import tiny_diffusion as tiny  # noqa: E402
from tiny_diffusion import one_thread  # noqa: E402, F401  # an autouse fixture

from vivant.engines.diffusion.control import Control, add_image_prompt, residual_count  # noqa: E402
from vivant.engines.diffusion.export import parity, write_graph  # noqa: E402
from vivant.engines.diffusion.steps import sigmas_of  # noqa: E402
from vivant.engines.diffusion.unet import Denoise  # noqa: E402
from vivant.engines.diffusion.wiring import Wiring  # noqa: E402

pytestmark = pytest.mark.torch
SIGMAS = sigmas_of(tiny.SD)


def test_controlnet_and_image_prompt_graphs_are_the_networks(tmp_path: Path) -> None:
    unet = tiny.unet()
    net = tiny.controlnet(unet)
    add_image_prompt(unet, tiny.write_image_prompt(tmp_path / "ip.safetensors", unet))
    own = Control(net, SIGMAS)
    count = residual_count(net)
    names = tuple(f"residual_{i:02d}" for i in range(count))
    given = tiny.tensors(own.names)
    write_graph(own, given, names, tmp_path / "control.onnx")
    with torch.inference_mode():
        residuals = own(*given.values())
    for index, residual in enumerate(residuals):
        found = parity(tmp_path / "control.onnx", tiny.as_arrays(given), residual.numpy(), index)
        assert found.psnr_db > 100  # measured: 139
    model = Denoise(unet, SIGMAS, Wiring(image=True, control="residuals", residuals=count))
    more = tiny.tensors(model.names) | dict(zip(names, residuals, strict=True))
    more = {name: more[name].clone() for name in model.names}
    write_graph(model, more, ("denoised",), tmp_path / "denoise.onnx")
    more["image_scale"] = torch.tensor([[0.3]])
    with torch.inference_mode():
        wanted = model(*more.values())
    found = parity(tmp_path / "denoise.onnx", tiny.as_arrays(more), wanted.numpy())
    assert found.psnr_db > 100  # measured: 140 to 144
    fused = Denoise(unet, SIGMAS, Wiring(image=True, control="fused"), controlnet=net)
    both = tiny.tensors(fused.names)
    write_graph(fused, both, ("denoised",), tmp_path / "fused.onnx")
    with torch.inference_mode():
        wanted = fused(*both.values())
    found = parity(tmp_path / "fused.onnx", tiny.as_arrays(both), wanted.numpy())
    assert found.psnr_db > 100  # measured: 140 to 144
