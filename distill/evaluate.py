"""How near a student comes to its teachers on structures it never saw: in numbers, and as sheets.

Texture is the patch sliced-Wasserstein distance to the teacher's picture, over that of the teacher's own
picture blurred: 1 is as bad as the blur; the teacher with another seed is the floor.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import cv2
import numpy as np
import torch

from vivant.distill.gallery import write_png
from vivant.distill.losses import sliced_wasserstein
from vivant.distill.paint import paint_frames
from vivant.distill.structures import held_out
from vivant.distill.teachers import guide_of
from vivant.engines.contract import EngineError, Precision
from vivant.engines.field import PlaneField
from vivant.engines.kinds import load_student
from vivant.engines.student import Student
from vivant.runtime.frames import EMPTY, U8, Controls, Latent, VivantError

BLUR_PX = 2.0
DRAWS = 8  # sets of random filters
STRENGTH = 0.25
FREE = 0.7  # the strength at which one step and two are compared
SCALES = (0.25, 0.5, 1.0)
SEED, OTHER_SEED = 11, 12
BLENDED = (("ink", "watercolour"), ("oil", "glass"), ("engraving", "coral"))  # in equal shares


@dataclass(frozen=True, slots=True)
class Score:
    """Of one style, means over held-out structures: texture of the float and the INT8 student and of the
    re-seeded teacher (see above); INT8 against float in dB; texture at FREE strength in one step and two."""

    style: str
    texture_float: float
    texture_int8: float
    floor: float
    int8_psnr_db: float
    free_one_step: float
    free_two_steps: float


@dataclass(frozen=True, slots=True)
class Findings:
    """Scores by style; by adapter and scale INT8 against float in dB and the share of its effect; leak."""

    scores: tuple[Score, ...]
    adapters: tuple[tuple[str, float, float, float], ...]
    leak: int


@dataclass(frozen=True, slots=True)
class Wish:
    """What is evaluated, by name: a style of the base, or an adapter with the style that it stands in for
    and the recipe of its planes; or a blend of styles, by weights."""

    name: str
    style: str
    adapters: Mapping[str, float]
    recipe: str
    blend: Mapping[str, float] = field(default_factory=lambda: EMPTY)

    def controls(self, strength: float = STRENGTH, steps: int = 1) -> Controls:
        styles = self.blend or {self.style: 1.0}
        return Controls(strength=strength, seed=SEED, steps=steps, styles=styles, adapters=self.adapters)

    def paint(self, structure: U8, seed: int) -> tuple[U8, U8]:
        """The planes u8 (1, H/2, W/2, CHANNELS) and the teacher's picture u8 (H, W, 3) of one still."""
        [(planes, picture)] = paint_frames([structure], self.blend or {self.recipe: 1.0}, seed)
        return planes[None], picture


def texture(made: U8, wanted: U8) -> float:
    """Patch sliced-Wasserstein distance between two pictures u8 (H, W, 3)."""
    generator = torch.Generator().manual_seed(SEED)
    one, other = (
        torch.from_numpy(np.ascontiguousarray(p)).permute(2, 0, 1)[None] / 255 for p in (made, wanted)
    )
    draws = [sliced_wasserstein(one, other, generator).item() for _ in range(DRAWS)]
    return float(np.mean(draws))


def relative_texture(made: U8, teacher: U8) -> float:
    """Texture distance over that of the blurred teacher."""
    blurred = np.asarray(cv2.GaussianBlur(teacher, (0, 0), BLUR_PX), dtype=np.uint8)
    return texture(made, teacher) / texture(blurred, teacher)


def psnr_db(made: U8, wanted: U8) -> float:
    """Peak signal-to-noise ratio of u8 pictures, in dB."""
    error = float(np.mean((made.astype(np.float64) - wanted) ** 2))
    return 10 * math.log10(255**2 / max(error, 1e-9))


def planes_of(structure: U8, recipe: str, seed: int) -> U8:
    """The planes of one still, as a painter gets them: u8 (1, H/2, W/2, CHANNELS)."""
    height, width = structure.shape[:2]
    return PlaneField((width, height), seed).update(guide_of(structure), {recipe: 1.0}).copy()


def paint(student: Student, structure: U8, planes: U8, controls: Controls) -> U8:
    """The student's picture u8 (S, S, 3), a copy."""
    latent = student.denoise(student.encode(structure), controls)
    return student.decode(latent, planes, controls)[..., :3].copy()


def leak(student: Student, structures: Mapping[str, U8]) -> int:
    """The greatest difference between pictures of different frames when the latent is blanked: 0, or the
    decoder sees something that the guard does not judge."""
    worst = 0
    for style in student.card.styles:
        controls = Controls(strength=STRENGTH, seed=SEED, styles={style: 1.0})
        pictures = []
        for structure in structures.values():
            seen = student.encode(structure)
            assert seen.guide is not None
            grey = np.full_like(seen.guide, 0.5)
            blank = Latent(np.zeros_like(seen.code), grey)
            planes = PlaneField(student.size_px, SEED).update(grey, student.dress(controls))
            denoised = student.denoise(blank, controls)
            pictures.append(student.decode(denoised, planes, controls).astype(np.int16))
        worst = max(worst, *(int(np.abs(p - pictures[0]).max()) for p in pictures))
    return worst


def wishes(student: Student, names: Sequence[str] = ()) -> list[Wish]:
    """Every style of a student, and every adapter that was learned from a painter, or those named."""
    found = [Wish(style, style, {}, style) for style in student.card.styles]
    for name, adapter in student.wardrobe.adapters.items():
        if adapter.info.host is not None and adapter.info.recipe is not None:
            found.append(Wish(name, adapter.info.host, {name: 1.0}, adapter.info.recipe))
    known = [wish.name for wish in found]
    if unknown := [name for name in names if name not in known]:
        raise VivantError(
            f"no style or painter's adapter: {', '.join(unknown)}. There are {', '.join(known)}"
        )
    return [wish for wish in found if not names or wish.name in names]


def blends(student: Student) -> list[Wish]:
    """The blends that a student is tried on: those of BLENDED that it has the styles for."""
    return [
        Wish(" + ".join(pair), pair[0], {}, pair[0], dict.fromkeys(pair, 0.5))
        for pair in BLENDED
        if set(pair) <= set(student.card.styles)
    ]


def evaluate(
    plain: Student, quantized: Student, structures: Mapping[str, U8], names: Sequence[str] = ()
) -> Iterator[tuple[Score, U8]]:
    """For each style its score and a sheet u8: a row for each structure, of the structure, the teacher, the
    float and the INT8 student. Blends come last, where no names are given."""
    for wish in [*wishes(plain, names), *([] if names else blends(plain))]:
        found, rows = [], []
        for structure in structures.values():
            numbers, row = _compare(plain, quantized, structure, wish)
            found.append(numbers)
            rows.append(row)
        yield Score(wish.name, *(round(float(v), 3) for v in np.mean(found, 0))), np.vstack(rows)


def adapter_effects(
    plain: Student, quantized: Student, structures: Mapping[str, U8]
) -> Iterator[tuple[str, float, float, float]]:
    """For each adapter and each of SCALES: its name, the scale, INT8 against float in dB with it on, and how
    large its effect is in INT8 beside float (1 = as large)."""
    for name, adapter in plain.wardrobe.adapters.items():
        host = adapter.info.host or plain.card.styles[0]
        for scale in SCALES:
            noise, effects = [], []
            for structure in structures.values():
                off = Controls(strength=STRENGTH, seed=SEED, styles={host: 1.0})
                on = replace(off, adapters={name: scale})
                planes = PlaneField(plain.size_px, SEED).update(guide_of(structure), plain.dress(on)).copy()
                pictures = [
                    [paint(s, structure, planes, c).astype(np.float32) for c in (off, on)]
                    for s in (plain, quantized)
                ]
                noise.append(float(np.mean((pictures[0][1] - pictures[1][1]) ** 2)))
                effects.append([float(np.linalg.norm(p[1] - p[0])) for p in pictures])
            size = np.sum(effects, 0)
            yield name, scale, 10 * math.log10(255**2 / max(float(np.mean(noise)), 1e-9)), size[1] / size[0]


def house(
    name_or_folder: str | Path, backend: str, precision: Precision, side_px: int, threads: int
) -> Student:
    """A house student, the kind that is made here, at a size. Raises EngineError."""
    loaded = load_student(name_or_folder, backend, precision, (side_px, side_px), threads)
    if not isinstance(loaded, Student):
        raise EngineError(f"student {loaded.card.name} is of kind {loaded.card.kind}, not house")
    return loaded


def _compare(plain: Student, quantized: Student, structure: U8, wish: Wish) -> tuple[list[float], U8]:
    planes, teacher = wish.paint(structure, SEED)
    _, again = wish.paint(structure, OTHER_SEED)
    made, made_int8 = (paint(s, structure, planes, wish.controls()) for s in (plain, quantized))
    free = [paint(plain, structure, planes, wish.controls(FREE, steps)) for steps in (1, 2)]
    numbers = [relative_texture(p, teacher) for p in (made, made_int8, again)]
    numbers += [psnr_db(made_int8, made), *(relative_texture(p, teacher) for p in free)]
    return numbers, np.hstack([structure, teacher, made, made_int8])


def table(found: Findings) -> str:
    """The findings as Markdown tables."""
    lines = [
        "| | float | INT8 | re-seeded teacher | INT8 against float | strength 0.7, one step | two steps |",
        "|---|---|---|---|---|---|---|",
    ]
    lines += [
        f"| {s.style} | {s.texture_float:.3f} | {s.texture_int8:.3f} | {s.floor:.3f} "
        f"| {s.int8_psnr_db:.1f} dB | {s.free_one_step:.3f} | {s.free_two_steps:.3f} |"
        for s in found.scores
    ]
    if found.adapters:
        lines += ["", "| adapter | scale | INT8 against float | effect |", "|---|---|---|---|"]
        lines += [f"| {n} | {scale} | {db:.1f} dB | {share:.3f} |" for n, scale, db, share in found.adapters]
    return "\n".join([*lines, "", f"A blanked latent lets {found.leak} of 255 through."])


def run(
    folder: Path,
    backend: str,
    size_px: int,
    styles: Sequence[str],
    clip: Path | None,
    out: Path,
    threads: int,
    show: Callable[[str, int], None],
) -> Findings:
    """Evaluate, and write a sheet for each style and scores.json to `out`. `show` is told each style as it is
    done."""
    structures = held_out(size_px, clip)
    scores: list[Score] = []
    with (
        house(folder, backend, "float", size_px, threads) as plain,
        house(folder, backend, "int8", size_px, threads) as quantized,
    ):
        for score, sheet in evaluate(plain, quantized, structures, styles):
            scores.append(score)
            show(score.style, len(scores))
            write_png(out / f"{score.style.replace(' + ', '_')}.png", sheet)
        effects = list(adapter_effects(plain, quantized, structures))
        leaks = leak(quantized, structures)
    found = Findings(tuple(scores), tuple(effects), leaks)
    (out / "scores.json").write_text(json.dumps(asdict(found), indent=1) + "\n")
    return found
