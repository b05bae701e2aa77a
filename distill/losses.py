"""What the student is trained to lower: distance to the teacher's picture pixel by pixel, as texture and in
motion; and the patch critic that it plays against late in its training. No pretrained network."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

GRADIENT = 0.6
MEANS = 0.5
PROJECTIONS = 16
SCALES = ((1, 7), (2, 7), (1, 3))  # (downscale, filter size) of each comparison


def picture_loss(made: Tensor, wanted: Tensor) -> Tensor:
    """L1 of pixels, of gradients and of 4x4 means; both (B, 3, H, W)."""
    down = (made[..., 1:, :] - made[..., :-1, :]) - (wanted[..., 1:, :] - wanted[..., :-1, :])
    across = (made[..., 1:] - made[..., :-1]) - (wanted[..., 1:] - wanted[..., :-1])
    means = F.avg_pool2d(made - wanted, 4).abs().mean()
    gradient = down.abs().mean() + across.abs().mean()
    return (made - wanted).abs().mean() + GRADIENT * gradient + MEANS * means


def motion_loss(made: Tensor, wanted: Tensor) -> Tensor:
    """L1 between the changes of two successive frames, made and wanted, each (2P, 3, H, W): first all
    earlier frames, then all later ones."""
    before, after = made.chunk(2)
    was, will = wanted.chunk(2)
    return ((after - before) - (will - was)).abs().mean()


def filters(count: int, size: int, generator: torch.Generator, device: torch.device | str) -> Tensor:
    """Random unit filters (count, 3, size, size); three of four have zero mean and see texture alone."""
    weight = torch.randn(count, 3, size, size, generator=generator, device="cpu")
    zero_mean = (torch.arange(count) % 4 != 0).float()[:, None, None, None]
    weight = weight - weight.mean((2, 3), keepdim=True) * zero_mean
    length = weight.square().sum((1, 2, 3), keepdim=True).sqrt()
    return (weight / length).to(device)


def sliced_wasserstein(
    made: Tensor,
    wanted: Tensor,
    generator: torch.Generator,
    scales: Sequence[tuple[int, int]] = SCALES,
) -> Tensor:
    """Patch sliced-Wasserstein distance (Rabin et al. 2011; Elnekave & Weiss 2022), at some scales.

    Compares how the answers to random filters are distributed over each picture, not where they are:
    an averaged texture is punished even where every pixel is the best guess. Both (B, 3, H, W).
    """
    total = made.new_zeros(())
    for scale, size in scales:
        pair = torch.cat([made, wanted])
        if scale > 1:
            pair = F.avg_pool2d(pair, scale)
        y, x = torch.randint(0, 4, (2,), generator=generator).tolist()
        weight = filters(PROJECTIONS, size, generator, made.device)
        answers = F.conv2d(pair[..., y:, x:], weight, stride=4 if scale == 1 else 2).flatten(2).sort(2)[0]
        total = total + (answers[: len(made)] - answers[len(made) :]).abs().mean()
    return total / len(scales)


class Critic(nn.Module):
    """A patch discriminator (Isola et al. 2017) that knows the style by projection (Miyato & Koyama 2018).

    `forward` takes pictures (B, 3, H, W) and style weights (B, S), and gives scores (B, 1, H/8, W/8) and the
    features of each layer.
    """

    def __init__(self, styles: int) -> None:
        super().__init__()
        widths = (3, 32, 64, 96)
        norm = nn.utils.parametrizations.spectral_norm
        self.layers = nn.ModuleList([norm(nn.Conv2d(a, b, 4, 2, 1)) for a, b in itertools.pairwise(widths)])
        self.plain = nn.Conv2d(widths[-1], 1, 3, 1, 1)
        self.styled = nn.Linear(styles, widths[-1], bias=False)

    def forward(self, picture: Tensor, style: Tensor) -> tuple[Tensor, list[Tensor]]:
        features, x = [], picture * 2 - 1
        for layer in self.layers:
            x = F.leaky_relu(layer(x), 0.2)
            features.append(x)
        score = self.plain(x) + (x * self.styled(style)[:, :, None, None]).sum(1, keepdim=True)
        return score, features


def critic_loss(critic: Critic, made: Tensor, wanted: Tensor, style: Tensor) -> Tensor:
    """Hinge loss of the critic; `made` is not followed back."""
    false, _ = critic(made.detach(), style)
    true, _ = critic(wanted, style)
    return F.relu(1 + false).mean() + F.relu(1 - true).mean()


def fool_loss(critic: Critic, made: Tensor, wanted: Tensor, style: Tensor) -> tuple[Tensor, Tensor]:
    """What the student lowers: the negated score, and the L1 distance of the critic's features."""
    score, features = critic(made, style)
    with torch.no_grad():
        _, wanted_features = critic(wanted, style)
    matching = sum(
        ((a - b).abs().mean() for a, b in zip(features, wanted_features, strict=True)), made.new_zeros(())
    )
    return -score.mean(), matching
