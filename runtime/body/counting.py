"""How many people a mask shows, and where the largest of them is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from vivant.runtime.frames import U8

SURE: Final = 128  # a mask's level from which somebody is there
SMALLEST: Final = 0.001  # share of the picture that one person covers at least
SLIGHT: Final = 0.06  # of the largest one's size: what is smaller is a hand or a mistake


@dataclass(frozen=True, slots=True)
class Silhouettes:
    """`people` apart from each other; `share` of the picture that all cover; the middle (x, y) of the largest
    as shares of the picture; `confidence` in [0, 1], how sure the mask is of what it shows."""

    people: int = 0
    share: float = 0.0
    x: float = 0.5
    y: float = 0.5
    confidence: float = 0.0


NOBODY: Final = Silhouettes()


def silhouettes(mask: U8) -> Silhouettes:
    """The people of a mask u8 (h, w). People who touch are one: a mask cannot tell them apart."""
    import cv2

    sure = cv2.morphologyEx((mask >= SURE).astype(np.uint8), cv2.MORPH_OPEN, np.ones((3, 3), np.uint8))
    _, labels, stats, middles = cv2.connectedComponentsWithStats(sure, connectivity=8)
    areas = stats[1:, cv2.CC_STAT_AREA]
    if not len(areas):
        return NOBODY
    least = max(SMALLEST * mask.size, SLIGHT * float(areas.max()))
    kept = np.flatnonzero(areas >= least) + 1
    if not len(kept):
        return NOBODY
    first = int(kept[np.argmax(areas[kept - 1])])
    height, width = mask.shape
    x, y = middles[first] + 0.5
    inside = mask[np.isin(labels, kept)]
    return Silhouettes(
        len(kept),
        float(areas[kept - 1].sum()) / mask.size,
        float(x) / width,
        float(y) / height,
        float(inside.mean()) / 255.0,
    )
