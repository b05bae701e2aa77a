"""The trigger engine: which trigger fires, by the rules, the signals and the clock alone.

A trigger fires when its condition is true, once for each time that it becomes so. Without a group it then
stands until its condition ends. Of a group one at most stands: the one that fired last, until another of
the group fires. In a group a trigger fires only while none of a higher priority holds (of equal ones, the
one that stands goes on, and the earlier in the file begins), and one that stands already does not fire
again. Of triggers that fire at the same time the one of the higher priority acts last, so that its values
stay. For `cooldown_s` after a firing a trigger waits, and then fires if its condition still is true. What
cannot be known (a camera that is away) starts and ends nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from vivant.runtime.triggers.conditions import Setting, Watch, World, watch_for
from vivant.runtime.triggers.rules import Rule

What = Literal["fired", "ended"]
Why = Literal["condition", "by hand", "another fired"]


@dataclass(frozen=True, slots=True)
class Event:
    """A trigger fired, or ended standing; `wall_s` since 1970, `now_ns` monotonic."""

    rule: Rule
    what: What
    why: Why
    now_ns: int
    wall_s: float


@dataclass(slots=True)
class Place:
    """A trigger in the engine: whether its condition holds, and when it fired last."""

    rule: Rule
    watch: Watch
    order: int
    held: bool = False
    begins: bool = False
    fired_ns: int | None = None

    def ready(self, now_ns: int) -> bool:
        """Whether the condition holds and the cooldown after the last firing is over."""
        rested = self.fired_ns is None or now_ns - self.fired_ns >= self.rule.cooldown_s * 1e9
        return self.held and rested


@dataclass(slots=True)
class Group:
    """Triggers of which one at most stands; every trigger without a group is alone in one."""

    exclusive: bool
    places: list[Place] = field(default_factory=list)
    standing: Place | None = None
    by_hand: bool = False  # somebody chose: only what begins to hold from now on takes over


class Engine:
    """Decides; it changes nothing itself. The same steps give the same events."""

    def __init__(self, rules: Mapping[str, Rule], setting: Setting) -> None:
        self._places: dict[str, Place] = {}
        groups: dict[str, Group] = {}
        self._of: dict[str, Group] = {}
        for order, (name, rule) in enumerate(rules.items()):
            place = self._places[name] = Place(rule, watch_for(rule.when, setting, name), order)
            key = f"trigger {name}" if rule.group is None else f"group {rule.group}"
            self._of[name] = groups.setdefault(key, Group(rule.group is not None))
            self._of[name].places.append(place)
        self._groups = tuple(groups.values())
        self.standing: frozenset[str] = frozenset()

    def step(self, world: World) -> list[Event]:
        """What happens at this refresh, in the order in which it should take effect."""
        world.standing = self.standing
        for place in self._places.values():
            holds = place.watch.holds(world)
            if holds is None:
                place.begins = False
            else:
                place.begins, place.held = holds and not place.held, holds
        events: list[Event] = []
        for group in self._groups:
            events += self._arbitrate(group, world) if group.exclusive else self._alone(group, world)
        events.sort(key=lambda event: (event.what == "fired", event.rule.priority))
        return self._note(events)

    def fire(self, name: str, world: World) -> list[Event]:
        """Let a trigger act now, whatever its condition, cooldown and priority say."""
        group, place = self._of[name], self._places[name]
        if group.exclusive:
            events = self._take_over(group, place, world, "by hand")
            group.by_hand = True
        else:
            place.fired_ns = world.now_ns
            group.standing = place if place.held else None
            events = [Event(place.rule, "fired", "by hand", world.now_ns, world.wall_s)]
        return self._note(events)

    def _note(self, events: list[Event]) -> list[Event]:
        if events:
            standing = (group.standing for group in self._groups)
            self.standing = frozenset(place.rule.name for place in standing if place is not None)
        return events

    def _alone(self, group: Group, world: World) -> list[Event]:
        (place,) = group.places
        if group.standing is not None and not place.held:
            group.standing = None
            return [Event(place.rule, "ended", "condition", world.now_ns, world.wall_s)]
        if group.standing is None and place.ready(world.now_ns):
            return self._take_over(group, place, world, "condition")
        return []

    def _arbitrate(self, group: Group, world: World) -> list[Event]:
        standing = group.standing
        ready = [p for p in group.places if (p is standing and p.held) or p.ready(world.now_ns)]
        if group.by_hand:
            ready = [p for p in ready if p.begins]
        if not ready:
            return []
        best = min(ready, key=lambda p: (-p.rule.priority, p is not standing, p.order))
        return [] if best is standing else self._take_over(group, best, world, "condition")

    def _take_over(self, group: Group, place: Place, world: World, why: Why) -> list[Event]:
        left = group.standing
        group.standing, group.by_hand, place.fired_ns = place, False, world.now_ns
        fired = Event(place.rule, "fired", why, world.now_ns, world.wall_s)
        if left is None or left is place:
            return [fired]
        return [Event(left.rule, "ended", "another fired", world.now_ns, world.wall_s), fired]
