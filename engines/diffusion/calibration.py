"""A float student painting before its first show: what its graphs are given, and the latents it makes.

Ranges of INT8 graphs come from the one, the guard from the other. Every step count, strength and prompt, and
adapters at several scales, take their turn; everything is drawn from seeds.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import numpy as np

from vivant.engines.card import Card
from vivant.engines.contract import Engine, Part, TensorSpec
from vivant.engines.diffusion.bank import Layout, Pair
from vivant.engines.diffusion.embeddings import facts_of
from vivant.engines.diffusion.lora import Lora
from vivant.engines.diffusion.prompts import Prompt
from vivant.engines.diffusion.student import MOST_STEPS, DiffusionStudent
from vivant.engines.diffusion.wardrobe import Wardrobe
from vivant.engines.diffusion.wishes import FEEDBACK, PROMPT_A
from vivant.engines.loading import load_engines
from vivant.runtime.frames import U8, Array, Controls, Latent

SAMPLES: Final = 24  # runs of each graph that ranges are taken from
LATENTS: Final = 180  # a code of four channels has 29 statistics; a guard wants four times as many latents
SCALES: Final = (0.0, 0.5, 1.0)  # adapters must be worn while ranges are taken, or they are cut off
REACH: Final = 0.1  # of what a layer gives: how far a random adapter changes it
SEED: Final = 11


@dataclass(slots=True)
class Calibration:
    """Inputs by graph and run, with their group (int8.write_int8), and finished latents."""

    samples: dict[str, list[dict[str, Array]]] = field(default_factory=dict)
    groups: dict[str, list[str]] = field(default_factory=dict)
    latents: list[Latent] = field(default_factory=list)


class Listening:
    """An engine that remembers what it is given, while it is listened to."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self.inputs: tuple[TensorSpec, ...] = engine.inputs
        self.outputs: tuple[TensorSpec, ...] = engine.outputs
        self.ran_precision = engine.ran_precision
        self.heard: list[dict[str, Array]] | None = None
        self._last: dict[str, Array] = {}  # adapters take a hundred megabytes and hardly change: kept once

    def run(self, inputs: Mapping[str, Array], outputs: Mapping[str, Array]) -> None:
        if self.heard is not None:
            before = self._last
            self._last = {
                name: before[name] if np.array_equal(before.get(name, ()), array) else array.copy()
                for name, array in inputs.items()
            }
            self.heard.append(self._last)
        self._engine.run(inputs, outputs)

    def close(self) -> None:
        self._engine.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


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
    engines = {
        part: Listening(engine)
        for part, engine in load_engines(
            folder, card, "onnxruntime", "float", (width, height), threads
        ).items()
    }
    loras = {} if facts.adapters is None else {"random": random_lora(facts.adapters.layout)}
    desk = Numbered(prompts)
    found = Calibration({part: [] for part in engines}, {part: [] for part in engines})
    rng = np.random.default_rng(SEED)
    with DiffusionStudent(
        card, folder, "onnxruntime", "float", engines, desk, prompts[0], Wardrobe(facts, loras)
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
            for engine in engines.values():
                engine.heard = [] if index < SAMPLES else None
            latent = student.denoise(student.encode(frames[index % len(frames)]), controls)
            if index < SAMPLES:
                student.decode(latent, None, controls)
                _keep(found, engines, f"{scale:g}")
            found.latents.append(Latent(latent.code.copy(), None))
            progress((index + 1) / latents)
    return found


def _keep(found: Calibration, engines: Mapping[Part, Listening], worn: str) -> None:
    """One group for each way that adapters are worn and each octave of sigma."""
    for part, engine in engines.items():
        for heard in engine.heard or ():
            level = round(math.log2(float(heard["sigma"][0, 0]))) if "sigma" in heard else 0
            found.samples[part].append(heard)
            found.groups[part].append(f"{level} {worn}" if "sigma" in heard else "")


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
    return Lora("random", layout.pack(pairs), layout.rank, {}, 0, "")


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

    def close(self) -> None:
        """Nothing is open."""
