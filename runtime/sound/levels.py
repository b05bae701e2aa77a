"""How loud it is, as a whole and by bands: decibels turned into numbers in [0, 1] that fit the room."""

from __future__ import annotations

import math
from typing import Final

import numpy as np

from vivant.runtime.frames import F32
from vivant.runtime.sound.spectrum import FRAMES_A_SECOND, band_filters

SPAN_DB: Final = 24.0  # from the ceiling down to what counts as 0
ROOF_DB: Final = 0.0  # the ceiling of those who do not adapt: full scale
LOWEST_CEILING_DB: Final = -50.0  # noise of an empty room is not made to look like a party
RISE_S, FALL_DB_S = 0.4, 0.6  # how fast a ceiling follows something louder, and sinks after it
NOTHING_DB: Final = -120.0
EIGHT_HZ: Final = (30.0, 80.0, 160.0, 320.0, 640.0, 1280.0, 2560.0, 5120.0, 14_000.0)


class Ceilings:
    """For each of several levels in dB, what counts as loud of late. One thread."""

    def __init__(self, count: int) -> None:
        self.db: F32 = np.full(count, ROOF_DB - 18.0, np.float32)

    def shares(self, levels_db: F32, gain_db: float, adaptive: bool) -> F32:
        """(count,) in [0, 1]: where each level lies between SPAN_DB below its ceiling and the ceiling."""
        self.db = np.where(
            levels_db > self.db,
            self.db + (levels_db - self.db) / (RISE_S * FRAMES_A_SECOND),
            np.maximum(self.db - FALL_DB_S / FRAMES_A_SECOND, LOWEST_CEILING_DB),
        ).astype(np.float32)
        ceilings = self.db if adaptive else np.float32(ROOF_DB)
        shares: F32 = np.clip(1.0 + (levels_db + gain_db - ceilings) / SPAN_DB, 0.0, 1.0)
        return shares


class Levels:
    """Loudness of frames. One thread."""

    def __init__(self, rate_hz: int, low_hz: float, high_hz: float) -> None:
        three = band_filters(rate_hz, (20.0, low_hz, high_hz, 0.45 * rate_hz))
        top_hz = min(EIGHT_HZ[-1], 0.45 * rate_hz)
        eight = band_filters(rate_hz, (*(min(hz, 0.9 * top_hz) for hz in EIGHT_HZ[:-1]), top_hz))
        self._filters = np.concatenate([three, eight], axis=1)
        self.ceilings = Ceilings(1 + self._filters.shape[1])

    def of(self, hop: F32, magnitudes: F32, gain_db: float, adaptive: bool) -> tuple[float, F32]:
        """The level of `hop` (the frame's newest samples) in dBFS, a sine of full scale at -3; and the shares
        (12,) of the whole, of low, mid and high, and of eight bands."""
        level_db = in_db(float(np.mean(np.square(hop))))
        powers = np.square(magnitudes) @ self._filters
        bands_db = 10.0 * np.log10(np.maximum(powers * 0.5, 1e-12))
        levels_db = np.concatenate([[level_db], bands_db]).astype(np.float32)
        return level_db, self.ceilings.shares(levels_db, gain_db, adaptive)

    @property
    def gain(self) -> float:
        """What brings the loudest of late to full scale, as a factor."""
        return float(10.0 ** (-float(self.ceilings.db[0]) / 20.0))


class Followers:
    """Values that go up within `attack_s` and down within `release_s` (time constants). One thread."""

    def __init__(self, count: int) -> None:
        self.values: F32 = np.zeros(count, np.float32)

    def step(self, goals: F32, attack_s: float, release_s: float) -> F32:
        """One frame further toward `goals` (count,)."""
        up, down = (1.0 - math.exp(-1.0 / (FRAMES_A_SECOND * max(s, 1e-3))) for s in (attack_s, release_s))
        share = np.where(goals > self.values, up, down)
        self.values = (self.values + share * (goals - self.values)).astype(np.float32)
        return self.values


def in_db(power: float) -> float:
    """Decibels of a mean square; NOTHING_DB of nothing at all."""
    return max(10.0 * math.log10(power), NOTHING_DB) if power > 0.0 else NOTHING_DB
