"""Puts the parts of a show together, in the order in which they need one another."""

from __future__ import annotations

import multiprocessing as mp
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from multiprocessing.context import SpawnContext
from pathlib import Path
from typing import Any, Protocol, TypeVar

from vivant.engines.machine import cores
from vivant.engines.student import find
from vivant.runtime.adapters.live import LiveAdapters, opening
from vivant.runtime.adapters.registry import Registry
from vivant.runtime.aliases import aliases_of
from vivant.runtime.audit import Audit, audit_folder
from vivant.runtime.backoff import START_LIMIT_S
from vivant.runtime.body.process import BodyTracking
from vivant.runtime.canvas import Canvas
from vivant.runtime.changing import Changes, programme_of
from vivant.runtime.critic import Criticism
from vivant.runtime.critic_process import CriticProcess
from vivant.runtime.cues.preview import Visits
from vivant.runtime.doors import Door, Doors
from vivant.runtime.exchange import make_lanes
from vivant.runtime.frames import Clock
from vivant.runtime.midi.door import MidiDoor
from vivant.runtime.moments import EvenMoments
from vivant.runtime.osc import OscDoor
from vivant.runtime.outputs.registry import Outputs
from vivant.runtime.parts import Room, parts_of
from vivant.runtime.present import Company, Present, Terms
from vivant.runtime.record import Recorder
from vivant.runtime.refusals import Refusals, Unspoken
from vivant.runtime.render import Job, render
from vivant.runtime.replay import ReplayDoor
from vivant.runtime.returning import Returning
from vivant.runtime.scene import Scene, tree_of
from vivant.runtime.signals import Signals, Source
from vivant.runtime.sound.listening import SoundSource
from vivant.runtime.supervise import RenderProcess, start_limit_s
from vivant.runtime.surface import Surface, open_headless, open_window
from vivant.runtime.tape import Tape
from vivant.runtime.tempo.clock import BeatClock
from vivant.runtime.tether import Tether
from vivant.runtime.triggers.running import Hook, LogLines
from vivant.runtime.witness import Witness


@dataclass(frozen=True, slots=True)
class Wishes:
    """What the command line asks for beyond the scene. None means: as the scene says."""

    headless: bool = False
    seconds: float | None = None
    record: Path | None = None
    report: Path | None = None
    sheet: Path | None = None
    assignments: Sequence[str] = ()
    locked: frozenset[str] | None = None  # the hashes that the scene's lock allows
    osc_record: Path | None = None
    osc_replay: Path | None = None
    visits: Visits | None = None  # the show is for a preview, and ends when every place was seen
    tether: Tether | None = None  # somebody watches over the show (vivant.runtime.standing)


class Closing(Protocol):
    """Something that is given back at the end of a show."""

    def close(self) -> None: ...


P = TypeVar("P", bound=Closing | None)


class Making:
    """A show being put together: `listen`, `start`, `raise_stage`, `gather`, `present`, in this order. What
    was opened is closed with `open_parts`, the last first. Each step raises VivantError when what the scene
    asks for cannot be had; nothing was shown then."""

    def __init__(self, scene: Scene, wishes: Wishes, clock: Clock, open_parts: ExitStack) -> None:
        self.scene, self.wishes, self.clock = scene, wishes, clock
        self._open_parts = open_parts
        self.scenes = programme_of(scene)
        self.tree = tree_of(scene)
        self.tree.assign(wishes.assignments)
        tether = wishes.tether
        self._returning = None if tether is None else Returning(tether, self.tree, clock.now_ns())
        self.context = mp.get_context("spawn")
        self.lanes = make_lanes(self.context)
        self.registry = Registry.own()
        self.begun = opening(scene, self.registry, wishes.locked)
        self.first = self.tree.controls(clock.now_ns(), 0, scene.size)

    def _keep(self, part: P) -> P:
        if part is not None:
            self._open_parts.callback(part.close)
        return part

    def listen(self) -> None:
        """Everything that hears: the log, doors, sound, beats, whoever tracks people. A preview hears nobody:
        a rehearsal beside it keeps its ports and its microphone."""
        scene, clock, visits = self.scene, self.clock, self.wishes.visits
        self.tracking = tracking_of(scene, self.context, clock)
        self.audit = self._keep(audit_of(scene))
        self.ear = SoundSource.of(scene.sound, clock, self.tree.current) if visits is None else None
        self.beats = BeatClock(self.tree, self.ear, scene.tempo.link and visits is None)
        self.doors = Doors(doors_of(scene, clock, self.wishes, self.beats) if visits is None else [visits])
        sources: list[Source | None] = [self.tracking, self.ear, self.beats]
        self.signals = Signals([source for source in sources if source is not None])
        for door in self.doors.all:
            self._keep(door)
        for source in self.signals.sources:
            self._keep(source)

    def start(self) -> None:
        """The processes that paint and that criticise, until both are ready."""
        scene = self.scene
        job = Job(
            scene.input,
            scene.student,
            scene.backend,
            scene.precision,
            cores(),
            self.first.seed,
            self.first,
            tuple(self.begun.files.values()),
            guards=scene.guard.named(),
            denied=scene.words.denied(),
            body=scene.body if scene.body.on else None,
            body_lanes=None if self.tracking is None else self.tracking.lanes,
        )
        limit_s = start_limit_s(find(scene.student).glob("*.onnx*"))
        if self.wishes.tether is not None:
            self.wishes.tether.expect(limit_s + START_LIMIT_S)
        self.process = RenderProcess(self.context, render, job, self.lanes, self.clock, limit_s)
        self.process.start()
        self._open_parts.callback(self.process.stop)
        self._critic = self._keep(critic_of(scene, self.context, self.clock))
        self.facts: dict[str, Any] = self.process.wait_until_ready().facts
        if self._critic is not None:
            self._critic.wait_until_ready()
        self.process.job = replace(job, sense=self.facts["input"], checked=True)

    def raise_stage(self) -> None:
        """What is drawn on, and where what is drawn goes."""
        wishes = self.wishes
        self.surface = self._keep(open_surface(self.scene, wishes.headless, self.clock))
        self.outputs = self._keep(Outputs(self.scene.outputs, self.clock))
        recorded = wishes.record
        self.recorder = (
            None if recorded is None else self._keep(Recorder(recorded, self.surface.size_px, fps=30))
        )
        self.moments = EvenMoments(wishes.seconds or 20.0) if wishes.sheet is not None else None

    def gather(self) -> None:
        """What belongs to the scene, and what watches over it."""
        scene, tree, tell = self.scene, self.tree, self.doors.tell
        self.witness: Witness | None = None
        hooks: list[Hook] = [LogLines()]
        if self.audit is not None:
            self.witness = Witness(self.audit, self.facts, scene.guard.audit_pictures)
            before = None if self.wishes.tether is None else self.wishes.tether.before
            if before is not None and before.restarts:
                self.audit.note(
                    "restart", process="show", restarts=before.restarts, reason=before.reasons[-1]
                )
            tree.heard, tree.denied = self.witness.heard, self.witness.refused
            hooks.append(self.witness.fired)
        locked = self.wishes.locked
        self._room = Room(
            self.surface, tree, self.doors, self.beats, self.ear, self.witness, hooks, locked is not None
        )
        self._parts = self._keep(parts_of(scene, self._room))
        self.process.hears[Unspoken] = Refusals(tree, tell).hear
        self.adapters = self._keep(
            LiveAdapters.of(
                scene, self.first, self.context, self.process, tree, self.begun, self.clock, self.registry,
                locked, tell,
            )
        )  # fmt: skip
        self.critic = criticism_of(scene, self._critic)
        if self.witness is not None and self.adapters is not None:
            self.adapters.note = self.witness.adapter
        if self.witness is not None and self.critic is not None:
            self.critic.found = self.witness.critic
        self.changes = Changes.of(self.scenes, self._room, self.process)

    def present(self, began_ns: int) -> Present:
        """The present loop with all of it. `began_ns` as in Terms."""
        parts = self._parts
        return Present(
            self.surface,
            Canvas(self.surface.context, effects=parts.effects),
            self.tree,
            self.process,
            self.lanes,
            self.clock,
            Terms(self.scene.budget_ms, self.scene.size, began_ns),
            Company(
                doors=self.doors,
                signals=self.signals,
                triggers=parts.triggers,
                cues=parts.cues,
                fallbacks=parts.fallbacks,
                witness=self.witness,
                adapters=self.adapters,
                ladder=parts.ladder,
                recorder=self.recorder,
                moments=self.wishes.visits or self.moments,
                critic=self.critic,
                effects=parts.effects,
                drives=parts.drives,
                outputs=self.outputs,
                changes=self.changes,
                returning=self._returning,
            ),
        )


def open_surface(scene: Scene, headless: bool, clock: Clock) -> Surface:
    """The scene's window, or a surface without a display that keeps the scene's refresh rate."""
    if headless:
        return open_headless(scene.window_size, refresh_hz=scene.refresh_hz, clock=clock)
    return open_window(
        scene.window_size, fullscreen=scene.fullscreen, monitor=scene.monitor, title=f"Vivant: {scene.title}"
    )


def doors_of(scene: Scene, clock: Clock, wishes: Wishes, beats: BeatClock) -> list[Door]:
    """The doors that a scene and the command line ask for, open. Raises VivantError where one cannot be."""
    tape = None if wishes.osc_record is None else Tape(wishes.osc_record, clock)
    osc = OscDoor.of(scene, clock, None if tape is None else tape.tap())
    found: list[Door | None] = [tape, osc, MidiDoor.of(scene, clock, beats.midi)]
    if scene.osc.query_at is not None:
        from vivant.runtime.oscquery.door import QueryDoor

        heard = None if osc is None else osc.address
        tap = None if tape is None else tape.tap()
        found.append(QueryDoor(scene, scene.osc.query_at, clock, heard, tap))
    if wishes.osc_replay is not None:
        found.append(ReplayDoor(wishes.osc_replay, clock, aliases_of(scene.osc.aliases)))
    return [door for door in found if door is not None]


def tracking_of(scene: Scene, context: SpawnContext, clock: Clock) -> BodyTracking | None:
    """The watch over the process that tracks people, as [body] asks for it; None where none is needed. Raises
    VivantError when the tracker that it names is not here."""
    tracked = scene.body.track not in ("off", "near")
    return BodyTracking(scene.body, context, clock) if tracked else None


def audit_of(scene: Scene) -> Audit | None:
    """The audit log that a scene asks for; None where it is off."""
    if scene.audit == "off":
        return None
    return Audit(audit_folder() if scene.audit == "auto" else Path(scene.audit), scene.title)


def critic_of(scene: Scene, context: SpawnContext, clock: Clock) -> CriticProcess | None:
    """The process of the scene's critic, started; None where it names none. Raises VivantError."""
    if scene.guard.critic is None:
        return None
    process = CriticProcess(context, scene.guard.critic.plan(), clock)
    process.start()
    return process


def criticism_of(scene: Scene, looking: CriticProcess | None) -> Criticism | None:
    """What its critic decides; None where it names none."""
    table = scene.guard.critic
    return None if table is None or looking is None else Criticism(looking, table.every, table.limit_s)
