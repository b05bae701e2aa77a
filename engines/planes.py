"""The planes a decoder paints with: canvas textures, and textures that follow the judged guide's tangents.

Made after the guard, from the latent that it judged, so that they cannot show what it never saw.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from vivant.engines.bank import ORIENTATIONS, TILE_PX, grain_bank, hatch_bank
from vivant.engines.strokebank import STROKE_ORIENTATIONS, stroke_bank
from vivant.engines.tiles import cell_tile, paper_tile, smooth_noise
from vivant.runtime.frames import F32, U8

STYLES = ("mosaic", "ink", "engraving", "strokes")
_HATCH = ("hatch_even", "hatch_odd", "cross_even", "cross_odd")
_STROKES = ("stroke_across", "stroke_along", "stroke_id", "dab_across", "dab_along", "dab_id")
_CELLS = ("cell_edge", "cell_dx", "cell_dy", "cell_id")
_TANGENT = ("cos2theta", "sin2theta")
_STATIC = ("paper", "warp_a", "warp_b", *_CELLS)
PLANE_NAMES = (*_HATCH, *_TANGENT, "dry", *_STATIC, *_STROKES)
GROUPS: Mapping[str, frozenset[str]] = {
    "mosaic": frozenset({*_CELLS, "paper"}),
    "ink": frozenset({"paper", "warp_a", "warp_b", "dry", *_TANGENT}),
    "engraving": frozenset({*_HATCH, *_TANGENT, "paper"}),
    "strokes": frozenset({*_STROKES, "dry", *_TANGENT}),
}
"""Which planes a style reads; the others are zero for it, in training and in the show."""

ZERO = 128
WHOLE_FROM = 0.4  # the weight from which a style's planes are what the painters had
_AT = {name: i for i, name in enumerate(PLANE_NAMES)}
Shift = NDArray[np.int64]
_PRIOR = 0.0015  # strength of the wandering direction where the guide is flat: above camera noise, below skin


def tangents(guide: F32) -> F32:
    """Double-angle tangents (H/4, W/4, 2) of a guide (H/2, W/2): cos and sin of twice the angle, by strength.

    The structure tensor of Kang et al. 2007 / Kyprianidis and Kang 2011, with weak edges lifted: products of
    half-resolution gradients, divided by the gradient's size, averaged to quarter resolution, at two scales.
    """
    dx = cv2.Sobel(guide, cv2.CV_32F, 1, 0, scale=1 / 16)
    dy = cv2.Sobel(guide, cv2.CV_32F, 0, 1, scale=1 / 16)
    lift = 1 / (cv2.magnitude(dx, dy) + 0.02)
    # the gradient's double angle turned by half a turn is the tangent's
    double = cv2.merge([(dy * dy - dx * dx) * lift, -2 * dx * dy * lift])
    height, width = guide.shape
    quarter = cv2.resize(double, (width // 2, height // 2), interpolation=cv2.INTER_AREA)
    fine = cv2.GaussianBlur(quarter, (7, 7), 1.15)
    return np.asarray(cv2.addWeighted(fine, 1.0, cv2.GaussianBlur(quarter, (13, 13), 2.5), 0.6, 0.0))


class PlaneField:
    """Planes for one canvas. Owns its buffer; one thread may use it.

    `size_px` is (width, height), multiples of 32 up to 1024. `seed` moves the tiles under the canvas.
    """

    def __init__(self, size_px: tuple[int, int], seed: int, styles: Sequence[str] = STYLES) -> None:
        width, height = size_px
        self._groups = [GROUPS[style] for style in styles]
        self._shown: dict[str, float] = {}
        self._held: F32 | None = None
        self.planes: U8 = np.full((1, len(PLANE_NAMES), height, width), ZERO, np.uint8)
        rng = np.random.default_rng(seed)
        shift = rng.integers(0, TILE_PX, 2)
        rows = (np.arange(height) + shift[1]) % TILE_PX
        columns = (np.arange(width) + shift[0]) % TILE_PX
        tiles = np.concatenate([paper_tile(), cell_tile()])
        self._static = np.ascontiguousarray(tiles[:, rows[:, None], columns[None]])
        wander = 0.9 * np.stack([smooth_noise(int(rng.integers(2**31)), 6.0, 256) for _ in "xy"], axis=-1)
        wander[..., 0] += 0.5
        self._prior = -_PRIOR * np.ascontiguousarray(wander[: height // 4, : width // 4])
        self._cos, self._sin, self._angle = np.empty((3, height, width), np.float32)
        self._banks: list[_Blended | _Picked] = []
        offered = frozenset().union(*self._groups)
        if offered.intersection(_HATCH):
            self._banks.append(_Blended(hatch_bank(), _HATCH, size_px, shift))
        if "dry" in offered:
            self._banks.append(_Blended(grain_bank(), ("dry",), size_px, shift))
        if offered.intersection(_STROKES):
            self._banks.append(_Picked(size_px, shift))

    def update(self, guide: F32, style_weights: F32, hold: float = 0.0) -> U8:
        """Planes u8 (1, 20, H, W) for a guide f32 (1, 1, H/2, W/2), valid until the next call.

        `style_weights` (S,) in the order of the styles, sum 1: planes that no style above zero reads are 128,
        those of a style below WHOLE_FROM are paler.
        `hold` in [0, 1) is how much of the last call's tangents stays.
        """
        gains = self._gains_of(np.ravel(style_weights))
        for name in self._shown.keys() - gains.keys():
            self.planes[0, _AT[name]] = ZERO
        for name in gains.keys() & _STATIC:
            if self._shown.get(name) != gains[name]:
                self.planes[0, _AT[name]] = self._static[_STATIC.index(name)]
                self._fade(name, gains[name])
        self._shown = gains
        if "cos2theta" not in gains:
            self._held = None
            return self.planes
        self._orient(guide[0, 0], hold, frozenset(gains))
        for name in gains.keys() - _STATIC:
            self._fade(name, gains[name])
        return self.planes

    def _gains_of(self, weights: F32) -> dict[str, float]:
        """How much of itself each wanted plane shows: that of the style that reads it and weighs most."""
        gains: dict[str, float] = {}
        for group, weight in zip(self._groups, weights, strict=True):
            for name in group if weight > 0 else ():
                gains[name] = max(gains.get(name, 0.0), min(1.0, float(weight) / WHOLE_FROM))
        return gains

    def _fade(self, name: str, gain: float) -> None:
        """A plane of a style that comes or goes is drawn towards zero, so that it does not leap in."""
        if gain < 1.0:
            plane = self.planes[0, _AT[name]]
            cv2.convertScaleAbs(plane, plane, gain, ZERO * (1.0 - gain))

    def _orient(self, guide: F32, hold: float, wanted: frozenset[str]) -> None:
        now = tangents(guide)
        self._held = now if self._held is None else cv2.addWeighted(self._held, hold, now, 1 - hold, 0.0)
        field = self._held + self._prior
        height, width = self.planes.shape[2:]
        unit = field / (np.linalg.norm(field, axis=-1, keepdims=True) + 1e-12)
        levels = cv2.convertScaleAbs(unit, alpha=64.0, beta=128.0)
        full = cv2.resize(levels, (width, height), interpolation=cv2.INTER_LINEAR)
        cos_u8, sin_u8 = self.planes[0, _AT["cos2theta"]], self.planes[0, _AT["sin2theta"]]
        cv2.extractChannel(full, 0, cos_u8)
        cv2.extractChannel(full, 1, sin_u8)
        # the angle is that of the planes themselves, so that their reader finds the very entry gathered
        np.subtract(cos_u8, np.float32(ZERO), out=self._cos)
        np.subtract(sin_u8, np.float32(ZERO), out=self._sin)
        angle = cv2.phase(self._cos, self._sin, self._angle)
        for bank in self._banks:
            if wanted.intersection(bank.names):
                bank.gather(angle, self.planes[0])


class _Blended:
    """A bank laid under a canvas whose planes are mixed from the two entries nearest to the angle."""

    def __init__(self, bank: U8, names: tuple[str, ...], size_px: tuple[int, int], shift: Shift) -> None:
        width, height = size_px
        self.names = names
        self._bank = bank
        self._scale = ORIENTATIONS / (2 * math.pi)
        rows = (np.arange(height) + shift[1]) % TILE_PX * (ORIENTATIONS + 1)
        columns = (np.arange(width) + shift[0]) % TILE_PX
        self._map_x = np.tile(columns.astype(np.float32), (height, 1))
        self._base_y = np.repeat(rows.astype(np.float32)[:, None], width, axis=1)
        self._map_y = np.empty_like(self._base_y)
        self._out = np.empty((height, width, *bank.shape[2:]), np.uint8)

    def gather(self, angle: F32, planes: U8) -> None:
        cv2.scaleAdd(angle, self._scale, self._base_y, self._map_y)
        cv2.remap(self._bank, self._map_x, self._map_y, cv2.INTER_LINEAR, dst=self._out)
        for channel, name in enumerate(self.names):
            cv2.extractChannel(self._out, channel, planes[_AT[name]])


class _Picked:
    """The stroke bank laid under a canvas: a pixel's planes are those of the entry nearest to the angle."""

    names = _STROKES

    def __init__(self, size_px: tuple[int, int], shift: Shift) -> None:
        width, height = size_px
        self._bank = stroke_bank().view(np.uint64).ravel()
        self._scale = STROKE_ORIENTATIONS / (2 * math.pi)
        rows = (np.arange(height) + shift[1]) % TILE_PX * (STROKE_ORIENTATIONS + 1) * TILE_PX
        columns = (np.arange(width) + shift[0]) % TILE_PX
        self._base = rows[:, None] + columns[None]
        self._at = np.empty_like(self._base)
        self._out = np.empty((height, width), np.uint64)

    def gather(self, angle: F32, planes: U8) -> None:
        entry = cv2.convertScaleAbs(angle, alpha=self._scale)
        np.multiply(entry, np.int64(TILE_PX), out=self._at)
        np.add(self._at, self._base, out=self._at)
        np.take(self._bank, self._at, out=self._out, mode="clip")  # "raise" would buffer the output
        pixels = self._out.view(np.uint8).reshape(*self._out.shape, 8)
        for name, channel in zip(self.names, (0, 1, 2, 4, 5, 6), strict=True):
            cv2.extractChannel(pixels, channel, planes[_AT[name]])
