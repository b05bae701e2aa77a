"""A tracker without a model: whoever differs from the room as it was. For a camera that stands still."""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from vivant.runtime.body.seen import MASK_PX, Bodies
from vivant.runtime.frames import U8

FORGOTTEN_S: Final = 60.0  # who stands still for so long becomes a part of the room
FAR_OFF: Final = 24.0  # squared deviations from the room that count
EVERYTHING: Final = 0.6  # of the picture changed at once: somebody switched a lamp, or cut to another film
RELEARN: Final = 0.3
PIECES_PX: Final = (9, 25)  # somebody's legs, coat and head that are apart by less are one: people are tall
PERSON: Final = 200  # of the subtractor's levels: 255 is a person, 127 their shadow


class Moving:
    """Background subtraction by a mixture of Gaussians (Zivkovic 2004), opened and closed. One thread."""

    name = "moving"

    def __init__(self, rate_hz: float) -> None:
        import cv2

        self._subtractor: Any = cv2.createBackgroundSubtractorMOG2(  # Any: cv2 has no types
            history=round(FORGOTTEN_S * rate_hz), varThreshold=FAR_OFF, detectShadows=True
        )
        self._fine = np.ones((3, 3), np.uint8)
        self._wide = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, PIECES_PX)

    def track(self, pixels: U8, captured_ns: int) -> Bodies:
        """Who is in the frame u8 (H, W, 3)."""
        import cv2

        small = cv2.resize(pixels, (MASK_PX, MASK_PX), interpolation=cv2.INTER_AREA)
        levels = self._subtractor.apply(small)
        people = (levels >= PERSON).astype(np.uint8) * 255
        if float((people > 0).mean()) > EVERYTHING:
            self._subtractor.apply(small, learningRate=RELEARN)
            return Bodies(np.zeros((MASK_PX, MASK_PX), np.uint8))
        people = cv2.morphologyEx(people, cv2.MORPH_OPEN, self._fine)
        people = cv2.morphologyEx(people, cv2.MORPH_CLOSE, self._wide)
        return Bodies(np.asarray(cv2.blur(people, (3, 3)), np.uint8))

    def close(self) -> None:
        """Nothing is held."""
