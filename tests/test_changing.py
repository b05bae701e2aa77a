"""Changing the scene of a running show: values fade, parts are exchanged, and the render process goes on or
another one is started; one that cannot start leads back."""

from __future__ import annotations

import multiprocessing as mp
import time
from collections.abc import Iterator
from multiprocessing.connection import Connection
from pathlib import Path

import pytest

from vivant.runtime.changing import Changes, programme_of
from vivant.runtime.doors import Doors
from vivant.runtime.exchange import Lanes, make_lanes
from vivant.runtime.fades import smooth
from vivant.runtime.frames import MonotonicClock
from vivant.runtime.isf.header import IsfError
from vivant.runtime.parts import Parts, Room, parts_of
from vivant.runtime.render import Job
from vivant.runtime.scene import load_scene, tree_of
from vivant.runtime.supervise import RENDER, Hello, RenderProcess
from vivant.runtime.surface import open_headless
from vivant.runtime.tempo.clock import BeatClock

pytestmark = pytest.mark.gl
CLOCK = MonotonicClock()
SECOND_NS = 1_000_000_000
HOME = """
    title = "Home"
    input = "performer"
    parameters.look.exposure = 1.0
    programme.scenes = ["near.toml", "far.toml", "broken.toml"]
    programme.fade_s = 2
    body.track = "moving"
"""
NEAR = """
    title = "Near"
    input = "auto"
    parameters.look.exposure = -1.0
    parameters.style.choose = "ink"
    signals.wind = {}
    [[cues]]
    name = "a"
    set.look.exposure = 0.5
"""


def living(job: Job, lanes: Lanes, line: Connection) -> None:
    """A render process that paints nothing and lives; of a clip it says that it cannot be had."""
    if job.sense.startswith("clip:"):
        line.send(Hello({}, "it cannot be read"))
        return
    line.send(Hello({"input": "performer" if job.sense == "auto" else job.sense}))
    while not line.poll(0.02):
        lanes.pulse[RENDER] = time.perf_counter_ns()


class Show:
    """A room with a programme of four scenes, at its first."""

    def __init__(self, folder: Path) -> None:
        for name, text in (
            ("home", HOME),
            ("near", NEAR),
            ("far", 'title = "Far"\ninput = "performer"\nprecision = "float"\n'),
            ("broken", 'title = "Broken"\ninput = "clip:broken.avi"\n'),
        ):
            (folder / f"{name}.toml").write_text(text)
        (folder / "broken.avi").touch()
        scene = load_scene(folder / "home.toml")
        self.tree = tree_of(scene)
        first = self.tree.controls(0, 0, scene.size)
        job = Job("performer", "house", "auto", "int8", 1, 0, first, checked=True)
        self.process = RenderProcess(mp.get_context("spawn"), living, job, self._lanes(), CLOCK)
        self.process.start()
        self.process.wait_until_ready()
        surface = open_headless((64, 64), clock=CLOCK)
        self.room = Room(surface, self.tree, Doors(), BeatClock(self.tree))
        self.parts: Parts = parts_of(scene, self.room)
        changes = Changes.of(programme_of(scene), self.room, self.process)
        assert changes is not None
        self.changes = changes

    def _lanes(self) -> Lanes:
        return make_lanes(mp.get_context("spawn"))

    def go(self, name: str, now_s: float) -> None:
        assert self.tree.set("/vivant/scene/choose", (name,), 0, "osc").taken
        self.step(now_s)

    def step(self, now_s: float) -> None:
        now_ns = round(now_s * SECOND_NS)
        self.process.poll()
        parts = self.changes.step(now_ns)
        self.parts = self.parts if parts is None else parts
        self.tree.tick(now_ns)

    def settle(self, now_s: float) -> None:
        """Until the render process can paint, or the show went elsewhere."""
        begun_s, name = time.monotonic(), self.changes.now
        while time.monotonic() - begun_s < 60 and self.changes.now == name:
            self.step(now_s)
            if self.process.hello is not None and not self.process.hello.problem:
                self.step(now_s)
                return
            time.sleep(0.01)

    def value(self, address: str) -> object:
        return self.tree.value(f"/vivant/{address}")


@pytest.fixture
def show(tmp_path: Path) -> Iterator[Show]:
    show = Show(tmp_path)
    yield show
    show.process.stop()
    show.room.surface.close()


def test_values_go_over_to_the_next_scene_and_its_parts_are_there_at_once(show: Show) -> None:
    show.tree.set("/vivant/tempo/bpm", (133.0,), 0, "osc")
    show.tree.set("/vivant/present/blank", (True,), 0, "osc")
    show.go("near", 10.0)
    assert show.parts.scene.title == "Near"
    assert (show.value("look/exposure"), show.value("style/choose")) == (1.0, "ink")
    assert show.tree.value("/vivant/signal/wind") == 0.0
    show.step(11.0)
    assert show.value("look/exposure") == 0.0
    assert show.value("style/ink") == smooth(0.5)
    show.step(12.0)
    assert (show.value("look/exposure"), show.value("style/ink"), show.value("style/oil")) == (-1.0, 1.0, 0.0)
    assert (show.value("tempo/bpm"), show.value("present/blank")) == (133.0, True)
    assert show.value("body/paint") == "all"  # the room is tracked, whatever a scene says of it
    assert show.parts.cues is not None
    show.tree.set("/vivant/reset", (), 0, "osc")
    assert show.value("look/exposure") == -1.0


def test_home_again_is_as_the_show_began_and_what_only_the_other_had_is_gone(show: Show) -> None:
    show.go("near", 10.0)
    show.go("home", 20.0)
    show.step(22.0)
    assert (show.value("look/exposure"), show.value("style/choose")) == (1.0, "oil")
    assert "/vivant/cues/go" not in show.tree.parameters
    assert not show.tree.set("/vivant/signal/wind", (1.0,), 0, "osc").taken
    assert {address for _, address in show.tree.changes(0)} == set(show.tree.values())
    assert show.changes.counts() == {"now": "home", "changed": 2, "failed": 0}


def test_the_render_process_goes_on_where_only_values_differ_and_else_another_is_started(show: Show) -> None:
    first = show.process.pid
    show.go("near", 10.0)  # its input is auto: looked for once
    show.settle(11.0)
    second = show.process.pid
    assert second != first
    show.go("home", 20.0)
    show.go("near", 21.0)
    assert show.process.pid == second
    show.go("far", 30.0)
    show.settle(31.0)
    assert show.process.pid != second
    assert show.process.job.precision == "float" and show.process.job.checked
    assert show.process.restarts == 0


def test_a_scene_that_cannot_be_rendered_leads_back_to_the_one_before(show: Show) -> None:
    show.go("broken", 10.0)
    assert show.changes.now == "broken"
    show.settle(11.0)
    show.settle(12.0)
    assert (show.changes.now, show.value("scene/choose")) == ("home", "home")
    assert show.changes.counts()["failed"] == 1
    assert show.process.hello is not None and not show.process.hello.problem


def test_an_effect_that_cannot_be_drawn_is_told_before_the_show(show: Show, tmp_path: Path) -> None:
    (tmp_path / "wrong.fs").write_text('/*{"ISFVSN": "2", "INPUTS": []}*/\nvoid main() { nonsense }\n')
    (tmp_path / "near.toml").write_text('title = "Near"\neffects.a.file = "wrong.fs"\n')
    scenes = programme_of(load_scene(tmp_path / "home.toml"))
    with pytest.raises(IsfError, match=r"wrong\.fs"):
        Changes.of(scenes, show.room, show.process)
