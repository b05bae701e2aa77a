"""The planes of one canvas as torch operations on one device, for frames that never leave a GPU.

The same textures, recipes and arithmetic as vivant.engines.field, with buffers that stay where they are, so
that an update can be part of a captured graph. What it has not: planes carried by motion (the flow runs on
the CPU); they stay on the canvas here.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from vivant.engines.field import BANKS, HALF, SURE, PlaneField, demands, tile_blocks
from vivant.engines.slots import ORIENTED, block
from vivant.engines.textures.store import ORIENTATIONS, UNIT, ZERO

_LIFT = 0.02
_BLURS = ((7, 1.15, 1.0), (13, 2.5, 0.6))  # kernel size, sigma and share of each scale


class TorchPlaneField:
    """Planes for one canvas on `device`. `size_px` is (width, height), multiples of 32; the same `seed` lays
    the same textures as PlaneField does. One thread."""

    def __init__(self, size_px: tuple[int, int], seed: int, device: str | torch.device) -> None:
        own = PlaneField(size_px, seed)
        rows, columns = (torch.from_numpy(np.asarray(a)).to(device) for a in own.places)
        self._rows, self._columns = rows, columns
        self._prior = torch.from_numpy(own.prior).to(device).permute(2, 0, 1)[None]
        self.planes = torch.full(own.planes.shape, ZERO, dtype=torch.uint8, device=device)
        self._held = torch.zeros_like(self._prior)
        self._began = False
        self._textures: dict[str, Tensor] = {}
        self._shown: dict[str, tuple[str, float]] = {}
        self._kernels = [(_gaussian(n, sigma).to(device), share) for n, sigma, share in _BLURS]
        sobel = torch.tensor([[-1.0, 0.0, 1.0], [-2.0, 0.0, 2.0], [-1.0, 0.0, 1.0]]) / 16
        self._sobel = torch.stack([sobel, sobel.t()])[:, None].to(device)

    @torch.no_grad()
    def update(self, guide: Tensor, weights: Mapping[str, float], hold: float = 0.0) -> Tensor:
        """Planes u8 (1, H/2, W/2, CHANNELS) for a guide f32 (1, 1, H/2, W/2), the same tensor at each call.
        See PlaneField.update."""
        wanted = demands(weights)
        for group in self._shown.keys() - wanted.keys():
            self.planes[..., block(group)] = ZERO
        entry = self._orient(guide, hold)
        flat = self._rows * HALF + self._columns
        oriented = (self._rows * (ORIENTATIONS + 1) + entry) * HALF + self._columns
        for group, (source, gain) in wanted.items():
            if group in ORIENTED or self._shown.get(group) != (source, gain):
                self._gather(group, source, oriented if group in ORIENTED else flat, gain)
        self._shown = wanted
        return self.planes

    def _gather(self, group: str, source: str, index: Tensor, gain: float) -> None:
        if source not in self._textures:
            made = BANKS[source]() if group in ORIENTED else tile_blocks(source)
            texture = torch.from_numpy(np.array(made)).to(index.device)
            self._textures[source] = texture.reshape(-1, made.shape[-1])
        taken = self._textures[source][index.reshape(-1)].reshape(*index.shape, -1)
        if gain < 1.0:
            taken = (taken.float() * gain + ZERO * (1.0 - gain)).round().to(torch.uint8)
        self.planes[0, ..., block(group)] = taken

    def _orient(self, guide: Tensor, hold: float) -> Tensor:
        now = self._tangents(guide)
        self._held.copy_(now if not self._began else self._held * hold + now * (1 - hold))
        self._began = True
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


def _framed(x: Tensor, reach: int) -> Tensor:
    """Mirrored about its outermost pixels, as OpenCV's filters do by default."""
    return F.pad(x, (reach,) * 4, mode="reflect")


def _gaussian(size: int, sigma: float) -> Tensor:
    u = torch.arange(size, dtype=torch.float32) - size // 2
    kernel = torch.exp(-0.5 * (u / sigma) ** 2)
    return kernel / kernel.sum()
