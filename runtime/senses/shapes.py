"""The performer's body as outlines on the picture, for many moments at once.

Places are those of dance.py (body heights); outlines are px of the picture in 1/16 px, int32, as
cv2.fillConvexPoly takes them with `shift` 4.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from vivant.runtime.senses.acts import F64
from vivant.runtime.senses.dance import Poses

I32 = NDArray[np.int32]

FLOOR: Final = 0.915  # where the dancer stands, as a share of the height of the picture
TALL: Final = 0.75  # how tall the dancer is, likewise
NEARNESS: Final = 0.16  # how much one body height towards the viewer enlarges
STEEPNESS: Final = 0.19  # and how much lower that is on the picture: seen from a little above
SUBPIXELS: Final = 16
LIGHT: Final = np.array([-0.56, -0.83])  # towards the window, on the picture
SUN: Final = np.array([-0.62, 0.55, 0.56])  # the same in the room
# A limb is drawn as a pile of shapes from its rim to its lit middle: how large, how far to the light.
LAYERS: Final = np.array([[1.0, 0.0], [0.92, 0.06], [0.80, 0.15], [0.64, 0.26], [0.46, 0.36], [0.24, 0.46]])
ARC: Final = np.linspace(-0.5, 0.5, 9)  # half a circle, for each end of a limb
PLEATS: Final = 11
SECTIONS: Final = 44
RIBBON_S: Final = 1.15  # how long the ribbon remembers its hand
RIBBON_PIECES: Final = 30


@dataclass(frozen=True, slots=True)
class View:
    """Looks at the room on a picture of `size_px`."""

    size_px: tuple[int, int]

    def unit_px(self, places: F64) -> F64:
        """What a body height measures at places (..., 3)."""
        unit: F64 = TALL * self.size_px[1] / (1.0 - NEARNESS * places[..., 2])
        return unit

    def project(self, places: F64) -> F64:
        """(..., 3) in the room to (..., 2) px."""
        unit = self.unit_px(places)
        x = self.size_px[0] / 2 + unit * places[..., 0]
        y = FLOOR * self.size_px[1] + unit * (STEEPNESS * places[..., 2] - places[..., 1])
        return np.stack([x, y], -1)


def capsules(starts: F64, ends: F64, start_px: F64, end_px: F64) -> I32:
    """Tapered capsules between circles at (..., 2) px with radii (...), as piles (..., 6, 18, 2)."""
    way = ends - starts
    length = np.maximum(np.hypot(way[..., 0], way[..., 1]), 1e-6)
    along = np.arctan2(way[..., 1], way[..., 0])
    open_ = np.arcsin(np.clip((start_px - end_px) / length, -1.0, 1.0))
    # The half circles meet where one line touches both circles.
    end_angle = along[..., None] + ARC * (np.pi - 2 * open_[..., None])
    start_angle = along[..., None] + np.pi + ARC * (np.pi + 2 * open_[..., None])
    angle = np.concatenate([end_angle, start_angle], -1)
    size = np.concatenate(
        [np.repeat(end_px[..., None], len(ARC), -1), np.repeat(start_px[..., None], len(ARC), -1)], -1
    )
    middle = np.concatenate(
        [np.repeat(ends[..., None, :], len(ARC), -2), np.repeat(starts[..., None, :], len(ARC), -2)], -2
    )
    edge = size[..., None] * np.stack([np.cos(angle), np.sin(angle)], -1)
    larger, shift = LAYERS[:, :1, None], (LAYERS[:, 1:] * LIGHT)[:, None]
    piles = middle[..., None, :, :] + edge[..., None, :, :] * larger + size[..., None, :, None] * shift
    return fixed(piles)


def fixed(points_px: F64) -> I32:
    """To 1/16 px."""
    return np.round(points_px * SUBPIXELS).astype(np.int32)


@dataclass(frozen=True, slots=True)
class Pleats:
    """The skirt: sections from waist to hem. `depth` (T, n) towards the viewer from its middle;
    `cloth` and `trim` outlines (T, n, 8 or 4, 2); `shade` (T, n) in [-0.25, 1]; `stripe` (n,)."""

    depth: F64
    cloth: I32
    trim: I32
    shade: F64
    stripe: NDArray[np.bool_]


def skirt(poses: Poses, view: View, first: int, spin: F64, late: int) -> Pleats:
    """The skirt from moment `first` on. It flares with `spin` (T,) rad/s and follows the body `late`
    moments behind."""
    moments = slice(first, len(poses.yaw))
    pelvis, waist = poses.at("pelvis")[moments], poses.at("waist")[moments]
    angle = np.linspace(0, 2 * np.pi, SECTIONS + 1) + (poses.yaw[moments] - 0.03 * spin)[:, None]
    outward = np.stack([np.cos(angle), np.zeros_like(angle), np.sin(angle)], -1)
    swung = (poses.at("pelvis")[first - late : len(poses.yaw) - late] - pelvis)[:, None]
    flare = (0.125 + 0.015 * np.abs(spin))[:, None]
    reach = np.broadcast_to(flare, angle.shape)
    for letter in "lr":
        leg = (
            0.55 * poses.at(f"knee_{letter}")[moments] + 0.45 * poses.at(f"ankle_{letter}")[moments] - pelvis
        )
        reach = np.maximum(reach, np.clip(np.einsum("tsc,tc->ts", outward, leg) + 0.055, 0.0, 0.30))
    reach = 0.25 * np.roll(reach, 1, 1) + 0.5 * reach + 0.25 * np.roll(reach, -1, 1)
    pleat = np.sin(angle * PLEATS - (PLEATS * poses.yaw[moments])[:, None])
    fall = 0.285 - 0.022 * np.abs(spin)[:, None] - 0.45 * (reach - flare)
    top = (0.7 * waist + 0.3 * pelvis)[:, None] + outward * 0.051
    lines = [top]
    for share, hip_r, wide in ((0.0, 0.076, 0.10), (0.35, 0.03, 0.64), (0.93, 0.0, 0.98), (1.0, 0.0, 1.0)):
        spread = hip_r + wide * reach * (1 + 0.075 * share * pleat)
        line = pelvis[:, None] + share * 1.1 * swung + outward * spread[..., None]
        line[..., 1] -= share * (fall + 0.007 * pleat)
        lines.append(line)
    rings = [view.project(line) for line in lines]
    facing = (
        angle[:, :-1]
        + np.pi / SECTIONS
        + 0.5 * np.cos((angle[:, :-1] - poses.yaw[moments][:, None]) * PLEATS + 0.8)
    )
    shade = np.cos(facing) * SUN[0] + np.sin(facing) * SUN[2] + 0.25 * SUN[1]
    return Pleats(
        depth=outward[:, :-1, 2],
        cloth=_between(rings[:4]),
        trim=_between(rings[3:]),
        shade=np.clip(shade, -0.25, 1.0),
        stripe=np.sin(np.linspace(0, 2 * np.pi, SECTIONS, endpoint=False) * PLEATS) > 0.35,
    )


def _between(rings: list[F64]) -> I32:
    """Sections (T, n, 2 * rings, 2) between rings (T, n + 1, 2)."""
    down = [ring[:, :-1] for ring in rings]
    up = [ring[:, 1:] for ring in reversed(rings)]
    return fixed(np.stack(down + up, 2))


@dataclass(frozen=True, slots=True)
class Strip:
    """The ribbon: pieces from its end to the hand. `depth` (T, n), `outline` (T, n, 4, 2), `twist` (T, n)."""

    depth: F64
    outline: I32
    twist: F64


def ribbon(poses: Poses, view: View, first: int, fps: float) -> Strip:
    """Where the right hand was in the last second, fallen and blown a little."""
    ages = np.linspace(0, RIBBON_S, RIBBON_PIECES + 1)
    at = np.arange(first, len(poses.yaw))[:, None] - ages * fps
    low = np.floor(at).astype(int)
    share = (at - low)[..., None]
    hand = poses.at("hand_r") + 0.32 * (poses.at("hand_r") - poses.at("elbow_r"))
    places = hand[low] * (1 - share) + hand[np.minimum(low + 1, len(hand) - 1)] * share
    now_s = poses.times_s[first:, None]
    places[..., 0] += 0.05 * ages * np.sin(9.0 * ages - 3.1 * now_s) + 0.02 * ages
    places[..., 1] -= 0.42 * ages**1.25
    places[..., 2] += 0.06 * ages * np.cos(8.0 * ages - 2.7 * now_s)
    places[..., 1] = np.maximum(places[..., 1], 0.012 + 0.006 * np.sin(14 * ages))
    pixels, unit = view.project(places), view.unit_px(places)
    way = np.gradient(pixels, axis=1)
    length = np.maximum(np.hypot(way[..., 0], way[..., 1]), 1e-6)
    across = np.stack([-way[..., 1], way[..., 0]], -1) / length[..., None]
    twist = np.sin(7.0 * ages - 2.3 * now_s)
    wide = (0.008 + 0.017 * np.abs(twist)) * np.minimum(1.0, (RIBBON_S - ages) / 0.12) * unit
    left, right = pixels + across * wide[..., None], pixels - across * wide[..., None]
    outline = np.stack([left[:, :-1], left[:, 1:], right[:, 1:], right[:, :-1]], 2)
    return Strip(places[:, -2::-1, 2], fixed(outline)[:, ::-1], twist[:, -2::-1])
