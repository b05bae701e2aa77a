"""Pictures of a folder as a guard is fitted to them: read once, then seen in many ways.

A folder holds pictures and films, in folders of their own where there are several kinds. A picture with
transparency is a cut-out: it is shown pasted into other pictures, at any place, scale and rotation.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import cv2
import numpy as np

from vivant.runtime.frames import F32, U8, VivantError

STILLS: Final = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff")
FILMS: Final = (".mp4", ".avi", ".mov", ".mkv", ".webm", ".m4v")
FILM_FRAMES: Final = 60  # of one film, spread over its length
LARGEST_PX: Final = 1024  # a side: larger pictures are brought down as they are read
SMALLEST_PASTE: Final = 0.12  # of the picture's side: the least that a cut-out is shown at
LARGEST_PASTE: Final = 0.9
SOLID: Final = 250  # alpha: a picture that is nowhere below it has no transparency


class PicturesError(VivantError):
    """A folder does not hold what a guard can be fitted to."""


@dataclass(frozen=True, slots=True)
class Still:
    """A picture u8 (H, W, 3) and where it is from; `alpha` u8 (H, W) of a cut-out."""

    name: str
    pixels: U8
    alpha: U8 | None = None


def read_folder(folder: Path) -> dict[str, list[Still]]:
    """Every picture under `folder` by kind: its sub-folders' names, or its own where it has none. Raises
    PicturesError when there are none, or one cannot be read."""
    if not folder.is_dir():
        raise PicturesError(f"{folder} is no folder. Put the pictures there, or name another one")
    kinds = {one.name: one for one in sorted(folder.iterdir()) if one.is_dir()} or {folder.name: folder}
    found = {name: list(_stills(place)) for name, place in kinds.items()}
    empty = [name for name, stills in found.items() if not stills]
    if empty:
        raise PicturesError(
            f"{folder}: no picture or film in {', '.join(empty)}. They end in {', '.join((*STILLS, *FILMS))}"
        )
    return found


def _stills(folder: Path) -> Iterator[Still]:
    for path in sorted(folder.rglob("*")):
        if path.suffix.lower() in STILLS:
            yield _still(path)
        elif path.suffix.lower() in FILMS:
            yield from _film(path)


def _still(path: Path) -> Still:
    read = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    if read is None:
        raise PicturesError(f"{path} cannot be read as a picture. Take it out, or save it again")
    if read.dtype != np.uint8:
        read = (read / np.iinfo(read.dtype).max * 255).astype(np.uint8)
    if read.ndim == 2:
        read = cv2.cvtColor(read, cv2.COLOR_GRAY2BGR)
    shrink = LARGEST_PX / max(read.shape[:2])
    if shrink < 1:
        read = cv2.resize(read, None, fx=shrink, fy=shrink, interpolation=cv2.INTER_AREA)
    alpha = np.ascontiguousarray(read[..., 3]) if read.shape[2] == 4 else None
    pixels = np.ascontiguousarray(read[..., 2::-1])
    return Still(path.name, pixels, alpha if alpha is not None and alpha.min() < SOLID else None)


def _film(path: Path) -> Iterator[Still]:
    film = cv2.VideoCapture(str(path))
    count = int(film.get(cv2.CAP_PROP_FRAME_COUNT))
    every = max(1, count // FILM_FRAMES)
    seen = 0
    while film.grab():
        if seen % every == 0:
            read, frame = film.retrieve()
            if read:
                yield Still(f"{path.name}:{seen}", np.ascontiguousarray(frame[..., ::-1]))
        seen += 1
    film.release()
    if not seen:
        raise PicturesError(f"{path} cannot be read as a film. Take it out, or save it again")


@dataclass(frozen=True, slots=True)
class Views:
    """Ways to see pictures of one kind, at `size_px` (width, height). `grounds` are what cut-outs are pasted
    into; pictures among them that are pasted into each other are decoys: what matters is what is pasted."""

    stills: Sequence[Still]
    grounds: Sequence[Still]
    size_px: tuple[int, int]
    smallest: float = SMALLEST_PASTE

    def view(self, index: int, rng: np.random.Generator) -> U8:
        """One view of one picture, u8 (H, W, 3)."""
        still = self.stills[index % len(self.stills)]
        if still.alpha is None:
            return lit(framed(still.pixels, self.size_px, rng), rng)
        ground = self.grounds[int(rng.integers(len(self.grounds)))]
        frame = lit(framed(ground.pixels, self.size_px, rng), rng)
        return pasted(frame, still.pixels, still.alpha, rng, self.smallest)

    def decoy(self, index: int, rng: np.random.Generator) -> U8:
        """A view with a piece of another picture pasted into it, as cut-outs are."""
        frame = self.view(index, rng)
        other = self.grounds[int(rng.integers(len(self.grounds)))].pixels
        side = int(min(other.shape[:2]) * rng.uniform(0.2, 0.7))
        top, left = (int(rng.integers(0, length - side + 1)) for length in other.shape[:2])
        piece = np.ascontiguousarray(other[top : top + side, left : left + side])
        return pasted(frame, piece, outline(side, rng), rng, self.smallest)


def framed(pixels: U8, size_px: tuple[int, int], rng: np.random.Generator) -> U8:
    """A crop of at least seven tenths, of the shape of `size_px`, mirrored half of the time."""
    width, height = size_px
    tall, wide = pixels.shape[:2]
    scale = min(wide / width, tall / height) * rng.uniform(0.7, 1.0)
    cut = (max(1, int(height * scale)), max(1, int(width * scale)))
    top, left = int(rng.integers(0, tall - cut[0] + 1)), int(rng.integers(0, wide - cut[1] + 1))
    part = pixels[top : top + cut[0], left : left + cut[1]]
    part = part[:, ::-1] if rng.uniform() < 0.5 else part
    way = cv2.INTER_AREA if cut[0] > height else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(np.ascontiguousarray(part), size_px, interpolation=way), np.uint8)


def lit(frame: U8, rng: np.random.Generator) -> U8:
    """In another light: gain, gamma, a camera's noise."""
    table = np.linspace(0, 1, 256) ** rng.uniform(0.8, 1.25) * rng.uniform(0.75, 1.2)
    changed = cv2.LUT(frame, (np.clip(table, 0, 1) * 255).astype(np.uint8))
    grain = rng.choice([0.0, 1.5, 4.0])
    noisy = changed + rng.standard_normal(frame.shape, np.float32) * grain
    return np.asarray(np.clip(noisy, 0, 255), np.uint8)


def pasted(frame: U8, piece: U8, alpha: U8, rng: np.random.Generator, smallest: float = SMALLEST_PASTE) -> U8:
    """`piece` (h, w, 3) with its `alpha`, turned by any angle, from `smallest` of the frame's shorter
    side to LARGEST_PASTE, wholly inside the frame."""
    height, width = frame.shape[:2]
    across = float(np.hypot(*piece.shape[:2]))
    low, high = np.log(smallest), np.log(LARGEST_PASTE)
    scale = float(np.exp(rng.uniform(low, high))) * min(height, width) / across * 1.3
    scale = min(scale, 0.99 * min(height, width) / across)
    reach = scale * across / 2
    centre = (float(rng.uniform(reach, width - reach)), float(rng.uniform(reach, height - reach)))
    return laid(frame, piece, alpha, scale, float(rng.uniform(0, 360)), centre)


def laid(frame: U8, piece: U8, alpha: U8, scale: float, angle: float, centre: tuple[float, float]) -> U8:
    """`piece` (h, w, 3) with its `alpha` on a frame: scaled, turned by `angle` in degrees, its middle at
    `centre` (x, y)."""
    height, width = frame.shape[:2]
    tall, wide = piece.shape[:2]
    turn = cv2.getRotationMatrix2D((wide / 2, tall / 2), angle, scale)
    turn[:, 2] += np.array(centre) - (wide / 2, tall / 2)
    if scale < 0.5:  # brought down first, or fine lines would flicker
        shrunk = max(scale * 1.5, 2 / min(tall, wide))
        piece, alpha = (
            cv2.resize(x, None, fx=shrunk, fy=shrunk, interpolation=cv2.INTER_AREA) for x in (piece, alpha)
        )
        turn[:, :2] /= shrunk
    drawn = cv2.warpAffine(piece, turn, (width, height), flags=cv2.INTER_LINEAR)
    cover: F32 = cv2.warpAffine(alpha, turn, (width, height), flags=cv2.INTER_LINEAR).astype(np.float32) / 255
    mixed = frame + (drawn.astype(np.float32) - frame) * cover[..., None]
    return np.asarray(np.clip(mixed, 0, 255), np.uint8)


def outline(side: int, rng: np.random.Generator) -> U8:
    """The alpha of a decoy: an ellipse or a polygon."""
    alpha = np.zeros((side, side), np.uint8)
    half = side / 2
    if rng.uniform() < 0.4:
        axes = (int(half * rng.uniform(0.4, 0.98)), int(half * rng.uniform(0.4, 0.98)))
        cv2.ellipse(
            alpha, (int(half), int(half)), axes, float(rng.uniform(0, 180)), 0, 360, 255, -1, cv2.LINE_AA
        )
        return alpha
    angles = np.sort(rng.uniform(0, 2 * np.pi, int(rng.integers(3, 9))))
    radii = rng.uniform(0.4, 0.98, len(angles)) * half
    points = np.stack([half + radii * np.cos(angles), half + radii * np.sin(angles)], 1)
    cv2.fillPoly(alpha, [points.astype(np.int32)], 255, cv2.LINE_AA)
    return alpha
