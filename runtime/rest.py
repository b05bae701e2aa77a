"""Keeps a latent at rest where nothing moves: an INT8 student answers the least change all over the picture.

Measured: one grey level in one of a hundred pixels changed the picture by 0.0024 to 0.0041 in the mean, in
float by 0.0001 to 0.0003.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from vivant.runtime.frames import F32, Latent

CODE_BAND: Final = 0.16  # of a code of unit variance, at full smoothing
GUIDE_BAND: Final = 0.014  # of luma in [0, 1]: three and a half grey levels


class Rest:
    """For one size of latent. One thread; what it gives is its own and valid until the next call."""

    def __init__(self) -> None:
        self._code: F32 | None = None
        self._guide: F32 | None = None

    def settle(self, latent: Latent, smooth: float) -> Latent:
        """The latent, with every value that moved by less than noise does left where it was. `smooth` in
        [0, 1] scales how much that is; 0 takes the latent as it is."""
        if smooth <= 0.0:
            self.forget()
            return latent
        self._code = _followed(self._code, latent.code, CODE_BAND * smooth)
        if latent.guide is not None:
            self._guide = _followed(self._guide, latent.guide, GUIDE_BAND * smooth)
        return Latent(self._code, self._guide, latent.sigma, latent.scaled)

    def forget(self) -> None:
        """Take the next latent as it is."""
        self._code = self._guide = None


def _followed(held: F32 | None, now: F32, band: float) -> F32:
    if held is None:
        return now.copy()
    # a value that is NaN compares false to everything: it must come through, for the guard to see
    with np.errstate(invalid="ignore"):
        np.copyto(held, now, where=~(np.abs(now - held) <= band))
    return held
