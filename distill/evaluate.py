"""How near a student comes to its teachers on structures it never saw, in numbers and as a contact sheet.

    python -m vivant.distill.evaluate --student house --out out/evaluate --clip film.avi

Texture is the patch sliced-Wasserstein distance to the teacher's picture, over that of the teacher's own
picture blurred: 1 is as bad as the blur, and a teacher with another seed scores .04 to .17.
"""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import cv2
import numpy as np
import torch

from vivant.distill.gallery import write_png
from vivant.distill.losses import sliced_wasserstein
from vivant.distill.paint import paint_pair
from vivant.distill.structures import held_out
from vivant.engines.planes import STYLES, PlaneField
from vivant.engines.student import Student
from vivant.runtime.frames import U8, Controls, Latent

BLUR_PX = 2.0
DRAWS = 8  # sets of random filters
STRENGTH = 0.25
SEED = 11


@dataclass(frozen=True, slots=True)
class Score:
    """Of one style: texture of the float and the INT8 student (see above), INT8 against float in dB."""

    style: str
    texture_float: float
    texture_int8: float
    int8_psnr_db: float


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


def paint(student: Student, structure: U8, planes: U8, style: str) -> U8:
    """The student's picture u8 (S, S, 3), a copy."""
    controls = Controls(strength=STRENGTH, seed=SEED, styles={style: 1.0})
    latent = student.denoise(student.encode(structure), controls)
    return student.decode(latent, planes[None], controls)[..., :3].copy()


def leak(student: Student, structures: Mapping[str, U8]) -> int:
    """The greatest difference between pictures of different frames when the latent is blanked: 0, or the
    decoder sees something that the guard does not judge."""
    pictures = []
    for structure in structures.values():
        seen = student.encode(structure)
        blank = Latent(np.zeros_like(seen.code), np.full_like(seen.guide, 0.5))
        for style in STYLES:
            controls = Controls(strength=STRENGTH, seed=SEED, styles={style: 1.0})
            weights = student.style_vector(controls.styles)[0].copy()
            planes = PlaneField(student.size_px, SEED, STYLES).update(blank.guide, weights)
            denoised = student.denoise(blank, controls)
            pictures.append(student.decode(denoised, planes, controls).astype(np.int16))
    of_style = [pictures[i :: len(STYLES)] for i in range(len(STYLES))]
    return max(int(np.abs(p - same[0]).max()) for same in of_style for p in same)


def evaluate(
    name: str, backend: str, size_px: int, clip: Path | None, threads: int
) -> tuple[list[Score], U8, int]:
    """Scores by style; the sheet (structures, then teacher and INT8 student by style); the leak."""
    structures = held_out(size_px, clip)
    size = (size_px, size_px)
    rows, scores = [np.hstack(list(structures.values()))], []
    with (
        Student.load(name, backend, "float", size, threads) as plain,
        Student.load(name, backend, "int8", size, threads) as quantized,
    ):
        for style in STYLES:
            found = []
            teachers, students = [], []
            for structure in structures.values():
                planes, teacher = paint_pair(structure, style, SEED)
                made, made_int8 = (paint(s, structure, planes, style) for s in (plain, quantized))
                found.append(
                    (
                        relative_texture(made, teacher),
                        relative_texture(made_int8, teacher),
                        psnr_db(made_int8, made),
                    )
                )
                teachers.append(teacher)
                students.append(made_int8)
            rows += [np.hstack(teachers), np.hstack(students)]
            scores.append(Score(style, *(round(float(v), 3) for v in np.mean(found, 0))))
        return scores, np.vstack(rows), leak(quantized, structures)


def main() -> None:
    parser = argparse.ArgumentParser(
        description="Compare a student with its teachers on held-out structures."
    )
    parser.add_argument("--student", default="house", help="a shipped name, or a folder with a card.json")
    parser.add_argument("--out", type=Path, default=Path("out/evaluate"))
    parser.add_argument("--clip", type=Path, help="a film; two frames of its last third are used too")
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--backend", default="openvino")
    parser.add_argument("--threads", type=int, default=2)
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    scores, sheet, leaked = evaluate(given.student, given.backend, given.size, given.clip, given.threads)
    write_png(given.out / "sheet.png", sheet)
    report = {"scores": [asdict(score) for score in scores], "leak": leaked}
    (given.out / "evaluate.json").write_text(json.dumps(report, indent=1) + "\n")
    for score in scores:
        print(
            f"{score.style:10} {score.texture_float:.3f} {score.texture_int8:.3f} {score.int8_psnr_db:.1f} dB"
        )
    print(f"leak {leaked}")


if __name__ == "__main__":
    main()
