"""Noise that can be replayed: seeded, counter-based, blended and slowly turned, always of unit variance."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from vivant.engines.contract import EngineError
from vivant.runtime.frames import F32

STEPS = 1 << 40  # the first stream of the noise that steps add


def noise(seed: int, shape: tuple[int, ...], stream: int = 0) -> F32:
    """Unit Gaussian noise of `shape`. Philox is counter-based: one seed, stream and shape give one noise,
    whatever was drawn before. `seed` and `stream` in [0, 2**63]."""
    generator = np.random.Generator(np.random.Philox(key=seed + (stream << 64)))
    return generator.standard_normal(shape, dtype=np.float32)


def fresh(seed: int, index: int, shape: tuple[int, ...]) -> F32:
    """What step `index` adds: of the same seed, and none of the noises that a frame starts with."""
    return noise(seed, shape, STEPS + index)


def blended(weights: Mapping[int, float], shape: tuple[int, ...], stream: int = 0) -> F32:
    """Noise between several seeds. Weights are divided by their length, because independent noises add up
    in squares: every blend has unit variance, where an average would be duller. Raises EngineError when no
    weight is above zero."""
    above = {seed: weight for seed, weight in weights.items() if weight > 0.0}
    length = math.sqrt(sum(weight * weight for weight in above.values()))
    if not length > 0.0 or not math.isfinite(length):
        raise EngineError(f"seeds cannot be blended by the weights {dict(weights)}; give one above zero")
    out = np.zeros(shape, np.float32)
    for seed, weight in above.items():
        out += noise(seed, shape, stream) * np.float32(weight / length)
    return out


class TurningNoise:
    """Noise that turns into another one every `turn_s` seconds, along the arc between them, so that its
    variance stays one; held still for `turn_s` 0. The same seed and time give the same noise. One thread;
    what `at` returns is its own buffer, valid until the next call."""

    def __init__(self, shape: tuple[int, ...], turn_s: float = 0.0) -> None:
        self.turn_s = turn_s
        self._ends: dict[int, tuple[tuple[int, int], F32]] = {}
        self._out = np.empty(shape, np.float32)
        self._part = np.empty(shape, np.float32)

    def at(self, seed: int, time_s: float) -> F32:
        """The noise of `seed` at `time_s` >= 0."""
        turned = time_s / self.turn_s if self.turn_s > 0.0 else 0.0
        leg = math.floor(turned)
        angle = (turned - leg) * math.pi / 2
        np.multiply(self._end(seed, leg), np.float32(math.cos(angle)), out=self._out)
        if angle > 0.0:
            np.multiply(self._end(seed, leg + 1), np.float32(math.sin(angle)), out=self._part)
            np.add(self._out, self._part, out=self._out)
        return self._out

    def _end(self, seed: int, leg: int) -> F32:
        """The noise at the end of a leg: two are kept, even and odd."""
        held = self._ends.get(leg % 2)
        if held is None or held[0] != (seed, leg):
            held = (seed, leg), noise(seed, self._out.shape, leg)
            self._ends[leg % 2] = held
        return held[1]


class SeededNoise:
    """The noise of a frame, and of its steps: one seed, or another one, or between the two. One thread; what
    it gives is its own, valid until the next frame."""

    def __init__(self, shape: tuple[int, ...]) -> None:
        self._shape = shape
        self._turning = (TurningNoise(shape), TurningNoise(shape))
        self._out = np.empty(shape, np.float32)
        self._part = np.empty(shape, np.float32)
        self._fresh: dict[int, tuple[int, F32]] = {}

    def start(self, seeds: tuple[int, int], blend: float, turn_s: float, time_s: float) -> F32:
        """What a frame starts with: of the first seed at `blend` 0, of the second at 1, of unit variance
        between them."""
        first, second = self._turning
        first.turn_s = second.turn_s = turn_s
        angle = blend * math.pi / 2
        np.multiply(first.at(seeds[0], time_s), np.float32(math.cos(angle)), out=self._out)
        if blend > 0.0:
            np.multiply(second.at(seeds[1], time_s), np.float32(math.sin(angle)), out=self._part)
            np.add(self._out, self._part, out=self._out)
        return self._out

    def step(self, seed: int, index: int) -> F32:
        """What step `index` adds."""
        held = self._fresh.get(index)
        if held is None or held[0] != seed:
            held = self._fresh[index] = seed, fresh(seed, index, self._shape)
        return held[1]
