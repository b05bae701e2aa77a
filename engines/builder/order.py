"""What somebody asks the builder for."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from vivant.engines.buildable import Machine, Size
from vivant.engines.contract import Precision
from vivant.runtime.frames import U8, Latent

Fit = Callable[[Iterable[Latent], Path], object]
"""vivant.guardrails.fit.fit_envelope, which engines do not know."""


@dataclass(frozen=True, slots=True)
class Material:
    """Frames u8 (h, w, 3) of any size: those that ranges are taken from, and those that are kept for
    verifying. `digest` is the hash of both."""

    seen: Sequence[U8]
    held_out: Sequence[U8]
    digest: str


@dataclass(frozen=True, slots=True)
class Extras:
    """What a diffusers model is made into, besides its slots (vivant.engines.diffusion.build.Wanted)."""

    controlnet: Path | None = None
    control: Literal["fused", "residuals"] = "fused"
    image_prompt: Path | None = None
    image: Path | None = None
    image_encoder: Path | None = None
    negative: bool = False
    fused: tuple[tuple[Path, float], ...] = ()
    attention_only: bool = False
    vae: Path | None = None


@dataclass(frozen=True, slots=True)
class Order:
    """An engine for each part of a student at each of `sizes_px` (width, height).

    `source` is a student's folder, or that of a diffusers model where `is_model`. `name` is what a student
    that is made on the way is called. `slots` (number, rank) are None for those that the student has;
    `recalibrate` takes INT8 ranges anew from `material.seen`; `fix` keeps layers in float where INT8 costs
    too much. `fit` makes the guard of a new student."""

    source: Path
    is_model: bool
    name: str
    backend: str
    precision: Precision
    sizes_px: tuple[Size, ...]
    machine: Machine
    material: Material
    slots: tuple[int, int] | None = None
    recalibrate: bool = False
    fix: bool = False
    extras: Extras = field(default_factory=Extras)
    fit: Fit | None = None

    @property
    def makes_student(self) -> bool:
        """Whether a student of its own may come of it."""
        return self.is_model or self.slots is not None or self.recalibrate or self.fix
