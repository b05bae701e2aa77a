"""Marbling: ebru, whose floating bands of ink stream round the picture's forms, as on an endpaper.

Lu, Jaffer, Jin, Zhao, Mao 2012, "Mathematical Marbling", made the bath (vivant.engines.textures.ebru). Here
it is drawn on: each pixel is followed back along the curl of the picture's light, a flow that keeps areas as
ink does (Acar and Boldridge 2006), and light adds layers, so that bands lie round forms like contour lines.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import cv2
import numpy as np
from numpy.typing import NDArray

from vivant.distill.teachers import optics
from vivant.distill.teachers.optics import blur, rgb, smoothstep
from vivant.engines.textures.ebru import CYCLE
from vivant.runtime.frames import F32

_STEPS = 12
_REACH_PX = 6.0
_LAYERS = 3.5  # bands that the whole range of light adds
_LEVELS = (0.26, 0.47, 0.70)  # light from which the next paler mixture of an ink is dropped
_INKS = (
    ("0a1038", "27479c", "7fa8d6", "bdd8e8"),  # indigo
    ("1c1210", "7a5a48", "dcc294", "fff6e2"),  # bone
    ("410812", "b0232a", "ee8567", "f6cdb6"),  # oxblood
    ("2d190a", "a55f14", "e8ad3e", "f8dd96"),  # ochre
    ("04302b", "10695a", "6fb795", "c3e0c4"),  # viridian
)


def paint(structure: F32, plane: Mapping[str, F32], seed: int) -> F32:
    tone = _tone(structure)
    names = ("field_a", "field_b", "field_c", "field_d")
    x, y = _carried(optics.finer(blur(tone, 5.0)))
    bath = {name: optics.sample(optics.finer(plane[name]), x, y) for name in names}
    picture = _inked(optics.finer(structure), optics.finer(tone), bath)
    paper = 1 + 0.035 * plane["paper"] - 0.02
    made = optics.coarser(picture) * paper[..., None]
    return np.asarray(np.clip(made, 0, 1), dtype=np.float32)


def _tone(structure: F32) -> F32:
    luma = blur(optics.luma(structure), 1.0)
    broad = blur(luma, 24.0)
    return np.asarray(np.clip(0.5 + 1.45 * (luma - broad) + 0.95 * (broad - 0.5), 0, 1), dtype=np.float32)


def _carried(light: F32) -> tuple[F32, F32]:
    """Where each pixel's ink was (x, y) before the light's curl drew it along, at twice the resolution."""
    gx = cv2.Sobel(light, cv2.CV_32F, 1, 0, scale=1 / 8)
    gy = cv2.Sobel(light, cv2.CV_32F, 0, 1, scale=1 / 8)
    size = np.sqrt(gx * gx + gy * gy)
    pace = 2 * _REACH_PX / _STEPS / (size + 0.012)
    vx, vy = gy * pace, -gx * pace
    x, y = optics.grid(light.shape)
    for _ in range(_STEPS):
        x, y = x - optics.sample(vx, x, y), y - optics.sample(vy, x, y)
    return x, y


def _inked(structure: F32, tone: F32, bath: Mapping[str, F32]) -> F32:
    """The inks where they lie (H, W, 3): one colour a band, clear lines between."""
    layer = np.arctan2(bath["field_b"], bath["field_a"]) * (CYCLE / (2 * math.pi))
    layer = layer + _LAYERS * (blur(tone, 8.0) - 0.5)
    near = np.rint(layer)
    edge = 0.5 - np.abs(layer - near)  # to the band's side, in bands
    cos, sin = np.cos(2 * math.pi * layer), np.sin(2 * math.pi * layer)
    slope = np.hypot(_slope(cos), _slope(sin)) / (2 * math.pi) + 1e-4
    line = (1 - smoothstep(0.7, 2.0, edge / slope)) * smoothstep(0.22, 0.12, slope)
    depth = blur(tone, 2.0) + 0.05 * bath["field_c"]
    band = np.mod(near, CYCLE).astype(np.int64)
    ink = _mixed(depth, band)
    seen = blur(structure, 8.0)
    ink = ink + 0.3 * (seen - optics.luma(seen)[..., None])
    pooled = smoothstep(0.5, 0.0, edge) * 0.10
    ink = ink * (1 - pooled)[..., None]
    clear = rgb(1.0, 0.95, 0.84) * (0.62 + 0.38 * smoothstep(0.1, 0.6, depth))[..., None]
    return np.asarray(ink + 0.9 * line[..., None] * (clear - ink), dtype=np.float32)


def _mixed(depth: F32, band: NDArray[np.int64]) -> F32:
    """The colour (H, W, 3) of each band's ink, in flat steps of light."""
    table = np.array(
        [[[int(name[i : i + 2], 16) / 255 for i in (0, 2, 4)] for name in ink] for ink in _INKS], np.float32
    )
    ink = table[band, 0]
    for level, at in enumerate(_LEVELS):
        share = smoothstep(at - 0.035, at + 0.035, depth)[..., None]
        ink = ink + share * (table[band, level + 1] - ink)
    return np.asarray(ink, dtype=np.float32)


def _slope(image: F32) -> F32:
    gx = cv2.Sobel(image, cv2.CV_32F, 1, 0, scale=1 / 8)
    gy = cv2.Sobel(image, cv2.CV_32F, 0, 1, scale=1 / 8)
    return np.sqrt(gx * gx + gy * gy)
