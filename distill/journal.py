"""What a training run tells: a line with the time left, a log for TensorBoard, and a picture of samples."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import cv2
import numpy as np
import torch

from vivant.distill.plan import Plan
from vivant.distill.pool import Pairs, Pool

if TYPE_CHECKING:
    from vivant.distill.train import Training

LINE_STEPS = 50
SAMPLE_S = 300.0
EACH = 2  # columns for each folder of the pool
SIGMA = 0.25


class Journal:
    """Lines on the terminal, `log.jsonl`, TensorBoard's files where it is installed, `samples.png`.
    Does nothing unless `enabled`. A context manager."""

    def __init__(self, out: Path, plan: Plan, enabled: bool = True) -> None:
        self._out, self._plan, self._enabled = out, plan, enabled
        self._mean: dict[str, float] = {}
        self._sampled_s = -SAMPLE_S
        self._board: Any = None  # tensorboard has no types

    def __enter__(self) -> Self:
        if self._enabled:
            self._out.mkdir(parents=True, exist_ok=True)
            try:
                from torch.utils.tensorboard import SummaryWriter
            except ImportError:  # the log is written all the same
                return self
            self._board = SummaryWriter(str(self._out / "board"))
        return self

    def __exit__(self, *_: object) -> None:
        if self._board is not None:
            self._board.close()

    def note(self, training: Training, losses: dict[str, float], pairs: int) -> None:
        """Remember the losses of one step; every fifty steps say them."""
        if not self._enabled:
            return
        self._mean = {n: self._mean.get(n, v) * 0.97 + v * 0.03 for n, v in losses.items()}
        if training.step % LINE_STEPS:
            return
        left_min = training.seconds * (1 / max(training.progress, 1e-9) - 1) / 60
        shown = "  ".join(f"{name} {value:.4f}" for name, value in self._mean.items())
        rate = training.step / training.seconds
        print(
            f"step {training.step}  {shown}  {pairs} pairs  {rate:.2f} steps/s  {left_min:.1f} min left",
            flush=True,
        )
        entry = {"step": training.step, "minutes": training.seconds / 60, "pairs": pairs, **self._mean}
        with (self._out / "log.jsonl").open("a") as log:
            log.write(json.dumps(entry) + "\n")
        if self._board is not None:
            for name, value in self._mean.items():
                self._board.add_scalar(f"loss/{name}", value, training.step)

    def sample(self, training: Training, pool: Pool) -> None:
        """Every five minutes: held-back structures, the teachers' pictures, the student's."""
        if not self._enabled or time.monotonic() - self._sampled_s < SAMPLE_S:
            return
        self._sampled_s = time.monotonic()
        held = pool.held_back().values()
        chosen = Pairs(
            *(
                np.concatenate([getattr(pairs, name)[:EACH] for pairs in held])
                for name in ("structure", "picture", "planes", "weights")
            )
        )
        made = paint_pairs(training, chosen)
        rows = [np.hstack(list(row)) for row in (chosen.structure, chosen.picture, made)]
        cv2.imwrite(str(self._out / "samples.png"), np.vstack(rows)[..., ::-1])


@torch.no_grad()
def paint_pairs(training: Training, pairs: Pairs) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """The averaged student's pictures u8 (B, H, W, 3) of some pairs, one by one."""
    house = training.averaged()
    generator = torch.Generator().manual_seed(1)
    pictures = []
    for frame, planes, weights in zip(pairs.structure, pairs.planes, pairs.weights, strict=True):
        style = torch.from_numpy(weights)[None]
        code, guide = house.encode(torch.from_numpy(frame)[None])
        noisy = (1 - SIGMA) * code + SIGMA * torch.randn(code.shape, generator=generator)
        denoised = house.denoise(noisy, guide, torch.full((1, 1), SIGMA), style)
        pictures.append(
            house.decode(denoised, guide, torch.from_numpy(planes)[None], style)[0, ..., :3].numpy()
        )
    return np.stack(pictures)
