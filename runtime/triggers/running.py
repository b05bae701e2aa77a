"""Triggers in a show: once a refresh they see the signals and the clock, and change the parameters."""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from vivant.runtime.frames import Value
from vivant.runtime.tree import Tree
from vivant.runtime.triggers.actions import Change, carry_out
from vivant.runtime.triggers.agreement import ENABLED, FIRE, TRIGGER
from vivant.runtime.triggers.almanac import Almanac, zone_of
from vivant.runtime.triggers.conditions import Setting, World
from vivant.runtime.triggers.engine import Engine, Event
from vivant.runtime.triggers.rules import Calendar, Declared, Rule

LOG: Final = logging.getLogger("vivant.triggers")
QUIET_NS: Final = 5_000_000_000  # a trigger that fires again sooner is counted, but no line in the log
DOOR: Final = len(TRIGGER)


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
    /vivant/trigger/NAME 1 when one fires and 0 when it ends standing. `seed` is that of the dice.
    """

    def __init__(
        self,
        rules: Mapping[str, Rule],
        tree: Tree,
        calendar: Calendar,
        declared: Mapping[str, Declared],
        *,
        seed: int = 0,
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
        self._fired: Counter[str] = Counter()
        self._last_s: dict[str, float] = {}

    def step(self, now_ns: int, signals: Mapping[str, float]) -> list[Firing]:
        """Once a refresh, before the controls are handed on: `signals` are those of now."""
        world, wall_s = self._world, self._wall_s()
        world.now_ns, world.wall_s, world.local = now_ns, wall_s, self._almanac.local(wall_s)
        world.signals = signals
        if not self._rules:
            return []
        events = self._by_hand()
        if self._tree.value(ENABLED):
            events += self._engine.step(world)
        return [self._carry_out(event) for event in events]

    def minute_at(self, wall_s: float) -> int:
        """The minute of the day that the clock on the wall shows."""
        local = self._almanac.local(wall_s)
        return local.hour * 60 + local.minute

    @property
    def standing(self) -> frozenset[str]:
        """The triggers that stand now."""
        return self._engine.standing

    @property
    def firings(self) -> int:
        """How many times triggers fired in this show."""
        return self._fired.total()

    def counts(self) -> dict[str, Any]:
        """For the report: firings by trigger, when each fired last (seconds since 1970), what stands."""
        fired = {name: self._fired[name] for name in self._rules}
        return {"fired": fired, "last_wall_s": dict(self._last_s), "standing": sorted(self.standing)}

    def _by_hand(self) -> list[Event]:
        events: list[Event] = []
        for action in self._tree.actions(TRIGGER):
            name = action.address[DOOR:].removesuffix(FIRE)
            if name in self._rules:
                events += self._engine.fire(name, self._world)
        return events

    def _carry_out(self, event: Event) -> Firing:
        rule, fired = event.rule, event.what == "fired"
        key = f"{self._seed}/{rule.name}/{int(event.wall_s)}"
        changes = carry_out(rule.do if fired else rule.after, self._tree, event.now_ns, key)
        if fired:
            self._fired[rule.name] += 1
            self._last_s[rule.name] = event.wall_s
        if self._tell is not None:
            self._tell(TRIGGER + rule.name, (int(fired),))
        firing = Firing(event, changes)
        for hook in self._hooks:
            hook(firing)
        return firing


class LogLines:
    """A hook: one line for each firing, but not again for QUIET_S."""

    def __init__(self) -> None:
        self._last_ns: dict[str, int] = {}

    def __call__(self, firing: Firing) -> None:
        event, name = firing.event, firing.event.rule.name
        if event.what == "fired" and event.now_ns >= self._last_ns.get(name, event.now_ns):
            self._last_ns[name] = event.now_ns + QUIET_NS
            LOG.info("trigger %s fired (%s)", name, event.why)
