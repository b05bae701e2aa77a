"""How a student moves beside its teacher: the same frames, the same carried planes, picture after picture.

Flicker is the mean difference of successive pictures, in [0, 1]; a student should move as much as its teacher
does. A still camera that hisses should move nothing at all.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from vivant.distill.evaluate import SEED, STRENGTH, Wish
from vivant.distill.reel import Row
from vivant.distill.sources import TRAINING_SHARE, length_of
from vivant.distill.teachers import paint_with
from vivant.engines.field import PlaneField
from vivant.engines.student import Student
from vivant.runtime.condition import SMOOTH_ADDRESS, Condition
from vivant.runtime.frames import U8, Controls, Frame, VivantError
from vivant.runtime.rest import Rest
from vivant.runtime.senses.performer import Performer
from vivant.runtime.still import Still

PERFORMER_HZ = 30.0
SMOOTH, HOLD = 0.5, 0.9  # as the parameters begin
NOISE = 3.0  # grey levels, standard deviation: a small sensor in a room
BEGIN = 4  # frames until what is carried and held has begun
SETTLE = 20  # frames until a still room has come to rest
STILL = 12  # frames that are compared after that
HELD_OUT_SEED = 900_001
RATIOS = (0.7, 1.3)  # of the student's flicker over the teacher's: further out it is another motion
STILLEST = 0.003  # flicker before a still camera that nobody sees


@dataclass(frozen=True, slots=True)
class Shot:
    """Successive frames u8 (H, W, 3), `refresh_hz` of them a second, by a name."""

    name: str
    frames: Sequence[U8]
    refresh_hz: float


@dataclass(frozen=True, slots=True)
class Motion:
    """Of one style in one shot: flicker of the frames, of the teacher and of the student, and of the student
    before a still camera that hisses."""

    shot: str
    style: str
    frames: float
    teacher: float
    student: float
    still: float

    @property
    def ratio(self) -> float:
        """The student's flicker over the teacher's: 1 is right."""
        return self.student / self.teacher

    @property
    def steady(self) -> bool:
        """Whether it moves as its teacher does and keeps still where nothing moves."""
        return RATIOS[0] <= self.ratio <= RATIOS[1] and self.still < STILLEST


@dataclass(frozen=True, slots=True)
class Step:
    """One frame through the path: what the student was given, the planes, and its picture, all copies."""

    given: U8
    planes: U8
    picture: U8


def play(student: Student, shot: Shot, wish: Wish) -> Iterator[Step]:
    """The path of the show without its clock: condition, encode, denoise, planes, decode."""
    condition, field = Condition(student.size_px), PlaneField(student.size_px, SEED)
    rest, still = Rest(), Still()
    asked = wish.controls(STRENGTH)
    controls = Controls(
        strength=asked.strength,
        seed=asked.seed,
        styles=asked.styles,
        adapters=asked.adapters,
        numbers={SMOOTH_ADDRESS: SMOOTH},
    )
    for serial, pixels in enumerate(shot.frames):
        captured_ns = round(serial * 1e9 / shot.refresh_hz)
        given, _ = condition.apply(Frame(pixels, serial, captured_ns), controls)
        latent = student.denoise(rest.settle(student.encode(given), SMOOTH), controls)
        assert latent.guide is not None  # a student with painters has one
        planes = field.update(latent.guide, student.dress(controls), HOLD)
        picture = student.decode(latent, planes, controls)
        picture = still.keep(picture, latent, planes, controls, SMOOTH)
        yield Step(given.copy(), planes[0].copy(), picture[..., :3].copy())


def flicker(pictures: Sequence[U8]) -> float:
    """Mean difference of successive pictures, in [0, 1]."""
    pairs = itertools.pairwise(pictures)
    return float(np.mean([np.abs(a.astype(np.int16) - b).mean() for a, b in pairs])) / 255


def measure(
    student: Student, shot: Shot, wish: Wish, show: Callable[[str, int], None]
) -> tuple[Motion, list[Row]]:
    """A style in a shot: the figures, and of each frame what was given, the teacher and the student. The
    teacher gets the student's own planes, carried and held as they were."""
    rows = []
    for done, step in enumerate(play(student, shot, wish)):
        if done >= BEGIN:
            teacher = paint_with(wish.recipe, step.given, step.planes, SEED)
            rows.append((step.given, teacher, step.picture))
        show(f"{shot.name}: {wish.name}", done)
    given, teacher_pictures, pictures = zip(*rows, strict=True)
    rng = np.random.default_rng(SEED)
    still = [_hissing(shot.frames[0], rng) for _ in range(SETTLE + STILL)]
    hissing = Shot("still", still, shot.refresh_hz)
    at_rest = [step.picture for step in play(student, hissing, wish)][SETTLE:]
    figures = (flicker(given), flicker(teacher_pictures), flicker(pictures), flicker(at_rest))
    return Motion(shot.name, wish.name, *figures), rows


def _hissing(frame: U8, rng: np.random.Generator) -> U8:
    noisy = frame + rng.normal(0, NOISE, frame.shape)
    return np.asarray(np.clip(np.rint(noisy), 0, 255), dtype=np.uint8)


def clip_shot(clip: Path, count: int) -> Shot:
    """The first frames of a film's held-out last third: `count`, after those with which it begins."""
    first = math.ceil(length_of(clip) * TRAINING_SHARE)
    film = cv2.VideoCapture(str(clip))
    refresh_hz = float(film.get(cv2.CAP_PROP_FPS))
    for _ in range(first):
        film.grab()
    frames: list[U8] = []
    while len(frames) < BEGIN + count and (read := film.read())[0]:
        frames.append(np.asarray(cv2.cvtColor(read[1], cv2.COLOR_BGR2RGB), dtype=np.uint8))
    film.release()
    if len(frames) < BEGIN + 2:
        raise VivantError(
            f"{clip} has {len(frames)} frames in its last third that can be read; "
            f"motion is measured on at least {BEGIN + 2}. Give a longer film."
        )
    return Shot(clip.stem, frames, refresh_hz if refresh_hz > 0 else PERFORMER_HZ)


def performer_shot(size_px: int, count: int) -> Shot:
    """The performer, with a seed that is held out: `count` frames after those with which it begins."""
    performer = Performer((size_px, size_px), HELD_OUT_SEED, PERFORMER_HZ)
    return Shot("performer", [performer.frame(k).copy() for k in range(BEGIN + count)], PERFORMER_HZ)


def table(found: Sequence[Motion]) -> str:
    """The figures as a Markdown table."""
    rows = [
        f"| {m.shot} | {m.style} | {m.frames:.4f} | {m.teacher:.4f} | {m.student:.4f} | {m.ratio:.2f} "
        f"| {m.still:.4f} |"
        for m in found
    ]
    head = "| | | frames | teacher | student | student over teacher | still camera |"
    return "\n".join([head, "|---|---|---|---|---|---|---|", *rows])
