"""Fits the guard of a house student to what it makes of training structures: its envelope and its coherence.

    python -m vivant.distill.house_guard --clip FILE [--student engines/students/house]

For a student whose graphs stay as they are; vivant.distill.export does the same for a new one.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated, Final

import numpy as np
import typer

from vivant.distill.graphs import SIGMA_RANGE, SIZES_PX
from vivant.distill.sources import Sources, open_sources
from vivant.distill.structures import training_structure
from vivant.engines.card import CARD, Card, card_file
from vivant.engines.contract import LoadedStudent
from vivant.engines.kinds import load_student
from vivant.guardrails.coherence import arrays_of
from vivant.guardrails.fit import fit_statistics, plain_structures
from vivant.guardrails.measure import measure
from vivant.runtime.frames import F32, U8, Array, Controls, Latent

STRUCTURES: Final = 2000  # different frames: their number is what lets the envelope be tight
RATE: Final = 5e-3  # of latents outside: more than one odd structure, which alone must not set the edge
STEPS: Final = 2400  # of fitting the coherence

Tell = Callable[[str, float], None]
"""Told what is being done and the share of it that is."""


def write_guard(
    folder: Path,
    sources: Sources,
    threads: int,
    structures: int,
    steps: int = STEPS,
    seed: int = 1,
    tell: Tell = lambda what, share: None,
) -> None:
    """Fit the guard to latents of the INT8 graphs, as the show will run them: of `structures` different
    frames, each in two styles, at a low and a high strength, some wearing an adapter. Writes guard.npz; the
    card that names its hash is the caller's.

    Sizes and plain structures are spread over the whole sequence, so that each fifth holds all kinds.
    """
    from vivant.guardrails.coherence_fit import fit_coherence

    statistics: list[F32] = []
    seen: dict[int, list[tuple[Array, Array]]] = {size: [] for size in SIZES_PX}
    for size, latent, share in looked_at(folder, sources, threads, structures, seed):
        statistics.append(measure(latent))
        assert latent.guide is not None
        seen[size].append((latent.code[0].astype(np.float16), latent.guide[0].astype(np.float16)))
        tell("looking at structures", share)
    stored = [
        (np.stack([code for code, _ in latents]), np.stack([guide for _, guide in latents]))
        for latents in (seen.pop(size) for size in SIZES_PX)
    ]
    found = fit_coherence(stored, steps, seed=seed, tell=lambda share: tell("fitting", share))
    fit_statistics(np.stack(statistics), folder / "guard.npz", RATE, more=arrays_of(found))


def looked_at(
    folder: Path, sources: Sources, threads: int, structures: int, seed: int
) -> Iterator[tuple[int, Latent, float]]:
    """Size in pixels and finished latents, valid until the next, and the share of them that this is."""
    rng = np.random.default_rng(seed)
    with ExitStack() as open_students:
        students = [
            open_students.enter_context(load_student(folder, "openvino", "int8", (size, size), threads))
            for size in SIZES_PX
        ]
        plain = [plain_structures(student.size_px, seed) for student in students]
        order = rng.permutation(structures + len(plain[0]))
        for done, index in enumerate(order):
            which = int(rng.integers(len(students)))
            student, size = students[which], SIZES_PX[which]
            drawn = index < structures
            frame = training_structure(sources, rng, size) if drawn else plain[which][index - structures]
            for latent in _finished(student, frame, rng):
                yield size, latent, (done + 1) / len(order)


def _finished(student: LoadedStudent, frame: U8, rng: np.random.Generator) -> Iterator[Latent]:
    """The latents of one frame u8 (H, W, 3) in two styles, at a low and a high strength."""
    worn = list(student.adapters)
    for strength in (rng.uniform(0, 0.3), rng.uniform(0.3, SIGMA_RANGE[1])):
        style = str(rng.choice(student.card.styles))
        adapters = {str(rng.choice(worn)): float(rng.uniform(0.3, 1))} if worn and rng.random() < 0.4 else {}
        controls = Controls(
            strength=strength,
            steps=int(rng.integers(1, 3)),
            seed=int(rng.integers(10_000)),
            styles={style: 1.0},
            adapters=adapters,
        )
        yield student.denoise(student.encode(frame), controls)


def main(
    student: Annotated[Path, typer.Option(help="The student's folder")] = Path("engines/students/house"),
    clip: Annotated[Path | None, typer.Option(help="A film whose first two thirds were painted too")] = None,
    structures: Annotated[int, typer.Option(help="How many different frames")] = STRUCTURES,
    steps: Annotated[int, typer.Option(help="Of fitting the coherence")] = STEPS,
    threads: int = 1,
) -> None:
    """Fit the guard anew, and write its hash into the student's card."""
    import torch
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    torch.set_num_threads(threads)
    columns = (TextColumn("{task.description}"), BarColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(file=sys.stderr)) as shown:
        tasks = {what: shown.add_task(what, total=1.0) for what in ("looking at structures", "fitting")}
        tell: Tell = lambda what, share: shown.update(tasks[what], completed=share)  # noqa: E731
        write_guard(student, open_sources(clip), threads, structures, steps, tell=tell)
    card = Card.read(student).model_copy(update={"guard": card_file(student / "guard.npz")})
    (student / CARD).write_text(card.model_dump_json(indent=1) + "\n")


if __name__ == "__main__":
    typer.run(main)
