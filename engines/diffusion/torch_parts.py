"""A diffusion student's parts as torch runs them, without graphs: from its weights, and of random ones.

The networks run in half precision, what is around them in float32: at the first sigmas a code is more than
ten times a denoised one, and their difference wants more than eleven bits. Needs torch and diffusers.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib import import_module
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, cast

import torch
from torch import Tensor, nn

from vivant.engines.card import CardFile, card_file
from vivant.engines.contract import PARTS, EngineError, GraphSource, Part
from vivant.engines.diffusion.control import Control, hang_image_prompt
from vivant.engines.diffusion.export import Decode, Encode
from vivant.engines.diffusion.facts import Facts, PromptFacts, SamplerFacts
from vivant.engines.diffusion.unet import Denoise
from vivant.engines.diffusion.weights import read_image_prompt, read_network
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
NEEDED: Final[Mapping[Part, tuple[str, ...]]] = MappingProxyType(
    {"encode": ("vae",), "denoise": ("unet",), "decode": ("vae",), "control": ("controlnet",)}
)
NAMES: Final = {torch.float32: "f32", torch.float16: "f16", torch.bfloat16: "bf16"}


@dataclass(frozen=True, slots=True)
class Networks:
    """A UNet, an autoencoder and a ControlNet of diffusers, on one device; those that a part needs."""

    unet: Any = None  # diffusers has no types
    vae: Any = None
    controlnet: Any = None


def load_part(
    source: GraphSource, size_px: tuple[int, int], device: torch.device, dtype: torch.dtype
) -> TorchEngine:
    """One part of a student with its own weights, laid out for `device`. Raises EngineError for weights that
    are not there, not the card's or do not fit."""
    card, facts = source.card, source.card.diffusion
    path = source.folder / card.weights.file
    check(source.folder, card.weights, path.stat().st_mtime_ns if path.exists() else 0)
    fused = source.part == "denoise" and facts.control == "fused"
    wanted = (*NEEDED[source.part], *(["controlnet"] * fused))
    held = {name: read_network(path, name, device, dtype) for name in wanted}
    if "unet" in held and facts.image is not None:
        hang_image_prompt(held["unet"], read_image_prompt(path), path)
        held["unet"].to(device, dtype)
    if "vae" in held and dtype == torch.float16 and facts.prompt.pooled and held["vae"].config.force_upcast:
        held["vae"].float()  # SDXL's own autoencoder does not keep to float16's range
    module = module_of(source.part, Networks(**held), facts)
    return engine_of(source.part, module, facts, size_px, card.name)


@lru_cache(maxsize=4)
def check(folder: Path, file: CardFile, changed_ns: int) -> None:
    """Raises EngineError unless a student's weights are those of its card. Once for all of its parts, and
    again when the file was changed."""
    path = folder / file.file
    found = card_file(path).sha256 if path.is_file() else "nothing"
    if found != file.sha256:
        raise EngineError(
            f"{path} has sha256 {found[:12]}..., but the card says {file.sha256[:12]}...: the file is "
            "missing, was changed or copied in part. Copy the whole student folder again."
        )


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
    """Encode, denoise and decode at `size_px` (width, height), and control where the facts say so.
    `made_faster` may compile the UNet. Raises EngineError for a size that does not fit."""
    parts: tuple[Part, ...] = (*PARTS, "control") if facts.control == "residuals" else PARTS
    return {
        part: engine_of(part, module_of(part, networks, facts, made_faster), facts, size_px, "random")
        for part in parts
    }


def module_of(
    part: Part,
    networks: Networks,
    facts: Facts,
    made_faster: Callable[[nn.Module], nn.Module] = lambda network: network,
) -> nn.Module:
    """One part, of networks that keep their device and precision."""
    if part in ("encode", "decode"):
        vae = laid_out(networks.vae)
        own = cast(nn.Module, AutoencoderInHalf(vae, networks.vae.dtype))
        return Encode(own) if part == "encode" else Decode(own)
    if part == "control":
        own = in_own_precision(laid_out(networks.controlnet))
        return Control(own, facts.sigmas, facts.wiring.pooled).to(networks.controlnet.device)
    unet = in_own_precision(made_faster(laid_out(networks.unet)), networks.unet.dtype)
    steering = in_own_precision(laid_out(networks.controlnet)) if facts.control == "fused" else None
    layout = facts.adapters.layout if facts.adapters is not None else None
    return Denoise(unet, facts.sigmas, facts.wiring, layout, steering).to(networks.unet.device)


def engine_of(
    part: Part, module: nn.Module, facts: Facts, size_px: tuple[int, int], name: str
) -> TorchEngine:
    """What runs a part at `size_px`; adapters are taken in its weights' precision."""
    own = next(module.parameters())
    specs = facts.specs(part, size_px)
    held = {"adapters": own.dtype} if part == "denoise" and facts.adapters is not None else {}
    return TorchEngine(module, specs, f"{name}.{part}", own.device, NAMES[own.dtype], dtypes=held)


def in_own_precision(network: nn.Module, dtype: torch.dtype | None = None) -> nn.Module:
    """A network of diffusers that may be given float32 and runs in its weights' precision; what it predicts
    is float32 again. Time stays as it is: half precision does not hold a thousand timesteps."""
    kind = dtype or next(network.parameters()).dtype

    def cast_in(module: nn.Module, given: tuple[Any, ...], more: dict[str, Any]) -> Any:
        x, timestep, *rest = given
        return (_cast(x, kind), timestep, *_cast(rest, kind)), _cast(more, kind)

    def cast_out(module: nn.Module, given: tuple[Any, ...], made: Any) -> Any:
        return _cast(made, torch.float32)

    if kind != torch.float32:
        network.register_forward_pre_hook(cast_in, with_kwargs=True)
        network.register_forward_hook(cast_out)
    return network


def _cast(value: Any, dtype: torch.dtype) -> Any:
    """Every number in a nest of tensors; SDXL's size numbers are numbers of pixels, and stay."""
    if isinstance(value, Tensor):
        return value.to(dtype) if value.is_floating_point() else value
    if isinstance(value, dict):
        return {name: one if name == "time_ids" else _cast(one, dtype) for name, one in value.items()}
    return type(value)(_cast(one, dtype) for one in value) if isinstance(value, list | tuple) else value


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
