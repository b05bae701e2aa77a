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

from vivant.distill.teachers import optics
from vivant.distill.teachers.optics import blur, rgb, smoothstep
from vivant.engines.textures.ebru import CYCLE
from vivant.runtime.frames import F32

_STEPS = 12
_REACH_PX = 6.0
_LAYERS = 3.0  # bands that the whole range of light adds
_LEVELS = (0.20, 0.37, 0.57, 0.79)  # light from which the next paler mixture of an ink is dropped
_INKS = (
    ("080d30", "1b3a86", "4673bd", "8fb8dc", "cfe3ec"),  # indigo
    ("17100f", "5a4238", "a4866a", "e0c89c", "fff7e4"),  # bone
    ("3a0610", "8f1524", "d34a3a", "f19a78", "f9d9c4"),  # oxblood
    ("28160a", "7f4812", "c98a22", "efbd5a", "fbe7b0"),  # ochre
    ("032a26", "0d5248", "2f8a72", "83c2a0", "d0e7cd"),  # viridian
)
_INDIGO, _BONE, _OXBLOOD, _OCHRE, _VIRIDIAN = range(CYCLE)


def paint(structure: F32, plane: Mapping[str, F32], seed: int) -> F32:
    tone = _tone(structure, plane)
    names = ("field_a", "field_b", "field_c", "field_d")
    x, y = _carried(optics.finer(blur(tone, 5.0)))
    bath = {name: optics.sample(optics.finer(plane[name]), x, y) for name in names}
    picture = _inked(optics.finer(structure), optics.finer(tone), bath)
    paper = 1 + 0.035 * plane["paper"] - 0.02
    made = optics.coarser(picture) * paper[..., None]
    return np.asarray(np.clip(made, 0, 1), dtype=np.float32)


def _tone(structure: F32, plane: Mapping[str, F32]) -> F32:
    """Light (H, W) with its large contrasts evened and its small ones lifted, dark along dark lines."""
    luma = optics.luma(structure)
    tx, ty = optics.tangent(plane)
    drawn = smoothstep(0.006, 0.04, -optics.lines(blur(luma, 0.6), tx, ty, 1.3, 2.5))
    luma = blur(luma, 1.0)
    broad = blur(luma, 24.0)
    tone = 0.5 + 1.45 * (luma - broad) + 0.92 * (broad - 0.5) - 0.16 * drawn
    return np.asarray(np.clip(tone, 0, 1), dtype=np.float32)


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
    turn = 2 * math.pi
    layer = cv2.phase(bath["field_a"], bath["field_b"]) * (CYCLE / turn) + _LAYERS * (blur(tone, 8.0) - 0.5)
    near = np.rint(layer)
    edge = 0.5 - np.abs(layer - near)  # to the band's side, in bands
    slope = cv2.magnitude(_slope(np.cos(turn * layer)), _slope(np.sin(turn * layer))) / turn + 1e-4
    line = (1 - smoothstep(0.7, 2.0, edge / slope)) * smoothstep(0.22, 0.12, slope)
    depth = blur(tone, 1.6) + 0.045 * bath["field_c"]
    colours = _colours(depth)
    band = np.mod(near, CYCLE).astype(np.int64)[..., None, None]
    ink: F32 = np.take_along_axis(colours, band, axis=2)[..., 0, :]
    spot = 8 * bath["field_d"]  # twice the resolution's pixels within a drop of gall
    pale = 0.6 * smoothstep(-0.5, 0.8, spot)[..., None]
    ink = ink + pale * np.asarray(colours[..., _BONE, :] - ink, dtype=np.float32)
    line = np.maximum(line, 0.7 * smoothstep(1.6, 0.6, np.asarray(np.abs(spot), dtype=np.float32)))
    seen = blur(structure, 8.0)
    ink = ink + 0.38 * (_local(colours, seen) - ink) + 0.2 * (seen - optics.luma(seen)[..., None])
    pooled = smoothstep(0.5, 0.0, edge) * 0.10
    ink = ink * (1 - pooled)[..., None]
    clear = rgb(1.0, 0.95, 0.84) * (0.62 + 0.38 * smoothstep(0.1, 0.6, depth))[..., None]
    return np.asarray(ink + 0.9 * line[..., None] * (clear - ink), dtype=np.float32)


def _colours(depth: F32) -> F32:
    """The colour (H, W, CYCLE, 3) of every ink in flat steps of light."""
    table = np.array(
        [[[int(name[i : i + 2], 16) / 255 for i in (0, 2, 4)] for name in ink] for ink in _INKS], np.float32
    )
    shares = [np.ones_like(depth), *(smoothstep(at - 0.03, at + 0.03, depth) for at in _LEVELS)]
    step = np.diff(table, axis=1, prepend=np.float32(0))
    return np.asarray(np.einsum("lhw,klc->hwkc", np.stack(shares), step, optimize=True), dtype=np.float32)


def _local(colours: F32, seen: F32) -> F32:
    """The inks (H, W, 3) nearest in hue to what is painted, mixed softly."""
    red, green, blue = (seen[..., i] for i in range(3))
    leafy = smoothstep(0.0, 0.12, green - 0.5 * (red + blue))
    airy = smoothstep(0.0, 0.14, blue - 0.5 * (red + green))
    sunny = smoothstep(0.03, 0.22, 0.5 * (red + green) - blue) * (1 - leafy)
    ruddy = smoothstep(0.06, 0.28, red - green)
    share = {_INDIGO: airy, _BONE: 0.25 + 0 * red, _OXBLOOD: ruddy, _OCHRE: sunny, _VIRIDIAN: leafy}
    total = sum(share.values())
    mixed = sum((share[k] / total)[..., None] * colours[:, :, k] for k in range(CYCLE))
    return np.asarray(mixed, dtype=np.float32)


def _slope(image: F32) -> F32:
    gx = cv2.Sobel(image, cv2.CV_32F, 1, 0, scale=1 / 8)
    gy = cv2.Sobel(image, cv2.CV_32F, 0, 1, scale=1 / 8)
    return np.asarray(cv2.magnitude(gx, gy))
