"""Tries a brand box on colours that a piece never shows.

    python -m vivant.distill.brand_trial FOLDER [--clip FILE] [--brand FILE]

Writes a folder of pictures in a palette for `vivant guard brand`; and with --brand FILE judges new ones, some
with a part in another colour. What is forbidden is told from the painted picture, which the box never sees.
"""

from __future__ import annotations

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

from vivant.distill.guard_trial import APPROVED, FITTED, NEW, approved_sources, kept, save, structure
from vivant.distill.trial_judging import Row, Shown, controls_for, counted, said, sheet, timed
from vivant.engines.contract import LoadedStudent
from vivant.engines.field import PlaneField
from vivant.engines.kinds import load_student
from vivant.engines.registry import choose
from vivant.guardrails.brand import BrandBox
from vivant.guardrails.brand_fit import woven
from vivant.guardrails.fit import FitError
from vivant.guardrails.guard import Guard
from vivant.guardrails.guard_file import GuardFile
from vivant.guardrails.pictures import framed, lit
from vivant.runtime.frames import F32, U8, Array

HUES: Final = (265.0, 75.0)  # of the palette in CIELAB, in degrees: a blue and a sand
APART: Final = 60.0  # degrees of hue from both: another colour
ASTRAY: Final = 40.0  # degrees of hue from both, of a painted colour that is not of the palette
COLOURED: Final = 20.0  # chroma in CIELAB below which nothing is seen as another colour
AREA_PX: Final = 16
SHARES: Final = (0.0, 0.02, 0.05, 0.1, 0.2, 0.4, 1.01)  # of the painted picture
LEAST: Final = 0.1  # a painted picture with more of another colour must be held


def in_palette(frame: U8) -> U8:
    """A frame u8 (H, W, 3) with each colour turned to the nearer of HUES, and a little paler."""
    lab = _lab(frame)
    hue, chroma = np.degrees(np.arctan2(lab[..., 2], lab[..., 1])), np.hypot(lab[..., 1], lab[..., 2])
    away = [np.abs((hue - one + 180) % 360 - 180) for one in HUES]
    turned = np.radians(np.where(away[0] < away[1], *HUES))
    return _rgb(lab[..., 0], turned, np.minimum(chroma * 0.8, 45.0))


def strayed(frame: U8, rng: np.random.Generator) -> U8:
    """A frame with a part of it, from a twentieth to all, in a colour that is not in the palette."""
    lab = _lab(frame)
    while True:
        hue = float(rng.uniform(0, 360))
        if min(abs((hue - one + 180) % 360 - 180) for one in HUES) >= APART:
            break
    share, side = float(np.exp(rng.uniform(np.log(0.05), 0.0))), min(frame.shape[:2])
    soft = cv2.GaussianBlur(rng.standard_normal(frame.shape[:2]).astype(np.float32), (0, 0), side / 7)
    part = (soft >= np.quantile(soft, 1 - share)).astype(np.float32)
    chroma = np.maximum(np.hypot(lab[..., 1], lab[..., 2]), float(rng.uniform(35, 60)))
    turned = _rgb(np.clip(lab[..., 0], 25, 80), np.full_like(chroma, np.radians(hue)), chroma)
    cover = cv2.GaussianBlur(part, (0, 0), 1.0)[..., None]
    return np.asarray(frame + cover * (turned.astype(np.float32) - frame), np.uint8)


@dataclass(frozen=True, slots=True)
class Painter:
    """What a latent comes to, looked at for this trial alone."""

    student: LoadedStudent
    planes: PlaneField | None

    def rows(self, guard: Guard, pictures: Iterator[Shown], stream: int) -> Iterator[Row]:
        """In each style in turn, with the share of the painted picture that strays from the palette."""
        styles = len(self.student.card.styles)
        for index, shown in enumerate(pictures):
            rng = np.random.default_rng((stream, index))
            medium, controls = controls_for(self.student, index % styles, rng)
            controls = replace(controls, seed=index)
            latent = self.student.denoise(self.student.encode(shown.pixels), controls)
            row = timed(guard, latent, controls, medium, shown)
            painted = self.student.decode(
                latent, woven(self.student, self.planes, latent, controls), controls
            )
            yield replace(row, facts={**row.facts, "strayed": astray(painted)})


def astray(painted: U8) -> float:
    """Share of a painted picture's areas that are in another colour than HUES."""
    height, width = (side // AREA_PX for side in painted.shape[:2])
    lab = _lab(cv2.resize(painted[..., :3], (width, height), interpolation=cv2.INTER_AREA))
    hue, chroma = np.degrees(np.arctan2(lab[..., 2], lab[..., 1])), np.hypot(lab[..., 1], lab[..., 2])
    away = np.min([np.abs((hue - one + 180) % 360 - 180) for one in HUES], axis=0)
    return float(((away >= ASTRAY) & (chroma >= COLOURED)).mean())


def seen(pictures: Array, stray: bool, stream: int) -> Iterator[Shown]:
    """New pictures in the palette, or with a part that is not."""
    for index, frame in enumerate(pictures):
        rng = np.random.default_rng((stream, index))
        height, width = frame.shape[:2]
        view = in_palette(lit(framed(np.asarray(frame), (width, height), rng), rng))
        yield Shown(strayed(view, rng) if stray else view)


def trial(student: LoadedStudent, file: GuardFile, pictures: Array, folder: Path) -> None:
    """Judge approved pictures and strayed ones, say what was found, write brand-trial.json and a sheet."""
    box = file.load(student.hash)
    if not isinstance(box, BrandBox):
        raise FitError(f"{file.path} is no brand box. Fit one: vivant guard brand")
    guard = Guard([box], limit_ms=1000)
    planes = PlaneField(student.size_px, 1) if student.recipes else None
    painter = Painter(student, planes)
    approved = list(painter.rows(guard, seen(pictures, False, 71), 81))
    forbidden = list(painter.rows(guard, seen(pictures, True, 72), 82))
    kinds: Mapping[str, list[Row]] = {
        "approved": approved,
        "off-brand": [row for row in forbidden if row.facts["strayed"] >= LEAST],
        "all that strayed": forbidden,
    }
    found: dict[str, Any] = {}
    for kind, rows in kinds.items():
        found[kind] = counted(rows, {"strayed": SHARES})
        typer.echo(said(kind, found[kind]))
    (folder / "brand-trial.json").write_text(json.dumps(found, indent=1) + "\n")
    sheet({kind: kinds[kind] for kind in ("approved", "off-brand")}, folder / "brand-sheet.jpg")


def main(
    folder: Path,
    clip: Annotated[Path | None, typer.Option(help="A film whose first two thirds were painted too")] = None,
    brand: Annotated[Path | None, typer.Option(help="The brand box to judge with")] = None,
    count: Annotated[int, typer.Option(help="New pictures of either kind")] = 1500,
    size_px: int = 384,
) -> None:
    """Write the folder, or judge with a brand box that was fitted to it."""
    sources = approved_sources(clip)
    if brand is None:
        for index in range(APPROVED):
            save(
                folder / "palette" / f"{index:04d}.png",
                in_palette(structure(sources, FITTED + index, size_px)),
            )
        return
    pictures = kept(folder / f"new-{size_px}-{count}.npy", sources, NEW, count, size_px)
    file = GuardFile(brand, hashlib.sha256(brand.read_bytes()).hexdigest())
    with ExitStack() as opened:
        loaded = opened.enter_context(load_student("house", choose("auto")[0], "int8", (size_px, size_px), 1))
        trial(loaded, file, pictures, folder)


def _lab(frame: U8) -> F32:
    return np.asarray(cv2.cvtColor(frame.astype(np.float32) / 255, cv2.COLOR_RGB2LAB), np.float32)


def _rgb(lightness: F32, hue: F32, chroma: F32) -> U8:
    lab = np.dstack([lightness, chroma * np.cos(hue), chroma * np.sin(hue)]).astype(np.float32)
    return np.asarray(np.clip(cv2.cvtColor(lab, cv2.COLOR_LAB2RGB), 0, 1) * 255 + 0.5, np.uint8)


if __name__ == "__main__":
    typer.run(main)
