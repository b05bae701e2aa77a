"""How noise is mixed into a latent and taken out again, as a few numbers that a captured graph can read."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from vivant.engines.diffusion.steps import Advance, Step
from vivant.runtime.frames import F32

WIDTH = 4  # numbers of one step


@dataclass(frozen=True, slots=True)
class Walk:
    """x = start[0] clean + start[1] noise; then for each step (sigma, a, b, c)
    x = a x + b denoised + c fresh noise, with denoised = model(x, sigma)."""

    start: tuple[float, float]
    steps: tuple[tuple[float, float, float, float], ...]

    def numbers(self, most: int) -> F32:
        """f32 (2 + WIDTH * most,): the start, and as many steps as there is room for."""
        found = np.zeros(2 + WIDTH * most, np.float32)
        found[:2] = self.start
        found[2 : 2 + WIDTH * len(self.steps)] = np.ravel(self.steps)
        return found


def house_walk(sigma: float, steps: int) -> Walk:
    """What Student.denoise does: (1 - sigma) clean + sigma noise, and falling sigmas by Euler's method."""
    found = []
    level = sigma
    for left in range(steps, 0, -1):
        then = level * (left - 1) / left
        share = then / level if level > 0.0 else 0.0
        found.append((level, share, (1 - then) - share * (1 - level), 0.0))
        level = then
    return Walk((1 - sigma, sigma), tuple(found))


def diffusion_walk(steps: Sequence[Step], advance: Advance) -> Walk:
    """What vivant.engines.diffusion.steps.img2img does. Every way to advance is linear in the noisy code, the
    denoised code and fresh noise, so its shares are what it makes of ones and zeros."""
    one, zero = np.ones(1, np.float32), np.zeros(1, np.float32)
    found = []
    for step in steps[:-1]:
        a = advance(one, zero, step, lambda: zero)
        b = advance(zero, one, step, lambda: zero)
        c = advance(zero, zero, step, lambda: one)
        found.append((step.sigma, float(a[0]), float(b[0]), float(c[0])))
    last = steps[-1]
    share, length = last.then / last.sigma, math.sqrt(1 + last.then**2)
    found.append((last.sigma, share / length, (1 - share) / length, 0.0))
    return Walk((1.0, steps[0].sigma), tuple(found))
