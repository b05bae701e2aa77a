"""What a tracker saw in one frame, and how it travels between processes."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Final, Literal

import numpy as np

from vivant.runtime.body.counting import Silhouettes
from vivant.runtime.frames import F32, U8

MASK_PX: Final = 192  # a side; edges are softer than that anyway
POSE_POINTS: Final = 33  # the topology of BlazePose (Bazarevsky et al. 2020)
HAND_POINTS: Final = 21
NOSE: Final = 0
SHOULDERS, WRISTS, HIPS = (11, 12), (15, 16), (23, 24)  # the person's own left, right
MOST_BODIES: Final = 8
MOST_BYTES: Final = MASK_PX * MASK_PX + MOST_BODIES * (POSE_POINTS + 2 * HAND_POINTS) * 12 + 4096

Side = Literal["left", "right"]
NO_POSES: Final[F32] = np.empty((0, POSE_POINTS, 3), np.float32)
NO_HANDS: Final[F32] = np.empty((0, HAND_POINTS, 2), np.float32)


@dataclass(frozen=True, slots=True)
class Bodies:
    """All people of one frame. `mask` u8 (MASK_PX, MASK_PX), 255 where certainly somebody is, of the whole
    frame; None where nobody looked for it. `poses` f32 (N, 33, 3): x and y as shares of the frame, from the
    left and from the top, and how visible the point is, [0, 1]. `hands` f32 (M, 21, 2) with `sides`."""

    mask: U8 | None = None
    poses: F32 = field(default_factory=lambda: NO_POSES)
    hands: F32 = field(default_factory=lambda: NO_HANDS)
    sides: tuple[Side, ...] = ()


@dataclass(frozen=True, slots=True)
class Seen:
    """Bodies with the frame that they were found in: its serial, when it was captured, its width by its
    height, and how long tracking took. `shapes` of the mask, where somebody has taken them already."""

    bodies: Bodies
    serial: int
    captured_ns: int
    aspect: float = 1.0
    took_ms: float = 0.0
    shapes: Silhouettes | None = None


def pack(seen: Seen) -> list[U8]:
    """The parts that a lane carries."""
    bodies = seen.bodies
    poses, hands = sane(bodies.poses[:MOST_BODIES]), sane(bodies.hands[: 2 * MOST_BODIES])
    meta = {
        "serial": seen.serial,
        "captured_ns": seen.captured_ns,
        "aspect": seen.aspect,
        "took_ms": seen.took_ms,
        "sides": bodies.sides[: len(hands)],
        "shapes": None if seen.shapes is None else asdict(seen.shapes),
    }
    mask = np.empty(0, np.uint8) if bodies.mask is None else bodies.mask.reshape(-1)
    return [
        np.frombuffer(json.dumps(meta).encode(), np.uint8),
        mask,
        poses.reshape(-1).view(np.uint8),
        hands.reshape(-1).view(np.uint8),
    ]


def sane(points: F32) -> F32:
    """Points as models give them, none of them infinite or far outside the frame."""
    within = np.clip(np.nan_to_num(points, nan=-1.0), -1.0, 2.0)
    return np.ascontiguousarray(within, np.float32)


def unpack(parts: Sequence[bytearray]) -> Seen:
    """What `pack` packed. Raises ValueError for anything else."""
    meta = json.loads(bytes(parts[0]))
    mask = np.frombuffer(parts[1], np.uint8).reshape(MASK_PX, MASK_PX) if parts[1] else None
    poses = np.frombuffer(parts[2], np.float32).reshape(-1, POSE_POINTS, 3)
    hands = np.frombuffer(parts[3], np.float32).reshape(-1, HAND_POINTS, 2)
    bodies = Bodies(mask, poses, hands, tuple(meta.pop("sides")))
    shapes = meta.pop("shapes")
    return Seen(bodies, **meta, shapes=None if shapes is None else Silhouettes(**shapes))


def as_mask(pixels: U8) -> U8:
    """A mask u8 (h, w) of any size at that of `Bodies.mask`."""
    import cv2

    way = cv2.INTER_AREA if min(pixels.shape) > MASK_PX else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(pixels, (MASK_PX, MASK_PX), interpolation=way), np.uint8)
