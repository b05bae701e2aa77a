"""Oil: broad strokes, then dabs where there is detail (Hertzmann, "Painterly Rendering with Curved Brush
Strokes of Multiple Sizes", 1998), lit as relief (Hertzmann, "Fast Paint Texture", 2002)."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from vivant.distill.teachers.optics import (
    blur,
    enrich,
    grid,
    light,
    luma,
    read,
    rgb,
    sample,
    smoothstep,
    tangent,
)
from vivant.engines.strokebank import DAB, STROKE, Layer
from vivant.runtime.frames import F32, U8

GROUND = rgb(0.42, 0.27, 0.17)  # burnt sienna, seen where no stroke lies


def paint(structure: F32, planes: U8, seed: int) -> F32:
    """A picture f32 (H, W, 3). `seed` is not used: all that is random is in the planes."""
    plane = read(planes)
    bristle = plane["dry"]
    broad, fine = blur(structure, 4.0), blur(structure, 1.2)
    detail = blur(np.abs(blur(luma(structure), 0.8) - luma(broad)), 1.6)
    canvas = 0.45 * GROUND + 0.45 * blur(structure, 8.0)
    height = 0.08 * bristle
    colour, cover, body = _layer(plane, STROKE, enrich(broad, 1.6, 1.12), np.ones_like(detail), 0.075)
    canvas = canvas * (1 - cover[..., None]) + colour * cover[..., None]
    height = height * (1 - cover) + body * cover
    kept = smoothstep(0.018, 0.032, detail)
    colour, cover, body = _layer(plane, DAB, enrich(fine + 0.45 * (fine - broad), 1.55, 1.15), kept, 0.05)
    canvas = canvas * (1 - cover[..., None]) + colour * cover[..., None]
    height = height * (1 - cover) + (0.35 + 0.6 * body) * cover
    canvas = blur(canvas, 0.55) * (1 + 0.07 * bristle[..., None])
    shade = light(blur(height, 0.7), 3.4)
    lit = canvas * (1 + 0.30 * shade[..., None]) + 0.09 * np.maximum(shade, 0)[..., None] ** 2
    return np.asarray(np.clip(lit, 0, 1), dtype=np.float32)


def _layer(
    plane: Mapping[str, F32], layer: Layer, colours: F32, kept: F32, tone: float
) -> tuple[F32, F32, F32]:
    """One layer's colour, cover in [0, 1] and height: all of a stroke is decided at its seed."""
    across, lengthwise = plane[f"{layer.name}_across"], plane[f"{layer.name}_along"]
    name, bristle = plane[f"{layer.name}_id"], plane["dry"]
    tx, ty = tangent(plane)
    x, y = grid(across.shape)
    u, v = lengthwise * layer.half_length_px, across * layer.half_width_px
    seed_x, seed_y = x - u * tx + v * ty, y - u * ty - v * tx
    colour = sample(colours, seed_x, seed_y) + tone * name[..., None]
    # the pigment wanders with the id: warm or cool, and green or rose at either end
    colour = colour + 0.035 * name[..., None] * rgb(1.0, -0.1, -1.0)
    colour = colour + 0.03 * (np.abs(name) - 0.5)[..., None] * rgb(-0.8, 1.0, -0.6)
    covered = (across < 1.2).astype(np.float32)
    frayed = 1 - np.abs(lengthwise) + 0.35 * bristle
    cover = covered * smoothstep(-0.12, 0.02, frayed) * sample(kept, seed_x, seed_y)
    side = np.minimum(np.abs(across), 1)
    body = np.sqrt(1 - 0.9 * side**2) + 0.25 * np.exp(-(((side - 0.75) / 0.15) ** 2))
    body = 0.8 * body + 0.30 * name + 0.22 * bristle
    return colour, cover, np.asarray(body, dtype=np.float32)
