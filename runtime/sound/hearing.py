"""From blocks of samples to what is heard: level, bands, onsets, beat. No sample is kept for longer than a
frame of 23 ms."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

import numpy as np

from vivant.runtime.frames import F32
from vivant.runtime.sound.beats import Beats, Pulse
from vivant.runtime.sound.levels import NOTHING_DB, Followers, Levels
from vivant.runtime.sound.onsets import DELAY_S, Flux, Onsets
from vivant.runtime.sound.spectrum import FRAMES_A_SECOND, Framing, Spectrum

SILENT_AFTER_S: Final = 1.0
LOUDER_DB: Final = 4.0  # above the threshold silence ends
PEAK_RELEASE_S: Final = 0.6
SURE: Final = 0.35  # a beat that is less sure is none
NO_BEAT: Final = Pulse(0.5, 0.0, 0.0)


@dataclass(frozen=True, slots=True)
class Manner:
    """How to listen: what is set during the show. Times are time constants."""

    gain_db: float = 0.0
    attack_s: float = 0.01
    release_s: float = 0.25
    silence_db: float = -55.0
    adaptive: bool = True


@dataclass(frozen=True, slots=True)
class Heard:
    """What was heard up to `at_ns`. `shares` (12,) as of Levels.of, followed; `onset` in [0, 1] struck at
    `onset_ns`; `pulse` at `pulse_ns`. `samples` (window,) and `magnitudes` (window / 2 + 1,) are the
    newest, for those who draw them; the window is 1024 at 44,100 and 48,000 Hz."""

    at_ns: int = 0
    level_db: float = NOTHING_DB
    peak: float = 0.0
    shares: F32 = field(default_factory=lambda: np.zeros(12, np.float32))
    onset: float = 0.0
    onset_ns: int = 0
    silent: bool = True
    pulse: Pulse = NO_BEAT
    pulse_ns: int = 0
    samples: F32 = field(default_factory=lambda: np.zeros(1024, np.float32))
    magnitudes: F32 = field(default_factory=lambda: np.zeros(513, np.float32))

    @property
    def beat_ns(self) -> int | None:
        """When the last beat began; None while no beat is believed in."""
        if self.pulse.sure < SURE:
            return None
        return self.pulse_ns - round(self.pulse.phase * self.pulse.period_s * 1e9)


class Hearing:
    """Listens to one stream. One thread."""

    def __init__(self, rate_hz: int, low_hz: float = 150.0, high_hz: float = 2000.0) -> None:
        self._rate_hz = rate_hz
        self._framing, self._spectrum = Framing(rate_hz), Spectrum(rate_hz)
        self._levels = Levels(rate_hz, low_hz, high_hz)
        self._flux, self._onsets, self._beats = Flux(rate_hz), Onsets(), Beats()
        self._followers = Followers(len(self._levels.ceilings.db))
        self._peak, self._quiet_frames = 0.0, SILENT_AFTER_S * FRAMES_A_SECOND
        self._onset, self._onset_ns = 0.0, 0
        self.onsets = 0
        """How many there were so far."""

    def hear(self, samples: F32, ended_ns: int, manner: Manner) -> list[Heard]:
        """What is heard of `samples` (N,) in [-1, 1], the last of which sounded at `ended_ns`: one Heard for
        each frame that they complete."""
        return [
            self._frame(frame, ended_ns - round(after * 1e9 / self._rate_hz), manner)
            for frame, after in self._framing.push(np.nan_to_num(samples, posinf=0.0, neginf=0.0))
        ]

    def _frame(self, frame: F32, ended_ns: int, manner: Manner) -> Heard:
        magnitudes = self._spectrum.of(frame)
        hop = frame[-self._framing.hop :]
        level_db, shares = self._levels.of(hop, magnitudes, manner.gain_db, manner.adaptive)
        silent = self._is_silent(level_db, manner.silence_db)
        if silent:
            shares = np.zeros_like(shares)
        followed = self._followers.step(shares, manner.attack_s, manner.release_s)
        falling = self._peak * (1.0 - 1.0 / (PEAK_RELEASE_S * FRAMES_A_SECOND))
        self._peak = max(float(shares[0]), float(followed[0]), falling)
        flux = self._flux.of(magnitudes * self._levels.gain)
        struck_ns = ended_ns - round(DELAY_S * 1e9)
        strength = self._onsets.of(flux)
        if strength is not None and not silent:
            self._onset, self._onset_ns, self.onsets = strength, struck_ns, self.onsets + 1
        pulse = self._beats.step(0.0 if silent else flux)
        return Heard(
            ended_ns,
            level_db,
            self._peak,
            followed,
            self._onset,
            self._onset_ns,
            silent,
            NO_BEAT if silent else pulse,
            struck_ns,
            frame,
            magnitudes,
        )

    def _is_silent(self, level_db: float, threshold_db: float) -> bool:
        long = SILENT_AFTER_S * FRAMES_A_SECOND
        was = self._quiet_frames >= long
        quiet = level_db < threshold_db + (LOUDER_DB if was else 0.0)
        self._quiet_frames = self._quiet_frames + 1 if quiet else 0
        return self._quiet_frames >= long
