"""Tries a brand box on new pictures: python -m vivant.distill.brand_trial FOLDER [--clip FILE] [--brand FILE]

Writes approved pictures in two hues for `vivant guard brand`; and with --brand FILE judges new ones, and such
as have a part in another colour.

What is off-brand is told by what was painted, not by what was put in: a student that mutes colours paints
some of it on the palette again. A painted picture is off-brand when OFF_BRAND of its area or more is further
than the box's reach from its palette, at the scale that the box judges at; it is on the palette when no more
than CLEAN of it is further than half of the reach. What is neither is counted apart: to hold it and to let it
pass are both right.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Annotated, Any, Final

import cv2
import numpy as np
import typer

from vivant.distill.guard_trial import APPROVED, FITTED, approved_sources, kept, save, structure
from vivant.distill.trial_judging import Row, Shown, controls_for, counted, said, sheet, timed
from vivant.engines.contract import LoadedStudent
from vivant.engines.field import PlaneField
from vivant.engines.kinds import load_student
from vivant.engines.registry import choose
from vivant.guardrails.brand import BrandBox, away_of, features
from vivant.guardrails.brand_fit import OFF_BRAND, clouds, mixed, woven
from vivant.guardrails.brand_map import lab_of
from vivant.guardrails.fit import FitError
from vivant.guardrails.guard import Guard
from vivant.guardrails.guard_file import GuardFile
from vivant.guardrails.pictures import framed, lit
from vivant.runtime.frames import F32, U8, Array, Controls, Latent

HUES: Final = (265.0, 75.0)  # of the palette in CIELAB, in degrees: a blue and a sand
APART: Final = 60.0  # degrees of hue from both: another colour
NEW: Final = 8_500_000  # pictures to judge are drawn from here on: no fit and no other trial saw them
VIEWS: Final = 3  # of each of them that are approved, and ASTRAY that are not
ASTRAY: Final = 2
MIXED: Final = 400  # approved ones in a mixture of two styles
SHARES: Final = (0.0, 0.02, 0.05, 0.1, 0.15, 0.2, 0.4, 1.01)  # of the painted picture's area, off the palette
CLEAN: Final = 0.02
TOLD: Final = 250  # so often it is said how far it is


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
    share = float(np.exp(rng.uniform(np.log(0.05), 0.0)))
    part = clouds((frame.shape[0], frame.shape[1]), share, rng).astype(np.float32)
    chroma = np.maximum(np.hypot(lab[..., 1], lab[..., 2]), float(rng.uniform(35, 60)))
    turned = _rgb(np.clip(lab[..., 0], 25, 80), np.full_like(chroma, np.radians(hue)), chroma)
    cover = cv2.GaussianBlur(part, (0, 0), 1.0)[..., None]
    return np.asarray(frame + cover * (turned.astype(np.float32) - frame), np.uint8)


@dataclass(frozen=True, slots=True)
class Painter:
    """What a latent comes to, looked at for this trial alone."""

    student: LoadedStudent
    planes: PlaneField | None
    box: BrandBox

    def rows(self, pictures: Iterator[U8], stream: int, mixtures: bool = False) -> Iterator[Row]:
        """A row for each picture, in each style in turn or in mixtures of two, with what was painted."""
        guard, styles = Guard([self.box], limit_ms=1000), self.student.card.styles
        for index, frame in enumerate(pictures):
            rng = np.random.default_rng((stream, index))
            medium, controls = controls_for(self.student, index % len(styles), rng)
            controls = replace(controls, seed=index)
            if mixtures:
                controls = replace(controls, styles=mixed(styles, index, rng))
            latent = self.student.denoise(self.student.encode(frame), controls)
            planes = woven(self.student, self.planes, latent, controls)
            painted = np.array(self.student.decode(latent, planes, controls)[..., :3])
            yield timed(guard, latent, controls, medium, Shown(painted, self.told(painted, latent, controls)))

    def told(self, painted: U8, latent: Latent, controls: Controls) -> dict[str, float]:
        """Shares of a painted picture's area: `off` the palette, and `near` its edge or off it."""
        _, height, width = features(latent).shape
        small = cv2.resize(painted, (width, height), interpolation=cv2.INTER_AREA)
        away = self.box.away_in(self.box.colour_map.shares(controls))
        apart = away_of(lab_of(small.reshape(-1, 3).astype(np.float32) / 255), away)
        reach = self.box.limits.reach
        return {"off": float((apart > reach).mean()), "near": float((apart > reach / 2).mean())}


def seen(pictures: Array, views: int, stray: bool, stream: int) -> Iterator[U8]:
    """So many views of each new picture in the palette, or with a part that is not."""
    for index in range(views * len(pictures)):
        rng = np.random.default_rng((stream, index))
        frame = np.asarray(pictures[index % len(pictures)])
        view = in_palette(lit(framed(frame, (frame.shape[1], frame.shape[0]), rng), rng))
        yield strayed(view, rng) if stray else view
        if index % TOLD == TOLD - 1:
            typer.echo(f"{index + 1} of {views * len(pictures)}", err=True)


def kinds_of(plain: Sequence[Row], stray: Sequence[Row]) -> dict[str, list[Row]]:
    """Rows by what was painted. Every view of an approved picture is approved, unless it came to be off-brand
    all the same."""
    off = [row for row in (*plain, *stray) if row.facts["off"] >= OFF_BRAND]
    rest = [row for row in stray if row.facts["off"] < OFF_BRAND]
    return {
        "approved": [row for row in plain if row.facts["off"] < OFF_BRAND],
        "off-brand": off,
        "astray, and painted on the palette again": [row for row in rest if row.facts["near"] <= CLEAN],
        "astray, and painted in between": [row for row in rest if row.facts["near"] > CLEAN],
    }


def trial(student: LoadedStudent, file: GuardFile, pictures: Array, folder: Path) -> None:
    """Judge approved pictures and strayed ones, say what was found, write brand-trial.json and a sheet."""
    box = file.load(student.hash)
    if not isinstance(box, BrandBox):
        raise FitError(f"{file.path} is no brand box. Fit one: vivant guard brand")
    painter = Painter(student, PlaneField(student.size_px, 1) if student.recipes else None, box)
    approved = list(painter.rows(seen(pictures, VIEWS, False, 71), 81))
    forbidden = list(painter.rows(seen(pictures, ASTRAY, True, 72), 82))
    mixtures = list(painter.rows(islice(seen(pictures, 1, False, 73), MIXED), 83, mixtures=True))
    kinds = kinds_of(approved, forbidden) | {"approved, in mixtures of two styles": mixtures}
    found: dict[str, Any] = {}
    for kind, rows in kinds.items():
        if rows:
            found[kind] = counted(rows, {"off": SHARES})
            typer.echo(said(kind, found[kind]))
    (folder / "brand-trial.json").write_text(json.dumps(found, indent=1) + "\n")
    sheet({kind: kinds[kind] for kind in ("approved", "off-brand")}, folder / "brand-sheet.jpg")


def main(
    folder: Path,
    clip: Annotated[Path | None, typer.Option(help="A film whose first two thirds were painted too")] = None,
    brand: Annotated[Path | None, typer.Option(help="The brand box to judge with")] = None,
    count: Annotated[int, typer.Option(help="New pictures, each judged in several views")] = 1000,
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
    pictures = kept(folder / f"brand-{size_px}-{count}.npy", sources, NEW, count, size_px)
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
