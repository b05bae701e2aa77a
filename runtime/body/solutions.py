"""The models inside mediapipe up to 0.10.21: selfie segmentation, one pose, hands."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, Final

import numpy as np

from vivant.runtime.body.quiet import quiet
from vivant.runtime.body.seen import HAND_POINTS, NO_HANDS, NO_POSES, Bodies, Side, as_mask
from vivant.runtime.frames import F32, U8

GENERAL: Final = 0  # the segmentation model for square pictures
FULL: Final = 1  # the pose model that is inside; the others would be downloaded
LITE: Final = 0
MOST_HANDS: Final = 4
SURE: Final = 0.5
DOUBT: Final = (0.35, 0.85)  # of the segmentation: below nobody, above somebody
MIRRORED: Final[dict[str, Side]] = {"Left": "right", "Right": "left"}
"""Its hands are named as if the picture were mirrored."""


class Solutions:
    """mediapipe.solutions, as far as `find` asks for. One thread."""

    name = "mediapipe"

    def __init__(self, find: Collection[str]) -> None:
        with quiet():
            from mediapipe.python.solutions import hands, pose, selfie_segmentation

        masked = "mask" in find
        self._selfie: Any = None  # Any, thrice: mediapipe has no types
        self._pose: Any = None
        self._hands: Any = None
        if masked:
            self._selfie = selfie_segmentation.SelfieSegmentation(model_selection=GENERAL)
        if "pose" in find:
            self._pose = pose.Pose(
                model_complexity=FULL, enable_segmentation=masked, min_detection_confidence=SURE
            )
        if "hands" in find:
            self._hands = hands.Hands(model_complexity=LITE, max_num_hands=MOST_HANDS)

    def track(self, pixels: U8, captured_ns: int) -> Bodies:
        """Who is in the frame u8 (H, W, 3)."""
        mask, poses = None, NO_POSES
        if self._selfie is not None:
            found: F32 = np.asarray(self._selfie.process(pixels).segmentation_mask, np.float32)
            mask = as_mask(levels(sharpened(found)))
        if self._pose is not None:
            seen = self._pose.process(pixels)
            if seen.pose_landmarks is not None:
                poses = points(seen.pose_landmarks.landmark)[None]
            if mask is not None and seen.segmentation_mask is not None:
                mask = np.maximum(mask, as_mask(levels(seen.segmentation_mask)))
        hands, sides = self._found_hands(pixels)
        return Bodies(mask, poses, hands, sides)

    def _found_hands(self, pixels: U8) -> tuple[F32, tuple[Side, ...]]:
        if self._hands is None:
            return NO_HANDS, ()
        found = self._hands.process(pixels)
        if not found.multi_hand_landmarks:
            return NO_HANDS, ()
        hands = [points(hand.landmark)[:HAND_POINTS, :2] for hand in found.multi_hand_landmarks]
        sides = tuple(MIRRORED[one.classification[0].label] for one in found.multi_handedness)
        return np.stack(hands), sides

    def close(self) -> None:
        """Free the graphs."""
        for graph in (self._selfie, self._pose, self._hands):
            if graph is not None:
                graph.close()


def points(landmarks: Any) -> F32:
    """x, y and visibility of landmarks, f32 (N, 3)."""
    return np.array([(one.x, one.y, one.visibility or 0.0) for one in landmarks], np.float32)


def levels(shares: F32) -> U8:
    """A mask in [0, 1] as u8."""
    return np.asarray(np.clip(shares * 255.0, 0.0, 255.0), np.uint8)


def sharpened(shares: F32) -> F32:
    """A segmentation's doubts decided: its halos lie below a half."""
    low, high = DOUBT
    sure: F32 = np.clip((shares - low) / (high - low), 0.0, 1.0)
    return sure
