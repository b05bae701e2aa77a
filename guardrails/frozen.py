"""The policy that notices a student that stopped: the same latent again and again while its input moves."""

from __future__ import annotations

from typing import Final

import cv2
import numpy as np

from vivant.engines.diffusion.wishes import SKIP
from vivant.runtime.frames import F32, U8, Clock, Controls, Judgement, Latent, Verdict

CELLS: Final = 24  # a side: the input is watched in so many squares
MOVED: Final = 0.08  # of full light, the mean of a square: far more than what is smoothed away as noise
FROZEN_S: Final = 1.5  # longer than any student is late, shorter than anyone would wonder


class Frozen:
    """Holds when latents have been equal, bit by bit, for FROZEN_S while what `see` was shown did move. A
    still room is no fault, and neither is a student that was told to leave frames out. One thread."""

    name = "frozen"

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.forget()

    def forget(self) -> None:
        """Begin anew."""
        self._seen: F32 | None = None
        self._before: F32 | None = None  # what was seen when the latent last changed
        self._last: Latent | None = None
        self._since_ns = 0
        self._moved = False

    def see(self, pixels: U8) -> None:
        """What the next latent is made from, u8 (H, W, 3)."""
        small = cv2.resize(pixels, (CELLS, CELLS), interpolation=cv2.INTER_AREA)
        self._seen = np.asarray(small, np.float32)

    def judge(self, latent: Latent, controls: Controls) -> Verdict:
        same = self._equal(latent)
        if not same:
            guide = None if latent.guide is None else latent.guide.copy()
            self._last = Latent(latent.code.copy(), guide)
        return self.told(same, controls)

    def told(self, same: bool, controls: Controls) -> Verdict:
        """The verdict on a latent that lies elsewhere, by whether it is the `same` as the one before."""
        now_ns = self._clock.now_ns()
        if not same or float(controls.numbers.get(SKIP, 0.0)) > 0.0:
            self._before, self._since_ns, self._moved = self._seen, now_ns, False
            return Verdict(Judgement.PASS, 1.0, "it moves")
        if self._seen is not None and self._before is not None:
            self._moved |= bool(np.abs(self._seen - self._before).mean(2).max() > MOVED * 255)
        frozen_s = (now_ns - self._since_ns) / 1e9
        if self._moved and frozen_s > FROZEN_S:
            reason = f"the latent has been the same for {frozen_s:.1f} s while the input moved"
            return Verdict(Judgement.HOLD, 0.0, reason)
        return Verdict(Judgement.PASS, 1.0, "as still as its input")

    def _equal(self, latent: Latent) -> bool:
        last = self._last
        if last is None or last.code.shape != latent.code.shape:
            return False
        if not np.array_equal(last.code, latent.code):
            return False
        if last.guide is None or latent.guide is None:
            return last.guide is latent.guide
        return np.array_equal(last.guide, latent.guide)
