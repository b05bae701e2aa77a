"""Latents that no encoder makes of a picture, out of ones that it did: what a broken engine might hand on."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final

import numpy as np

from vivant.runtime.frames import F32, Latent

Spoil = Callable[[F32, np.random.Generator], F32]


def _noise(code: F32, rng: np.random.Generator) -> F32:
    return np.asarray(rng.normal(0, rng.uniform(0.5, 2.0), code.shape), np.float32)


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
    turn = int(rng.integers(1, code.shape[1]))
    return np.ascontiguousarray(np.roll(code, turn, axis=1))


def _amplified(code: F32, rng: np.random.Generator) -> F32:
    return np.asarray(code * rng.uniform(2.5, 8.0), np.float32)


def _offset(code: F32, rng: np.random.Generator) -> F32:
    return np.asarray(code + rng.choice([-1, 1]) * rng.uniform(1.5, 6.0), np.float32)


def _torn(code: F32, rng: np.random.Generator) -> F32:
    """A third of its rows or more lie elsewhere, as after a buffer that was read too early."""
    rows = code.shape[2]
    lost = int(rng.integers(rows // 3, rows))
    return np.ascontiguousarray(np.concatenate([_noise(code[:, :, :lost], rng), code[:, :, lost:]], axis=2))


WAYS: Final[Mapping[str, Spoil]] = MappingProxyType(
    {
        "noise": _noise,
        "mixed with noise": _mixed,
        "negated": _negated,
        "scattered": _scattered,
        "channels exchanged": _exchanged,
        "amplified": _amplified,
        "offset": _offset,
        "torn": _torn,
    }
)


def spoiled(latent: Latent, rng: np.random.Generator) -> Latent:
    """A latent with a code that was spoiled in one of WAYS, by chance; the guide stays."""
    way = list(WAYS.values())[int(rng.integers(len(WAYS)))]
    return Latent(way(latent.code, rng), latent.guide, latent.sigma, latent.scaled)
