"""A diffusion student's three parts as torch runs them, without graphs: for GPUs, and for measuring.

The networks run in half precision, what is around them in float32: at the first sigmas a code is more than
ten times a denoised one, and their difference wants more than eleven bits. Needs torch and diffusers.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import Any, Final, cast

import torch
from torch import Tensor, nn

from vivant.engines.contract import Part
from vivant.engines.diffusion.export import Decode, Encode
from vivant.engines.diffusion.facts import Facts, PromptFacts, SamplerFacts
from vivant.engines.diffusion.unet import Denoise
from vivant.engines.torch_backend import TorchEngine, laid_out

SD_TURBO: Final[dict[str, Any]] = {
    "sample_size": 64,
    "block_out_channels": (320, 640, 1280, 1280),
    "attention_head_dim": (5, 10, 20, 20),
    "cross_attention_dim": 1024,
    "use_linear_projection": True,
}
"""The shape of SD-Turbo's UNet, which is Stable Diffusion 2.1's: 866 million parameters."""
SD_NOISE: Final[dict[str, Any]] = {
    "num_train_timesteps": 1000,
    "beta_start": 0.00085,
    "beta_end": 0.012,
    "beta_schedule": "scaled_linear",
}
NAMES: Final = {torch.float32: "f32", torch.float16: "f16", torch.bfloat16: "bf16"}


@dataclass(frozen=True, slots=True)
class Networks:
    """A UNet and an autoencoder of diffusers, on one device."""

    unet: Any  # diffusers has no types
    vae: Any


def random_networks(
    device: torch.device, dtype: torch.dtype, shape: dict[str, Any] | None = None, **tiny: Any
) -> Networks:
    """A UNet of `shape` (None: SD-Turbo's) and TAESD with random weights: what a network costs does not
    depend on what it knows. `tiny` are other sizes for TAESD."""
    diffusers: Any = import_module("diffusers")
    torch.manual_seed(1)
    with torch.device(device):
        unet = diffusers.UNet2DConditionModel(**(shape or SD_TURBO)).to(dtype)
        vae = diffusers.AutoencoderTiny(**tiny).to(dtype)
    return Networks(*(one.eval().requires_grad_(False) for one in (unet, vae)))


def random_facts(networks: Networks, size: int, tokens: int = 77) -> Facts:
    """What a card would say of random networks: one step of Euler's method, prompts of one encoder."""
    widths = networks.unet.config.block_out_channels
    return Facts(
        prediction="epsilon",
        sampler=SamplerFacts(kind="euler", noise=SD_NOISE),
        prompt=PromptFacts(tokens=tokens, width=networks.unet.config.cross_attention_dim, encoders=""),
        size_multiple=8 * 2 ** (len(widths) - 1),
        default_size=size,
        base="random",
    )


def torch_parts(
    networks: Networks,
    facts: Facts,
    size_px: tuple[int, int],
    made_faster: Callable[[nn.Module], nn.Module] = lambda network: network,
) -> dict[Part, TorchEngine]:
    """Encode, denoise and decode at `size_px` (width, height). `made_faster` may compile the UNet. Raises
    EngineError for a size that does not fit."""
    device, dtype = networks.unet.device, networks.unet.dtype
    laid_out(networks.vae)
    unet = made_faster(laid_out(networks.unet))
    denoise = Denoise(InHalf(unet, dtype), facts.sigmas, facts.wiring).to(device)
    vae = cast(nn.Module, AutoencoderInHalf(networks.vae, dtype))
    modules: dict[Part, nn.Module] = {"encode": Encode(vae), "denoise": denoise, "decode": Decode(vae)}
    return {
        part: TorchEngine(module, facts.specs(part, size_px), f"random.{part}", device, NAMES[dtype])
        for part, module in modules.items()
    }


class InHalf(nn.Module):
    """A UNet that is given float32 and gives float32, and runs in its weights' precision."""

    def __init__(self, unet: nn.Module, dtype: torch.dtype) -> None:
        super().__init__()
        self.unet, self._dtype = unet, dtype

    def forward(self, x: Tensor, timestep: Tensor, prompt: Tensor, **more: Any) -> tuple[Tensor]:
        made = self.unet(x.to(self._dtype), timestep, prompt.to(self._dtype), **self._cast(more))
        return (made[0].float(),)

    def _cast(self, value: Any) -> Any:
        if isinstance(value, Tensor):
            return value.to(self._dtype) if value.is_floating_point() else value
        if isinstance(value, dict):
            return {name: self._cast(one) for name, one in value.items()}
        return type(value)(self._cast(one) for one in value) if isinstance(value, list | tuple) else value


class AutoencoderInHalf(nn.Module):
    """An autoencoder that is given float32, and runs in its weights' precision."""

    def __init__(self, vae: Any, dtype: torch.dtype) -> None:
        super().__init__()
        self.vae, self._dtype = vae, dtype
        self.config = vae.config

    def encode(self, x: Tensor) -> Any:
        return self.vae.encode(x.to(self._dtype))

    def decode(self, code: Tensor) -> Any:
        return self.vae.decode(code.to(self._dtype))
