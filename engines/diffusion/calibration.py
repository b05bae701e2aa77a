"""A float student painting before its first show: what its graphs are given, and the latents it makes.

Ranges of INT8 graphs come from the one, the guard from the other. Every step count, strength and prompt, and
adapters at several scales, take their turn; everything is drawn from seeds.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import numpy as np

from vivant.engines.card import Card
from vivant.engines.diffusion.bank import Layout, Pair
from vivant.engines.diffusion.concepts import Denied
from vivant.engines.diffusion.embeddings import facts_of, image_embedding
from vivant.engines.diffusion.lora import Lora
from vivant.engines.diffusion.prompts import Prompt
from vivant.engines.diffusion.student import MOST_STEPS, DiffusionStudent
from vivant.engines.diffusion.wardrobe import Wardrobe
from vivant.engines.diffusion.wishes import FEEDBACK, PROMPT_A
from vivant.engines.loading import load_engines
from vivant.engines.watched import Arrays, Sight
from vivant.runtime.frames import U8, Controls, Latent

SAMPLES: Final = 24  # runs of each graph that ranges are taken from
LATENTS: Final = 180  # a code of four channels has 29 statistics; a guard wants four times as many latents
SCALES: Final = (0.0, 0.5, 1.0)  # adapters must be worn while ranges are taken, or they are cut off
REACH: Final = 0.1  # of what a layer gives: how far a random adapter changes it
SEED: Final = 11


@dataclass(slots=True)
class Calibration:
    """Inputs by graph and run, with their group (int8.write_int8), and finished latents."""

    samples: dict[str, list[Arrays]] = field(default_factory=dict)
    groups: dict[str, list[str]] = field(default_factory=dict)
    latents: list[Latent] = field(default_factory=list)


def collect(
    folder: Path,
    card: Card,
    prompts: Sequence[Prompt],
    frames: Sequence[U8],
    threads: int,
    progress: Callable[[float], None],
    latents: int = LATENTS,
) -> Calibration:
    """Paint `frames` (all of one size) in turn until there are `latents`, the first ones listened to."""
    facts = facts_of(card)
    height, width = frames[0].shape[:2]
    sight = Sight()
    engines = load_engines(folder, card, "onnxruntime", "float", (width, height), threads, sight.through)
    loras = {} if facts.adapters is None else {"random": random_lora(facts.adapters.layout)}
    desk = Numbered(prompts)
    found = Calibration({part: [] for part in engines}, {part: [] for part in engines})
    rng = np.random.default_rng(SEED)
    with DiffusionStudent(
        card,
        folder,
        "onnxruntime",
        "float",
        engines,
        desk,
        prompts[0],
        Wardrobe(facts, loras),
        image_embedding(folder, card),
    ) as student:
        for index in range(latents):
            steps, scale = 1 + index % MOST_STEPS, SCALES[index % len(SCALES)]
            controls = Controls(
                strength=float(rng.uniform(0.0, 1.0)),
                steps=steps,
                seed=int(rng.integers(9999)),
                adapters={"random": scale},
                numbers={PROMPT_A: str(index % len(prompts)), FEEDBACK: 0.0},
            )
            latent = student.denoise(student.encode(frames[index % len(frames)]), controls)
            if index < SAMPLES:
                student.decode(latent, None, controls)
                _keep(found, sight, f"{scale:g}")
            sight.take()
            found.latents.append(Latent(latent.code.copy(), None))
            progress((index + 1) / latents)
    return found


def _keep(found: Calibration, sight: Sight, worn: str) -> None:
    """One group for each way that adapters are worn and each octave of sigma."""
    for part, given, _ in sight.take():
        level = round(math.log2(float(given["sigma"][0, 0]))) if "sigma" in given else 0
        found.samples[part].append(given)
        found.groups[part].append(f"{level} {worn}" if "sigma" in given else "")


def random_lora(layout: Layout, seed: int = SEED) -> Lora:
    """An adapter at every site that changes each by about REACH of what goes through it."""
    rng = np.random.default_rng(seed)
    pairs = {
        site.name: Pair(
            rng.standard_normal((layout.rank, site.inputs, *site.kernel), dtype=np.float32)
            * np.float32(1 / math.sqrt(site.inputs * site.taps)),
            rng.standard_normal((site.outputs, layout.rank), dtype=np.float32)
            * np.float32(REACH / math.sqrt(layout.rank)),
        )
        for site in layout.sites
    }
    return Lora("random", layout.pack(pairs), layout.rank, 0, "")


class Numbered:
    """A desk whose texts are the numbers of prompts that are there already."""

    refused = 0

    def __init__(self, prompts: Sequence[Prompt]) -> None:
        self._prompts = prompts

    def ask(self, texts: tuple[str, ...]) -> None:
        """All are there."""

    def ready(self, text: str) -> Prompt | None:
        return self._prompts[int(text or 0)]

    def wait(self, texts: Sequence[str]) -> None:
        """All are there."""

    def deny(self, denied: Denied) -> None:
        """Nobody speaks to it."""

    def refusals(self) -> list[tuple[str, str]]:
        """None."""
        return []

    def close(self) -> None:
        """Nothing is open."""
