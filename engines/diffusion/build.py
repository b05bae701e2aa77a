"""From a diffusers folder to a student's float graphs and the facts for its card. Needs torch and diffusers.

INT8 follows with vivant.engines.diffusion.int8, from samples of a show.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Literal

import torch
from torch import Tensor, nn

from vivant.engines.contract import EngineError
from vivant.engines.diffusion.bank import Layout
from vivant.engines.diffusion.control import Control, add_image_prompt, residual_count
from vivant.engines.diffusion.export import Decode, Encode, Parity, parity, write_graph
from vivant.engines.diffusion.facts import Facts, PromptFacts, ResidualFacts, SamplerFacts, SlotFacts, Specs
from vivant.engines.diffusion.load import load_controlnet, load_unet, load_vae
from vivant.engines.diffusion.model import Model, read_config, weights_hash
from vivant.engines.diffusion.picture import FILE as IMAGE
from vivant.engines.diffusion.picture import embed_picture, write_picture
from vivant.engines.diffusion.unet import Denoise, all_sites
from vivant.engines.diffusion.weights import FILE as WEIGHTS
from vivant.engines.diffusion.weights import write_weights

NOISE = ("num_train_timesteps", "beta_start", "beta_end", "beta_schedule", "trained_betas")
ZERO_SNR = "rescale_betas_zero_snr"


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a student is to have besides its model. `rank` 0 is no adapters; `attention_only` keeps them out
    of convolutions and feed-forward layers, at a fifth of the cost; `half` stores weights as float16
    (export.store_half); `image` is the picture of an image prompt, and `image_encoder` the folder of what
    embeds it (picture.embed_picture); `batch` above 1 denoises so many frames at once, each one step
    further, at the cost of batch - 1 frames of delay (steps.stream)."""

    slots: int = 1
    rank: int = 16
    attention_only: bool = False
    negative: bool = False
    fused: Mapping[Path, float] = field(default_factory=lambda: MappingProxyType({}))
    controlnet: Path | None = None
    control: Literal["fused", "residuals"] = "fused"
    sees: Literal["edges", "frame"] = "edges"
    image_prompt: Path | None = None
    image: Path | None = None
    image_encoder: Path | None = None
    half: bool = False
    batch: int = 1


@dataclass(frozen=True, slots=True)
class Built:
    """The graphs that were written, by name, and how far each is from its network on random inputs."""

    facts: Facts
    graphs: Mapping[str, Path]
    parity: Mapping[str, Parity]


def write_float(model: Model, folder: Path, wanted: Wanted) -> Built:
    """Write encode, denoise, decode (and control, for a ControlNet with an engine of its own) as
    {part}.float.onnx, and their networks for torch (weights.write_weights). Raises EngineError for files
    that do not fit."""
    if wanted.batch > 1 and (wanted.negative or wanted.controlnet or wanted.image_prompt):
        raise EngineError(
            "a batch of frames takes neither a negative prompt, a ControlNet nor an image prompt"
        )
    unet, vae = load_unet(model, wanted.fused), load_vae(model)
    controlnet = load_controlnet(wanted.controlnet) if wanted.controlnet else None
    networks = {"unet": unet, "vae": vae} | ({"controlnet": controlnet} if controlnet is not None else {})
    write_weights(folder / WEIGHTS, networks, wanted.image_prompt)
    if wanted.image_prompt is not None:
        add_image_prompt(unet, wanted.image_prompt)
    layout = (
        Layout(all_sites(unet, wanted.attention_only), wanted.slots, wanted.rank) if wanted.rank else None
    )
    facts = _facts(model, wanted, unet, layout, controlnet)
    _write_picture(folder, wanted, facts.image)
    own = controlnet if facts.control == "fused" else None
    size_px = (facts.default_size, facts.default_size)
    parts: dict[str, tuple[nn.Module, tuple[Specs, Specs]]] = {
        "encode": (Encode(vae), facts.specs("encode", size_px)),
        "denoise": (Denoise(unet, model.sigmas, facts.wiring, layout, own), facts.specs("denoise", size_px)),
        "decode": (Decode(vae), facts.specs("decode", size_px)),
    }
    if controlnet is not None and facts.control == "residuals":
        control = Control(controlnet, model.sigmas, facts.wiring.pooled)
        parts["control"] = (control, facts.control_specs(size_px))
    graphs = {part: folder / f"{part}.float.onnx" for part in parts}
    found = {p: _written(module, *specs, graphs[p], wanted.half) for p, (module, specs) in parts.items()}
    return Built(facts, graphs, found)


def _write_picture(folder: Path, wanted: Wanted, length: int | None) -> None:
    if length is None:
        return
    if wanted.image is None or wanted.image_encoder is None:
        raise EngineError("an image prompt wants a picture, and the image encoder's folder")
    write_picture(folder / IMAGE, embed_picture(wanted.image, wanted.image_encoder, length))


def _written(module: nn.Module, given: Specs, made: Specs, path: Path, half: bool) -> Parity:
    """Write a graph, and compare its last output with the network's."""
    inputs = {spec.name: _example(spec.name, spec.shape) for spec in given}
    write_graph(module, inputs, [spec.name for spec in made], path, half=half)
    with torch.inference_mode():
        outputs = module(*inputs.values())
    wanted = outputs[-1] if isinstance(outputs, tuple) else outputs
    arrays = {name: value.numpy() for name, value in inputs.items()}
    return parity(path, arrays, wanted.numpy(), len(made) - 1)


def _example(name: str, shape: tuple[int, ...]) -> Tensor:
    if name == "frame":
        return torch.randint(0, 256, shape, dtype=torch.uint8)
    if name.endswith("scale") or name == "sigma":
        return torch.ones(shape)
    return torch.randn(shape) * (0.02 if name == "adapters" else 1.0)


def _facts(
    model: Model, wanted: Wanted, unet: nn.Module, layout: Layout | None, controlnet: nn.Module | None
) -> Facts:
    scheduler = read_config(model.folder / "scheduler" / "scheduler_config.json")
    noise = {key: scheduler[key] for key in (*NOISE, ZERO_SNR) if scheduler.get(key) not in (None, False)}
    encoders = [read_config(folder / "config.json") for _, folder in model.text]
    ids = 6 * int(model.unet.get("addition_time_embed_dim") or 0)
    pooled = int(model.unet["projection_class_embeddings_input_dim"]) - ids if model.wiring.pooled else None
    image = (
        unet.get_parameter("encoder_hid_proj.image_projection_layers.0.image_embeds.weight").shape[1]
        if (wanted.image_prompt)
        else None
    )
    files = [model.folder / "unet", model.vae, *filter(None, (wanted.controlnet, wanted.image_prompt))]
    control = wanted.control if controlnet is not None else "none"
    sampler = model.sampler
    return Facts(
        prediction=model.wiring.prediction,
        boundary=model.wiring.boundary,
        sampler=SamplerFacts(
            kind=sampler.kind, grid=sampler.grid, eta=sampler.eta, ends_clean=sampler.ends_clean, noise=noise
        ),
        prompt=PromptFacts(
            tokens=int(encoders[0]["max_position_embeddings"]),
            width=int(model.unet["cross_attention_dim"]),
            pooled=pooled,
            encoders=weights_hash(folder for _, folder in model.text),
        ),
        guidance=model.unet.get("time_cond_proj_dim"),
        negative=wanted.negative,
        image=image,
        control=control,
        residuals=_residuals(model, controlnet) if controlnet is not None and control == "residuals" else (),
        adapters=_slots(layout) if layout is not None else None,
        sees=wanted.sees,
        layers=model.layers_per_block,
        batch=wanted.batch,
        size_multiple=model.size_multiple,
        default_size=model.default_size,
        base=weights_hash([*files, *wanted.fused], *map(str, wanted.fused.values())),
    )


def _slots(layout: Layout) -> SlotFacts:
    sites = {site.name: (site.inputs, site.outputs, *site.kernel) for site in layout.sites}
    return SlotFacts(slots=layout.slots, rank=layout.rank, sites=sites)


def _residuals(model: Model, controlnet: nn.Module) -> tuple[ResidualFacts, ...]:
    """From the order in which a UNet's blocks leave their outputs: the first layer, each block's layers and
    its downsampler, the middle."""
    widths, layers = model.unet["block_out_channels"], model.layers_per_block or 2
    found = [ResidualFacts(channels=widths[0], stride=1)]
    for index, width in enumerate(widths):
        found += [ResidualFacts(channels=width, stride=2**index)] * layers
        if index < len(widths) - 1:
            found.append(ResidualFacts(channels=width, stride=2 ** (index + 1)))
    found.append(ResidualFacts(channels=widths[-1], stride=2 ** (len(widths) - 1)))
    assert len(found) == residual_count(controlnet)
    return tuple(found)
