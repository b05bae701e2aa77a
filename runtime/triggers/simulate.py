"""A day or a week of triggers in seconds, on a manual clock: the engine of the show, without the show."""

from __future__ import annotations

import datetime as dt
from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from vivant.runtime.cues.running import Cues
from vivant.runtime.cycle import Cycle
from vivant.runtime.frames import EMPTY, ManualClock, Value
from vivant.runtime.parameters import CHOOSE
from vivant.runtime.tempo.clock import BeatClock
from vivant.runtime.tempo.lookahead import Lead
from vivant.runtime.tree import Tree
from vivant.runtime.triggers.agreement import SIGNAL
from vivant.runtime.triggers.recorded import Recorded
from vivant.runtime.triggers.rules import Rule
from vivant.runtime.triggers.running import Firing, Triggers
from vivant.runtime.triggers.visitors import Visitors

if TYPE_CHECKING:
    from vivant.runtime.scene import Scene
from vivant.runtime.signals import Signals

DRAWN: Final = ("presence", "intensity")
SAMPLE_S: Final = 30.0  # a curve has one point for so long: the largest value in it

Steps = Iterator[tuple[float, Mapping[str, float]]]


@dataclass(frozen=True, slots=True)
class Stretch:
    """Something that lasted: a trigger that stood, a style that was chosen. Seconds since the start."""

    what: str
    begin_s: float
    end_s: float


@dataclass(slots=True)
class Simulation:
    """What happened. `firings` in their order; `stood` by trigger; `styles` as they were chosen; `curves` of
    signals, one point for each SAMPLE_S (None where the signal was absent). `without_beat`: see
    Triggers.without_beat."""

    begin: dt.datetime
    seconds: float
    rules: Mapping[str, Rule]
    firings: list[Firing] = field(default_factory=list)
    stood: list[Stretch] = field(default_factory=list)
    styles: list[Stretch] = field(default_factory=list)
    curves: dict[str, list[float | None]] = field(default_factory=dict)
    without_beat: int = 0

    def at(self, wall_s: float) -> dt.datetime:
        """The local date and time of a moment of the simulation."""
        return dt.datetime.fromtimestamp(wall_s, self.begin.tzinfo)

    def fired(self, name: str) -> list[Firing]:
        """The times that a trigger fired, without the ends."""
        return [one for one in self.firings if one.event.rule.name == name and one.event.what == "fired"]

    def stood_s(self, name: str) -> float:
        """How long a trigger stood in all."""
        return sum(one.end_s - one.begin_s for one in self.stood if one.what == name)

    def as_dict(self) -> dict[str, Any]:
        """Everything as plain values, for a JSON file."""
        return {
            "begin": self.begin.isoformat(),
            "seconds": self.seconds,
            "triggers": {
                name: {"fired": len(self.fired(name)), "stood_s": self.stood_s(name)} for name in self.rules
            },
            "firings": [
                one.record() | {"time": self.at(one.event.wall_s).isoformat()} for one in self.firings
            ],
            "styles": [[one.what, one.begin_s, one.end_s] for one in self.styles],
        }


@dataclass(slots=True)
class Open:
    """Stretches that have begun, by what they are of."""

    since: dict[str, float] = field(default_factory=dict)

    def turn(self, now: frozenset[str], now_s: float, into: list[Stretch]) -> None:
        """Begin what is new in `now` and end what is no longer."""
        for name in [name for name in self.since if name not in now]:
            into.append(Stretch(name, self.since.pop(name), now_s))
        for name in now - self.since.keys():
            self.since[name] = now_s


@dataclass(frozen=True, slots=True)
class Plan:
    """What is simulated: from when, for how long, in which steps, with whose signals and which dice."""

    begin: dt.datetime
    seconds: float
    step_s: float = 1.0
    source: Recorded | Visitors | None = None
    seed: int = 0


def simulate(scene: Scene, tree: Tree, plan: Plan) -> Iterator[Simulation]:
    """Run a scene's triggers through `plan`; yields the simulation once for each simulated hour (so that
    progress can be shown), the last time when it is complete."""
    clock, begin_s, beats = ManualClock(), plan.begin.timestamp(), BeatClock(tree)
    made = Simulation(plan.begin, plan.seconds, scene.triggers)
    triggers = Triggers(
        scene.triggers,
        tree,
        scene.calendar,
        scene.signals,
        seed=plan.seed,
        tempo=beats,
        wall_s=lambda: begin_s + clock.ns / 1e9,
    )
    cues = Cues(scene.cues, tree, scene.calendar, tempo=beats, wall_s=lambda: begin_s + clock.ns / 1e9)
    room, cycle, standing, styles = Signals((beats,)), Cycle(tree), Open(), Open()
    sampler = Sampler(made.curves)
    hour_s, step_ns = 3600.0, round(plan.step_s * 1e9)
    for now_s, signals in _steps(plan, triggers, tree):
        clock.ns = round(now_s * 1e9)
        room.hear(signals, clock.ns)
        made.firings += triggers.step(clock.ns, room.step(clock.ns), refresh_ns=step_ns)
        made.without_beat = triggers.without_beat
        if scene.cues:
            cues.step(clock.ns, Lead(), step_ns)
        cycle.step(clock.ns)
        tree.tick(clock.ns)
        standing.turn(triggers.standing, now_s, made.stood)
        chosen = tree.current.get(CHOOSE)
        styles.turn(frozenset() if chosen is None else frozenset({str(chosen)}), now_s, made.styles)
        sampler.add(now_s, {**signals, "intensity": room.intensity.value})
        if now_s >= hour_s:
            hour_s += 3600.0
            yield made
    standing.turn(frozenset(), plan.seconds, made.stood)
    styles.turn(frozenset(), plan.seconds, made.styles)
    yield made


class Sampler:
    """Curves of DRAWN, thinned out to their largest value in each SAMPLE_S."""

    def __init__(self, curves: dict[str, list[float | None]]) -> None:
        self._curves = curves
        for name in DRAWN:
            curves[name] = []

    def add(self, now_s: float, signals: Mapping[str, float]) -> None:
        at = int(now_s / SAMPLE_S)
        for name in DRAWN:
            points, value = self._curves[name], signals.get(name)
            while len(points) <= at:
                points.append(None)
            known = points[at]
            if value is not None and value == value and (known is None or value > known):
                points[at] = value


def _steps(plan: Plan, triggers: Triggers, tree: Tree) -> Steps:
    """The time and the signals of every step; recorded parameters are set on the way."""
    count = int(plan.seconds / plan.step_s)
    if plan.source is None:
        return ((index * plan.step_s, EMPTY) for index in range(count))
    if isinstance(plan.source, Visitors):
        begin_s = plan.begin.timestamp()
        minutes = (triggers.minute_at(begin_s + index * plan.step_s) for index in range(count))
        signals = plan.source.signals(minutes)
        return ((index * plan.step_s, one) for index, one in enumerate(signals))
    return _replayed(plan.source, count, plan.step_s, tree)


def _replayed(source: Recorded, count: int, step_s: float, tree: Tree) -> Steps:
    doors = {name: _door(name, tree) for name in source.columns}
    row: int | None = None
    signals: Mapping[str, float] = EMPTY
    for index in range(count):
        now_s = index * step_s
        at = bisect_right(source.times_s, now_s) - 1
        if at >= 0 and at != row:
            row, cells = at, dict(zip(source.columns, source.rows[at], strict=True))
            signals = {n: v for n, v in cells.items() if v is not None and doors[n] is None}
            _set(tree, [(doors[n], v) for n, v in cells.items() if v is not None], round(now_s * 1e9))
        yield now_s, signals


def _door(column: str, tree: Tree) -> str | None:
    """The parameter that a column sets; None for a signal of the senses."""
    if column.startswith("/"):
        return column
    return SIGNAL + column if SIGNAL + column in tree.parameters else None


def _set(tree: Tree, values: Sequence[tuple[str | None, Value]], now_ns: int) -> None:
    for address, value in values:
        if address is not None:
            tree.set(address, (value,), now_ns, "recording")
