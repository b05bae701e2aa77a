"""What LoRA files call the layers of a UNet: diffusers, PEFT, kohya, and Stability's own code."""

from __future__ import annotations

import re
from collections.abc import Iterable

from vivant.engines.diffusion.bank import Site

_PREFIX = re.compile(r"^(?:base_model\.model\.)?(?:unet\.|diffusion_model\.|lora_unet_|lora_unet\.)?")
_RESNET = {
    "conv1": "in_layers_2",
    "time_emb_proj": "emb_layers_1",
    "conv2": "out_layers_3",
    "conv_shortcut": "skip_connection",
}
_OUTSIDE = {
    "conv_in": "input_blocks_0_0",
    "conv_out": "out_2",
    "time_embedding.linear_1": "time_embed_0",
    "time_embedding.linear_2": "time_embed_2",
    "add_embedding.linear_1": "label_emb_0_0",
    "add_embedding.linear_2": "label_emb_0_2",
}


def flat(layer: str) -> str:
    """A layer's name without the prefix of its format, dots as underscores."""
    plain = _PREFIX.sub("", layer, count=1)
    plain = re.sub(r"\.processor\.(to_[qkv]|to_out)$", r".\1", plain)  # diffusers before 0.20
    plain = re.sub(r"(attn\d)\.to_out$", r"\1.to_out.0", plain)
    return plain.replace(".", "_")


def by_flat_name(sites: Iterable[Site], layers: int | None) -> dict[str, str]:
    """Each site's name by every flat name that files have for it; `layers` as in original_names."""
    known: dict[str, str] = {}
    for site in sites:
        known[site.name.replace(".", "_")] = site.name
        for alias in original_names(site.name, layers) if layers else ():
            known[alias] = site.name
    return known


def original_names(name: str, layers: int) -> tuple[str, ...]:
    """The names that a layer has in Stability's own code, flat, which kohya's SDXL files use: input and
    output blocks counted through (`layers` resnets and one sampler a block)."""
    if name in _OUTSIDE:
        return (_OUTSIDE[name],)
    parts = name.split(".")
    rest = "_".join(parts[4:] if parts[0] != "mid_block" else parts[3:])
    rest = _RESNET.get(rest, rest) if "resnets" in parts else rest
    match parts:
        case ["down_blocks", i, "resnets" | "attentions" as kind, j, *_]:
            return (f"input_blocks_{1 + int(i) * (layers + 1) + int(j)}_{int(kind == 'attentions')}_{rest}",)
        case ["down_blocks", i, "downsamplers", *_]:
            return (f"input_blocks_{(int(i) + 1) * (layers + 1)}_0_op",)
        case ["up_blocks", i, "resnets" | "attentions" as kind, j, *_]:
            return (f"output_blocks_{int(i) * (layers + 1) + int(j)}_{int(kind == 'attentions')}_{rest}",)
        case ["up_blocks", i, "upsamplers", *_]:  # behind the attention where the block has one
            return tuple(f"output_blocks_{int(i) * (layers + 1) + layers}_{at}_conv" for at in (1, 2))
        case ["mid_block", "attentions", _, *_]:
            return (f"middle_block_1_{rest}",)
        case ["mid_block", "resnets", j, *_]:
            return (f"middle_block_{2 * int(j)}_{rest}",)
    return ()
