"""Oil: strokes laid broad to fine, each layer on what the last one missed (Hertzmann, "Painterly Rendering
with Curved Brush Strokes of Multiple Sizes", 1998), their relief lit as thick paint (Hertzmann, "Fast Paint
Texture", 2002). Painted at twice the size, so that the borders of strokes are clean."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import cv2
import numpy as np

from vivant.distill.teachers.optics import (
    along,
    blur,
    coarser,
    finer,
    grid,
    luma,
    rgb,
    sample,
    smoothstep,
    tangent,
)
from vivant.engines.textures.strokes import DAB, STROKE, Layer, breadth
from vivant.runtime.frames import F32

GROUND = rgb(0.50, 0.27, 0.15)  # burnt sienna imprimatura, seen between the strokes
SHADOW = rgb(-0.030, -0.020, 0.060)  # ultramarine into the darks
LIGHT = rgb(0.030, 0.012, -0.036)  # lead white warmed with ochre
LAMP = np.array([-0.52, -0.56, 0.645], np.float32)  # from the upper left, towards the viewer in z


@dataclass(frozen=True, slots=True)
class Pass:
    """What one layer of strokes brings, at twice the size: colour (2H, 2W, 3), cover and body (2H, 2W)."""

    colour: F32
    cover: F32
    body: F32


def paint(structure: F32, plane: Mapping[str, F32], seed: int) -> F32:
    """A picture f32 (H, W, 3). `seed` is not used: all that is random is in the planes."""
    tx, ty = tangent(plane)
    bristle = along(plane["dry"], tx, ty, 7.0) / 0.28  # to about unit deviation
    broad, fine = _graded(_reference(structure, 4.0, 5.0)), _graded(_drawing(structure))
    blocked = _graded(_reference(structure, 7.0, 7.0))
    bare = 0.14 + 0.26 * (1 - luma(blocked)[..., None])  # the ground glows through the darks
    under = blocked + bare * (GROUND - blocked)
    fibre = finer(bristle)

    everywhere = np.ones(bristle.shape, np.float32)
    first = _pass(plane, STROKE, broad, everywhere, fibre, 0.12)
    canvas = _over(finer(under), first)
    missed = _missed(coarser(canvas), fine)
    second = _pass(plane, DAB, fine, smoothstep(0.035, 0.085, missed), fibre, 0.06)
    canvas = _over(canvas, second)
    fine_tx, fine_ty = tangent({name: finer(plane[name]) for name in ("cos2theta", "sin2theta")})
    canvas = along(canvas, fine_tx, fine_ty, 1.2)  # wet paint is dragged into its neighbours
    accent = _accent(coarser(canvas), structure, plane, bristle)
    canvas = canvas + finer(accent)[..., None]
    height = 0.16 * finer(plane["paper"])
    height = _pile(_pile(height, first, 1.15), second, 0.55)
    height = along(height, fine_tx, fine_ty, 3.0) + 0.9 * finer(np.maximum(accent, 0))
    picture = coarser(_lit(canvas, height))
    return np.asarray(np.clip(picture, 0, 1), dtype=np.float32)


def _accent(canvas: F32, structure: F32, plane: Mapping[str, F32], bristle: F32) -> F32:
    """The last brush, thin, by what is still missed in tone, (H, W): drawn out along the strokes."""
    tx, ty = tangent(plane)
    tone = luma(structure)
    near = blur(tone, 0.9)
    sharp = near + 0.65 * (near - blur(tone, 2.5))
    wanted = luma(_graded(np.repeat(sharp[..., None], 3, axis=-1)))
    rest = along(wanted - blur(luma(canvas), 0.8), tx, ty, 2.0)
    firm = smoothstep(0.03, 0.09, np.abs(rest))
    return np.asarray(rest * firm * (1.0 + 0.25 * bristle), dtype=np.float32)


def _reference(structure: F32, luma_px: float, chroma_px: float) -> F32:
    tone = luma(structure)
    return np.asarray(blur(tone, luma_px)[..., None] + blur(structure - tone[..., None], chroma_px))


def _drawing(structure: F32) -> F32:
    """The reference of the small brushes: its tone sharpened, as a painter looks for the accents."""
    tone = luma(structure)
    near = blur(tone, 1.3)
    accent = near + 0.7 * (near - blur(tone, 3.5))
    return np.asarray(accent[..., None] + blur(structure - tone[..., None], 4.0), dtype=np.float32)


def _graded(colour: F32) -> F32:
    """The palette: lights warm, shadows cool and never black, colour full in the half tones."""
    tone = np.clip(luma(colour), 0, 1)[..., None]
    away = colour - tone
    size = np.abs(away).max(-1, keepdims=True)
    full = away * (1.70 / (1 + 1.3 * size))
    curved = 0.055 + 0.90 * tone + 0.75 * tone * (1 - tone) * (tone - 0.48)
    dark, pale = (1 - tone) ** 2, tone**2
    return np.asarray(np.clip(curved + full + dark * SHADOW + pale * LIGHT, 0, 1), dtype=np.float32)


def _missed(canvas: F32, wanted: F32) -> F32:
    """How far the canvas is from what is wanted, (H, W), averaged over a small brush."""
    return blur(np.abs(luma(canvas) - luma(wanted)) + 0.3 * np.abs(canvas - wanted).mean(-1), 2.5)


def _pass(plane: Mapping[str, F32], layer: Layer, colours: F32, kept: F32, fibre: F32, spread: float) -> Pass:
    """One layer: all of a stroke is decided at its seed. `spread` is how far its tones lie apart."""
    across, lengthwise = plane[f"{layer.name}_across"], plane[f"{layer.name}_along"]
    name, hue = plane[f"{layer.name}_id"], plane[f"{layer.name}_hue"]
    tx, ty = tangent(plane)
    width = layer.half_width_px * breadth(hue)
    x, y = grid(across.shape)
    u, v = lengthwise * layer.half_length_px, across * width
    seed_x, seed_y = x - u * tx + v * ty, y - u * ty - v * tx
    colour = _mixed(sample(colours, seed_x, seed_y), name, hue, spread)
    drawn = sample(kept, seed_x, seed_y)
    cell = np.stack([tx, ty, across, lengthwise, width])
    side, end, owner = _between(cell, name, layer)

    colour, drawn, name, hue = (_owned(a, owner) for a in (colour, drawn, name, hue))
    inside = 1 - _fourth(side) - _fourth(end)
    frayed = inside + 0.22 * fibre * np.abs(end) + 0.05 * fibre
    cover = smoothstep(0.0, 0.10, frayed) * (inside > -0.4) * drawn
    rim = np.exp(-(((np.abs(side) - 0.80) / 0.16) ** 2))
    ridged = 0.035 + 0.10 * _fourth(end) + 0.05 * np.maximum(-hue, 0)  # a brush runs dry towards its ends
    body = 0.50 * np.sqrt(np.clip(1 - 0.9 * side**2, 0, 1)) + 0.34 * rim + 0.30 * name + ridged * fibre
    body = body * (1 - 0.35 * end**2)
    return Pass(colour, np.asarray(cover, np.float32), np.asarray(body, np.float32))


def _mixed(colour: F32, name: F32, hue: F32, spread: float) -> F32:
    """Every stroke its own mixture: what lies on top is lighter, pigments wander warm and cool."""
    tone = np.clip(luma(colour), 0, 1)
    room = (4 * tone * (1 - tone) + 0.25)[..., None]
    warm = hue[..., None] * rgb(0.55, 0.02, -0.60) + (np.abs(hue) - 0.5)[..., None] * rgb(-0.35, 0.40, -0.1)
    return np.asarray(colour + spread * room * (0.8 * name[..., None] + 0.75 * warm), dtype=np.float32)


def _between(cell: F32, name: F32, layer: Layer) -> tuple[F32, F32, F32]:
    """Across, along and owner (2H, 2W) at twice the size: of the strokes seen at the four pixels around a
    point, the highest in the pile that reaches it. The owner is the flat index of the pixel that saw it."""
    height, width = name.shape
    pad = np.pad(cell, ((0, 0), (1, 1), (1, 1)), mode="edge")
    pad_name = np.pad(name, 1, mode="edge")
    index = np.pad(np.arange(height * width, dtype=np.float32).reshape(height, width), 1, mode="edge")
    found = np.full((3, height, 2, width, 2), 2.0, np.float32)
    found[2] = index[1:-1, None, 1:-1, None]
    for i in (0, 1):
        for j in (0, 1):
            best = np.full((height, width), -9.0, np.float32)
            for di in (0, 2 * i - 1):
                for dj in (0, 2 * j - 1):
                    part = slice(1 + di, height + 1 + di), slice(1 + dj, width + 1 + dj)
                    tx, ty, across, lengthwise, half = pad[:, *part]
                    dx, dy = (j - 0.5) / 2 - dj, (i - 0.5) / 2 - di
                    side: F32 = across + (dy * tx - dx * ty) / half
                    end: F32 = lengthwise + (dx * tx + dy * ty) / layer.half_length_px
                    above = (_fourth(side) + _fourth(end) < 1.0) & (pad_name[part] > best)
                    best = np.where(above, pad_name[part], best)
                    for c, value in enumerate((side, end, index[part])):
                        np.copyto(found[c, :, i, :, j], value, where=above)
    whole = found.reshape(3, 2 * height, 2 * width)
    return whole[0], whole[1], whole[2]


def _fourth(x: F32) -> F32:
    square = x * x
    return np.asarray(square * square)


def _owned(image: F32, owner: F32) -> F32:
    flat = image.reshape(-1, *image.shape[2:])
    return np.asarray(flat[owner.astype(np.int64)])


def _over(canvas: F32, new: Pass) -> F32:
    return np.asarray(canvas + (new.colour - canvas) * new.cover[..., None])


def _pile(height: F32, new: Pass, thickness: float) -> F32:
    """Paint fills the valleys below it before it stands up."""
    return np.asarray(height + (thickness * new.body + 0.3 * height - height) * new.cover, dtype=np.float32)


def _lit(canvas: F32, height: F32) -> F32:
    """Diffuse light, shade in the furrows and the gloss of linseed oil (Blinn, Phong)."""
    relief = 4.0 * blur(height, 0.9)
    gx = cv2.Sobel(relief, cv2.CV_32F, 1, 0, scale=1 / 8)
    gy = cv2.Sobel(relief, cv2.CV_32F, 0, 1, scale=1 / 8)
    size = np.sqrt(gx * gx + gy * gy + 1)
    facing = (-gx * LAMP[0] - gy * LAMP[1] + LAMP[2]) / size
    half = LAMP + rgb(0, 0, 1)
    half = half / np.linalg.norm(half)
    gloss = np.clip((-gx * half[0] - gy * half[1] + half[2]) / size, 0, 1) ** 26
    flat = float(half[2] ** 26)
    furrow = np.clip(blur(relief, 3.0) - relief, 0, 1)
    shade = 1 + 0.62 * (facing - LAMP[2]) - 0.22 * furrow
    lit = canvas * shade[..., None] + 0.20 * (gloss - flat)[..., None].clip(0) * rgb(1.0, 0.98, 0.94)
    return np.asarray(np.clip(lit, 0, 1), dtype=np.float32)
