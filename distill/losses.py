"""What the student is trained to lower: distance to the teacher's picture, pixel by pixel and as texture."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

GRADIENT = 0.6
MEANS = 0.5
TEXTURE = 1.2
PROJECTIONS = 24
SCALES = ((1, 7), (2, 7), (1, 3))  # (downscale, filter size) of each comparison


def picture_loss(made: Tensor, wanted: Tensor) -> Tensor:
    """L1 of pixels, of gradients and of 4x4 means; both (B, 3, H, W)."""
    down = (made[..., 1:, :] - made[..., :-1, :]) - (wanted[..., 1:, :] - wanted[..., :-1, :])
    across = (made[..., 1:] - made[..., :-1]) - (wanted[..., 1:] - wanted[..., :-1])
    means = F.avg_pool2d(made - wanted, 4).abs().mean()
    gradient = down.abs().mean() + across.abs().mean()
    return (made - wanted).abs().mean() + GRADIENT * gradient + MEANS * means


def filters(count: int, size: int, generator: torch.Generator, device: torch.device | str) -> Tensor:
    """Random unit filters (count, 3, size, size); three of four have zero mean and see texture alone."""
    weight = torch.randn(count, 3, size, size, generator=generator, device="cpu")
    zero_mean = (torch.arange(count) % 4 != 0).float()[:, None, None, None]
    weight = weight - weight.mean((2, 3), keepdim=True) * zero_mean
    length = weight.square().sum((1, 2, 3), keepdim=True).sqrt()
    return (weight / length).to(device)


def sliced_wasserstein(made: Tensor, wanted: Tensor, generator: torch.Generator) -> Tensor:
    """Patch sliced-Wasserstein distance (Rabin et al. 2011; Elnekave & Weiss 2022), at two scales.

    Compares how the answers to random filters are distributed over each picture, not where they are:
    an averaged texture is punished even where every pixel is the best guess. Both (B, 3, H, W).
    """
    total = made.new_zeros(())
    for scale, size in SCALES:
        pair = torch.cat([made, wanted])
        if scale > 1:
            pair = F.avg_pool2d(pair, scale)
        y, x = torch.randint(0, 4, (2,), generator=generator).tolist()
        weight = filters(PROJECTIONS, size, generator, made.device)
        answers = F.conv2d(pair[..., y:, x:], weight, stride=4 if scale == 1 else 2).flatten(2).sort(2)[0]
        total = total + (answers[: len(made)] - answers[len(made) :]).abs().mean()
    return total / len(SCALES)
