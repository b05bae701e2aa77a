"""Histograms of durations, so that a show of weeks can be measured at no cost to a frame."""

from __future__ import annotations

import math
from array import array
from typing import Final

LOWEST_MS: Final = 0.01
HIGHEST_MS: Final = 10_000.0
GROWTH: Final = 1.025  # ratio of one bucket's edge to the one below: a percentile is within half of that
_PER_LOG: Final = 1.0 / math.log(GROWTH)
BUCKETS: Final = math.ceil(math.log(HIGHEST_MS / LOWEST_MS) * _PER_LOG) + 2  # and one beyond each end


def _bucket(ms: float) -> int:
    if not ms >= LOWEST_MS:  # also catches a NaN
        return 0
    if ms >= HIGHEST_MS:
        return BUCKETS - 1
    return 1 + int(math.log(ms / LOWEST_MS) * _PER_LOG)


class Histogram:
    """Counts of durations in fixed logarithmic buckets from 0.01 ms to 10 s.

    One thread adds; any thread may read meanwhile, and is then off by the sample being added at most.
    Percentiles are within 1.25 % of a true sample; the extremes, the count and the mean are exact.
    """

    __slots__ = ("_counts", "_highest_ms", "_lowest_ms", "_sum_ms", "count")

    def __init__(self) -> None:
        self._counts = array("Q", bytes(8 * BUCKETS))
        self.count = 0
        self._sum_ms = 0.0
        self._lowest_ms = math.inf
        self._highest_ms = 0.0

    def add(self, ms: float) -> None:
        """Count one duration. A negative one or a NaN is counted as 0: a meter never ends a show."""
        if not ms >= 0.0:
            ms = 0.0
        self._counts[_bucket(ms)] += 1
        self.count += 1
        self._sum_ms += ms
        if ms > self._highest_ms:
            self._highest_ms = ms
        if ms < self._lowest_ms:
            self._lowest_ms = ms

    def merge(self, other: Histogram) -> None:
        """Add all of `other`'s samples to these."""
        for index, count in enumerate(other._counts):
            self._counts[index] += count
        self.count += other.count
        self._sum_ms += other._sum_ms
        self._highest_ms = max(self._highest_ms, other._highest_ms)
        self._lowest_ms = min(self._lowest_ms, other._lowest_ms)

    def percentile(self, percent: float) -> float | None:
        """The duration in ms that `percent` in [0, 100] of the samples do not exceed; None when empty."""
        if self.count == 0:
            return None
        rank = max(1, math.ceil(self.count * percent / 100.0))
        seen = 0
        for index, count in enumerate(self._counts):
            seen += count
            if seen >= rank:
                return min(max(self._middle_ms(index), self._lowest_ms), self._highest_ms)
        return self._highest_ms

    def _middle_ms(self, index: int) -> float:
        if index == 0:
            return self._lowest_ms
        if index == BUCKETS - 1:
            return self._highest_ms
        return LOWEST_MS * math.exp((index - 0.5) / _PER_LOG)

    @property
    def mean_ms(self) -> float | None:
        return self._sum_ms / self.count if self.count else None

    @property
    def max_ms(self) -> float | None:
        return self._highest_ms if self.count else None

    def snapshot(self) -> dict[str, float | int | None]:
        """What a report holds: `p50_ms`, `p95_ms`, `p99_ms`, `max_ms` (None when empty) and `count`."""
        return {
            "p50_ms": self.percentile(50),
            "p95_ms": self.percentile(95),
            "p99_ms": self.percentile(99),
            "max_ms": self.max_ms,
            "count": self.count,
        }


class Window:
    """The last `length` durations, for decisions that must forget: the quality ladder. One thread."""

    __slots__ = ("_next", "_ring", "count")

    def __init__(self, length: int) -> None:
        if length < 1:
            raise ValueError(f"a window holds at least one sample, {length} was asked for")
        self._ring = array("d", bytes(8 * length))
        self._next = 0
        self.count = 0

    def add(self, ms: float) -> None:
        self._ring[self._next] = ms
        self._next = (self._next + 1) % len(self._ring)
        self.count = min(self.count + 1, len(self._ring))

    def clear(self) -> None:
        """Forget all: what was measured at another size says nothing about this one."""
        self._next = 0
        self.count = 0

    @property
    def full(self) -> bool:
        return self.count == len(self._ring)

    def percentile(self, percent: float) -> float | None:
        """As Histogram.percentile, but exact. Sorts the window: not for every frame."""
        if self.count == 0:
            return None
        ordered = sorted(self._ring[: self.count])
        return ordered[max(1, math.ceil(self.count * percent / 100.0)) - 1]
