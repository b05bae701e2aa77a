"""The Tasks of mediapipe, old and new, with the user's own models: pose, hands and segmentation files."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np

from vivant.runtime.body.quiet import quiet
from vivant.runtime.body.seen import NO_HANDS, NO_POSES, Bodies, Side, as_mask
from vivant.runtime.body.solutions import MIRRORED, levels, points
from vivant.runtime.frames import F32, U8, VivantError

NAMES: Final[Mapping[str, tuple[str, ...]]] = {
    "pose": ("*pose*landmark*.task",),
    "hands": ("*hand*landmark*.task",),
    "mask": ("*segment*.task", "*segment*.tflite", "*selfie*.tflite"),
}
WHERE: Final = "https://ai.google.dev/edge/mediapipe/solutions/vision"


def models_in(folder: Path, find: Collection[str]) -> dict[str, Path]:
    """The model for each part of `find` in a folder. Raises VivantError when there is none at all."""
    found = {}
    for part in find:
        files = sorted(file for pattern in NAMES[part] for file in folder.glob(pattern))
        if files:
            found[part] = files[0]
    if not found:
        wanted = " or ".join(pattern for part in find for pattern in NAMES[part])
        raise VivantError(f"{folder} holds no model for the body: none named {wanted}. They are at {WHERE}")
    return found


class Tasks:
    """mediapipe.tasks over the models in `folder`, as far as `find` asks for. One thread.

    Raises VivantError when a model is not what its name says.
    """

    name = "tasks"

    def __init__(self, folder: Path, find: Collection[str], people: int) -> None:
        models = models_in(folder, find)
        with quiet():
            import mediapipe
            from mediapipe.tasks.python import BaseOptions, vision
        self._image: Any = mediapipe.Image  # Any, in this class: mediapipe has no types
        self._format: Any = mediapipe.ImageFormat.SRGB
        self._last_ms = -1
        self._open: dict[str, Any] = {}
        with quiet():
            for part, model in models.items():
                try:
                    base = BaseOptions(model_asset_path=str(model))
                    self._open[part] = OPENERS[part](vision, base, people, "mask" in find)
                except (ValueError, RuntimeError) as error:
                    raise VivantError(f"{model} is no model for {part}: {error}") from error

    def track(self, pixels: U8, captured_ns: int) -> Bodies:
        """Who is in the frame u8 (H, W, 3)."""
        image = self._image(image_format=self._format, data=np.ascontiguousarray(pixels))
        at_ms = self._last_ms = max(self._last_ms + 1, captured_ns // 1_000_000)
        mask, poses, hands, sides = None, NO_POSES, NO_HANDS, tuple[Side, ...]()
        if "mask" in self._open:
            mask = person_of(self._open["mask"].segment_for_video(image, at_ms).confidence_masks)
        if "pose" in self._open:
            seen = self._open["pose"].detect_for_video(image, at_ms)
            if seen.pose_landmarks:
                poses = np.stack([points(pose) for pose in seen.pose_landmarks])
            for one in seen.segmentation_masks or ():
                own = as_mask(levels(plane(one)))
                mask = own if mask is None else np.maximum(mask, own)
        if "hands" in self._open:
            seen = self._open["hands"].detect_for_video(image, at_ms)
            if seen.hand_landmarks:
                hands = np.stack([points(hand)[:, :2] for hand in seen.hand_landmarks])
                sides = tuple(MIRRORED[one[0].category_name] for one in seen.handedness)
        return Bodies(mask, poses, hands, sides)

    def close(self) -> None:
        """Free the graphs."""
        for task in self._open.values():
            task.close()
        self._open = {}


def _pose(vision: Any, base: Any, people: int, masked: bool) -> Any:
    return vision.PoseLandmarker.create_from_options(
        vision.PoseLandmarkerOptions(
            base_options=base,
            running_mode=vision.RunningMode.VIDEO,
            num_poses=people,
            output_segmentation_masks=masked,
        )
    )


def _hands(vision: Any, base: Any, people: int, masked: bool) -> Any:
    return vision.HandLandmarker.create_from_options(
        vision.HandLandmarkerOptions(
            base_options=base, running_mode=vision.RunningMode.VIDEO, num_hands=2 * people
        )
    )


def _mask(vision: Any, base: Any, people: int, masked: bool) -> Any:
    return vision.ImageSegmenter.create_from_options(
        vision.ImageSegmenterOptions(
            base_options=base, running_mode=vision.RunningMode.VIDEO, output_confidence_masks=True
        )
    )


OPENERS: Final = {"pose": _pose, "hands": _hands, "mask": _mask}


def plane(image: Any) -> F32:
    """A mask of mediapipe's as f32 (h, w): some versions give it a third axis."""
    found = np.asarray(image.numpy_view(), np.float32)
    return found[..., 0] if found.ndim == 3 else found


def person_of(masks: Any) -> U8 | None:
    """One mask of the confidences by class: of several classes everything but the background."""
    if not masks:
        return None
    first = plane(masks[0])
    return as_mask(levels(first if len(masks) == 1 else 1.0 - first))
