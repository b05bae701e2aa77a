"""Cut-outs pasted anew into the guides of approved latents, for every step of a fit.

A guide that is the picture's own luma can be pasted into without the student, many times cheaper than a
view is encoded: so a network sees every cut-out in as many places, sizes and lights as it takes. Pieces of
other pictures and plain plates are pasted too, so that edges say nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np

from vivant.guardrails.pictures import LARGEST_PASTE, Still, outline
from vivant.runtime.frames import F32, U8, Array

CELL: Final = 8  # values of the guide, a side, that one place of a map answers for
LUMA: Final = np.array([0.299, 0.587, 0.114], np.float32)
OWN_LUMA: Final = 0.02  # the most that a guide is off the picture's luma on average, of an INT8 encoder
PASTED: Final = 0.5  # of views with a cut-out
DECOYS: Final = 0.18  # of views with a piece of another picture
PLATES: Final = 0.1  # of views with a plain plate
SEEN: Final = 0.12  # of a place with edges steeper than EDGE: there is something to see there
EDGE: Final = 0.24  # Sobel sum of a guide in [0, 1]: about six hundredths from one value to the next
LEAST_SEEN: Final = 3  # places; of less than these nothing is asked
STRETCHED: Final = 0.12  # standard deviation of the logarithm of width to height
UNSURE: Final = 255  # of a place in `cells`: nothing is asked of it


@dataclass(frozen=True, slots=True)
class CutOut:
    """Luma and alpha f32 (h, w) in [0, 1], whole and halved again and again; the number of its kind; the
    least it is shown at, as a share of the side."""

    levels: tuple[tuple[F32, F32], ...]
    kind: int
    smallest: float


@dataclass(frozen=True, slots=True)
class Fresh:
    """Guides f32 (N, 1, 4h, 4w); labels f32 (N, K); where each kind is to be found, u8 (N, K, h/2, w/2): 0,
    1 or UNSURE; and which views are asked about as a whole, f32 (N,) 0 or 1."""

    guides: F32
    labels: F32
    cells: U8
    asked: F32


def guide_luma(pixels: U8) -> F32:
    """A picture u8 (H, W, 3) as a guide f32 (H/2, W/2) that is its luma in [0, 1]."""
    height, width = pixels.shape[:2]
    half = cv2.resize(
        pixels @ LUMA / np.float32(255), (width // 2, height // 2), interpolation=cv2.INTER_AREA
    )
    return np.asarray(half, np.float32)


def is_own_luma(guide: F32 | None, pixels: U8) -> bool:
    """Whether a guide (1, 1, H/2, W/2) is its picture's luma."""
    luma = guide_luma(pixels)
    return (
        guide is not None
        and guide[0, 0].shape == luma.shape
        and bool(np.abs(guide[0, 0] - luma).mean() < OWN_LUMA)
    )


def cut_outs(
    forbidden: Mapping[str, Sequence[Still]], smallest: float, smallest_of: Mapping[str, float]
) -> list[CutOut]:
    """Those among the forbidden pictures of every kind, in the kinds' order."""
    return [
        CutOut(
            _halved(guide_sized(still.pixels @ LUMA), guide_sized(still.alpha)),
            kind,
            smallest_of.get(name, smallest),
        )
        for kind, (name, stills) in enumerate(forbidden.items())
        for still in stills
        if still.alpha is not None
    ]


class FreshViews:
    """New views of stored latents: `guides` (N, 1, 4h, 4w) that are luma, of which `grounds` are approved."""

    def __init__(
        self, guides: Array, grounds: Array, pieces: Sequence[CutOut], kinds: int, seed: int
    ) -> None:
        self._guides, self._grounds, self._pieces, self._kinds = guides, grounds, pieces, kinds
        self._rng = np.random.default_rng((seed, 3))
        each = np.bincount([piece.kind for piece in pieces])  # a kind of more cut-outs is shown more often
        share = np.array([1 / np.sqrt(each[piece.kind]) for piece in pieces])
        self._share = share / share.sum()
        self._cells = guides.shape[2] // CELL, guides.shape[3] // CELL

    def of(self, rows: Array) -> Fresh:
        """One of each of the latents `rows`."""
        made = [self._view(self._guides[row, 0].astype(np.float32)) for row in rows]
        guides, labels, cells, asked = (np.stack(one) for one in zip(*made, strict=True))
        return Fresh(guides[:, None], labels, cells, asked)

    def _view(self, guide: F32) -> tuple[F32, F32, U8, F32]:
        labels, asked = np.zeros(self._kinds, np.float32), np.ones((), np.float32)
        cells = np.zeros((self._kinds, *self._cells), np.uint8)
        across, down = (-1 if self._rng.uniform() < 0.5 else 1 for _ in range(2))
        guide = np.ascontiguousarray(
            guide[::down, ::across]
        )  # before anything is pasted: symbols have a hand
        chance = self._rng.uniform()
        if chance < PASTED:
            piece = self._piece()
            cover = laid_anywhere(guide, _relit(piece.levels, self._rng), piece.smallest, self._rng)
            cells[piece.kind] = seen(guide, cover, self._cells)
            labels[piece.kind] = 1
            asked[...] = (cells[piece.kind] == 1).sum() >= LEAST_SEEN
        elif chance < PASTED + DECOYS + PLATES:
            plate = chance >= PASTED + DECOYS
            smallest = self._piece().smallest
            laid_anywhere(guide, self._plate() if plate else self._decoy(), smallest, self._rng)
        return guide, labels, cells, asked

    def _piece(self) -> CutOut:
        return self._pieces[int(self._rng.choice(len(self._pieces), p=self._share))]

    def _decoy(self) -> tuple[tuple[F32, F32], ...]:
        """A piece of another approved guide."""
        other = self._guides[int(self._rng.choice(self._grounds)), 0]
        side = int(min(other.shape) * self._rng.uniform(0.2, 0.9))
        top, left = (int(self._rng.integers(0, length - side + 1)) for length in other.shape)
        piece = other[top : top + side, left : left + side].astype(np.float32)
        return _halved(piece, _cover(side, self._rng))

    def _plate(self) -> tuple[tuple[F32, F32], ...]:
        """A sign without anything on it."""
        tall, wide = (int(length) for length in self._rng.integers(24, 120, 2))
        alpha = np.ones((tall, wide), np.float32)
        if self._rng.uniform() < 0.5:
            alpha = _cover(max(tall, wide), self._rng)
        return _halved(np.full(alpha.shape, self._rng.uniform(0, 1), np.float32), alpha)


def laid_anywhere(
    guide: F32, levels: tuple[tuple[F32, F32], ...], smallest: float, rng: np.random.Generator
) -> F32:
    """Lays a piece into `guide` (H, W), in place: turned by any angle, stretched a little, as large as
    vivant.guardrails.pictures.pasted shows it and wholly inside. Returns its alpha there, f32 (H, W)."""
    height, width = guide.shape
    side = min(height, width)
    across = float(np.hypot(*levels[0][0].shape))
    share = float(np.exp(rng.uniform(np.log(smallest), np.log(LARGEST_PASTE))))
    scale = min(share * 1.3, 0.99) * side / across
    reach = scale * across / 2
    centre = rng.uniform(reach, width - reach), rng.uniform(reach, height - reach)
    level = 0
    while scale < 0.5 and level < len(levels) - 1:
        level, scale = level + 1, scale * 2
    luma, alpha = levels[level]
    angle, stretch = rng.uniform(0, 2 * np.pi), np.exp(rng.normal(0, STRETCHED))
    cosine, sine = scale * np.cos(angle), scale * np.sin(angle)
    flat, tall = min(1.0, stretch), min(1.0, 1 / stretch)
    turn = np.array([[cosine * flat, -sine * tall, 0], [sine * flat, cosine * tall, 0]])
    left, top = (max(0, int(middle - reach) - 2) for middle in centre)
    right, bottom = (
        min(end, int(middle + reach) + 3) for middle, end in zip(centre, (width, height), strict=True)
    )
    middle = (np.array(luma.shape[::-1]) - 1) / 2
    turn[:, 2] = np.array(centre) - (left, top) - turn[:, :2] @ middle
    size = (right - left, bottom - top)
    drawn = cv2.warpAffine(luma, turn, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    cover = np.zeros_like(guide)
    cover[top:bottom, left:right] = cv2.warpAffine(alpha, turn, size, flags=cv2.INTER_LINEAR)
    part = guide[top:bottom, left:right]
    part += (drawn - part) * cover[top:bottom, left:right]
    return cover


def seen(guide: F32, cover: F32, cells: tuple[int, int]) -> U8:
    """Where something of what was laid can be seen, u8 of `cells`: 1 where it has edges, UNSURE where it lies
    without any, 0 elsewhere."""
    steep = np.abs(cv2.Sobel(guide, cv2.CV_32F, 1, 0)) + np.abs(cv2.Sobel(guide, cv2.CV_32F, 0, 1))
    near = cv2.dilate(cover, np.ones((3, 3), np.uint8)) > 0.3
    size = cells[::-1]
    edges = cv2.resize(((steep > EDGE) & near).astype(np.float32), size, interpolation=cv2.INTER_AREA)
    found = np.where(cv2.resize(cover, size, interpolation=cv2.INTER_AREA) > 0, UNSURE, 0)
    return np.asarray(np.where(edges > SEEN, 1, found), np.uint8)


def _relit(levels: tuple[tuple[F32, F32], ...], rng: np.random.Generator) -> tuple[tuple[F32, F32], ...]:
    """A cut-out darker, lighter or flatter than it is, or its negative."""
    low, high = (0.0, 1.0) if rng.uniform() < 0.6 else (rng.uniform(0, 0.45), rng.uniform(0.55, 1.0))
    low, high = (high, low) if rng.uniform() < 0.5 else (low, high)
    return tuple((np.float32(low) + luma * np.float32(high - low), alpha) for luma, alpha in levels)


def guide_sized(values: Array) -> F32:
    """In [0, 1], at half the size: pixels of a guide."""
    found = cv2.resize(values.astype(np.float32) / 255, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
    return np.asarray(found, np.float32)


def _cover(side: int, rng: np.random.Generator) -> F32:
    return np.asarray(outline(side, rng).astype(np.float32) / 255, np.float32)


def _halved(luma: F32, alpha: F32) -> tuple[tuple[F32, F32], ...]:
    levels = [(luma, alpha)]
    while min(levels[-1][0].shape) >= 16:
        one, other = (cv2.resize(x, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA) for x in levels[-1])
        levels.append((np.asarray(one, np.float32), np.asarray(other, np.float32)))
    return tuple(levels)
