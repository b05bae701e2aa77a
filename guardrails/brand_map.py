"""Fits the map from latents to colours that a brand box judges by: a small network, by gradient descent.

Of one hidden layer, because the colour of an area hangs on few values of the latent, and bends where paint
runs dry. The paint's own chance (which shard is red) is not in the latent: there the map says the mean.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np

from vivant.guardrails.brand import LAB, ColourMap
from vivant.runtime.frames import F32, Array

HIDDEN: Final = 48
STEPS: Final = 1500
PICTURES: Final = 32  # of a step
AREAS: Final = 128  # of each of them
RATE: Final = 4e-3
FALLING: Final = (0.9, 0.99)  # of the mean and of the square, in Adam
SEEN: Final = 64  # pictures that the features' scale is found from


@dataclass(frozen=True, slots=True)
class Painted:
    """What one picture came to: the share of each style in it, f32 (S,); its features (C + 1, n) and, where
    it was decoded, its colours, f32 (n, 3) in CIELAB. One that is `plain` is approved; one that is `apart`
    is not fitted to."""

    shares: F32
    features: F32
    lab: F32
    plain: bool
    apart: bool


def map_of(
    styles: Sequence[str],
    painted: Sequence[Painted],
    seed: int = 0,
    steps: int = STEPS,
    tell: Callable[[float], None] = lambda share: None,
) -> ColourMap:
    """Fits to pictures that are not apart; the errors are of those that are, style by style."""
    fitted = [one for one in painted if not one.apart]
    seen = np.concatenate([one.features for one in fitted[:: -(-len(fitted) // SEEN)]], 1)
    middle, scale = seen.mean(1), 1 / (seen.std(1) + 1e-3)
    net = _Net(len(middle), len(fitted[0].shares), seed)
    rng = np.random.default_rng((seed, 1))
    for step in range(steps):
        drawn = [fitted[index] for index in rng.integers(0, len(fitted), PICTURES)]
        places = [rng.integers(0, one.features.shape[1], AREAS) for one in drawn]
        x = np.stack([one.features[:, at].T for one, at in zip(drawn, places, strict=True)])
        wanted = np.stack([one.lab[at] for one, at in zip(drawn, places, strict=True)]) / LAB
        shares = np.stack([one.shares for one in drawn])
        net.learn(
            _f32((x - middle) * scale), shares, _f32(wanted), RATE / 2 * (1 + np.cos(np.pi * step / steps))
        )
        tell((step + 1) / steps)
    hidden, starts, weights = net.parts[0], net.parts[1], net.parts[2]
    hidden = scale[:, None] * hidden
    named = tuple(style for style in styles if style)
    found = ColourMap(
        named, _f32(hidden), _f32(starts - middle @ hidden), _f32(weights), (0.0,) * len(styles)
    )
    errors = tuple(_error(found, painted, index) for index in range(len(styles)))
    return ColourMap(named, found.hidden, found.starts, found.weights, errors)


class _Net:
    """The layers while they are fitted (Adam: Kingma and Ba 2015)."""

    def __init__(self, given: int, styles: int, seed: int) -> None:
        rng = np.random.default_rng(seed)
        weights = np.zeros((styles, HIDDEN + 1, 3), np.float32)
        weights[:, :-1] = rng.normal(0, HIDDEN**-0.5, (styles, HIDDEN, 3)) / 2
        hidden = _f32(rng.normal(0, (2 / given) ** 0.5, (given, HIDDEN)))
        self.parts: list[F32] = [hidden, np.zeros((styles, HIDDEN), np.float32), weights]
        self._means = [np.zeros_like(part) for part in self.parts]
        self._squares = [np.zeros_like(part) for part in self.parts]
        self._step = 0

    def learn(self, x: F32, shares: F32, wanted: F32, rate: float) -> None:
        """One step: x (P, n, F), shares (P, S), wanted (P, n, 3)."""
        hidden, starts, weights = self.parts
        layer = np.maximum(x @ hidden + (shares @ starts)[:, None], 0)
        mixed = np.tensordot(shares, weights, 1)
        wrong = (layer @ mixed[:, :-1] + mixed[:, -1:] - wanted) * np.float32(2 / (x.shape[0] * x.shape[1]))
        of_mixed = np.concatenate([layer.transpose(0, 2, 1) @ wrong, wrong.sum(1, keepdims=True)], 1)
        back = (wrong @ mixed[:, :-1].transpose(0, 2, 1)) * (layer > 0)
        flat = (x.reshape(-1, x.shape[2]), back.reshape(-1, back.shape[2]))
        slopes = (flat[0].T @ flat[1], shares.T @ back.sum(1), np.tensordot(shares.T, of_mixed, 1))
        self._move([_f32(slope) for slope in slopes], rate)

    def _move(self, slopes: Sequence[F32], rate: float) -> None:
        self._step += 1
        slow, fast = FALLING
        for index, slope in enumerate(slopes):
            self._means[index] = _f32(slow * self._means[index] + (1 - slow) * slope)
            self._squares[index] = _f32(fast * self._squares[index] + (1 - fast) * slope * slope)
            mean = self._means[index] / (1 - slow**self._step)
            square = self._squares[index] / (1 - fast**self._step)
            self.parts[index] = _f32(self.parts[index] - rate * mean / (np.sqrt(square) + 1e-8))


def lab_of(rgb: Array) -> F32:
    """CIELAB (n, 3) of sRGB (n, 3) in [0, 1]."""
    clipped = np.clip(rgb, 0, 1).astype(np.float32).reshape(-1, 1, 3)
    return np.asarray(cv2.cvtColor(clipped, cv2.COLOR_RGB2LAB).reshape(-1, 3), np.float32)


def _error(found: ColourMap, painted: Sequence[Painted], style: int) -> float:
    """Of a style alone; of all that was painted in it where none was kept apart."""
    own = [one for one in painted if one.shares[style] == 1.0]
    apart = [one for one in own if one.apart] or own
    squares = [np.square(found.of(one.features, one.shares) - one.lab).sum(1).mean() for one in apart]
    return float(np.sqrt(np.mean(squares)))


def _f32(x: Array) -> F32:
    return np.asarray(x, np.float32)
