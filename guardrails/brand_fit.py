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
    REACH,
    BrandBox,
    ColourMap,
    Limits,
    arrays_of,
    away_of,
    bins_of,
    features,
    measured,
)
from vivant.guardrails.brand_map import STEPS, Painted, lab_of, map_of
from vivant.guardrails.guard_file import write_guard_file
from vivant.guardrails.pictures import PicturesError, Still, Views
from vivant.runtime.frames import F32, U8, Array, Controls, Latent

APART: Final = 4  # every fourth picture of a style is not fitted to: the error and the rates are of those
LOOKS: Final = 150  # of each style, that the limits are found from
MARGIN: Final = 1.1  # how much further than approved pictures a limit is
TAIL: Final = 0.1  # of the approved pictures of a style: how their shares go on is told from these
RARE: Final = 2e-4  # of them may have a larger vivid area than is allowed
LEAST_AREA: Final = 0.02
COVERED: Final = 0.99  # of the approved area: its commonest colours are the palette
OFF_BRAND: Final = 0.1  # of a painted picture's area off the palette: it must be held
LEAST_OFF: Final = OFF_BRAND / 2  # of the area as the map tells it: less is never held
FEWEST: Final = 8
EACH: Final = 240  # pictures painted in each style
FOUND_REACH: Final = 15.0  # in CIELAB
COARSE: Final = 8  # times smaller: clouds have no detail

Tell = Callable[[str, float], None]
"""Told what is being done and the share of it that is."""
View = tuple[Controls, Latent, bool, bool]
"""What was asked for, what came of it, and whether it is plain and apart, as of Painted."""


def fit_brand(
    student: LoadedStudent,
    approved: Sequence[Still],
    out: Path,
    each: int = EACH,
    palette: Sequence[tuple[int, int, int]] = (),
    reach: float = FOUND_REACH,
    limits: Limits | None = None,
    seed: int = 0,
    steps: int = STEPS,
    tell: Tell = lambda what, share: None,
) -> tuple[BrandBox, dict[str, Any], str]:
    """Fits to `each` views in every style and writes `out`; the box, its card and the file's sha256.
    `palette` of R, G, B and `limits` stand in for those found; all colours within `reach` of the palette, in
    CIELAB's a* and b*, belong to it. Raises PicturesError for too few pictures."""
    if each < FEWEST or not approved:
        raise PicturesError(
            f"a brand box needs at least one approved picture and {FEWEST} views of each style"
        )
    styles = tuple(student.card.styles) or ("",)
    painted: list[Painted] = []
    for one in paintings(student, approved, styles, each, seed):
        painted.append(one)
        tell("painting the pictures", len(painted) / (each * len(styles)))
    colour_map = map_of(styles, painted, seed, steps, lambda share: tell("fitting the colours", share))
    count = max(len(approved), min(LOOKS, each) * len(styles))
    shown = looks(student, approved, colour_map, styles, count, seed, tell)
    planes = [
        palette_of(palette) if palette else found_palette(painted, index) for index in range(len(styles))
    ]
    found = limits or limits_of(shown, colour_map, planes, reach)
    box = BrandBox(colour_map, found, np.stack(planes))
    card = {
        "student": {"name": student.card.name, "hash": student.hash, "precision": student.precision},
        "pictures": len(approved),
        "views_painted": len(painted),
        "views_judged": len(shown),
        "colour_error": colour_map.error,
        "colour_errors": dict(zip(styles, colour_map.errors, strict=True)),
        "palette": "written" if palette else "found",
        "tried": tried(box, painted),
    }
    return box, card, write_guard_file(out, "brand", student.hash, arrays_of(box, card))


def paintings(
    student: LoadedStudent, approved: Sequence[Still], styles: Sequence[str], each: int, seed: int
) -> Iterator[Painted]:
    """`each` views painted in every style, half of them in other colours than they are."""
    planes = PlaneField(student.size_px, seed) if student.recipes else None
    for controls, latent, plain, apart in views(student, approved, styles, each * len(styles), seed, turned):
        picture = student.decode(latent, woven(student, planes, latent, controls), controls)
        seen = features(latent)
        size = (seen.shape[2], seen.shape[1])
        small = cv2.resize(picture[..., :3], size, interpolation=cv2.INTER_AREA)
        lab = lab_of(small.reshape(-1, 3).astype(np.float32) / 255)
        yield Painted(shares_of(styles, controls), seen.reshape(len(seen), -1), lab, plain, apart)


def looks(
    student: LoadedStudent,
    approved: Sequence[Still],
    colour_map: ColourMap,
    styles: Sequence[str],
    count: int,
    seed: int,
    tell: Tell,
) -> list[tuple[F32, F32]]:
    """Of `count` approved views: the share of each style, and what the map says of them, CIELAB (n, 3)."""
    found = []
    for controls, latent, _, _ in views(student, approved, styles, count, seed + 1):
        shares = shares_of(styles, controls)
        found.append((shares, colour_map.of(features(latent), shares)))
        tell("looking at all of them", len(found) / count)
    return found


def views(
    student: LoadedStudent,
    approved: Sequence[Still],
    styles: Sequence[str],
    count: int,
    seed: int,
    change: Callable[[U8, np.random.Generator], U8] | None = None,
) -> Iterator[View]:
    """`count` views in the styles in turn, a fourth of them mixed with another style; half of them changed,
    where there is a change. A latent is valid until the next."""
    seen = Views(approved, approved, student.size_px)
    for index in range(count):
        rng, turn = np.random.default_rng((seed, index)), index // len(styles)
        worn = {styles[index % len(styles)]: 1.0} if styles[0] else {}
        if turn % APART == APART - 1 and len(styles) > 1:
            worn = mixed(styles, index, rng)
        controls = Controls(
            strength=float(rng.uniform(0.0, 1.0)),
            steps=int(rng.integers(1, 3)),
            seed=index,
            styles=worn,
            size_px=student.size_px,
        )
        frame = seen.view(index, rng)
        plain = change is None or (turn + turn // APART) % 2 == 0
        frame = frame if plain or change is None else change(frame, rng)
        latent = student.denoise(student.encode(frame), controls)
        yield controls, latent, plain, turn % APART == 0


def mixed(styles: Sequence[str], index: int, rng: np.random.Generator) -> dict[str, float]:
    """The style of a turn with another one, at least a tenth of either."""
    share = float(rng.uniform(0.1, 0.9))
    other = styles[(index + int(rng.integers(1, len(styles)))) % len(styles)]
    return {styles[index % len(styles)]: share, other: 1.0 - share}


def shares_of(styles: Sequence[str], controls: Controls) -> F32:
    """Of each style, f32 (S,); of a student without styles all of the only one."""
    return np.array([controls.styles.get(style, 0.0) if style else 1.0 for style in styles], np.float32)


def turned(frame: U8, rng: np.random.Generator) -> U8:
    """A frame u8 (H, W, 3) in other colours, as light as it was: all hues turned, chroma less or more, and a
    wandering part of it tinted, or in one colour."""
    lab = cv2.cvtColor(frame.astype(np.float32) / 255, cv2.COLOR_RGB2LAB)
    angle, gain = rng.uniform(0, 2 * np.pi), np.exp(rng.uniform(np.log(0.6), np.log(2.2)))
    turn = gain * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    colours = lab[..., 1:] @ turn.T.astype(np.float32)
    hue, most = rng.uniform(0, 2 * np.pi), rng.uniform(0, 70)
    tint = np.array([most * np.cos(hue), most * np.sin(hue)], np.float32)
    part = clouds(frame.shape[:2], float(rng.uniform(0.1, 0.9)), rng)[..., None]
    there = colours + tint if rng.uniform() < 0.5 else tint
    lab[..., 1:] = np.where(part, there, colours)
    changed = np.clip(cv2.cvtColor(lab, cv2.COLOR_LAB2RGB), 0, 1)
    return np.asarray(changed * 255 + 0.5, np.uint8)


def clouds(shape: tuple[int, int], share: float, rng: np.random.Generator) -> Array:
    """Wandering parts of a picture (H, W) that make up a share of it: bool."""
    height, width = shape
    small = (max(height // COARSE, 2), max(width // COARSE, 2))
    noise = cv2.GaussianBlur(rng.standard_normal(small, np.float32), (0, 0), min(small) / 6)
    soft = cv2.resize(noise, (width, height), interpolation=cv2.INTER_LINEAR)
    return np.asarray(soft >= np.quantile(noise, 1 - share))


def woven(student: LoadedStudent, planes: PlaneField | None, latent: Latent, controls: Controls) -> U8 | None:
    """The planes of a latent, as a show makes them for its first frame."""
    if planes is None or latent.guide is None:
        return None
    planes.forget()
    return planes.update(latent.guide, student.dress(controls))


def tried(box: BrandBox, painted: Sequence[Painted]) -> dict[str, Any]:
    """What the box says of pictures that its map was not fitted to: how many of the approved ones it holds,
    and of those that were painted with OFF_BRAND of their area off the palette."""
    apart = [one for one in painted if one.apart]
    held = {id(one): not box.outside(one.features, one.shares)[0] <= 1.0 for one in apart}
    kinds = {
        "approved": [one for one in apart if one.plain],
        "off-brand": [one for one in apart if strays(box, one) >= OFF_BRAND],
    }
    return {name: {"held": sum(held[id(one)] for one in own), "of": len(own)} for name, own in kinds.items()}


def strays(box: BrandBox, one: Painted) -> float:
    """The share of a painted picture's area that is off the palette of what it is painted in."""
    return float((away_of(one.lab, box.away_in(one.shares)) > box.limits.reach).mean())


def found_palette(painted: Sequence[Painted], style: int) -> Array:
    """The commonest colours of what approved pictures come to in one style, COVERED of their area."""
    own = [one.lab for one in painted if one.plain and one.shares[style] == 1.0]
    lab = np.concatenate(own)
    plane = np.zeros((BINS, BINS), np.float64)
    np.add.at(plane, (bins_of(lab[:, 1]), bins_of(lab[:, 2])), 1.0 / len(lab))
    falling = np.sort(plane, axis=None)[::-1]
    last = min(int(np.searchsorted(np.cumsum(falling), COVERED)), falling.size - 1)
    return np.asarray((plane >= falling[last]) & (plane > 0))


def palette_of(palette: Sequence[tuple[int, int, int]]) -> Array:
    """The bins of the colours that are written."""
    lab = lab_of(np.array(palette, np.float32) / 255)
    plane = np.zeros((BINS, BINS), bool)
    plane[bins_of(lab[:, 1]), bins_of(lab[:, 2])] = True
    return plane


def limits_of(
    shown: Sequence[tuple[F32, F32]], colour_map: ColourMap, planes: Sequence[Array], reach: float
) -> Limits:
    """As far as approved pictures go, each with its palette, and MARGIN further."""
    chromas = np.concatenate([np.hypot(lab[:, 1], lab[:, 2]) for _, lab in shown])
    vivid = max(float(np.quantile(chromas, 0.99)), GREY)
    unlimited = Limits((0.0, 100.0), (0.0, REACH), reach, (1.0,) * len(planes), vivid, (1.0,) * len(planes))
    box = BrandBox(colour_map, unlimited, np.stack(planes))
    found = [(shares, measured(lab, box.away_in(shares), unlimited)) for shares, lab in shown]

    def span(name: str) -> tuple[float, float]:
        values = [one[name] for _, one in found]
        middle, half = (max(values) + min(values)) / 2, (max(values) - min(values)) / 2
        return middle - MARGIN * half - 1.0, middle + MARGIN * half + 1.0

    def of(name: str, style: int) -> F32:
        own = [one[name] for shares, one in found if shares[style] == 1.0]
        return np.array(own or [0.0], np.float32)

    every = range(len(planes))
    off = tuple(max(LEAST_OFF, MARGIN * float(of("off_palette", style).max())) for style in every)
    areas = tuple(max(LEAST_AREA, rarely(of("vivid_area", style))) for style in every)
    return Limits(span("lightness"), span("chroma"), reach, off, vivid, areas)


def rarely(values: F32) -> float:
    """What RARE of the values exceed, if their highest go on as an exponential; MARGIN beyond the highest at
    the least."""
    start = float(np.quantile(values, 1 - TAIL))
    beyond = values[values > start] - start
    on = float(beyond.mean()) * float(np.log(TAIL / RARE)) if len(beyond) else 0.0
    return max(start + on, MARGIN * float(values.max()))
