"""The house student in torch: three small networks that share nothing but the latent between them.

`House(...).encode`, `.denoise` and `.decode` take and give exactly what the exported graphs do, so the
torch backend runs them as they are. Imported by vivant.distill and by the torch backend, by nothing else.

Built for INT8 on a CPU: ReLU, BatchNorm that folds, added skips, nearest upsampling, and as little as
possible at the higher resolutions (half resolution is the highest any wide layer runs at).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

CODE_CHANNELS = 16
PLANES = 20
STYLES = 4
CENTRE = 128.0  # the u8 value that stands for zero, in frames and in planes
FRAME_STEP = 1 / 255
PLANE_STEP = 1 / 64
LUMA = (0.299, 0.587, 0.114)  # ITU-R BT.601
BATCH_MOMENTUM = 0.05


@dataclass(frozen=True, slots=True)
class Widths:
    """Channels by resolution; `style` is the length of the vector that styles and sigma are embedded in."""

    half: int = 32
    quarter: int = 48
    eighth: int = 64
    sixteenth: int = 128
    style: int = 32


class ConvNorm(nn.Module):
    """A convolution and the BatchNorm that folds into it."""

    def __init__(self, cin: int, cout: int, kernel: int, stride: int = 1, gain: float = 1.0) -> None:
        super().__init__()
        pad = (kernel - stride + 1) // 2
        self.conv = nn.Conv2d(cin, cout, kernel, stride, pad, bias=False)
        self.norm = nn.BatchNorm2d(cout, momentum=BATCH_MOMENTUM)
        nn.init.constant_(self.norm.weight, gain)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.norm(self.conv(x))
        return out


class Film(nn.Module):
    """Scales and shifts channels by an embedding (FiLM, Perez et al. 2018); starts as the identity."""

    def __init__(self, style: int, channels: int) -> None:
        super().__init__()
        self.channels = channels
        self.linear = nn.Linear(style, 2 * channels)
        nn.init.zeros_(self.linear.weight)
        nn.init.zeros_(self.linear.bias)

    def forward(self, x: Tensor, embedding: Tensor) -> Tensor:
        scale, shift = torch.split(self.linear(embedding), self.channels, 1)
        return x * (1 + scale)[:, :, None, None] + shift[:, :, None, None]


class Block(nn.Module):
    """A residual block; with `style`, its first half is scaled and shifted by the embedding."""

    def __init__(self, channels: int, style: int = 0) -> None:
        super().__init__()
        self.first = ConvNorm(channels, channels, 3)
        self.second = ConvNorm(channels, channels, 3, gain=0.3)
        self.film = Film(style, channels) if style else None

    def forward(self, x: Tensor, embedding: Tensor | None = None) -> Tensor:
        h = self.first(x)
        if self.film is not None and embedding is not None:
            h = self.film(h, embedding)
        return F.relu(x + self.second(F.relu(h)))


def up(x: Tensor) -> Tensor:
    return F.interpolate(x, scale_factor=2.0, mode="nearest")


class Encode(nn.Module):
    """`frame` u8 (B, H, W, 3) sRGB -> `code` (B, 16, H/8, W/8) about unit variance, `guide` (B, 1, H/2, W/2).

    The guide is fixed, not learned: the mean luma of 2x2 pixels, in [0, 1].
    """

    luma: Tensor
    middle: Tensor

    def __init__(self, widths: Widths) -> None:
        super().__init__()
        self.stem = ConvNorm(3, 32, 4, 4)
        self.down = ConvNorm(32, widths.quarter, 3, 2)
        self.block = Block(widths.quarter)
        self.project = nn.Conv2d(widths.quarter, CODE_CHANNELS, 1)
        self.norm = nn.BatchNorm2d(CODE_CHANNELS, momentum=BATCH_MOMENTUM, affine=False)
        weight = torch.tensor(LUMA).reshape(1, 3, 1, 1).expand(1, 3, 2, 2) / 4
        self.register_buffer("luma", weight.contiguous(), persistent=False)
        self.register_buffer("middle", torch.tensor([CENTRE * FRAME_STEP]), persistent=False)

    def forward(self, frame: Tensor) -> tuple[Tensor, Tensor]:
        x = (frame.permute(0, 3, 1, 2).float() - CENTRE) * FRAME_STEP
        guide = F.conv2d(x, self.luma, self.middle, stride=2)
        h = self.block(F.relu(self.down(F.relu(self.stem(x)))))
        return self.norm(self.project(h)), guide


class Denoise(nn.Module):
    """The few-step student, k-diffusion's contract: `denoised = model(code, sigma)`.

    `code` (B, 16, h, w) = (1 - sigma) clean + sigma noise, `guide` (B, 1, 4h, 4w), `sigma` (B, 1) in [0, 1],
    `style` (B, S) weights that sum to 1 -> `denoised` (B, 16, h, w).
    """

    def __init__(self, widths: Widths, styles: int = STYLES) -> None:
        super().__init__()
        wide, deep, style = widths.eighth, widths.sixteenth, widths.style
        self.table = nn.Linear(styles, style, bias=False)
        self.noise = nn.Linear(2, style)
        self.look = nn.Conv2d(1, 16, 4, 4)
        self.enter = ConvNorm(CODE_CHANNELS + 16, wide, 3)
        self.film = Film(style, wide)
        self.before = Block(wide, style)
        self.down = ConvNorm(wide, deep, 3, 2)
        self.middle = nn.ModuleList([Block(deep, style) for _ in range(2)])
        self.rise = nn.Conv2d(deep, wide, 1)
        self.after = Block(wide, style)
        self.leave = nn.Conv2d(wide, CODE_CHANNELS, 3, 1, 1)
        nn.init.normal_(self.table.weight)
        nn.init.zeros_(self.leave.weight)

    def forward(self, code: Tensor, guide: Tensor, sigma: Tensor, style: Tensor) -> Tensor:
        e = self.table(style) + self.noise(torch.cat([sigma, sigma * sigma], 1))
        x = self.enter(torch.cat([code, F.relu(self.look(guide))], 1))
        x = self.before(F.relu(self.film(x, e)), e)
        h = F.relu(self.down(x))
        for block in self.middle:
            h = block(h, e)
        x = self.after(F.relu(x + up(self.rise(h))), e)
        clean = 1 - sigma  # the best linear guess of a unit-variance code is this share of what came in
        share = clean / (clean * clean + sigma * sigma)
        denoised: Tensor = code * share[:, :, None, None] + self.leave(x)
        return denoised


class Decode(nn.Module):
    """`code` (B, 16, h, w), `guide` (B, 1, 4h, 4w), `planes` u8 (B, 20, 8h, 8w), `style` (B, S)
    -> `picture` u8 (B, 8h, 8w, 4) RGBA, alpha 255.

    A small U: planes and guide enter at half resolution, the code at an eighth.
    """

    def __init__(self, widths: Widths, styles: int = STYLES) -> None:
        super().__init__()
        half, quarter, eighth, style = widths.half, widths.quarter, widths.eighth, widths.style
        self.table = nn.Linear(styles, style, bias=False)
        self.weave = ConvNorm(PLANES, half, 2, 2)
        self.look = nn.Conv2d(1, half, 3, 1, 1)
        self.down_quarter = ConvNorm(half, quarter, 3, 2)
        self.down_eighth = ConvNorm(quarter, eighth, 3, 2)
        self.enter = nn.Conv2d(CODE_CHANNELS, eighth, 3, 1, 1)
        self.at_eighth = Block(eighth, style)
        self.rise_quarter = nn.Conv2d(eighth, quarter, 1)
        self.at_quarter = nn.ModuleList([Block(quarter, style) for _ in range(2)])
        self.rise_half = nn.Conv2d(quarter, half, 1)
        self.at_half = nn.ModuleList([Block(half, style) for _ in range(2)])
        self.leave = nn.Conv2d(half, 12, 3, 1, 1)
        nn.init.constant_(cast(Tensor, self.leave.bias), 0.5)
        nn.init.normal_(self.table.weight)

    def fine(self, code: Tensor, guide: Tensor, planes: Tensor, style: Tensor) -> Tensor:
        """The last features, (B, half, 4h, 4w)."""
        e = self.table(style)
        thread = self.weave((planes.float() - CENTRE) * PLANE_STEP)
        fine = F.relu(thread + self.look(guide))
        middle = F.relu(self.down_quarter(fine))
        coarse = F.relu(self.down_eighth(middle) + self.enter(code))
        coarse = self.at_eighth(coarse, e)
        middle = F.relu(middle + up(self.rise_quarter(coarse)))
        for block in self.at_quarter:
            middle = block(middle, e)
        fine = F.relu(fine + up(self.rise_half(middle)))
        for block in self.at_half:
            fine = block(fine, e)
        return fine

    def paint(self, code: Tensor, guide: Tensor, planes: Tensor, style: Tensor) -> Tensor:
        """The picture as float (B, 3, 8h, 8w) RGB around [0, 1], not yet clamped: what training compares."""
        return F.pixel_shuffle(self.leave(self.fine(code, guide, planes, style)), 2)

    def forward(self, code: Tensor, guide: Tensor, planes: Tensor, style: Tensor) -> Tensor:
        # Four channels more that are always one: alpha, at no cost.
        weight, bias = self.leave.weight, cast(Tensor, self.leave.bias)
        weight = torch.cat([weight, torch.zeros_like(weight[:4])])
        bias = torch.cat([bias, torch.ones_like(bias[:4])])
        rgba = F.conv2d(self.fine(code, guide, planes, style), weight, bias, padding=1)
        bytes_ = (rgba * 255).round().clamp(0, 255).to(torch.uint8)
        return F.pixel_shuffle(bytes_, 2).permute(0, 2, 3, 1)


class House(nn.Module):
    """The three parts of one student."""

    def __init__(self, widths: Widths | None = None, styles: int = STYLES) -> None:
        super().__init__()
        widths = widths or Widths()
        self.encode = Encode(widths)
        self.denoise = Denoise(widths, styles)
        self.decode = Decode(widths, styles)
