"""The house student in torch: three small networks that share nothing but the latent between them.

`House(...).encode`, `.denoise` and `.decode` take and give exactly what the exported graphs do, so the
torch backend runs them as they are. Imported by vivant.distill and by the torch backend, by nothing else.

Built for INT8 on a CPU: ReLU, BatchNorm that folds, added skips, nearest upsampling, and as little as
possible at the higher resolutions (half resolution is the highest any layer runs at).

Adapters are low-rank pairs beside the base (LoRA, Hu et al. 2021), inputs of the graphs: SLOTS of RANK each,
padded with zeros, at a few sites (SITES) that cost little.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.fusion import fuse_conv_bn_eval

from vivant.engines.slots import CHANNELS

CODE_CHANNELS = 16
STYLES = 8
SLOTS = 2
RANK = 8
CENTRE = 128.0  # the u8 value that stands for zero, in frames and in planes
FRAME_STEP = 1 / 255
PLANE_STEP = 1 / 64
LUMA = (0.299, 0.587, 0.114)  # ITU-R BT.601
BATCH_MOMENTUM = 0.05


@dataclass(frozen=True, slots=True)
class Widths:
    """Channels by resolution; `weave` is what planes are first mixed to, `style` the length of the vector
    that styles and sigma are embedded in."""

    weave: int = 48
    half: int = 32
    quarter: int = 64
    eighth: int = 96
    sixteenth: int = 128
    style: int = 32


@dataclass(frozen=True, slots=True)
class Bank:
    """Adapters of one part as its graph takes them: `down` (SLOTS * RANK, sum of inputs), `up`
    (SLOTS * RANK, sum of outputs), `scale` (1, SLOTS); sites side by side in the order of `sites`."""

    down: Tensor
    up: Tensor
    scale: Tensor


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


class Block(nn.Module):
    """A residual block; its first half is scaled and shifted by `film` (FiLM, Perez et al. 2018)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = ConvNorm(channels, channels, 3)
        self.second = ConvNorm(channels, channels, 3, gain=0.3)

    def forward(self, x: Tensor, film: Tensor | None = None) -> Tensor:
        h = self.first(x)
        if film is not None:
            h = modulate(h, film)
        return F.relu(x + self.second(F.relu(h)))


def modulate(x: Tensor, film: Tensor) -> Tensor:
    """Channels of x (B, C, h, w) scaled by 1 + the first half of `film` (B, 2C), shifted by the second."""
    scale, shift = film.chunk(2, 1)
    return x * (1 + scale)[:, :, None, None] + shift[:, :, None, None]


def up(x: Tensor) -> Tensor:
    return F.interpolate(x, scale_factor=2.0, mode="nearest")


class Adapted(nn.Module):
    """A part with adapter sites: named layers, linear or 1x1 convolutions, that a low-rank pair adds to."""

    spread: Tensor

    def __init__(self) -> None:
        super().__init__()
        self._sites: dict[str, tuple[int, int]] = {}  # name to (inputs, outputs)
        self.register_buffer("spread", torch.eye(SLOTS).repeat_interleave(RANK, 1), persistent=False)

    def site(self, name: str) -> None:
        """Declare the layer `name` a site."""
        weight = cast(Tensor, self.get_submodule(name).weight)
        self._sites[name] = (int(weight.shape[1]), int(weight.shape[0]))

    @property
    def sites(self) -> dict[str, tuple[int, int]]:
        """Inputs and outputs of each site by its layer's name, in the order of a Bank."""
        return dict(self._sites)

    def empty_bank(self) -> Bank:
        """A bank whose adapters do nothing."""
        inputs, outputs = (sum(sizes) for sizes in zip(*self._sites.values(), strict=True))
        rows = SLOTS * RANK
        return Bank(torch.zeros(rows, inputs), torch.zeros(rows, outputs), torch.zeros(1, SLOTS))

    def at(self, name: str, x: Tensor, bank: Bank | None) -> Tensor:
        """The layer `name` of x (B, n) or (B, C, h, w), and what the adapters add."""
        y: Tensor = self.get_submodule(name)(x)
        if bank is None:
            return y
        start_in = start_out = 0
        for other, (inputs, outputs) in self._sites.items():
            if other == name:
                break
            start_in, start_out = start_in + inputs, start_out + outputs
        inputs, outputs = self._sites[name]
        down = bank.down[:, start_in : start_in + inputs]
        rise = bank.up[:, start_out : start_out + outputs] * (bank.scale @ self.spread).t()
        if x.dim() == 2:
            return y + (x @ down.t()) @ rise
        flat = x.flatten(2)  # (B, C, h * w)
        return y + (rise.t() @ (down @ flat)).reshape(y.shape)


class Encode(nn.Module):
    """`frame` u8 (B, H, W, 3) sRGB -> `code` (B, 16, H/8, W/8) about unit variance, `guide` (B, 1, H/2, W/2).

    The guide is fixed, not learned: the mean luma of 2x2 pixels, in [0, 1].
    """

    luma: Tensor
    middle: Tensor

    def __init__(self, widths: Widths) -> None:
        super().__init__()
        self.stem = ConvNorm(3, 32, 4, 4)
        self.down = ConvNorm(32, 48, 3, 2)
        self.block = Block(48)
        self.project = nn.Conv2d(48, CODE_CHANNELS, 1)
        self.norm = nn.BatchNorm2d(CODE_CHANNELS, momentum=BATCH_MOMENTUM, affine=False)
        weight = torch.tensor(LUMA).reshape(1, 3, 1, 1).expand(1, 3, 2, 2) / 4
        self.register_buffer("luma", weight.contiguous(), persistent=False)
        self.register_buffer("middle", torch.tensor([CENTRE * FRAME_STEP]), persistent=False)

    def forward(self, frame: Tensor) -> tuple[Tensor, Tensor]:
        x = ((frame.float() - CENTRE) * FRAME_STEP).permute(0, 3, 1, 2)
        guide = F.conv2d(x, self.luma, self.middle, stride=2)
        h = self.block(F.relu(self.down(F.relu(self.stem(x)))))
        return self.norm(self.project(h)), guide


class Denoise(Adapted):
    """The few-step student, k-diffusion's contract: `denoised = model(code, sigma)`.

    `code` (B, 16, h, w) = (1 - sigma) clean + sigma noise, `guide` (B, 1, 4h, 4w), `sigma` (B, 1) in [0, 1],
    `style` (B, S) weights that sum to 1 -> `denoised` (B, 16, h, w).
    """

    def __init__(self, widths: Widths, styles: int = STYLES) -> None:
        super().__init__()
        wide, deep, style = 64, widths.sixteenth, widths.style
        self.widths = (wide, wide, deep, deep, wide)
        self.table = nn.Linear(styles, style, bias=False)
        self.noise = nn.Linear(2, style)
        self.film = _film(style, self.widths)
        self.look = nn.Conv2d(1, 16, 4, 4)
        self.enter = ConvNorm(CODE_CHANNELS + 16, wide, 3)
        self.before = Block(wide)
        self.down = ConvNorm(wide, deep, 3, 2)
        self.middle = nn.ModuleList([Block(deep) for _ in range(2)])
        self.rise = nn.Conv2d(deep, wide, 1)
        self.after = Block(wide)
        self.leave = nn.Conv2d(wide, CODE_CHANNELS, 3, 1, 1)
        nn.init.normal_(self.table.weight)
        nn.init.zeros_(self.leave.weight)
        self.site("film")
        self.site("rise")

    def forward(
        self, code: Tensor, guide: Tensor, sigma: Tensor, style: Tensor, bank: Bank | None = None
    ) -> Tensor:
        e = self.table(style) + self.noise(torch.cat([sigma, sigma * sigma], 1))
        films = torch.split(self.at("film", e, bank), [2 * w for w in self.widths], 1)
        x = self.enter(torch.cat([code, F.relu(self.look(guide))], 1))
        x = self.before(F.relu(modulate(x, films[0])), films[1])
        h = F.relu(self.down(x))
        for block, film in zip(self.middle, films[2:4], strict=True):
            h = block(h, film)
        x = self.after(F.relu(x + up(self.at("rise", h, bank))), films[4])
        clean = 1 - sigma  # the best linear guess of a unit-variance code is this share of what came in
        share = clean / (clean * clean + sigma * sigma)
        denoised: Tensor = code * share[:, :, None, None] + self.leave(x)
        return denoised


class Decode(Adapted):
    """`code` (B, 16, h, w), `guide` (B, 1, 4h, 4w), `planes` u8 (B, 4h, 4w, CHANNELS), `style` (B, S)
    -> `picture` u8 (B, 8h, 8w, 4) RGBA, alpha 255.

    A small U: planes and guide enter at half resolution, the code at an eighth.
    """

    def __init__(self, widths: Widths, styles: int = STYLES) -> None:
        super().__init__()
        half, quarter, eighth, style = widths.half, widths.quarter, widths.eighth, widths.style
        self.widths = (widths.weave, eighth, quarter, quarter, half, half)
        self.table = nn.Linear(styles, style, bias=False)
        self.film = _film(style, self.widths)
        self.weave = ConvNorm(CHANNELS, widths.weave, 1)
        self.mix = ConvNorm(widths.weave, half, 1)
        self.look = nn.Conv2d(1, half, 3, 1, 1)
        self.down_quarter = ConvNorm(half, quarter, 3, 2)
        self.down_eighth = ConvNorm(quarter, eighth, 3, 2)
        self.enter = nn.Conv2d(CODE_CHANNELS, eighth, 3, 1, 1)
        self.at_eighth = Block(eighth)
        self.rise_quarter = nn.Conv2d(eighth, quarter, 1)
        self.at_quarter = nn.ModuleList([Block(quarter) for _ in range(2)])
        self.rise_half = nn.Conv2d(quarter, half, 1)
        self.at_half = nn.ModuleList([Block(half) for _ in range(2)])
        self.leave = nn.Conv2d(half, 12, 3, 1, 1)
        nn.init.constant_(cast(Tensor, self.leave.bias), 0.5)
        nn.init.normal_(self.table.weight)
        self.site("film")
        self.site("rise_quarter")
        self.site("rise_half")

    def fine(
        self, code: Tensor, guide: Tensor, planes: Tensor, style: Tensor, bank: Bank | None = None
    ) -> Tensor:
        """The last features, (B, half, 4h, 4w)."""
        films = torch.split(self.at("film", self.table(style), bank), [2 * w for w in self.widths], 1)
        # zero is not subtracted, the norm takes it out; turned only after the step, bytes stay bytes in INT8
        thread = self.weave((planes.to(self.weave.conv.weight.dtype) * PLANE_STEP).permute(0, 3, 1, 2))
        thread = self.mix(F.relu(modulate(thread, films[0])))
        fine = F.relu(thread + self.look(guide))
        middle = F.relu(self.down_quarter(fine))
        coarse = F.relu(self.down_eighth(middle) + self.enter(code))
        coarse = self.at_eighth(coarse, films[1])
        middle = F.relu(middle + up(self.at("rise_quarter", coarse, bank)))
        for block, film in zip(self.at_quarter, films[2:4], strict=True):
            middle = block(middle, film)
        fine = F.relu(fine + up(self.at("rise_half", middle, bank)))
        for block, film in zip(self.at_half, films[4:], strict=True):
            fine = block(fine, film)
        return fine

    def paint(
        self, code: Tensor, guide: Tensor, planes: Tensor, style: Tensor, bank: Bank | None = None
    ) -> Tensor:
        """The picture as float (B, 3, 8h, 8w) RGB around [0, 1], not yet clamped: what training compares."""
        return F.pixel_shuffle(self.leave(self.fine(code, guide, planes, style, bank)), 2)

    def forward(
        self, code: Tensor, guide: Tensor, planes: Tensor, style: Tensor, bank: Bank | None = None
    ) -> Tensor:
        # Four channels more that are always one: alpha, at no cost.
        weight, bias = self.leave.weight, cast(Tensor, self.leave.bias)
        weight = torch.cat([weight, torch.zeros_like(weight[:4])])
        bias = torch.cat([bias, torch.ones_like(bias[:4])])
        rgba = F.conv2d(self.fine(code, guide, planes, style, bank), weight, bias, padding=1)
        bytes_ = (rgba.float() * 255).round().clamp(0, 255).to(torch.uint8)
        return F.pixel_shuffle(bytes_, 2).permute(0, 2, 3, 1)


def _film(style: int, widths: Sequence[int]) -> nn.Linear:
    """One layer for all of a part's scales and shifts; starts as the identity."""
    film = nn.Linear(style, 2 * sum(widths))
    nn.init.zeros_(film.weight)
    nn.init.zeros_(film.bias)
    return film


class House(nn.Module):
    """The three parts of one student."""

    def __init__(self, widths: Widths | None = None, styles: int = STYLES) -> None:
        super().__init__()
        widths = widths or Widths()
        self.encode = Encode(widths)
        self.denoise = Denoise(widths, styles)
        self.decode = Decode(widths, styles)

    def adapted(self, part: str) -> Adapted:
        """The part that takes adapters: denoise or decode."""
        return cast(Adapted, self.get_submodule(part))


def folded(part: nn.Module) -> nn.Module:
    """A part for inference alone: each BatchNorm that follows a convolution is put into its weights."""
    for module in part.modules():
        if isinstance(module, ConvNorm):
            module.conv = fuse_conv_bn_eval(module.conv, module.norm)
            module.norm = nn.Identity()  # type: ignore[assignment]
    return part
