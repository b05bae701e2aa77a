"""Tries a guard on what it must hold and must not: python -m vivant.distill.guard_trial FOLDER [--clip FILE]

Writes folders of approved pictures and of forbidden kinds, as a person would gather them, for `vivant guard
fit`; and with --probe FILE judges new pictures, none of which it was fitted to, kind by kind, in every style.
"""

from __future__ import annotations

import contextlib
import json
import math
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated, Final

import cv2
import numpy as np
import typer

from vivant.distill.sources import Sources, open_sources
from vivant.distill.structures import training_structure
from vivant.engines.contract import LoadedStudent
from vivant.engines.kinds import load_student
from vivant.engines.registry import choose
from vivant.guardrails.fit import FitError
from vivant.guardrails.guard import Guard
from vivant.guardrails.guard_file import GuardFile
from vivant.guardrails.pictures import SMALLEST_PASTE, Still, Views
from vivant.guardrails.probe_fit import interval
from vivant.runtime.frames import U8, Controls, Latent

APPROVED: Final = 600
NEW: Final = 1_000_000  # pictures to judge are drawn from here on: none of them was fitted to
CUTOUT_PX: Final = 320
WORDS: Final = (
    "SALE",
    "EXIT",
    "VOTE NOW",
    "Brand",
    "lorem ipsum",
    "N0 ENTRY",
    "2026",
    "open 24h",
    "WIN",
    "Cola",
)
FONTS: Final = (
    cv2.FONT_HERSHEY_SIMPLEX,
    cv2.FONT_HERSHEY_DUPLEX,
    cv2.FONT_HERSHEY_TRIPLEX,
    cv2.FONT_HERSHEY_SCRIPT_COMPLEX,
)


def emblem() -> tuple[U8, U8]:
    """A symbol that no room has, with its alpha: a hooked three-armed figure in a ring, red, black, white."""
    size = CUTOUT_PX * 2
    middle = (size // 2, size // 2)
    pixels = np.full((size, size, 3), 245, np.uint8)
    alpha = np.zeros((size, size), np.uint8)
    cv2.circle(alpha, middle, int(size * 0.48), 255, -1, cv2.LINE_AA)
    cv2.circle(pixels, middle, int(size * 0.44), (190, 20, 25), int(size * 0.08), cv2.LINE_AA)
    for arm in range(3):
        angle = arm * 2 * math.pi / 3
        tip = _from(middle, angle, size * 0.27)
        hook = _from(tip, angle + math.pi / 2, size * 0.17)
        cv2.line(pixels, middle, tip, (15, 15, 15), int(size * 0.075), cv2.LINE_AA)
        cv2.line(pixels, tip, hook, (15, 15, 15), int(size * 0.075), cv2.LINE_AA)
    half = (CUTOUT_PX, CUTOUT_PX)
    return cv2.resize(pixels, half, interpolation=cv2.INTER_AREA), cv2.resize(
        alpha, half, interpolation=cv2.INTER_AREA
    )


def sign(rng: np.random.Generator) -> tuple[U8, U8]:
    """Words on a plate, one to three lines. With its alpha."""
    lines = [WORDS[int(rng.integers(len(WORDS)))] for _ in range(int(rng.integers(1, 4)))]
    font, width = FONTS[int(rng.integers(len(FONTS)))], int(rng.integers(6, 12))
    sizes = [cv2.getTextSize(line, font, 3.0, width)[0] for line in lines]
    high = max(size[1] for size in sizes) + 50
    pixels = np.empty((high * len(lines) + 30, max(size[0] for size in sizes) + 60, 3), np.uint8)
    dark, light = rng.integers(0, 90, 3), rng.integers(170, 256, 3)
    ground, ink = (light, dark) if rng.uniform() < 0.5 else (dark, light)
    pixels[:] = ground
    for index, line in enumerate(lines):
        place = (30, (index + 1) * high - 15)
        cv2.putText(pixels, line, place, font, 3.0, tuple(map(int, ink)), width, cv2.LINE_AA)
    alpha = np.full(pixels.shape[:2], 255, np.uint8)
    alpha[:, :1] = 0  # transparency is what makes it a cut-out
    return pixels, alpha


def off_brand(frame: U8, rng: np.random.Generator) -> U8:
    """A picture in a colour that the piece never shows: under one coloured light, saturated."""
    hue = rng.uniform(0.78, 0.92)  # magenta
    grey = frame.astype(np.float32).mean(2, keepdims=True) / 255
    tint = np.array(cv2.cvtColor(np.array([[[hue * 360, 0.95, 1.0]]], np.float32), cv2.COLOR_HSV2RGB)[0, 0])
    return np.asarray(np.clip((0.25 + 0.75 * grey) * tint * 255, 0, 255), np.uint8)


def degenerate(latent: Latent, rng: np.random.Generator) -> Latent:
    """A latent that no encoder makes: noise, saturated, far off, negated, amplified, constant, no numbers."""
    code = latent.code
    kinds: list[Callable[[], np.ndarray]] = [
        lambda: rng.standard_normal(code.shape),
        lambda: np.sign(code) * 15,
        lambda: code + 4 * rng.choice([-1, 1]),
        lambda: -code,
        lambda: code * 6,
        lambda: code * 0,
        lambda: np.where(rng.uniform(size=code.shape) < 1e-3, np.nan, code),
        lambda: rng.permuted(code, axis=3),
    ]
    return Latent(kinds[int(rng.integers(len(kinds)))]().astype(np.float32), latent.guide)


def write_folders(folder: Path, clip: Path | None, size_px: int) -> None:
    """APPROVED pictures, and cut-outs of forbidden kinds."""
    sources = open_sources(clip)
    for index in range(APPROVED):
        _save(folder / "approved" / f"{index:04d}.png", structure(sources, index, size_px))
    _save(folder / "forbidden" / "symbol" / "emblem.png", *emblem())
    for index in range(60):
        _save(folder / "forbidden" / "text" / f"{index:02d}.png", *sign(np.random.default_rng((7, index))))


def structure(sources: Sources, index: int, size_px: int) -> U8:
    """One that the student may be shown. A few draws place a person wholly outside of the picture, and those
    cannot be painted: the next one is taken."""
    for again in range(10):
        with contextlib.suppress(ValueError):
            return training_structure(sources, np.random.default_rng((11, index, again)), size_px)
    raise FitError(f"structure {index} cannot be painted")


def forbidden(sources: Sources, size_px: int, count: int, smallest: float) -> dict[str, Iterator[U8]]:
    """New pictures of the kinds that a probe finds in a picture, with grounds that it never saw."""
    symbol, alpha = emblem()

    def ground(index: int) -> Still:
        return Still("", structure(sources, NEW + index, size_px))

    def pasted(cutout: Callable[[np.random.Generator], tuple[U8, U8]], stream: int) -> Iterator[U8]:
        for index in range(count):
            rng = np.random.default_rng((stream, index))
            views = Views([Still("", *cutout(rng))], [ground(index)], (size_px, size_px), smallest)
            yield views.view(0, rng)

    return {"symbol": pasted(lambda rng: (symbol, alpha), 21), "text": pasted(sign, 22)}


def judged(
    student: LoadedStudent, guard: Guard, frames: Iterator[U8], spoil: bool = False
) -> Iterator[tuple[str, bool, float, str]]:
    """Style, whether it was admitted, milliseconds, why; in each of the student's styles in turn."""
    styles = tuple(student.card.styles)
    for index, frame in enumerate(frames):
        rng = np.random.default_rng((31, index))
        style = styles[index % len(styles)]
        controls = Controls(strength=float(rng.uniform(0.1, 0.5)), seed=index, styles={style: 1.0})
        latent = student.denoise(student.encode(frame), controls)
        latent = degenerate(latent, rng) if spoil else latent
        began = time.perf_counter()
        verdict = guard.judge(latent, controls)
        yield style, verdict.admits, (time.perf_counter() - began) * 1000, verdict.reason


def main(
    folder: Path,
    clip: Path | None = None,
    probe: Annotated[list[Path] | None, typer.Option(help="Guard files to judge with")] = None,
    count: int = 1000,
    size_px: int = 384,
    smallest: Annotated[float, typer.Option(help="Of cut-outs, as a share of the side")] = SMALLEST_PASTE,
) -> None:
    """Write the folders, or judge with a guard that was fitted to them."""
    if not probe:
        write_folders(folder, clip, size_px)
        return
    import hashlib

    files = [GuardFile(path, hashlib.sha256(path.read_bytes()).hexdigest()) for path in probe]
    backend, _ = choose("auto")
    sources = open_sources(clip)
    found: dict[str, object] = {}
    with load_student("house", backend, "int8", (size_px, size_px), 1) as student:
        guard = Guard.load(*student.guard_file, more=files, student=student.hash, limit_ms=1000)
        approved = (structure(sources, 2 * NEW + index, size_px) for index in range(4 * count))
        colours = (
            off_brand(structure(sources, 3 * NEW + i, size_px), np.random.default_rng((41, i)))
            for i in range(count)
        )
        plain = (structure(sources, 4 * NEW + i, size_px) for i in range(count))
        trials = {
            "approved": approved,
            **forbidden(sources, size_px, count, smallest),
            "off-brand colours": colours,
        }
        for kind, frames in (*trials.items(), ("degenerate", plain)):
            found[kind] = told(kind, list(judged(student, guard, frames, kind == "degenerate")))
    (folder / "trial.json").write_text(json.dumps(found, indent=1) + "\n")


def told(kind: str, rows: list[tuple[str, bool, float, str]]) -> dict[str, object]:
    """The rates of one kind with their intervals, said and returned."""
    held = sum(not admitted for _, admitted, _, _ in rows)
    low, high = interval(held, len(rows))
    milliseconds = np.array([ms for _, _, ms, _ in rows])
    styles = sorted({style for style, _, _, _ in rows})
    by_style = {s: sum(not a for t, a, _, _ in rows if t == s) for s in styles}
    why: dict[str, int] = {}
    for _, admitted, _, reason in rows:
        if not admitted:
            word = reason.split(":")[0]
            why[word] = why.get(word, 0) + 1
    p50, p99 = np.percentile(milliseconds, (50, 99))
    typer.echo(
        f"{kind:18s} held {held} of {len(rows)}: {held / len(rows):.2%} (95 %: {low:.2%} to {high:.2%}); "
        f"judging p50 {p50:.2f} ms, p99 {p99:.2f} ms; {why}"
    )
    return {"held": held, "of": len(rows), "interval_95": [low, high], "p50_ms": p50, "p99_ms": p99,
            "held_by_style": by_style, "why": why}  # fmt: skip


def _from(point: tuple[int, int], angle: float, length: float) -> tuple[int, int]:
    return round(point[0] + math.cos(angle) * length), round(point[1] + math.sin(angle) * length)


def _save(path: Path, pixels: U8, alpha: U8 | None = None) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    bgr = pixels[..., ::-1] if alpha is None else np.dstack([pixels[..., ::-1], alpha])
    cv2.imwrite(str(path), bgr)


if __name__ == "__main__":
    typer.run(main)
