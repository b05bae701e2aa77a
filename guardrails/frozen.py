"""The policy that notices a student that stopped: the same latent again and again while its input moves."""

from __future__ import annotations

from typing import Final

import cv2
import numpy as np

from vivant.engines.diffusion.wishes import SKIP
from vivant.runtime.frames import F32, U8, Clock, Controls, Judgement, Latent, Verdict

CELLS: Final = 24  # a side: the input is watched in so many squares
LOOKS: Final = 6  # a side: so many of its pixels, which is enough against noise and a tenth of the work
MOVED: Final = 0.08  # of full light, the mean of a square: far more than what is smoothed away as noise
EVERY: Final = 2  # row of a code is compared
FINE: Final = 4  # rows of the guide to a row of the code
FROZEN_S: Final = 1.5  # longer than any student is late, shorter than anyone would wonder


class Frozen:
    """Holds when rows of latents have been equal, bit by bit, for FROZEN_S while what `see` was shown did
    move. A still room is no fault, and neither is a student that was told to leave frames out. One thread."""

    name = "frozen"

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.forget()

    def forget(self) -> None:
        """Begin anew."""
        self._seen: F32 | None = None
        self._before: F32 | None = None  # what was seen when the latent last changed
        self._last: tuple[bytes, bytes] = (b"", b"")
        self._since_ns = 0
        self._moved = False

    def see(self, pixels: U8) -> None:
        """What the next latent is made from, u8 (H, W, 3)."""
        side = CELLS * LOOKS
        few = cv2.resize(pixels, (side, side), interpolation=cv2.INTER_NEAREST)
        self._seen = np.asarray(cv2.resize(few, (CELLS, CELLS), interpolation=cv2.INTER_AREA), np.float32)

    def judge(self, latent: Latent, controls: Controls) -> Verdict:
        rows = _rows(latent)
        same, self._last = rows == self._last, rows
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


def _rows(latent: Latent) -> tuple[bytes, bytes]:
    """Those of the code, and of the guide where there is one, that are compared: an encoder spreads whatever
    moves over several of them. Bytes, for two that differ do so in the first of them."""
    code, guide = latent.code[:, :, ::EVERY], latent.guide
    return code.tobytes(), b"" if guide is None else guide[:, :, :: FINE * EVERY].tobytes()
