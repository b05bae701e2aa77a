"""Signals of the pictures and of other sources, as triggers read them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from vivant.runtime.signals import Signals

SECOND = 1_000_000_000


class Drum:
    """A source that knows its level from its second signal on."""

    name = "drum"

    def __init__(self) -> None:
        self.asked = 0

    def describe(self) -> str:
        return "a drum"

    def signals(self, now_ns: int) -> Mapping[str, float]:
        self.asked += 1
        return {"level": 0.5} if self.asked > 1 else {}

    def counts(self) -> dict[str, Any]:
        return {"asked": self.asked}

    def close(self) -> None:
        """A drum holds nothing."""


def test_what_came_with_a_picture_counts_for_two_seconds() -> None:
    room = Signals()
    room.hear({"motion": 0.25}, 0)
    assert room.step(2 * SECOND)["motion"] == 0.25
    assert "motion" not in room.step(2 * SECOND + 1)


def test_sources_are_asked_once_a_refresh_and_say_nothing_while_they_know_nothing() -> None:
    drum = Drum()
    room = Signals([drum])
    assert "level" not in room.step(0)
    assert room.step(1)["level"] == 0.5 and room.now["level"] == 0.5
    assert room.counts() == {"drum": {"asked": 2}}


def test_age_and_intensity_are_its_own() -> None:
    room = Signals()
    assert room.step(5 * SECOND)["age_s"] == 0.0
    room.hear({"motion": 1.0}, 6 * SECOND)
    found = room.step(7 * SECOND)
    assert found["age_s"] == 2.0
    assert 0.0 < found["intensity"] == room.intensity.value
