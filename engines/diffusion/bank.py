"""Adapter slots of a diffusion student: where low-rank pairs enter, and how they lie in memory.

One slot is one row of one tensor, so that a swap is one contiguous copy. Within a row each site has its pair
side by side: `down` (R, taps, inputs), then `up` (R, outputs). A linear layer has one tap, a 3x3 convolution
nine. Adapters of lower rank are padded with zeros.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from vivant.runtime.frames import F32


@dataclass(frozen=True, slots=True)
class Site:
    """A layer that takes adapters, by its name in the network. `kernel` is (1, 1) for a linear layer."""

    name: str
    inputs: int
    outputs: int
    kernel: tuple[int, int] = (1, 1)

    @property
    def taps(self) -> int:
        return self.kernel[0] * self.kernel[1]


@dataclass(frozen=True, slots=True)
class Pair:
    """A low-rank pair of one layer (LoRA, Hu et al. 2021): `down` (r, inputs, kh, kw), `up` (outputs, r);
    what it adds to the weight is up @ down, alpha / r already in `up`."""

    down: F32
    up: F32

    @property
    def rank(self) -> int:
        return int(self.up.shape[1])


@dataclass(frozen=True, slots=True)
class Layout:
    """`slots` adapters of at most `rank` at `sites`, in the order that they have in a row."""

    sites: tuple[Site, ...]
    slots: int
    rank: int

    @property
    def starts(self) -> tuple[int, ...]:
        """Where each site begins in a row; the last entry is the row's length."""
        found = [0]
        for site in self.sites:
            found.append(found[-1] + self.rank * (site.taps * site.inputs + site.outputs))
        return tuple(found)

    @property
    def width(self) -> int:
        return self.starts[-1]

    def pack(self, pairs: Mapping[str, Pair]) -> F32:
        """One slot's row (width,) from pairs by site; off the frame path. Ranks must fit (lora.read_lora)."""
        row = np.zeros(self.width, np.float32)
        for site, start in zip(self.sites, self.starts, strict=False):
            pair = pairs.get(site.name)
            if pair is None:
                continue
            length = site.taps * site.inputs
            down = row[start : start + self.rank * length].reshape(self.rank, length)
            down[: pair.rank] = pair.down.transpose(0, 2, 3, 1).reshape(pair.rank, length)
            up = row[start + self.rank * length :][: self.rank * site.outputs]
            up.reshape(self.rank, site.outputs)[: pair.rank] = pair.up.T
        return row


class Hooks(Protocol):
    """Where packed rows hang: `scale` f32 (1, K) lies on the host."""

    scale: F32

    def hang(self, slot: int, row: F32) -> None: ...
    def inputs(self) -> dict[str, F32]: ...


class Bank:
    """A student's adapter inputs, as arrays that stay where they are. One thread."""

    def __init__(self, layout: Layout) -> None:
        self.adapters = np.zeros((layout.slots, layout.width), np.float32)
        self.scale = np.zeros((1, layout.slots), np.float32)

    def hang(self, slot: int, row: F32) -> None:
        """Swap: one contiguous copy of a packed row."""
        np.copyto(self.adapters[slot], row)

    def inputs(self) -> dict[str, F32]:
        """By the names that the graph gives them."""
        return {"adapters": self.adapters, "adapter_scale": self.scale}


def reduced(pair: Pair, rank: int) -> tuple[Pair, float]:
    """The nearest pair of a lower rank (Eckart and Young 1936), and the share of the change that is lost:
    |change - nearest| / |change| in the Frobenius norm."""
    flat = pair.down.reshape(pair.rank, -1).astype(np.float64)
    left, triangle_left = np.linalg.qr(pair.up.astype(np.float64))
    right, triangle_right = np.linalg.qr(flat.T)
    u, s, v = np.linalg.svd(triangle_left @ triangle_right.T)
    whole = float(np.linalg.norm(s))
    lost = float(np.linalg.norm(s[rank:])) / whole if whole > 0.0 else 0.0
    root = np.sqrt(s[:rank])
    up = (left @ u[:, :rank]) * root
    down = (root[:, None] * v[:rank]) @ right.T
    shape = (min(rank, len(s)), *pair.down.shape[1:])
    return Pair(down.astype(np.float32).reshape(shape), up.astype(np.float32)), lost


def padded(pair: Pair, rank: int) -> Pair:
    """The same change at a rank that is no lower, by rows of zeros."""
    more = rank - pair.rank
    down = np.concatenate([pair.down, np.zeros((more, *pair.down.shape[1:]), np.float32)])
    return Pair(down, np.concatenate([pair.up, np.zeros((len(pair.up), more), np.float32)], 1))


def change(pair: Pair) -> F32:
    """What a pair adds to a weight, (outputs, inputs, kh, kw)."""
    flat = pair.up @ pair.down.reshape(pair.rank, -1)
    return flat.reshape(len(pair.up), *pair.down.shape[1:])


def macs(sites: Sequence[Site], places: Mapping[str, int], rank: int) -> int:
    """Multiply-accumulates that `rank` rows of adapters add, at `places` positions of each site. A k x k
    convolution is one product per tap, and a fixed convolution that puts the taps in place."""
    return sum(
        places[site.name] * rank * (site.taps * site.inputs + site.outputs + (site.taps**2) * (site.taps > 1))
        for site in sites
    )


def finite(pair: Pair) -> bool:
    return math.isfinite(float(np.abs(pair.up).sum())) and math.isfinite(float(np.abs(pair.down).sum()))
