"""A show from its scene to its report: put the parts together, run the present loop, take them apart."""

from __future__ import annotations

import gc
import logging
import signal
import sys
from contextlib import ExitStack
from dataclasses import asdict
from types import FrameType
from typing import Any

from vivant.engines.machine import machine, versions
from vivant.runtime.doors import Doors
from vivant.runtime.frames import MonotonicClock
from vivant.runtime.making import Making, Wishes
from vivant.runtime.osc import OscDoor
from vivant.runtime.present import Present
from vivant.runtime.report import asked_of, write_json
from vivant.runtime.scene import Scene
from vivant.runtime.signals import Signals
from vivant.runtime.tape import Tape

LOG = logging.getLogger("vivant.show")


class Stop:
    """Set by SIGINT, SIGTERM and SIGHUP; the present loop asks it at every refresh."""

    def __init__(self) -> None:
        self.asked = False

    def install(self) -> None:
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._heard)
        if sys.platform != "win32" and signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # nohup
            signal.signal(signal.SIGHUP, self._heard)

    def _heard(self, number: int, frame: FrameType | None) -> None:
        self.asked = True

    def __call__(self) -> bool:
        return self.asked


def run_show(scene: Scene, wishes: Wishes, began_ns: int) -> dict[str, Any]:
    """Run a scene until its end; returns the report. Raises VivantError before anything is shown.

    `began_ns` is when the program was started, on the monotonic clock.
    """
    clock, stop, visits = MonotonicClock(), Stop(), wishes.visits
    with ExitStack() as open_parts:
        made = Making(scene, wishes, clock, open_parts)
        made.listen()
        made.start()
        made.raise_stage()
        made.gather()
        present = made.present(began_ns)
        stop.install()
        gc.freeze()
        say(scene, made.facts, made.doors, made.signals)
        until_ns = None if wishes.seconds is None else clock.now_ns() + round(wishes.seconds * 1e9)
        if wishes.tether is not None:
            until_ns = wishes.tether.until(until_ns)
        present.run(until_ns, lambda: stop() or (visits is not None and visits.done))
        if wishes.tether is not None:
            wishes.tether.ending()
        if made.recorder is not None:
            made.recorder.close()  # what is still on its way to the file belongs into the report
        for tape in (door for door in made.doors.all if isinstance(door, Tape)):
            tape.close()  # for the same reason
        if made.witness is not None:
            made.witness.end(present.meters.frames())
        report = assemble(made, present)
    write_sheet(made)
    if wishes.report is not None:
        write_json(report, wishes.report)
    return report


def write_sheet(made: Making) -> None:
    """The contact sheet that was asked for, of the moments that were kept."""
    path, moments = made.wishes.sheet, made.moments
    if path is None or moments is None:
        return
    from vivant.runtime.sheet import contact_sheet

    columns = [(source, shown) for _, source, shown in moments.taken]
    if columns:
        contact_sheet(columns, path, seconds=[at_s for at_s, _, _ in moments.taken])
    else:
        LOG.warning("no picture was shown: %s is not written", path)


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


def assemble(made: Making, present: Present) -> dict[str, Any]:
    """The report: what ran where, what it was asked for at the end, and what was measured."""
    scene, process, audit = made.scene, made.process, made.audit
    facts = dict(process.facts)
    student = facts.pop("student", {})
    asked = made.tree.controls(made.clock.now_ns(), 0, scene.size)
    info = made.surface.context.info
    return {
        "machine": machine() | {"gl_renderer": info["GL_RENDERER"], "gl_version": info["GL_VERSION"]},
        "versions": versions(),
        "scene": scene.title,
        **facts,
        "student": student | asked_of(student, asked) | {"size": list(present.size_px)},
        "budget_ms": scene.budget_ms,
        "window_size": list(made.surface.size_px),
        **present.meters.as_dict(),
        "render_process": {
            "restarts": process.restarts,
            "longest_gap_ms": present.meters.longest_gap_ms,
        },
        "show_process": None if made.wishes.tether is None else made.wishes.tether.counts(),
        "flash_guard": present.flash,
        "triggers": present.triggers,
        "lane": present.lane,
        "ladder": [asdict(step) for step in present.steps],
        "recording": None if made.recorder is None else made.recorder.counts(),
        "osc": {"received": 0, "applied": 0, "refused_by_reason": {}},
        **made.doors.counts(),
        "sources": made.signals.counts(),
        "outputs": made.outputs.counts(),
        **present.parts_counts(),
        "programme": None if made.changes is None else made.changes.counts(),
        "critic": None if made.critic is None else made.critic.counts(),
        "live_adapters": None if made.adapters is None else made.adapters.counts(),
        "audit": None if audit is None else {"folder": str(audit.folder)} | audit.counts(),
    }
