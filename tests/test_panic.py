"""The operator's panic: black at the next refresh, whatever else happens, until its own release."""

from __future__ import annotations

import os
import signal
import time

import pytest
from pythonosc.udp_client import SimpleUDPClient
from test_present import GREEN, RED, Stage, near, stage

from vivant.runtime.frames import MonotonicClock, VivantError
from vivant.runtime.osc import OscDoor
from vivant.runtime.parameters import PANIC, PANIC_RELEASE, RESET, parameters_for
from vivant.runtime.scene import load_scene
from vivant.runtime.tree import Tree

__all__ = ["stage"]  # the fixture
BLACK = (0, 0, 0)


@pytest.mark.gl
def test_the_next_refresh_is_black_and_new_pictures_do_not_end_it(stage: Stage) -> None:
    stage.send(RED)
    assert near(stage.colour(), RED)
    stage.tree.set(PANIC, (), 0, "osc")
    stage.present.refresh()
    assert stage.canvas.read()[..., :3].max() == 0
    stage.send(GREEN)
    assert stage.colour() == BLACK
    assert stage.present.status()["panic"] == 1


@pytest.mark.gl
def test_only_its_release_ends_it(stage: Stage) -> None:
    stage.send(RED)
    stage.tree.set(PANIC, (), 0, "osc")
    for address, args in (
        (PANIC, ()),
        (RESET, ()),
        ("/vivant/present/blank", (False,)),
        (PANIC_RELEASE, (0,)),
    ):
        stage.tree.set(address, args, 0, "osc")
    assert stage.colour() == BLACK
    stage.tree.set(PANIC_RELEASE, (), 0, "osc")
    for _ in range(600):  # the flash guard lets light come back slowly
        stage.present.refresh()
        if near(tuple(int(v) for v in stage.canvas.read()[64, 64, :3]), RED):
            return
    pytest.fail("the picture did not come back")


@pytest.mark.gl
def test_it_outlives_the_render_process(stage: Stage) -> None:
    stage.send(RED)
    stage.tree.set(PANIC, (), 0, "osc")
    pid = stage.present._render.pid
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    for _ in range(400):
        stage.present.refresh()
        assert stage.canvas.read()[..., :3].max() == 0
        if stage.present._render.restarts:
            break
    assert stage.present._render.restarts == 1
    stage.send(GREEN)
    assert stage.colour() == BLACK


@pytest.mark.gl
def test_key_p_begins_it_and_only_f9_ends_it(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    keys = iter([("p",), ("p", "b", "b", "1", "space", "enter"), ("f9",)])
    panics = []
    monkeypatch.setattr(stage.present._surface, "pressed", lambda: next(keys))
    for _ in range(3):
        stage.present.refresh()
        panics.append(stage.tree.panic)
    assert panics == [True, True, False]


def test_over_osc_it_passes_by_a_flood_that_waits() -> None:
    clock = MonotonicClock()
    door, tree = OscDoor(("127.0.0.1", 0), clock=clock), Tree(parameters_for())
    try:
        client = SimpleUDPClient(*door.address)
        for number in range(3000):
            client.send_message(f"/nobody/{number}", 1)
        client.send_message(PANIC, [])
        came = time.perf_counter() + 5
        while not door._port._urgent and time.perf_counter() < came:
            pass
        assert len(door._port) > 1000
        door.drain(tree, clock.now_ns(), budget_ms=0.1)
        assert tree.panic
        assert len(door._port) > 500, "the flood still waits"
    finally:
        door.close()


def test_triggers_cannot_end_it(tmp_path) -> None:  # type: ignore[no-untyped-def]
    scene = tmp_path / "scene.toml"
    scene.write_text(
        'title = "x"\n[triggers.late]\nwhen = { at = "22:00" }\ndo = [{ set = "panic/release" }]\n'
    )
    with pytest.raises(VivantError, match="triggers do not set it"):
        load_scene(scene)
