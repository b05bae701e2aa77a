"""Train the house student on a pool of painted pairs.

    python -m vivant.distill.train --pool out/pool --out out/train --minutes 60 --threads 2 [--resume]

Needs torch and numpy alone. Runs on CUDA when there is a device. The pool may still be growing.
Writes `checkpoint.pt` every two minutes, whole or not at all; `--resume` goes on from it.
"""

from __future__ import annotations

import argparse
import math
import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from vivant.distill.losses import TEXTURE, picture_loss, sliced_wasserstein
from vivant.distill.pairs import Pool
from vivant.engines.network import STYLES, House, Widths

RATE = 2e-3
LAST_RATE = 0.03  # of RATE, at the end of the cosine
WARM_STEPS = 80
FREEZE_NORM = 0.85  # share of the time after which BatchNorm keeps its statistics
CODE = 0.05  # how much the denoised code is held to the clean one, so that it can be noised again
SIGMA_MAX = 0.8
SIGMA_SMALL = 0.25
TWO_STEPS = 0.2  # share of batches that are denoised twice, as the show may
EMA = 0.998
SAVE_S = 120.0
REFRESH_STEPS = 100
# mosaic and engraving are learned soonest, strokes last
BATCH = (0, 1, 2, 3, 3, 1, 0, 3, 2, 3, 1, 3, 0, 1, 2, 3)


@dataclass(frozen=True, slots=True)
class Plan:
    """`minutes` of training over all resumed runs; `steps` ends it earlier; a batch is one crop of `crop_px`
    for each of `styles`."""

    minutes: float
    steps: int | None = None
    styles: tuple[int, ...] = BATCH
    crop_px: int = 128
    seed: int = 0


def sample_sigma(count: int, generator: torch.Generator) -> Tensor:
    """(count, 1) noise levels in [0, 0.8]; every other one is small, where the show mostly is."""
    top = torch.where(torch.arange(count) % 2 == 0, SIGMA_SMALL, SIGMA_MAX)
    return (torch.rand(count, generator=generator) * top)[:, None]


class Training:
    """A network on its way: weights, their moving average, the optimizer, and how far it has come."""

    def __init__(self, plan: Plan, widths: Widths | None = None, device: str = "cpu") -> None:
        torch.manual_seed(plan.seed)
        self.plan = plan
        self.device = device
        self.house = House(widths).to(device, memory_format=torch.channels_last).train()  # type: ignore[call-overload]
        self.optimizer = torch.optim.AdamW(
            self.house.parameters(), RATE, betas=(0.9, 0.99), weight_decay=1e-3
        )
        self.average = {name: value.clone() for name, value in self.house.state_dict().items()}
        self.generator = torch.Generator().manual_seed(plan.seed)
        self.rng = np.random.default_rng(plan.seed)
        self.step = 0
        self.seconds = 0.0

    @property
    def progress(self) -> float:
        """The share of the plan that is done, in [0, 1]."""
        by_time = self.seconds / (self.plan.minutes * 60)
        by_steps = self.step / self.plan.steps if self.plan.steps else 0.0
        return min(1.0, max(by_time, by_steps))

    def advance(self, pool: Pool) -> dict[str, float]:
        """One step of the optimizer; the losses by name."""
        start = time.perf_counter()
        self._set_rate()
        pairs = pool.batch(self.rng, self.plan.styles, self.plan.crop_px)
        frame, planes = (torch.from_numpy(a).to(self.device) for a in (pairs.structure, pairs.planes))
        wanted = torch.from_numpy(pairs.picture).to(self.device).permute(0, 3, 1, 2).float() / 255
        style = F.one_hot(torch.from_numpy(pairs.style).long(), STYLES).float().to(self.device)
        with torch.autocast(self.device, torch.bfloat16):
            made, drift = self._paint(frame, planes, style)
        made = made.float()
        near = picture_loss(made, wanted)
        texture = sliced_wasserstein(made, wanted, self.generator)
        self.optimizer.zero_grad(set_to_none=True)
        (near + TEXTURE * texture + CODE * drift).backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(self.house.parameters(), 1.0)
        self.optimizer.step()
        self.step += 1
        self._follow()
        self.seconds += time.perf_counter() - start
        return {"near": near.item(), "texture": texture.item(), "drift": drift.item()}

    def _paint(self, frame: Tensor, planes: Tensor, style: Tensor) -> tuple[Tensor, Tensor]:
        code, guide = self.house.encode(frame)
        sigma = sample_sigma(len(frame), self.generator).to(self.device)
        noise = torch.randn(code.shape, generator=self.generator).to(self.device)
        denoised = self._denoise(code, guide, noise, sigma, style)
        if torch.rand((), generator=self.generator) < TWO_STEPS:
            denoised = self._denoise(denoised, guide, noise, sigma / 2, style)
        drift = (denoised.float() - code.detach().float()).square().mean()
        return self.house.decode.paint(denoised, guide, planes, style), drift

    def _denoise(self, code: Tensor, guide: Tensor, noise: Tensor, sigma: Tensor, style: Tensor) -> Tensor:
        level = sigma[:, :, None, None]
        noisy = (1 - level) * code + level * noise
        return self.house.denoise(noisy, guide, sigma, style)  # type: ignore[no-any-return]

    def _set_rate(self) -> None:
        cosine = LAST_RATE + (1 - LAST_RATE) * (0.5 + 0.5 * math.cos(math.pi * self.progress))
        for group in self.optimizer.param_groups:
            group["lr"] = RATE * cosine * min(1.0, (self.step + 1) / WARM_STEPS)
        if self.progress >= FREEZE_NORM:
            code = self.house.encode.norm  # frozen, the code would grow: a louder code drowns the noise
            for module in self.house.modules():
                if isinstance(module, nn.BatchNorm2d) and module is not code:
                    module.eval()

    @torch.no_grad()
    def _follow(self) -> None:
        weight = 1 - min(EMA, (self.step + 1) / (self.step + 20))
        for name, value in self.house.state_dict().items():
            if value.dtype.is_floating_point:
                self.average[name].lerp_(value, weight)
            else:
                self.average[name].copy_(value)

    def save(self, path: Path) -> None:
        """Write the checkpoint, whole or not at all."""
        state = {
            "step": self.step,
            "seconds": self.seconds,
            "house": self.house.state_dict(),
            "average": self.average,
            "optimizer": self.optimizer.state_dict(),
            "generator": self.generator.get_state(),
            "rng": self.rng.bit_generator.state,
        }
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_suffix(".partial")
        torch.save(state, partial)
        os.replace(partial, path)  # noqa: PTH105, Path.replace is the same call

    def restore(self, path: Path) -> None:
        """Go on from a checkpoint."""
        state: dict[str, Any] = torch.load(path, map_location=self.device, weights_only=True)
        self.step, self.seconds = state["step"], state["seconds"]
        self.house.load_state_dict(state["house"])
        self.average = state["average"]
        self.optimizer.load_state_dict(state["optimizer"])
        self.generator.set_state(state["generator"].cpu())
        self.rng.bit_generator.state = state["rng"]


def train(training: Training, pool: Pool, checkpoint: Path, report_every: int = 50) -> None:
    """Run the plan to its end, saving as it goes; prints a line of progress every `report_every` steps."""
    saved_s = training.seconds
    mean: dict[str, float] = {}
    pairs = pool.refresh()
    while training.progress < 1:
        losses = training.advance(pool)
        mean = {name: mean.get(name, value) * 0.97 + value * 0.03 for name, value in losses.items()}
        if training.step % REFRESH_STEPS == 0:
            pairs = pool.refresh()
        if training.step % report_every == 0:
            left_min = training.seconds * (1 / training.progress - 1) / 60
            shown = "  ".join(f"{name} {value:.4f}" for name, value in mean.items())
            rate = f"{pairs} pairs  {training.step / training.seconds:.2f} steps/s  {left_min:.1f} min left"
            print(f"step {training.step}  {shown}  {rate}", flush=True)
        if training.seconds - saved_s > SAVE_S:
            training.save(checkpoint)
            saved_s = training.seconds
    training.save(checkpoint)


def main() -> None:
    parser = argparse.ArgumentParser(description="Train the house student on a pool of painted pairs.")
    parser.add_argument("--pool", type=Path, default=Path("out/pool"))
    parser.add_argument("--out", type=Path, default=Path("out/train"))
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--steps", type=int, help="end after so many steps, if that is sooner")
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--resume", action="store_true", help="go on from the checkpoint in --out")
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    training = Training(Plan(given.minutes, given.steps, seed=given.seed), device=device)
    checkpoint = given.out / "checkpoint.pt"
    if given.resume:
        training.restore(checkpoint)
    train(training, Pool(given.pool), checkpoint)


if __name__ == "__main__":
    main()
