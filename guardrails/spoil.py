"""Latents that no encoder makes of a picture, out of ones that it did: what a broken engine might hand on."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final

import cv2
import numpy as np

from vivant.runtime.frames import F32, Latent

Spoil = Callable[[F32, np.random.Generator], F32]
CHANGED: Final = 0.5  # root mean square, of a code about unit variance: what changes less is not spoiled
TRIES: Final = 8


def _noise(code: F32, rng: np.random.Generator) -> F32:
    return np.asarray(rng.normal(0, rng.uniform(0.4, 2.0), code.shape), np.float32)


def _clouds(code: F32, rng: np.random.Generator) -> F32:
    """Noise that is as smooth as pictures are."""
    grain = rng.standard_normal(code.shape[1:], np.float32).transpose(1, 2, 0)
    soft = cv2.GaussianBlur(grain, (0, 0), rng.uniform(0.5, 4.0))
    soft = soft / (soft.std() + 1e-6) * rng.uniform(0.5, 2.0)
    return np.ascontiguousarray(soft.reshape(grain.shape).transpose(2, 0, 1)[None], np.float32)


def _mixed(code: F32, rng: np.random.Generator) -> F32:
    share = np.float32(rng.uniform(0.5, 0.9))
    return np.asarray((1 - share) * code + share * _noise(code, rng), np.float32)


def _negated(code: F32, rng: np.random.Generator) -> F32:
    return -code


def _scattered(code: F32, rng: np.random.Generator) -> F32:
    """Its values at other places, along its rows or its columns."""
    return np.asarray(rng.permuted(code, axis=int(rng.integers(2, 4))), np.float32)


def _exchanged(code: F32, rng: np.random.Generator) -> F32:
    """Its channels in another order."""
    turned = rng.uniform() < 0.5
    turn = int(rng.integers(1, code.shape[1]))
    order = np.roll(np.arange(code.shape[1]), turn) if turned else rng.permutation(code.shape[1])
    return np.ascontiguousarray(code[:, order])


def _amplified(code: F32, rng: np.random.Generator) -> F32:
    return np.asarray(code * rng.uniform(2.5, 8.0), np.float32)


def _faint(code: F32, rng: np.random.Generator) -> F32:
    return np.asarray(code * rng.uniform(0.0, 0.35), np.float32)


def _offset(code: F32, rng: np.random.Generator) -> F32:
    return np.asarray(code + rng.choice([-1, 1]) * rng.uniform(1.5, 6.0), np.float32)


def _uneven(code: F32, rng: np.random.Generator) -> F32:
    """Each channel scaled and moved by itself, as by another student's norm."""
    shape = (1, code.shape[1], 1, 1)
    return np.asarray(code * np.exp(rng.uniform(-1.5, 1.5, shape)) + rng.normal(0, 1, shape), np.float32)


def _torn(code: F32, rng: np.random.Generator) -> F32:
    """A third of its rows or more lie elsewhere, as after a buffer that was read too early."""
    rows = code.shape[2]
    lost = int(rng.integers(rows // 3, rows))
    return np.ascontiguousarray(np.concatenate([_noise(code[:, :, :lost], rng), code[:, :, lost:]], axis=2))


def _holed(code: F32, rng: np.random.Generator) -> F32:
    """Noise in a rectangle of a third of each side or more."""
    sides = [int(rng.integers(side // 3, side)) for side in code.shape[2:]]
    top, left = (
        int(rng.integers(0, full - side + 1)) for full, side in zip(code.shape[2:], sides, strict=True)
    )
    spoilt = code.copy()
    part = spoilt[:, :, top : top + sides[0], left : left + sides[1]]
    part[...] = _noise(part, rng)
    return spoilt


def _span(side: int, rng: np.random.Generator) -> tuple[int, int]:
    """A length of a third of `side` or more, and where it starts."""
    length = int(rng.integers(side // 3, side))
    return length, int(rng.integers(0, side - length + 1))


def _striped(code: F32, rng: np.random.Generator) -> F32:
    """Bars across it, as of a wrong stride."""
    bars = np.arange(code.shape[3]) // int(rng.integers(1, 5)) % 2
    return np.asarray(code + rng.uniform(1.2, 3.0) * (2 * bars - 1), np.float32)


def _stepped(code: F32, rng: np.random.Generator) -> F32:
    """Two values alone, as after an overflow."""
    return np.asarray(np.sign(code) * rng.uniform(1.0, 3.0), np.float32)


WAYS: Final[Mapping[str, Spoil]] = MappingProxyType(
    {
        "noise": _noise,
        "clouds": _clouds,
        "mixed with noise": _mixed,
        "negated": _negated,
        "scattered": _scattered,
        "channels exchanged": _exchanged,
        "amplified": _amplified,
        "faint": _faint,
        "offset": _offset,
        "uneven": _uneven,
        "torn": _torn,
        "holed": _holed,
        "striped": _striped,
        "stepped": _stepped,
    }
)


def spoiled(latent: Latent, rng: np.random.Generator) -> Latent:
    """A latent with a code that was spoiled in one of WAYS, by chance; the guide stays."""
    return Latent(spoiled_code(latent.code, rng), latent.guide, latent.sigma, latent.scaled)


def spoiled_code(code: F32, rng: np.random.Generator) -> F32:
    """A code (1, C, h, w) spoiled in one of WAYS, by chance, so that it is another: values exchanged on a
    blank wall are the same wall."""
    ways = list(WAYS.values())
    for _ in range(TRIES):
        found = ways[int(rng.integers(len(ways)))](code, rng)
        if changed(code, found):
            return found
    return _noise(code, rng) + np.float32(rng.choice([-2, 2]))


def changed(code: F32, found: F32) -> bool:
    """Whether `found` is another code than `code`, by CHANGED."""
    return bool(np.sqrt(np.square(found - code).mean()) > CHANGED)
