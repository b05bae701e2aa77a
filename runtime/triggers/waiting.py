"""What triggers do, on its way: at once, or where a trigger says `on`, with the next beat or bar."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from vivant.runtime.tempo.contract import Quantum, Tempo
from vivant.runtime.tempo.lookahead import DRAWN, Awaited, Lead
from vivant.runtime.triggers.actions import Change
from vivant.runtime.triggers.engine import Event
from vivant.runtime.triggers.rules import Act

A_QUARTER_NS: Final = 15e9  # of a beat, over the beats a minute: past one, and well before the next


@dataclass(slots=True)
class Pending:
    """An event whose acts have not all been carried out. `key` decides what "random" picks; `made` is what
    was changed so far."""

    event: Event
    acts: tuple[Act, ...]
    key: str
    waits: Awaited
    made: tuple[Change, ...] = ()


class Waiting:
    """Events in the order in which they came. Of one trigger at most two wait: that it acts, and that it
    ends, which comes on a later beat, so that what was done is seen at all."""

    def __init__(self, tempo: Tempo | None) -> None:
        self._tempo = tempo
        self._queue: list[Pending] = []
        self.without_beat = 0
        """Events that wanted a beat while nobody knew of one: they acted at once."""

    def put(self, event: Event, on: Quantum | None, key: str, lead: Lead) -> None:
        """One more event. One that begins takes back an end that still waits; one that ends because another
        of its group fired takes back what it would have done."""
        acting, ending = self._of(event, "fired"), self._of(event, "ended")
        if event.what == "fired":
            self._take_back(ending)
            if acting is not None and not acting.waits.painted:
                return
        elif event.why == "another fired" and acting is not None and not acting.waits.painted:
            self._take_back(acting)
            return
        acts = event.rule.do if event.what == "fired" else event.rule.after
        waits = Awaited(event.now_ns)
        if on is not None:
            paints = any(not act.address.startswith(DRAWN) for act in acts)
            lead_ns = lead.painted_ns if paints else lead.drawn_ns
            from_ns = event.now_ns
            if acting is not None and event.why != "another fired":
                from_ns = max(from_ns, self._past(acting) - lead_ns)
            waits = Awaited.on(on, self._tempo, from_ns, lead, paints)
            self.without_beat += waits.beat is None
        self._queue.append(Pending(event, acts, key, waits))

    def due(self, now_ns: int, lead: Lead, refresh_ns: int) -> Iterator[tuple[Pending, bool | None, int]]:
        """What goes at this refresh: Awaited.shares of each."""
        for one in tuple(self._queue):
            for drawn, start_ns in one.waits.shares(self._tempo, now_ns, lead, refresh_ns):
                if drawn is not False:
                    self._queue.remove(one)
                yield one, drawn, start_ns

    def call_off(self) -> None:
        """Forget what waits, but for what somebody asked for by hand and what has half gone."""
        self._queue = [one for one in self._queue if one.waits.painted or one.event.why == "by hand"]

    def _of(self, event: Event, what: str) -> Pending | None:
        """The last that waits of the same trigger."""
        found = (p for p in reversed(self._queue) if p.event.rule is event.rule and p.event.what == what)
        return next(found, None)

    def _take_back(self, one: Pending | None) -> None:
        if one is not None and not one.waits.painted:
            self._queue.remove(one)

    def _past(self, one: Pending) -> int:
        """Shortly after the beat on which `one` is seen."""
        bpm = None if self._tempo is None else self._tempo.bpm
        return one.waits.beat_ns + round(A_QUARTER_NS / bpm) if bpm else 0
