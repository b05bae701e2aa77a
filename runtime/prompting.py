"""The parameters of a diffusion student: prompts on two decks, seeds, guidance, and what else it can."""

from __future__ import annotations

from typing import Final

from vivant.engines.diffusion.facts import Facts
from vivant.engines.diffusion.prompts import WAYS
from vivant.engines.diffusion.wishes import (
    BLEND,
    CONTROL_SCALE,
    FEEDBACK,
    GUIDANCE,
    IMAGE_SCALE,
    NEGATIVE,
    PROMPT,
    PROMPT_A,
    PROMPT_B,
    PROMPT_FADE_S,
    SEED_B,
    SEED_BLEND,
    SKIP,
    TURN_S,
    WAY,
)
from vivant.runtime.parameters import ROOT, Parameter

LONGEST: Final = 400  # characters: 77 tokens are about 300; an OSC message is refused above 1,024 bytes
STEPS: Final = ("1", "2", "3", "4")


def prompting(facts: Facts) -> tuple[Parameter, ...]:
    """What a student of these facts has in the place of styles. What its model does not use is not there."""
    return (*_student(), *_prompts(facts), *_seeds(), *_steering(facts))


def _student() -> tuple[Parameter, ...]:
    return (
        Parameter(
            ROOT + "student/strength",
            "float",
            "img2img strength: how freely the student repaints what it sees",
            0.5,
        ),
        Parameter(ROOT + "student/steps", "choice", "denoising steps for each picture", "1", choices=STEPS),
        Parameter(ROOT + "student/seed", "int", "seed of the noise that strength adds", 0, maximum=9999),
        Parameter(
            SKIP, "float", "a frame that differs by less from the last painted one is left out; 0 never", 0.0
        ),
        Parameter(
            FEEDBACK, "float", "share of the last picture in what the next is made from", 0.0, 0.0, 0.95
        ),
    )


def _prompts(facts: Facts) -> tuple[Parameter, ...]:
    def text(address: str, meaning: str) -> Parameter:
        return Parameter(address, "text", meaning, "", maximum=LONGEST)

    decks = "; prompts between bars are mixed: ink:2 | gold leaf"
    found = [
        text(PROMPT, "go to this prompt over prompt/fade_s: it is put on the deck that is not heard"),
        text(PROMPT_A, "the prompt of deck a" + decks),
        text(PROMPT_B, "the prompt of deck b" + decks),
        Parameter(BLEND, "float", "from deck a (0) to deck b (1)", 0.0),
        Parameter(
            WAY, "choice", "how prompts are mixed: along an arc or a line", "slerp", choices=tuple(WAYS)
        ),
        Parameter(PROMPT_FADE_S, "float", "how long going to a prompt takes", 3.0, maximum=60.0, unit="s"),
    ]
    if facts.negative:
        found.append(text(NEGATIVE, "what the picture is to keep away from"))
    if facts.negative or facts.guidance is not None:
        found.append(
            Parameter(GUIDANCE, "float", "how strictly the prompt is followed; 1 is plain", 1.0, 1.0, 15.0)
        )
    return tuple(found)


def _seeds() -> tuple[Parameter, ...]:
    return (
        Parameter(SEED_B, "int", "another seed", 1, maximum=9999),
        Parameter(SEED_BLEND, "float", "from student/seed (0) to seed/b (1)", 0.0),
        Parameter(
            TURN_S,
            "float",
            "the noise turns into another one so often; 0 holds it",
            0.0,
            0.0,
            600.0,
            unit="s",
        ),
    )


def _steering(facts: Facts) -> tuple[Parameter, ...]:
    found = []
    if facts.control != "none":
        found.append(
            Parameter(
                CONTROL_SCALE, "float", f"how far the frame's {facts.sees} steer the picture", 1.0, 0, 2
            )
        )
    if facts.image is not None:
        found.append(Parameter(IMAGE_SCALE, "float", "how far the image prompt goes", 0.5))
    return tuple(found)
