"""Drawing aux trois crayons, as Watteau did: sanguine, black and white chalk on toned, toothy paper.

Strokes are hatching drawn out along the form whose density gives the tone (Ostromoukhov 1999; Cabral, Leedom
1993), rubbed off by the tooth of the paper; construction lines are those of Kang, Lee, Chui, "Coherent Line
Drawing" (2007), loose over the broad form and firm over the fine.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from vivant.distill.teachers.drawing import drawn_lines, edge_flow, hatching, streams
from vivant.distill.teachers.optics import blur, coarser, finer, luma, rgb, smoothstep, tangent
from vivant.runtime.frames import F32

SHEET = rgb(0.790, 0.735, 0.645)
BLACK = rgb(0.120, 0.105, 0.110)
SANGUINE = rgb(0.640, 0.240, 0.145)
WHITE = rgb(0.985, 0.970, 0.935)


def paint(structure: F32, plane: Mapping[str, F32], seed: int) -> F32:
    """A picture f32 (H, W, 3). `seed` is not used: all that is random is in the planes."""
    plain = luma(structure)
    around = blur(plain, 12.0) - 0.55
    tone = plain - 0.50 * around
    tone = tone + 0.6 * (blur(tone, 0.7) - blur(tone, 5.0))
    high = blur(plain, 1.5) - 0.40 * around
    colour = blur(structure, 4.0)
    warmth = smoothstep(0.0, 0.22, colour[..., 0] - 0.5 * colour[..., 1] - 0.5 * colour[..., 2])
    flow = streams(*edge_flow(blur(tone, 1.0), *tangent(plane)), 12)
    firm = drawn_lines(tone, flow, 0.9, 3.5, 2, 0.014)
    loose = drawn_lines(blur(tone, 1.5), flow, 1.8, 5.0, 1, 0.014)
    first, second = hatching(plane, 3.8)
    tooth = 0.9 * plane["paper"] + 0.35 * plane["dry"] + 0.2 * plane["cloud"]
    tone, high, warmth, firm, loose, first, second, tooth = (
        finer(m) for m in (tone, high, warmth, firm, loose, first, second, tooth)
    )
    light = _chalk(2.3 * np.clip(high - 0.655, 0, 1), second, tooth)
    red = _sanguine(tone, warmth, loose, first, tooth)
    dark = _black(tone, warmth, firm, 0.65 * first + 0.55 * second, tooth)
    picture = _sheet(plane)
    for cover, chalk in ((light, WHITE), (red, SANGUINE), (dark, BLACK)):
        picture = picture * (1 - cover[..., None]) + chalk * cover[..., None]
    return coarser(np.asarray(np.clip(picture, 0, 1), dtype=np.float32))


def _sanguine(tone: F32, warmth: F32, loose: F32, stripe: F32, tooth: F32) -> F32:
    """The middle tones, most where the picture is warm, and the loose lines that the drawing began with."""
    body = _chalk(np.clip(0.66 - tone, 0, 1) * (0.45 + 1.15 * warmth) + 0.10 * warmth, stripe, tooth)
    begun = _chalk((0.22 + 0.40 * warmth) * smoothstep(0.1, 1.2, loose), 0.3 * stripe, tooth)
    return np.maximum(body, begun)


def _black(tone: F32, warmth: F32, firm: F32, stripe: F32, tooth: F32) -> F32:
    """The shadows, crossed, and the firm lines; both give way where the picture is warm."""
    body = _chalk(2.0 * np.clip(0.44 - tone, 0, 1) * (1 - 0.25 * warmth), stripe, tooth)
    line = _chalk((0.56 - 0.16 * warmth) * smoothstep(0.25, 1.2, firm), 0.3 * stripe, 1.2 * tooth)
    return np.maximum(body, line)


def _chalk(pressure: F32, stripe: F32, tooth: F32) -> F32:
    """Cover in [0, 1] that a chalk leaves: dust rubbed into the sheet, and over it strokes that catch on the
    paper's tooth and close as they are pressed harder."""
    press = np.clip(pressure, 0, 1)
    caught = smoothstep(0.05, 1.0, 2.1 * press + 0.42 * stripe - 0.72 * tooth - 0.05)
    strokes = 0.90 * caught * smoothstep(0.0, 0.16, press) * (0.45 + 0.55 * smoothstep(0.0, 0.5, press))
    rubbed = 0.28 * press * (1 - caught)
    return np.asarray(strokes + rubbed, dtype=np.float32)


def _sheet(plane: Mapping[str, F32]) -> F32:
    """The bare sheet (2 H, 2 W, 3): laid paper of a warm grey, with its fibres and clouds."""
    shade = 1 - 0.05 * plane["paper"] - 0.025 * plane["cloud"] - 0.03 * plane["warp_a"]
    return np.asarray(SHEET * finer(shade)[..., None], dtype=np.float32)
