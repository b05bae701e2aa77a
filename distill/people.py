"""Drawn people."""

from __future__ import annotations

import numpy as np

from vivant.distill.scenery import scenery
from vivant.runtime.frames import F32


def portrait(rng: np.random.Generator, size_px: int, ground: F32 | None = None) -> F32:
    return scenery(rng, size_px)
