"""Keeps pictures still as torch operations on one device: what vivant.runtime.still does, in a whole frame.

The same bounds and the same mean; rounding may fall to the neighbouring level. Imports torch.
"""

from __future__ import annotations

from typing import Final

import torch
from torch import Tensor
from torch.nn import functional as F

from vivant.engines.device_contract import Chooser
from vivant.runtime.still import CARRIED, CELL, CODE_MOVED, GUIDE_MOVED, REACH, WORD

CHANNELS: Final = slice(CARRIED.start * WORD, CARRIED.stop * WORD)


class DeviceStill:
    """For one size of picture on one device; as vivant.engines.device_contract.Keeper. What the guard did not
    admit leaves it as it was."""

    def __init__(
        self,
        picture: tuple[int, ...],
        code: tuple[int, ...],
        guide: tuple[int, ...] | None,
        planes: tuple[int, ...] | None,
        device: torch.device,
    ) -> None:
        """The shapes of what it will see; `guide` and `planes` None for a student without."""
        self.picture = torch.zeros(picture, dtype=torch.uint8, device=device)
        self._code = torch.zeros(code, device=device)
        self._guide = None if guide is None else torch.zeros(guide, device=device)
        self._planes = None
        if planes is not None:
            self._planes = carried(torch.zeros(planes, dtype=torch.uint8, device=device)).clone()
        self._reach = torch.from_numpy(REACH).to(device, torch.float32)[None, None]

    @torch.no_grad()
    def keep(self, picture: Tensor, chosen: Chooser, planes: Tensor | None, share: Tensor) -> None:
        """As Still.keep, of a picture u8 (1, H, W, 4) that was decoded from what the guard chose; `share` f32
        () is that of this picture in the mean, 1 takes it as it is."""
        admitted = chosen.numbers[0] > 0.5
        moved = self._moved(chosen, planes)
        mean = (picture.float() * share + self.picture.float() * (1 - share)).round().to(torch.uint8)
        shown = torch.where(_spread(moved, picture.shape), picture, mean)
        self._take(self.picture, shown, admitted)
        self._take(self._code, chosen.code, admitted)
        if self._guide is not None and chosen.guide is not None:
            self._take(self._guide, chosen.guide, admitted)
        if self._planes is not None and planes is not None:
            self._take(self._planes, carried(planes), admitted)

    def _moved(self, chosen: Chooser, planes: Tensor | None) -> Tensor:
        """Which cells (h, w) are painted from something else than last time, and those round about."""
        moved = (chosen.code - self._code).abs().amax(1)[0] > CODE_MOVED
        if self._guide is not None and chosen.guide is not None:
            moved = moved | (F.avg_pool2d((chosen.guide - self._guide).abs(), CELL)[0, 0] > GUIDE_MOVED)
        if self._planes is not None and planes is not None:
            moved = moved | (carried(planes) != self._planes).any(-1)
        found = F.conv2d(moved[None, None].float(), self._reach, padding=self._reach.shape[-1] // 2)
        return found[0, 0] > 0.5

    def _take(self, held: Tensor, now: Tensor, admitted: Tensor) -> None:
        held.copy_(torch.where(admitted, now, held))


def carried(planes: Tensor) -> Tensor:
    """Of planes u8 (1, H/2, W/2, C) what vivant.runtime.still compares, (h, w, n)."""
    return planes[0, 1::CELL, 1::CELL, CHANNELS]


def _spread(cells: Tensor, picture: torch.Size) -> Tensor:
    """Cells (h, w) over the pixels of a picture (1, H, W, 4), as (1, H, W, 1)."""
    rows, columns = cells.shape
    high, wide = picture[1] // rows, picture[2] // columns
    spread = cells[:, None, :, None].expand(rows, high, columns, wide)
    return spread.reshape(1, *picture[1:3], 1)
