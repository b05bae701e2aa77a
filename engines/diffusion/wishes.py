"""What a show asks of a diffusion student: addresses of parameters, and their values out of the controls."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

from vivant.engines.diffusion.prompts import WAYS, Way
from vivant.runtime.frames import Controls, Value

PROMPT: Final = "/vivant/prompt"  # goes to a text over FADE_S: it is put on the deck that is not heard
PROMPT_A: Final = "/vivant/prompt/a"
PROMPT_B: Final = "/vivant/prompt/b"
BLEND: Final = "/vivant/prompt/blend"
WAY: Final = "/vivant/prompt/way"
PROMPT_FADE_S: Final = "/vivant/prompt/fade_s"
NEGATIVE: Final = "/vivant/prompt/negative"
GUIDANCE: Final = "/vivant/guidance"
SEED_B: Final = "/vivant/seed/b"
SEED_BLEND: Final = "/vivant/seed/blend"
TURN_S: Final = "/vivant/seed/turn_s"
CONTROL_SCALE: Final = "/vivant/control/scale"
IMAGE_SCALE: Final = "/vivant/image/scale"
SKIP: Final = "/vivant/student/skip"
FEEDBACK: Final = "/vivant/student/feedback"


@dataclass(frozen=True, slots=True)
class Wishes:
    """`a` and `b` are texts (prompts.mix_of), `blend` in [0, 1] goes from one to the other; `seed_blend` in
    [0, 1] from `seed` to `seed_b`; `turn_s` 0 holds the noise still; `skip` is steady.Likeness' tolerance,
    `feedback` in [0, 1) steady.remembered's share."""

    strength: float
    steps: int
    a: str
    b: str
    blend: float
    way: Way
    negative: str
    guidance: float
    seed: int
    seed_b: int
    seed_blend: float
    turn_s: float
    control_scale: float
    image_scale: float
    skip: float
    feedback: float


def wishes_of(controls: Controls) -> Wishes:
    """Out of a snapshot. What it does not hold, or not as a finite number, is as the parameters start."""
    numbers = controls.numbers

    def number(address: str, default: float) -> float:
        value: Value = numbers.get(address, default)
        return float(value) if isinstance(value, int | float) and math.isfinite(value) else default

    def text(address: str, default: str = "") -> str:
        value = numbers.get(address, default)
        return value if isinstance(value, str) else default

    return Wishes(
        strength=min(max(controls.strength, 0.0), 1.0) if math.isfinite(controls.strength) else 0.0,
        steps=controls.steps,
        a=text(PROMPT_A, controls.prompt),
        b=text(PROMPT_B),
        blend=min(max(number(BLEND, 0.0), 0.0), 1.0),
        way=WAYS.get(text(WAY), "slerp"),
        negative=text(NEGATIVE),
        guidance=number(GUIDANCE, 1.0),
        seed=controls.seed,
        seed_b=int(number(SEED_B, 0.0)),
        seed_blend=min(max(number(SEED_BLEND, 0.0), 0.0), 1.0),
        turn_s=number(TURN_S, 0.0),
        control_scale=number(CONTROL_SCALE, 1.0),
        image_scale=number(IMAGE_SCALE, 0.5),
        skip=number(SKIP, 0.0),
        feedback=min(max(number(FEEDBACK, 0.0), 0.0), 0.95),
    )
