"""Pictures that steer a diffusion student: ControlNet residuals from an engine of their own, and image
prompts (IP-Adapter). Needs torch and diffusers."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from vivant.engines.contract import EngineError
from vivant.engines.diffusion.lora import opened


class Control(nn.Module):
    """A ControlNet as an engine beside the UNet's: the inputs of Denoise that it needs, `control`
    (1, 3, H, W) in [0, 1] and `control_scale` (1, 1) -> residual_00 ..., the last one of the middle block.

    Run once a frame and step, or less often: a residual that is a few frames old steers as well.
    """

    levels: Tensor

    def __init__(self, controlnet: nn.Module, sigmas: NDArray[np.float64], pooled: bool = False) -> None:
        super().__init__()
        self.controlnet = controlnet
        self.pooled = pooled
        self.names = ("code", "sigma", "prompt", *["pooled", "size_ids"] * pooled, "control", "control_scale")
        self.register_buffer("levels", torch.from_numpy(np.log(sigmas)).float(), persistent=False)

    def forward(self, *tensors: Tensor) -> tuple[Tensor, ...]:
        given = dict(zip(self.names, tensors, strict=True))
        sigma = given["sigma"]
        timestep = (self.levels - sigma.log()).abs().argmin(1).float()
        added = {"text_embeds": given["pooled"], "time_ids": given["size_ids"]} if self.pooled else None
        down, middle = self.controlnet(
            given["code"] / (sigma * sigma + 1).sqrt()[:, :, None, None],
            timestep,
            given["prompt"],
            given["control"],
            given["control_scale"][0, 0],
            added_cond_kwargs=added,
            return_dict=False,
        )
        return (*down, middle)


def residual_count(controlnet: Any) -> int:  # diffusers has no types for it
    """How many residuals a ControlNet gives: one for each of its zero convolutions, and the middle's."""
    return len(controlnet.controlnet_down_blocks) + 1


def add_image_prompt(unet: nn.Module, path: Path) -> None:
    """Give a UNet the cross-attention of an IP-Adapter file (Ye et al. 2023): safetensors with image_proj.*
    and ip_adapter.* . Raises EngineError when it is none, or is made for another width."""
    tensors, _ = opened(path)
    hang_image_prompt(unet, {name: torch.from_numpy(np.array(one)) for name, one in tensors.items()}, path)


def hang_image_prompt(unet: nn.Module, tensors: Mapping[str, Tensor], path: Path) -> None:
    """As add_image_prompt, of a file's tensors; `path` is named where they do not fit."""
    parts: dict[str, dict[str, Tensor]] = {"image_proj": {}, "ip_adapter": {}}
    for name, tensor in tensors.items():
        part, _, rest = name.partition(".")
        if part not in parts or not rest:
            raise EngineError(f"{path} is no IP-Adapter: it holds {name}, not image_proj.* and ip_adapter.*")
        parts[part][rest] = tensor
    if not all(parts.values()):
        raise EngineError(f"{path} is no IP-Adapter: image_proj.* and ip_adapter.* are both needed")
    if "proj.weight" not in parts["image_proj"]:
        raise EngineError(
            f"{path} takes more of a picture than one embedding (IP-Adapter Plus or FaceID); use a plain one"
        )
    try:
        cast(Any, unet)._load_ip_adapter_weights([parts], low_cpu_mem_usage=False)
    except (RuntimeError, KeyError, ValueError) as error:
        raise EngineError(f"{path} does not fit this UNet ({str(error).splitlines()[0]})") from error
    unet.eval().requires_grad_(False)
