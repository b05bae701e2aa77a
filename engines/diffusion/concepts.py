"""Denied concepts: a prompt that means too nearly the same is refused, whatever its words.

Meanings are those of the student's own text encoder, which has the last word on what a prompt makes it paint.
A prompt is judged as a whole, clause by clause, and in every run of a few words, since the one word that
matters is lost in the mean of a long text.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from vivant.engines.contract import EngineError
from vivant.engines.diffusion.prompts import Prompt, kept
from vivant.runtime.frames import F32

LONGEST_RUN: Final = 3  # words
MOST_PARTS: Final = 160
CLAUSE: Final = re.compile(r"[,;:.!?()\[\]|\n]+")
KEY: Final = f"meanings of runs of {LONGEST_RUN}"

Meanings = Callable[[Sequence[str]], F32]
"""Texts to (n, D) of length 1. Raises whatever an encoder does."""


@dataclass(frozen=True, slots=True)
class Denied:
    """`concepts` in words, and the `distance` (1 - cosine, in [0, 2]) below which a prompt is refused."""

    concepts: tuple[str, ...]
    distance: float


class Concepts:
    """What prompts are held against. `encoders` is the hash that meanings are kept by in `store`. One thread:
    that of the prompt desk."""

    def __init__(self, denied: Denied, encoders: str, store: Path, meanings: Meanings) -> None:
        self._denied, self._encoders, self._store, self._meanings = denied, encoders, store, meanings
        self._wanted: list[F32] = []

    def nearest(self, text: str) -> tuple[float, int, str]:
        """The least distance of any part of a text to any concept, the concept's number from 1, and the part.
        Raises EngineError where meanings cannot be told."""
        if not self._wanted:
            self._wanted = [self._of(concept, (concept,)) for concept in self._denied.concepts]
        parts = parts_of(text)
        if not parts:
            return 2.0, 0, ""
        distances = 1.0 - self._of(text, parts) @ np.concatenate(self._wanted).T
        part, concept = np.unravel_index(int(distances.argmin()), distances.shape)
        return float(distances[part, concept]), int(concept) + 1, parts[part]

    def problem(self, text: str) -> str:
        """Why a text is refused; empty when it is not. Never says the concept: the answer goes to whoever
        tried. Raises EngineError."""
        distance, number, _ = self.nearest(text)
        return "" if distance >= self._denied.distance else f"denied concept {number}"

    def _of(self, text: str, parts: Sequence[str]) -> F32:
        """(n, D) of the parts of a text, kept by the whole."""

        def make(_: str) -> Prompt:
            found = self._meanings(parts)
            if found.shape[0] != len(parts) or not np.isfinite(found).all():
                raise EngineError(f"the text encoder gives no meaning to '{text[:60]}'")
            return Prompt(found[None])

        found: F32 = kept(self._store, self._encoders, f"{KEY}\n{text}", make).tokens[0]
        return found


def parts_of(text: str) -> tuple[str, ...]:
    """A text, its clauses, and its runs of up to LONGEST_RUN words; each once. Raises EngineError for a text
    of more than can be judged."""
    found = [text.strip()]
    for clause in CLAUSE.split(text):
        words = clause.split()
        found.append(" ".join(words))
        for length in range(1, LONGEST_RUN + 1):
            found += [" ".join(words[at : at + length]) for at in range(len(words) - length + 1)]
    parts = tuple(dict.fromkeys(part for part in found if part))
    if len(parts) > MOST_PARTS:
        raise EngineError(
            f"the prompt '{text[:40]}...' is too long to be held against denied concepts. Shorten it"
        )
    return parts
