"""Brush strokes at every orientation: the same seeds, priorities and ids, each stroke turned about its seed.

A pixel takes the entry of its own tangent angle. Where the angle changes slowly, neighbouring pixels see the
same stroke turned a little further, so strokes bend with the field and stay whole. A stroke's id is its
height in the pile, so that who lies above whom can be decided anew between two pixels.
"""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass

import cv2
import numpy as np

from vivant.engines.textures import store
from vivant.engines.textures.store import ORIENTATIONS, UNIT, interleave, source_of, stored, to_u8
from vivant.runtime.frames import F32, U8

UNCOVERED = 127 / 64  # the `across` value of a pixel that no stroke covers: beyond the side of any stroke


@dataclass(frozen=True, slots=True)
class Layer:
    """One size of brush on a periodic tile: half width, half length and seed spacing, in pixels."""

    name: str
    tile_px: int
    spacing_px: float
    half_width_px: float
    half_length_px: float
    seed: int


STROKE = Layer("stroke", 512, 13.5, 9.5, 25.0, 21)
DAB = Layer("dab", 256, 5.57, 4.0, 10.5, 22)
_SUBPIXEL_BITS = 4
_SOURCE = source_of(store.__file__, __file__)


def breadth(hue: F32) -> F32:
    """How much of the layer's half width a stroke has, by its hue: no two brushes are loaded alike."""
    return np.asarray(0.8 + 0.2 * hue, dtype=np.float32)


def _outline(layer: Layer, angle: float, width_px: float) -> F32:
    """The stroke's outline about its seed, (n, 2): across ** 4 + along ** 4 = 1, blunter than an ellipse."""
    t = np.linspace(0, 2 * math.pi, 28, endpoint=False)
    along = layer.half_length_px * np.sign(np.cos(t)) * np.abs(np.cos(t)) ** 0.5
    across = width_px * np.sign(np.sin(t)) * np.abs(np.sin(t)) ** 0.5
    cos, sin = math.cos(angle), math.sin(angle)
    return np.stack([along * cos - across * sin, along * sin + across * cos], axis=1).astype(np.float32)


def _topmost(layer: Layer, seeds: F32, widths_px: F32, angle: float) -> tuple[U8, F32]:
    """Which stroke is seen at each pixel: coverage (T, T) and index (T, T); later seeds lie on top."""
    size, reach = layer.tile_px, math.ceil(math.hypot(layer.half_length_px, layer.half_width_px)) + 1
    index = np.full((size + 2 * reach,) * 2, -1, np.float32)
    for i, seed in enumerate(seeds):
        outline = _outline(layer, angle, float(widths_px[i]))
        for x in {seed[0], seed[0] + size, seed[0] - size}:
            for y in {seed[1], seed[1] + size, seed[1] - size}:
                if -reach < x < size + reach and -reach < y < size + reach:
                    points = np.rint((outline + np.array([x + reach, y + reach])) * 2**_SUBPIXEL_BITS).astype(
                        np.int32
                    )
                    cv2.fillConvexPoly(index, points, float(i), cv2.LINE_8, _SUBPIXEL_BITS)
    inner = index[reach:-reach, reach:-reach]
    return (inner >= 0).astype(np.uint8), inner


def _entry(layer: Layer, seeds: F32, ids: F32, angle: float) -> U8:
    """The planes (4, T, T) of one orientation; `ids` is (n, 2)."""
    widths_px = layer.half_width_px * breadth(ids[:, 1])
    covered, index = _topmost(layer, seeds, widths_px, angle)
    which = np.maximum(index, 0).astype(np.int64)
    y, x = np.mgrid[0 : layer.tile_px, 0 : layer.tile_px].astype(np.float32)
    half = layer.tile_px / 2
    dx = (x - seeds[which, 0] + half) % layer.tile_px - half
    dy = (y - seeds[which, 1] + half) % layer.tile_px - half
    cos, sin = math.cos(angle), math.sin(angle)
    across = np.clip((dy * cos - dx * sin) / widths_px[which], -1, 1)
    along = np.clip((dx * cos + dy * sin) / layer.half_length_px, -1, 1)
    seen = covered > 0
    own = [np.where(seen, ids[which, i], 0) for i in range(2)]
    return to_u8(np.stack([np.where(seen, across, UNCOVERED), np.where(seen, along, 0), *own]))


def _entries(layer: Layer) -> list[U8]:
    """One tile (4, T, T) for each orientation, and the first again as seen after half a turn."""
    rng = np.random.default_rng(layer.seed)
    n = round(layer.tile_px / layer.spacing_px)
    cells = np.stack(np.meshgrid(np.arange(n), np.arange(n)), axis=-1).reshape(-1, 2)
    jitter = rng.uniform(-0.5, 0.5, cells.shape)
    seeds = ((cells + 0.5 + jitter) * (layer.tile_px / n)).astype(np.float32) % layer.tile_px
    seeds = rng.permutation(seeds)
    pile = np.linspace(-1, 1, len(seeds))
    ids = np.stack([pile, rng.uniform(-1, 1, len(seeds))], axis=1).astype(np.float32)
    ids = (np.rint(ids * UNIT) / UNIT).astype(np.float32)  # what the planes can say
    angles = [math.pi * k / ORIENTATIONS for k in range(ORIENTATIONS)]
    entries = [_entry(layer, seeds, ids, angle) for angle in angles]
    return [*entries, _half_turn(entries[0])]


def _half_turn(entry: U8) -> U8:
    """The same strokes named by the opposite direction: across and along change sign."""
    turned = entry.copy()
    turned[:2] = np.clip(256 - turned[:2].astype(np.int16), 0, 255)
    return turned


def _both() -> U8:
    again = STROKE.tile_px // DAB.tile_px
    pairs = zip(_entries(STROKE), _entries(DAB), strict=True)
    return interleave([np.concatenate([broad, np.tile(fine, (1, again, again))]) for broad, fine in pairs])


@functools.cache
def stroke_bank() -> U8:
    """u8 (T/2, K + 1, T/2, 32): stroke across, along (in [-1, 1] over the stroke), id (its height in the
    pile) and hue in [-1, 1]; then the dab's."""
    return stored("strokes", _SOURCE, _both)
