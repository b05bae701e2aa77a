"""Frames to calibrate and to verify with: a folder of pictures, a film, or what the builder is handed."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from vivant.engines.builder.errors import BuildError
from vivant.engines.builder.order import Material
from vivant.engines.builder.trial import digest
from vivant.runtime.frames import U8

PICTURES = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff")
MOST = 96  # frames: more of them tell little more of how far a tensor reaches
FEWEST = 4
HELD = 3  # of so many pictures one is held out; of a film, as much at its end


def material_of(frames: Sequence[U8]) -> Material:
    """Every third frame is held out."""
    seen = [frame for index, frame in enumerate(frames) if index % HELD != HELD - 1]
    return _material(seen, list(frames[HELD - 1 :: HELD]))


def read_material(place: Path) -> Material:
    """From a folder of pictures or a film. Raises BuildError where there is too little."""
    if place.is_dir():
        return material_of(_pictures(place))
    frames = _film(place)
    last = len(frames) - len(frames) // HELD  # what is next to a frame is nearly that frame: no mixing
    return _material(frames[:last], frames[last:])


def _material(seen: Sequence[U8], held_out: Sequence[U8]) -> Material:
    return Material(seen, held_out, digest([*seen, *held_out]))


def _pictures(folder: Path) -> list[U8]:
    import cv2

    paths = [path for path in sorted(folder.iterdir()) if path.suffix.lower() in PICTURES]
    step = max(-(-len(paths) // MOST), 1)
    found = [(path, cv2.imread(str(path), cv2.IMREAD_COLOR)) for path in paths[::step]]
    broken = [path.name for path, picture in found if picture is None]
    if broken:
        raise BuildError(f"{folder}: no pictures that can be read: {', '.join(broken)}. Take them out.")
    whole = [_rgb(picture) for _, picture in found if picture is not None]
    return _enough(folder, whole, "pictures")


def _film(path: Path) -> list[U8]:
    import cv2

    if not path.is_file():
        raise BuildError(f"--calibration {path}: there is no such folder or film")
    film = cv2.VideoCapture(str(path))
    try:
        count = int(film.get(cv2.CAP_PROP_FRAME_COUNT))
        step = max(count // MOST, 1)
        frames: list[U8] = []
        index = 0
        while len(frames) < MOST and film.grab():
            if index % step == 0:
                there, picture = film.retrieve()
                if there:
                    frames.append(_rgb(picture))
            index += 1
    finally:
        film.release()
    return _enough(path, frames, "frames of a film")


def _enough(place: Path, frames: list[U8], what: str) -> list[U8]:
    if len(frames) < FEWEST:
        raise BuildError(
            f"--calibration {place} gives {len(frames)} {what}, and at least {FEWEST} are needed. Give a "
            "folder of pictures, or a film, of what the piece will see."
        )
    return frames


def _rgb(picture: Any) -> U8:  # cv2 types its arrays loosely
    return np.ascontiguousarray(picture[:, :, ::-1], np.uint8)
