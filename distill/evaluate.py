"""How near a student comes to its teachers on structures it never saw: in numbers, and as sheets.

Texture is the patch sliced-Wasserstein distance to the teacher's picture, over that of the teacher's own
picture blurred: 1 is as bad as the blur; the teacher with another seed is the floor.
"""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import cv2
import numpy as np
import torch

from vivant.distill.gallery import write_png
from vivant.distill.losses import sliced_wasserstein
from vivant.distill.structures import held_out
from vivant.distill.teachers import guide_of, paint_with
from vivant.engines.contract import Precision
from vivant.engines.field import PlaneField
from vivant.engines.student import Student
from vivant.runtime.frames import U8, Controls, Latent

BLUR_PX = 2.0
DRAWS = 8  # sets of random filters
STRENGTH = 0.25
FREE = 0.7  # the strength at which one step and two are compared
SEED, OTHER_SEED = 11, 12


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
class Wish:
    """What is evaluated: a style of the base, or an adapter at a scale with the style and the planes' recipe
    that it goes with."""

    style: str
    adapters: Mapping[str, float]
    recipe: str

    def controls(self, strength: float = STRENGTH, steps: int = 1) -> Controls:
        return Controls(
            strength=strength, seed=SEED, steps=steps, styles={self.style: 1.0}, adapters=self.adapters
        )


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
            blank = Latent(np.zeros_like(seen.code), np.full_like(seen.guide, 0.5))
            planes = PlaneField(student.size_px, SEED).update(blank.guide, student.dress(controls))
            denoised = student.denoise(blank, controls)
            pictures.append(student.decode(denoised, planes, controls).astype(np.int16))
        worst = max(worst, *(int(np.abs(p - pictures[0]).max()) for p in pictures))
    return worst


def evaluate(
    folder: Path,
    backend: str,
    structures: Mapping[str, U8],
    threads: int,
    styles: Sequence[str] | None = None,
) -> Iterator[tuple[Score, U8]]:
    """For each style its score and a sheet u8: a row for each structure, of the structure, the teacher, the
    float and the INT8 student."""
    size = next(iter(structures.values())).shape[1::-1]
    with (
        _load(folder, backend, "float", size, threads) as plain,
        _load(folder, backend, "int8", size, threads) as quantized,
    ):
        for style in styles or plain.card.styles:
            wish = Wish(style, {}, style)
            found, rows = [], []
            for structure in structures.values():
                numbers, row = _compare(plain, quantized, structure, wish)
                found.append(numbers)
                rows.append(row)
            yield Score(style, *(round(float(v), 3) for v in np.mean(found, 0))), np.vstack(rows)


def _load(folder: Path, backend: str, precision: Precision, size: tuple[int, ...], threads: int) -> Student:
    return Student.load(folder, backend, precision, (size[0], size[1]), threads)


def _compare(plain: Student, quantized: Student, structure: U8, wish: Wish) -> tuple[list[float], U8]:
    planes = planes_of(structure, wish.recipe, SEED)
    other_planes = planes_of(structure, wish.recipe, OTHER_SEED)
    teacher = paint_with(wish.recipe, structure, planes, SEED)
    again = paint_with(wish.recipe, structure, other_planes, OTHER_SEED)
    made, made_int8 = (paint(s, structure, planes, wish.controls()) for s in (plain, quantized))
    free = [paint(plain, structure, planes, wish.controls(FREE, steps)) for steps in (1, 2)]
    numbers = [relative_texture(p, teacher) for p in (made, made_int8, again)]
    numbers += [psnr_db(made_int8, made), *(relative_texture(p, teacher) for p in free)]
    return numbers, np.hstack([structure, teacher, made, made_int8])


def table(scores: Sequence[Score]) -> str:
    """The scores as a Markdown table."""
    head = "| | float | INT8 | re-seeded teacher | INT8 against float | strength 0.7, one step | two steps |"
    rows = [
        f"| {s.style} | {s.texture_float:.3f} | {s.texture_int8:.3f} | {s.floor:.3f} "
        f"| {s.int8_psnr_db:.1f} dB | {s.free_one_step:.3f} | {s.free_two_steps:.3f} |"
        for s in scores
    ]
    return "\n".join([head, "|---|---|---|---|---|---|---|", *rows])


def main() -> None:
    parser = argparse.ArgumentParser(description="Compare a student with its teachers.")
    parser.add_argument("--student", default="engines/students/house", type=Path)
    parser.add_argument("--backend", default="openvino")
    parser.add_argument("--size", default=384, type=int)
    parser.add_argument("--clip", type=Path)
    parser.add_argument("--out", default=Path("out/evaluate"), type=Path)
    parser.add_argument("--threads", default=2, type=int)
    parser.add_argument("--styles", default="", help="some of them, by comma")
    given = parser.parse_args()
    structures = held_out(given.size, given.clip)
    styles = [name for name in given.styles.split(",") if name]
    scores = []
    for score, sheet in evaluate(given.student, given.backend, structures, given.threads, styles):
        scores.append(score)
        write_png(given.out / f"{score.style}.png", sheet)
        print(json.dumps(asdict(score)), flush=True)
    (given.out / "scores.json").write_text(json.dumps([asdict(score) for score in scores], indent=1) + "\n")
    print(table(scores))
    with _load(given.student, given.backend, "int8", (given.size, given.size), given.threads) as student:
        print("leak:", leak(student, structures))


if __name__ == "__main__":
    main()
