"""Adapter files for tests of whatever wears them: small random pairs at every site of a student, and the
fixtures of a tiny student that takes them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save_file
from tiny_student import RANK, SITES

from vivant.engines.adapter import ADAPTED, PREFIX, Adapter, AdapterInfo
from vivant.engines.card import Card
from vivant.runtime.frames import F32

Tensors = dict[str, F32]


def write_tiny_adapter(path: Path, card: Card, rank: int = 2, seed: int = 0, **more: object) -> Path:
    """An adapter named as the file, made for the student of `card`; `more` are facts of AdapterInfo."""
    assert card.adapters is not None
    rng = np.random.default_rng(seed)
    tensors = {}
    for part, sites in card.adapters.sites.items():
        for site, (inputs, outputs) in sites.items():
            name = f"{PREFIX}{part}.{site}"
            tensors[f"{name}.lora_A.weight"] = 0.1 * rng.standard_normal((rank, inputs), dtype=np.float32)
            tensors[f"{name}.lora_B.weight"] = 0.1 * rng.standard_normal((outputs, rank), dtype=np.float32)
    facts = {
        "name": path.stem,
        "summary": "random pairs, for tests",
        "student": card.name,
        "alpha": float(rank),
        "rank": rank,
        "made_with": "tests/tiny_adapter.py",
        "license": "Apache-2.0",
    }
    save_file(tensors, path, {"vivant": json.dumps(facts | more)})
    return path


def info_of(name: str = "dusk", **instead: object) -> dict[str, Any]:
    facts: dict[str, Any] = {
        "name": name,
        "summary": "for tests",
        "student": "tiny",
        "alpha": 2.0,
        "rank": 2,
        "made_with": "tests/test_adapters.py",
        "license": "Apache-2.0",
    }
    return facts | instead


def tensors_of(rank: int = 2, seed: int = 0) -> Tensors:
    rng = np.random.default_rng(seed)
    found: Tensors = {}
    for part, sites in SITES.items():
        for site, (inputs, outputs) in sites.items():
            name = f"{PREFIX}{part}.{site}"
            found[f"{name}.lora_A.weight"] = rng.standard_normal((rank, inputs), dtype=np.float32)
            found[f"{name}.lora_B.weight"] = rng.standard_normal((outputs, rank), dtype=np.float32)
    return found


def write(path: Path, info: Mapping[str, object], tensors: Tensors | None = None) -> Path:
    rank = info["rank"]
    assert isinstance(rank, int)
    save_file(tensors_of(rank) if tensors is None else tensors, path, {"vivant": json.dumps(info)})
    return path


def adapter_of(name: str, rank: int = RANK, seed: int = 0, **instead: object) -> Adapter:
    rng = np.random.default_rng(seed)
    sizes = {part: [sum(size[i] for size in SITES[part].values()) for i in (0, 1)] for part in ADAPTED}
    down, up = (
        {part: rng.standard_normal((rank, sizes[part][i]), dtype=np.float32) for part in ADAPTED}
        for i in (0, 1)
    )
    return Adapter(AdapterInfo(**info_of(name, rank=rank, **instead)), down, up, "0" * 64)
