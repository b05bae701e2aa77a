"""A diffusers folder, opened: what the model is, how it predicts and steps, and everything that is wrong.

Reads configurations and the headers of safetensors files; loads no weights and imports neither torch nor
diffusers. A pickle is never opened.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vivant.engines.contract import EngineError
from vivant.engines.diffusion.steps import ADVANCE, Kind, Sampler, sigmas_of
from vivant.engines.diffusion.wiring import Prediction, Wiring

Config = Mapping[str, Any]  # a diffusers config.json; only what is read below is checked
LATENT = 4
PIXELS = 8  # a latent's pixel is this wide
LCM_SCALING = 10.0  # timestep_scaling of diffusers' LCMScheduler
PREDICTIONS: Mapping[str, Prediction] = MappingProxyType(
    {"epsilon": "epsilon", "v_prediction": "v_prediction", "sample": "sample"}
)
AUTOENCODERS = ("AutoencoderTiny", "AutoencoderKL")
ENCODERS = ("CLIPTextModel", "CLIPTextModelWithProjection")
SCHEDULERS: Mapping[str, Kind] = MappingProxyType(
    {
        "EulerDiscreteScheduler": "euler",
        "EulerAncestralDiscreteScheduler": "euler_ancestral",
        "DDIMScheduler": "ddim",
        "LCMScheduler": "lcm",
        "TCDScheduler": "tcd",
    }
)


@dataclass(frozen=True, slots=True)
class Model:
    """What a folder holds. `sigmas` (T,) by training timestep; `wiring` as the model alone needs it; `vae`
    the autoencoder's folder and `text` those of its tokenizers and text encoders."""

    folder: Path
    unet: Config
    sampler: Sampler
    sigmas: NDArray[np.float64]
    wiring: Wiring
    vae: Path
    autoencoder: str
    text: tuple[tuple[Path, Path], ...]

    @property
    def layers_per_block(self) -> int | None:
        """None where it differs by block."""
        layers = self.unet.get("layers_per_block", 2)
        return layers if isinstance(layers, int) else None

    @property
    def size_multiple(self) -> int:
        """What width and height must be multiples of, in pixels."""
        return int(PIXELS * 2 ** (len(self.unet["block_out_channels"]) - 1))

    @property
    def default_size(self) -> int:
        """The side in pixels that it was trained for."""
        side = self.unet.get("sample_size") or 64
        return PIXELS * int(side if isinstance(side, int) else side[0])


def open_model(folder: Path, sampler: Kind | Sampler | None = None, vae: Path | None = None) -> Model:
    """`sampler` where the model's own scheduler is not what its few steps were distilled for: "lcm" for an
    LCM-LoRA on a plain model, Sampler("lcm") without a grid for DMD2, Sampler("tcd", 50, 1.0, False) for
    Hyper-SD. `vae` is another autoencoder's folder (TAESD). Raises EngineError with all problems."""
    problems: list[str] = []
    index = _config(folder / "model_index.json", problems)
    unet = _config(folder / "unet" / "config.json", problems) if index else {}
    if index:
        _check_unet(index, unet, problems)
        _check_weights(folder / "unet", problems)
    scheduler = _config(folder / "scheduler" / "scheduler_config.json", problems) if index else {}
    steps = sampler if isinstance(sampler, Sampler) else _sampler(scheduler, sampler, problems)
    prediction = PREDICTIONS.get(scheduler.get("prediction_type", "epsilon"))
    if prediction is None:
        problems.append(f"  scheduler: prediction_type '{scheduler['prediction_type']}' is not known")
    sigmas = np.ones(1)
    try:
        sigmas = sigmas_of(scheduler)
    except EngineError as error:
        problems.append(f"  scheduler: {error}")
    vae = vae or folder / "vae"
    autoencoder = str(_config(vae / "config.json", problems).get("_class_name", "")) if index else ""
    if index:
        _check_vae(vae, autoencoder, problems)
    pooled = unet.get("addition_embed_type") == "text_time"
    text = _text(folder, index, 2 if pooled else 1, problems) if index else ()
    if problems:
        raise EngineError(
            "\n".join([f"{folder}: {len(problems)} problem{'s' * (len(problems) > 1)}", *problems])
        )
    wiring = Wiring(
        prediction=prediction or "epsilon",
        boundary=float(scheduler.get("timestep_scaling", LCM_SCALING)) if steps.kind == "lcm" else None,
        pooled=pooled,
        guidance=unet.get("time_cond_proj_dim") is not None,
    )
    return Model(folder, unet, steps, sigmas, wiring, vae, autoencoder, text)


def read_config(path: Path) -> Config:
    """A configuration of an opened model. Raises EngineError."""
    problems: list[str] = []
    found = _config(path, problems)
    if problems:
        raise EngineError(problems[0].strip())
    return found


def _config(path: Path, problems: list[str]) -> Config:
    try:
        found = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        problems.append(f"  {path.parent.name}/{path.name} cannot be read ({error})")
        return {}
    if not isinstance(found, dict):
        problems.append(f"  {path.parent.name}/{path.name} holds no settings")
        return {}
    return found


def _check_unet(index: Config, unet: Config, problems: list[str]) -> None:
    name = (index.get("unet") or [None, "nothing"])[1]
    if name != "UNet2DConditionModel":
        problems.append(f"  unet: {name} is no UNet2DConditionModel; transformers and others do not fit")
    for side, expected in (("in_channels", LATENT), ("out_channels", LATENT)):
        if unet.get(side, LATENT) != expected:
            problems.append(f"  unet: {side} is {unet[side]}, not {expected}: made for inpainting or editing")
    if unet.get("addition_embed_type") not in (None, "text_time"):
        problems.append(f"  unet: addition_embed_type '{unet['addition_embed_type']}' is not known")
    for key in ("class_embed_type", "encoder_hid_dim_type", "num_class_embeds"):
        if unet.get(key) is not None:
            problems.append(f"  unet: {key} '{unet[key]}' is not known")
    if index.get("requires_aesthetics_score"):
        problems.append("  a refiner (requires_aesthetics_score) takes many steps; use the base model")


def _check_vae(vae: Path, name: str, problems: list[str]) -> None:
    if name not in AUTOENCODERS:
        problems.append(f"  vae: '{name}' is none of {', '.join(AUTOENCODERS)}")
    config = _config(vae / "config.json", [])
    if config.get("latent_channels", LATENT) != LATENT:
        problems.append(f"  vae: {config['latent_channels']} latent channels, not {LATENT}")
    _check_weights(vae, problems)


def _check_weights(folder: Path, problems: list[str]) -> None:
    """Headers only."""
    from safetensors import SafetensorError, safe_open

    files = sorted(folder.glob("*.safetensors"))
    pickles = [each for kind in ("*.bin", "*.pt", "*.ckpt", "*.pth") for each in folder.glob(kind)]
    if not files:
        if pickles:
            problems.append(
                f"  {folder.name}: only {pickles[0].name}, a pickle, which can run code and is not opened; "
                "get the safetensors"
            )
        else:
            problems.append(f"  {folder.name}: no weights (*.safetensors)")
    for path in files:
        try:
            with safe_open(path, framework="numpy"):
                pass
        except (OSError, SafetensorError) as error:
            problems.append(f"  {folder.name}/{path.name} cannot be read ({error})")


def _text(folder: Path, index: Config, count: int, problems: list[str]) -> tuple[tuple[Path, Path], ...]:
    found = []
    for suffix in ("", "_2")[:count]:
        tokenizer, encoder = folder / f"tokenizer{suffix}", folder / f"text_encoder{suffix}"
        name = (index.get(encoder.name) or [None, "nothing"])[1]
        if name not in ENCODERS:
            problems.append(f"  {encoder.name}: {name} is none of {', '.join(ENCODERS)}")
        elif not tokenizer.is_dir():
            problems.append(f"  {tokenizer.name}: missing")
        else:
            _check_weights(encoder, problems)
        found.append((tokenizer, encoder))
    return tuple(found)


def _sampler(scheduler: Config, asked: Kind | None, problems: list[str]) -> Sampler:
    if not scheduler:
        return Sampler("euler")  # that it is missing has been said
    name = str(scheduler.get("_class_name", "nothing"))
    kind = asked or SCHEDULERS.get(name)
    if kind is None or kind not in ADVANCE:
        problems.append(
            f"  scheduler: {asked or name} is not for few steps; name what it was distilled for: "
            f"{', '.join(ADVANCE)}"
        )
        return Sampler("euler")
    own = kind == SCHEDULERS.get(name)
    grid = int(scheduler.get("original_inference_steps", 50)) if kind in ("lcm", "tcd") else None
    ends_clean = kind != "tcd" and not (
        kind == "ddim" and own and not scheduler.get("set_alpha_to_one", True)
    )
    return Sampler(kind, grid, 0.3 if kind == "tcd" else 0.0, ends_clean)


def weights_hash(places: Iterable[Path], *more: str) -> str:
    """sha256 over the safetensors files in folders, and files, in their order, and what else counts."""
    digest = hashlib.sha256("\n".join(more).encode())
    for place in places:
        for path in sorted(place.glob("*.safetensors")) if place.is_dir() else [place]:
            with path.open("rb") as file:
                digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()
