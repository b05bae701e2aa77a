"""Prompt embeddings: kept by hash, blended by weights, travelled through. All of it off the frame path.

numpy alone; what makes embeddings of words is vivant.engines.diffusion.text.
"""

from __future__ import annotations

import hashlib
import math
import os
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import NamedTemporaryFile
from types import MappingProxyType
from typing import Final, Literal

import numpy as np

from vivant.engines.contract import EngineError
from vivant.runtime.frames import F32

Way = Literal["linear", "slerp"]
WAYS: Final[Mapping[str, Way]] = MappingProxyType({"slerp": "slerp", "linear": "linear"})
WEIGHT = re.compile(r":\s*(\d+(?:\.\d*)?|\.\d+)$")
PARALLEL = 0.9995  # cosine above which an arc is as good as a line


@dataclass(frozen=True, slots=True)
class Prompt:
    """What a UNet takes of a prompt: `tokens` (1, T, D), and of SDXL's second encoder `pooled` (1, P)."""

    tokens: F32
    pooled: F32 | None = None


def blend(prompts: Sequence[Prompt], weights: Sequence[float], way: Way = "linear") -> Prompt:
    """Between prompts by weights, which are brought to a sum of 1. "slerp" goes along the arc, token by
    token, and keeps lengths; with more than two it goes from one to the next in their order. Raises
    EngineError when no weight is above zero."""
    above = [(p, max(float(w), 0.0)) for p, w in zip(prompts, weights, strict=True) if w > 0.0]
    if not above or not np.isfinite([w for _, w in above]).all():
        raise EngineError(f"prompts cannot be blended by the weights {list(weights)}; give one above zero")
    found, so_far = above[0]
    for prompt, weight in above[1:]:
        so_far += weight
        found = _between(found, prompt, weight / so_far, way)
    return found


def mix_of(text: str) -> tuple[tuple[str, float], ...]:
    """The prompts of a text and their weights: "ink:2 | gold leaf" is two parts of ink and one of gold leaf.
    A text without bars is one prompt as it stands; prompts of weight 0 are left out if there is another."""
    if "|" not in text:
        return ((text, 1.0),)
    found = []
    for part in text.split("|"):
        match = WEIGHT.search(part.strip())
        weight = float(match[1]) if match else 1.0
        words = WEIGHT.sub("", part.strip()).strip()
        found.append((words, weight if math.isfinite(weight) else 1.0))
    above = tuple(one for one in found if one[1] > 0.0)
    return above or ((found[0][0], 1.0),)


def key_of(encoders: str, text: str) -> str:
    """What an embedding is kept by: sha256 of the encoders' hash and the text."""
    return hashlib.sha256(f"{encoders}\n{text}".encode()).hexdigest()


def travel(prompts: Sequence[Prompt], position: float, way: Way = "slerp") -> Prompt:
    """Along prompts in their order: at 0 the first, at 1.5 half way from the second to the third. Beyond the
    ends, the ends."""
    if not prompts:
        raise EngineError("there is no prompt to travel to; name one at least")
    place = min(max(position, 0.0), len(prompts) - 1.0)
    at = min(int(place), max(len(prompts) - 2, 0))
    return prompts[at] if place == at else _between(prompts[at], prompts[at + 1], place - at, way)


def _between(a: Prompt, b: Prompt, share: float, way: Way) -> Prompt:
    mix = _slerp if way == "slerp" else _lerp
    pooled = mix(a.pooled, b.pooled, share) if a.pooled is not None and b.pooled is not None else None
    return Prompt(mix(a.tokens, b.tokens, share), pooled)


def _lerp(a: F32, b: F32, share: float) -> F32:
    return (a * np.float32(1 - share) + b * np.float32(share)).astype(np.float32)


def _slerp(a: F32, b: F32, share: float) -> F32:
    """Along the arc between vectors of the last axis (Shoemake 1985), lengths in proportion."""
    long_a, long_b = (np.linalg.norm(each, axis=-1, keepdims=True) for each in (a, b))
    unit_a, unit_b = a / np.maximum(long_a, 1e-12), b / np.maximum(long_b, 1e-12)
    cosine = np.clip((unit_a * unit_b).sum(-1, keepdims=True), -1.0, 1.0)
    angle = np.arccos(cosine)
    sine = np.maximum(np.sin(angle), 1e-12)
    arc = (np.sin((1 - share) * angle) * unit_a + np.sin(share * angle) * unit_b) / sine
    flat = np.abs(cosine) > PARALLEL
    found = np.where(flat, _lerp(a, b, share), arc * ((1 - share) * long_a + share * long_b))
    return found.astype(np.float32)


def kept(folder: Path, encoders: str, text: str, make: Callable[[str], Prompt]) -> Prompt:
    """The embedding of `text`, from `folder` where it is kept, else made and kept. `encoders` is the hash of
    the text encoders (and of what was fused into them). A file that cannot be read is made anew."""
    from safetensors import SafetensorError

    path = folder / f"{key_of(encoders, text)}.safetensors"
    try:
        return from_bytes(path.read_bytes())
    except (OSError, SafetensorError, KeyError):
        pass  # not there, or not whole: the next lines write it
    prompt = make(text)
    folder.mkdir(parents=True, exist_ok=True)
    with NamedTemporaryFile(dir=folder, suffix=".part", delete=False) as file:
        file.write(to_bytes(prompt))
    os.replace(file.name, path)  # noqa: PTH105  # atomic, and both are paths already
    return prompt


def to_bytes(prompt: Prompt) -> bytes:
    """An embedding as a safetensors file."""
    from safetensors.numpy import save

    tensors = {"tokens": prompt.tokens} | ({} if prompt.pooled is None else {"pooled": prompt.pooled})
    made: bytes = save(tensors)
    return made


def from_bytes(data: bytes) -> Prompt:
    """The reverse. Raises SafetensorError or KeyError for bytes that are none."""
    from safetensors.numpy import load

    held = load(data)
    return Prompt(held["tokens"], held.get("pooled"))
