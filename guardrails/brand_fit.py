"""Fits a brand box to approved pictures: what a student makes of them in each style, and how far colours
go."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np

from vivant.engines.contract import LoadedStudent
from vivant.engines.field import PlaneField
from vivant.guardrails.brand import (
    BINS,
    GREY,
    BrandBox,
    ColourMap,
    Limits,
    arrays_of,
    bins_of,
    features,
    measured,
    raised,
)
from vivant.guardrails.guard_file import write_guard_file
from vivant.guardrails.pictures import PicturesError, Still, Views
from vivant.runtime.frames import F32, U8, Array, Controls, Latent

RIDGE: Final = 1e-3
HELD_OUT: Final = 4  # every fourth picture tells the error
TURNED: Final = (
    3  # of so many pictures all but one are in other colours: what is off the palette must be known
)
LOOKS: Final = 150  # of each style at the least, that its palette and the limits are found from
HIDDEN: Final = 64  # random directions
SPAN: Final = 0.35  # of their lengths: codes are about unit variance
MARGIN: Final = 1.1  # how much further than approved pictures a limit is
LEAST_AREA: Final = 0.02
COMMON: Final = 2e-4  # a colour that less of the approved area has is not of the palette
FEWEST: Final = 8

Tell = Callable[[str, float], None]
"""Told what is being done and the share of it that is."""
Taken = tuple[str, F32, F32]
"""A style, features (F, n) and colours (n, 3) of one picture's cells."""


def fit_brand(
    student: LoadedStudent,
    approved: Sequence[Still],
    out: Path,
    each: int = 24,
    palette: Sequence[tuple[int, int, int]] = (),
    reach: float = 20.0,
    limits: Limits | None = None,
    seed: int = 0,
    tell: Tell = lambda what, share: None,
) -> tuple[BrandBox, dict[str, Any], str]:
    """Fits to `each` views in every style and writes `out`; the box, its card and the file's sha256.
    `palette` of R, G, B, with all colours within `reach` of CIELAB's a*, b*, and `limits` stand in for those
    found. Raises PicturesError for too few pictures."""
    if each < FEWEST or not approved:
        raise PicturesError(
            f"a brand box needs at least one approved picture and {FEWEST} views of each style"
        )
    styles = tuple(student.card.styles) or ("",)
    taken: list[Taken] = []
    for index, one in enumerate(cells(student, approved, styles, each, seed)):
        taken.append(one)
        tell("painting the pictures", (index + 1) / (each * len(styles)))
    colour_map = map_of(styles, taken)
    shown = looks(student, approved, styles, colour_map, looks_for(approved, styles), seed, tell)
    own = [shown[index :: len(styles)] for index in range(len(styles))]
    planes = [painted_palette(palette, reach) if palette else found_palette(colours) for colours in own]
    found = [planes[index % len(styles)] for index in range(len(shown))]
    box = BrandBox(colour_map, limits or limits_of(shown, found), np.stack(planes))
    card = {
        "student": {"name": student.card.name, "hash": student.hash, "precision": student.precision},
        "pictures": len(approved),
        "views_painted": len(taken),
        "views_judged": len(shown),
        "colour_error": colour_map.error,
        "colour_errors": dict(zip(styles, colour_map.errors, strict=True)),
        "palette": "written" if palette else "found",
    }
    return box, card, write_guard_file(out, "brand", student.hash, arrays_of(box, card))


def cells(
    student: LoadedStudent, approved: Sequence[Still], styles: Sequence[str], each: int, seed: int
) -> Iterator[Taken]:
    """Of `each` views painted in every style, most of them in other colours than they are: features, and the
    colours that were painted there."""
    planes = PlaneField(student.size_px, seed) if student.recipes else None
    for style, latent, controls in latents(student, approved, styles, each * len(styles), seed, turned):
        picture = student.decode(latent, woven(student, planes, latent, controls), controls)
        x = features(latent)
        size = (x.shape[2], x.shape[1])
        small = cv2.resize(picture[..., :3], size, interpolation=cv2.INTER_AREA)
        yield style, x.reshape(len(x), -1).copy(), small.reshape(-1, 3).astype(np.float32) / 255


def looks_for(approved: Sequence[Still], styles: Sequence[str]) -> int:
    """How many pictures are looked at: all, and enough of each style."""
    return max(len(approved), LOOKS * len(styles))


def looks(
    student: LoadedStudent,
    approved: Sequence[Still],
    styles: Sequence[str],
    colour_map: ColourMap,
    count: int,
    seed: int,
    tell: Tell,
) -> list[F32]:
    """What the map says of `count` approved views, sRGB f32 (h, w, 3) each."""
    found = []
    for _, latent, controls in latents(student, approved, styles, count, seed + 1):
        found.append(colour_map.colours(latent, controls))
        tell("looking at all of them", len(found) / count)
    return found


def latents(
    student: LoadedStudent,
    approved: Sequence[Still],
    styles: Sequence[str],
    count: int,
    seed: int,
    change: Callable[[U8, int, np.random.Generator], U8] = lambda frame, turn, rng: frame,
) -> Iterator[tuple[str, Latent, Controls]]:
    """Of `count` views, each changed by its turn within a style, in the styles in turn; a latent is valid
    until the next."""
    views = Views(approved, approved, student.size_px)
    for index in range(count):
        style = styles[index % len(styles)]
        rng = np.random.default_rng((seed, index))
        worn = {style: 1.0} if style else {}
        controls = Controls(
            strength=float(rng.uniform(0.0, 1.0)),
            steps=int(rng.integers(1, 3)),
            seed=index,
            styles=worn,
            size_px=student.size_px,
        )
        frame = change(views.view(index, rng), index // len(styles), rng)
        yield style, student.denoise(student.encode(frame), controls), controls


def turned(frame: U8, turn: int, rng: np.random.Generator) -> U8:
    """All but each TURNED-th frame u8 (H, W, 3) in other colours: all hues turned, chroma less or more, and a
    wandering part of it tinted."""
    if turn % TURNED == 0:
        return frame
    lab = cv2.cvtColor(frame.astype(np.float32) / 255, cv2.COLOR_RGB2LAB)
    angle, gain = rng.uniform(0, 2 * np.pi), np.exp(rng.uniform(np.log(0.6), np.log(2.2)))
    tint, most = rng.uniform(0, 2 * np.pi), rng.uniform(0, 60)
    clouds = cv2.GaussianBlur(rng.standard_normal(frame.shape[:2]), (0, 0), min(frame.shape[:2]) / 6)
    part = most * (clouds > np.quantile(clouds, rng.uniform(0.1, 0.9)))
    across, along = lab[..., 1].copy(), lab[..., 2].copy()
    lab[..., 1] = gain * (np.cos(angle) * across - np.sin(angle) * along) + part * np.cos(tint)
    lab[..., 2] = gain * (np.sin(angle) * across + np.cos(angle) * along) + part * np.sin(tint)
    changed = np.clip(cv2.cvtColor(lab, cv2.COLOR_LAB2RGB), 0, 1)
    return np.asarray(changed * 255 + 0.5, np.uint8)


def woven(student: LoadedStudent, planes: PlaneField | None, latent: Latent, controls: Controls) -> U8 | None:
    """The planes of a latent, as a show makes them for its first frame."""
    if planes is None or latent.guide is None:
        return None
    planes.forget()
    return planes.update(latent.guide, student.dress(controls))


def map_of(styles: Sequence[str], taken: Sequence[Taken], seed: int = 0) -> ColourMap:
    """By ridge regression of each style's areas; the errors are of every HELD_OUT-th picture of it."""
    size = len(taken[0][1])
    hidden = np.asarray(np.random.default_rng(seed).normal(0, SPAN, (size, HIDDEN)), np.float32)
    weights, errors = [], []
    for style in styles:
        own = [(raised(x, hidden), rgb) for name, x, rgb in taken if name == style]
        solved = solve([pair for index, pair in enumerate(own) if index % HELD_OUT])
        apart = [np.square(_lab(x.T @ solved) - _lab(rgb)).sum(1).mean() for x, rgb in own[::HELD_OUT]]
        errors.append(float(np.sqrt(np.mean(apart))))
        weights.append(solved)
    named = tuple(style for style in styles if style)
    return ColourMap(named, hidden, np.stack(weights).astype(np.float32), tuple(errors))


def solve(pairs: Sequence[tuple[F32, F32]]) -> F32:
    """Weights (F, 3) of the least squares, with a little ridge."""
    square = sum(x.astype(np.float64) @ x.T for x, _ in pairs)
    cross = sum(x.astype(np.float64) @ rgb for x, rgb in pairs)
    count = sum(x.shape[1] for x, _ in pairs)
    ridge = RIDGE * count * np.eye(len(pairs[0][0]))
    return np.asarray(np.linalg.solve(square + ridge, cross), np.float32)


def found_palette(colours: Sequence[F32]) -> Array:
    """Where approved colours lie, and their neighbours."""
    lab = _lab(np.concatenate([one.reshape(-1, 3) for one in colours]))
    plane = np.zeros((BINS, BINS), np.float32)
    np.add.at(plane, (bins_of(lab[:, 1]), bins_of(lab[:, 2])), 1.0 / len(lab))
    near = cv2.dilate((plane > COMMON).astype(np.uint8), np.ones((3, 3), np.uint8))
    return np.asarray(near, bool)


def painted_palette(palette: Sequence[tuple[int, int, int]], reach: float) -> Array:
    """The bins within `reach` of one of the colours."""
    lab = _lab(np.array(palette, np.float32) / 255)
    from vivant.guardrails.brand import REACH

    middles = (np.arange(BINS) + 0.5) / BINS * 2 * REACH - REACH
    a, b = np.meshgrid(middles, middles, indexing="ij")
    apart = np.min([np.hypot(a - one[1], b - one[2]) for one in lab], axis=0)
    return np.asarray(apart <= reach + REACH / BINS, bool)


def limits_of(shown: Sequence[F32], palettes: Sequence[Array]) -> Limits:
    """As far as approved pictures go, each with its palette, and MARGIN further."""
    chromas = [np.hypot(*_lab(rgb.reshape(-1, 3))[:, 1:].T) for rgb in shown]
    vivid = max(float(np.quantile(np.concatenate(chromas), 0.99)), GREY)
    found = [measured(rgb, palette, vivid) for rgb, palette in zip(shown, palettes, strict=True)]

    def span(name: str) -> tuple[float, float]:
        values = [one[name] for one in found]
        middle, half = (max(values) + min(values)) / 2, (max(values) - min(values)) / 2
        return middle - MARGIN * half - 1.0, middle + MARGIN * half + 1.0

    def most(name: str) -> float:
        return max(LEAST_AREA, MARGIN * max(one[name] for one in found))

    return Limits(span("lightness"), span("chroma"), most("off_palette"), vivid, most("vivid_area"))


def _lab(rgb: Array) -> F32:
    """CIELAB (n, 3) of sRGB (n, 3) in [0, 1]."""
    clipped = np.clip(rgb, 0, 1).astype(np.float32).reshape(-1, 1, 3)
    return np.asarray(cv2.cvtColor(clipped, cv2.COLOR_RGB2LAB).reshape(-1, 3), np.float32)
