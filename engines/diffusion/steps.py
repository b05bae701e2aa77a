"""Timesteps, sigmas and the steps between them, for few-step img2img.

Everything is in k-diffusion's scale: x = clean + sigma * noise. There DDIM is Euler's method, and LCM's step
is fresh noise on the denoised code; diffusers' schedulers do the same in other scales.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from vivant.engines.contract import EngineError
from vivant.runtime.frames import F32

Kind = Literal["euler", "euler_ancestral", "ddim", "lcm", "tcd"]
ZERO_SNR_ALPHA = 2.0**-24  # stands for an alpha of zero, as in diffusers' Euler schedulers


@dataclass(frozen=True, slots=True)
class Sampler:
    """How a model takes its steps. `grid` is the number of timesteps it was distilled on (LCM, TCD: 50),
    None for any; `eta` in [0, 1] is TCD's gamma; `ends_clean` is false where the last step stops at the
    lowest sigma (TCD; DDIM with set_alpha_to_one = false)."""

    kind: Kind
    grid: int | None = None
    eta: float = 0.0
    ends_clean: bool = True


@dataclass(frozen=True, slots=True)
class Step:
    """One run of the network at `timestep` and `sigma`, and the sigma to go to `then`. `middle` <= then is
    where TCD goes before it adds noise again."""

    timestep: int
    sigma: float
    middle: float
    then: float


Fresh = Callable[[], F32]
Advance = Callable[[F32, F32, Step, Fresh], F32]
"""(x, denoised, step, what gives fresh noise) -> x at step.then."""


def sigmas_of(scheduler: Mapping[str, Any]) -> NDArray[np.float64]:
    """Sigma of each training timestep (T,), rising, from a scheduler_config.json. Raises EngineError."""
    count = int(scheduler.get("num_train_timesteps", 1000))
    first, last = float(scheduler.get("beta_start", 0.0001)), float(scheduler.get("beta_end", 0.02))
    kind = scheduler.get("beta_schedule", "linear")
    if scheduler.get("trained_betas") is not None:
        betas = np.asarray(scheduler["trained_betas"], np.float64)
    elif kind == "linear":
        betas = np.linspace(first, last, count)
    elif kind == "scaled_linear":
        betas = np.linspace(math.sqrt(first), math.sqrt(last), count) ** 2
    else:
        raise EngineError(f"beta_schedule '{kind}' is none of linear, scaled_linear")
    alphas = np.cumprod(1.0 - betas)
    if scheduler.get("rescale_betas_zero_snr"):
        # Lin et al. 2023, "Common Diffusion Noise Schedules and Sample Steps are Flawed", algorithm 1
        root = np.sqrt(alphas)
        alphas = ((root - root[-1]) * root[0] / (root[0] - root[-1])) ** 2
        alphas[-1] = ZERO_SNR_ALPHA
    found: NDArray[np.float64] = np.sqrt((1.0 - alphas) / alphas)
    return found


def timesteps_of(sampler: Sampler, count: int, steps: int, strength: float) -> tuple[int, ...]:
    """`steps` falling timesteps below `strength` in (0, 1] of `count`; all of them are run.

    Without a grid they are "trailing" (Lin et al. 2023): strength 0.5 in 2 steps is what diffusers runs for
    num_inference_steps = 4, strength = 0.5. With a grid they lie on it, as in LCM (Luo et al. 2023).
    Raises EngineError when there is no room for that many.
    """
    if sampler.grid is None:
        found = tuple(round(strength * count * (1 - i / steps)) - 1 for i in range(steps))
    else:
        below = int(sampler.grid * strength + 1e-9)
        every = count // sampler.grid
        found = tuple((below - math.floor(i * below / steps)) * every - 1 for i in range(steps))
    if found[-1] < 0 or len(set(found)) < steps:
        raise EngineError(
            f"{steps} steps do not fit below strength {strength:g}. Raise the strength or take fewer steps."
        )
    return found


def most_steps(sampler: Sampler, count: int, steps: int, strength: float) -> int:
    """The largest number of steps up to `steps` that fits below `strength`; 0 where none does."""
    for fewer in range(steps, 0, -1):
        try:
            timesteps_of(sampler, count, fewer, strength)
        except EngineError:
            continue
        return fewer
    return 0


def schedule(sampler: Sampler, sigmas: NDArray[np.float64], steps: int, strength: float) -> tuple[Step, ...]:
    """The steps of one frame, first to last."""
    times = timesteps_of(sampler, len(sigmas), steps, strength)
    end = 0.0 if sampler.ends_clean else float(sigmas[0])
    found = []
    for index, time in enumerate(times):
        after = times[index + 1] if index + 1 < steps else 0
        then = float(sigmas[after]) if index + 1 < steps else end
        middle = min(float(sigmas[math.floor((1 - sampler.eta) * after)]), then)
        found.append(Step(time, float(sigmas[time]), middle, then))
    return tuple(found)


def euler(x: F32, denoised: F32, step: Step, fresh: Fresh) -> F32:
    """Along the line through the denoised code (Karras et al. 2022, algorithm 1); DDIM with eta = 0."""
    return _euler_to(x, denoised, step)


def _euler_to(x: F32, denoised: F32, step: Step) -> F32:
    share = np.float32(step.then / step.sigma)
    after: F32 = x * share + denoised * (1 - share)
    return after


def euler_ancestral(x: F32, denoised: F32, step: Step, fresh: Fresh) -> F32:
    """Euler's method below `then`, and back up to it with fresh noise (k-diffusion)."""
    rise = math.sqrt(step.then**2 * (step.sigma**2 - step.then**2)) / step.sigma
    share = np.float32(math.sqrt(step.then**2 - rise**2) / step.sigma)
    after: F32 = x * share + denoised * (1 - share) + fresh() * np.float32(rise)
    return after


def lcm(x: F32, denoised: F32, step: Step, fresh: Fresh) -> F32:
    """Fresh noise on the denoised code (Luo et al. 2023, "Latent Consistency Models", algorithm 3)."""
    return denoised + fresh() * np.float32(step.then)


def tcd(x: F32, denoised: F32, step: Step, fresh: Fresh) -> F32:
    """Along the line to `middle`, then fresh noise up to `then` (Zheng et al. 2024, "Trajectory Consistency
    Distillation", strategic stochastic sampling)."""
    share = np.float32(step.middle / step.sigma)
    rise = math.sqrt(step.then**2 - step.middle**2)
    after: F32 = x * share + denoised * (1 - share) + fresh() * np.float32(rise)
    return after


ADVANCE: Mapping[Kind, Advance] = {
    "euler": euler,
    "euler_ancestral": euler_ancestral,
    "ddim": euler,
    "lcm": lcm,
    "tcd": tcd,
}
FRESH: frozenset[Kind] = frozenset({"euler_ancestral", "lcm", "tcd"})
"""Those that add noise again."""


def img2img(
    model: Callable[[F32, float], F32],
    clean: F32,
    steps: Sequence[Step],
    advance: Advance,
    noise: Callable[[int], F32],
) -> F32:
    """The denoised code of a frame's clean one. `noise(i)` is unit noise of the code's shape: 0 is mixed in
    at the start, i is what step i adds again."""
    x = clean + noise(0) * np.float32(steps[0].sigma)
    for index, step in enumerate(steps[:-1], 1):
        x = advance(x, model(x, step.sigma), step, partial(noise, index))
    return _ended(x, model(x, steps[-1].sigma), steps[-1])


def stream(
    model: Callable[[F32, Sequence[float]], F32],
    rows: F32,
    clean: F32,
    steps: Sequence[Step],
    advance: Advance,
    noise: Callable[[int], F32],
) -> F32:
    """One frame in and the one of len(steps) - 1 frames ago out, with every step of all of them in one run
    (Kodaira et al. 2023, "StreamDiffusion"). `rows` (steps, C, h, w) holds what is under way, each row one
    step further, and is moved on; `model` takes a sigma for each row."""
    rows[:1] = clean + noise(0) * np.float32(steps[0].sigma)
    denoised = model(rows, [step.sigma for step in steps])
    ended = _ended(rows[-1:], denoised[-1:], steps[-1]).copy()
    for index in range(len(steps) - 2, -1, -1):
        here = slice(index, index + 1)
        moved = advance(rows[here], denoised[here], steps[index], partial(noise, index + 1))
        rows[index + 1 : index + 2] = moved
    return ended


def _ended(x: F32, denoised: F32, last: Step) -> F32:
    if last.then == 0.0:
        return denoised
    return _euler_to(x, denoised, last) * np.float32(1 / math.sqrt(1 + last.then**2))
