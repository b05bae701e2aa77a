"""Frames of sound as spectra: one each hundredth of a second.

Source of the filter bank: Böck and Widmer, "Maximum filter vibrato suppression for onset detection",
DAFx 2013 (SuperFlux): triangular filters, 24 an octave.
"""

from __future__ import annotations

import itertools
import math
from typing import Final

import numpy as np

from vivant.runtime.frames import F32

FRAMES_A_SECOND: Final = 100
WINDOW_S: Final = 0.0232  # longer would hear lower notes, and later
PER_OCTAVE: Final = 24
LOWEST_HZ, HIGHEST_HZ = 27.5, 16_000.0


def window_for(rate_hz: int) -> int:
    """Samples in a frame: the power of two that is nearest to WINDOW_S, 1024 at 44,100 and 48,000 Hz."""
    return int(2 ** round(math.log2(rate_hz * WINDOW_S)))


class Framing:
    """Cuts a stream of samples into frames of `window_for` samples, `hop` apart. One thread."""

    def __init__(self, rate_hz: int) -> None:
        self.hop = rate_hz // FRAMES_A_SECOND
        self._samples = np.zeros(window_for(rate_hz), np.float32)
        self._missing = self.hop

    def push(self, samples: F32) -> list[tuple[F32, int]]:
        """The frames that `samples` (N,) complete, each with how many of these samples lie after its end. The
        frames are copies."""
        frames, begin = [], 0
        while len(samples) - begin >= self._missing:
            self._append(samples[begin : begin + self._missing])
            begin += self._missing
            self._missing = self.hop
            frames.append((self._samples.copy(), len(samples) - begin))
        rest = samples[begin:]
        if len(rest):
            self._append(rest)
            self._missing -= len(rest)
        return frames

    def _append(self, samples: F32) -> None:
        count = min(len(samples), len(self._samples))
        self._samples[:-count] = self._samples[count:]
        self._samples[-count:] = samples[-count:]


class Spectrum:
    """Magnitudes of a frame."""

    def __init__(self, rate_hz: int) -> None:
        self._window = np.hanning(window_for(rate_hz)).astype(np.float32)
        self._scale = np.float32(2.0 / self._window.sum())

    def of(self, frame: F32) -> F32:
        """float32 (window / 2 + 1,); a sine of full scale has a magnitude of 1."""
        magnitudes: F32 = np.abs(np.fft.rfft(frame * self._window)).astype(np.float32)
        magnitudes *= self._scale
        return magnitudes


def note_filters(rate_hz: int) -> F32:
    """float32 (bins, filters): triangles at PER_OCTAVE an octave, without those that hold no bin of their
    own."""
    count = math.floor(PER_OCTAVE * math.log2(min(HIGHEST_HZ, 0.45 * rate_hz) / LOWEST_HZ))
    centres_hz = LOWEST_HZ * 2.0 ** (np.arange(count + 1) / PER_OCTAVE)
    window = window_for(rate_hz)
    bins = np.unique(np.round(centres_hz * window / rate_hz).astype(int))
    bins = bins[bins > 0]
    filters = np.zeros((window // 2 + 1, len(bins) - 2), np.float32)
    for index, (low, centre, high) in enumerate(zip(bins, bins[1:], bins[2:], strict=False)):
        filters[low : centre + 1, index] = np.linspace(0.0, 1.0, centre - low + 1)
        filters[centre : high + 1, index] = np.linspace(1.0, 0.0, high - centre + 1)
    return filters


def band_filters(rate_hz: int, edges_hz: tuple[float, ...]) -> F32:
    """float32 (bins, bands): which bins lie between two `edges_hz`; each band has one bin at least."""
    hz = np.fft.rfftfreq(window_for(rate_hz), 1.0 / rate_hz)
    filters = np.zeros((len(hz), len(edges_hz) - 1), np.float32)
    for index, (low, high) in enumerate(itertools.pairwise(edges_hz)):
        inside = (hz >= low) & (hz < high)
        inside[np.argmin(np.abs(hz - (low * high) ** 0.5))] = True
        filters[inside, index] = 1.0
    return filters
