"""Filaments: threads of light, left by a lamp that was led round every form in the dark.

Long exposure as a picture in itself: Wilfred's lumia, McLaren's drawn films. The threads lie along the judged
tangents (line integral convolution, Cabral and Leedom 1993) and are swayed by curl noise that contours hold
off (Bridson, Hourihan, Nordenstam 2007). Contours come from a coherent line drawing (Kang, Lee, Chui 2007).
What is bright shines on its surroundings and burns out as on film.
"""

from __future__ import annotations

from collections.abc import Mapping

import cv2
import numpy as np

from vivant.distill.teachers import optics
from vivant.distill.teachers.optics import blur, rgb, smoothstep
from vivant.runtime.frames import F32

_NIGHT = rgb(0.006, 0.012, 0.040)
_GOLD = rgb(1.0, 0.56, 0.13)
_ROSE = rgb(1.0, 0.16, 0.36)
_CYAN = rgb(0.08, 0.58, 1.0)
_SWAY_PX = 3.0
_GLOW = ((1.2, 0.20), (3.5, 0.20), (10.0, 0.22), (30.0, 0.20))  # sigma in pixels, share


def paint(structure: F32, plane: Mapping[str, F32], seed: int) -> F32:
    luma = optics.luma(structure)
    tx, ty = optics.tangent(plane)
    contour, dark, side = _contours(luma, tx, ty)
    x, y = _swayed(plane)
    strands, weave = (optics.sample(part, x, y) for part in _threads(plane, tx, ty))
    near, body = _energy(luma, contour)
    vivid, sure = _own(structure)
    body = body * (0.6 + 1.1 * sure)
    hue = optics.along(plane["cloud"] + 0.9 * plane["warp_b"], tx, ty, 7.0)
    colour = _colours(vivid, sure, hue, side)
    light = strands * (0.10 + 1.5 * near + 1.0 * body) + weave * (0.35 * near + 0.85 * body)
    light = (light + 0.08 * body) * (1 - 0.75 * dark) + 1.5 * contour
    return _exposed(light[..., None] * colour)


def _contours(luma: F32, tx: F32, ty: F32) -> tuple[F32, F32, F32]:
    """Fine lines of light that draw the picture, in [0, 1]; dark lines that hold light off (lids, lips), in
    [0, 1]; and on which side of a contour one is: 1 lit, -1 dark."""
    side = np.tanh((blur(luma, 1.0) - blur(luma, 5.0)) / 0.05)
    smooth = blur(luma, 1.1)
    gx = cv2.Sobel(smooth, cv2.CV_32F, 1, 0, scale=1 / 8)
    gy = cv2.Sobel(smooth, cv2.CV_32F, 0, 1, scale=1 / 8)
    steep = optics.along(np.sqrt(gx * gx + gy * gy), tx, ty, 2.5)
    crest = np.maximum(steep - blur(steep, 2.0), 0)
    drawn = smoothstep(0.15, 0.85, crest / (0.5 * blur(steep, 10.0) + 0.01)) * smoothstep(0.005, 0.045, steep)
    response = optics.lines(blur(luma, 0.6), tx, ty, 1.2, 2.5)
    drawn = drawn * (0.6 + 0.4 * side) + 0.7 * smoothstep(0.012, 0.05, response)
    return np.clip(drawn, 0, 1), smoothstep(0.006, 0.035, -response), side.astype(np.float32)


def _energy(luma: F32, contour: F32) -> tuple[F32, F32]:
    """How much light the threads carry for contours near them, and for the light on the form, each (H, W)."""
    near = 0.8 * blur(contour, 2.5) + 1.1 * blur(contour, 7.0)
    tone = blur(luma, 1.8)
    raised = np.clip(tone - blur(luma, 26.0) + 0.17, 0, 1)
    return near, np.asarray(1.3 * raised * smoothstep(0.15, 0.9, tone) + 0.10 * tone**2, dtype=np.float32)


def _swayed(plane: Mapping[str, F32]) -> tuple[F32, F32]:
    """Positions (x, y) displaced by the curl of a potential that is held near contours."""
    held = 1 - 0.85 * smoothstep(0.15, 0.7, plane["coherence"])
    potential = blur(plane["warp_a"], 2.0) * held
    gx = cv2.Sobel(potential, cv2.CV_32F, 1, 0, scale=1 / 8)
    gy = cv2.Sobel(potential, cv2.CV_32F, 0, 1, scale=1 / 8)
    x, y = optics.grid(potential.shape)
    return x + _SWAY_PX * 20 * gy, y - _SWAY_PX * 20 * gx


def _threads(plane: Mapping[str, F32], tx: F32, ty: F32) -> tuple[F32, F32]:
    """Single bright strands and a close weave, each (H, W) in [0, 1]: drawn out along their way twice and
    sharpened between."""
    drawn = plane["strand"]
    for length in (5.0, 8.0):
        drawn = optics.along(drawn, tx, ty, length)
        drawn = np.maximum(drawn - blur(drawn, 2.2), 0) * 2.0
    fine = optics.along(plane["hatch_even"] + 0.35 * plane["dry"], tx, ty, 4.0)
    return smoothstep(0.05, 0.6, drawn), smoothstep(0.1, 0.7, fine)


def _own(structure: F32) -> tuple[F32, F32]:
    """The picture's own colour as pure light (H, W, 3), and how coloured it is, in [0, 1]."""
    seen = blur(structure, 6.0)
    away = seen - optics.luma(seen)[..., None]
    vivid = np.clip(seen + 2.5 * away, 0.03, 1)
    vivid = (vivid / vivid.max(-1, keepdims=True)) ** 1.6
    return vivid, smoothstep(0.03, 0.2, np.abs(away).max(-1))


def _colours(vivid: F32, sure: F32, hue: F32, side: F32) -> F32:
    """Colour of light (H, W, 3): gold where light lies, blue in the dark, rose between, the picture's own."""
    at = hue + 0.45 * side + 0.5 * sure * (vivid[..., 0] - vivid[..., 2])
    warm = smoothstep(-0.35, 0.45, at)[..., None]
    rose = np.exp(-((at - 0.05) ** 2) / 0.05)[..., None]
    own = _CYAN + warm * (_GOLD - _CYAN)
    own = own + 0.8 * rose * (_ROSE - own)
    return np.asarray(own + 0.55 * sure[..., None] * (vivid - own), dtype=np.float32)


def _exposed(light: F32) -> F32:
    """Light with what it sheds on its surroundings, on film: the brightest goes white."""
    total = light + _NIGHT
    for sigma, share in _GLOW:
        total += share * blur(light, sigma)
    spill = 0.12 * np.maximum(total.max(-1, keepdims=True) - 0.8, 0)
    film = 1 - np.exp(-1.9 * (total + spill))
    return np.asarray(np.clip(film, 0, 1), dtype=np.float32)
