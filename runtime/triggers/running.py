"""Triggers in a show: once a refresh they see the signals and the clock, and change the parameters."""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from vivant.runtime.frames import Value
from vivant.runtime.tempo.contract import Quantum, Tempo
from vivant.runtime.tempo.lookahead import Lead
from vivant.runtime.tree import Tree
from vivant.runtime.triggers.actions import Change, carry_out
from vivant.runtime.triggers.agreement import ENABLED, FIRE, TRIGGER
from vivant.runtime.triggers.almanac import Almanac, zone_of
from vivant.runtime.triggers.conditions import Setting, World
from vivant.runtime.triggers.engine import Engine, Event
from vivant.runtime.triggers.rules import Calendar, Declared, Rule
from vivant.runtime.triggers.waiting import Pending, Waiting

LOG: Final = logging.getLogger("vivant.triggers")
QUIET_NS: Final = 5_000_000_000  # a trigger that fires again sooner is counted, but no line in the log
DOOR: Final = len(TRIGGER)
NO_LEAD: Final = Lead()


@dataclass(frozen=True, slots=True)
class Firing:
    """An event with what it changed: what is reported, sent over OSC and handed to the hook."""

    event: Event
    changes: tuple[Change, ...]

    def record(self) -> dict[str, Any]:
        """Plain values, for a log line: time since 1970, trigger, what, why, and the changes by address."""
        event = self.event
        return {
            "wall_s": event.wall_s,
            "trigger": event.rule.name,
            "what": event.what,
            "why": event.why,
            "changes": {change.address: change.value for change in self.changes},
        }


Hook = Callable[[Firing], None]
Tell = Callable[[str, Sequence[Value]], None]


class Triggers:
    """The triggers of one show. One thread: the present loop's. `step` never waits.

    `hooks` are called with every firing, after it took effect; they must not wait either. `tell` sends
    /vivant/trigger/NAME 1 when one fires and 0 when it ends standing; with `on` both when that takes effect.
    `tempo` knows the beats. `seed` is that of the dice.
    """

    def __init__(
        self,
        rules: Mapping[str, Rule],
        tree: Tree,
        calendar: Calendar,
        declared: Mapping[str, Declared],
        *,
        seed: int = 0,
        tempo: Tempo | None = None,
        tell: Tell | None = None,
        hooks: Sequence[Hook] = (),
        wall_s: Callable[[], float] = time.time,
    ) -> None:
        self._almanac = Almanac(zone_of(calendar.zone))
        today = self._almanac.local(wall_s()).date()
        self._engine = Engine(rules, Setting(self._almanac, calendar, declared, seed, today))
        self._rules, self._tree, self._seed = rules, tree, seed
        self._tell, self._hooks, self._wall_s = tell, tuple(hooks), wall_s
        self._world = World(values=tree.current)
        self._waiting = Waiting(tempo)
        self._fired: Counter[str] = Counter()
        self._last_s: dict[str, float] = {}

    def step(
        self, now_ns: int, signals: Mapping[str, float], lead: Lead = NO_LEAD, refresh_ns: int = 0
    ) -> list[Firing]:
        """Once a refresh, before the controls are handed on: `signals` are those of now, `lead` is how long
        values take to the screen. What took effect at this refresh."""
        world, wall_s = self._world, self._wall_s()
        world.now_ns, world.wall_s, world.local = now_ns, wall_s, self._almanac.local(wall_s)
        world.signals = signals
        if not self._rules:
            return []
        events = self._by_hand()
        if self._tree.value(ENABLED):
            events += self._engine.step(world)
        else:
            self._waiting.call_off()
        for index, event in enumerate(events):
            key = f"{self._seed}/{event.rule.name}/{int(event.wall_s)}"
            self._waiting.put(event, _quantum(event, events[index + 1 :]), key, lead)
        firings = []
        for one, drawn, start_ns in self._waiting.due(now_ns, lead, refresh_ns):
            one.made += carry_out(one.acts, self._tree, start_ns, one.key, drawn)
            if drawn is not False:
                firings.append(self._carried_out(one, start_ns))
        return firings

    def minute_at(self, wall_s: float) -> int:
        """The minute of the day that the clock on the wall shows."""
        local = self._almanac.local(wall_s)
        return local.hour * 60 + local.minute

    @property
    def standing(self) -> frozenset[str]:
        """The triggers that stand now."""
        return self._engine.standing

    @property
    def without_beat(self) -> int:
        """How often a beat was wanted and nobody knew of one."""
        return self._waiting.without_beat

    @property
    def firings(self) -> int:
        """How many times triggers fired in this show."""
        return self._fired.total()

    def counts(self) -> dict[str, Any]:
        """For the report: firings by trigger, when each fired last (seconds since 1970), what stands, and
        beats that were wanted and nobody knew."""
        fired = {name: self._fired[name] for name in self._rules}
        return {
            "fired": fired,
            "last_wall_s": dict(self._last_s),
            "standing": sorted(self.standing),
            "without_beat": self.without_beat,
        }

    def _by_hand(self) -> list[Event]:
        events: list[Event] = []
        for action in self._tree.actions(TRIGGER):
            name = action.address[DOOR:].removesuffix(FIRE)
            if name in self._rules:
                events += self._engine.fire(name, self._world)
        return events

    def _carried_out(self, one: Pending, start_ns: int) -> Firing:
        """All of it took effect: count it, tell of it."""
        event, name = one.event, one.event.rule.name
        if start_ns != event.now_ns:
            later_s = (start_ns - event.now_ns) / 1e9
            event = replace(event, now_ns=start_ns, wall_s=event.wall_s + later_s)
        fired = event.what == "fired"
        if fired:
            self._fired[name] += 1
            self._last_s[name] = event.wall_s
        if self._tell is not None:
            self._tell(TRIGGER + name, (int(fired),))
        firing = Firing(event, one.made)
        for hook in self._hooks:
            hook(firing)
        return firing


def _quantum(event: Event, later: Sequence[Event]) -> Quantum | None:
    """The beat that an event waits for: that of its trigger, or of the one that takes its place."""
    if event.why != "another fired":
        return event.rule.on
    taking = (one for one in later if one.what == "fired" and one.rule.group == event.rule.group)
    return next((one.rule.on for one in taking), None)


class LogLines:
    """A hook: one line for each firing, but not again for QUIET_S."""

    def __init__(self) -> None:
        self._last_ns: dict[str, int] = {}

    def __call__(self, firing: Firing) -> None:
        event, name = firing.event, firing.event.rule.name
        if event.what == "fired" and event.now_ns >= self._last_ns.get(name, event.now_ns):
            self._last_ns[name] = event.now_ns + QUIET_NS
            LOG.info("trigger %s fired (%s)", name, event.why)
