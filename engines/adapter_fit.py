"""A house student's adapter of a higher rank than its slots have, written anew at theirs."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from vivant.engines.adapter import ADAPTED, PREFIX, opened, read_adapter, read_info
from vivant.engines.card import Card
from vivant.engines.diffusion.bank import Pair, padded, reduced
from vivant.engines.manifest import write_atomically
from vivant.runtime.frames import F32


def reduced_adapter(path: Path, card: Card, rank: int, out: Path) -> dict[str, float]:
    """Writes to `out` the nearest adapter of `rank` to that in `path`, alpha within the pairs. The share of
    its change that each layer lost (bank.reduced), by name. Raises EngineError as read_adapter, whatever the
    file's rank is, and OSError."""
    from safetensors.numpy import save

    info = read_info(path)
    read_adapter(path, _roomy(card, info.rank))
    tensors, metadata = opened(path)
    lost: dict[str, float] = {}
    made: dict[str, F32] = {}
    for part in ADAPTED:
        for site in card.adapters.sites[part] if card.adapters else ():
            names = [f"{PREFIX}{part}.{site}.lora_{letter}.weight" for letter in "AB"]
            if names[0] not in tensors:
                continue
            down, up = (tensors[name].reshape(tensors[name].shape[:2]) for name in names)
            pair = Pair(down[:, :, None, None], up * np.float32(info.alpha / info.rank))
            smaller, lost[f"{part}.{site}"] = reduced(pair, rank) if info.rank > rank else (pair, 0.0)
            whole = padded(smaller, rank)
            made |= dict(zip(names, (whole.down[:, :, 0, 0].copy(), whole.up), strict=True))
    told = info.model_copy(update={"rank": rank, "alpha": float(rank)})
    write_atomically(out, save(made, metadata | {"vivant": told.model_dump_json()}))
    return lost


def _roomy(card: Card, rank: int) -> Card:
    """The card with slots of at least this rank: everything else about a file must fit."""
    if card.adapters is None:
        return card
    roomy = card.adapters.model_copy(update={"rank": max(rank, card.adapters.rank)})
    return card.model_copy(update={"adapters": roomy})
