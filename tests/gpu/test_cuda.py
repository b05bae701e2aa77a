"""Our own face of CUDA on a real GPU, without TensorRT. NEVER RUN SO FAR: written where there is none."""

from __future__ import annotations

import numpy as np
import pytest

from vivant.engines.contract import EngineError
from vivant.engines.cuda import DeviceBuffer, Event, FrameGraph, Pinned, download, gpu, upload
from vivant.engines.dlpack import borrow

NEEDS = "cuda"
SHAPE = (64, 33)


def test_the_gpu_has_a_name_and_a_driver():
    found = gpu()
    assert found.name and found.capability >= (7, 0) and found.driver >= (12, 0)


def test_what_goes_up_comes_down_and_a_stream_is_timed(stream):
    with (
        Pinned(SHAPE, "float32") as there,
        Pinned(SHAPE, "float32") as back,
        DeviceBuffer(SHAPE, "float32", stream) as held,
        Event() as before,
        Event() as after,
    ):
        there.array[...] = np.random.default_rng(1).random(SHAPE)
        before.record(stream)
        upload(held.view(), there, stream)
        download(back, held.view(), stream)
        after.record(stream)
        stream.synchronize()
        assert np.array_equal(there.array, back.array)
        assert after.ms_since(before) > 0


def test_copies_are_one_graph_that_reads_what_is_there_at_each_launch(stream):
    with (
        Pinned(SHAPE, "float32") as there,
        Pinned(SHAPE, "float32") as back,
        DeviceBuffer(SHAPE, "float32", stream) as held,
    ):
        stages = [
            ("up", lambda on: upload(held.view(), there, on)),
            ("down", lambda on: download(back, held.view(), on)),
        ]
        with FrameGraph(stages, stream) as frame:
            for number in (1.0, 2.0):
                there.array[...] = number
                frame.launch()
                stream.synchronize()
                assert (back.array == number).all()
            assert frame.refusal == "" and all(ms > 0 for ms in frame.timings_ms().values())


def test_a_stage_that_waits_is_refused_and_the_stream_goes_on(stream):
    with pytest.raises(EngineError, match="no_graph"):
        FrameGraph([("waits", lambda on: on.synchronize())], stream)
    stream.synchronize()


def test_more_memory_than_there_is_is_refused_with_what_to_do():
    with pytest.raises(EngineError, match="nvidia-smi shows who"):
        DeviceBuffer((1 << 20, 1 << 20), "float64")


def test_torch_reads_our_memory_and_we_read_torchs(stream):
    torch = pytest.importorskip("torch", reason="needs torch")
    if not torch.cuda.is_available():
        pytest.skip("needs a torch that was built for CUDA")
    with DeviceBuffer(SHAPE, "float32", stream) as held, Pinned(SHAPE, "float32") as numbers:
        numbers.array[...] = 3.0
        upload(held.view(), numbers, stream)
        theirs = torch.from_dlpack(held)
        stream.synchronize()
        assert theirs.data_ptr() == held.address and float(theirs.sum()) == 3.0 * 64 * 33
        ours = borrow(torch.full(SHAPE, 2.0, device="cuda"))
        torch.cuda.synchronize()
        download(numbers, ours, stream)
        stream.synchronize()
        assert (numbers.array == 2.0).all()
        del theirs
