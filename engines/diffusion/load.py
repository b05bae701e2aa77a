"""The networks of an opened model, in float32, from safetensors alone. Needs torch and diffusers."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

import torch
from torch import nn

from vivant.engines.diffusion.lora import read_pairs
from vivant.engines.diffusion.model import Model
from vivant.engines.diffusion.unet import all_sites, fuse


def load_unet(model: Model, fused: Mapping[Path, float] | None = None) -> nn.Module:
    """`fused` are LoRA files that belong to the base, with their scales (LCM-LoRA, Lightning, Hyper-SD)."""
    unet = _loaded("UNet2DConditionModel", model.folder / "unet")
    for path, scale in (fused or {}).items():
        fuse(unet, read_pairs(path, all_sites(unet), model.layers_per_block), scale)
    return unet


def load_vae(model: Model) -> nn.Module:
    return _loaded(model.autoencoder, model.vae)


def load_controlnet(folder: Path) -> nn.Module:
    return _loaded("ControlNetModel", folder)


def _loaded(name: str, folder: Path) -> nn.Module:
    kind: Any = getattr(import_module("diffusers"), name)  # types of diffusers are not followed
    network: nn.Module = kind.from_pretrained(
        folder,
        use_safetensors=True,
        local_files_only=True,
        torch_dtype=torch.float32,
        variant=variant(folder),
    )
    return network.eval().requires_grad_(False)


def variant(folder: Path) -> str | None:
    """Half precision weights are read where there are no others."""
    names = [path.name for path in folder.glob("*.safetensors")]
    return "fp16" if names and all(".fp16." in name for name in names) else None
