"""Tiny diffusion models with random weights, of diffusers' and transformers' own classes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from diffusers import AutoencoderKL, AutoencoderTiny, ControlNetModel, UNet2DConditionModel
from torch import Tensor

from vivant.engines.diffusion.bank import Layout, Pair

SD: dict[str, Any] = {
    "num_train_timesteps": 1000,
    "beta_start": 0.00085,
    "beta_end": 0.012,
    "beta_schedule": "scaled_linear",
}
WIDTH = 32  # of prompt embeddings
TOKENS = 7


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> Iterator[None]:
    """These networks are too small to be shared out: threads would only wait for each other."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def shaken(module: Any, amount: float = 0.05) -> Any:
    """No weight is zero or one any more, so that every path counts."""
    with torch.no_grad():
        for parameter in module.parameters():
            parameter += amount * torch.randn_like(parameter)
    return module.eval().requires_grad_(False)


def unet(kind: str = "sd", **more: Any) -> Any:
    """As "sd" 1.5 (convolutions around the attention) or "sdxl" (linear ones, text_time, two layers)."""
    torch.manual_seed(1)
    common: dict[str, Any] = {
        "sample_size": 8,
        "block_out_channels": (32, 64),
        "layers_per_block": 1,
        "cross_attention_dim": WIDTH,
        "norm_num_groups": 8,
        "down_block_types": ("DownBlock2D", "CrossAttnDownBlock2D"),
        "up_block_types": ("CrossAttnUpBlock2D", "UpBlock2D"),
        "attention_head_dim": 4,
    }
    if kind == "sdxl":
        common |= {
            "use_linear_projection": True,
            "attention_head_dim": (2, 4),
            "transformer_layers_per_block": (1, 2),
            "addition_embed_type": "text_time",
            "addition_time_embed_dim": 8,
            "projection_class_embeddings_input_dim": 6 * 8 + 16,
        }
    return shaken(UNet2DConditionModel(**(common | more)))


def controlnet(of: Any) -> Any:
    torch.manual_seed(2)
    return shaken(ControlNetModel.from_unet(of, conditioning_embedding_out_channels=(8, 16, 16, 32)))


def taesd() -> Any:
    torch.manual_seed(3)
    return shaken(
        AutoencoderTiny(
            encoder_block_out_channels=(8, 8, 8, 8),
            decoder_block_out_channels=(8, 8, 8, 8),
            num_encoder_blocks=(1, 1, 1, 1),
            num_decoder_blocks=(1, 1, 1, 1),
        )
    )


def kl() -> Any:
    torch.manual_seed(4)
    return shaken(
        AutoencoderKL(
            down_block_types=("DownEncoderBlock2D",) * 4,
            up_block_types=("UpDecoderBlock2D",) * 4,
            block_out_channels=(8, 8, 16, 16),
            norm_num_groups=4,
            layers_per_block=1,
            latent_channels=4,
        )
    )


def tensors(
    names: tuple[str, ...], layout: Layout | None = None, side: int = 8, seed: int = 0
) -> dict[str, Tensor]:
    """Inputs of a Denoise by name, random; residuals are left to the caller."""
    torch.manual_seed(seed)
    slots, width = (layout.slots, layout.width) if layout else (1, 1)
    made = {
        "code": 3 * torch.randn(1, 4, side, side),
        "sigma": torch.tensor([[2.7]]),
        "prompt": torch.randn(1, TOKENS, WIDTH),
        "pooled": torch.randn(1, 16),
        "size_ids": torch.tensor([[64.0, 64, 0, 0, 64, 64]]),
        "guidance": torch.randn(1, 12),
        "negative": torch.randn(1, TOKENS, WIDTH),
        "negative_pooled": torch.randn(1, 16),
        "cfg_scale": torch.tensor([[1.8]]),
        "image": torch.randn(1, 1, 20),
        "image_scale": torch.tensor([[0.6]]),
        "control": torch.rand(1, 3, 8 * side, 8 * side),
        "control_scale": torch.tensor([[0.7]]),
        "adapters": 0.2 * torch.randn(slots, width),
        "adapter_scale": torch.linspace(0.8, 0.4, slots)[None],
    }
    return {name: made[name] for name in names if name in made}


def as_arrays(given: Mapping[str, Tensor]) -> dict[str, np.ndarray[Any, Any]]:
    return {name: value.numpy() for name, value in given.items()}


def random_pairs(layout: Layout, rank: int, seed: int = 0, names: tuple[str, ...] = ()) -> dict[str, Pair]:
    """Pairs for every site, or those named."""
    rng = np.random.default_rng(seed)
    return {
        site.name: Pair(
            0.3 * rng.standard_normal((rank, site.inputs, *site.kernel), dtype=np.float32),
            0.3 * rng.standard_normal((site.outputs, rank), dtype=np.float32),
        )
        for site in layout.sites
        if not names or site.name in names
    }


def write_image_prompt(path: Path, of: Any, tokens: int = 4, image: int = 20) -> Path:
    """An IP-Adapter file with random weights: keys are numbered over all attentions: 1, 3, 5 ..."""
    from safetensors.torch import save_file

    torch.manual_seed(5)
    held = {
        "image_proj.proj.weight": 0.2 * torch.randn(tokens * WIDTH, image),
        "image_proj.proj.bias": 0.1 * torch.randn(tokens * WIDTH),
        "image_proj.norm.weight": torch.ones(WIDTH),
        "image_proj.norm.bias": torch.zeros(WIDTH),
    }
    number = 1
    for name in of.attn_processors:
        if name.endswith("attn2.processor"):
            size = of.get_submodule(name.removesuffix(".processor")).to_k.out_features
            for letter in "kv":
                held[f"ip_adapter.{number}.to_{letter}_ip.weight"] = 0.2 * torch.randn(size, WIDTH)
            number += 2
    save_file(held, path)
    return path


def write_image_encoder(folder: Path, length: int = 20) -> Path:
    """A CLIP vision model with random weights, as it comes with an IP-Adapter."""
    from transformers import CLIPVisionConfig, CLIPVisionModelWithProjection

    torch.manual_seed(6)
    config = CLIPVisionConfig(
        hidden_size=16,
        intermediate_size=24,
        num_hidden_layers=2,
        num_attention_heads=2,
        image_size=32,
        patch_size=8,
        projection_dim=length,
    )
    shaken(CLIPVisionModelWithProjection(config)).save_pretrained(folder)
    return folder


def image_prompt(folder: Path, of: Any) -> dict[str, Path]:
    """What Wanted has of an image prompt: its IP-Adapter, its encoder, and a picture."""
    import cv2

    picture = folder / "picture.png"
    cv2.imwrite(str(picture), np.random.default_rng(4).integers(0, 256, (40, 60, 3), np.uint8))
    return {
        "image_prompt": write_image_prompt(folder / "ip.safetensors", of),
        "image_encoder": write_image_encoder(folder / "vision"),
        "image": picture,
    }


def text_encoder(second: bool = False) -> tuple[Any, Any]:
    """A CLIP tokenizer of single letters and a text encoder; the second one with a projection."""
    from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection, CLIPTokenizer

    letters = [chr(code) for code in range(97, 123)] + [",", "."]
    entries = [*letters, *(f"{letter}</w>" for letter in letters), "<|startoftext|>", "<|endoftext|>"]
    vocabulary = {entry: number for number, entry in enumerate(entries)}
    tokenizer = CLIPTokenizer(vocab=vocabulary, merges=[], model_max_length=16)
    torch.manual_seed(7 + second)
    config = CLIPTextConfig(
        vocab_size=len(entries),
        hidden_size=WIDTH // 2 if second else WIDTH,
        intermediate_size=24,
        num_hidden_layers=2,
        num_attention_heads=2,
        max_position_embeddings=16,
        projection_dim=16,
        bos_token_id=len(entries) - 2,
        eos_token_id=len(entries) - 1,
        pad_token_id=len(entries) - 1,
    )
    return tokenizer, shaken((CLIPTextModelWithProjection if second else CLIPTextModel)(config))


def pipeline(kind: str = "sd", autoencoder: Any = None) -> Any:
    """A whole diffusers img2img pipeline."""
    from diffusers import (
        EulerDiscreteScheduler,
        StableDiffusionImg2ImgPipeline,
        StableDiffusionXLImg2ImgPipeline,
    )

    scheduler = EulerDiscreteScheduler(**SD, timestep_spacing="trailing", steps_offset=1)
    tokenizer, encoder = text_encoder()
    common = {"vae": autoencoder or taesd(), "scheduler": scheduler, "tokenizer": tokenizer}
    common["text_encoder"] = encoder
    if kind == "sd":
        return StableDiffusionImg2ImgPipeline(
            unet=unet(),
            **common,
            safety_checker=None,
            feature_extractor=None,
            image_encoder=None,
            requires_safety_checker=False,
        )
    tokenizer_2, encoder_2 = text_encoder(second=True)
    width = WIDTH + WIDTH // 2
    return StableDiffusionXLImg2ImgPipeline(
        unet=unet("sdxl", cross_attention_dim=width),
        **common,
        tokenizer_2=tokenizer_2,
        text_encoder_2=encoder_2,
        add_watermarker=False,
    )
