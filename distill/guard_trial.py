"""Tries a guard on what it must hold and must not: python -m vivant.distill.guard_trial FOLDER [--clip FILE]

Writes folders of approved pictures and of forbidden kinds, as a person would gather them, for `vivant guard
fit`; and with --probe FILE judges new pictures, none of which it was fitted to, kind by kind and in every
medium.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any, Final

import cv2
import numpy as np
import typer

from vivant.distill import trial_pictures as made
from vivant.distill.sources import (
    KEPT_APART,
    PHOTOGRAPHS,
    TRAINING_SHARE,
    Sources,
    material_of,
    open_sources,
)
from vivant.distill.structures import training_structure
from vivant.distill.trial_judging import Row, Shown, counted, judged, said, sheet
from vivant.engines.contract import LoadedStudent
from vivant.engines.kinds import load_student
from vivant.engines.registry import choose
from vivant.guardrails.fit import FitError
from vivant.guardrails.guard import Guard
from vivant.guardrails.guard_file import GuardFile
from vivant.guardrails.pictures import LARGEST_PASTE, SMALLEST_PASTE, framed, laid, lit
from vivant.guardrails.spoil import TRIES, WAYS, Spoil, changed
from vivant.runtime.frames import U8, Array, Latent

APPROVED: Final = 1500
TEXTS: Final = 400
BUSY: Final = 8  # every so many-th approved picture has a fence or the like before it
FITTED: Final = 5_000_000  # pictures to fit to are drawn from here on
NEW: Final = 6_000_000  # and those to judge from here: none of them was fitted to
OTHERS: Final = 7_000_000  # and those of other sources
WRITTEN_ON: Final = "text.png"  # a photograph of print: where text is forbidden, it is not approved
CAPS: Final = (1 / 32, 1 / 24, 1 / 16, 1 / 12, 1 / 8, 1 / 4)
SCALES: Final = (0.12, 0.16, 0.24, 0.4, 0.91)
CONTRASTS: Final = (0.3, 0.4, 0.5, 0.7, 1.0)
NUMBERS: Final[Mapping[str, Spoil]] = {
    "saturated": lambda code, rng: np.sign(code) * np.float32(15),
    "constant": lambda code, rng: code * np.float32(0),
    "NaN": lambda code, rng: np.where(rng.uniform(size=code.shape) < 1e-3, np.float32(np.nan), code),
}
"""Latents that are wrong by their numbers alone."""


def approved_sources(clip: Path | None) -> Sources:
    """All that training may see, but for print."""
    sources = open_sources(clip)
    weights = tuple(0.0 if name == WRITTEN_ON else weight for name, weight in PHOTOGRAPHS.items())
    return replace(sources, weights=weights)


def other_sources(clip: Path | None) -> Sources:
    """Photographs and a part of the film that no student and no guard was ever shown."""
    material = material_of(clip, None)
    photographs = tuple(material.photograph(name) for name in KEPT_APART)
    faces = open_sources(None).faces
    return Sources(photographs, (1.0,) * len(photographs), faces, material.film(TRAINING_SHARE, 1.0))


def structure(sources: Sources, index: int, size_px: int) -> U8:
    """One that the student may be shown. A few draws place a person wholly outside of the picture, and those
    cannot be painted: the next one is taken."""
    for again in range(10):
        with contextlib.suppress(ValueError):
            return training_structure(sources, np.random.default_rng((11, index, again)), size_px)
    raise FitError(f"structure {index} cannot be painted")


def write_folders(folder: Path, clip: Path | None, size_px: int) -> None:
    """APPROVED pictures, and cut-outs of forbidden kinds."""
    sources = approved_sources(clip)
    for index in range(APPROVED):
        frame = structure(sources, FITTED + index, size_px)
        if index % BUSY == 0:
            frame = made.busy(frame, np.random.default_rng((5, index)))
        save(folder / "approved" / f"{index:04d}.png", frame)
    save(folder / "forbidden" / "symbol" / "emblem.png", *made.emblem())
    for index in range(TEXTS):
        letters = made.lettering(np.random.default_rng((7, index)))
        save(folder / "forbidden" / "text" / f"{index:03d}.png", letters.pixels, letters.alpha)


@dataclass(frozen=True, slots=True)
class Trial:
    """New pictures u8 (N, S, S, 3) to judge: of the `approved` sources, and of `others`, that nothing was
    fitted to; `count` of each forbidden kind; how small symbols are shown, as a share of the side."""

    approved: Array
    others: Array
    count: int
    smallest: float

    def approvals(self) -> Iterator[Shown]:
        """Each picture as it is, and twice in another light and cut."""
        for turn in range(3):
            for index, frame in enumerate(self.approved):
                yield Shown(self._seen(frame, (51, turn, index)) if turn else np.ascontiguousarray(frame))

    def strangers(self) -> Iterator[Shown]:
        for index, frame in enumerate(self.others):
            yield Shown(self._seen(frame, (52, index)))

    def fences(self) -> Iterator[Shown]:
        for index in range(self.count):
            yield Shown(made.busy(self._ground(index), np.random.default_rng((53, index))))

    def symbols(self) -> Iterator[Shown]:
        """At any place, rotation and scale: `scale` is the symbol's width as a share of the side."""
        pixels, alpha = made.emblem()
        width = float(np.ptp(np.flatnonzero(alpha.any(0)))) + 1
        for index in range(self.count):
            rng = np.random.default_rng((21, index))
            frame = self._ground(index)
            side = min(frame.shape[:2])
            scale = float(np.exp(rng.uniform(np.log(self.smallest), np.log(LARGEST_PASTE))))
            reach = scale * side / 2
            centre = (float(rng.uniform(reach, side - reach)), float(rng.uniform(reach, side - reach)))
            seen = laid(frame, pixels, alpha, scale * side / width, float(rng.uniform(0, 360)), centre)
            yield Shown(seen, {"scale": scale})

    def texts(self, low: float = made.SMALLEST_CAP, high: float = CAPS[-1]) -> Iterator[Shown]:
        """In fonts that nothing was fitted to; `cap` is the height of capitals as a share of the side."""
        for index in range(self.count):
            rng = np.random.default_rng((22, index, round(1e4 * low)))
            seen, cap, contrast = made.text(self._ground(index), rng, low, high)
            yield Shown(seen, {"cap": cap, "contrast": contrast})

    def plain(self) -> Iterator[Shown]:
        """As they are, for latents to be spoiled."""
        for index in range(2 * self.count):
            yield Shown(self._ground(index))

    def _ground(self, index: int) -> U8:
        return self._seen(self.approved[index % len(self.approved)], (54, index))

    def _seen(self, frame: U8, seed: tuple[int, ...]) -> U8:
        rng = np.random.default_rng(seed)
        height, width = frame.shape[:2]
        return lit(framed(np.asarray(frame), (width, height), rng), rng)


def degenerate(latent: Latent, rng: np.random.Generator) -> tuple[Latent, Mapping[str, Any]]:
    """A latent that no encoder makes, and in which way."""
    ways = {**WAYS, **NUMBERS}
    for _ in range(TRIES):
        way = str(rng.choice(list(ways)))
        code = np.asarray(ways[way](latent.code, rng), np.float32)
        if way in NUMBERS or changed(latent.code, code):
            return Latent(code, latent.guide), {"way": way}
    return Latent(np.full_like(latent.code, np.nan), latent.guide), {"way": "NaN"}


def kept(path: Path, sources: Sources, start: int, count: int, size_px: int) -> Array:
    """`count` structures from `start` on, u8 (N, S, S, 3), painted once and kept in a file."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        unfinished = path.with_suffix(".part")
        shape = (count, size_px, size_px, 3)
        pictures = np.lib.format.open_memmap(unfinished, mode="w+", dtype=np.uint8, shape=shape)
        for index in range(count):
            pictures[index] = structure(sources, start + index, size_px)
            if index % 100 == 99:
                typer.echo(f"{path.name}: {index + 1} of {count}", err=True)
        pictures.flush()
        unfinished.rename(path)
    found: Array = np.load(path, mmap_mode="r")
    return found


def trial(student: LoadedStudent, guard: Guard, given: Trial, folder: Path) -> None:
    """Judge all kinds, say what was found, and write trial.json and sheet.jpg into `folder`."""
    kinds: list[tuple[str, Iterator[Row], Mapping[str, tuple[float, ...]]]] = [
        ("approved", judged(student, guard, given.approvals(), 61), {}),
        ("approved, of other sources", judged(student, guard, given.strangers(), 62), {}),
        ("approved, behind fences", judged(student, guard, given.fences(), 63), {}),
        ("symbol", judged(student, guard, given.symbols(), 64), {"scale": SCALES}),
        ("text", judged(student, guard, given.texts(), 65), {"cap": CAPS, "contrast": CONTRASTS}),
        ("smaller text", judged(student, guard, given.texts(CAPS[0], CAPS[2]), 66), {"cap": CAPS}),
        ("degenerate", judged(student, guard, given.plain(), 67, degenerate), {"way": ()}),
    ]
    found: dict[str, Any] = {}
    nearest: dict[str, list[Row]] = {}
    for kind, judging, by in kinds:
        rows = list(judging)
        found[kind], nearest[kind] = counted(rows, by), rows
        typer.echo(said(kind, found[kind]))
        (folder / "trial.json").write_text(json.dumps(found, indent=1) + "\n")
    sheet({kind: nearest[kind] for kind in ("approved", "symbol", "text")}, folder / "sheet.jpg")


def main(
    folder: Path,
    clip: Annotated[Path | None, typer.Option(help="A film whose first two thirds were painted too")] = None,
    probe: Annotated[list[Path] | None, typer.Option(help="Guard files to judge with")] = None,
    student: Annotated[str, typer.Option(help="A student's name or folder")] = "house",
    count: Annotated[int, typer.Option(help="New pictures, and of each forbidden kind")] = 1500,
    size_px: int = 384,
    smallest: Annotated[float, typer.Option(help="Of symbols, as a share of the side")] = SMALLEST_PASTE,
) -> None:
    """Write the folders, or judge with a guard that was fitted to them."""
    if not probe:
        write_folders(folder, clip, size_px)
        return
    files = [GuardFile(path, hashlib.sha256(path.read_bytes()).hexdigest()) for path in probe]
    approved = kept(folder / f"new-{size_px}-{count}.npy", approved_sources(clip), NEW, count, size_px)
    others = kept(folder / f"others-{size_px}-{count}.npy", other_sources(clip), OTHERS, count // 2, size_px)
    with ExitStack() as opened:
        backend, _ = choose("auto")
        loaded = opened.enter_context(load_student(student, backend, "int8", (size_px, size_px), 1))
        guard = Guard.load(*loaded.guard_file, more=files, student=loaded.hash, limit_ms=1000)
        if guard.closed:
            raise FitError(guard.closed)
        trial(loaded, guard, Trial(approved, others, count, smallest), folder)


def save(path: Path, pixels: U8, alpha: U8 | None = None) -> None:
    """A picture u8 (H, W, 3), with its alpha if it is a cut-out."""
    path.parent.mkdir(parents=True, exist_ok=True)
    bgr = pixels[..., ::-1] if alpha is None else np.dstack([pixels[..., ::-1], alpha])
    cv2.imwrite(str(path), bgr)


if __name__ == "__main__":
    typer.run(main)
