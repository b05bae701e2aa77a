"""A UNet behind the contract: adapters as inputs equal fused ones, and every wiring equals diffusers."""

from __future__ import annotations

import copy
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs torch: pip install '.[distill]'")
pytest.importorskip("diffusers", reason="needs diffusers")
import tiny_diffusion as tiny  # noqa: E402
from tiny_diffusion import one_thread  # noqa: E402, F401  # an autouse fixture

from vivant.engines.contract import EngineError  # noqa: E402
from vivant.engines.diffusion.bank import Bank, Layout, change  # noqa: E402
from vivant.engines.diffusion.control import Control, add_image_prompt, residual_count  # noqa: E402
from vivant.engines.diffusion.steps import sigmas_of  # noqa: E402
from vivant.engines.diffusion.unet import (  # noqa: E402
    Denoise,
    all_sites,
    cost,
    set_image_scale,
)
from vivant.engines.diffusion.wiring import Wiring, guidance_embedding  # noqa: E402

pytestmark = pytest.mark.torch
SIGMAS = sigmas_of(tiny.SD)
SIGMA = 2.7


def clean_of(prediction: str, code: Any, out: Any, sigma: float) -> Any:
    root = math.sqrt(1 + sigma**2)
    return {
        "epsilon": code - sigma * out,
        "v_prediction": code / root**2 - out * sigma / root,
        "sample": out,
    }[prediction]


def plain(unet: Any, given: dict[str, Any], **more: Any) -> Any:
    """The network's own call, at the timestep of SIGMA."""
    time = torch.tensor([float(np.abs(np.log(SIGMAS) - math.log(SIGMA)).argmin())])
    code = given["code"] / math.sqrt(1 + SIGMA**2)
    return unet(code, time, given["prompt"], return_dict=False, **more)[0]


SHAPES: dict[str, dict[str, Any]] = {
    "SD 1.5": {},
    "SD 2.1": {"use_linear_projection": True, "attention_head_dim": (2, 4)},
    "SDXS": {"mid_block_type": None, "down_block_types": ("DownBlock2D", "CrossAttnDownBlock2D")},
}


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("prediction", ["epsilon", "v_prediction", "sample"])
def test_the_contract_is_the_network_in_k_diffusions_scale(prediction: Any, shape: str) -> None:
    unet = tiny.unet(**SHAPES[shape])
    model = Denoise(unet, SIGMAS, Wiring(prediction))
    given = tiny.tensors(model.names)
    made = model(*given.values())
    wanted = clean_of(prediction, given["code"], plain(unet, given), SIGMA)
    torch.testing.assert_close(made, wanted, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("kind", ["sd", "sdxl"])
def test_adapters_as_inputs_equal_fused_weights_in_linear_and_convolution_layers(kind: str) -> None:
    unet = tiny.unet(kind)
    layout = Layout(all_sites(unet), slots=2, rank=4)
    assert {site.taps for site in layout.sites} == {1, 9}
    pairs = [tiny.random_pairs(layout, rank, seed=rank) for rank in (4, 3)]
    scales = (0.7, 0.3)
    fused = copy.deepcopy(unet)
    for own, scale in zip(pairs, scales, strict=True):
        for name, pair in own.items():
            weight = fused.get_submodule(name).weight
            weight += scale * torch.from_numpy(change(pair)).reshape(weight.shape)
    wiring = Wiring(pooled=kind == "sdxl")
    model = Denoise(unet, SIGMAS, wiring, layout)
    bank = Bank(layout)
    for slot, own in enumerate(pairs):
        bank.hang(slot, layout.pack(own))
    bank.scale[0] = scales
    given = tiny.tensors(model.names, layout) | {k: torch.from_numpy(v) for k, v in bank.inputs().items()}
    made = model(*given.values())
    reference = Denoise(fused, SIGMAS, wiring)
    wanted = reference(*[given[name] for name in reference.names])
    bare = Denoise(tiny.unet(kind), SIGMAS, wiring)(*[given[name] for name in reference.names])
    effect = float((wanted - bare).abs().max())
    # float32 sums in another order, over the depth of the network
    assert effect > 0.1 and float((made - wanted).abs().max()) < 1e-4 * max(1.0, effect)
    bank.scale[:] = 0.0
    torch.testing.assert_close(model(*given.values()), bare, atol=1e-5, rtol=1e-5)


def test_a_swap_is_one_row_and_takes_effect_at_once() -> None:
    unet = tiny.unet()
    layout = Layout(all_sites(unet, attention_only=True), slots=1, rank=2)
    assert all(".attn" in site.name and site.taps == 1 for site in layout.sites)
    bank = Bank(layout)
    assert bank.adapters[0].flags.c_contiguous and bank.adapters.shape == (1, layout.width)
    model = Denoise(unet, SIGMAS, Wiring(), layout)
    given = tiny.tensors(model.names, layout) | {k: torch.from_numpy(v) for k, v in bank.inputs().items()}
    bank.scale[:] = 1.0
    seen = []
    for seed in (1, 2, 1):
        bank.hang(0, layout.pack(tiny.random_pairs(layout, 2, seed)))
        seen.append(model(*given.values()))
    assert float((seen[0] - seen[1]).abs().max()) > 0.01
    torch.testing.assert_close(seen[0], seen[2], atol=0.0, rtol=0.0)


def test_lcms_boundary_condition_is_that_of_its_scheduler() -> None:
    from diffusers import LCMScheduler

    unet = tiny.unet(time_cond_proj_dim=12)
    model = Denoise(unet, SIGMAS, Wiring(boundary=10.0, guidance=True))
    given = tiny.tensors(model.names) | {"sigma": torch.tensor([[float(SIGMAS[19])]])}
    made = model(*given.values())
    x = given["code"] / math.sqrt(1 + SIGMAS[19] ** 2)
    time = torch.tensor([19.0])
    out = unet(x, time, given["prompt"], timestep_cond=given["guidance"], return_dict=False)[0]
    scheduler = LCMScheduler(**tiny.SD)
    scheduler.set_timesteps(timesteps=[19])
    wanted = scheduler.step(out, scheduler.timesteps[0], x, return_dict=False)[1]
    torch.testing.assert_close(made, wanted, atol=2e-5, rtol=1e-4)


def test_the_guidance_embedding_is_that_of_diffusers() -> None:
    from diffusers import LatentConsistencyModelPipeline

    embed = LatentConsistencyModelPipeline.get_guidance_scale_embedding
    wanted = embed(None, torch.tensor([7.5 - 1]), embedding_dim=256)
    np.testing.assert_allclose(guidance_embedding(7.5, 256), wanted.numpy(), atol=2e-3)  # sines of up to 6500


def test_negative_prompts_guide_as_diffusers_does() -> None:
    unet = tiny.unet("sdxl")
    model = Denoise(unet, SIGMAS, Wiring(pooled=True, negative=True))
    given = tiny.tensors(model.names)
    made = model(*given.values())
    ids = {"time_ids": given["size_ids"]}
    out = [
        plain(unet, given | {"prompt": given[p]}, added_cond_kwargs={"text_embeds": given[q], **ids})
        for p, q in (("negative", "negative_pooled"), ("prompt", "pooled"))
    ]
    wanted = clean_of("epsilon", given["code"], out[0] + 1.8 * (out[1] - out[0]), SIGMA)
    torch.testing.assert_close(made, wanted, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("kind", ["sd", "sdxl"])
def test_controlnet_fused_and_as_its_own_engine_are_diffusers_own(kind: str) -> None:
    unet = tiny.unet(kind)
    net = tiny.controlnet(unet)
    pooled = kind == "sdxl"
    fused = Denoise(unet, SIGMAS, Wiring(pooled=pooled, control="fused"), controlnet=net)
    given = tiny.tensors(fused.names)
    time = torch.tensor([float(np.abs(np.log(SIGMAS) - math.log(SIGMA)).argmin())])
    added = {"text_embeds": given["pooled"], "time_ids": given["size_ids"]} if pooled else None
    x = given["code"] / math.sqrt(1 + SIGMA**2)
    down, middle = net(
        x, time, given["prompt"], given["control"], 0.7, added_cond_kwargs=added, return_dict=False
    )
    out = plain(
        unet,
        given,
        added_cond_kwargs=added,
        down_block_additional_residuals=down,
        mid_block_additional_residual=middle,
    )
    wanted = clean_of("epsilon", given["code"], out, SIGMA)
    torch.testing.assert_close(fused(*given.values()), wanted, atol=1e-4, rtol=1e-4)

    count = residual_count(net)
    own = Control(net, SIGMAS, pooled)
    residuals = own(*[given[name] for name in own.names])
    assert len(residuals) == count == len(down) + 1
    beside = Denoise(unet, SIGMAS, Wiring(pooled=pooled, control="residuals", residuals=count))
    given |= {f"residual_{i:02d}": residual for i, residual in enumerate(residuals)}
    torch.testing.assert_close(beside(*[given[n] for n in beside.names]), wanted, atol=1e-4, rtol=1e-4)
    assert (
        float(
            (wanted - clean_of("epsilon", given["code"], plain(unet, given, added_cond_kwargs=added), SIGMA))
            .abs()
            .max()
        )
        > 0.01
    )


def test_image_prompts_are_those_of_diffusers(tmp_path: Path) -> None:
    unet = tiny.unet()
    add_image_prompt(unet, tiny.write_image_prompt(tmp_path / "ip.safetensors", unet))
    model = Denoise(unet, SIGMAS, Wiring(image=True))
    given = tiny.tensors(model.names)
    made = model(*given.values())
    set_image_scale(unet, 0.6)
    wanted = clean_of(
        "epsilon",
        given["code"],
        plain(unet, given, added_cond_kwargs={"image_embeds": [given["image"]]}),
        SIGMA,
    )
    torch.testing.assert_close(made, wanted, atol=1e-5, rtol=1e-5)
    other = model(*(given | {"image_scale": torch.zeros(1, 1)}).values())
    assert float((other - made).abs().max()) > 1e-3


def test_a_file_that_is_no_image_prompt_is_refused(tmp_path: Path) -> None:
    from safetensors.torch import save_file

    save_file({"other.weight": torch.zeros(2)}, tmp_path / "x.safetensors")
    with pytest.raises(EngineError, match=r"no IP-Adapter: it holds other\.weight"):
        add_image_prompt(tiny.unet(), tmp_path / "x.safetensors")
    save_file(
        {"image_proj.latents": torch.zeros(2), "ip_adapter.1": torch.zeros(2)}, tmp_path / "x.safetensors"
    )
    with pytest.raises(EngineError, match="IP-Adapter Plus or FaceID"):
        add_image_prompt(tiny.unet(), tmp_path / "x.safetensors")


def test_two_slots_of_rank_16_cost_less_than_12_percent_of_sd_15() -> None:
    from diffusers import UNet2DConditionModel

    with torch.device("meta"):
        unet = UNet2DConditionModel(sample_size=64, cross_attention_dim=768, attention_head_dim=8)
        given = torch.zeros(1, 4, 64, 64), torch.zeros(1), torch.zeros(1, 77, 768)
        one, two = (cost(unet, all_sites(unet), rank, lambda: unet(*given)) for rank in (16, 32))
    assert 330e9 < one.base < 345e9  # 512x512, without the products of attention itself
    assert one.share < 0.04 and two.share < 0.08
