"""Solids that structures are drawn from: distances to smooth bodies, looked at straight on and lit.

Lengths are in the body's own units: x to the viewer's right, y up, z towards the viewer. Points are
f32 (n, 3). Sphere tracing and soft shadows after Hart 1996 and Quilez.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np

from vivant.runtime.frames import F32

Distance = Callable[[F32], F32]
STEPS: Final = 26
SHADOW_STEPS: Final = 7


def ellipsoid(p: F32, middle: tuple[float, float, float], radii: tuple[float, float, float]) -> F32:
    """About the distance from points (n, 3), (n,)."""
    size = np.array(radii, np.float32)
    q2 = ((p - np.array(middle, np.float32)) / size) ** 2
    one, two = np.sqrt(q2 @ np.ones(3, np.float32)), np.sqrt(q2 @ size**-2) + 1e-9
    return np.asarray(one * (one - 1) / two, dtype=np.float32)


def capsules(p: F32, starts: F32, ends: F32, start_r: F32, end_r: F32) -> F32:
    """Distances (n, m) from points (n, 3) to tapered capsules between `starts` and `ends` (m, 3)."""
    way = ends - starts
    long2 = (way * way).sum(-1) + 1e-9
    along = p @ way.T - (starts * way).sum(-1)
    t = np.clip(along / long2, 0, 1)
    away2 = (p * p).sum(-1)[:, None] - 2 * (p @ starts.T) + (starts * starts).sum(-1)
    reach = np.sqrt(np.maximum(away2 + t * (t * long2 - 2 * along), 0))
    return np.asarray(reach - start_r - (end_r - start_r) * t, dtype=np.float32)


def melted(a: F32, b: F32, soft: float) -> F32:
    """The union of two solids, rounded where they meet."""
    h = np.clip(soft - np.abs(a - b), 0, None) / soft
    return np.asarray(np.minimum(a, b) - h * h * soft / 4, dtype=np.float32)


def carved(a: F32, b: F32, soft: float) -> F32:
    """`a` without `b`, rounded."""
    return -melted(-a, b, soft)


def turned(p: F32, yaw: float, pitch: float, roll: float) -> F32:
    """Points seen from a body that is turned by these radians: to the viewer's right, down, clockwise."""
    cy, sy, cp, sp, cr, sr = (f(v) for v in (yaw, pitch, roll) for f in (np.cos, np.sin))
    around_y = np.array([[cy, 0, -sy], [0, 1, 0], [sy, 0, cy]])
    around_x = np.array([[1, 0, 0], [0, cp, sp], [0, -sp, cp]])
    around_z = np.array([[cr, -sr, 0], [sr, cr, 0], [0, 0, 1]])
    return np.asarray(p @ (around_x @ around_y @ around_z).T.astype(np.float32), dtype=np.float32)


@dataclass(frozen=True, slots=True)
class Seen:
    """What is seen of a solid on a picture: `points` and `normals` (H, W, 3), `cover` (H, W) in [0, 1],
    `shadow` and `hollow` (H, W) in [0, 1]: how much of the key light and of the sky's arrives."""

    points: F32
    normals: F32
    cover: F32
    shadow: F32
    hollow: F32


def look(
    distance: Distance,
    box: tuple[float, float, float, float],
    near: float,
    far: float,
    size: tuple[int, int],
    key: F32,
    coarse: int,
) -> Seen:
    """Look along -z at the window `box` (left, bottom, right, top) from z `near` to z `far`, on a picture
    (width, height). Traced on one of `coarse` x `coarse` pixels, enlarged smoothly. `key` (3,) points to the
    key light."""
    left, bottom, right, top = box
    width, height = max(4, size[0] // coarse), max(4, size[1] // coarse)
    x = left + (np.arange(width, dtype=np.float32) + 0.5) * (right - left) / width
    y = top - (np.arange(height, dtype=np.float32) + 0.5) * (top - bottom) / height
    p = np.stack([*np.meshgrid(x, y), np.full((height, width), near, np.float32)], -1).reshape(-1, 3)
    pixel = (right - left) / width
    nearest, at = _march(distance, p, far, 0.2 * pixel)
    hit = np.flatnonzero(nearest < 1.5 * pixel)
    normals = np.zeros_like(at)
    shadow, hollow = np.ones(len(at), np.float32), np.ones(len(at), np.float32)
    normals[..., 2] = 1
    if len(hit):
        found = at[hit]
        normals[hit] = _normals(distance, found, 0.7 * pixel)
        lifted = found + normals[hit] * (2.5 * pixel)
        shadow[hit] = _shadow(distance, lifted, key, (near - far) * 0.6)
        reach = 0.09 * (near - far)
        hollow[hit] = np.clip(0.25 + 0.75 * distance(found + normals[hit] * reach) / reach, 0, 1)

    def enlarged(values: F32, *channels: int) -> F32:
        grid = values.reshape(height, width, *channels)
        if coarse == 1:
            return np.asarray(grid)
        return np.asarray(cv2.resize(grid, size, interpolation=cv2.INTER_LINEAR))

    cover = np.clip(0.5 + (0.6 * pixel - enlarged(nearest)) / (pixel / coarse), 0, 1)
    facing = enlarged(normals, 3)
    facing /= np.linalg.norm(facing, axis=-1, keepdims=True) + 1e-9
    return Seen(enlarged(at, 3), facing, cover.astype(np.float32), enlarged(shadow), enlarged(hollow))


def _march(distance: Distance, p: F32, far: float, close: float) -> tuple[F32, F32]:
    """The least distance (n,) that rays from `p` along -z come to, and where (n, 3)."""
    at = p.copy()
    nearest, where = np.full(len(p), 1e9, np.float32), p.copy()
    going = np.arange(len(p))
    for _ in range(STEPS):
        d = distance(at[going])
        nearer = d < nearest[going]
        nearest[going[nearer]] = d[nearer]
        where[going[nearer]] = at[going[nearer]]
        at[going, 2] -= 0.9 * d
        going = going[(d > close) & (at[going, 2] > far)]
        if not len(going):
            break
    return nearest, where


def _normals(distance: Distance, p: F32, e: float) -> F32:
    """From four points around (Quilez: the tetrahedron technique)."""
    corners = np.array([[1, -1, -1], [-1, -1, 1], [-1, 1, -1], [1, 1, 1]], np.float32)
    n = sum(corner * distance(p + e * corner)[:, None] for corner in corners)
    return np.asarray(n / (np.linalg.norm(n, axis=-1, keepdims=True) + 1e-9), dtype=np.float32)


def _shadow(distance: Distance, p: F32, key: F32, reach: float) -> F32:
    light = np.ones(len(p), np.float32)
    gone = np.float32(reach / SHADOW_STEPS / 3)
    for _ in range(SHADOW_STEPS):
        d = distance(p + key * gone)
        light = np.minimum(light, 0.5 + 4.0 * d / gone)
        gone = gone + np.float32(reach / SHADOW_STEPS)
    return np.asarray(np.clip(light, 0, 1), dtype=np.float32)
