"""Signals: numbers about the room that triggers, drives and cues read, wherever they were found."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final, Protocol

from vivant.runtime.frames import EMPTY
from vivant.runtime.intensity import Intensity

FRESH_NS: Final = 2_000_000_000  # signals that are older say nothing of the room
SENSED: Final[Mapping[str, str]] = MappingProxyType(
    {
        "motion": "share of the picture that moves",
        "motion_x": "where it moves, from the left",
        "motion_y": "where it moves, from the top",
        "light": "mean brightness",
        "presence": "1 while somebody moves, fading over some seconds",
    }
)
"""What every picture comes with (vivant.runtime.condition), each in [0, 1]."""
OWN: Final[Mapping[str, str]] = MappingProxyType(
    {"intensity": "how much people have been doing lately", "age_s": "seconds since the scene began"}
)
"""What the present process adds."""


class Source(Protocol):
    """Something beside the senses that hears the room, on a thread of its own: sound, a clock of beats.

    All methods belong to the present loop's thread; none waits, and once it is open none raises."""

    name: str

    def describe(self) -> str:
        """What it listens to, for the first lines of a show."""

    def signals(self, now_ns: int) -> Mapping[str, float]:
        """The newest signals by name; without those that are not known now."""

    def counts(self) -> dict[str, Any]:
        """For the report."""

    def close(self) -> None:
        """End its thread and free the device. Calling it again does nothing."""


class Signals:
    """The newest signals of all sources and of the render process. One thread: the present loop's."""

    def __init__(self, sources: Sequence[Source] = ()) -> None:
        self.sources = tuple(sources)
        self._heard: Mapping[str, float] = EMPTY
        self._heard_ns = 0
        self._began_ns: int | None = None
        self.intensity = Intensity()
        self.now: Mapping[str, float] = EMPTY
        """As `step` last found them."""

    def begin(self, now_ns: int) -> None:
        """Another scene begins."""
        self._began_ns = now_ns

    def hear(self, signals: Mapping[str, float], now_ns: int) -> None:
        """What came with the newest picture. It counts for two seconds, then it is absent."""
        self._heard, self._heard_ns = signals, now_ns

    def step(self, now_ns: int) -> Mapping[str, float]:
        """Once a refresh: every signal by name."""
        self._began_ns = now_ns if self._began_ns is None else self._began_ns
        found = dict(self._heard) if now_ns - self._heard_ns <= FRESH_NS else {}
        found["intensity"] = self.intensity.step(now_ns, found)
        found["age_s"] = (now_ns - self._began_ns) / 1e9
        for source in self.sources:
            found.update(source.signals(now_ns))
        self.now = found
        return found

    def counts(self) -> dict[str, dict[str, Any]]:
        """By the name of the source."""
        return {source.name: source.counts() for source in self.sources}
