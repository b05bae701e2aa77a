"""Our side of CUDA, on a runtime that is played: what is lent comes back, and what fails is explained."""

from __future__ import annotations

import ctypes
import gc
import json
import sys
from pathlib import Path

import numpy as np
import pytest
from fake_cuda import Error, FakeCuda

from vivant.engines import cuda, dlpack
from vivant.engines.contract import EngineError
from vivant.engines.cuda import DeviceBuffer, FrameGraph, Pinned, Stream, download, upload


@pytest.fixture
def rt(monkeypatch):
    """The played runtime; at the end of a test everything must have been given back."""
    fake = FakeCuda()
    monkeypatch.setattr(cuda, "cudart", lambda: fake)
    yield fake
    gc.collect()
    assert fake.leaks() == 0


def bytes_at(address, count):
    return bytes((ctypes.c_uint8 * count).from_address(address))


def test_without_cuda_bindings_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "cuda.bindings.runtime", None)
    with pytest.raises(EngineError, match=r"pip install 'vivant\[nvidia\]'"):
        cuda.cudart()


@pytest.mark.parametrize(
    ("error", "remedy"),
    [
        (Error.cudaErrorMemoryAllocation, "nvidia-smi"),
        (Error.cudaErrorIllegalAddress, "start the render process again"),
        (Error.cudaErrorStreamCaptureUnsupported, "no_graph"),
        (Error.cudaErrorInvalidValue, r"\(cudaErrorInvalidValue\)\.$"),
    ],
)
def test_an_error_says_what_failed_and_what_to_do(rt, error, remedy):
    rt.fail["cudaMalloc"] = error
    with pytest.raises(EngineError, match=rf"while taking 24 bytes of GPU memory: .*{remedy}"):
        DeviceBuffer((2, 3), "float32")


def test_every_remedy_is_of_an_error_that_cuda_knows():
    symbols = json.loads((Path(__file__).parent / "data" / "cuda_symbols.json").read_text())["symbols"]
    assert set(cuda.REMEDIES) <= set(symbols["cudaError_t"]["values"])


def test_the_gpu_is_named_with_its_capability(rt):
    found = cuda.gpu()
    assert str(found) == "NVIDIA RTX A6000 (SM 8.6)"
    assert found.driver == (13, 5)


def test_numpy_goes_to_the_gpu_and_back_through_pinned_memory(rt):
    with (
        Stream() as stream,
        Pinned((2, 3), "float32") as here,
        Pinned((2, 3), "float32") as back,
        DeviceBuffer((2, 3), "float32") as there,
    ):
        here.array[...] = np.arange(6, dtype=np.float32).reshape(2, 3)
        upload(there.view(), here, stream)
        download(back, there.view(), stream)
        stream.synchronize()
        assert np.array_equal(back.array, here.array)
        there.close()  # closing twice is no error
    assert back.array.size == 0


def test_a_buffer_is_borrowed_by_the_cuda_array_interface(rt):
    with Stream() as stream, DeviceBuffer((2, 3), "uint8", stream) as buffer:
        described = buffer.__cuda_array_interface__
        assert described["version"] == 3
        assert (described["shape"], described["typestr"]) == ((2, 3), "|u1")
        assert described["data"] == (buffer.address, False)
        assert described["stream"] == stream.handle
        view = dlpack.borrow(buffer)
        assert (view.address, view.shape, view.dtype, view.nbytes) == (buffer.address, (2, 3), "uint8", 6)
    with pytest.raises(EngineError, match="is closed"):
        _ = buffer.__cuda_array_interface__


class OnlyDlpack:
    """A library that knows nothing but DLPack."""

    def __init__(self, buffer):
        self._buffer = buffer

    def __dlpack__(self, **wishes):
        return self._buffer.__dlpack__(**wishes)

    def __dlpack_device__(self):
        return self._buffer.__dlpack_device__()


def test_a_buffer_is_borrowed_by_dlpack_and_freed_when_it_comes_back(rt):
    buffer = DeviceBuffer((2, 3), "float32")
    view = dlpack.borrow(OnlyDlpack(buffer))
    assert (view.address, view.shape, view.dtype) == (buffer.address, (2, 3), "float32")
    buffer.close()
    assert rt.leaks() == 1, "what is lent must not be freed under its borrower"
    del view
    gc.collect()
    assert rt.leaks() == 0


def test_a_capsule_that_nobody_used_lets_go(rt):
    with DeviceBuffer((4,), "uint8") as buffer:
        capsule = buffer.__dlpack__()
        del capsule
    assert rt.leaks() == 0


def test_a_borrowers_stream_waits_for_what_was_written(rt):
    with Stream() as stream, DeviceBuffer((4,), "uint8", stream) as buffer:
        for asked, waits in ((7, [7]), (None, [1]), (-1, [])):
            rt.waits.clear()
            buffer.__dlpack__(stream=asked)
            assert [waiting for waiting, _ in rt.waits] == waits, asked


def test_our_capsules_are_read_by_numpy():
    """numpy is another's implementation of DLPack: it reads ours as if it lay on the CPU."""
    held, returned = np.arange(12, dtype=np.float32).reshape(3, 4), []

    class Lender:
        def __dlpack__(self, **_):
            return dlpack.lend(
                held.ctypes.data, held.shape, "float32", lambda: returned.append(1), dlpack.CPU
            )

        def __dlpack_device__(self):
            return dlpack.CPU, 0

    read = np.from_dlpack(Lender())
    assert np.array_equal(read, held)
    held[1, 2] = 77
    assert read[1, 2] == 77, "it must be the same memory"
    del read
    gc.collect()
    assert returned == [1]


def test_we_read_numpys_capsules():
    given = np.arange(12, dtype=np.float32).reshape(3, 4)
    view = dlpack.borrow(given, dlpack.CPU)
    assert (view.address, view.shape, view.dtype) == (given.ctypes.data, (3, 4), "float32")
    first = given.ctypes.data
    del given
    gc.collect()
    assert bytes_at(first + 4, 4) == np.float32(1).tobytes(), "the view keeps the memory alive"


@pytest.mark.parametrize(
    ("array", "device", "words"),
    [
        (np.zeros((4, 4), np.float32)[:, ::2], dlpack.CPU, "C-contiguous memory only"),
        (np.zeros((4, 4), np.float32).T, dlpack.CPU, "C-contiguous memory only"),
        (np.zeros((4, 4), np.complex64), dlpack.CPU, "is none that an engine takes"),
        (np.zeros((4, 4), np.float32), dlpack.CUDA, "lies in another memory"),
        ([1, 2], dlpack.CUDA, "is no array in GPU memory"),
    ],
)
def test_what_cannot_be_borrowed_is_refused(array, device, words):
    with pytest.raises(EngineError, match=words):
        dlpack.borrow(array, device)


class Pycuda:
    """An array as PyCUDA describes it: with strides also where there are no gaps."""

    def __init__(self, strides):
        self.__cuda_array_interface__ = {
            "version": 3,
            "shape": (2, 3),
            "typestr": "<f4",
            "data": (4096, False),
            "strides": strides,
            "stream": None,
        }


@pytest.mark.parametrize("strides", [(12, 4), None])
def test_pycudas_description_is_understood(strides):
    view = dlpack.borrow(Pycuda(strides))
    assert (view.address, view.shape, view.dtype) == (4096, (2, 3), "float32")


@pytest.mark.parametrize("strides", [(4, 8), (16, 4)])
def test_a_strided_interface_is_refused(strides):
    with pytest.raises(EngineError, match="C-contiguous"):
        dlpack.borrow(Pycuda(strides))


def stages_of(rt, seen):
    return [
        ("encode", lambda stream: rt._do(lambda: seen.append("encode"))),
        ("decode", lambda stream: rt._do(lambda: seen.append("decode"))),
    ]


def test_a_frame_is_one_launch_with_a_time_for_each_stage(rt):
    seen = []
    with Stream() as stream, FrameGraph(stages_of(rt, seen), stream) as frame:
        assert seen == ["encode", "decode"], "the stages run once before they are captured"
        rt.calls.clear()
        frame.launch()
        frame.launch()
        stream.synchronize()
        assert seen == ["encode", "decode"] * 3
        assert rt.calls == ["cudaGraphLaunch"] * 2 + ["cudaStreamSynchronize"]
        assert frame.timings_ms() == {"encode": 1.5, "decode": 1.5}
        assert (frame.refusal, frame.without_graph) == ("", 0)


def test_a_stage_that_waits_stops_the_start(rt):
    with Stream() as stream:
        with pytest.raises(EngineError, match=r"A stage waited, allocated .* no_graph"):
            FrameGraph([("waits", lambda on: on.synchronize())], stream)
        assert rt.capturing is None, "the stream must not be left capturing"


@pytest.mark.parametrize(
    "function",
    ["cudaStreamBeginCapture", "cudaStreamEndCapture", "cudaGraphInstantiate"],
)
def test_a_failed_capture_is_loud_or_a_policy_with_a_counter(rt, function, caplog):
    seen = []
    with Stream() as stream:
        rt.fail[function] = Error.cudaErrorStreamCaptureUnsupported
        with pytest.raises(EngineError, match="cudaErrorStreamCaptureUnsupported"):
            FrameGraph(stages_of(rt, seen), stream)
        rt.fail[function] = Error.cudaErrorStreamCaptureUnsupported
        seen.clear()
        with FrameGraph(stages_of(rt, seen), stream, "no_graph") as frame:
            assert "cudaErrorStreamCaptureUnsupported" in frame.refusal
            assert "policy no_graph" in caplog.text
            seen.clear()
            frame.launch()
            frame.launch()
            assert seen == ["encode", "decode"] * 2
            assert frame.without_graph == 2
            assert frame.timings_ms() == {"encode": 1.5, "decode": 1.5}


def test_an_error_that_is_not_cudas_is_never_a_policy(rt):
    def breaks(stream):
        if rt.capturing is not None:
            raise ZeroDivisionError

    with Stream() as stream, pytest.raises(ZeroDivisionError):
        FrameGraph([("breaks", breaks)], stream, "no_graph")
