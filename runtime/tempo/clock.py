"""The show's clock of beats: it follows whoever leads, runs on when nobody does, and jumps for no trifle."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Final

from vivant.runtime.sound.listening import SoundSource
from vivant.runtime.tempo.contract import Quantum
from vivant.runtime.tempo.follow import Line
from vivant.runtime.tempo.leads import Ears, Hand, Lead, Link, MidiClock
from vivant.runtime.tempo.parameters import AUTO, BPM, IN_BAR, LED_BY, NUDGE_MS, TAP, TEMPO
from vivant.runtime.tree import Tree

JUMP: Final = 0.2  # beats; an error that is larger is another beat, and gone to at once
GLIDE_BEATS: Final = 1.0  # a smaller one is made good over so long
RUNS_ON_NS: Final = 8_000_000_000  # after the last word of who led: a break in the music, a loose plug
BEAT_S: Final = 0.15  # how long the signal `beat` takes to die down to 37 %


class BeatClock:
    """Beats for the whole show. A Source, and the Tempo of vivant.runtime.tempo.contract.

    `sound` is the show's ear, `link` whether to join the Link session. One thread: the present loop's."""

    name = "tempo"

    def __init__(self, tree: Tree, sound: SoundSource | None = None, link: bool = False) -> None:
        self._tree, self._sound = tree, sound
        self._hand, self.midi, self._ears = Hand(), MidiClock(), Ears()
        self._link = Link.joined(float(tree.value(BPM))) if link else Link()
        self._leads: Mapping[str, Lead] = {
            lead.name: lead for lead in (self.midi, self._link, self._hand, self._ears)
        }
        self._set_bpm = float(tree.value(BPM))
        self._line: Line | None = None
        self._led_ns, self._led_by = 0, ""
        self._error, self._error_ns = 0.0, 0  # what the beats in force lack, and since when it is made good
        self._bar_from = 0

    def signals(self, now_ns: int) -> Mapping[str, float]:
        """Once a refresh: hear whoever leads; the signals of now."""
        self._obey(now_ns)
        if self._sound is not None:
            self._ears.hear(self._sound.heard)
        found = self._leading(now_ns)
        if found is not None:
            self._follow(*found, now_ns)
        elif now_ns - self._led_ns > RUNS_ON_NS:
            self._line, self._led_by = None, ""
        return self.at(now_ns)

    def at(self, at_ns: int) -> Mapping[str, float]:
        """SIGNALS at `at_ns`; nothing while there is no beat."""
        beats, bpm = self.beats_at(at_ns), self.bpm
        if beats is None or bpm is None:
            return {}
        in_bar = int(self._tree.value(IN_BAR))
        return {
            "tempo_bpm": bpm,
            "beat": math.exp(-(beats % 1.0) * 60.0 / bpm / BEAT_S),
            "beat_phase": beats % 1.0,
            "bar_phase": beats % in_bar / in_bar,
            "beats": beats,
        }

    @property
    def bpm(self) -> float | None:
        """Beats a minute in force now."""
        return None if self._line is None else 60e9 / self._line.period_ns

    def beats_at(self, at_ns: int) -> float | None:
        """Beats since beat 0 of a bar."""
        if self._line is None:
            return None
        at_ns -= self._nudge_ns
        return self._line.beats(at_ns) - self._lacks(at_ns) - self._bar_from

    def next_beat_ns(self, quantum: Quantum, now_ns: int) -> int | None:
        """When the first beat or bar after `now_ns` falls."""
        beats = self.beats_at(now_ns)
        if beats is None:
            return None
        every = int(self._tree.value(IN_BAR)) if quantum == "bar" else 1
        return self._when((math.floor(beats / every) + 1) * every)

    def due(self, quantum: Quantum, now_ns: int, lead_ns: int) -> int | None:
        """When to act so that it is seen on a beat, `lead_ns` later."""
        beat_ns = self.next_beat_ns(quantum, now_ns + lead_ns)
        return None if beat_ns is None else beat_ns - lead_ns

    def describe(self) -> str:
        """Who leads, for the first lines of a show."""
        return f"beats led by {self._tree.value(LED_BY)}"

    def counts(self) -> dict[str, Any]:
        """For the report."""
        return {
            "bpm": self.bpm,
            "led_by": self._led_by,
            "midi_ticks": self.midi.ticks,
            "link_peers": self._link.peers,
        }

    def close(self) -> None:
        """Leave the Link session."""
        self._link.close()

    def _obey(self, now_ns: int) -> None:
        """Taps, a tempo that was set, and the beginning of the bar."""
        for action in self._tree.actions(TEMPO):
            if action.address == TAP:
                bpm = self._hand.tap(action.stamp_ns)
                if bpm is not None:
                    self._tree.set(BPM, (min(max(bpm, 20.0), 300.0),), now_ns, self.name)
                    self._set_bpm = float(self._tree.value(BPM))
            elif (beats := self.beats_at(action.stamp_ns)) is not None:
                self._bar_from += round(beats) % int(self._tree.value(IN_BAR))
        bpm = float(self._tree.value(BPM))
        if bpm != self._set_bpm or (self._tree.value(LED_BY) == "tap" and self._hand.line(now_ns) is None):
            self._set_bpm = bpm
            self._hand.set_bpm(bpm, now_ns)
            self._link.set_bpm(bpm)

    def _leading(self, now_ns: int) -> tuple[Lead, Line] | None:
        """Who leads now: the one that is asked for, or by itself the first that knows of a beat."""
        wanted = str(self._tree.value(LED_BY))
        for lead in self._leads.values() if wanted == AUTO else (self._leads[wanted],):
            line = lead.line(now_ns)
            if line is not None:
                return lead, line
        return None

    def _follow(self, lead: Lead, goal: Line, now_ns: int) -> None:
        """Go over to `goal`; where another leads than before, at once."""
        have = None if self._line is None else self._line.beats(now_ns) - self._lacks(now_ns)
        new = lead.name != self._led_by
        self._led_ns, self._led_by = now_ns, lead.name
        if lead.whole and new:
            self._bar_from = 0
        if have is None:
            self._line, self._error = goal, 0.0
            return
        if not lead.whole:  # it knows when beats fall, and we know which
            goal = Line(goal.at_ns, goal.beat + round(have - goal.beats(now_ns)), goal.period_ns)
        error = goal.beats(now_ns) - have
        self._line = goal
        self._error, self._error_ns = (0.0 if abs(error) > JUMP else error), now_ns

    def _lacks(self, at_ns: int) -> float:
        """What is still to be made good at `at_ns`, in beats."""
        if self._error == 0.0 or self._line is None:
            return 0.0
        share = (at_ns - self._error_ns) / (GLIDE_BEATS * self._line.period_ns)
        return self._error * min(max(1.0 - share, 0.0), 1.0)

    def _when(self, beat: float) -> int:
        """When `beat` falls, with what is still to be made good until then."""
        assert self._line is not None
        beat += self._bar_from
        at_ns = self._line.when(beat)
        for _ in range(3):  # each step leaves a fifth of the error at most
            at_ns = self._line.when(beat + self._lacks(at_ns))
        return at_ns + self._nudge_ns

    @property
    def _nudge_ns(self) -> int:
        return round(float(self._tree.value(NUDGE_MS)) * 1e6)
