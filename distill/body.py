"""A drawn person's shape: a head of ellipsoids on a body of capsules. Half a head's height is the unit.

The head's middle is the origin, its chin at y = -1, the shoulders at -2, the feet at -14; the body faces +z.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

import numpy as np

from vivant.distill.solids import capsules, carved, ellipsoid, melted, turned
from vivant.runtime.frames import F32

HAIRCUTS: Final = ("short", "long", "bob", "bun", "curls", "bald", "scarf", "cap")
HAIRCUT_SHARES: Final = (0.30, 0.20, 0.12, 0.10, 0.09, 0.07, 0.06, 0.06)
BOUND, MARGIN = 1.6, 0.4  # a ball that every head lies in; outside it and this far away no one looks closely
Part = Literal["top", "legs", "skin", "shoes"]


@dataclass(frozen=True, slots=True)
class Head:
    """How a head is formed and held. Angles in radians; `jaw`, `nose`, `lips` near 1."""

    yaw: float
    pitch: float
    roll: float
    haircut: str
    jaw: float
    nose: float
    lips: float

    def skin(self, q: F32) -> F32:
        """Distances (n,) of points (n, 3) in the head's own frame to its flesh."""
        jaw = self.jaw
        d = ellipsoid(q, (0, 0.32, -0.12), (0.74, 0.72, 0.86))
        d = melted(d, ellipsoid(q, (0, -0.26, 0.10), (0.57 * jaw, 0.74, 0.66)), 0.25)
        q1 = np.abs(q[:, :1])
        m = np.concatenate([q1, q[:, 1:]], 1)  # both sides at once
        d = melted(d, ellipsoid(m, (0.40, -0.14, 0.42), (0.19, 0.16, 0.20)), 0.20)
        d = melted(d, ellipsoid(m, (0.24, 0.24, 0.62), (0.26, 0.08, 0.12)), 0.16)
        d = carved(d, ellipsoid(m, (0.29, 0.06, 0.86), (0.18, 0.11, 0.20)), 0.14)
        d = melted(d, ellipsoid(m, (0.285, 0.06, 0.55), (0.155, 0.155, 0.155)), 0.03)
        d = melted(d, ellipsoid(q, (0, -0.85, 0.42), (0.22 * jaw, 0.15, 0.17)), 0.22)
        d = melted(d, _nose(q, m, self.nose), 0.10)
        d = melted(d, ellipsoid(q, (0, -0.535, 0.665), (0.20, 0.05 * self.lips, 0.09)), 0.07)
        d = melted(d, ellipsoid(q, (0, -0.63, 0.65), (0.17, 0.06 * self.lips, 0.09)), 0.07)
        ear = carved(
            ellipsoid(m, (0.72, 0.0, -0.10), (0.09, 0.21, 0.14)),
            ellipsoid(m, (0.79, 0.02, -0.04), (0.06, 0.11, 0.07)),
            0.04,
        )
        return melted(d, ear, 0.05)

    def hair(self, q: F32) -> F32:
        """Distances (n,) to the hair, or to what covers it."""
        if self.haircut == "bald":
            return np.full(len(q), 9.0, np.float32)
        m = np.concatenate([np.abs(q[:, :1]), q[:, 1:]], 1)
        brow = ellipsoid(q, (0.06, -0.34, 1.0), (0.60, 0.98, 0.80))
        if self.haircut == "curls":
            wave = 0.035 * np.sin(13 * q[:, 0]) * np.sin(13 * q[:, 1] + 1) * np.sin(13 * q[:, 2])
            ball = carved(ellipsoid(q, (0, 0.40, -0.24), (1.06, 0.98, 1.0)), brow, 0.12)
            return np.asarray(ball + wave, dtype=np.float32)
        if self.haircut == "cap":
            crown = carved(ellipsoid(q, (0, 0.36, -0.14), (0.82, 0.80, 0.95)), q[:, 1] - 0.28, 0.05)
            return melted(crown, ellipsoid(q, (0, 0.36, 0.72), (0.52, 0.06, 0.52)), 0.08)
        d = ellipsoid(q, (0, 0.36, -0.17), (0.81, 0.80, 0.92))
        if self.haircut in ("long", "scarf"):
            d = melted(d, ellipsoid(m, (0.52, -0.85, -0.28), (0.34, 1.15, 0.42)), 0.3)
        if self.haircut == "scarf":
            d = melted(d, ellipsoid(q, (0, -1.35, 0.0), (0.62, 0.55, 0.66)), 0.3)
        if self.haircut == "bob":
            d = melted(d, ellipsoid(m, (0.50, -0.30, -0.22), (0.36, 0.62, 0.52)), 0.25)
        if self.haircut == "bun":
            d = melted(d, ellipsoid(q, (0, 1.02, -0.62), (0.34, 0.32, 0.34)), 0.1)
        return carved(d, brow, 0.08)

    def distance(self, p: F32) -> F32:
        """Distances (n,) of points (n, 3) to flesh and hair; far away only a bound of it."""
        d = np.asarray(np.sqrt((p * p).sum(-1)) - BOUND, dtype=np.float32)
        near = np.flatnonzero(d < MARGIN)
        q = self.own(p[near])
        d[near] = np.minimum(self.skin(q), self.hair(q))
        return d

    def own(self, p: F32) -> F32:
        """Points (n, 3) in the head's own frame."""
        return turned(p, self.yaw, self.pitch, self.roll)


def _nose(q: F32, m: F32, size: float) -> F32:
    bridge = capsules(
        q,
        np.array([[0, 0.14, 0.66]], np.float32),
        np.array([[0, -0.26, 0.80 + 0.06 * size]], np.float32),
        np.array([0.06], np.float32),
        np.array([0.105 * size], np.float32),
    )[:, 0]
    return melted(bridge, ellipsoid(m, (0.105 * size, -0.30, 0.76), (0.075, 0.07, 0.10)), 0.08)


@dataclass(frozen=True, slots=True)
class Body:
    """A pose as capsules (m): between `starts` and `ends` (m, 3), radii (m,); of which part each is."""

    starts: F32
    ends: F32
    start_r: F32
    end_r: F32
    parts: tuple[Part, ...]

    def distances(self, p: F32) -> F32:
        """(n, m)"""
        return capsules(p, self.starts, self.ends, self.start_r, self.end_r)

    def above(self, bottom: float) -> Body:
        """Without what lies wholly below `bottom`, so that a portrait does not pay for legs."""
        top = np.maximum(self.starts[:, 1] + self.start_r, self.ends[:, 1] + self.end_r)
        keep = np.flatnonzero(top > bottom - 0.2)
        return Body(
            self.starts[keep],
            self.ends[keep],
            self.start_r[keep],
            self.end_r[keep],
            tuple(self.parts[i] for i in keep),
        )


def body(rng: np.random.Generator, yaw: float, walking: bool, bare_arms: bool, skirt: bool) -> Body:
    """Somebody who stands or walks, turned by `yaw`."""
    wide = rng.uniform(0.85, 1.15)
    rows: list[tuple[tuple[float, ...], tuple[float, ...], float, float, Part]] = [
        ((0, -0.7, -0.18), (0, -1.6, -0.35), 0.38, 0.44, "skin"),
        ((-0.62 * wide, -2.55, -0.3), (0.62 * wide, -2.55, -0.3), 0.66, 0.66, "top"),
        ((0, -2.9, -0.3), (0, -5.7, -0.3), 1.0 * wide, 0.88 * wide, "top"),
        ((-0.45 * wide, -6.2, -0.3), (0.45 * wide, -6.2, -0.3), 0.78, 0.78, "legs"),
    ]
    stride = rng.uniform(0.15, 0.6) if walking else rng.uniform(-0.06, 0.06)
    stride *= 0.6 if skirt else 1.0
    raised = rng.random() < 0.3
    for side in (-1.0, 1.0):
        rows.append(((side * 0.2, -1.45, -0.38), (side * 1.15 * wide, -1.95, -0.35), 0.28, 0.44, "top"))
        out = rng.uniform(0.08, 0.3)
        swing = stride * side * -1.1 + rng.normal(0, 0.05)
        if raised and side > 0:
            out, swing = rng.uniform(0.9, 2.6), rng.uniform(0.0, 0.7)
        rows += _arm(side, wide, out, swing, rng.uniform(0.1, 1.2), bare_arms)
        rows += _leg(side, stride * side, walking, skirt)
    if skirt:
        rows.append(((0, -5.6, -0.3), (0, -8.8, -0.3), 0.85, rng.uniform(1.2, 1.8), "legs"))
    cos, sin = np.cos(yaw), np.sin(yaw)
    turn = np.array([[cos, 0, -sin], [0, 1, 0], [sin, 0, cos]])  # row vectors: +z goes to the right
    starts, ends, start_r, end_r, parts = zip(*rows, strict=True)
    return Body(
        (np.array(starts) @ turn.T * [-1, 1, 1] * [-1, 1, 1]).astype(np.float32),
        (np.array(ends) @ turn.T * [-1, 1, 1] * [-1, 1, 1]).astype(np.float32),
        np.array(start_r, np.float32),
        np.array(end_r, np.float32),
        parts,
    )


def _arm(
    side: float, wide: float, out: float, swing: float, bend: float, bare: bool
) -> list[tuple[tuple[float, ...], tuple[float, ...], float, float, Part]]:
    shoulder = np.array([side * 1.3 * wide, -2.1, -0.3])
    upper = np.array([side * np.sin(out), -np.cos(out) * np.cos(swing), np.sin(swing)])
    elbow = shoulder + 2.3 * upper
    lower = upper + np.array([-0.35 * side * np.sin(out), 0.25 * bend * np.sin(out), 0.8 * bend])
    lower /= np.linalg.norm(lower)
    wrist, tip = elbow + 2.0 * lower, elbow + 2.75 * lower
    sleeve: Part = "skin" if bare else "top"
    return [
        (tuple(shoulder), tuple(elbow), 0.45, 0.34, "top"),
        (tuple(elbow), tuple(wrist), 0.33, 0.23, sleeve),
        (tuple(wrist), tuple(tip), 0.22, 0.15, "skin"),
    ]


def _leg(
    side: float, stride: float, walking: bool, bare: bool
) -> list[tuple[tuple[float, ...], tuple[float, ...], float, float, Part]]:
    hip = np.array([side * 0.5, -6.4, -0.3])
    knee = hip + 3.6 * np.array([0.03 * side, -np.cos(stride), np.sin(stride)])
    lag = stride - (abs(stride) + 0.15 if walking and stride < 0 else 0.05)
    ankle = knee + 3.5 * np.array([0.0, -np.cos(lag), np.sin(lag)])
    toe = ankle + np.array([0.1 * side, -0.25, 0.85])
    cloth: Part = "skin" if bare else "legs"
    return [
        (tuple(hip), tuple(knee), 0.55 if bare else 0.72, 0.46, cloth),
        (tuple(knee), tuple(ankle), 0.48, 0.30, cloth),
        (tuple(ankle), tuple(toe), 0.30, 0.20, "shoes"),
    ]
