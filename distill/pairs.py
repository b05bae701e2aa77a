"""Reading the training pool while painters still fill it: structures, planes and pictures, cut into crops."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from vivant.engines.network import STYLES
from vivant.runtime.frames import U8, VivantError

HELD_BACK = 8  # the first pairs of each painter are for looking at and never trained on
GRID_PX = 16  # crops start on this grid, so that every resolution of the student falls on whole pixels


class PoolError(VivantError):
    """The pool is missing, or holds too little to train on."""


@dataclass(frozen=True, slots=True)
class Pairs:
    """`structure` and `picture` u8 (B, H, W, 3), `planes` u8 (B, 20, H, W), `style` (B,) indices."""

    structure: U8
    picture: U8
    planes: U8
    style: U8


class Pool:
    """The painters' arrays, mapped and not read; `refresh` looks how far each painter has come."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._arrays: dict[str, Pairs] = {}
        self._done: dict[str, int] = {}
        self._by_style: list[list[tuple[str, int]]] = [[] for _ in range(STYLES)]

    def refresh(self) -> int:
        """Read every painter's count; the number of pairs to train on. Raises PoolError if a style
        has none."""
        for meta in sorted(self.folder.glob("meta*.json")):
            worker = meta.stem.removeprefix("meta")
            if worker not in self._arrays:
                names = ("structure", "picture", "planes", "style")
                maps = [np.load(self.folder / f"{name}{worker}.npy", mmap_mode="r") for name in names]
                self._arrays[worker] = Pairs(*maps)
            done = int(json.loads(meta.read_text())["done"])
            for index in range(max(HELD_BACK, self._done.get(worker, 0)), done):
                self._by_style[int(self._arrays[worker].style[index])].append((worker, index))
            self._done[worker] = done
        if not all(self._by_style):
            raise PoolError(
                f"{self.folder} does not hold pairs of every style to train on (the first {HELD_BACK} of "
                f"each painter are held back). Run: python -m vivant.distill.paint --out {self.folder}"
            )
        return sum(map(len, self._by_style))

    def batch(self, rng: np.random.Generator, styles: Sequence[int], crop_px: int) -> Pairs:
        """One random crop for each of `styles`."""
        return _stack([self._crop(self._by_style[style], rng, crop_px) for style in styles])

    def held_back(self) -> Pairs:
        """The whole pairs that are never trained on."""
        found = [(w, i) for w, done in self._done.items() for i in range(min(done, HELD_BACK))]
        return _stack([_cut(self._arrays[w], i, slice(None), slice(None)) for w, i in found])

    def _crop(self, pairs: list[tuple[str, int]], rng: np.random.Generator, crop_px: int) -> Pairs:
        worker, index = pairs[rng.integers(len(pairs))]
        arrays = self._arrays[worker]
        places = (np.array(arrays.structure.shape[1:3]) - crop_px) // GRID_PX + 1
        y, x = (int(v) * GRID_PX for v in rng.integers(0, places))
        return _cut(arrays, index, slice(y, y + crop_px), slice(x, x + crop_px))


def _cut(arrays: Pairs, index: int, rows: slice, columns: slice) -> Pairs:
    return Pairs(
        arrays.structure[index, rows, columns],
        arrays.picture[index, rows, columns],
        arrays.planes[index, :, rows, columns],
        arrays.style[index],
    )


def _stack(pairs: list[Pairs]) -> Pairs:
    return Pairs(
        np.stack([p.structure for p in pairs]),
        np.stack([p.picture for p in pairs]),
        np.stack([p.planes for p in pairs]),
        np.stack([p.style for p in pairs]),
    )
