"""Reading the training pool while it is still being painted: shards mapped, crops cut from them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import numpy as np

from vivant.distill.shards import SIZE_PX, PoolError, open_arrays, read_shard, shards_in
from vivant.runtime.frames import F32, U8

BLENDS: Final = "blends"
GRID_PX: Final = 8  # crops start on this grid, so that every resolution of the student falls on whole pixels
HELD_BACK: Final = 0  # the shard of this number is for looking at and never trained on


@dataclass(frozen=True, slots=True)
class Pairs:
    """`structure` and `picture` u8 (B, H, W, 3), `planes` u8 (B, H/2, W/2, CHANNELS), `weights` f32 (B, S)
    in the order of the pool's styles."""

    structure: U8
    picture: U8
    planes: U8
    weights: F32


@dataclass(slots=True)
class _Folder:
    """The shards of one folder, which item lies where, and those that have a frame before them."""

    shards: dict[int, Pairs] = field(default_factory=dict)
    items: list[tuple[int, int]] = field(default_factory=list)
    seconds: list[tuple[int, int]] = field(default_factory=list)


class Pool:
    """The shards of some styles, and of blends of these alone. `refresh` looks what has come."""

    def __init__(self, folder: Path, styles: Sequence[str]) -> None:
        self.folder = folder
        self.styles = tuple(styles)
        self._folders: dict[str, _Folder] = {name: _Folder() for name in (*self.styles, BLENDS)}

    def refresh(self) -> dict[str, int]:
        """Find new shards; how many items there are to train on, by folder. Raises PoolError when a style has
        none: the first shard of each is held back."""
        for name, found in self._folders.items():
            for index, place in shards_in(self.folder, name).items():
                if index not in found.shards:
                    self._add(found, index, place)
        counts = {name: len(found.items) for name, found in self._folders.items()}
        if lacking := [style for style in self.styles if not counts[style]]:
            raise PoolError(
                f"{self.folder} has nothing to train {', '.join(lacking)} on (the first shard of each is "
                f"held back). Run: vivant distill paint --styles {','.join(lacking)} --shards 2 "
                f"--out {self.folder}"
            )
        return {name: count for name, count in counts.items() if count}

    def batch(self, rng: np.random.Generator, picks: Sequence[str], crop_px: int) -> Pairs:
        """One random crop for each of `picks`, folders of the pool; `crop_px` is a multiple of GRID_PX."""
        crops = []
        for name in picks:
            shard, item = self._one_of(name, self._folders[name].items, rng)
            crops.append(_crop(shard, item, *_place(rng, crop_px), crop_px))
        return _stack(crops)

    def moving(self, rng: np.random.Generator, picks: Sequence[str], crop_px: int) -> tuple[Pairs, Pairs]:
        """For each of `picks` the same crop of two successive frames: the frames, and the next ones."""
        now, then = [], []
        for name in picks:
            shard, item = self._one_of(name, self._folders[name].seconds, rng)
            y, x = _place(rng, crop_px)
            now.append(_crop(shard, item - 1, y, x, crop_px))
            then.append(_crop(shard, item, y, x, crop_px))
        return _stack(now), _stack(then)

    def held_back(self) -> dict[str, Pairs]:
        """The items that are never trained on, by folder: whole, mapped and not read."""
        found = {name: folder.shards.get(HELD_BACK) for name, folder in self._folders.items()}
        return {name: pairs for name, pairs in found.items() if pairs is not None}

    def _add(self, found: _Folder, index: int, place: Path) -> None:
        told = read_shard(place)
        if {style for item in told.items for style in item.weights}.difference(self.styles):
            return
        weights = [[item.weights.get(style, 0.0) for style in self.styles] for item in told.items]
        found.shards[index] = Pairs(**open_arrays(place), weights=np.array(weights, np.float32))
        if index == HELD_BACK:
            return
        found.items += [(index, i) for i in range(len(told.items))]
        found.seconds += [(index, i) for i, item in enumerate(told.items) if item.follows]

    def _one_of(
        self, name: str, places: Sequence[tuple[int, int]], rng: np.random.Generator
    ) -> tuple[Pairs, int]:
        if not places:
            raise PoolError(
                f"{self.folder / name} has no item of the kind asked for. Paint more shards of it"
            )
        index, item = places[int(rng.integers(len(places)))]
        return self._folders[name].shards[index], item


def _place(rng: np.random.Generator, crop_px: int) -> tuple[int, int]:
    y, x = (rng.integers(0, (SIZE_PX - crop_px) // GRID_PX + 1, 2) * GRID_PX).tolist()
    return y, x


def _crop(shard: Pairs, item: int, y: int, x: int, size_px: int) -> Pairs:
    rows, columns = slice(y, y + size_px), slice(x, x + size_px)
    half = slice(y // 2, (y + size_px) // 2), slice(x // 2, (x + size_px) // 2)
    return Pairs(
        structure=shard.structure[item, rows, columns],
        picture=shard.picture[item, rows, columns],
        planes=shard.planes[item, half[0], half[1]],
        weights=shard.weights[item],
    )


def _stack(crops: Sequence[Pairs]) -> Pairs:
    return Pairs(
        structure=np.stack([crop.structure for crop in crops]),
        picture=np.stack([crop.picture for crop in crops]),
        planes=np.stack([crop.planes for crop in crops]),
        weights=np.stack([crop.weights for crop in crops]),
    )
