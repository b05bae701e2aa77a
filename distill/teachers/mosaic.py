"""Mosaic of lit glass tesserae on the canvas's cells, after Hausner, "Simulating Decorative Mosaics" (2001).

The cells are structure-free (the cell planes), so that a moving picture does not make them swim.
"""

from __future__ import annotations

import cv2
import numpy as np

from vivant.distill.teachers.optics import blur, enrich, grid, light, luma, read, rgb, sample, smoothstep
from vivant.engines.tiles import CELL_PX
from vivant.runtime.frames import F32, U8

GROUT = rgb(0.05, 0.03, 0.04)  # over what the grout takes of the colours beside it
GOLD = rgb(0.93, 0.70, 0.24)
LAPIS = rgb(0.0, 0.025, 0.115)  # what the darkest glass keeps


def paint(structure: F32, planes: U8, seed: int) -> F32:
    """A picture f32 (H, W, 3). `seed` is not used: all that is random is in the planes."""
    plane = read(planes)
    edge = (plane["cell_edge"] + 1) * 4
    dx, dy, name, paper = plane["cell_dx"], plane["cell_dy"], plane["cell_id"], plane["paper"]
    x, y = grid(edge.shape)
    smooth = cv2.bilateralFilter(structure, 7, 0.15, 3.0)
    seen = enrich(blur(smooth, 2.2), 1.55, 1.22)
    tile = sample(seen, x - dx * CELL_PX, y - dy * CELL_PX)
    inside = enrich(blur(smooth, 1.3), 1.5, 1.2)  # enough of the drawing stays in each tile to read a face
    tile = 0.66 * tile + 0.34 * inside
    tile = _glass(tile, name)

    lean = dx * np.cos(np.pi * name) + dy * np.sin(np.pi * name)
    bevel = light(smoothstep(0.2, 3.0, blur(edge, 0.6)), 4.6)
    glint = np.exp(-((dx + 0.2) ** 2 + (dy + 0.22) ** 2) / 0.018) * smoothstep(-0.2, 0.9, name)
    shade = (1 + 0.30 * lean) * (1 + 0.26 * bevel) * (1 + 0.05 * paper)
    lit = tile * shade[..., None] + (0.13 * np.maximum(bevel, 0) ** 2 + 0.22 * glint)[..., None]
    grout = (GROUT + 0.42 * inside) * (1 + 0.30 * paper[..., None])
    shown = smoothstep(0.25, 1.15, edge)[..., None]
    return np.asarray(np.clip(lit * shown + grout * (1 - shown), 0, 1), dtype=np.float32)


def _glass(tile: F32, name: F32) -> F32:
    """Each tile's own batch of glass: lighter or darker, warmer or cooler, and gold leaf among the light."""
    tone = luma(tile)
    grey = np.exp(-(((tile.max(-1) - tile.min(-1)) / 0.22) ** 2))
    leaf = smoothstep(0.74, 0.92, name) * smoothstep(0.40, 0.70, tone)
    wander = (0.03 + 0.055 * grey) * name
    shifted = tile * (1 + 0.10 * name[..., None]) + wander[..., None] * rgb(1.0, 0.05, -1.1)
    shifted = shifted + ((1 - tone) ** 3)[..., None] * LAPIS
    gilded = GOLD * (0.45 + 0.75 * tone[..., None])
    mixed = shifted + 0.6 * leaf[..., None] * (gilded - shifted)
    return np.asarray(mixed, dtype=np.float32)
