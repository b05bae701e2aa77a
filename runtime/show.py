"""A show from its scene to its report: put the parts together, run the present loop, take them apart."""

from __future__ import annotations

import gc
import logging
import multiprocessing as mp
import signal
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace
from multiprocessing.context import SpawnContext
from pathlib import Path
from types import FrameType
from typing import Any

from vivant.engines.machine import cores, machine, versions
from vivant.engines.student import find
from vivant.runtime.adapters.live import LiveAdapters, opening
from vivant.runtime.adapters.registry import Registry
from vivant.runtime.aliases import aliases_of
from vivant.runtime.audit import Audit, audit_folder
from vivant.runtime.body.process import BodyTracking
from vivant.runtime.canvas import Canvas
from vivant.runtime.changing import Changes, programme_of
from vivant.runtime.critic import Criticism
from vivant.runtime.critic_process import CriticProcess
from vivant.runtime.cues.preview import Visits
from vivant.runtime.doors import Door, Doors
from vivant.runtime.exchange import make_lanes
from vivant.runtime.frames import Clock, Controls, MonotonicClock
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
from vivant.runtime.report import asked_of, write_json
from vivant.runtime.scene import Scene, tree_of
from vivant.runtime.signals import Signals, Source
from vivant.runtime.sound.listening import SoundSource
from vivant.runtime.supervise import RenderProcess, start_limit_s
from vivant.runtime.surface import Surface, open_headless, open_window
from vivant.runtime.tape import Tape
from vivant.runtime.tempo.clock import BeatClock
from vivant.runtime.triggers.running import Hook, LogLines
from vivant.runtime.witness import Witness

LOG = logging.getLogger("vivant.show")


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


class Stop:
    """Set by SIGINT and SIGTERM; the present loop asks it at every refresh."""

    def __init__(self) -> None:
        self.asked = False

    def install(self) -> None:
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._heard)

    def _heard(self, number: int, frame: FrameType | None) -> None:
        self.asked = True

    def __call__(self) -> bool:
        return self.asked


def open_surface(scene: Scene, headless: bool, clock: MonotonicClock) -> Surface:
    """The scene's window, or a surface without a display that keeps the scene's refresh rate."""
    if headless:
        return open_headless(scene.window_size, refresh_hz=scene.refresh_hz, clock=clock)
    return open_window(
        scene.window_size, fullscreen=scene.fullscreen, monitor=scene.monitor, title=f"Vivant: {scene.title}"
    )


def run_show(scene: Scene, wishes: Wishes, began_ns: int) -> dict[str, Any]:
    """Run a scene until its end; returns the report. Raises VivantError before anything is shown.

    `began_ns` is when the program was started, on the monotonic clock.
    """
    clock, stop = MonotonicClock(), Stop()
    scenes = programme_of(scene)
    tree = tree_of(scene)
    tree.assign(wishes.assignments)
    context = mp.get_context("spawn")
    lanes = make_lanes(context)
    registry = Registry.own()
    begun = opening(scene, registry, wishes.locked)
    with ExitStack() as open_parts:
        first = tree.controls(clock.now_ns(), 0, scene.size)
        tracking = tracking_of(scene, context, clock)
        job = Job(
            scene.input,
            scene.student,
            scene.backend,
            scene.precision,
            cores(),
            first.seed,
            first,
            tuple(begun.files.values()),
            guards=scene.guard.named(),
            denied=scene.words.denied(),
            body=scene.body if scene.body.on else None,
            body_lanes=None if tracking is None else tracking.lanes,
        )
        graphs = find(scene.student).glob("*.onnx*")
        process = RenderProcess(context, render, job, lanes, clock, start_limit_s(graphs))
        audit = audit_of(scene)
        if audit is not None:
            open_parts.callback(audit.close)
        ear = SoundSource.of(scene.sound, clock, tree.current)
        beats = BeatClock(tree, ear, scene.tempo.link)
        sources: list[Source | None] = [tracking, ear, beats]
        visits = wishes.visits
        doors = Doors([*doors_of(scene, clock, wishes, beats), *([] if visits is None else [visits])])
        signals = Signals([source for source in sources if source is not None])
        for close in (*(door.close for door in doors.all), *(source.close for source in signals.sources)):
            open_parts.callback(close)
        process.start()
        open_parts.callback(process.stop)
        looking = critic_of(scene, context, clock, open_parts)
        hello = process.wait_until_ready()
        if looking is not None:
            looking.wait_until_ready()
        process.job = replace(job, sense=hello.facts["input"], checked=True)
        surface = open_surface(scene, wishes.headless, clock)
        open_parts.callback(surface.close)
        outputs = Outputs(scene.outputs, clock)
        open_parts.callback(outputs.close)
        recorder = None
        if wishes.record is not None:
            recorder = Recorder(wishes.record, surface.size_px, fps=30)
            open_parts.callback(recorder.close)
        moments = EvenMoments(wishes.seconds or 20.0) if wishes.sheet is not None else None
        witness: Witness | None = None
        hooks: list[Hook] = [LogLines()]
        if audit is not None:
            witness = Witness(audit, hello.facts, scene.guard.audit_pictures)
            tree.heard, tree.denied = witness.heard, witness.refused
            hooks.append(witness.fired)
        room = Room(surface, tree, doors, beats, ear, witness, hooks, wishes.locked is not None)
        parts = parts_of(scene, room)
        open_parts.callback(parts.close)
        process.hears[Unspoken] = Refusals(tree, doors.tell).hear
        adapters = LiveAdapters.of(
            scene, first, context, process, tree, begun, clock, registry, wishes.locked, doors.tell
        )
        if adapters is not None:
            open_parts.callback(adapters.close)
            adapters.note = None if witness is None else witness.adapter
        critic = criticism_of(scene, looking)
        if critic is not None and witness is not None:
            critic.found = witness.critic
        changes = Changes.of(scenes, room, process)
        present = Present(
            surface,
            Canvas(surface.context, effects=parts.effects),
            tree,
            process,
            lanes,
            clock,
            Terms(scene.budget_ms, scene.size, began_ns),
            Company(
                doors,
                signals,
                parts.triggers,
                parts.cues,
                parts.fallbacks,
                witness,
                adapters,
                parts.ladder,
                recorder,
                visits or moments,
                critic,
                parts.effects,
                parts.drives,
                outputs=outputs,
                changes=changes,
            ),
        )
        stop.install()
        gc.freeze()
        say(scene, hello.facts, doors, signals)
        until_ns = None if wishes.seconds is None else clock.now_ns() + round(wishes.seconds * 1e9)
        present.run(until_ns, lambda: stop() or (visits is not None and visits.done))
        if recorder is not None:
            recorder.close()  # what is still on its way to the file belongs into the report
        asked = tree.controls(clock.now_ns(), 0, scene.size)
        if witness is not None:
            witness.end(present.meters.frames())
        report = assemble(scene, surface, process, present, recorder, asked) | doors.counts()
        report["sources"] = signals.counts()
        report["outputs"] = outputs.counts()
        report |= present.parts_counts()
        report["programme"] = None if changes is None else changes.counts()
        report["critic"] = None if critic is None else critic.counts()
        report["live_adapters"] = None if adapters is None else adapters.counts()
        report["audit"] = None if audit is None else {"folder": str(audit.folder)} | audit.counts()
    if wishes.sheet is not None and moments is not None:
        from vivant.runtime.sheet import contact_sheet

        columns = [(source, shown) for _, source, shown in moments.taken]
        if columns:
            contact_sheet(columns, wishes.sheet, seconds=[at_s for at_s, _, _ in moments.taken])
        else:
            LOG.warning("no picture was shown: %s is not written", wishes.sheet)
    if wishes.report is not None:
        write_json(report, wishes.report)
    return report


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


def critic_of(
    scene: Scene, context: SpawnContext, clock: Clock, open_parts: ExitStack
) -> CriticProcess | None:
    """The process of the scene's critic, started; None where it names none. Raises VivantError."""
    if scene.guard.critic is None:
        return None
    process = CriticProcess(context, scene.guard.critic.plan(), clock)
    process.start()
    open_parts.callback(process.close)
    return process


def criticism_of(scene: Scene, looking: CriticProcess | None) -> Criticism | None:
    """What its critic decides; None where it names none."""
    table = scene.guard.critic
    return None if table is None or looking is None else Criticism(looking, table.every, table.limit_s)


def say(scene: Scene, facts: dict[str, Any], doors: Doors, signals: Signals) -> None:
    """The first lines of a show: what looks, what paints, who may speak to it."""
    LOG.info("%s looks at %s (%s)", scene.title, facts["input"], facts["input_reason"])
    LOG.info(
        "student %s on %s (%s), %s threads",
        facts["student"]["name"],
        facts["backend"],
        facts["backend_reason"],
        facts["threads"],
    )
    if not any(door.name == OscDoor.name for door in doors.all):
        LOG.info("OSC is off")
    for described in (
        *(door.describe() for door in doors.all),
        *(source.describe() for source in signals.sources),
    ):
        LOG.info("%s", described)


def assemble(
    scene: Scene,
    surface: Surface,
    process: RenderProcess,
    present: Present,
    recorder: Recorder | None,
    asked: Controls,
) -> dict[str, Any]:
    """The report: what ran where, what it was asked for at the end, and what was measured."""
    facts = dict(process.facts)
    student = facts.pop("student", {})
    info = surface.context.info
    measured = present.meters.as_dict()
    return {
        "machine": machine() | {"gl_renderer": info["GL_RENDERER"], "gl_version": info["GL_VERSION"]},
        "versions": versions(),
        "scene": scene.title,
        **facts,
        "student": student | asked_of(student, asked) | {"size": list(present.size_px)},
        "budget_ms": scene.budget_ms,
        "window_size": list(surface.size_px),
        **measured,
        "render_process": {
            "restarts": process.restarts,
            "longest_gap_ms": present.meters.longest_gap_ms,
        },
        "flash_guard": present.flash,
        "triggers": present.triggers,
        "lane": present.lane,
        "ladder": [asdict(step) for step in present.steps],
        "osc": {"received": 0, "applied": 0, "refused_by_reason": {}},
        "recording": None if recorder is None else recorder.counts(),
    }
