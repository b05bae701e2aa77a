"""Genlock: a source that keeps its own time is nudged until its pictures are ready just before a refresh.

A camera cannot be nudged. A film or the performer can, and then a picture does not lie waiting for up to
a whole refresh. (The term is that of television: generators locked to one another.)
"""

from __future__ import annotations

from typing import Final

from vivant.runtime.frames import Controls

START_MARGIN_NS: Final = 3_000_000  # how long before it must be there a picture should be, to begin with
MARGINS_NS: Final = (1_000_000, 6_000_000)
WIDEN_NS: Final = 600_000  # after a picture that missed its refresh ...
NARROW_NS: Final = 12_000  # ... and after one that did not: at rest one in fifty misses (Robbins-Monro, 1951)
SHARE: Final = 0.8  # of the error that one nudge puts right
STILL_NS: Final = 400_000  # errors below are left alone
TOGETHER: Final = 3  # pictures that are judged by their middle one, so that an outlier moves nothing


class Genlock:
    """Measures in the render loop's thread, answers in the sense's: one number is handed over, unlocked."""

    def __init__(self) -> None:
        self.margin_ns = START_MARGIN_NS
        self._errors_ns: list[int] = []
        self._nudge_ns: int | None = None

    def painted(self, ready_ns: int, controls: Controls) -> None:
        """A picture was ready at `ready_ns`; `controls` tell until when one is drawn in its refresh, and how
        long a refresh is."""
        period_ns = controls.refresh_ns
        if period_ns <= 0 or controls.draw_by_ns <= 0:
            self._nudge_ns = None
            return
        late_ns = (ready_ns - controls.draw_by_ns + self.margin_ns) % period_ns
        error_ns = late_ns - period_ns if late_ns > period_ns // 2 else late_ns
        change_ns = WIDEN_NS if error_ns > self.margin_ns else -NARROW_NS
        self.margin_ns = min(max(self.margin_ns + change_ns, MARGINS_NS[0]), MARGINS_NS[1])
        self._errors_ns.append(error_ns)
        if len(self._errors_ns) < TOGETHER:
            return
        error_ns = sorted(self._errors_ns)[TOGETHER // 2]
        self._errors_ns.clear()
        self._nudge_ns = 0 if abs(error_ns) < STILL_NS else -round(error_ns * SHARE)

    def phase_ns(self) -> int | None:
        """By how much the next frame should come later; None while nothing is known. Read once a frame."""
        nudge_ns = self._nudge_ns
        if nudge_ns is not None:
            self._nudge_ns = 0
        return nudge_ns
