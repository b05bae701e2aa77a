"""A LoRA file of a higher rank than a student's slots have, written anew at theirs."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from vivant.engines.adapter_file import license_of
from vivant.engines.diffusion.bank import Layout, Pair, padded, reduced
from vivant.engines.diffusion.lora import is_text, opened, read_pairs
from vivant.runtime.frames import F32

OF_PEFT = "lora_adapter_metadata"  # where diffusers says alphas


def reduce_lora(
    path: Path, layout: Layout, layers_per_block: int | None, rank: int, out: Path
) -> dict[str, float]:
    """Writes to `out` the nearest file of `rank` to that in `path`, in diffusers' names: every layer at that
    rank and its alpha within, what it holds of text encoders as it is. The share of its change that each
    layer lost (bank.reduced), by name. Raises EngineError as read_lora, and OSError."""
    from safetensors.numpy import save

    from vivant.engines.manifest import write_atomically

    lost: dict[str, float] = {}
    tensors: dict[str, F32] = {}
    for name, pair in read_pairs(path, layout.sites, layers_per_block).items():
        smaller, lost[name] = reduced(pair, rank) if pair.rank > rank else (pair, 0.0)
        tensors |= _named(name, padded(smaller, rank))
    held, metadata = opened(path)
    tensors |= {key: tensor for key, tensor in held.items() if is_text(key)}
    stated = license_of(path, metadata)
    write_atomically(out, save(tensors, _metadata(metadata) | ({"license": stated} if stated else {})))
    return lost


def _named(site: str, pair: Pair) -> dict[str, F32]:
    down, up = pair.down, pair.up
    if down.shape[2:] == (1, 1):
        down = down[:, :, 0, 0]
    else:
        up = up[:, :, None, None]
    return {f"unet.{site}.lora_A.weight": down.copy(), f"unet.{site}.lora_B.weight": up.copy()}


def _metadata(metadata: Mapping[str, str]) -> dict[str, str]:
    """Without the alphas of the UNet, which are in the weights now."""
    entries = json.loads(metadata.get(OF_PEFT, "{}"))
    kept = {key: value for key, value in entries.items() if not key.startswith("unet.")}
    return {key: text for key, text in metadata.items() if key != OF_PEFT} | {OF_PEFT: json.dumps(kept)}
