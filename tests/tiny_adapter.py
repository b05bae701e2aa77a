"""Adapter files with small random pairs at every site of a student, for tests of whatever wears them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from safetensors.numpy import save_file

from vivant.engines.adapter import PREFIX
from vivant.engines.card import Card


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
