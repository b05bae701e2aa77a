"""What structures are cut from: the pictures inside the wheels of scikit-image and scikit-learn, and a clip.

They are kept as the bytes of their files, so that one archive brings them, exactly, to a machine that has
neither library.
"""

from __future__ import annotations

import hashlib
import io
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import Final

import cv2
import numpy as np

from vivant.runtime.frames import U8, VivantError

PHOTOGRAPHS: Final[Mapping[str, float]] = {  # by file: how often each is drawn for training
    "camera.png": 5.0,
    "rocket.jpg": 3.0,
    "motorcycle_left.png": 2.5,
    "motorcycle_right.png": 2.5,
    "china.jpg": 6.0,
    "flower.jpg": 6.0,
    "retina.jpg": 0.7,
    "hubble_deep_field.jpg": 1.2,
    "ihc.png": 0.8,
    "coins.png": 1.2,
    "grass.png": 0.5,
    "gravel.png": 0.4,
    "brick.png": 0.6,
    "moon.png": 0.6,
    "text.png": 0.3,
    "horse.png": 0.6,
}
KEPT_APART: Final = ("astronaut.png", "chelsea.png", "coffee.png")
FACES: Final = "lfw_subset.npy"
CLIP: Final = "clip"
TRAINING_SHARE: Final = 2 / 3  # of the clip, from its start; the rest is held out
FILM_STEP: Final = 6  # of so many frames of the clip, the first two are taken
FACE_COUNT: Final = 100  # the first hundred of the file are faces, the others are not


@dataclass(frozen=True, slots=True)
class Material:
    """The files' bytes, u8 (n,) by file name; `CLIP` is there only where a clip was given."""

    files: Mapping[str, U8]

    def photograph(self, name: str) -> U8:
        """u8 (H, W, 3)"""
        pixels = cv2.imdecode(self.files[name], cv2.IMREAD_COLOR_RGB)
        return np.asarray(pixels, dtype=np.uint8)

    def film(self, start: float, stop: float) -> tuple[U8, ...]:
        """Frames u8 (H, W, 3) from share `start` to share `stop` of the clip: two successive ones of every
        FILM_STEP. Empty without a clip."""
        if CLIP not in self.files:
            return ()
        with tempfile.NamedTemporaryFile(suffix=".avi") as file:
            file.write(self.files[CLIP].tobytes())
            file.flush()
            return _frames(Path(file.name), start, stop)

    def digest(self) -> str:
        """A short hash of all files; with another clip it is another."""
        digest = hashlib.sha256()
        for name, content in sorted(self.files.items()):
            digest.update(name.encode() + content.tobytes())
        return digest.hexdigest()[:16]

    def save(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("wb") as file:
            np.savez(file, allow_pickle=False, **self.files)


@dataclass(frozen=True, slots=True)
class Sources:
    """What training may see: photographs u8 (H, W, 3) with how often each is drawn, faces u8 (n, 25, 25)
    grey, and `film`, successive frames u8 (H, W, 3) in twos (empty without a clip)."""

    photographs: tuple[U8, ...]
    weights: tuple[float, ...]
    faces: U8
    film: tuple[U8, ...]


def gather(clip: Path | None) -> Material:
    """The files of this machine. Raises VivantError when a library or the clip is missing."""
    names = (*PHOTOGRAPHS, *KEPT_APART, FACES)
    found = _shipped()
    if missing := [name for name in names if name not in found]:
        raise VivantError(
            f"scikit-image and scikit-learn as installed lack {', '.join(missing)}. "
            "Install the versions that pyproject.toml names"
        )
    paths = {name: found[name] for name in names}
    if clip is not None:
        if not (clip.is_file() and cv2.VideoCapture(str(clip)).grab()):
            raise VivantError(f"{clip} has no frame that can be read. Give --clip a film that OpenCV opens")
        paths[CLIP] = clip
    return Material({name: np.fromfile(path, np.uint8) for name, path in paths.items()})


def load(archive: Path) -> Material:
    """The files of an archive that `save` wrote. Raises VivantError when it is none."""
    try:
        with np.load(archive, allow_pickle=False) as stored:
            files = {name: stored[name] for name in stored.files}
    except (OSError, ValueError, EOFError) as error:
        raise VivantError(
            f"{archive} cannot be read ({error}). Make it where scikit-image is installed: "
            "vivant distill paint --export-structures FILE.npz"
        ) from error
    if missing := [name for name in (*PHOTOGRAPHS, *KEPT_APART, FACES) if name not in files]:
        raise VivantError(f"{archive} lacks {', '.join(missing)}. Export it again with this version")
    return Material(files)


def material_of(clip: Path | None, archive: Path | None) -> Material:
    """From an archive where one is given, else from this machine."""
    return load(archive) if archive else gather(clip)


def open_sources(clip: Path | None = None, archive: Path | None = None) -> Sources:
    """All that training may see."""
    material = material_of(clip, archive)
    faces = np.load(io.BytesIO(material.files[FACES].tobytes()), allow_pickle=False)[:FACE_COUNT]
    return Sources(
        photographs=tuple(material.photograph(name) for name in PHOTOGRAPHS),
        weights=tuple(PHOTOGRAPHS.values()),
        faces=np.clip(faces * 255, 0, 255).astype(np.uint8),
        film=material.film(0.0, TRAINING_SHARE),
    )


def _shipped() -> dict[str, Path]:
    found: dict[str, Path] = {}
    for package, inside in (("skimage", "data"), ("sklearn", "datasets/images")):
        spec = find_spec(package)
        if spec is None or spec.origin is None:
            raise VivantError(
                f"structures need {package}, which is not installed. Run: pip install '.[distill]', "
                "or bring an archive along (--structures FILE.npz)"
            )
        found |= {path.name: path for path in (Path(spec.origin).parent / inside).iterdir()}
    return found


@lru_cache(maxsize=2)
def length_of(clip: Path) -> int:
    """Frames are counted by reading them: what a container says of its length is often wrong."""
    film, count = cv2.VideoCapture(str(clip)), 0
    while film.grab():
        count += 1
    film.release()
    return count


def _frames(clip: Path, start: float, stop: float) -> tuple[U8, ...]:
    film = cv2.VideoCapture(str(clip))
    count = length_of(clip)
    first, last = int(start * count), int(stop * count)
    wanted = [k for k in range(first, last) if (k - first) % FILM_STEP < 2]
    if len(wanted) % 2:
        wanted.pop()
    taken, frames = set(wanted), []
    for k in range(last):
        if not film.grab():
            break
        if k in taken:
            frames.append(cv2.cvtColor(film.retrieve()[1], cv2.COLOR_BGR2RGB))
    film.release()
    if not frames:
        raise VivantError("the clip has no frame that can be read. Give --clip a film that OpenCV opens")
    return tuple(np.asarray(frame, dtype=np.uint8) for frame in frames)
