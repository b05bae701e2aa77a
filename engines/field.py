"""The planes of one canvas, frame by frame: gathered from textures by the judged guide's tangents.

Made after the guard, from the latent that it judged, so that they cannot show what it never saw.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from vivant.engines.slots import CHANNELS, ORIENTED, RECIPES, block
from vivant.engines.textures.canvas import canvas_tile
from vivant.engines.textures.dots import dots_tile
from vivant.engines.textures.ebru import ebru_tile
from vivant.engines.textures.grain import grain_bank
from vivant.engines.textures.hatch import hatch_bank
from vivant.engines.textures.screens import screens_tile
from vivant.engines.textures.shards import shards_tile
from vivant.engines.textures.store import ORIENTATIONS, TILE_PX, UNIT, ZERO, blocks, smooth_noise
from vivant.engines.textures.strokes import stroke_bank
from vivant.engines.textures.tesserae import tesserae_tile
from vivant.engines.textures.turing import turing_tile
from vivant.runtime.frames import F32, U8, Array

TILES: Mapping[str, Callable[[], U8]] = {
    "canvas": canvas_tile,
    "ebru": ebru_tile,
    "tesserae": tesserae_tile,
    "shards": shards_tile,
    "turing": turing_tile,
    "dots": dots_tile,
    "screens": screens_tile,
}
BANKS: Mapping[str, Callable[[], U8]] = {"hatch": hatch_bank, "stroke": stroke_bank, "grain": grain_bank}

WHOLE_FROM = 0.4  # the weight from which a style's planes are what the painters had
HALF = TILE_PX // 2  # a power of two
_PRIOR = 0.0015  # strength of the wandering direction where the guide is flat: above camera noise, below skin
SURE = 0.02  # tangent strength that is half sure
_KEPT = 0.96  # share of the drift that stays from frame to frame: what was carried slips back in a second
_STILL_PX = 0.15  # motion below this is noise
Index = NDArray[np.int64]
CANVAS = "canvas"  # paper never moves
ITEMS: Mapping[int, Any] = {8: np.uint64, 16: np.complex128}  # numpy moves these in one piece


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

    `size_px` is (width, height), multiples of 32. `seed` moves the textures under the canvas.
    """

    def __init__(self, size_px: tuple[int, int], seed: int) -> None:
        width, height = size_px
        self.planes: U8 = np.full((1, height // 2, width // 2, CHANNELS), ZERO, np.uint8)
        rng = np.random.default_rng(seed)
        shift = rng.integers(0, HALF, 2)
        self._rows = (np.arange(height // 2) + shift[1])[:, None]
        self._columns = (np.arange(width // 2) + shift[0])[None]
        wander = 0.9 * np.stack([smooth_noise(int(rng.integers(2**31)), 6.0, 256) for _ in "xy"], axis=-1)
        wander[..., 0] += 0.5
        repeat = (-(-height // 4 // 256), -(-width // 4 // 256), 1)
        self.prior = -_PRIOR * np.ascontiguousarray(np.tile(wander, repeat)[: height // 4, : width // 4])
        self._held: F32 | None = None
        rows, columns = self.places
        self._still = rows * HALF + columns
        self._shown: dict[str, tuple[str, float]] = {}
        self._carried = False
        self._taken: dict[int, Array] = {}
        self._motion = _Motion((width // 4, height // 4))

    def update(self, guide: F32, weights: Mapping[str, float], hold: float = 0.0, carry: float = 1.0) -> U8:
        """Planes u8 (1, H/2, W/2, CHANNELS) for a guide f32 (1, 1, H/2, W/2), valid until the next call.

        `weights` by style; groups that no style above zero reads are zero, those of a style below WHOLE_FROM
        are paler. `hold` in [0, 1) is how much of the last call's tangents stays. `carry` in [0, 1] scales
        how far the styles' planes go along with what moves.
        """
        wanted = demands(weights)
        for group in self._shown.keys() - wanted.keys():
            self.planes[0, ..., block(group)] = ZERO
        entry = self._orient(guide[0, 0], hold)
        moved = self._motion.follow(guide[0, 0], carry * _carry(weights))
        rows, columns = self._rows, self._columns
        if moved is not None:
            rows, columns = rows - moved[..., 1], columns - moved[..., 0]
        rows, columns = rows & (HALF - 1), columns & (HALF - 1)
        flat = rows * HALF + columns
        oriented = (rows * (ORIENTATIONS + 1) + entry) * HALF + columns
        for group, (source, gain) in wanted.items():
            same = self._shown.get(group) == (source, gain)
            if group in ORIENTED:
                self._gather(group, BANKS[source](), oriented, gain)
            elif group == CANVAS and not same:
                self._gather(group, tile_blocks(source), self._still, gain)
            elif group != CANVAS and (moved is not None or self._carried or not same):
                self._gather(group, tile_blocks(source), flat, gain)
        self._shown, self._carried = wanted, moved is not None
        return self.planes

    @property
    def places(self) -> tuple[Index, Index]:
        """Row (H/2, 1) and column (1, W/2) of each block in the textures, where nothing is carried."""
        return self._rows & (HALF - 1), self._columns & (HALF - 1)

    def forget(self) -> None:
        """Start anew: the next call's tangents and drift owe nothing to what came before."""
        self._held = None
        self._motion.forget()

    def _gather(self, group: str, bank: U8, index: Index, gain: float) -> None:
        item = bank.shape[-1]
        whole = ITEMS[min(item, 16)]
        parts = bank.reshape(-1, item).view(whole)
        taken = self._taken.get(item)
        if taken is None:
            taken = self._taken[item] = np.empty((*index.shape, *parts.shape[1:]), whole)
        np.take(parts, index, axis=0, out=taken, mode="clip")  # "raise" would buffer the output
        if gain < 1.0:
            pixels = taken.view(np.uint8)
            cv2.convertScaleAbs(pixels, pixels, gain, ZERO * (1.0 - gain))
        self.planes[0, ..., block(group)].view(whole)[...] = taken

    def _orient(self, guide: F32, hold: float) -> Index:
        """Write the form planes; the orientation entry (H/2, W/2) of each block."""
        now = tangents(guide)
        self._held = now if self._held is None else cv2.addWeighted(self._held, hold, now, 1 - hold, 0.0)
        strength = cv2.magnitude(*cv2.split(self._held))
        x, y = cv2.split(cv2.add(self._held, self.prior))
        length = cv2.magnitude(x, y) + np.float32(1e-12)
        sure = strength / (strength + np.float32(SURE))
        form = cv2.merge([x / length, y / length, sure, np.zeros_like(sure)])
        levels = cv2.convertScaleAbs(form, alpha=UNIT, beta=ZERO)
        height, width = guide.shape
        full = cv2.resize(levels, (width, height), interpolation=cv2.INTER_LINEAR)
        self.planes[0, ..., block("form")] = full
        # the angle is that of the planes themselves, so that their reader finds the very entry gathered
        cos, sin, _, _ = cv2.split(full)
        middle = np.float32(ZERO)
        angle = cv2.phase(cos - middle, sin - middle)
        return np.asarray(cv2.convertScaleAbs(angle, alpha=ORIENTATIONS / (2 * math.pi)), dtype=np.int64)


def demands(weights: Mapping[str, float]) -> dict[str, tuple[str, float]]:
    """The texture and its gain in [0, 1] by group, for styles by weight.

    Where two styles want different textures in one group, the heavier has it, by how far it leads: at equal
    weights the group is zero, so nothing leaps when the lead changes.
    """
    by_group: dict[str, dict[str, float]] = {}
    for style, weight in weights.items():
        for group, source in RECIPES[style].sources.items() if weight > 0 else ():
            sources = by_group.setdefault(group, {})
            sources[source] = max(sources.get(source, 0.0), float(weight))
    found = {}
    for group, sources in by_group.items():
        first, *others = sorted(sources, key=lambda name: -sources[name])
        lead = sources[first] - (sources[others[0]] if others else 0.0)
        found[group] = (first, min(1.0, lead / WHOLE_FROM))
    return found


def _carry(weights: Mapping[str, float]) -> float:
    total = sum(weights.values())
    return sum(RECIPES[s].carry * w for s, w in weights.items()) / total if total > 0 else 0.0


_tiles: dict[str, U8] = {}


def tile_blocks(name: str) -> U8:
    """A canvas texture as blocks u8 (T/2, T/2, 16), by its name in TILES; made once."""
    if name not in _tiles:
        _tiles[name] = blocks(TILES[name]())
    return _tiles[name]


class _Motion:
    """How far each block's texture was carried, in blocks: dense optical flow (DIS, Kroeger et al. 2016) of
    the judged guide, added up, slipping back."""

    def __init__(self, size: tuple[int, int]) -> None:
        self._size = size
        self._flow = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_ULTRAFAST)
        self._last: U8 | None = None
        self._drift: F32 | None = None
        width, height = size
        y, x = np.mgrid[0:height, 0:width].astype(np.float32)
        self._home = np.dstack([x, y])

    def forget(self) -> None:
        self._last = self._drift = None

    def follow(self, guide: F32, carry: float) -> Index | None:
        """Displacements (H/2, W/2, 2) in blocks, x and y; None when nothing is to be carried."""
        if carry <= 0:
            self.forget()
            return None
        small = cv2.convertScaleAbs(cv2.resize(guide, self._size, interpolation=cv2.INTER_AREA), alpha=255.0)
        if self._last is None or self._drift is None:
            self._drift = np.zeros_like(self._home)
        else:
            back = self._flow.calc(small, self._last, None)  # where each point was, seen from now
            back[cv2.magnitude(back[..., 0], back[..., 1]) < _STILL_PX] = 0
            was = cv2.remap(
                self._drift, self._home + back, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT
            )
            self._drift = np.asarray(cv2.addWeighted(was, _KEPT, back, -_KEPT, 0.0))
        self._last = small
        height, width = guide.shape
        full = cv2.resize(self._drift, (width, height), interpolation=cv2.INTER_LINEAR)
        # a quarter-resolution pixel is two blocks
        return np.asarray(np.rint(full * (2 * carry)), dtype=np.int64)
