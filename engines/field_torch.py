"""The planes of one canvas as torch operations on one device, for frames that never leave a GPU.

The same textures, recipes and arithmetic as vivant.engines.field, with buffers that stay where they are. What
the styles ask for are numbers on the device: the host is asked nothing, and one captured graph serves all.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Final

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from vivant.engines.contract import EngineError
from vivant.engines.field import BANKS, CANVAS, HALF, SURE, PlaneField, _carry, _Motion, demands, tile_blocks
from vivant.engines.slots import GROUPS, ORIENTED, RECIPES, block
from vivant.engines.textures.store import ORIENTATIONS, UNIT, ZERO
from vivant.runtime.frames import F32, U8, Array

ASKED: Final = 1 + 2 * len(GROUPS)  # how much of the last tangents stays; of each group a place and a gain
_LIFT = 0.02
_BLURS = ((7, 1.15, 1.0), (13, 2.5, 0.6))  # kernel size, sigma and share of each scale


class TorchPlaneField:
    """Planes for one canvas on `device`, for styles and adapters that paint with `recipes`. `size_px` is
    (width, height), multiples of 32; the same `seed` lays the same textures as PlaneField does. One thread.

    `planes` u8 (1, H/2, W/2, CHANNELS) and `shift` i16 (H/2, W/2, 2), by how many blocks the texture was
    carried there (x, y), stay where they are."""

    def __init__(
        self,
        size_px: tuple[int, int],
        seed: int,
        device: torch.device | str,
        recipes: Iterable[str] = RECIPES,
    ) -> None:
        own = PlaneField(size_px, seed)
        rows, columns = (torch.from_numpy(np.asarray(a)).to(device) for a in own.places)
        self._rows, self._columns = rows, columns
        self._still = rows * HALF + columns
        self._prior = torch.from_numpy(own.prior).to(device).permute(2, 0, 1)[None]
        self.planes = torch.full(own.planes.shape, ZERO, dtype=torch.uint8, device=device)
        self.shift = torch.zeros((*own.planes.shape[1:3], 2), dtype=torch.int16, device=device)
        self._held = torch.zeros_like(self._prior)
        self._began = False
        self._textures, self._places = _textures(recipes, device)
        self._motion = _Motion((size_px[0] // 4, size_px[1] // 4))
        self._kernels = [(_gaussian(n, sigma).to(device), share) for n, sigma, share in _BLURS]
        sobel = torch.tensor([[-1.0, 0.0, 1.0], [-2.0, 0.0, 2.0], [-1.0, 0.0, 1.0]]) / 16
        self._sobel = torch.stack([sobel, sobel.t()])[:, None].to(device)

    def ask(self, weights: Mapping[str, float], hold: float = 0.0) -> F32:
        """What `put` is to be given for styles by weight: f32 (ASKED,). See PlaneField.update. Raises
        EngineError for a recipe whose textures were not laid out."""
        wanted = demands(weights)
        asked = np.zeros(ASKED, np.float32)
        asked[0] = hold if self._began else 0.0
        self._began = True
        for index, group in enumerate(GROUPS):
            source, gain = wanted.get(group, ("", 0.0))
            if source and source not in self._places[group]:
                raise EngineError(f"planes were made ready without '{source}', which {[*weights]} ask for")
            asked[1 + 2 * index : 3 + 2 * index] = self._places[group].get(source, 0), gain
        return asked

    def follow(self, guide: F32, weights: Mapping[str, float], carry: float = 1.0) -> Array | None:
        """What `shift` is to be after a guide on the host, (1, 1, H/2, W/2); None where nothing is
        carried."""
        return self._motion.follow(guide[0, 0], carry * _carry(weights))

    @torch.no_grad()
    def put(self, guide: Tensor, asked: Tensor) -> None:
        """Write `planes` for a guide f32 (1, 1, H/2, W/2) and what `ask` gave, both on the device."""
        entry = self._orient(guide, asked[0])
        columns = (self._columns - self.shift[..., 0]) & (HALF - 1)
        rows = (self._rows - self.shift[..., 1]) & (HALF - 1)
        flat = rows * HALF + columns
        oriented = (rows * (ORIENTATIONS + 1) + entry) * HALF + columns
        for index, group in enumerate(GROUPS):
            if group in self._textures:
                where = oriented if group in ORIENTED else self._still if group == CANVAS else flat
                place, gain = asked[1 + 2 * index], asked[2 + 2 * index]
                self.planes[0, ..., block(group)] = self._gathered(group, where + place.long(), gain)

    def update(self, guide: Tensor, weights: Mapping[str, float], hold: float = 0.0) -> Tensor:
        """`ask` and `put` in one; the same tensor at each call."""
        self.put(guide, torch.from_numpy(self.ask(weights, hold)).to(guide.device))
        return self.planes

    def forget(self) -> None:
        """Start anew: the next call's tangents owe nothing to what came before."""
        self._began = False
        self._held.zero_()
        self._motion.forget()
        self.shift.zero_()

    def _gathered(self, group: str, index: Tensor, gain: Tensor) -> Tensor:
        taken = self._textures[group].index_select(0, index.reshape(-1)).view(torch.uint8)
        pale = taken.float() * gain + ZERO * (1.0 - gain)
        return pale.round().to(torch.uint8).reshape(*index.shape, -1)

    def _orient(self, guide: Tensor, hold: Tensor) -> Tensor:
        self._held.copy_(self._held * hold + self._tangents(guide) * (1 - hold))
        strength = self._held.norm(dim=1, keepdim=True)
        field = self._held + self._prior
        unit = field / (field.norm(dim=1, keepdim=True) + 1e-12)
        form = torch.cat([unit, strength / (strength + SURE), torch.zeros_like(strength)], 1)
        levels = (form * UNIT + ZERO).round().clamp(0, 255)
        full = F.interpolate(levels, scale_factor=2.0, mode="bilinear", align_corners=False).round()
        self.planes[..., block("form")] = full.permute(0, 2, 3, 1).to(torch.uint8)
        angle = torch.atan2(full[0, 1] - ZERO, full[0, 0] - ZERO) % (2 * math.pi)
        return (angle * (ORIENTATIONS / (2 * math.pi))).round().long()

    def _tangents(self, guide: Tensor) -> Tensor:
        """As vivant.engines.field.tangents, (1, 2, H/4, W/4)."""
        gradient = F.conv2d(_framed(guide, 1), self._sobel)
        dx, dy = gradient[:, :1], gradient[:, 1:]
        lift = 1 / (gradient.norm(dim=1, keepdim=True) + _LIFT)
        double = torch.cat([(dy * dy - dx * dx) * lift, -2 * dx * dy * lift], 1)
        quarter = F.avg_pool2d(double, 2)
        total = torch.zeros_like(quarter)
        for kernel, share in self._kernels:
            reach = len(kernel) // 2
            across = F.conv2d(_framed(quarter, reach), kernel[None, None, None].expand(2, 1, 1, -1), groups=2)
            total += share * F.conv2d(across, kernel[None, None, :, None].expand(2, 1, -1, 1), groups=2)
        return total


def _textures(
    recipes: Iterable[str], device: torch.device | str
) -> tuple[dict[str, Tensor], dict[str, dict[str, int]]]:
    """By group: its textures below each other, as words (N, words of a block), and where each begins."""
    wanted: dict[str, dict[str, None]] = {group: {} for group in GROUPS}
    for recipe in recipes:
        for group, source in RECIPES[recipe].sources.items():
            wanted[group][source] = None
    textures: dict[str, Tensor] = {}
    places: dict[str, dict[str, int]] = {group: {} for group in GROUPS}
    for group, sources in wanted.items():
        rows: list[U8] = []
        for source in sources:
            made = np.array(BANKS[source]() if group in ORIENTED else tile_blocks(source))
            places[group][source] = sum(len(one) for one in rows)
            rows.append(made.reshape(-1, made.shape[-1]))
        if rows:
            whole = torch.from_numpy(np.concatenate(rows).view(np.int64))  # moved in words, not bytes
            textures[group] = whole.to(device)
    return textures, places


def _framed(x: Tensor, reach: int) -> Tensor:
    """Mirrored about its outermost pixels, as OpenCV's filters do by default."""
    return F.pad(x, (reach,) * 4, mode="reflect")


def _gaussian(size: int, sigma: float) -> Tensor:
    u = torch.arange(size, dtype=torch.float32) - size // 2
    kernel = torch.exp(-0.5 * (u / sigma) ** 2)
    return kernel / kernel.sum()
