"""A diffusers UNet behind k-diffusion's contract, `denoised = model(code, sigma, ...)`, adapters as inputs.

Adapters enter by forward hooks: the layers stay what they are, with their names and weights, and what a
low-rank pair adds is added to their output. Convolutions larger than 1x1 become a product with every tap and
a fixed convolution that puts the taps in place, because not every engine takes a convolution whose weights
are an input. Imported by export and by tests; needs torch and diffusers.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from vivant.engines.diffusion.bank import Layout, Pair, Site, change, macs
from vivant.engines.diffusion.wiring import Wiring

BOUNDARY_SIGMA = 0.5  # sigma_data of LCM's boundary condition (Luo et al. 2023)


def all_sites(unet: nn.Module, attention_only: bool = False) -> tuple[Site, ...]:
    """The linear and convolution layers of a UNet that adapters may enter; of image prompts none."""
    found = []
    for name, module in unet.named_modules():
        if "processor" in name or name.startswith("encoder_hid_proj"):
            continue
        if attention_only and ".attn" not in name:
            continue
        if isinstance(module, nn.Linear):
            found.append(Site(name, module.in_features, module.out_features))
        elif isinstance(module, nn.Conv2d) and module.groups == 1:
            kernel = (int(module.kernel_size[0]), int(module.kernel_size[1]))
            found.append(Site(name, module.in_channels, module.out_channels, kernel))
    return tuple(found)


class Slots:
    """The adapters of one run, and the hooks that add them. `hold` before the network runs.

    One slot of rank 16 at every layer costs 3.7 % of SD 1.5's multiply-accumulates, 2.4 % of SDXL's (cost).
    In time, at SD 1.5's first widths (320, 640 channels, 32x32, one thread): 9 % on OpenVINO, 12 % on
    onnxruntime.
    """

    def __init__(self, unet: nn.Module, layout: Layout) -> None:
        self._lengths = [
            layout.rank * length
            for site in layout.sites
            for length in (site.taps * site.inputs, site.outputs)
        ]
        self._rank, self._dtype = layout.rank, next(unet.parameters()).dtype
        self._pieces: tuple[Tensor, ...] = ()
        self._share: Tensor | None = None
        rows = layout.slots * layout.rank
        self._hooks = [
            unet.get_submodule(site.name).register_forward_hook(self._adding(site, 2 * index, rows))
            for index, site in enumerate(layout.sites)
        ]

    def hold(self, bank: Tensor, scale: Tensor) -> None:
        """`bank` (K, width), `scale` (1, K)."""
        if bank.dtype != self._dtype:  # else a graph would be given a cast that does nothing
            bank = bank.to(self._dtype)
        if scale.dtype != self._dtype:
            scale = scale.to(self._dtype)
        self._pieces = torch.split(bank, self._lengths, 1)
        self._share = scale.reshape(-1, 1, 1).expand(-1, self._rank, 1).reshape(-1, 1)  # (K * R, 1)

    def remove(self) -> None:
        """Take the hooks off again."""
        for hook in self._hooks:
            hook.remove()

    def _adding(
        self, site: Site, piece: int, rows: int
    ) -> Callable[[nn.Module, tuple[Any, ...], Tensor], Tensor]:
        place = torch.eye(site.taps).reshape(1, site.taps, *site.kernel).repeat(rows, 1, 1, 1)

        def add(module: nn.Module, inputs: tuple[Any, ...], output: Tensor) -> Tensor:
            nonlocal place
            if self._share is None:
                return output
            if (place.device, place.dtype) != (output.device, output.dtype):
                place = place.to(output)  # once, and before a graph is captured
            down = self._pieces[piece].reshape(rows * site.taps, site.inputs)
            up = self._pieces[piece + 1].reshape(rows, site.outputs) * self._share
            if isinstance(module, nn.Linear):
                low: Tensor = inputs[0] @ down.t()
                return output + low @ up
            more = _convolved(cast(nn.Conv2d, module), inputs[0], down, up, place)
            return output + more.view_as(output)

        return add


def _convolved(conv: nn.Conv2d, x: Tensor, down: Tensor, up: Tensor, place: Tensor) -> Tensor:
    """What pairs add to a convolution of x (B, C, h, w), flat (B, outputs, h' * w'): `down` (rows * taps, C),
    `up` (rows, outputs); `place` (rows, taps, kh, kw) is one where a tap belongs."""
    low = down @ x.flatten(2)
    if place.shape[1] > 1 or conv.stride != (1, 1):
        pad = cast(tuple[int, int], conv.padding)  # diffusers names none by a word
        low = low.reshape(-1, down.shape[0], x.shape[2], x.shape[3])
        low = F.conv2d(low, place, None, conv.stride, pad, conv.dilation, len(up)).flatten(2)
    return up.t() @ low


class Denoise(nn.Module):
    """`code` (1, 4, H/8, W/8) = clean + sigma noise, `sigma` (1, 1), `prompt` (1, T, D), and what its wiring
    names -> `denoised` (1, 4, H/8, W/8), the clean code.

    `sigma` stands for the training timestep that is nearest to it.
    """

    levels: Tensor

    def __init__(
        self,
        unet: nn.Module,
        sigmas: NDArray[np.float64],
        wiring: Wiring,
        layout: Layout | None = None,
        controlnet: nn.Module | None = None,
    ) -> None:
        super().__init__()
        self.unet = unet
        self.wiring = wiring
        self.controlnet = controlnet
        self.names = wiring.names(layout is not None)
        self._slots = Slots(unet, layout) if layout is not None else None
        self.register_buffer("levels", torch.from_numpy(np.log(sigmas)).float(), persistent=False)

    def forward(self, *tensors: Tensor) -> Tensor:
        given = dict(zip(self.names, tensors, strict=True))
        code, sigma = given["code"], given["sigma"]
        timestep = (self.levels - sigma.log()).abs().argmin(1).float()  # (1,)
        s = sigma[:, :, None, None]
        root = (s * s + 1).sqrt()
        if self._slots is not None:
            self._slots.hold(given["adapters"], given["adapter_scale"])
        out = self._predict(code / root, timestep, given)
        if self.wiring.prediction == "epsilon":
            clean = code - s * out
        elif self.wiring.prediction == "v_prediction":
            clean = code / (root * root) - out * (s / root)
        else:
            clean = out
        if self.wiring.boundary is None:
            return clean
        scaled = timestep[:, None, None, None] * self.wiring.boundary
        length = (scaled * scaled + BOUNDARY_SIGMA**2).sqrt()
        return clean * (scaled / length) + (code / root) * (BOUNDARY_SIGMA / length) ** 2

    def _predict(self, x: Tensor, timestep: Tensor, given: Mapping[str, Tensor]) -> Tensor:
        many = len(x)  # frames under way at once, all with one prompt
        prompt = given["prompt"].expand(many, -1, -1)
        added: dict[str, Any] = {}
        if self.wiring.pooled:
            added = {
                "text_embeds": given["pooled"].expand(many, -1),
                "time_ids": given["size_ids"].expand(many, -1),
            }
        if self.wiring.image:
            added["image_embeds"] = [given["image"]]
            set_image_scale(self.unet, given["image_scale"][0])
        if self.wiring.negative:
            x, timestep = x.repeat(2, 1, 1, 1), timestep.repeat(2)
            prompt = torch.cat([given["negative"], prompt])
            if self.wiring.pooled:
                added["text_embeds"] = torch.cat([given["negative_pooled"], given["pooled"]])
                added["time_ids"] = given["size_ids"].repeat(2, 1)
            if self.wiring.image:
                added["image_embeds"] = [torch.cat([torch.zeros_like(given["image"]), given["image"]])]
        more: dict[str, Any] = {}
        if self.wiring.guidance:
            more["timestep_cond"] = given["guidance"].expand(many, -1)
        more |= self._control(x, timestep, prompt, added, given)
        out: Tensor = self.unet(
            x, timestep, prompt, added_cond_kwargs=added or None, return_dict=False, **more
        )[0]
        if self.wiring.negative:
            without, towards = out.chunk(2)
            out = without + given["cfg_scale"][:, :, None, None] * (towards - without)
        return out

    def _control(
        self, x: Tensor, timestep: Tensor, prompt: Tensor, added: dict[str, Any], given: Mapping[str, Tensor]
    ) -> dict[str, Any]:
        if self.wiring.control == "none":
            return {}
        if self.controlnet is not None:
            down, middle = self.controlnet(
                x,
                timestep,
                prompt,
                given["control"].expand(len(x), -1, -1, -1),
                given["control_scale"][0, 0],
                added_cond_kwargs={k: v for k, v in added.items() if k != "image_embeds"} or None,
                return_dict=False,
            )
        else:
            *down, middle = (value for name, value in given.items() if name.startswith("residual_"))
        return {
            "down_block_additional_residuals": tuple(down),
            "mid_block_additional_residual": middle,
        }


def fuse(network: nn.Module, pairs: Mapping[str, Pair], scale: float = 1.0) -> None:
    """Add low-rank pairs to the weights for good: LoRAs that make a model a few-step one (LCM-LoRA,
    Lightning, Hyper-SD) belong to the base and take no slot."""
    for name, pair in pairs.items():
        weight = cast(Tensor, network.get_submodule(name).weight)
        with torch.no_grad():
            weight += scale * torch.from_numpy(change(pair)).reshape(weight.shape)


def set_image_scale(unet: nn.Module, scale: Any) -> None:
    """How far an image prompt goes, for every cross-attention; a tensor while a graph is traced."""
    for processor in cast(Any, unet).attn_processors.values():  # diffusers has no types for it
        if hasattr(processor, "to_k_ip"):
            processor.scale = [scale] * len(processor.to_k_ip)


@dataclass(frozen=True, slots=True)
class Cost:
    """Multiply-accumulates of one run: of the network's layers (attention's own products not counted), and
    what its adapters add."""

    base: int
    adapters: int

    @property
    def share(self) -> float:
        return self.adapters / self.base


def cost(unet: nn.Module, sites: Sequence[Site], rank: int, run: Callable[[], Any]) -> Cost:
    """Count by running once; on torch's meta device it costs nothing. `rank` is slots times rank."""
    base = 0
    places: dict[str, int] = {}

    def counting(name: str) -> Callable[[nn.Module, tuple[Any, ...], Tensor], None]:
        def count(module: nn.Module, inputs: tuple[Any, ...], output: Tensor) -> None:
            nonlocal base
            channel = -1 if isinstance(module, nn.Linear) else 1
            positions = output.numel() // output.shape[channel]
            weight = cast(Tensor, module.weight)
            base += positions * weight.numel()
            places[name] = inputs[0].numel() // inputs[0].shape[channel]  # taps are taken before a stride

        return count

    hooks = [
        module.register_forward_hook(counting(name))
        for name, module in unet.named_modules()
        if isinstance(module, nn.Linear | nn.Conv2d)
    ]
    try:
        run()
    finally:
        for hook in hooks:
            hook.remove()
    return Cost(base, macs([site for site in sites if site.name in places], places, rank))
