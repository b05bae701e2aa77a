"""Arrays of torch, CuPy and PyCUDA as an engine's own, without a copy. NEVER RUN SO FAR."""

from __future__ import annotations

import numpy as np
import pytest
from test_engines import arrays_for, room_for

from gpu.conftest import SIZE
from vivant.engines import tensorrt_backend
from vivant.engines.card import Card
from vivant.engines.contract import EngineError, GraphSource
from vivant.engines.cuda import DeviceBuffer, Pinned, download, upload
from vivant.engines.dlpack import borrow


@pytest.fixture
def engine(student):
    source = GraphSource(student, Card.read(student), "encode", "float")
    with tensorrt_backend.load(source, SIZE, 1) as loaded:
        yield loaded


@pytest.fixture
def wanted(engine):
    """A frame, and what the engine makes of it by way of numpy."""
    inputs, outputs = arrays_for(engine.inputs), room_for(engine.outputs)
    engine.run(inputs, outputs)
    return inputs["frame"], outputs["code"]


def gpu_torch():
    torch = pytest.importorskip("torch", reason="needs torch")
    if not torch.cuda.is_available():
        pytest.skip("needs a torch that was built for CUDA")
    return torch


def test_torchs_tensors_are_an_engines_input_and_output(engine, wanted, stream):
    torch = gpu_torch()
    frame, code = wanted
    given = torch.from_numpy(frame).cuda()
    made = torch.zeros(code.shape, device="cuda")
    torch.cuda.synchronize()
    engine.bind("frame", given)
    engine.bind("code", made)
    assert engine.buffers["frame"].address == given.data_ptr(), "no copy"
    engine.put(stream)
    stream.synchronize()
    assert np.array_equal(made.cpu().numpy(), code)


def test_torch_reads_an_engines_output_in_place(engine, wanted):
    torch = gpu_torch()
    _, code = wanted
    view = engine.buffers["code"]
    for read in (torch.from_dlpack(view.owner), torch.as_tensor(view.owner, device="cuda")):
        assert read.data_ptr() == view.address, "no copy"
        assert np.array_equal(read.cpu().numpy(), code)


def test_memory_that_torch_borrowed_outlives_its_lender(stream):
    torch = gpu_torch()
    with DeviceBuffer((4, 8), "float32", stream) as buffer, Pinned((4, 8), "float32") as numbers:
        numbers.array[...] = 3.0
        upload(buffer.view(), numbers, stream)
        borrowed = torch.from_dlpack(buffer)
        stream.synchronize()
    assert float(borrowed.sum()) == 96.0


def test_cupys_arrays_are_an_engines_own(engine, wanted, stream):
    cupy = pytest.importorskip("cupy", reason="needs CuPy")
    frame, code = wanted
    given, made = cupy.asarray(frame), cupy.zeros(code.shape, cupy.float32)
    cupy.cuda.Device().synchronize()
    engine.bind("frame", given)
    engine.bind("code", made)
    engine.put(stream)
    stream.synchronize()
    assert np.array_equal(cupy.asnumpy(made), code)
    assert cupy.from_dlpack(engine.buffers["guide"].owner).data.ptr == engine.buffers["guide"].address


def test_pycudas_arrays_are_an_engines_own(engine, wanted, stream):
    """PyCUDA in the GPU's primary context, which is the one that everything here uses."""
    pytest.importorskip("pycuda.autoprimaryctx", reason="needs PyCUDA, which is built from source")
    from pycuda import gpuarray

    frame, code = wanted
    given, made = gpuarray.to_gpu(frame), gpuarray.zeros(code.shape, np.float32)
    engine.bind("frame", given)
    engine.bind("code", made)
    assert engine.buffers["frame"].address == int(given.gpudata), "no copy"
    engine.put(stream)
    stream.synchronize()
    assert np.array_equal(made.get(), code)


def test_pycuda_reads_and_writes_our_memory_in_place(stream):
    pytest.importorskip("pycuda.autoprimaryctx", reason="needs PyCUDA, which is built from source")
    from pycuda import gpuarray

    with DeviceBuffer((4, 8), "float32", stream) as buffer, Pinned((4, 8), "float32") as numbers:
        theirs = gpuarray.GPUArray((4, 8), np.float32, gpudata=buffer.address)
        theirs.fill(np.float32(5))
        theirs += 2
        import pycuda.driver

        pycuda.driver.Context.synchronize()
        download(numbers, buffer.view(), stream)
        stream.synchronize()
        assert (numbers.array == 7).all()


def test_what_lies_elsewhere_or_has_gaps_is_refused(engine):
    torch = gpu_torch()
    width, height = SIZE
    with pytest.raises(EngineError, match="another memory"):
        borrow(torch.zeros(1))
    turned = torch.zeros((1, height, 3, width), dtype=torch.uint8, device="cuda").permute(0, 1, 3, 2)
    with pytest.raises(EngineError, match="C-contiguous"):
        engine.bind("frame", turned)
    with pytest.raises(EngineError, match="was to be bound to"):
        engine.bind("frame", torch.zeros((1, height, width, 3), device="cuda"))
