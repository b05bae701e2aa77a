"""What is to be seen on a beat: when its shares have to be sent, so that they are seen together and on it.

What the present process draws with is on the screen a refresh later, what the student paints a picture
later: so the student's share goes first. Cues and triggers both wait for beats with this.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Self

from vivant.runtime.parameters import LOOK, ROOT
from vivant.runtime.tempo.contract import Quantum, Tempo

DRAWN: Final = (LOOK, *(ROOT + part for part in ("present/", "effect/", "transition/")))
"""What the present process draws with by itself; the rest goes to the student."""
JUMP_BEATS: Final = 0.75  # no tempo is corrected by so much between two refreshes


@dataclass(frozen=True, slots=True)
class Lead:
    """How long a value takes from the parameter tree to the screen: one that the present process draws with,
    and one of the student's."""

    drawn_ns: int = 0
    painted_ns: int = 0


@dataclass(slots=True)
class Awaited:
    """Something that goes at `due_ns`, or where there is a `beat` (its number, which falls at `beat_ns`) on
    that. `paints` where it has a share of the student's, `painted` once that is on its way."""

    due_ns: int
    quantum: Quantum | None = None
    paints: bool = True
    painted: bool = False
    beat: int | None = None
    beat_ns: int = 0

    @classmethod
    def on(cls, quantum: Quantum, tempo: Tempo | None, due_ns: int, lead: Lead, paints: bool) -> Self:
        """On the first beat (or first beat of a bar) on which can be seen what is sent from `due_ns` on;
        where nobody knows of a beat, at `due_ns`."""
        made = cls(due_ns, quantum, paints)
        made._aim(tempo, due_ns, lead)
        return made

    def shares(
        self, tempo: Tempo | None, now_ns: int, lead: Lead, refresh_ns: int
    ) -> list[tuple[bool | None, int]]:
        """What goes at this refresh, with the time at which it was due: the student's share (False), that
        which is drawn with (True), or all of it (None). With the last two of these it is over."""
        if self.beat is None:
            return [(None, self.due_ns)] if now_ns >= self.due_ns else []
        self._keep_up(tempo, now_ns, lead)
        found: list[tuple[bool | None, int]] = []
        if self.paints and not self.painted:
            start_ns = self._reached(now_ns, lead.painted_ns, refresh_ns)
            if start_ns is None:
                return []
            self.painted = True
            found.append((False, start_ns))
        start_ns = self._reached(now_ns, lead.drawn_ns, refresh_ns)
        if start_ns is not None:
            found.append((True, start_ns))
        return found

    def _aim(self, tempo: Tempo | None, from_ns: int, lead: Lead) -> None:
        lead_ns = lead.painted_ns if self.paints and not self.painted else lead.drawn_ns
        at_ns = None if tempo is None or self.quantum is None else tempo.due(self.quantum, from_ns, lead_ns)
        beats = None if tempo is None or at_ns is None else tempo.beats_at(at_ns + lead_ns)
        if at_ns is not None and beats is not None:
            self.beat, self.beat_ns = round(beats), at_ns + lead_ns

    def _keep_up(self, tempo: Tempo | None, now_ns: int, lead: Lead) -> None:
        """Follow the beat where the tempo moves it. Where it is suddenly somewhere else, beats are counted
        anew (another leads, a downbeat was tapped), and the next one is meant; where nobody knows of beats
        any more, now."""
        bpm = None if tempo is None else tempo.bpm
        beats = None if tempo is None else tempo.beats_at(now_ns)
        if self.beat is None or not bpm or beats is None:
            self.beat_ns = min(self.beat_ns, now_ns)
            return
        beat_ns = now_ns + round((self.beat - beats) * 60e9 / bpm)
        if abs(beat_ns - self.beat_ns) > JUMP_BEATS * 60e9 / bpm:
            self._aim(tempo, now_ns, lead)
        else:
            self.beat_ns = beat_ns

    def _reached(self, now_ns: int, lead_ns: int, refresh_ns: int) -> int | None:
        """When the beat falls, less `lead_ns`, once this refresh is the nearest to that; None before."""
        at_ns = self.beat_ns - lead_ns
        return min(now_ns, at_ns) if at_ns - now_ns <= refresh_ns // 2 else None
