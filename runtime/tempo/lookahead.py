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


@dataclass(frozen=True, slots=True)
class Lead:
    """How long a value takes from the parameter tree to the screen: one that the present process draws with,
    and one of the student's."""

    drawn_ns: int = 0
    painted_ns: int = 0


@dataclass(slots=True)
class Awaited:
    """Something that goes at `due_ns`, or where there is a `beat` (its number) on that. `paints` where it has
    a share of the student's, `painted` once that is on its way."""

    due_ns: int
    beat: int | None = None
    paints: bool = True
    painted: bool = False

    @classmethod
    def on(cls, quantum: Quantum, tempo: Tempo | None, due_ns: int, lead: Lead, paints: bool) -> Self:
        """On the first beat (or first beat of a bar) on which can be seen what is sent from `due_ns` on;
        where nobody knows of a beat, at `due_ns`."""
        lead_ns = lead.painted_ns if paints else lead.drawn_ns
        at_ns = None if tempo is None else tempo.due(quantum, due_ns, lead_ns)
        beats = None if tempo is None or at_ns is None else tempo.beats_at(at_ns + lead_ns)
        return cls(due_ns, None if beats is None else round(beats), paints)

    def shares(
        self, tempo: Tempo | None, now_ns: int, lead: Lead, refresh_ns: int
    ) -> list[tuple[bool | None, int]]:
        """What goes at this refresh, with the time at which it was due: the student's share (False), that
        which is drawn with (True), or all of it (None). With the last two of these it is over."""
        if self.beat is None:
            return [(None, self.due_ns)] if now_ns >= self.due_ns else []
        found: list[tuple[bool | None, int]] = []
        if self.paints and not self.painted:
            start_ns = _reached(tempo, self.beat, now_ns, lead.painted_ns, refresh_ns)
            if start_ns is None:
                return []
            self.painted = True
            found.append((False, start_ns))
        start_ns = _reached(tempo, self.beat, now_ns, lead.drawn_ns, refresh_ns)
        if start_ns is not None:
            found.append((True, start_ns))
        return found


def _reached(tempo: Tempo | None, beat: int, now_ns: int, lead_ns: int, refresh_ns: int) -> int | None:
    """When a beat fell, less `lead_ns`, once this refresh is the nearest to that; None before. A beat that is
    not known any more is now."""
    at_ns = when(tempo, beat, now_ns, lead_ns)
    if at_ns is None:
        return now_ns
    return min(now_ns, at_ns) if at_ns - now_ns <= refresh_ns // 2 else None


def when(tempo: Tempo | None, beat: int, now_ns: int, lead_ns: int = 0) -> int | None:
    """When `beat` falls, less `lead_ns`; None where nobody knows of beats."""
    bpm = None if tempo is None else tempo.bpm
    beats = None if tempo is None else tempo.beats_at(now_ns + lead_ns)
    return None if not bpm or beats is None else now_ns + round((beat - beats) * 60e9 / bpm)
