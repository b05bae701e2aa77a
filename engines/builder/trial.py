"""Frames that a student paints in every way it can, so that its graphs meet what a show will feed them."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path
from typing import Any

import numpy as np

from vivant.engines.adapter import ADAPTED, PREFIX, AdapterInfo
from vivant.engines.card import Card
from vivant.engines.contract import EngineError, LoadedStudent
from vivant.engines.diffusion.wishes import PROMPT_A
from vivant.engines.field import PlaneField
from vivant.runtime.frames import F32, U8, Controls

log = logging.getLogger(__name__)

STRENGTHS = (0.25, 0.6)  # a usual one, and one that leaves the student much to invent
SCALES = (0.25, 0.5, 1.0)  # of an adapter
TOGETHER = 0.5  # the scale of each of two adapters
PROMPTS = ("", "blue ink", "neon rain", "an old sailor, charcoal on grey paper")
"""What a student of words is asked for: others than it was calibrated with."""
MADE_UP = ("held-out", "held-out-too")  # the adapters that the builder makes up where a student has slots
PLANES_SEED = 5
NOISE_SEED = 7


@dataclass(frozen=True, slots=True)
class Wish:
    """One way to paint; `name` says it in a few words. Calibration takes each for a group of its own: an
    average over the scales of an adapter would cut off the largest."""

    name: str
    controls: Controls


def wishes_of(student: LoadedStudent) -> list[Wish]:
    """Every style alone, or every prompt; every adapter at each of SCALES, and two together. Strengths,
    seeds, numbers of steps, styles and prompts take their turns."""
    subjects = _styles(student) or _prompts(student)
    found: list[Wish] = []

    def wish(name: str, subject: Mapping[str, Any], adapters: Mapping[str, float]) -> None:
        count = len(found)
        steps = 1 + count // len(STRENGTHS) % 2 if student.card.diffusion else 1
        controls = Controls(
            strength=STRENGTHS[count % len(STRENGTHS)], steps=steps, seed=NOISE_SEED + count,
            adapters=adapters, size_px=student.size_px, **subject,
        )  # fmt: skip
        found.append(Wish(name, controls))

    for name, subject in subjects.items():
        wish(name, subject, {})
    turns = cycle(subjects.values())
    for adapter in student.adapters:
        for scale in SCALES:
            wish(f"{adapter} {scale:g}", next(turns), {adapter: scale})
    slots, _ = student.card.slots or (0, 0)
    last = list(student.adapters)[-2:]
    if slots > 1 and len(last) > 1:
        wish(" + ".join(last), next(turns), dict.fromkeys(last, TOGETHER))
    return found


def _styles(student: LoadedStudent) -> dict[str, dict[str, Any]]:
    """What Controls are to hold for each style, by its name."""
    return {style: {"styles": {style: 1.0}} for style in student.card.styles}


def _prompts(student: LoadedStudent) -> dict[str, dict[str, Any]]:
    """What Controls are to hold for each of PROMPTS that can be embedded here."""
    found: dict[str, dict[str, Any]] = {}
    for text in PROMPTS:
        try:
            student.prepare(Controls(numbers={PROMPT_A: text}))
        except EngineError as error:
            log.warning("not verified with the prompt '%s': %s", text, error)
            continue
        found[text or "no words"] = {"numbers": {PROMPT_A: text}}
    return found


class Easel:
    """A student and the planes it paints with. One thread."""

    def __init__(self, student: LoadedStudent) -> None:
        self.student = student
        self._planes = PlaneField(student.size_px, PLANES_SEED) if student.recipes else None

    def paint(self, frame: U8, controls: Controls) -> U8:
        """One frame u8 (H, W, 3) of any size through every stage -> u8 (H, W, 4), a view."""
        student = self.student
        student.prepare(controls)
        latent = student.denoise(student.encode(fitted(frame, student.size_px)), controls)
        planes = None
        if self._planes is not None and latent.guide is not None:
            planes = self._planes.update(latent.guide, student.dress(controls))
        return student.decode(latent, planes, controls)


def fitted(frame: U8, size_px: tuple[int, int]) -> U8:
    """The middle of a frame u8 (h, w, 3) at another size (width, height)."""
    import cv2

    width, height = size_px
    scale = max(width / frame.shape[1], height / frame.shape[0])
    inner = max(width, round(frame.shape[1] * scale)), max(height, round(frame.shape[0] * scale))
    how = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    large = cv2.resize(frame, inner, interpolation=how)
    top, left = (inner[1] - height) // 2, (inner[0] - width) // 2
    return np.ascontiguousarray(large[top : top + height, left : left + width])


def digest(frames: Sequence[U8]) -> str:
    """sha256 of some frames."""
    found = hashlib.sha256()
    for frame in frames:
        found.update(repr(frame.shape).encode())
        found.update(np.ascontiguousarray(frame).data)
    return found.hexdigest()


def made_up_adapter(card: Card, path: Path, seed: int) -> Path:
    """A LoRA file with random weights for every site of a house student with slots, called as the file, of a
    weight that changes pictures."""
    assert card.adapters is not None
    rng = np.random.Generator(np.random.Philox(key=seed))
    rank = card.adapters.rank
    tensors: dict[str, F32] = {}
    for part in ADAPTED:
        for site, (inputs, outputs) in card.adapters.sites[part].items():
            pair = {"A": (rank, inputs), "B": (outputs, rank)}
            for letter, shape in pair.items():
                drawn = rng.standard_normal(shape, dtype=np.float32) * (0.4 / max(shape)) ** 0.5
                tensors[f"{PREFIX}{part}.{site}.lora_{letter}.weight"] = drawn
    info = AdapterInfo(
        name=path.stem,
        summary="random weights, to verify slots with",
        student=card.name,
        alpha=float(rank),
        rank=rank,
        upon=card.weights.sha256 if card.weights else "",
        made_with="vivant engines build",
        license="CC0-1.0",
    )
    return _saved(path, tensors, info)


def _saved(path: Path, tensors: Mapping[str, F32], info: AdapterInfo) -> Path:
    from safetensors.numpy import save_file

    save_file(dict(tensors), path, metadata={"vivant": info.model_dump_json()})
    return path
