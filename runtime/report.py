"""What a show says of itself: stage times, latency, what became of every frame. Written as JSON."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from vivant.engines.diffusion.prompts import key_of
from vivant.engines.manifest import write_atomically
from vivant.runtime.frames import STAGES, Controls, Picture
from vivant.runtime.meters import Histogram

MINUTE_NS: Final = 60_000_000_000
MINUTES_KEPT: Final = 24 * 60
FROM_RENDER: Final = (
    "captured",
    "lost",
    "dropped",
    "rendered",
    "admitted",
    "softened",
    "held",
    "errors",
    "skipped",
    "prompts_refused",
    "part_by_part",
    "without_graph",
)


@dataclass(slots=True)
class Meters:
    """Every number of a show, filled by the present loop without a lock.

    `capture_to_present` ends with the draw that first shows a frame; `capture_to_refresh` with the refresh
    at which a display would show it; `minutes` holds capture_to_present minute by minute. The stages of
    one picture add up to its capture_to_present.
    """

    stages: dict[str, Histogram] = field(default_factory=lambda: {stage: Histogram() for stage in STAGES})
    capture_to_present: Histogram = field(default_factory=Histogram)
    capture_to_refresh: Histogram = field(default_factory=Histogram)
    present_interval: Histogram = field(default_factory=Histogram)
    presented: int = 0
    repeated: int = 0
    late: int = 0
    refused: int = 0
    first_picture_ms: float | None = None
    longest_gap_ms: float = 0.0
    minutes: deque[dict[str, Any]] = field(default_factory=lambda: deque(maxlen=MINUTES_KEPT))
    _minute: Histogram = field(default_factory=Histogram)
    _minute_ns: int = 0
    _past: dict[str, int] = field(default_factory=lambda: dict.fromkeys(FROM_RENDER, 0))
    _now: dict[str, int] = field(default_factory=lambda: dict.fromkeys(FROM_RENDER, 0))

    def took(self, picture: Picture) -> None:
        """A picture arrived, admitted or not: its stages and the render process's totals."""
        for stage, ms in picture.timings_ms.items():
            if stage in self.stages:
                self.stages[stage].add(ms)
        if picture.counts.get("rendered", 0) < self._now["rendered"]:  # a new process counts from zero
            self._past = {name: self._past[name] + self._now[name] for name in FROM_RENDER}
        self._now = {name: int(picture.counts.get(name, 0)) for name in FROM_RENDER}

    def latency(self, ms: float, now_ns: int) -> None:
        """A picture was shown for the first time, `ms` after it was captured."""
        self.capture_to_present.add(ms)
        if now_ns - self._minute_ns >= MINUTE_NS:
            if self._minute.count:
                self.minutes.append(self._minute.snapshot())
            self._minute, self._minute_ns = Histogram(), now_ns
        self._minute.add(ms)

    def frames(self) -> dict[str, int]:
        """What became of the frames, over all render processes of this show."""
        totals = {name: self._past[name] + self._now[name] for name in FROM_RENDER}
        own = {
            "presented": self.presented,
            "repeated": self.repeated,
            "late": self.late,
            "refused": self.refused,
        }
        return totals | own

    def as_dict(self) -> dict[str, Any]:
        """The measured part of the report."""
        interval = self.present_interval.snapshot()
        low, high = self.present_interval.percentile(1), self.present_interval.percentile(99)
        jitter = None if low is None or high is None else high - low
        return {
            "stages": {stage: meter.snapshot() for stage, meter in self.stages.items()},
            "capture_to_present": self.capture_to_present.snapshot(),
            "capture_to_refresh": self.capture_to_refresh.snapshot(),
            "minutes": list(self.minutes),
            "frames": self.frames(),
            "present_interval": interval | {"jitter_ms": jitter},
            "first_picture_ms": self.first_picture_ms,
        }


def asked_of(student: Mapping[str, Any], controls: Controls) -> dict[str, Any]:
    """What the show asked of its student at the end: steps, and the prompt that was heard with the hash that
    its embedding is kept by (none for a student without prompts)."""
    said = {"steps": controls.steps, "strength": controls.strength}
    if "encoders" not in student:
        return said
    return said | {
        "prompt": controls.prompt,
        "prompt_hash": key_of(str(student["encoders"]), controls.prompt),
    }


def write_json(value: Mapping[str, Any], path: Path) -> None:
    """Write a report so that it is there whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, (json.dumps(value, indent=2) + "\n").encode())
