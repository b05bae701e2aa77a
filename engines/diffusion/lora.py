"""LoRA files as people have them, read for a student's slots: diffusers, PEFT and kohya names.

Only safetensors are read: a pickle can run code, so it is refused unopened. What a low-rank pair cannot say
(DoRA, LoHa, LoKr, Tucker cores, biases) is refused by name, and all problems of a file are told at once.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np

from vivant.engines.adapter_file import license_of
from vivant.engines.contract import EngineError
from vivant.engines.diffusion.bank import Layout, Pair, Site, finite, reduced
from vivant.engines.diffusion.lora_names import by_flat_name, flat
from vivant.runtime.frames import F32

_KEY = re.compile(
    r"^(?P<layer>.+?)[._](?P<what>lora_A|lora_B|lora_down|lora_up|lora\.down|lora\.up|lora_mid|alpha"
    r"|dora_scale|lora_magnitude_vector|hada_\w+?|lokr_\w+?|diff|diff_b|oft_\w+?|lora_bias)"
    r"(?:\.default)?(?:\.weight)?$"
)
_ENDS: Mapping[str, str] = {
    "lora_A": "down",
    "lora_down": "down",
    "lora.down": "down",
    "lora_B": "up",
    "lora_up": "up",
    "lora.up": "up",
    "alpha": "alpha",
}
_REFUSED = {
    "dora": "DoRA scales a weight's columns, which a low-rank pair cannot",
    "lora_magnitude_vector": "DoRA scales a weight's columns, which a low-rank pair cannot",
    "hada": "LoHa is a product of two pairs, not of low rank",
    "lokr": "LoKr is a Kronecker product, not of low rank",
    "oft": "OFT turns weights, it adds nothing",
    "lora_mid": "a Tucker core (lora_mid) has no slot; resave it without",
    "diff": "it holds whole differences, not low-rank pairs",
    "lora_bias": "biases have no slot",
}
LARGEST = 1e3  # of a trained pair's values are below ten; 0 times an overflow would be no number
_TEXT = re.compile(r"^(?:text_encoder(?P<diffusers>_\d)?\.|lora_te(?P<kohya>\d)?_)")


@dataclass(frozen=True, slots=True)
class Lora:
    """A checked file. `row` (width,) is what a slot takes; `text_layers` how many layers of text encoders it
    has: those change the prompt, not the engine (prompts). `hash` is the sha256 of the file."""

    name: str
    row: F32
    rank: int
    text_layers: int
    hash: str
    license: str = ""


def read_lora(path: Path, layout: Layout, layers_per_block: int | None = 2, student: str = "STUDENT") -> Lora:
    """The adapter in `path`, packed for the slots of the student called `student`. `layers_per_block` is the
    UNet's, for kohya's SDXL names; None where it differs by block. Raises EngineError with every reason it
    cannot be used; for a rank above the slots' with what reducing it would cost (lora_fit)."""
    pairs, text_layers, problems = _read(path, layout.sites, layers_per_block)
    rank = max((pair.rank for pair in pairs.values()), default=0)
    above = [pair for pair in pairs.values() if pair.rank > layout.rank]
    if above:
        most = max(reduced(pair, layout.rank)[1] for pair in above)
        problems.append(
            f"  rank: {rank} at {len(above)} layers, but a slot holds {layout.rank}; up to {most:.0%} of a "
            f"layer's change would be lost at that. Run: vivant adapters fit '{path}' --student {student}"
        )
    _refuse(path, problems)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    row = layout.pack(pairs)
    if float(np.abs(row).max(initial=0.0)) > LARGEST:
        _refuse(path, [f"  it holds values above {LARGEST:g}, which no training leaves behind"])
    return Lora(path.stem, row, rank, text_layers, digest, license_of(path, metadata_of(path)))


def read_pairs(path: Path, sites: Sequence[Site], layers_per_block: int | None = 2) -> dict[str, Pair]:
    """The pairs in `path` by site, at any rank: to be fused into a base. Raises EngineError as read_lora."""
    pairs, _, problems = _read(path, sites, layers_per_block)
    _refuse(path, problems)
    return pairs


def is_text(key: str) -> bool:
    """Whether a tensor's name is of a text encoder's layer."""
    return _TEXT.match(key.removeprefix("base_model.model.")) is not None


def read_text_pairs(path: Path, sites: Sequence[Site], encoder: int = 0) -> dict[str, Pair]:
    """The pairs in `path` for the first (0) or second (1) text encoder, whose linear layers are `sites`;
    empty when it has none. They change prompts, which are made off the frame path, and need no slot. Raises
    EngineError as read_lora."""
    tensors, metadata = opened(path)
    inner = "text_model." if any(site.name.startswith("text_model.") for site in sites) else ""
    own = {}
    for key, tensor in tensors.items():
        match = _TEXT.match(key.removeprefix("base_model.model."))
        if match is not None and ("2" in (match["diffusers"] or match["kohya"] or "")) == bool(encoder):
            rest = key.removeprefix("base_model.model.")[match.end() :]
            own[inner + rest.removeprefix("text_model.").removeprefix("text_model_")] = tensor
    problems: list[str] = []
    found, _ = _sorted(own, sites, None, problems)
    scaling = _scaling(path, metadata, f"text_encoder{'_2' * bool(encoder)}.")
    pairs = {
        site.name: _pair(site, found[site.name], scaling, problems) for site in sites if site.name in found
    }
    _refuse(path, problems)
    return {name: pair for name, pair in pairs.items() if pair is not None}


def _read(path: Path, sites: Sequence[Site], layers: int | None) -> tuple[dict[str, Pair], int, list[str]]:
    """Pairs by site, how many text encoder layers there are, and what is wrong."""
    tensors, metadata = opened(path)
    problems: list[str] = []
    found, text_layers = _sorted(tensors, sites, layers, problems)
    scaling = _scaling(path, metadata)
    pairs: dict[str, Pair] = {}
    for site in sites:
        pair = _pair(site, found[site.name], scaling, problems) if site.name in found else None
        if pair is not None:
            pairs[site.name] = pair
    if not pairs and not problems:
        problems.append("  it holds no layer of this network at all")
    return pairs, text_layers, problems


def _refuse(path: Path, problems: list[str]) -> None:
    if problems:
        text = "\n".join([f"{path}: {len(problems)} problem{'s' * (len(problems) > 1)}", *problems])
        raise EngineError(text)


def opened(path: Path) -> tuple[dict[str, F32], dict[str, str]]:
    """Tensors (as float32) and metadata of a safetensors file. Raises EngineError."""
    from safetensors import SafetensorError, deserialize, safe_open

    if path.suffix != ".safetensors":
        raise EngineError(
            f"{path} is no .safetensors file. Pickled weights can run code when they are opened and are not "
            "read; convert the file where you trust it."
        )
    try:
        with safe_open(path, framework="numpy") as file:
            metadata: dict[str, str] = file.metadata() or {}
        held = cast(Any, deserialize)(path.read_bytes())  # safetensors leaves it untyped
        return {name: _as_float(name, tensor) for name, tensor in held}, metadata
    except (OSError, SafetensorError, ValueError) as error:
        raise EngineError(f"{path} is no safetensors file that can be read ({error})") from error


def metadata_of(path: Path) -> dict[str, str]:
    """What a safetensors file says of itself. Raises EngineError."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="numpy") as file:
            return file.metadata() or {}
    except (OSError, SafetensorError) as error:
        raise EngineError(f"{path} is no safetensors file that can be read ({error})") from error


def _as_float(name: str, tensor: Mapping[str, Any]) -> F32:  # dtype, shape and data, as safetensors has them
    data, kind = tensor["data"], tensor["dtype"]
    if kind == "BF16":  # the upper half of a float32
        values = (np.frombuffer(data, "<u2").astype(np.uint32) << 16).view(np.float32)
    elif kind in ("F16", "F32", "F64"):
        values = np.frombuffer(data, f"<f{int(kind[1:]) // 8}").astype(np.float32)
    elif kind in ("I32", "I64"):  # some write alpha so
        values = np.frombuffer(data, f"<i{int(kind[1:]) // 8}").astype(np.float32)
    else:
        raise ValueError(f"{name} is {kind}; float32, float16 or bfloat16 is needed")
    return values.reshape(tensor["shape"])


def _sorted(
    tensors: Mapping[str, F32], sites: Iterable[Site], layers: int | None, problems: list[str]
) -> tuple[dict[str, dict[str, F32]], int]:
    """What the file has for each site, by down, up and alpha; and how many text encoder layers there are."""
    known = by_flat_name(sites, layers)
    found: dict[str, dict[str, F32]] = {}
    strange: dict[str, int] = {}
    text: set[str] = set()
    unknown: set[str] = set()
    for key, tensor in tensors.items():
        match = _KEY.match(key)
        if match is None:
            unknown.add(key)
            continue
        what, layer = match["what"], match["layer"]
        reason = next((why for start, why in _REFUSED.items() if what.startswith(start)), None)
        if reason is not None:
            strange[reason] = strange.get(reason, 0) + 1
        elif is_text(layer):
            text.add(layer)
        else:
            site = known.get(flat(layer))
            if site is None:
                unknown.add(layer)
            else:
                found.setdefault(site, {})[_ENDS[what]] = tensor
    problems += [f"  {count} tensors: {why}" for why, count in strange.items()]
    few = sorted(unknown)
    if few:
        more = f" and {len(few) - 3} more" if len(few) > 3 else ""
        problems.append(f"  no such layer in this network: {', '.join(few[:3])}{more}")
    return found, len(text)


@dataclass(frozen=True, slots=True)
class _Scaling:
    """How PEFT says alpha: for all, by layer, and whether it is over the rank's root (rsLoRA)."""

    alpha: float | None
    by_layer: Mapping[str, float]
    rooted: bool

    def of(self, site: str, rank: int, own: F32 | None) -> float:
        named = next((a for name, a in self.by_layer.items() if site.endswith(name)), self.alpha)
        alpha = float(own.reshape(-1)[0]) if own is not None else named
        if alpha is None:
            return 1.0
        return alpha / (math.sqrt(rank) if self.rooted else rank)


def _scaling(path: Path, metadata: Mapping[str, str], part: str = "unet.") -> _Scaling:
    """From the file's own metadata (diffusers), or adapter_config.json beside it (PEFT)."""
    beside = path.parent / "adapter_config.json"
    text = metadata.get("lora_adapter_metadata")
    try:
        if text is None and path.name == "adapter_model.safetensors" and beside.is_file():
            text = beside.read_text()
        entries = json.loads(text) if text else {}
    except (OSError, ValueError) as error:
        raise EngineError(f"{path}: what it says of its alpha cannot be read ({error})") from error
    plain = {str(key).removeprefix(part): value for key, value in entries.items()}
    alpha = plain.get("lora_alpha")
    return _Scaling(
        None if alpha is None else float(alpha),
        {str(k): float(v) for k, v in (plain.get("alpha_pattern") or {}).items()},
        bool(plain.get("use_rslora", False)),
    )


def _pair(site: Site, found: Mapping[str, F32], scaling: _Scaling, problems: list[str]) -> Pair | None:
    down, up = found.get("down"), found.get("up")
    if down is None or up is None:
        problems.append(f"  {site.name}: only one half of the pair is there")
        return None
    rank = len(down)
    kernel = (site.inputs, *site.kernel)
    if up.size != site.outputs * rank or up.shape[:2] != (site.outputs, rank):
        problems.append(f"  {site.name}: up is {up.shape}, and ({site.outputs}, {rank}) is needed")
        return None
    if down.shape[1:2] != (site.inputs,) or down.size != rank * int(np.prod(kernel)):
        problems.append(f"  {site.name}: down is {down.shape}, and {(rank, *kernel)} is needed")
        return None
    scale = scaling.of(site.name, rank, found.get("alpha"))
    pair = Pair(down.reshape(rank, *kernel), up.reshape(site.outputs, rank) * np.float32(scale))
    if not finite(pair):
        problems.append(f"  {site.name}: holds NaN or infinity; export it anew, or train it again")
        return None
    return pair
