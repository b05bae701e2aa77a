"""What the drawn media share: an edge tangent flow, lines found along it, hatching drawn out along the form.

Maps are f32 (H, W). What is drawn at a point hangs on what lies within some forty pixels of it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import cv2
import numpy as np

from vivant.distill.teachers.optics import blur, grid, sample, tangent
from vivant.runtime.frames import F32

CROSSING = math.pi * 10 / 32  # the second hatch from the first (vivant.engines.textures.hatch)


@dataclass(frozen=True, slots=True)
class Streams:
    """The stream line through every pixel of a tangent field `tx`, `ty`: the positions x, y that it reaches
    after whole steps of a pixel, to both sides in turn (`steps[i]` is i // 2 + 1 pixels away)."""

    tx: F32
    ty: F32
    steps: tuple[tuple[F32, F32], ...]

    def mean(self, image: F32, sigma_px: float) -> F32:
        """Gaussian mean along the lines: line integral convolution (Cabral, Leedom 1993)."""
        total, weight = image.copy(), 1.0
        for i, (x, y) in enumerate(self.steps[: 2 * math.ceil(2.4 * sigma_px)]):
            share = math.exp(-0.5 * ((i // 2 + 1) / sigma_px) ** 2)
            total += share * sample(image, x, y)
            weight += share
        return np.asarray(total / weight, dtype=np.float32)


def streams(tx: F32, ty: F32, reach_px: int) -> Streams:
    """Stream lines of a unit tangent field (its sign does not matter), `reach_px` long to each side."""
    x0, y0 = grid(tx.shape)
    sides: list[list[tuple[F32, F32]]] = []
    for side in (1.0, -1.0):
        x, y, px, py = x0, y0, tx * side, ty * side
        found = []
        for _ in range(reach_px):
            x, y = x + px, y + py
            qx, qy = sample(tx, x, y), sample(ty, x, y)
            same = np.where(qx * px + qy * py < 0, -1, 1).astype(np.float32)
            same /= np.sqrt(qx * qx + qy * qy) + 1e-5
            px, py = qx * same, qy * same
            found.append((x, y))
        sides.append(found)
    return Streams(tx, ty, tuple(p for pair in zip(*sides, strict=True) for p in pair))


def edge_flow(tone: F32, tx: F32, ty: F32, rounds: int = 3, radius_px: int = 4) -> tuple[F32, F32]:
    """The edge tangent flow of `tone` (Kang, Lee, Chui 2007, section 2.1), in separate passes over x and y.

    Each round is a mean of the neighbours' tangents, weighted by how much stronger their edge is and how
    well they agree. Where there is no edge it leans on the tangent x, y given.
    """
    gx = cv2.Sobel(tone, cv2.CV_32F, 1, 0, scale=1 / 8, borderType=cv2.BORDER_REFLECT)
    gy = cv2.Sobel(tone, cv2.CV_32F, 0, 1, scale=1 / 8, borderType=cv2.BORDER_REFLECT)
    size = cv2.magnitude(gx, gy)
    strength = np.sqrt(size / (size + 0.03))
    ux, uy = -gy / (size + 1e-6), gx / (size + 1e-6)
    side = np.where(ux * tx + uy * ty < 0, -1, 1).astype(np.float32)
    faith = size / (size + 0.008)
    ux, uy = _unit(ux * side * faith + tx * (1 - faith), uy * side * faith + ty * (1 - faith))
    for _ in range(rounds):
        for horizontal in (True, False):
            sx, sy = np.zeros_like(ux), np.zeros_like(uy)
            for d in range(-radius_px, radius_px + 1):
                vx, vy, near = (_shifted(m, d, horizontal) for m in (ux, uy, strength))
                agree = ux * vx + uy * vy
                weight = agree * (1 + near - strength)  # its sign turns a contrary neighbour about
                sx += weight * vx
                sy += weight * vy
            ux, uy = _unit(sx, sy)
    return ux, uy


def _unit(x: F32, y: F32) -> tuple[F32, F32]:
    length = np.asarray(np.sqrt(x * x + y * y) + 1e-9, dtype=np.float32)
    return x / length, y / length


def _shifted(image: F32, d: int, horizontal: bool) -> F32:
    pad = ((0, 0), (abs(d), abs(d))) if horizontal else ((abs(d), abs(d)), (0, 0))
    wide = np.pad(image, pad, mode="edge")
    start = abs(d) + d
    height, width = image.shape
    return np.asarray(
        wide[:, start : start + width] if horizontal else wide[start : start + height], dtype=np.float32
    )


def sharpened(tone: F32, flow: Streams, width_px: float, length_px: float, amount: float) -> F32:
    """The extended difference of Gaussians along the flow (Winnemoeller, Kyprianidis, Olsen 2012): the tone,
    with `amount` times the difference across the edges added. Below its threshold lies ink."""
    x, y = grid(tone.shape)
    reach = math.ceil(2.4 * 1.6 * width_px)
    narrow, wide, narrow_sum, wide_sum = np.zeros_like(tone), np.zeros_like(tone), 0.0, 0.0
    for d in range(-reach, reach + 1):
        there = sample(tone, x - flow.ty * d, y + flow.tx * d)
        g, w = math.exp(-0.5 * (d / width_px) ** 2), math.exp(-0.5 * (d / (1.6 * width_px)) ** 2)
        narrow, wide, narrow_sum, wide_sum = (
            narrow + g * there,
            wide + w * there,
            narrow_sum + g,
            wide_sum + w,
        )
    narrow, wide = narrow / narrow_sum, wide / wide_sum
    return flow.mean(narrow + amount * (narrow - wide), length_px)


def drawn_lines(
    tone: F32, flow: Streams, width_px: float, length_px: float, rounds: int = 2, faint: float = 0.012
) -> F32:
    """Flow-based difference of Gaussians, repeated upon the tone with its own lines drawn in, so that broken
    lines join (Kang, Lee, Chui 2007). About 0 where there is nothing, 0.5 on a faint line, 1 on a clear one;
    smooth, to be enlarged before it is cut."""
    drawn, line = tone, np.zeros_like(tone)
    for _ in range(rounds):
        dog = sharpened(drawn, flow, width_px, length_px, 1e3) / 1e3  # all but the difference alone
        line = np.clip(-dog / (2 * faint), -0.5, 1.5)
        drawn = tone * (1 - 0.45 * np.clip(line, 0, 1))
    return np.asarray(line, dtype=np.float32)


def stripes(plane: Mapping[str, F32], name: str) -> F32:
    """The cosine of a hatch's phase: the planes' tanh undone, all lines brought to one height."""
    even, odd = (np.arctanh(np.clip(plane[f"{name}_{part}"], -0.98, 0.98)) for part in ("even", "odd"))
    return np.asarray(even / (cv2.magnitude(even, odd) + 0.15), dtype=np.float32)


def even_stripes(carrier: F32, flow: Streams, length_px: float, rounds: int = 2) -> F32:
    """A carrier of stripes drawn out along the flow and brought back to equal height, again and again: long
    even lines in about [-1, 1], still where the carrier had them."""
    stripes = carrier
    for _ in range(rounds):
        stripes = flow.mean(stripes, length_px)
        height = np.sqrt(2 * blur(stripes * stripes, 3.0)) + 0.08
        stripes = np.clip(stripes / height, -1.3, 1.3)
    return np.asarray(stripes, dtype=np.float32)


def hatching(plane: Mapping[str, F32], length_px: float) -> tuple[F32, F32]:
    """The two hatches as even stripes in about [-1, 1]: along the form, and across it."""
    tx, ty = tangent(plane)
    cos, sin = np.float32(np.cos(CROSSING)), np.float32(np.sin(CROSSING))
    reach = math.ceil(2.4 * length_px)
    first = streams(tx, ty, reach)
    second = streams(tx * cos - ty * sin, tx * sin + ty * cos, reach)
    return (
        even_stripes(stripes(plane, "hatch"), first, length_px),
        even_stripes(stripes(plane, "cross"), second, length_px),
    )
