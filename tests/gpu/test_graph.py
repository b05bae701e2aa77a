"""The whole frame as one CUDA graph on a real GPU. NEVER RUN SO FAR: written where there is none."""

from __future__ import annotations

import time

import numpy as np
import pytest
from test_engines import arrays_for, room_for

from gpu.conftest import SIZE
from vivant.engines import tensorrt_backend
from vivant.engines.card import Card
from vivant.engines.contract import PARTS, EngineError, GraphSource
from vivant.engines.cuda import FrameGraph


@pytest.fixture
def engines(student):
    """All three parts, each reading what the one before wrote."""
    card = Card.read(student)
    made = {}
    for part in PARTS:
        made[part] = tensorrt_backend.load(GraphSource(student, card, part, "int8"), SIZE, 1)
    encode, denoise, decode = made.values()
    denoise.bind("code", encode.buffers["code"])
    for engine in (denoise, decode):
        engine.bind("guide", encode.buffers["guide"])
    decode.bind("code", denoise.buffers["denoised"])
    yield made
    for engine in made.values():
        engine.close()


def fill(engines, seed):
    """Random numbers in whatever comes from the host; the same seed gives the same frame."""
    for part, engine in engines.items():
        for name, array in arrays_for(engine.inputs, seed).items():
            if part == "encode" or name not in ("code", "guide"):
                engine.staged(name).array[...] = array


def frame_by_parts(student, seed):
    """The same frame with three engines that know nothing of each other."""
    card = Card.read(student)
    latent, made = {}, {}
    for part in PARTS:
        with tensorrt_backend.load(GraphSource(student, card, part, "int8"), SIZE, 1) as engine:
            inputs = arrays_for(engine.inputs, seed) | (latent if part != "encode" else {})
            inputs = {spec.name: inputs[spec.name] for spec in engine.inputs}
            made = room_for(engine.outputs)
            engine.run(inputs, made)
            latent |= {"code" if name == "denoised" else name: array for name, array in made.items()}
    return made["picture"]


def test_one_launch_gives_the_frame_that_three_runs_give(engines, student, stream):
    with tensorrt_backend.capture(engines, stream, {"decode": ["picture"]}) as frame:
        assert frame.refusal == ""
        for seed in (1, 2, 1):
            fill(engines, seed)
            frame.launch()
            stream.synchronize()
            painted = engines["decode"].staged("picture").array
            assert np.array_equal(painted, frame_by_parts(student, seed))
        assert frame.without_graph == 0


def test_each_stage_has_a_time_and_all_fit_in_the_frame(engines, stream):
    with tensorrt_backend.capture(engines, stream, {"decode": ["picture"]}) as frame:
        fill(engines, 1)
        for _ in range(3):
            began = time.perf_counter()
            frame.launch()
            stream.synchronize()
            took_ms = (time.perf_counter() - began) * 1e3
        timings = frame.timings_ms()
        assert list(timings) == list(PARTS)
        assert all(ms > 0 for ms in timings.values())
        assert sum(timings.values()) <= took_ms  # no bound on speed: parts are not longer than the whole


def test_a_stage_that_waits_cannot_be_captured_and_says_so(engines, stream):
    def waits(on):
        engines["encode"].put(on)
        on.synchronize()

    with pytest.raises(EngineError, match="no_graph"):
        FrameGraph([("waits", waits)], stream)
    stream.synchronize()  # the stream is usable again


def test_without_a_graph_frames_are_the_same_and_counted(engines, student, stream):
    def put(on):
        engines["encode"].put(on)
        on.synchronize()

    with FrameGraph([("encode", put)], stream, "no_graph") as frame:
        assert frame.refusal
        for _ in range(5):
            frame.launch()
        stream.synchronize()
        assert frame.without_graph == 5
        assert frame.timings_ms()["encode"] > 0


def test_a_thousand_frames_stay_where_they_are(engines, stream):
    with tensorrt_backend.capture(engines, stream, {"decode": ["picture"]}) as frame:
        places = {part: {n: v.address for n, v in e.buffers.items()} for part, e in engines.items()}
        fill(engines, 1)
        frame.launch()
        stream.synchronize()
        first = engines["decode"].staged("picture").array.copy()
        for _ in range(1000):
            frame.launch()
        stream.synchronize()
        assert np.array_equal(engines["decode"].staged("picture").array, first)
        assert places == {part: {n: v.address for n, v in e.buffers.items()} for part, e in engines.items()}
