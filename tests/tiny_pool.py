"""A pool of shards for tests of whatever trains: pictures are the negatives of their structures."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from vivant.distill.shards import ITEMS, SHAPES, Item, Shard, write_shard

FOLLOWS = (13, 15)  # the next frames of the items before them


def write_tiny_pool(folder: Path, styles: Sequence[str], shards: int = 2) -> Path:
    """Writes `shards` shards for each style and, for two styles and more, of blends of the first two."""
    rng = np.random.default_rng(0)
    planes = rng.integers(0, 256, SHAPES["planes"], dtype=np.uint8)
    wishes = {style: {style: 1.0} for style in styles}
    if len(styles) > 1:
        wishes["blends"] = {styles[0]: 0.4, styles[1]: 0.6}
    for name, weights in wishes.items():
        for index in range(shards):
            coarse = rng.integers(0, 256, (ITEMS, 8, 8, 3), dtype=np.uint8)
            for i in FOLLOWS:
                coarse[i] = np.roll(coarse[i - 1], 1, 1)
            structure = np.repeat(np.repeat(coarse, 32, 1), 32, 2)
            items = tuple(Item(weights, i in FOLLOWS, i) for i in range(ITEMS))
            arrays = {"structure": structure, "picture": 255 - structure, "planes": planes}
            write_shard(folder, Shard(name, index, items, 1.0, {}, {}), arrays)
    return folder
