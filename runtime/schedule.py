"""Messages that are meant for a later refresh: kept in a heap of limited size, never by a sleeping thread."""

from __future__ import annotations

import heapq
import itertools
from typing import Final, Generic, Literal, TypeVar

MOST: Final = 4_096  # that wait at once
FURTHEST_NS: Final = 60_000_000_000  # whoever means a later time has a clock that is wrong
USUAL_NS: Final = 16_666_667  # a refresh, until one was measured
PERIODS_NS: Final = (2_000_000, 50_000_000)  # what counts as the time of a refresh
SHARE: Final = 0.1  # of each new measurement
LOOK_AHEAD: Final = (
    1.5  # refreshes: what is drawn now is seen as this refresh ends, and half a one about that
)
#                          moment is nearer to it than to the next

Item = TypeVar("Item")


class Schedule(Generic[Item]):
    """What waits for its time. One thread uses it: the present loop's."""

    def __init__(self) -> None:
        self._heap: list[tuple[int, int, Item]] = []
        self._order = itertools.count()
        self._period_ns: float = USUAL_NS
        self._refreshed_ns: int | None = None

    def __len__(self) -> int:
        return len(self._heap)

    def put(self, item: Item, due_ns: int, now_ns: int) -> Literal["too_far", "too_many"] | None:
        """Keep `item` until `due_ns`; the reason when it is not kept."""
        if due_ns - now_ns > FURTHEST_NS:
            return "too_far"
        if len(self._heap) >= MOST:
            return "too_many"
        heapq.heappush(self._heap, (due_ns, next(self._order), item))
        return None

    def refresh(self, now_ns: int) -> list[Item]:
        """Once a refresh: what is to be seen nearest to the end of this one, the earliest first."""
        if self._refreshed_ns is not None and PERIODS_NS[0] <= now_ns - self._refreshed_ns <= PERIODS_NS[1]:
            self._period_ns += SHARE * (now_ns - self._refreshed_ns - self._period_ns)
        self._refreshed_ns = now_ns
        until_ns = now_ns + LOOK_AHEAD * self._period_ns
        found = []
        while self._heap and self._heap[0][0] <= until_ns:
            found.append(heapq.heappop(self._heap)[2])
        return found
