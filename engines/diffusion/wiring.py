"""What a diffusion student's network is given besides its code, and the numbers among it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np

from vivant.runtime.frames import F32

Prediction = Literal["epsilon", "v_prediction", "sample"]


@dataclass(frozen=True, slots=True)
class Wiring:
    """What a student's UNet is given besides code, sigma and prompt."""

    prediction: Prediction = "epsilon"
    boundary: float | None = None  # timestep_scaling of LCM's boundary condition, for consistency models
    pooled: bool = False  # SDXL: the second encoder's pooled embedding and the six size numbers
    guidance: bool = False  # LCM: the guidance scale as an embedding (time_cond_proj_dim)
    negative: bool = False  # classifier-free guidance, two runs in one batch
    image: bool = False  # IP-Adapter
    control: Literal["none", "fused", "residuals"] = "none"
    residuals: int = 0  # how many a ControlNet engine gives; the last is the middle block's

    def names(self, adapters: bool) -> tuple[str, ...]:
        """The graph's inputs, in order."""
        found = ["code", "sigma", "prompt"]
        found += ["pooled", "size_ids"] * self.pooled
        found += ["guidance"] * self.guidance
        found += ["negative", *["negative_pooled"] * self.pooled, "cfg_scale"] * self.negative
        found += ["image", "image_scale"] * self.image
        if self.control == "fused":
            found += ["control", "control_scale"]
        if self.control == "residuals":
            found += [f"residual_{i:02d}" for i in range(self.residuals)]
        return (*found, *["adapters", "adapter_scale"] * adapters)


def guidance_embedding(scale: float, length: int) -> F32:
    """(1, length): the guidance scale of an LCM as its UNet takes it (Luo et al. 2023; diffusers'
    get_guidance_scale_embedding)."""
    half = length // 2
    rates = np.exp(np.arange(half) * -(math.log(10000.0) / (half - 1)))
    angles = (scale - 1) * 1000.0 * rates
    found: F32 = np.concatenate([np.sin(angles), np.cos(angles), np.zeros(length % 2)])[None]
    return found.astype(np.float32)


def size_ids(size_px: tuple[int, int]) -> F32:
    """(1, 6): SDXL's size numbers for a picture (width, height) that is neither scaled nor cropped (Podell et
    al. 2023, "SDXL", micro-conditioning): original height and width, crop, target height and width."""
    width, height = size_px
    return np.array([[height, width, 0, 0, height, width]], np.float32)
