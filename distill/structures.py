"""Structures: the pictures that teachers paint, u8 (S, S, 3) sRGB. Training ones are drawn by seed; held-out
ones are kept apart by name and never drawn for training."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from vivant.distill.scenery import scenery
from vivant.runtime.frames import F32, U8, VivantError

PHOTOGRAPHS: Mapping[str, float] = {  # by file in the wheels of scikit-image and scikit-learn: how often
    "coffee.png": 4.0,
    "camera.png": 4.0,
    "rocket.jpg": 3.0,
    "motorcycle_left.png": 4.0,
    "china.jpg": 6.0,
    "flower.jpg": 5.0,
    "retina.jpg": 1.0,
    "hubble_deep_field.jpg": 1.5,
    "ihc.png": 1.0,
    "coins.png": 1.0,
    "color.png": 1.0,
    "grass.png": 0.7,
    "gravel.png": 0.5,
    "brick.png": 0.7,
    "moon.png": 0.7,
    "clock_motion.png": 1.0,
    "page.png": 0.5,
}
TRAINING_SHARE = 2 / 3  # of the clip, from its start; the rest is held out


@dataclass(frozen=True, slots=True)
class Sources:
    """What structures are cut from: photographs u8 (H, W, 3) with their weights, faces u8 (n, 25, 25) grey,
    frames of the clip's training part (empty without a clip)."""

    photographs: tuple[U8, ...]
    weights: tuple[float, ...]
    faces: U8
    frames: tuple[U8, ...]


def _shipped(names: Sequence[str]) -> dict[str, Path]:
    """Where the named pictures lie in the wheels of scikit-image and scikit-learn."""
    found: dict[str, Path] = {}
    for package, inside in (("skimage", "data"), ("sklearn", "datasets/images")):
        spec = find_spec(package)
        if spec is None or spec.origin is None:
            raise VivantError(
                f"structures need {package}, which is not installed. Run: pip install '.[distill]'"
            )
        found |= {path.name: path for path in (Path(spec.origin).parent / inside).iterdir()}
    if missing := [name for name in names if name not in found]:
        raise VivantError(
            f"scikit-image and scikit-learn as installed lack {', '.join(missing)}. "
            "Install the versions that pyproject.toml names"
        )
    return found


def _read(path: Path) -> U8:
    from skimage.color import gray2rgb
    from skimage.io import imread

    image = imread(path)
    return np.ascontiguousarray(gray2rgb(image) if image.ndim == 2 else image[..., :3], dtype=np.uint8)


def _frames(clip: Path, start: float, stop: float) -> list[U8]:
    """The frames of `clip` from share `start` to share `stop` of its length."""
    film = cv2.VideoCapture(str(clip))
    frames = []
    while True:
        there, frame = film.read()
        if not there:
            break
        frames.append(cv2.cvtColor(frame, cv2.COLOR_BGR2RGB))
    film.release()
    if not frames:
        raise VivantError(f"{clip} has no frame that can be read. Give --clip a film that OpenCV opens")
    return frames[int(start * len(frames)) : int(stop * len(frames))]


def open_sources(clip: Path | None) -> Sources:
    """Everything that training may see. Raises VivantError when a library or the clip is missing."""
    found = _shipped([*PHOTOGRAPHS, "lfw_subset.npy"])
    faces = np.load(found["lfw_subset.npy"])[:100]  # the first hundred are faces, the others are not
    return Sources(
        photographs=tuple(_read(found[name]) for name in PHOTOGRAPHS),
        weights=tuple(PHOTOGRAPHS.values()),
        faces=np.clip(faces * 255, 0, 255).astype(np.uint8),
        frames=tuple(_frames(clip, 0.0, TRAINING_SHARE)) if clip else (),
    )


def _cut(image: U8, rng: np.random.Generator, size_px: int, smallest_px: int, largest_px: int) -> F32:
    """A square of `image`, its side between the two (as far as there is room), scaled to f32 in [0, 1]."""
    height, width = image.shape[:2]
    room = min(height, width)
    side = int(rng.uniform(min(smallest_px, room), min(largest_px, room) + 1))
    y, x = int(rng.integers(0, height - side + 1)), int(rng.integers(0, width - side + 1))
    how = cv2.INTER_AREA if side > size_px else cv2.INTER_CUBIC
    scaled = cv2.resize(image[y : y + side, x : x + side], (size_px, size_px), interpolation=how)
    return np.asarray(scaled, dtype=np.float32) / np.float32(255)


def _face(sources: Sources, rng: np.random.Generator, size_px: int) -> F32:
    """A small grey face, enlarged and given a complexion, softly set into a photograph."""
    face = sources.faces[rng.integers(len(sources.faces))]
    ground = _photograph(sources, rng, size_px)
    side = int(rng.uniform(0.35, 0.95) * size_px)
    tone = cv2.resize(face, (side, side), interpolation=cv2.INTER_CUBIC).astype(np.float32)[..., None] / 255
    skin = np.array([1.0, rng.uniform(0.68, 0.82), rng.uniform(0.5, 0.72)], np.float32)
    tinted = np.clip(tone, 0, 1) ** (1.1 / (0.35 + 0.65 * skin)) * (0.8 + 0.2 * skin)
    v, u = np.mgrid[-1 : 1 : side * 1j, -1 : 1 : side * 1j].astype(np.float32)
    inside = np.clip((1 - np.hypot(u / 0.86, v / 0.98)) * rng.uniform(4, 14), 0, 1)[..., None]
    y, x = rng.integers(0, size_px - side + 1, 2)
    patch = ground[y : y + side, x : x + side]
    patch += inside * (tinted - patch)
    return ground


def _photograph(sources: Sources, rng: np.random.Generator, size_px: int) -> F32:
    share = np.array(sources.weights) / sum(sources.weights)
    image = sources.photographs[rng.choice(len(share), p=share)]
    return _cut(image, rng, size_px, 130, 600)


def _collage(sources: Sources, rng: np.random.Generator, size_px: int) -> F32:
    """Two structures through a soft random mask."""
    one, other = (_photograph(sources, rng, size_px) for _ in range(2))
    if rng.random() < 0.5:
        other = scenery(rng, size_px)
    noise = cv2.GaussianBlur(rng.standard_normal((size_px, size_px)).astype(np.float32), (0, 0), size_px / 9)
    mask = 1 / (1 + np.exp(-noise / noise.std() * rng.uniform(4, 20)))[..., None]
    return np.asarray(one * mask + other * (1 - mask), dtype=np.float32)


def training_structure(sources: Sources, rng: np.random.Generator, size_px: int) -> U8:
    """One structure u8 (S, S, 3), by `rng` alone: photograph, film, scenery, face or collage; weathered."""
    pick = rng.random() if sources.frames else rng.uniform(0.32, 1.0)
    if pick < 0.32:
        image = _cut(sources.frames[rng.integers(len(sources.frames))], rng, size_px, 110, 576)
    elif pick < 0.64:
        image = _photograph(sources, rng, size_px)
    elif pick < 0.80:
        image = scenery(rng, size_px)
    elif pick < 0.90:
        image = _face(sources, rng, size_px)
    else:
        image = _collage(sources, rng, size_px)
    return np.rint(weathered(image, rng) * 255).astype(np.uint8)


def weathered(image: NDArray[np.floating[Any]], rng: np.random.Generator) -> F32:
    """What a camera and a room do: mirror, gamma, contrast, cast, low light, blur, noise. f32 in [0, 1]."""
    if rng.random() < 0.5:
        image = image[:, ::-1]
    if rng.random() < 0.08:
        image = np.rot90(image, int(rng.integers(1, 4)))
    if rng.random() < 0.75:
        image = np.clip(image, 1e-4, 1) ** np.exp(rng.normal(0, 0.3))
        image = (image - 0.5) * np.exp(rng.normal(0.03, 0.18)) + 0.5 + rng.normal(0, 0.05)
        image = image * np.exp(rng.normal(0, 0.12, 3))
    if rng.random() < 0.2:
        image = image[..., rng.permutation(3)]
    if rng.random() < 0.12:
        image = image * np.float32(rng.uniform(0.35, 0.7))
    image = np.ascontiguousarray(image, dtype=np.float32)
    if rng.random() < 0.3:
        image = cv2.GaussianBlur(image, (0, 0), rng.uniform(0.5, 2.2))
    if rng.random() < 0.35:
        image = image + rng.normal(0, rng.uniform(0.004, 0.03), image.shape)
    return np.clip(image, 0, 1).astype(np.float32)


def held_out(size_px: int, clip: Path | None = None) -> dict[str, U8]:
    """The structures never trained on, u8 (S, S, 3) by name; those of the clip only where one is given."""
    found = _shipped(["astronaut.png", "chelsea.png"])
    cuts = {
        "astronaut": _read(found["astronaut.png"])[0:330, 60:390],
        "chelsea": _read(found["chelsea.png"])[0:300, 70:370],
    }
    if clip:
        frames = _frames(clip, TRAINING_SHARE, 1.0)
        side = min(frames[0].shape[:2])
        cuts["clip_wide"] = frames[len(frames) * 2 // 5][:side, :side]
        near = frames[len(frames) * 4 // 5]
        cuts["clip_near"] = near[side // 3 : side // 3 + side // 2, side // 2 : side]
    return {
        name: np.asarray(cv2.resize(cut, (size_px, size_px), interpolation=cv2.INTER_AREA), dtype=np.uint8)
        for name, cut in cuts.items()
    }
