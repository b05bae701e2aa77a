"""Fits the guard of the null student: python -m vivant.distill.null_guard [--clip FILE]"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import typer

from vivant.distill.sources import open_sources
from vivant.distill.structures import training_structure
from vivant.engines.card import CARD, Card, card_file
from vivant.engines.contract import LoadedStudent
from vivant.engines.kinds import load_student
from vivant.engines.student import find
from vivant.guardrails.fit import fit_envelope, plain_structures
from vivant.runtime.frames import U8, Controls, Latent

SIZES_PX = (256, 384, 512)
FRAMES = 400  # for each size
PLAIN_SEEDS = 6


def main(clip: Path | None = None) -> None:
    """Fits to structures, plain ones among them, at three sizes, and writes the card's hash."""
    folder = find("null")
    latents = [latent for size in SIZES_PX for latent in _latents(size, clip)]
    fitted = fit_envelope(latents, folder / "guard.npz")
    guard = card_file(folder / "guard.npz")
    card = Card.read(folder).model_copy(
        update={"guard": guard, "made_with": "python -m vivant.distill.null_guard"}
    )
    (folder / CARD).write_text(card.model_dump_json(indent=1) + "\n")
    typer.echo(f"{fitted.count} latents, threshold {fitted.threshold:.1f}")


def _latents(size_px: int, clip: Path | None) -> list[Latent]:
    sources = open_sources(clip)
    frames = [training_structure(sources, _stream(size_px, i), size_px) for i in range(FRAMES)]
    for seed in range(PLAIN_SEEDS):
        frames += plain_structures((size_px, size_px), seed)
    with load_student("null", "null", "float", (size_px, size_px), 1) as student:
        return [_shown(student, frame, _stream(size_px, 10_000 + i)) for i, frame in enumerate(frames)]


def _shown(student: LoadedStudent, frame: U8, rng: np.random.Generator) -> Latent:
    styles = dict(zip(student.card.styles, rng.dirichlet([0.3] * len(student.card.styles)), strict=True))
    controls = Controls(
        strength=float(rng.uniform(0, 1)),
        steps=int(rng.integers(1, 3)),
        seed=int(rng.integers(9999)),
        styles=styles,
    )
    latent = student.denoise(student.encode(frame), controls)
    assert latent.guide is not None
    return Latent(latent.code.copy(), latent.guide.copy())


def _stream(size_px: int, counter: int) -> np.random.Generator:
    return np.random.Generator(np.random.Philox(key=size_px, counter=counter))


if __name__ == "__main__":
    typer.run(main)
