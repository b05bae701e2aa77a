"""Train the house student on the painters' pool.

    python -m vivant.distill.train --config distill/house.toml --pool out/pool --out out/train [--workers 2]

Needs torch, numpy and OpenCV alone. Runs on CUDA when there is a device, in bf16 either way. The pool may
still be growing. `checkpoint.pt` is written every two minutes, whole or not at all, and gone on from when it
is there; `samples.png` and the log tell how it goes.
"""

from __future__ import annotations

import argparse
import math
import os
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from vivant.distill.journal import Journal
from vivant.distill.losses import (
    Critic,
    critic_loss,
    fool_loss,
    motion_loss,
    picture_loss,
    sliced_wasserstein,
)
from vivant.distill.plan import Plan, read_plan
from vivant.distill.pool import Pairs, Pool
from vivant.distill.together import Together, alone, run_together
from vivant.engines.house import House

WARM_STEPS = 80
SIGMA_MAX = 0.8
SIGMA_SMALL = 0.25
TWO_STEPS = 0.25  # share of batches that are denoised twice, as the show may
EMA = 0.998
SAVE_S = 120.0
REFRESH_STEPS = 100


def sample_sigma(count: int, generator: torch.Generator) -> Tensor:
    """(count, 1) noise levels in [0, 0.8]; every other one is small, where the show mostly is."""
    top = torch.where(torch.arange(count) % 2 == 0, SIGMA_SMALL, SIGMA_MAX)
    return (torch.rand(count, generator=generator) * top)[:, None]


def mixed(code: Tensor, noise: Tensor, sigma: Tensor) -> Tensor:
    """The code at a noise level: (1 - sigma) code + sigma noise; `sigma` (B, 1)."""
    level = sigma[:, :, None, None]
    return (1 - level) * code + level * noise


def euler_step(noisy: Tensor, denoised: Tensor, sigma: Tensor, then: Tensor) -> Tensor:
    """From one noise level to a lower one along the line through the denoised code (Euler's method, as
    k-diffusion has it): what is left of the noise is the noise that was found."""
    share = (then / sigma.clamp_min(1e-4))[:, :, None, None]
    return denoised * (1 - then[:, :, None, None]) + share * (
        noisy - denoised * (1 - sigma)[:, :, None, None]
    )


class Training:
    """A network on its way: weights, their moving average, critic, optimizers, and how far it has come."""

    def __init__(self, plan: Plan, device: str = "cpu", together: Together | None = None) -> None:
        torch.manual_seed(plan.seed)
        self.plan = plan
        self.device = device
        self.together = together or alone()
        self.house = House(plan.widths, len(plan.styles)).to(device)
        self.house = self.house.to(memory_format=torch.channels_last).train()  # type: ignore[call-overload]
        self.critic = Critic(len(plan.styles)).to(device)
        self.optimizer = torch.optim.AdamW(
            self.house.parameters(), plan.rate, betas=(0.9, 0.99), weight_decay=1e-3
        )
        self.critic_optimizer = torch.optim.AdamW(self.critic.parameters(), 4e-4, betas=(0.5, 0.99))
        self.average = {name: value.clone() for name, value in self.house.state_dict().items()}
        own = plan.seed + self.together.rank
        self.generator = torch.Generator().manual_seed(own)
        self.rng = np.random.default_rng(own)
        self.step = 0
        self.seconds = 0.0
        self.progress = 0.0

    def advance(self, pool: Pool) -> dict[str, float]:
        """One step of the optimizer; the losses by name."""
        start = time.perf_counter()
        self._set_rate()
        frame, planes, wanted, style, pairs = self._batch(pool)
        with torch.autocast(self.device, torch.bfloat16):
            made, drift = self._paint(frame, planes, style, pairs)
        made = made.float()
        losses = {
            "near": picture_loss(made, wanted),
            "texture": sliced_wasserstein(made, wanted, self.generator),
            "drift": drift,
        }
        if pairs:
            losses["motion"] = motion_loss(made[-2 * pairs :], wanted[-2 * pairs :])
        if self.progress >= self.plan.critic_from:
            losses |= self._against_critic(made, wanted, style)
        total = sum(
            (self.plan.weights.get(name, 0.0) * value for name, value in losses.items()), made.new_zeros(())
        )
        self.optimizer.zero_grad(set_to_none=True)
        total.backward()  # type: ignore[no-untyped-call]
        self._agree(self.house)
        nn.utils.clip_grad_norm_(self.house.parameters(), 1.0)
        self.optimizer.step()
        self.step += 1
        self._follow()
        self.seconds += time.perf_counter() - start
        self.progress = self.together.mean(self._share())
        return {name: float(value.detach()) for name, value in losses.items()}

    def _share(self) -> float:
        """The share of the plan that is done, in [0, 1]."""
        by_time = self.seconds / (self.plan.minutes * 60)
        by_steps = self.step / self.plan.steps if self.plan.steps else 0.0
        return min(1.0, max(by_time, by_steps))

    def _batch(self, pool: Pool) -> tuple[Tensor, Tensor, Tensor, Tensor, int]:
        """Stills, then the earlier and the later frames of what moves: frames u8, planes u8, pictures
        f32 (B, 3, H, W), style weights, and how many moving pairs there are."""
        parts: list[Pairs] = []
        stills, moving = self.plan.draw(self.rng)
        if stills:
            parts.append(pool.batch(self.rng, stills, self.plan.crop_px))
        if moving:
            parts += pool.moving(self.rng, moving, self.plan.crop_px)
        arrays = (
            np.concatenate([getattr(part, name) for part in parts])
            for name in ("structure", "planes", "picture", "weights")
        )
        frame, planes, picture, style = (torch.from_numpy(a).to(self.device) for a in arrays)
        return frame, planes, picture.permute(0, 3, 1, 2).float() / 255, style, len(moving)

    def _paint(self, frame: Tensor, planes: Tensor, style: Tensor, pairs: int) -> tuple[Tensor, Tensor]:
        code, guide = self.house.encode(frame)
        sigma = sample_sigma(len(frame), self.generator)
        noise = torch.randn(code.shape, generator=self.generator)
        if pairs:  # the show holds its noise from frame to frame
            sigma[-pairs:], noise[-pairs:] = sigma[-2 * pairs : -pairs], noise[-2 * pairs : -pairs]
        sigma, noise = sigma.to(self.device), noise.to(self.device)
        noisy = mixed(code, noise, sigma)
        denoised = self.house.denoise(noisy, guide, sigma, style)
        if torch.rand((), generator=self.generator) < TWO_STEPS:
            noisy = euler_step(noisy, denoised, sigma, sigma / 2)
            denoised = self.house.denoise(noisy, guide, sigma / 2, style)
        drift = (denoised.float() - code.detach().float()).square().mean()
        return self.house.decode.paint(denoised, guide, planes, style), drift

    def _against_critic(self, made: Tensor, wanted: Tensor, style: Tensor) -> dict[str, Tensor]:
        with torch.autocast(self.device, torch.bfloat16):
            doubt = critic_loss(self.critic, made, wanted, style)
        self.critic_optimizer.zero_grad(set_to_none=True)
        doubt.backward()  # type: ignore[no-untyped-call]
        self._agree(self.critic)
        self.critic_optimizer.step()
        self.critic.requires_grad_(False)
        with torch.autocast(self.device, torch.bfloat16):
            fooled, matching = fool_loss(self.critic, made, wanted, style)
        self.critic.requires_grad_(True)
        return {"fool": fooled, "matching": matching, "critic": doubt.detach()}

    def _agree(self, network: nn.Module) -> None:
        self.together.average([p.grad for p in network.parameters() if p.grad is not None])

    def _set_rate(self) -> None:
        plan = self.plan
        cosine = plan.last_rate + (1 - plan.last_rate) * (0.5 + 0.5 * math.cos(math.pi * self.progress))
        for group in self.optimizer.param_groups:
            group["lr"] = plan.rate * cosine * min(1.0, (self.step + 1) / WARM_STEPS)
        if self.progress >= plan.freeze_norm:
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

    def averaged(self) -> House:
        """The averaged network, ready to run, on the CPU."""
        house = House(self.plan.widths, len(self.plan.styles))
        house.load_state_dict(self.average)
        return house.eval()

    def save(self, path: Path) -> None:
        """Write the checkpoint, whole or not at all."""
        state = {
            "plan": self.plan.facts(),
            "step": self.step,
            "seconds": self.seconds,
            "house": self.house.state_dict(),
            "average": self.average,
            "critic": self.critic.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "critic_optimizer": self.critic_optimizer.state_dict(),
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
        self.critic.load_state_dict(state["critic"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.critic_optimizer.load_state_dict(state["critic_optimizer"])
        if self.together.rank == 0:
            self.generator.set_state(state["generator"].cpu())
            self.rng.bit_generator.state = state["rng"]
        else:  # any other stream that has not been drawn from
            self.generator.manual_seed(self.plan.seed + 1000 * self.together.rank + self.step)
            self.rng = np.random.default_rng(self.plan.seed + 1000 * self.together.rank + self.step)
        self.progress = self.together.mean(self._share())


def train(training: Training, pool: Pool, out: Path) -> None:
    """Run the plan to its end, saving, sampling and logging as it goes."""
    first = training.together.rank == 0
    saved_s = training.seconds
    pairs = sum(pool.refresh().values())
    with Journal(out, training.plan, enabled=first) as journal:
        while training.progress < 1:
            losses = training.advance(pool)
            if training.step % REFRESH_STEPS == 0:
                pairs = sum(pool.refresh().values())
            journal.note(training, losses, pairs)
            if first and training.seconds - saved_s > SAVE_S:
                training.save(out / "checkpoint.pt")
                saved_s = training.seconds
            journal.sample(training, pool)
        if first:
            training.save(out / "checkpoint.pt")


def work(together: Together, plan: Plan, pool: Path, out: Path, threads: int) -> None:
    """Train in one of the processes that train together, from the checkpoint in `out` if there is one."""
    torch.set_num_threads(threads)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    training = Training(plan, device, together)
    if (out / "checkpoint.pt").is_file():
        training.restore(out / "checkpoint.pt")
    train(training, Pool(pool, plan.styles), out)


def main() -> None:
    parser = argparse.ArgumentParser(description="Train the house student on the painters' pool.")
    parser.add_argument("--config", type=Path, default=Path("distill/house.toml"))
    parser.add_argument("--pool", type=Path, default=Path("out/pool"))
    parser.add_argument("--out", type=Path, default=Path("out/train"))
    parser.add_argument("--minutes", type=float, help="instead of the plan's own")
    parser.add_argument("--steps", type=int, help="end after so many steps, if that is sooner")
    parser.add_argument("--workers", type=int, default=1, help="processes that train together on a CPU")
    parser.add_argument("--threads", type=int, default=1, help="threads of each")
    given = parser.parse_args()
    plan = read_plan(given.config, minutes=given.minutes, steps=given.steps)
    run_together(given.workers, work, (plan, given.pool, given.out, given.threads))


if __name__ == "__main__":
    main()
