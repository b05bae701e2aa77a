"""The present loop on a real off-screen surface, with pictures put into its lane by hand."""

from __future__ import annotations

import json
import multiprocessing as mp
import time
from collections.abc import Iterator
from dataclasses import asdict
from multiprocessing.connection import Connection

import numpy as np
import pytest

from vivant.runtime.canvas import Canvas
from vivant.runtime.exchange import LaneReader, Lanes, LaneWriter, make_lanes, read_controls, write_picture
from vivant.runtime.frames import Judgement, MonotonicClock, Picture, Verdict
from vivant.runtime.ladder import Ladder
from vivant.runtime.parameters import CHOOSE, HOUSE_STYLES, parameters_for
from vivant.runtime.patience import Patience
from vivant.runtime.present import Company, Present, Terms
from vivant.runtime.supervise import RENDER, Hello, RenderProcess
from vivant.runtime.surface import Surface, open_headless
from vivant.runtime.tree import Tree

pytestmark = pytest.mark.gl
CONTEXT = mp.get_context("spawn")
CLOCK = MonotonicClock()
PASS = Verdict(Judgement.PASS, 1.0, "fits")
RED, GREEN = (200, 20, 20, 255), (20, 200, 20, 255)


def living(job: None, lanes: Lanes, line: Connection) -> None:
    """A render process that paints nothing and lives."""
    line.send(Hello({}))
    while not line.poll(0.02):
        lanes.pulse[RENDER] = time.perf_counter_ns()


class Stage:
    """A present loop and the writing end of its lane."""

    def __init__(self, surface: Surface, process: RenderProcess, lanes: Lanes) -> None:
        self.writer, self.controls = LaneWriter(lanes.pictures), LaneReader(lanes.controls)
        self.tree, self.canvas = Tree(parameters_for()), Canvas(surface.context)
        for address, value in (("/vivant/look/grain", 0.0), ("/vivant/present/crossfade", 0.0)):
            self.tree.set(address, (value,), 0, "test")
        self.present = Present(
            surface, self.canvas, self.tree, process, lanes, CLOCK,
            Terms(30, (64, 64), CLOCK.now_ns()), Company(ladder=Ladder((64,), 64, 30)),
        )  # fmt: skip
        self.serial = 0

    def send(self, colour: tuple[int, int, int, int], verdict: Verdict = PASS) -> None:
        self.serial += 1
        pixels = np.full((64, 64, 4), colour, np.uint8)
        now_ns = CLOCK.now_ns()
        counts = {"captured": self.serial, "rendered": self.serial, "admitted": self.serial}
        write_picture(
            self.writer, Picture(pixels, self.serial, verdict, now_ns, now_ns, {"decode": 5.0}, counts)
        )

    def colour(self) -> tuple[int, ...]:
        for _ in range(2):
            self.present.refresh()
        return tuple(int(v) for v in self.canvas.read()[64, 64, :3])


@pytest.fixture
def stage() -> Iterator[Stage]:
    lanes = make_lanes(CONTEXT)
    process = RenderProcess(CONTEXT, living, None, lanes, CLOCK)
    process.start()
    process.wait_until_ready()
    surface = open_headless((128, 128), refresh_hz=200, clock=CLOCK)
    yield Stage(surface, process, lanes)
    surface.close()
    process.stop()


def near(colour: tuple[int, ...], wanted: tuple[int, ...]) -> bool:
    return max(abs(a - b) for a, b in zip(colour, wanted[:3], strict=True)) < 12


def test_an_admitted_picture_is_shown_and_timed(stage: Stage) -> None:
    stage.send(RED)
    assert near(stage.colour(), RED)
    measured = stage.present.meters.as_dict()
    assert measured["frames"]["presented"] == 1
    assert measured["capture_to_present"]["count"] == 1
    assert measured["stages"]["decode"]["p50_ms"] == pytest.approx(5.0, rel=0.03)


def test_a_held_picture_leaves_the_last_admitted_one(stage: Stage) -> None:
    stage.send(RED)
    assert near(stage.colour(), RED)
    stage.send(GREEN, Verdict(Judgement.HOLD, 0.1, "not this one"))
    assert near(stage.colour(), RED)
    assert stage.present.status()["verdict"] == "hold"


def test_pixels_smuggled_in_with_a_hold_are_not_drawn(stage: Stage) -> None:
    stage.send(RED)
    assert near(stage.colour(), RED)
    meta = {
        "serial": 2, "verdict": asdict(Verdict()), "captured_ns": 0, "rendered_ns": 0, "timings_ms": {},
        "counts": {}, "signals": {}, "adapters": [], "shape": [64, 64, 4], "source": None,
    }  # fmt: skip
    text = np.frombuffer(json.dumps(meta).encode(), np.uint8)
    stage.writer.write([text, np.full((64, 64, 4), GREEN, np.uint8).reshape(-1)])
    assert near(stage.colour(), RED)


@pytest.mark.parametrize("rubbish", [b"", b"{", b'{"shape": [1]}', b"\xff\xfe", b'{"serial": 1}'])
def test_what_is_no_picture_is_refused_and_the_show_goes_on(stage: Stage, rubbish: bytes) -> None:
    stage.send(RED)
    assert near(stage.colour(), RED)
    stage.writer.write([np.frombuffer(rubbish, np.uint8), np.zeros(4, np.uint8)])
    assert near(stage.colour(), RED)
    assert stage.present.meters.refused == 1
    stage.send(GREEN)
    assert near(stage.colour(), GREEN)


def test_the_render_process_gets_a_full_snapshot_at_every_refresh(stage: Stage) -> None:
    stage.tree.set(CHOOSE, ("ink",), CLOCK.now_ns(), "test")
    stage.present.refresh()
    controls = read_controls(stage.controls)
    assert controls is not None
    assert controls.size_px == (64, 64)
    assert controls.refresh_ns == 5_000_000
    assert tuple(controls.styles) == HOUSE_STYLES
    assert controls.numbers["/vivant/style/choose"] == "ink"


def test_a_refresh_without_a_new_picture_is_a_repeat(stage: Stage) -> None:
    stage.send(RED)
    for _ in range(5):
        stage.present.refresh()
    frames = stage.present.meters.frames()
    assert frames["presented"] == 1
    assert frames["repeated"] == 4


def test_a_gap_that_is_still_open_is_in_the_report(stage: Stage) -> None:
    stage.send(RED)
    stage.colour()
    for _ in range(30):
        stage.present.refresh()
    assert stage.present.meters.longest_gap_ms > 100
    assert stage.present.lane == {"passed_over": 0, "torn": 0}
    assert stage.present.size_px == (64, 64)


def test_the_ladder_keeps_the_shape_of_an_oblong_picture(stage: Stage) -> None:
    stage.present._size_px = (512, 288)
    stage.present._with = Company(ladder=Ladder((256, 512), 512, 30))
    for ms in [80.0] * 60:
        stage.present._latency.add(ms)
        stage.present._model.add(ms)
    stage.present._serial = 0
    stage.present._climb(1)
    stage.present._climb(5_000_000_000)
    assert stage.present._size_px == (256, 128)


def test_a_picture_that_comes_while_a_refresh_lasts_is_drawn_in_it(stage: Stage) -> None:
    def come(seconds: float) -> None:
        if stage.serial == 0:
            stage.send(RED)

    stage.present._patience = Patience(CLOCK, come)
    stage.present._refresh_ns = 1_000_000_000
    stage.present.refresh()
    assert stage.present.meters.frames()["presented"] == 1
    assert near(tuple(int(v) for v in stage.canvas.read()[64, 64, :3]), RED)


def test_the_other_side_is_told_until_when_a_picture_is_drawn(stage: Stage) -> None:
    stage.present.refresh()
    began_ns = CLOCK.now_ns()
    stage.present.refresh()
    controls = read_controls(stage.controls)
    assert controls is not None
    assert controls.draw_by_ns < began_ns + controls.refresh_ns  # there is a draw to be made until then
