"""A strobe over real OSC through the present loop: its recording passes; left undamped, it does not."""

from __future__ import annotations

import multiprocessing as mp
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np
import pytest
from pythonosc.udp_client import SimpleUDPClient

from vivant.guardrails.flash_film import Analysis, analyse
from vivant.runtime.canvas import Canvas
from vivant.runtime.doors import Doors
from vivant.runtime.exchange import Lanes, LaneWriter, make_lanes, write_picture
from vivant.runtime.frames import U8, Judgement, MonotonicClock, Picture, Verdict
from vivant.runtime.osc import OscDoor
from vivant.runtime.parameters import parameters_for
from vivant.runtime.present import Company, Present, Terms
from vivant.runtime.record import Recorder
from vivant.runtime.supervise import RENDER, Hello, RenderProcess
from vivant.runtime.surface import open_headless
from vivant.runtime.tree import Tree

pytestmark = pytest.mark.gl
CONTEXT = mp.get_context("spawn")
CLOCK = MonotonicClock()
SIZE = (192, 108)
FLASHES_HZ = 10
SECONDS = 2.5
TRIES = 3  # a recording drops pictures on a machine that is busy elsewhere, and with them the flashes


def living(job: None, lanes: Lanes, line: Connection) -> None:
    """A render process that paints nothing and lives: the test paints."""
    line.send(Hello({}))
    while not line.poll(0.02):
        lanes.pulse[RENDER] = time.perf_counter_ns()


def painting(serial: int) -> U8:
    """Something that moves a little and does not flash."""
    rows, columns = np.mgrid[0:96, 0:128].astype(np.float32)
    wave = 110 + 40 * np.sin((columns + 2 * serial) / 9.0) * np.cos(rows / 7.0)
    pixels = np.stack([wave, wave * 0.9, wave * 0.8, np.full_like(wave, 255)], -1)
    return pixels.astype(np.uint8)


@pytest.fixture
def process() -> Iterator[tuple[RenderProcess, Lanes]]:
    lanes = make_lanes(CONTEXT)
    process = RenderProcess(CONTEXT, living, None, lanes, CLOCK)
    process.start()
    process.wait_until_ready()
    yield process, lanes
    process.stop()


def show(
    process: tuple[RenderProcess, Lanes],
    film: Path,
    guarded: bool,
    say: Callable[[SimpleUDPClient, int], None],
) -> tuple[Analysis, dict[str, object]]:
    """Run a present loop for SECONDS while `say` sends what each half of a flash asks for; its recording."""
    render, lanes = process
    writer = LaneWriter(lanes.pictures)
    with ExitStack() as parts:
        surface = open_headless(SIZE, refresh_hz=60, clock=CLOCK)
        parts.callback(surface.close)
        canvas, tree = Canvas(surface.context, guarded=guarded), Tree(parameters_for())
        osc = OscDoor(("127.0.0.1", 0), clock=CLOCK)
        parts.callback(osc.close)
        recorder = Recorder(film, SIZE, 30)
        parts.callback(recorder.close)
        present = Present(
            surface, canvas, tree, render, lanes, CLOCK,
            Terms(30, (128, 96), CLOCK.now_ns()), Company(Doors([osc]), recorder=recorder),
        )  # fmt: skip
        client = SimpleUDPClient(*osc.address)
        began, halves, serial = time.perf_counter(), 0, 0
        while (at := time.perf_counter() - began) < SECONDS:
            if at * 2 * FLASHES_HZ >= halves:
                say(client, halves % 2)
                halves += 1
            if serial <= at * 30:
                now_ns, verdict = CLOCK.now_ns(), Verdict(Judgement.PASS, 1.0, "fits")
                write_picture(writer, Picture(painting(serial), serial, verdict, now_ns, now_ns))
                serial += 1
            present.refresh()
        status = present.status()
    return analyse(film), status


def exposure(client: SimpleUDPClient, lit: int) -> None:
    client.send_message("/vivant/look/exposure", 2.0 if lit else -1.5)


def blank(client: SimpleUDPClient, lit: int) -> None:
    client.send_message("/vivant/present/blank", 1 - lit)


@pytest.mark.parametrize("say", [exposure, blank])
def test_a_strobe_over_osc_passes_as_it_was_shown_and_fails_where_the_guard_is_left_out(
    process: tuple[RenderProcess, Lanes], tmp_path: Path, say: Callable[[SimpleUDPClient, int], None]
) -> None:
    for _ in range(TRIES):
        undamped, without = show(process, tmp_path / "undamped.mp4", False, say)
        if not undamped.passes:
            break
    assert not undamped.passes, f"{len(undamped.moments)} pictures are too few to hold a strobe"
    assert without["flash_engaged"] == 0
    damped, status = show(process, tmp_path / "damped.mp4", True, say)
    assert damped.passes, damped.worst()
    assert status["flash_engaged"] == 1
    assert float(str(status["flash_damped"])) > 0.5


def test_a_show_in_which_nothing_flashes_is_not_touched(
    process: tuple[RenderProcess, Lanes], tmp_path: Path
) -> None:
    found, status = show(process, tmp_path / "calm.mp4", True, lambda client, lit: None)
    assert found.passes
    assert (status["flash_engaged"], status["flash_damped"]) == (0, 0.0)
