"""Who may lead the beats: a hand, a MIDI clock, what is heard, Ableton Link. Each says a line of beats."""

from __future__ import annotations

import logging
from typing import Any, Final, Protocol

from vivant.runtime.sound.hearing import Heard
from vivant.runtime.tempo.follow import Fit, Line

LOG: Final = logging.getLogger("vivant.tempo")
TAPS: Final = 8
TAP_TOLERANCE: Final = 0.3
LONGEST_TAP_NS: Final = 3_000_000_000  # a longer pause begins a new count
BOUNCE_NS: Final = 150_000_000  # nobody taps faster than 400 a minute
TICKS_A_BEAT: Final = 24
SIXTEENTH_TICKS: Final = 6
TICKS: Final = 48  # two beats: what USB and refreshes shift a tick by is averaged out
TICK_TOLERANCE: Final = 5.0  # ticks come in bundles; only a hole begins anew
MIDI_GONE_NS: Final = 500_000_000
LINK_ADVICE: Final = "Run: pip install 'vivant[link]'"


class Lead(Protocol):
    """Somebody who may lead. One thread: the present loop's."""

    name: str
    whole: bool
    """Whether it knows which beat is the first of the song, and not only when beats fall."""

    def line(self, now_ns: int) -> Line | None:
        """The beats as it knows them now; None while it knows of none."""


class Hand:
    """Taps, and a tempo that is set. Nobody leads by hand before the first of these."""

    name, whole = "tap", True

    def __init__(self) -> None:
        self._taps = Fit(TAPS, TAP_TOLERANCE, LONGEST_TAP_NS)
        self._line: Line | None = None
        self._tapped_ns: int | None = None

    def tap(self, at_ns: int) -> float | None:
        """A tap is a beat; the first of a count is the first of a bar. Returns the beats a minute that the
        taps come to, None before there are two."""
        if self._tapped_ns is not None and at_ns - self._tapped_ns < BOUNCE_NS:
            return None
        self._tapped_ns = at_ns
        self._taps.add(at_ns)
        period_ns = self._taps.period_ns
        if period_ns is None:
            if self._line is not None:
                self._line = Line(at_ns, 0.0, self._line.period_ns)
            return None
        self._line = Line(self._taps.last_ns, self._beat_of_tap(), period_ns)
        return 60e9 / period_ns

    def _beat_of_tap(self) -> float:
        """Taps that are counted in the fit, from 0; beyond its length the line goes on counting."""
        if len(self._taps) < TAPS or self._line is None:
            return float(len(self._taps) - 1)
        return float(round(self._line.beats(self._taps.last_ns)))

    def set_bpm(self, bpm: float, now_ns: int) -> None:
        """Go on at `bpm` from where the beats are."""
        beat = 0.0 if self._line is None else self._line.beats(now_ns)
        self._line = Line(now_ns, beat, 60e9 / bpm)

    def line(self, now_ns: int) -> Line | None:
        return self._line


class MidiClock:
    """24 ticks a beat, with start, stop and song position. A BeatFeed."""

    name, whole = "midi", True

    def __init__(self) -> None:
        self._fit = Fit(TICKS, TICK_TOLERANCE, MIDI_GONE_NS)
        self._tick = -1  # the number of the last tick, 0 being that of beat 0
        self._song = 0  # the number of the song's next tick
        self._runs = False
        self._came_ns: int | None = None
        self.ticks = 0
        """How many came so far."""

    def clock_tick(self, at_ns: int) -> None:
        self.ticks += 1
        self._came_ns = at_ns
        self._tick += 1
        if self._runs:
            self._song = self._tick + 1
        self._fit.add(at_ns)

    def start(self, at_ns: int) -> None:
        self._runs, self._tick, self._song = True, -1, 0

    def resume(self, at_ns: int) -> None:
        self._runs, self._tick = True, self._song - 1

    def stop(self, at_ns: int) -> None:
        self._runs = False

    def song_position(self, sixteenths: int, at_ns: int) -> None:
        self._song = max(sixteenths, 0) * SIXTEENTH_TICKS

    def line(self, now_ns: int) -> Line | None:
        if self._came_ns is None or now_ns - self._came_ns > MIDI_GONE_NS or self._fit.period_ns is None:
            return None
        beat = self._tick / TICKS_A_BEAT
        return Line(self._fit.last_ns, beat, self._fit.period_ns * TICKS_A_BEAT)


class Ears:
    """The beat that is heard. It knows when beats fall, and not which is the first of a bar."""

    name, whole = "sound", False

    def __init__(self) -> None:
        self._heard: Heard | None = None

    def hear(self, heard: Heard) -> None:
        """The newest."""
        self._heard = heard

    def line(self, now_ns: int) -> Line | None:
        if self._heard is None or self._heard.beat_ns is None:
            return None
        return Line(self._heard.beat_ns, 0.0, self._heard.pulse.period_s * 1e9)


class Link:
    """Ableton Link, through aalink: the beats of a session on the local network.

    `link` is an aalink.Link, or None where there is none to be had."""

    name, whole = "link", True

    def __init__(self, link: Any = None) -> None:
        self._link = link

    @classmethod
    def joined(cls, bpm: float) -> Link:
        """In the session, at `bpm` if nobody else is in it. Without the package one line is logged, and
        nobody leads."""
        import asyncio

        try:
            import aalink
        except ImportError:
            LOG.warning("no Ableton Link: the package aalink is not installed. %s", LINK_ADVICE)
            return cls()

        async def made() -> (
            Any
        ):  # it wants a loop to run while it is made; we only ever ask it what time it is
            return aalink.Link(bpm)

        link = asyncio.run(made())
        link.enabled = True
        return cls(link)

    @property
    def peers(self) -> int:
        """How many others are in the session."""
        return 0 if self._link is None else int(self._link.num_peers)

    def set_bpm(self, bpm: float) -> None:
        """The session's tempo, for everybody in it."""
        if self._link is not None:
            self._link.tempo = bpm

    def line(self, now_ns: int) -> Line | None:
        if self._link is None or not self.peers:
            return None
        return Line(now_ns, float(self._link.beat), 60e9 / float(self._link.tempo))

    def close(self) -> None:
        """Leave the session."""
        if self._link is not None:
            self._link.enabled = False
            self._link = None
