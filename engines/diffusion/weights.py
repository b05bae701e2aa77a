"""A diffusion student's networks as one safetensors file beside its graphs, for torch: weights in half
precision, and in the header what they are the weights of. Needs torch and diffusers."""

from __future__ import annotations

import json
from collections.abc import Mapping
from importlib import import_module
from inspect import signature
from pathlib import Path
from typing import Any, Final

import torch
from torch import Tensor, nn

from vivant.engines.contract import EngineError
from vivant.engines.diffusion.lora import opened

FILE: Final = "weights.safetensors"
KINDS: Final = ("UNet2DConditionModel", "ControlNetModel", "AutoencoderTiny", "AutoencoderKL")
IMAGE: Final = "image_prompt"  # the tensors of an IP-Adapter file, under this name


def write_weights(path: Path, networks: Mapping[str, Any], image_prompt: Path | None = None) -> None:
    """Write networks of diffusers by name (unet, vae, controlnet), as they are before an image prompt is hung
    on them; values that float16 does not hold stay float32. The file appears whole or not at all."""
    from safetensors.torch import save_file

    tensors = {
        f"{name}.{key}": _narrow(value.detach())
        for name, network in networks.items()
        for key, value in network.state_dict().items()
    }
    if image_prompt is not None:
        found, _ = opened(image_prompt)
        tensors |= {f"{IMAGE}.{key}": _narrow(torch.from_numpy(value)) for key, value in found.items()}
    about = {name: network.to_json_string() for name, network in networks.items()}
    half_written = path.with_name(f"{path.name}.part")
    save_file(tensors, half_written, about)
    half_written.chmod(0o644)  # safetensors lets nobody else read what it writes
    half_written.replace(path)


def read_network(path: Path, name: str, device: torch.device, dtype: torch.dtype) -> Any:
    """One network, ready to run. Raises EngineError for a file that does not hold it."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="pt", device=str(device)) as file:
            about = (file.metadata() or {}).get(name)
            held = {own: file.get_tensor(key).to(dtype) for own, key in _keys(file, name)}
    except (OSError, SafetensorError) as error:
        raise EngineError(f"{path} holds no weights that can be read ({error})") from error
    if about is None:
        raise EngineError(f"{path} holds no {name}. Build the student anew.")
    return _made(path, json.loads(about), held)


def read_image_prompt(path: Path) -> dict[str, Tensor]:
    """The tensors of the IP-Adapter file that a student was built with; none where there was none."""
    from safetensors import safe_open

    with safe_open(path, framework="pt") as file:
        return {own: file.get_tensor(key).float() for own, key in _keys(file, IMAGE)}


def _made(path: Path, config: dict[str, Any], held: dict[str, Tensor]) -> Any:
    kind = config.pop("_class_name", "nothing")
    if kind not in KINDS:
        raise EngineError(f"{path} holds weights of {kind}, which is none of {', '.join(KINDS)}")
    made: Any = getattr(import_module("diffusers"), kind)
    known = {name: value for name, value in config.items() if name in signature(made).parameters}
    try:
        with torch.device("meta"):  # nothing is drawn that is thrown away at once
            network: nn.Module = made(**known)
        network.load_state_dict(held, assign=True)
    except (RuntimeError, TypeError, ValueError) as error:
        first = str(error).strip().splitlines()[0]
        raise EngineError(f"{path} does not fit {kind} ({first}). Build the student anew.") from error
    return network.eval().requires_grad_(False)


def _keys(file: Any, name: str) -> list[tuple[str, str]]:
    """The keys of one network: as it knows them, and as the file does."""
    names: list[str] = file.keys()  # a safetensors file is no dictionary
    return [(key.removeprefix(f"{name}."), key) for key in names if key.startswith(f"{name}.")]


def _narrow(value: Tensor) -> Tensor:
    half = value.to(torch.float16)
    return half.contiguous() if bool(torch.isfinite(half).all()) else value.contiguous()
