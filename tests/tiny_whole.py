"""A diffusion student painting whole frames beside the same one painting stage by stage, and frames for both.

Needs torch and diffusers alone, so that a machine with a GPU and little else can use it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.numpy import save_file

from vivant.engines.card import Card
from vivant.engines.contract import Precision
from vivant.engines.diffusion.on_device import DiffusionOnDevice
from vivant.engines.kinds import load_student
from vivant.guardrails.device import DeviceGuard
from vivant.guardrails.envelope import Envelope, Fitted
from vivant.guardrails.guard import Guard
from vivant.guardrails.sanity import Sanity
from vivant.runtime.frames import Controls
from vivant.runtime.rest import Rest
from vivant.runtime.still import Still
from vivant.runtime.whole import WholeFrame

SIZE = (64, 64)
CPU = torch.device("cpu")
CODES = 1e-4  # float32 sums in another order
LEVELS = 1  # what lies between two levels falls to either


def frame(seed: int) -> Any:
    """A frame of soft shapes; every other one is a negative, so that they differ."""
    rng = np.random.default_rng(seed)
    broad = rng.uniform(0, 1, (8, 8, 3)).repeat(8, 0).repeat(8, 1)
    soft = (np.clip(broad + rng.normal(0, 0.03, broad.shape), 0, 1) * 255).astype(np.uint8)
    return soft if seed % 2 else 255 - soft


def apart(one: Any, other: Any) -> float:
    """How far two codes are (Both.paint)."""
    return float(np.abs(one[0] - other[0]).max())


def write_lora(path: Path, folder: Path, seed: int) -> Path:
    """A LoRA file for one attention of a student, by PEFT's names."""
    facts = Card.read(folder).diffusion
    assert facts is not None and facts.adapters is not None
    site = next(s for s in facts.adapters.layout.sites if s.name.endswith("attn2.to_q"))
    rng = np.random.default_rng(seed)
    pair = {
        f"unet.{site.name}.lora_A.weight": rng.standard_normal((2, site.inputs), np.float32),
        f"unet.{site.name}.lora_B.weight": rng.standard_normal((site.outputs, 2), np.float32),
    }
    save_file(pair, path)
    return path


class Stepwise:
    """What runtime.path does."""

    def __init__(self, student: Any) -> None:
        self.student, self.rest, self.still = student, Rest(), Still()
        self.guard = Guard.load(*student.guard_file, limit_ms=10_000)
        self.code = np.empty(0, np.float32)

    def picture(self, pixels: Any, controls: Controls, smooth: float) -> tuple[Any, Any]:
        latent = self.rest.settle(self.student.encode(pixels), smooth)
        latent = self.student.denoise(latent, controls)
        verdict = self.guard.judge(latent, controls)
        if not verdict.admits:
            return verdict, None
        self.code = latent.code.copy()
        drawn = self.student.decode(latent, None, controls)
        return verdict, self.still.keep(drawn, latent, None, controls, smooth).copy()


class Both:
    """A student painting whole frames, and another one stage by stage."""

    def __init__(
        self,
        folder: Path,
        adapters: Any = (),
        fitted: Fitted | None = None,
        device: torch.device = CPU,
        precision: Precision = "float",
    ) -> None:
        """`fitted` judges in place of the student's own guard; `device` is where torch runs."""
        self.bounds = (CODES, LEVELS) if precision == "float" else (0.05, 4)  # half: kernels of other sums
        self.student, self.alone = (
            load_student(folder, "torch", precision, SIZE, 1, adapters) for _ in range(2)
        )
        self.stepwise = Stepwise(self.alone)
        offered = DiffusionOnDevice(self.student, device)
        if fitted is None:
            self.whole = WholeFrame.load(offered, self.student.guard_file, (), 3)
        else:
            self.stepwise.guard = Guard([Sanity(), Envelope(fitted)], limit_ms=10_000)
            shape = (1, 4, SIZE[1] // 8, SIZE[0] // 8)
            self.whole = WholeFrame(offered, DeviceGuard(fitted, shape, None, device), (), 3)

    def prepare(self, controls: Controls) -> None:
        self.alone.prepare(controls)
        self.student.prepare(controls)

    def paint(self, pixels: Any, controls: Controls, smooth: float = 0.0) -> tuple[Any, Any]:
        """The code that was decoded and the picture, the same from both."""
        verdict, wanted = self.stepwise.picture(pixels, controls, smooth)
        made = self.whole.picture(pixels, controls, smooth, 0.9, 0.0)
        assert made.verdict.judgement is verdict.judgement, (made.verdict, verdict)
        assert made.verdict.score == pytest.approx(verdict.score, abs=1e-3)
        code = self.whole.guard.code.cpu().numpy().copy()
        if wanted is None:
            assert made.pixels.size == 0
        else:
            np.testing.assert_allclose(code, self.stepwise.code, atol=self.bounds[0])
            assert np.abs(made.pixels.astype(int) - wanted).max() <= self.bounds[1]
        return code, made.pixels.copy()

    def close(self) -> None:
        self.alone.close()
        self.student.close()
