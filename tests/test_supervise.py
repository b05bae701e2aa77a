"""A render process that dies, hangs or cannot start is noticed, ended and started again."""

from __future__ import annotations

import multiprocessing as mp
import os
import signal
import time
from collections.abc import Callable, Iterator
from multiprocessing.connection import Connection
from pathlib import Path

import pytest

from vivant.runtime.backoff import START_LIMIT_S
from vivant.runtime.exchange import Lanes, make_lanes
from vivant.runtime.frames import MonotonicClock, VivantError
from vivant.runtime.supervise import RENDER, Hello, RenderProcess, start_limit_s

CONTEXT = mp.get_context("spawn")


def beating(job: str, lanes: Lanes, line: Connection) -> None:
    """A child that lives until its line closes; job 'mute' stops its pulse after the first beat."""
    if job == "refuses":
        line.send(Hello({}, "camera:7 is not there"))
        return
    if job == "dies":
        os._exit(9)
    lanes.pulse[RENDER] = time.perf_counter_ns()
    line.send(Hello({"job": job}))
    if job == "echoes":
        while (word := received(line)) is not None:
            lanes.pulse[RENDER] = time.perf_counter_ns()
            line.send(word)
    while not line.poll(0.02):
        if job != "mute":
            lanes.pulse[RENDER] = time.perf_counter_ns()


def received(line: Connection) -> object:
    """What the present process said; None when it hung up."""
    try:
        return line.recv()
    except EOFError:
        return None


@pytest.fixture
def start() -> Iterator[Callable[[str], RenderProcess]]:
    running: list[RenderProcess] = []

    def make(job: str) -> RenderProcess:
        process = RenderProcess(CONTEXT, beating, job, make_lanes(CONTEXT), MonotonicClock())
        running.append(process)
        process.start()
        return process

    yield make
    for process in running:
        process.stop()


def poll_until(process: RenderProcess, true: Callable[[], bool], limit_s: float = 10.0) -> bool:
    end = time.perf_counter() + limit_s
    while time.perf_counter() < end:
        process.poll()
        if true():
            return True
        time.sleep(0.005)
    return False


def test_a_killed_child_is_replaced(start: Callable[[str], RenderProcess]) -> None:
    process = start("lives")
    assert process.wait_until_ready().facts == {"job": "lives"}
    first = process.pid
    assert first is not None
    os.kill(first, signal.SIGKILL)
    assert poll_until(process, lambda: process.hello is not None and process.pid not in (None, first))
    assert process.restarts == 1


def test_a_silent_child_is_killed_and_replaced(
    start: Callable[[str], RenderProcess], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vivant.runtime.supervise.SILENT_LIMIT_S", 0.2)
    process = start("mute")
    process.wait_until_ready()
    first = process.pid
    assert poll_until(process, lambda: process.pid not in (None, first))


def test_a_student_that_takes_seconds_for_a_step_is_slow_and_not_silent(
    start: Callable[[str], RenderProcess], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vivant.runtime.supervise.SILENT_LIMIT_S", 0.05)
    process = start("mute")
    process.wait_until_ready()
    process.facts = {"step_ms": 1000.0}
    assert process._silent_limit_s() == 12.0
    first = process.pid
    assert not poll_until(process, lambda: process.pid != first, limit_s=0.3)
    process.facts = {"step_ms": 1.0}
    assert poll_until(process, lambda: process.pid not in (None, first))


def test_a_student_of_gigabytes_has_longer_to_get_ready(tmp_path: Path) -> None:
    graph = tmp_path / "denoise.float.onnx"
    with graph.open("wb") as file:
        file.truncate(2_000_000_000)  # sparse: it takes no room
    assert start_limit_s([]) == START_LIMIT_S
    assert start_limit_s([graph, tmp_path / "nobody.onnx"]) == START_LIMIT_S + 240.0


def test_back_off_grows_for_a_child_that_dies_at_once(start: Callable[[str], RenderProcess]) -> None:
    process = start("dies")
    assert poll_until(process, lambda: process.restarts == 3)
    waits = process._start_at_ns - process._clock.now_ns()
    assert process._back_off.failures >= 3
    assert waits < 2e9


def test_a_child_that_cannot_start_speaks_before_the_show(start: Callable[[str], RenderProcess]) -> None:
    with pytest.raises(VivantError, match="camera:7 is not there"):
        start("refuses").wait_until_ready()


def test_a_child_that_dies_before_the_show_is_an_error(start: Callable[[str], RenderProcess]) -> None:
    with pytest.raises(VivantError, match="ended before it could render"):
        start("dies").wait_until_ready()


def test_stop_ends_the_child(start: Callable[[str], RenderProcess]) -> None:
    process = start("lives")
    process.wait_until_ready()
    pid = process.pid
    assert pid is not None
    process.stop()
    assert process.pid is None
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_words_go_both_ways_beside_the_hello(start: Callable[[str], RenderProcess]) -> None:
    process = start("echoes")
    process.wait_until_ready()
    assert process.tell("dusk") and process.tell("dawn")
    heard: list[object] = []
    assert poll_until(process, lambda: heard.extend(process.said()) or len(heard) == 2)  # type: ignore[func-returns-value]
    assert heard == ["dusk", "dawn"] and process.facts == {"job": "echoes"}
    process.stop()
    assert not process.tell("noon") and process.said() == []
