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
from vivant.distill.sources import TRAINING_SHARE, length_of
from vivant.distill.teachers import paint_with
from vivant.engines.field import PlaneField
from vivant.engines.student import Student
from vivant.runtime.condition import SMOOTH_ADDRESS, Condition
from vivant.runtime.frames import U8, Controls, Frame, VivantError
from vivant.runtime.rest import Rest
from vivant.runtime.senses.performer import Performer

FRAME_NS = 33_333_333  # of a camera at 30 Hz
SMOOTH, HOLD = 0.5, 0.9  # as the parameters begin
NOISE = 3.0  # grey levels, standard deviation: a small sensor in a room
SETTLE = 20  # frames until a still room has come to rest
STILL = 12  # frames that are compared after that
TILE_PX = 192
HELD_OUT_SEED = 900_001


@dataclass(frozen=True, slots=True)
class Motion:
    """Of one style: flicker of the frames, of the teacher and of the student, and of the student before a
    still camera that hisses."""

    style: str
    frames: float
    teacher: float
    student: float
    still: float

    @property
    def ratio(self) -> float:
        """The student's flicker over the teacher's: 1 is right."""
        return self.student / self.teacher


@dataclass(frozen=True, slots=True)
class Step:
    """One frame through the path: what the student was given, the planes, and its picture, all copies."""

    given: U8
    planes: U8
    picture: U8


def play(student: Student, frames: Sequence[U8], wish: Wish) -> Iterator[Step]:
    """The path of the show without its clock: condition, encode, denoise, planes, decode."""
    condition, field, rest = Condition(student.size_px), PlaneField(student.size_px, SEED), Rest()
    asked = wish.controls(STRENGTH)
    controls = Controls(
        strength=asked.strength,
        seed=asked.seed,
        styles=asked.styles,
        adapters=asked.adapters,
        numbers={SMOOTH_ADDRESS: SMOOTH},
    )
    for serial, pixels in enumerate(frames):
        given, _ = condition.apply(Frame(pixels, serial, serial * FRAME_NS), controls)
        latent = student.denoise(rest.settle(student.encode(given), SMOOTH), controls)
        assert latent.guide is not None
        planes = field.update(latent.guide, student.dress(controls), HOLD)
        picture = student.decode(latent, planes, controls)
        yield Step(given.copy(), planes[0].copy(), picture[..., :3].copy())


def flicker(pictures: Sequence[U8]) -> float:
    """Mean difference of successive pictures, in [0, 1]."""
    pairs = itertools.pairwise(pictures)
    return float(np.mean([np.abs(a.astype(np.int16) - b).mean() for a, b in pairs])) / 255


def measure(
    student: Student, frames: Sequence[U8], wish: Wish, show: Callable[[str, int], None]
) -> tuple[Motion, list[tuple[U8, U8, U8]]]:
    """A style on some frames: the figures, and of each frame what was given, the teacher and the student."""
    rows = []
    for done, step in enumerate(play(student, frames, wish)):
        teacher = paint_with(wish.recipe, step.given, step.planes, SEED)
        rows.append((step.given, teacher, step.picture))
        show(wish.name, done)
    given, teacher_pictures, pictures = zip(*rows, strict=True)
    rng = np.random.default_rng(SEED)
    still = [_hissing(frames[0], rng) for _ in range(SETTLE + STILL)]
    at_rest = [step.picture for step in play(student, still, wish)][SETTLE:]
    motion = Motion(wish.name, flicker(given), flicker(teacher_pictures), flicker(pictures), flicker(at_rest))
    return motion, rows


def _hissing(frame: U8, rng: np.random.Generator) -> U8:
    noisy = frame + rng.normal(0, NOISE, frame.shape)
    return np.asarray(np.clip(np.rint(noisy), 0, 255), dtype=np.uint8)


def sheet(rows: Sequence[tuple[U8, U8, U8]], columns: int = 6) -> U8:
    """Some frames of one style, u8: given, teacher and student below each other."""
    chosen = [rows[i] for i in np.linspace(0, len(rows) - 1, columns).round().astype(int)]
    tiles = [
        np.vstack([cv2.resize(p, (TILE_PX, TILE_PX), interpolation=cv2.INTER_AREA) for p in row])
        for row in chosen
    ]
    return np.hstack(tiles)


def write_film(path: Path, pictures: Sequence[U8], fps: int = 15) -> None:
    """An mp4 (H.264) of pictures u8 (H, W, 3), even sides."""
    import av

    path.parent.mkdir(parents=True, exist_ok=True)
    height, width = pictures[0].shape[:2]
    with av.open(str(path), "w") as film:
        stream = film.add_stream("libx264", rate=fps)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        stream.options = {"crf": "16", "preset": "fast"}
        for picture in pictures:
            film.mux(stream.encode(av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="rgb24")))
        film.mux(stream.encode())


def clip_frames(clip: Path, count: int) -> list[U8]:
    """Successive frames u8 (H, W, 3) of a film's held-out last third, the first `count`."""
    first = math.ceil(length_of(clip) * TRAINING_SHARE)
    film = cv2.VideoCapture(str(clip))
    for _ in range(first):
        film.grab()
    frames: list[U8] = []
    while len(frames) < count and (read := film.read())[0]:
        frames.append(np.asarray(cv2.cvtColor(read[1], cv2.COLOR_BGR2RGB), dtype=np.uint8))
    film.release()
    if len(frames) < 2:
        raise VivantError(f"{clip} has no two frames in its last third that can be read")
    return frames


def performer_frames(size_px: int, count: int) -> list[U8]:
    """Successive frames of the performer at 30 Hz, with a seed that is held out."""
    performer = Performer((size_px, size_px), HELD_OUT_SEED, 30.0)
    return [performer.frame(k).copy() for k in range(count)]


def table(found: Sequence[Motion]) -> str:
    """The figures as a Markdown table."""
    rows = [
        f"| {m.style} | {m.frames:.4f} | {m.teacher:.4f} | {m.student:.4f} | {m.ratio:.2f} | {m.still:.4f} |"
        for m in found
    ]
    head = "| | frames | teacher | student | student over teacher | still camera |"
    return "\n".join([head, "|---|---|---|---|---|---|", *rows])
