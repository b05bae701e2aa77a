"""How noise is mixed into a latent and taken out again, as a few numbers that a captured graph can read, and
what else a whole frame is made of."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np

from vivant.engines.contract import Part
from vivant.engines.diffusion.steps import Advance, Step
from vivant.runtime.frames import EMPTY, F32, U8, Array

WIDTH = 4  # numbers of one step
KEPT = 0.7  # of 0.15 to 0.7, what brought two steps nearest to the painters (docs/measurements.md)


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


@dataclass(frozen=True, slots=True)
class Wish:
    """What one whole frame on a device is made of (vivant.engines.on_device).

    `noises` are arrays that are not put to the device again while they are the same objects; `given` the
    inputs of parts that the frame does not make itself; `recipes` what its planes are made for; `feedback` in
    [0, 1) the share of what was admitted last in the clean code; `edges` u8 (1, H, W, 1) what a ControlNet is
    shown. `left_out` says of the clean code, at rest, whether this frame is to be left out; None where none
    is."""

    walk: Walk
    noises: tuple[F32, ...]
    given: Mapping[tuple[Part, str], Array]
    recipes: Mapping[str, float] = field(default_factory=lambda: EMPTY)
    feedback: float = 0.0
    edges: U8 | None = None
    left_out: Callable[[F32], bool] | None = None


def falling(sigma: float, steps: int) -> tuple[float, ...]:
    """The noise levels of a house student's steps, from `sigma` on, and 0 at the end: every step but the last
    keeps KEPT of its level."""
    return (*(sigma * KEPT**step for step in range(steps)), 0.0)


def house_walk(sigma: float, steps: int) -> Walk:
    """What Student.denoise does: (1 - sigma) clean + sigma noise, and falling sigmas by Euler's method."""
    found = []
    for level, then in pairwise(falling(sigma, steps)):
        share = then / level if level > 0.0 else 0.0
        found.append((level, share, (1 - then) - share * (1 - level), 0.0))
    return Walk((1 - sigma, sigma), tuple(found))


def diffusion_walk(steps: Sequence[Step], advance: Advance) -> Walk:
    """What vivant.engines.diffusion.steps.img2img does; no steps leave the code as it is. Every way to
    advance is linear in the noisy code, the denoised code and fresh noise, so its shares are what it makes of
    ones and zeros."""
    if not steps:
        return Walk((1.0, 0.0), ())
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
