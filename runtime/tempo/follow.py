"""A line of beats, and the straight line through things that come at equal distances."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Line:
    """Beats as a function of time: `beat` at `at_ns`, one more every `period_ns`."""

    at_ns: int
    beat: float
    period_ns: float

    def beats(self, at_ns: int) -> float:
        """Beats since beat 0."""
        return self.beat + (at_ns - self.at_ns) / self.period_ns

    def when(self, beat: float) -> int:
        """When `beat` falls."""
        return self.at_ns + round((beat - self.beat) * self.period_ns)


class Fit:
    """Least squares through the times of the last `most` of something that comes at equal distances: taps,
    the ticks of a clock. It begins anew after `longest_ns` without one, and where a distance is off by more
    than the share `tolerance` of those before."""

    def __init__(self, most: int, tolerance: float, longest_ns: int) -> None:
        self._times: deque[int] = deque(maxlen=most)
        self._tolerance, self._longest_ns = tolerance, longest_ns
        self.period_ns: float | None = None
        """The distance; None before there are two."""
        self.last_ns = 0
        """Where the line says that the last one was, which is more exact than when it came."""

    def __len__(self) -> int:
        return len(self._times)

    def add(self, at_ns: int) -> None:
        """One more, at `at_ns`; one that is said to have come before the last came with it."""
        times = self._times
        if times:
            at_ns = max(at_ns, times[-1])
            gap_ns = at_ns - times[-1]
            if gap_ns > self._longest_ns:
                times.clear()
            elif self.period_ns is not None and abs(gap_ns / self.period_ns - 1.0) > self._tolerance:
                last_ns = times[-1]
                times.clear()
                times.append(last_ns)
        times.append(at_ns)
        self._draw()

    def clear(self) -> None:
        """Forget all."""
        self._times.clear()
        self.period_ns = None

    def _draw(self) -> None:
        times, count = self._times, len(self._times)
        if count < 2 or times[0] == times[-1]:
            self.period_ns, self.last_ns = None, times[-1]
            return
        middle, first_ns = (count - 1) / 2, times[0]
        over = sum((index - middle) * (at_ns - first_ns) for index, at_ns in enumerate(times))
        self.period_ns = over / (count * (count * count - 1) / 12)
        mean_ns = first_ns + sum(at_ns - first_ns for at_ns in times) / count
        self.last_ns = round(mean_ns + self.period_ns * middle)
