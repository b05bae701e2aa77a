"""Training a LoRA adapter upon a frozen house student: only low-rank pairs at its sites are learned.

What it learns from is in vivant.distill.lessons: a painter, a palette, or a folder of pictures.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from vivant.distill.pool import Pairs
from vivant.engines.adapter import PREFIX, AdapterInfo
from vivant.engines.house import RANK, SLOTS, Adapted, Bank, House
from vivant.engines.manifest import write_atomically

Draw = Callable[[np.random.Generator], Pairs]
"""A batch: structures, planes, style weights, and the pictures that are wanted or started from."""
Goal = Callable[[Tensor, Pairs, torch.Generator], Tensor]
"""What is lowered, of the pictures made f32 (B, 3, H, W) from a batch."""

RATE = 4e-3
LAST_RATE = 0.03
BATCH = 12
CROP_PX = 128
SIGMA_MAX = 0.6


class LowRank(nn.Module):
    """The pairs of one part: `down` (rank, sum of inputs), `up` (rank, sum of outputs)."""

    def __init__(self, part: Adapted, rank: int) -> None:
        super().__init__()
        inputs, outputs = (sum(sizes) for sizes in zip(*part.sites.values(), strict=True))
        self.down = nn.Parameter(torch.randn(rank, inputs) * 0.1)
        self.up = nn.Parameter(torch.zeros(rank, outputs))

    def bank(self, scale: float = 1.0) -> Bank:
        """The pairs in the first slot, the others empty."""
        lack = SLOTS * RANK - len(self.down)
        down, up = (nn.functional.pad(m, (0, 0, 0, lack)) for m in (self.down, self.up))
        scales = torch.zeros(1, SLOTS, device=down.device)
        scales[0, 0] = scale
        return Bank(down, up, scales)


@dataclass(slots=True)
class Adapting:
    """An adapter on its way upon a frozen student."""

    house: House
    denoise: LowRank
    decode: LowRank
    generator: torch.Generator

    @classmethod
    def begin(cls, house: House, rank: int = RANK, seed: int = 0) -> Adapting:
        """Upon `house`, which is frozen by this."""
        torch.manual_seed(seed)
        house = house.eval().requires_grad_(False)
        return cls(
            house,
            LowRank(house.denoise, rank),
            LowRank(house.decode, rank),
            torch.Generator().manual_seed(seed),
        )

    def parameters(self) -> Iterator[nn.Parameter]:
        """What is learned."""
        yield from self.denoise.parameters()
        yield from self.decode.parameters()

    def paint(self, pairs: Pairs) -> Tensor:
        """Pictures f32 (B, 3, H, W), around [0, 1]."""
        frame, planes, style = (torch.from_numpy(a) for a in (pairs.structure, pairs.planes, pairs.weights))
        with torch.no_grad():
            code, guide = self.house.encode(frame)
        sigma = torch.rand((len(frame), 1), generator=self.generator) * SIGMA_MAX
        noise = torch.randn(code.shape, generator=self.generator)
        level = sigma[:, :, None, None]
        noisy = (1 - level) * code + level * noise
        denoised = self.house.denoise(noisy, guide, sigma, style, self.denoise.bank())
        painted: Tensor = self.house.decode.paint(denoised, guide, planes, style, self.decode.bank())
        return painted

    def save(self, path: Path, info: AdapterInfo) -> None:
        """Write a safetensors file with PEFT's names, whole or not at all."""
        from safetensors.torch import save

        tensors: dict[str, Tensor] = {}
        for part, pairs in (("denoise", self.denoise), ("decode", self.decode)):
            adapted = self.house.adapted(part)
            sizes = list(adapted.sites.values())
            downs = torch.split(pairs.down.detach(), [inputs for inputs, _ in sizes], 1)
            ups = torch.split(pairs.up.detach(), [outputs for _, outputs in sizes], 1)
            for site, down, up in zip(adapted.sites, downs, ups, strict=True):
                more = (1, 1) if isinstance(adapted.get_submodule(site), nn.Conv2d) else ()
                name = f"{PREFIX}{part}.{site}"
                tensors[f"{name}.lora_A.weight"] = down.reshape(*down.shape, *more).contiguous()
                tensors[f"{name}.lora_B.weight"] = up.t().reshape(*up.t().shape, *more).contiguous()
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, save(tensors, {"vivant": info.model_dump_json()}))


def adapt(
    adapting: Adapting, draw: Draw, goal: Goal, minutes: float, steps: int | None = None, seed: int = 0
) -> int:
    """Learn for `minutes` or `steps`, whichever ends first; how many steps it was. Prints how it goes."""
    optimizer = torch.optim.AdamW(adapting.parameters(), RATE, betas=(0.9, 0.99), weight_decay=0.0)
    rng = np.random.default_rng(seed)
    start, step, mean = time.monotonic(), 0, 0.0
    while True:
        share = (time.monotonic() - start) / (minutes * 60)
        share = max(share, step / steps if steps else 0.0)
        if share >= 1:
            return step
        for group in optimizer.param_groups:
            group["lr"] = RATE * (LAST_RATE + (1 - LAST_RATE) * (0.5 + 0.5 * math.cos(math.pi * share)))
        pairs = draw(rng)
        with torch.autocast("cpu", torch.bfloat16):
            made = adapting.paint(pairs)
        loss = goal(made.float(), pairs, adapting.generator)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        step += 1
        mean = float(loss.detach()) if step == 1 else 0.97 * mean + 0.03 * float(loss.detach())
        if step % 50 == 0:
            left_s = (time.monotonic() - start) * (1 / share - 1)
            print(f"step {step}  loss {mean:.4f}  {left_s / 60:.1f} min left", flush=True)
