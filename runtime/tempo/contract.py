"""What the show's clock of beats promises to those who ask it, and to those who feed it."""

from __future__ import annotations

from typing import Final, Literal, Protocol

Quantum = Literal["beat", "bar"]
QUANTA: Final[tuple[Quantum, ...]] = ("beat", "bar")


class Tempo(Protocol):
    """Beats as a function of time. One thread: the present loop's; nothing waits, nothing raises.

    All times are of the show's monotonic clock, in nanoseconds. Beat 0 begins a bar; until somebody tapped,
    set a tempo or was heard there is no beat, and every answer is None: then act at once.
    """

    @property
    def bpm(self) -> float | None:
        """Beats a minute in force now."""

    def beats_at(self, at_ns: int) -> float | None:
        """Beats since beat 0, with the share of the running one: 7.5 is half way from beat 7 to beat 8."""

    def next_beat_ns(self, quantum: Quantum, now_ns: int) -> int | None:
        """When the first beat (or first beat of a bar) after `now_ns` falls, as far as is known now."""

    def due(self, quantum: Quantum, now_ns: int, lead_ns: int) -> int | None:
        """When to act so that what takes `lead_ns` to become visible is seen on a beat: `lead_ns` before the
        first beat (bar) for which that time has not passed. Asking again before that time gives the same
        beat, moved by as much as the tempo has been corrected in between."""


class BeatFeed(Protocol):
    """What a MIDI clock's messages become. Call it with the time at which a message arrived; it may be called
    later than that, in the order of arrival, from the present loop's thread."""

    def clock_tick(self, at_ns: int) -> None:
        """0xF8: one of 24 in a quarter note."""

    def start(self, at_ns: int) -> None:
        """0xFA: the next tick is beat 0."""

    def resume(self, at_ns: int) -> None:
        """0xFB (continue): the next tick goes on from where the song stands."""

    def stop(self, at_ns: int) -> None:
        """0xFC: the song stands; ticks that go on coming keep the tempo, and the beats go on."""

    def song_position(self, sixteenths: int, at_ns: int) -> None:
        """0xF2: where the song stands, in sixteenth notes from its start."""
