"""What is to be seen on a beat: when its shares go, and what becomes of it when the beats change."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from vivant.runtime.tempo.contract import Quantum
from vivant.runtime.tempo.lookahead import Awaited, Lead

MS = 1_000_000
LEAD = Lead(16 * MS, 120 * MS)


@dataclass
class Beats:
    """Four to the bar at 120 beats a minute; beat 0 was at `zero_ms`. A Tempo."""

    zero_ms: float = 0.0
    bpm: float | None = 120.0

    def beats_at(self, at_ns: int) -> float | None:
        return None if self.bpm is None else (at_ns / MS - self.zero_ms) * self.bpm / 60_000

    def next_beat_ns(self, quantum: Quantum, now_ns: int) -> int | None:
        beats, every = self.beats_at(now_ns), 4 if quantum == "bar" else 1
        if beats is None or self.bpm is None:
            return None
        return round((self.zero_ms + (beats // every + 1) * every * 60_000 / self.bpm) * MS)

    def due(self, quantum: Quantum, now_ns: int, lead_ns: int) -> int | None:
        beat_ns = self.next_beat_ns(quantum, now_ns + lead_ns)
        return None if beat_ns is None else beat_ns - lead_ns


def went(waits: Awaited, beats: Beats, from_ms: int, until_ms: int) -> list[tuple[int, bool | None]]:
    """At which refresh of 16 ms each share went."""
    found = []
    for ms in range(from_ms, until_ms, 16):
        found += [(ms, drawn) for drawn, _ in waits.shares(beats, ms * MS, LEAD, 16 * MS)]
        if found and found[-1][1] is not False:
            break
    return found


def test_both_shares_go_so_that_they_are_seen_on_the_beat() -> None:
    beats = Beats()
    waits = Awaited.on("bar", beats, 100 * MS, LEAD, paints=True)
    assert (waits.beat, waits.beat_ns) == (4, 2000 * MS)
    (painted_ms, first), (drawn_ms, second) = went(waits, beats, 112, 3000)
    assert (first, second) == (False, True)
    assert abs(painted_ms - 1880) <= 8 and abs(drawn_ms - 1984) <= 8


def test_what_is_only_drawn_with_goes_whole() -> None:
    ((ms, drawn),) = went(Awaited.on("beat", Beats(), 100 * MS, LEAD, paints=False), Beats(), 112, 3000)
    assert drawn is True and abs(ms - 484) <= 8


def test_without_a_beat_it_goes_when_it_is_due() -> None:
    waits = Awaited.on("beat", None, 500 * MS, LEAD, paints=True)
    assert waits.beat is None
    assert waits.shares(None, 499 * MS, LEAD, 16 * MS) == []
    assert waits.shares(None, 510 * MS, LEAD, 16 * MS) == [(None, 500 * MS)]


@pytest.mark.parametrize("zero_ms", [-2_500_100.0, 900.0])
def test_beats_that_are_counted_anew_mean_the_next_one_and_not_a_number(zero_ms: float) -> None:
    beats = Beats()
    waits = Awaited.on("bar", beats, 100 * MS, LEAD, paints=False)
    assert went(waits, beats, 112, 1000) == []
    beats.zero_ms = zero_ms  # another leads
    next_ms = (beats.next_beat_ns("bar", 1016 * MS) or 0) / MS
    ((ms, _),) = went(waits, beats, 1000, 6000)
    assert abs(ms - (next_ms - 16)) <= 8


def test_a_tempo_that_is_corrected_is_followed() -> None:
    beats = Beats()
    waits = Awaited.on("bar", beats, 100 * MS, LEAD, paints=False)
    assert went(waits, beats, 112, 1000) == []
    beats.zero_ms = 60.0
    ((ms, _),) = went(waits, beats, 1000, 3000)
    assert abs(ms - 2044) <= 8


def test_where_the_beats_end_what_waits_goes_at_once() -> None:
    beats = Beats()
    waits = Awaited.on("bar", beats, 100 * MS, LEAD, paints=True)
    assert went(waits, beats, 112, 1000) == []
    beats.bpm = None
    assert went(waits, beats, 1000, 3000) == [(1000, False), (1000, True)]
