"""Calm pictures: frames that hardly differ are not painted again, and latents remember the last one."""

from __future__ import annotations

import numpy as np

from vivant.runtime.frames import F32


class Likeness:
    """Says when a frame is so near to the last painted one that painting it would show nothing new.

    Deterministic: the same frames give the same answers. `tolerance` is a mean absolute difference of clean
    codes (1 is about their standard deviation); 0 never skips. At most `most` frames in a row are skipped,
    so that slow drifts get through. One thread.
    """

    def __init__(self, tolerance: float, most: int = 10) -> None:
        self.tolerance = tolerance
        self.most = most
        self.skipped = 0
        self._painted: F32 | None = None

    def skips(self, clean: F32) -> bool:
        """Whether to leave this frame out. A frame that is not left out is remembered as painted."""
        near = (
            self._painted is not None
            and self._painted.shape == clean.shape
            and float(np.abs(clean - self._painted).mean()) < self.tolerance
        )
        if near and self.skipped < self.most:
            self.skipped += 1
            return True
        self.skipped = 0
        self._painted = clean.copy()
        return False

    def forget(self) -> None:
        """Paint the next frame whatever it is: a control has changed."""
        self._painted = None


def remembered(clean: F32, before: F32 | None, share: float) -> F32:
    """Latent feedback: the frame's clean code with `share` in [0, 1) of the last denoised one in it."""
    if before is None or share <= 0.0:
        return clean
    return clean * np.float32(1 - share) + before * np.float32(share)
