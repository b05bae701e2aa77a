"""Where something is struck: spectral flux that vibrato does not fool, and picking its peaks as they come.

Sources: Böck and Widmer, "Maximum filter vibrato suppression for onset detection", DAFx 2013 (the flux);
Böck, Krebs and Schedl, "Evaluating the online capabilities of onset detection methods", ISMIR 2012 (the
peaks, with nothing of the future).
"""

from __future__ import annotations

from collections import deque
from typing import Final

import numpy as np

from vivant.runtime.frames import F32
from vivant.runtime.sound.spectrum import FRAMES_A_SECOND, WINDOW_S, note_filters

LOG_GAIN: Final = 100.0  # of magnitudes before the logarithm: a note 40 dB below full scale counts a little
FALL: Final = 0.5 ** (1.0 / (6 * FRAMES_A_SECOND))  # of what counts as strong: half in six seconds
LEAST: Final = 0.012  # flux below it is noise of a room, however quiet the room is
MEAN_FRAMES: Final = 10
LATEST_FRAMES: Final = 4  # no peak within so many frames before may be higher
ABOVE_MEAN: Final = 0.12
APART_FRAMES: Final = 5


class Flux:
    """The rise of the spectrum from frame to frame, in [0, 1] of the strongest of late. One thread."""

    def __init__(self, rate_hz: int) -> None:
        self._filters = note_filters(rate_hz)
        self._before: F32 | None = None
        self._strong = LEAST

    def of(self, magnitudes: F32) -> float:
        """For the next frame's `magnitudes` (bins,), gain applied."""
        notes = np.log10(1.0 + LOG_GAIN * (magnitudes @ self._filters))
        widest = notes.copy()
        np.maximum(widest[1:], notes[:-1], out=widest[1:])
        np.maximum(widest[:-1], notes[1:], out=widest[:-1])
        before, self._before = self._before, widest
        if before is None:
            return 0.0
        rise = float(np.maximum(notes - before, 0.0).mean())
        self._strong = max(self._strong * FALL, rise, LEAST)
        return rise / self._strong


class Onsets:
    """Picks the peaks of the flux. One thread."""

    def __init__(self) -> None:
        self._recent: deque[float] = deque(maxlen=MEAN_FRAMES)
        self._since = APART_FRAMES

    def of(self, flux: float) -> float | None:
        """The strength in [0, 1] of an onset in this frame; None without one."""
        recent = self._recent
        highest = max([*recent][-LATEST_FRAMES:], default=0.0)
        mean = sum(recent) / len(recent) if recent else 0.0
        recent.append(flux)
        self._since += 1
        if flux < highest or flux < mean + ABOVE_MEAN or self._since < APART_FRAMES:
            return None
        self._since = 0
        return flux


DELAY_S: Final = 0.4 * WINDOW_S
"""An onset shows in a frame whose end lies so much later: it has to come into the bell of the window."""
