"""Fits the guard of a house student to what it makes of training structures: its envelope and its coherence.

    python -m vivant.distill.house_guard --clip FILE [--student engines/students/house]

For a student whose graphs stay as they are; vivant.distill.export does the same for a new one.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Annotated, Final

import cv2
import numpy as np
import typer

from vivant.distill.graphs import SIGMA_RANGE, SIZES_PX
from vivant.distill.guard_trial import structure
from vivant.distill.sources import Sources, open_sources
from vivant.distill.structures import training_structure
from vivant.distill.trial_judging import controls_for
from vivant.engines.card import CARD, Card, card_file
from vivant.engines.contract import LoadedStudent
from vivant.engines.kinds import load_student
from vivant.engines.manifest import write_atomically
from vivant.guardrails.coherence import arrays_of, coherence_of, policies_of
from vivant.guardrails.envelope import Envelope, fitted_of, read_arrays, write
from vivant.guardrails.fit import FitError, fit_statistics, plain_structures
from vivant.guardrails.measure import measure_brief
from vivant.guardrails.probe_fit import thresholds_of
from vivant.runtime.frames import F32, U8, Array, Controls, Latent

STRUCTURES: Final = 2000  # different frames: their number is what lets the envelope be tight
RATE: Final = 5e-3  # of latents outside: more than one odd structure, which alone must not set the edge
STEPS: Final = 2400  # of fitting the coherence

DRESSED: Final = 0.4  # of latents with anything on that wear an adapter
LINES: Final = 2600  # further frames that say where the lines lie
FIRST_LINE: Final = 2_000_000  # their seeds: none was fitted to
LINE_PX: Final = 384  # they are painted at this size, and shown at all
LINE_RATE: Final = 2e-4  # of latents in every medium that each of both policies may hold, by its tail

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
    frames, each twice. Writes guard.npz; the card that names its hash is the caller's.

    Sizes and plain structures are spread over the whole sequence, so that each fifth holds all kinds.
    """
    from vivant.guardrails.coherence_fit import fit_coherence

    statistics: list[F32] = []
    seen: dict[int, list[tuple[Array, Array]]] = {size: [] for size in SIZES_PX}
    for size, latent, share in looked_at(folder, sources, threads, structures, seed):
        statistics.append(measure_brief(latent))
        assert latent.guide is not None
        seen[size].append((latent.code[0].astype(np.float16), latent.guide[0].astype(np.float16)))
        tell("looking at structures", share)
    stored = [
        (np.stack([code for code, _ in latents]), np.stack([guide for _, guide in latents]))
        for latents in (seen.pop(size) for size in SIZES_PX)
    ]
    found = fit_coherence(stored, steps, seed=seed, tell=lambda share: tell("fitting", share))
    fit_statistics(np.stack(statistics), folder / "guard.npz", RATE, more=arrays_of(found), brief=True)


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
            frame = _drawn(sources, rng, size) if drawn else plain[which][index - structures]
            for latent in _finished(student, frame, done, rng):
                yield size, latent, (done + 1) / len(order)


def _drawn(sources: Sources, rng: np.random.Generator, size: int) -> U8:
    """A structure. A few draws place a person wholly outside of the picture, and those cannot be painted: the
    next one is taken."""
    for _ in range(10):
        with suppress(ValueError):
            return training_structure(sources, rng, size)
    raise FitError("ten structures in a row cannot be painted: the sources are not what they should be")


def _finished(student: LoadedStudent, frame: U8, turn: int, rng: np.random.Generator) -> Iterator[Latent]:
    """The latents of one frame u8 (H, W, 3): in one medium in turn, worn in full, for an adapter moves codes
    further than a style does; and with anything on."""
    _, controls = controls_for(student, turn, rng)
    yield student.denoise(student.encode(frame), controls)
    adapters = list(student.adapters)
    dressed = bool(adapters) and rng.uniform() < DRESSED
    controls = Controls(
        strength=float(rng.uniform(*SIGMA_RANGE)),
        steps=int(rng.integers(1, 3)),
        seed=int(rng.integers(10_000)),
        styles={str(rng.choice(student.card.styles)): 1.0},
        adapters={str(rng.choice(adapters)): float(rng.uniform(0.3, 1.0))} if dressed else {},
    )
    yield student.denoise(student.encode(frame), controls)


def set_lines(
    folder: Path,
    frame_of: Callable[[int], U8],
    threads: int,
    frames: int,
    tell: Tell = lambda what, share: None,
) -> None:
    """Set the lines of both policies by further frames, `frame_of` their number, u8 (S, S, 3): in every
    style and with every adapter in turn, worn in full, at any strength. An adapter moves codes further than
    a style does; no line is drawn closer than it was fitted."""
    guard = folder / "guard.npz"
    kept = read_arrays(guard, card_file(guard).sha256)
    fitted, found = fitted_of(kept, guard), coherence_of(kept)
    if found is None:
        raise FitError(f"{guard} holds no coherence. Fit it: python -m vivant.distill.house_guard")
    envelope, (policy,) = Envelope(fitted), policies_of(kept)
    far: list[tuple[float, float]] = []
    with ExitStack() as open_students:
        students = [
            open_students.enter_context(load_student(folder, "openvino", "int8", (size, size), threads))
            for size in SIZES_PX
        ]
        for index in range(frames):
            student = students[index % len(students)]
            shown = cv2.resize(frame_of(index), student.size_px, interpolation=cv2.INTER_AREA)
            _, controls = controls_for(student, index // len(students), np.random.default_rng((3, index)))
            latent = student.denoise(student.encode(np.asarray(shown, np.uint8)), controls)
            far.append((policy.logit(latent), envelope.distance2(latent)))
            tell("setting the lines", (index + 1) / frames)
    logits, distances2 = np.hsplit(np.array(far, np.float32), 2)
    logit, distance2 = (float(thresholds_of(of, LINE_RATE)[0]) for of in (logits, distances2))
    found = replace(found, threshold=max(logit, found.threshold), false_hold_rate=LINE_RATE)
    fitted = replace(fitted, threshold=max(distance2, fitted.threshold))
    write_atomically(guard, write(fitted, arrays_of(found)))


def main(
    student: Annotated[Path, typer.Option(help="The student's folder")] = Path("engines/students/house"),
    clip: Annotated[Path | None, typer.Option(help="A film whose first two thirds were painted too")] = None,
    structures: Annotated[int, typer.Option(help="How many different frames")] = STRUCTURES,
    steps: Annotated[int, typer.Option(help="Of fitting the coherence")] = STEPS,
    lines: Annotated[int, typer.Option(help="How many further frames set the lines")] = LINES,
    lines_alone: Annotated[
        bool, typer.Option("--lines-alone", help="Keep what was fitted, and set the lines anew")
    ] = False,
    threads: int = 1,
) -> None:
    """Fit the guard anew, and write its hash into the student's card."""
    import torch
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    torch.set_num_threads(threads)
    columns = (TextColumn("{task.description}"), BarColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(file=sys.stderr)) as shown:
        works = ("looking at structures", "fitting", "setting the lines")
        tasks = {what: shown.add_task(what, total=1.0) for what in works}
        tell: Tell = lambda what, share: shown.update(tasks[what], completed=share)  # noqa: E731
        sources = open_sources(clip)
        if not lines_alone:
            write_guard(student, sources, threads, structures, steps, tell=tell)
        set_lines(student, partial(_line_frame, sources), threads, lines, tell)
    card = Card.read(student).model_copy(update={"guard": card_file(student / "guard.npz")})
    (student / CARD).write_text(card.model_dump_json(indent=1) + "\n")


def _line_frame(sources: Sources, index: int) -> U8:
    return structure(sources, FIRST_LINE + index, LINE_PX)


if __name__ == "__main__":
    typer.run(main)
