"""The engines' contract on a real GPU. NEVER RUN SO FAR: written where there is none."""

from __future__ import annotations

import numpy as np
import pytest
from test_engines import arrays_for, room_for

from gpu.conftest import SIZE
from vivant.engines import onnxruntime_backend, tensorrt_backend, tensorrt_plans
from vivant.engines.card import Card
from vivant.engines.contract import PARTS, EngineError, GraphSource
from vivant.engines.specs import tensor_specs
from vivant.engines.tensorrt_graph import prepared

KINDS = [(part, precision) for precision in ("int8", "float") for part in PARTS]


@pytest.fixture(params=KINDS, ids="-".join)
def source(student, request):
    part, precision = request.param
    return GraphSource(student, Card.read(student), part, precision)


@pytest.fixture
def engine(source):
    with tensorrt_backend.load(source, SIZE, 1) as loaded:
        yield loaded


def test_an_engine_keeps_the_contract(engine, source):
    assert (engine.inputs, engine.outputs) == tensor_specs(source.card, source.part, SIZE)
    inputs, outputs = arrays_for(engine.inputs), room_for(engine.outputs)
    before = {name: array.copy() for name, array in inputs.items()}
    engine.run(inputs, outputs)
    for name, array in outputs.items():
        assert not (array == 77).all(), f"{name} was not written"
        assert np.isfinite(array).all()
    assert all(np.array_equal(before[name], inputs[name]) for name in before)
    assert engine.ran_precision == {"int8": "int8+f16", "float": "f32"}[source.precision]


def test_the_same_inputs_give_the_same_outputs(engine):
    inputs, first, second = arrays_for(engine.inputs), room_for(engine.outputs), room_for(engine.outputs)
    engine.run(inputs, first)
    engine.run(arrays_for(engine.inputs, seed=2), room_for(engine.outputs))
    engine.run({name: array.copy() for name, array in inputs.items()}, second)
    for name in first:
        assert np.array_equal(first[name], second[name])


def test_the_gpu_paints_what_the_processor_paints(engine, source):
    """Float: a sum in another order, 1e-3 of the range. INT8: a value on the edge between two steps may fall
    on either side, and a step is about 1/127 of the range; a tenth of the range is a wrong scale."""
    inputs, outputs, wanted = arrays_for(engine.inputs), room_for(engine.outputs), room_for(engine.outputs)
    engine.run(inputs, outputs)
    if source.precision == "float":
        with onnxruntime_backend.load(source, SIZE, 2) as processor:
            processor.run(inputs, wanted)
    else:
        import onnxruntime

        graph = (source.folder / tensorrt_plans.graph_file(source).file).read_bytes()
        graph = prepared(graph, "int8")
        session = onnxruntime.InferenceSession(graph, providers=["CPUExecutionProvider"])
        names = [spec.name for spec in engine.outputs]
        wanted = dict(zip(names, session.run(names, inputs), strict=True))
    for name, array in wanted.items():
        reach = float(np.ptp(array)) or 1.0
        difference = np.abs(array.astype(np.float64) - outputs[name])
        if source.precision == "float":
            assert difference.max() <= max(1e-3 * reach, 1.0 if array.dtype == np.uint8 else 0.0)
        else:
            assert difference.mean() <= reach / 127
            assert difference.max() <= reach / 10


def test_each_rung_runs_and_another_is_refused(student):
    source = GraphSource(student, Card.read(student), "encode", "int8")
    for size in (SIZE, (64, 64)):
        with tensorrt_backend.load(source, size, 1) as engine:
            engine.run(arrays_for(engine.inputs), room_for(engine.outputs))
    with pytest.raises(EngineError, match="is not built"):
        tensorrt_backend.load(source, (128, 128), 1)


def test_a_hundred_engines_leave_no_memory_behind(student):
    from vivant.engines.cuda import checked, cudart

    source = GraphSource(student, Card.read(student), "encode", "int8")

    def free():
        return checked(cudart().cudaMemGetInfo(), "asking for free memory")

    tensorrt_backend.load(source, SIZE, 1).close()
    before = free()
    for _ in range(100):
        tensorrt_backend.load(source, SIZE, 1).close()
    assert free() >= before - (64 << 20), "the allocator may keep some, a leak of 100 engines is more"
