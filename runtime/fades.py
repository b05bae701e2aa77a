"""Values on their way to a target, as pure functions of time."""

from __future__ import annotations

from dataclasses import dataclass


def smooth(share: float) -> float:
    """Smoothstep: from 0 to 1 over `share` in [0, 1] with no speed at either end, and still outside it.

    smooth(t) + smooth(1 - t) = 1, so that two weights that exchange places keep their sum.
    """
    share = min(max(share, 0.0), 1.0)
    return share * share * (3.0 - 2.0 * share)


@dataclass(frozen=True, slots=True)
class Fade:
    """From `begin` at `start_ns` to `end`, `duration_ns` later."""

    begin: float
    end: float
    start_ns: int
    duration_ns: int

    def at(self, now_ns: int) -> float:
        """The value at `now_ns`; exactly `end` from the end on."""
        if self.done(now_ns):
            return self.end
        return self.begin + (self.end - self.begin) * smooth((now_ns - self.start_ns) / self.duration_ns)

    def done(self, now_ns: int) -> bool:
        """Whether the fade has arrived."""
        return now_ns - self.start_ns >= self.duration_ns
