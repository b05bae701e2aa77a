"""Drawings of people: a mask from a pose, and the figure that stands for the camera's picture."""

from __future__ import annotations

from itertools import pairwise
from typing import Final

import numpy as np

from vivant.runtime.body.gestures import VISIBLE
from vivant.runtime.body.seen import HAND_POINTS, HIPS, MASK_PX, NOSE, SHOULDERS, Bodies
from vivant.runtime.frames import F32, U8

LIMBS: Final = (
    *((11, 13), (13, 15), (12, 14), (14, 16)),
    *((23, 25), (25, 27), (27, 31), (24, 26), (26, 28), (28, 32)),
)
TRUNK: Final = (11, 12, 24, 23)
THICK: Final = 0.22  # of a torso length: a limb with its clothes
HEAD: Final = 0.30  # of a torso length, its radius
FINGERS: Final = tuple(
    pair for first in range(1, HAND_POINTS, 4) for pair in pairwise([0, *range(first, first + 4)])
)
GROUND: Final = (92, 88, 84)  # levels at the top of the drawing; it darkens downward
DEEPER: Final = 0.45
FIGURE: Final = (228, 214, 196)
LINE: Final = (70, 52, 46)


def drawn_mask(poses: F32) -> U8 | None:
    """A mask u8 (MASK_PX, MASK_PX) of the bodies that poses f32 (N, 33, 3) suggest; None without any."""
    import cv2

    if not len(poses):
        return None
    mask = np.zeros((MASK_PX, MASK_PX), np.uint8)
    for pose in poses:
        at = np.rint(pose[:, :2] * MASK_PX).astype(np.int32)
        seen = pose[:, 2] >= VISIBLE
        torso = torso_px(pose, MASK_PX)
        thick = max(2, round(THICK * torso))
        if seen[list(TRUNK)].all():
            cv2.fillConvexPoly(mask, at[list(TRUNK)], 255)
        for a, b in (*LIMBS, *pairwise((*TRUNK, TRUNK[0]))):
            if seen[a] and seen[b]:
                cv2.line(mask, at[a].tolist(), at[b].tolist(), 255, thick, cv2.LINE_AA)
        if seen[NOSE]:
            cv2.circle(mask, at[NOSE].tolist(), max(2, round(HEAD * torso)), 255, -1, cv2.LINE_AA)
    return mask


def torso_px(pose: F32, side_px: int) -> float:
    """The length of a pose's trunk in a square picture of `side_px`."""
    shoulders, hips = pose[list(SHOULDERS), :2].mean(0), pose[list(HIPS), :2].mean(0)
    return max(4.0, float(np.hypot(*(shoulders - hips))) * side_px)


def draw_lines(picture: U8, bodies: Bodies, colour: tuple[int, int, int], thick_px: int) -> None:
    """Skeletons and hands into a picture u8 (H, W, 3), in place."""
    import cv2

    height, width = picture.shape[:2]
    size = np.array([width, height], np.float32)
    for pose in bodies.poses:
        at, seen = np.rint(pose[:, :2] * size).astype(np.int32), pose[:, 2] >= VISIBLE
        for a, b in (*LIMBS, *pairwise((*TRUNK, TRUNK[0]))):
            if seen[a] and seen[b]:
                cv2.line(picture, at[a].tolist(), at[b].tolist(), colour, thick_px, cv2.LINE_AA)
        if seen[NOSE]:
            radius = max(2, round(HEAD * torso_px(pose, min(width, height))))
            cv2.circle(picture, at[NOSE].tolist(), radius, colour, thick_px, cv2.LINE_AA)
    for hand in bodies.hands:
        at = np.rint(hand * size).astype(np.int32)
        for a, b in FINGERS:
            cv2.line(picture, at[a].tolist(), at[b].tolist(), colour, max(1, thick_px // 2), cv2.LINE_AA)


class Drawing:
    """The figure that a student is given in place of the camera's picture: silhouettes with a little volume,
    and their skeletons, on a plain ground. No pixel of the camera is used. One thread."""

    def __init__(self, size_px: tuple[int, int]) -> None:
        self._size_px = size_px
        down = np.linspace(1.0, DEEPER, MASK_PX, dtype=np.float32)[:, None, None]
        self._empty: U8 = (np.array(GROUND, np.float32) * down).repeat(MASK_PX, 1).astype(np.uint8)
        self._figure: U8 = np.full_like(self._empty, FIGURE)

    def draw(self, out: U8, mask: U8 | None, bodies: Bodies | None) -> None:
        """Write all of `out` u8 (H, W, 3). `mask` u8 (MASK_PX, MASK_PX) and `bodies` are of one moment."""
        import cv2

        if mask is None:
            small = self._empty
        else:
            alpha = cv2.merge([mask] * 3)
            deep = cv2.convertScaleAbs(cv2.blur(mask, (17, 17)), None, 0.65, 0.35 * 255)
            figure = cv2.multiply(cv2.merge([deep] * 3), self._figure, None, 1 / 255)
            ground = cv2.multiply(self._empty, cv2.bitwise_not(alpha), None, 1 / 255)
            small = cv2.add(ground, cv2.multiply(figure, alpha, None, 1 / 255))
        cv2.resize(small, self._size_px, out, interpolation=cv2.INTER_LINEAR)
        if bodies is not None:
            draw_lines(out, bodies, LINE, max(1, self._size_px[0] // 128))
