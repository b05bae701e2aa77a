"""TensorRT's two halves on played libraries: what is built is loaded, and what does not match is refused.

tests/gpu holds the tests for a real GPU; these run everywhere.
"""

from __future__ import annotations

import json
import sys
from types import SimpleNamespace

import numpy as np
import pytest
from fake_cuda import Error, FakeCuda
from fake_tensorrt import FakeTensorrt
from test_engines import arrays_for, room_for
from tiny_student import changed_student
from tiny_tensorrt import source_of, symmetric_student

from vivant.engines import cuda, tensorrt_backend, tensorrt_build, tensorrt_plans
from vivant.engines.contract import PARTS, EngineError
from vivant.engines.cuda import Gpu, Stream
from vivant.engines.manifest import MANIFEST
from vivant.engines.specs import tensor_specs
from vivant.engines.tensorrt_graph import prepared

SIZE = (96, 64)
SIZES = [(64, 64), SIZE, (128, 64)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The tiny student with symmetric INT8 graphs as they ship."""
    pytest.importorskip("onnx", reason="needs onnx (the distill extra) to write a student")
    return symmetric_student(tmp_path_factory.mktemp("student") / "tiny")


@pytest.fixture
def played(monkeypatch, tmp_path):
    """Both libraries, played, and a cache of our own; whatever a test took must be given back."""
    rt = FakeCuda()
    trt = FakeTensorrt(do=rt._do)
    monkeypatch.setattr(cuda, "cudart", lambda: rt)
    monkeypatch.setitem(sys.modules, "tensorrt", trt)
    monkeypatch.setattr("platformdirs.user_cache_dir", lambda name: str(tmp_path / "cache"))
    yield SimpleNamespace(rt=rt, trt=trt, cache=tmp_path / "cache" / "engines")
    assert rt.leaks() == 0


def plain_run(source, inputs):
    """What onnxruntime alone makes of the graph that TensorRT gets."""
    from fake_tensorrt import _Session

    graph = (source.folder / tensorrt_plans.graph_file(source).file).read_bytes()
    graph = _Session(prepared(graph, source.precision))
    return dict(zip(graph.outputs, graph.session.run(None, inputs), strict=True))


@pytest.mark.parametrize("part", PARTS)
@pytest.mark.parametrize("precision", ["int8", "float"])
def test_what_is_built_is_loaded_and_runs(played, folder, part, precision):
    source = source_of(folder, part, precision)
    kept = tensorrt_build.build(source, [SIZE])
    assert kept.parent == played.cache
    with tensorrt_backend.load(source, SIZE, 2) as engine:
        assert (engine.inputs, engine.outputs) == tensor_specs(source.card, part, SIZE)
        assert engine.ran_precision == {"int8": "int8+f16", "float": "f32"}[precision]
        for seed in (1, 2):
            inputs, outputs = arrays_for(engine.inputs, seed), room_for(engine.outputs)
            engine.run(inputs, outputs)
            for name, wanted in plain_run(source, inputs).items():
                assert np.array_equal(outputs[name], wanted)
    with pytest.raises(EngineError, match="is closed"):
        engine.run(inputs, outputs)


def test_a_student_is_built_whole(played, folder):
    told = []
    made = tensorrt_build.build_student(folder, "int8", SIZES, report=lambda *what: told.append(what))
    assert list(made) == list(PARTS)
    assert [part for part, _ in told] == [part for part in PARTS for _ in range(4)]
    for part in PARTS:
        tensorrt_backend.load(source_of(folder, part), SIZES[-1], 1).close()


def test_a_run_allocates_nothing(played, folder):
    source = source_of(folder)
    tensorrt_build.build(source, [SIZE])
    with tensorrt_backend.load(source, SIZE, 1) as engine:
        inputs, outputs = arrays_for(engine.inputs), room_for(engine.outputs)
        played.rt.calls.clear()
        engine.run(inputs, outputs)
        assert set(played.rt.calls) == {"cudaMemcpyAsync", "cudaStreamSynchronize"}
        assert played.rt.calls.count("cudaStreamSynchronize") == 1


def test_what_is_not_built_names_the_command(played, folder):
    with pytest.raises(EngineError, match=r"tiny\.decode in int8 at 96x64 is not built") as refusal:
        tensorrt_backend.load(source_of(folder), SIZE, 1)
    command = f"Run: vivant engines build {folder} --backend tensorrt --precision int8 --size 96x64"
    assert str(refusal.value).endswith(command)


def test_a_shipped_student_is_built_by_its_name(monkeypatch, folder):
    monkeypatch.setattr("vivant.engines.student.shipped", lambda: {"tiny": folder})
    command = tensorrt_plans.build_command(source_of(folder), [(512, 512), (384, 384)])
    assert command == (
        "vivant engines build tiny --backend tensorrt --precision int8 --size 512x512 --size 384x384"
    )


def test_one_engine_holds_a_profile_for_each_rung(played, folder):
    source = source_of(folder)
    tensorrt_build.build(source, SIZES)
    profiles = played.trt.configs[-1].profiles
    assert [one["code"] for one in profiles] == [(1, 16, h // 8, w // 8) for w, h in SIZES]
    assert "style" not in profiles[0], "what is of one size has no profile"
    for size in SIZES:
        with tensorrt_backend.load(source, size, 1) as engine:
            inputs, outputs = arrays_for(engine.inputs), room_for(engine.outputs)
            engine.run(inputs, outputs)
            assert np.array_equal(outputs["picture"], plain_run(source, inputs)["picture"])
    with pytest.raises(EngineError, match="at 160x64 is not built"):
        tensorrt_backend.load(source, (160, 64), 1)


@pytest.mark.parametrize("sizes", [[], [SIZE, SIZE], [(90, 64)]])
def test_sizes_that_make_no_sense_are_refused(folder, sizes):
    with pytest.raises(EngineError, match=r"different sizes|both sides must be multiples of 32"):
        tensorrt_build.profiles_of(source_of(folder), sizes)


def test_an_engine_of_another_version_gpu_or_graph_is_refused_with_what_differs(played, folder, monkeypatch):
    source = source_of(folder)
    tensorrt_build.build(source, [SIZE])
    played.trt.__version__ = "11.5.0.1"
    with pytest.raises(
        EngineError, match=r"backend_version: '11.4.0.106', wanted '11.5.0.1'\)\. Run: vivant"
    ):
        tensorrt_backend.load(source, SIZE, 1)
    played.trt.__version__ = "11.4.0.106"
    other = Gpu("NVIDIA L4", (8, 9), (13, 5))
    monkeypatch.setattr(tensorrt_backend, "gpu", lambda: other)
    with pytest.raises(EngineError, match=r"device: 'NVIDIA RTX A6000 \(SM 8\.6\)', wanted 'NVIDIA L4"):
        tensorrt_backend.load(source, SIZE, 1)


def test_another_graph_under_the_same_name_is_refused(played, folder, tmp_path):
    tensorrt_build.build(source_of(folder), [SIZE])

    def change(card):
        card["graphs"]["decode"]["int8_symmetric"]["sha256"] = "0" * 64

    changed = source_of(changed_student(folder, tmp_path / "changed", change))
    with pytest.raises(EngineError, match=r"was built for something else \(model_sha256: .*Run: vivant"):
        tensorrt_backend.load(changed, SIZE, 1)


def test_an_engine_for_any_ampere_runs_on_a_newer_gpu(played, folder, monkeypatch):
    source = source_of(folder)
    tensorrt_build.build(source, [SIZE], "ampere_plus")
    level = played.trt.configs[-1].hardware_compatibility_level
    assert level == played.trt.HardwareCompatibilityLevel.AMPERE_PLUS
    for name, capability in (("NVIDIA L4", (8, 9)), ("NVIDIA RTX A6000", (8, 6))):
        found = Gpu(name, capability, (13, 5))
        monkeypatch.setattr(tensorrt_backend, "gpu", lambda found=found: found)
        tensorrt_backend.load(source, SIZE, 1).close()
    monkeypatch.setattr(tensorrt_backend, "gpu", lambda: Gpu("NVIDIA T4", (7, 5), (13, 5)))
    with pytest.raises(EngineError, match="wanted 'NVIDIA T4"):
        tensorrt_backend.load(source, SIZE, 1)
    monkeypatch.setattr(tensorrt_build, "gpu", lambda: Gpu("NVIDIA T4", (7, 5), (13, 5)))
    with pytest.raises(EngineError, match="older than Ampere"):
        tensorrt_build.build(source, [SIZE], "ampere_plus")


def test_a_damaged_engine_is_refused(played, folder):
    kept = tensorrt_build.build(source_of(folder), [SIZE])
    next(kept.glob("*.blob")).write_bytes(b"half of it")
    with pytest.raises(
        EngineError, match=r"sha256 of engine-.* Delete that folder\. Run: vivant engines build"
    ):
        tensorrt_backend.load(source_of(folder), SIZE, 1)


@pytest.mark.parametrize("content", ["", "{}", '{"manifest": 1}', "[]"])
def test_a_broken_manifest_is_passed_over(played, folder, content, caplog):
    kept = tensorrt_build.build(source_of(folder), [SIZE])
    (kept / MANIFEST).write_text(content)
    with pytest.raises(EngineError, match="is not built"):
        tensorrt_backend.load(source_of(folder), SIZE, 1)
    assert "is passed over" in caplog.text


@pytest.mark.parametrize(("version", "flags"), [("10.16.1.11", 1 << 1), ("11.4.0.106", 0)])
def test_each_line_of_tensorrt_gets_a_strongly_typed_network(played, folder, version, flags):
    played.trt.__version__ = version
    tensorrt_build.build(source_of(folder), [SIZE])
    assert played.trt.flags == [flags]


@pytest.mark.parametrize(("precision", "cleared"), [("float", ["TF32"]), ("int8", [])])
def test_float_means_float_and_the_workspace_is_limited(played, folder, precision, cleared):
    tensorrt_build.build(source_of(folder, precision=precision), [SIZE], workspace_bytes=1 << 20)
    config = played.trt.configs[-1]
    assert config.cleared == cleared
    assert config.pools == {"WORKSPACE": 1 << 20}


def test_progress_is_told_with_the_time_that_is_left(played, folder):
    told = []
    tensorrt_build.build(source_of(folder), [SIZE], report=told.append)
    assert [one.done for one in told] == [0.25, 0.5, 0.75, 1.0]
    assert {one.phase for one in told} == {"Building"}
    assert told[-1].left_s == 0.0
    assert tensorrt_build._progress("x", 4, 10.0, 1, 12.0).left_s == 6.0


def test_whoever_is_told_of_progress_can_stop_the_build(played, folder):
    def enough(progress):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        tensorrt_build.build(source_of(folder), [SIZE], report=enough)
    assert not list(played.cache.glob("*/*"))


def test_what_was_timed_is_kept_and_used_again(played, folder, caplog):
    path = played.cache / "tensorrt-11.4.0.106-sm86.timing"
    tensorrt_build.build(source_of(folder), [SIZE])
    assert path.read_bytes() == b"timed "
    tensorrt_build.build(source_of(folder), [SIZE])
    assert path.read_bytes() == b"timed timed "
    for other in (b"foreign", b"broken"):
        path.write_bytes(other)
        caplog.clear()
        tensorrt_build.build(source_of(folder), [SIZE])
        assert path.read_bytes() == b"timed "
        assert "begun anew" in caplog.text


@pytest.mark.parametrize(
    ("step", "words"),
    [
        ("parse", "cannot read the graph of tiny.decode: only activation types"),
        ("profile", "cannot build tiny.decode: the shape is not consistent"),
        ("build", "cannot build tiny.decode: no tactic was found"),
        ("load", "cannot load the engine of tiny.decode: the plan is of another version"),
        ("context", "cannot make ready tiny.decode"),
        ("shapes", "cannot make ready tiny.decode: shapes cannot be inferred"),
        ("run", "would not run tiny.decode"),
    ],
)
def test_what_tensorrt_refuses_is_explained(played, folder, step, words):
    source = source_of(folder)
    if step in ("load", "context", "shapes", "run"):
        tensorrt_build.build(source, [SIZE])
    played.trt.refuse.add(step)
    with pytest.raises(EngineError, match=words):
        tensorrt_build.build(source, [SIZE])
        tensorrt_backend.load(source, SIZE, 1)


def test_memory_that_is_full_half_way_is_given_back(played, folder):
    source = source_of(folder)
    tensorrt_build.build(source, [SIZE])
    taken = played.rt.cudaMalloc
    count = iter(range(100))
    played.rt.__dict__["cudaMalloc"] = lambda nbytes: (
        (Error.cudaErrorMemoryAllocation, None) if next(count) == 2 else taken(nbytes)
    )
    with pytest.raises(EngineError, match="memory is full"):
        tensorrt_backend.load(source, SIZE, 1)


def test_arrays_that_do_not_fit_are_refused(played, folder):
    source = source_of(folder, "encode")
    tensorrt_build.build(source, [SIZE])
    with tensorrt_backend.load(source, SIZE, 1) as engine:
        inputs, outputs = arrays_for(engine.inputs), room_for(engine.outputs)
        with pytest.raises(EngineError, match="needs 'frame'"):
            engine.run({}, outputs)
        with pytest.raises(EngineError, match="not contiguous"):
            engine.run({"frame": np.asfortranarray(inputs["frame"])}, outputs)
        with pytest.raises(EngineError, match="has no tensor 'fram'; it has: frame, code, guide"):
            engine.bind("fram", engine.buffers["frame"])
        with pytest.raises(EngineError, match=r"was to be bound to float32"):
            engine.bind("frame", engine.buffers["guide"])


def chained(folder):
    """All three parts, each reading what the one before wrote."""
    engines = {part: tensorrt_backend.load(source_of(folder, part), SIZE, 1) for part in PARTS}
    encode, denoise, decode = engines.values()
    denoise.bind("code", encode.buffers["code"])
    for engine in (denoise, decode):
        engine.bind("guide", encode.buffers["guide"])
    decode.bind("code", denoise.buffers["denoised"])
    return engines


def test_three_parts_are_one_launch_without_a_copy_between_them(played, folder):
    for part in PARTS:
        tensorrt_build.build(source_of(folder, part), [SIZE])
    engines = chained(folder)
    frame = arrays_for(engines["encode"].inputs)
    rest = {part: arrays_for(engines[part].inputs) for part in ("denoise", "decode")}
    with Stream() as stream:
        wanted = {"denoise": ["denoised"], "decode": ["picture"]}
        graph = tensorrt_backend.capture(engines, stream, wanted)
        for name in ("frame",):
            engines["encode"].staged(name).array[...] = frame[name]
        for part, names in (("denoise", ("sigma", "style")), ("decode", ("planes", "style"))):
            for name in names:
                engines[part].staged(name).array[...] = rest[part][name]
        played.rt.calls.clear()
        graph.launch()
        stream.synchronize()
        assert played.rt.calls == ["cudaGraphLaunch", "cudaStreamSynchronize"]
        assert list(graph.timings_ms()) == list(PARTS)
        latent = plain_run(source_of(folder, "encode"), frame)
        clean = plain_run(source_of(folder, "denoise"), {**rest["denoise"], **latent})["denoised"]
        painted = {**rest["decode"], "code": clean, "guide": latent["guide"]}
        picture = plain_run(source_of(folder, "decode"), painted)["picture"]
        with pytest.raises(EngineError, match="part of a captured frame"):
            engines["decode"].bind("code", engines["encode"].buffers["code"])
        assert np.array_equal(engines["denoise"].staged("denoised").array, clean)
        assert np.array_equal(engines["decode"].staged("picture").array, picture)
        graph.close()
    for engine in engines.values():
        engine.close()


def test_what_is_bound_to_anothers_array_is_read_from_there(played, folder):
    source = source_of(folder, "encode")
    tensorrt_build.build(source, [SIZE])
    with tensorrt_backend.load(source, SIZE, 1) as engine, Stream() as stream:
        frame = arrays_for(engine.inputs)["frame"]

        class Theirs:  # host memory passes for the GPU's where it is played
            __cuda_array_interface__ = {  # noqa: RUF012  # as the protocol has it
                "version": 3,
                "shape": frame.shape,
                "typestr": "|u1",
                "data": (frame.ctypes.data, False),
            }

        engine.bind("frame", Theirs())
        with tensorrt_backend.capture({"encode": engine}, stream, {"encode": ["code"]}) as graph:
            for _ in range(2):
                graph.launch()
                stream.synchronize()
                wanted = plain_run(source, {"frame": frame})["code"]
                assert np.array_equal(engine.staged("code").array, wanted)
                frame[...] = 255 - frame


@pytest.mark.parametrize("part", PARTS)
def test_torchs_tensors_are_run_on_in_place_and_numpys_arrays_after_them(played, folder, part, monkeypatch):
    torch = pytest.importorskip("torch", reason="needs torch: pip install 'vivant[torch]'")
    source = source_of(folder, part)
    tensorrt_build.build(source, [SIZE])
    with tensorrt_backend.load(source, SIZE, 1) as engine, Stream() as stream:
        current = SimpleNamespace(cuda_stream=stream.handle)
        monkeypatch.setattr(torch.cuda, "current_stream", lambda: current)
        inputs, made = arrays_for(engine.inputs), room_for(engine.outputs)
        tensors = {name: torch.from_numpy(array) for name, array in (inputs | made).items()}
        engine.put_tensors(tensors)
        wanted = plain_run(source, inputs)
        assert all(np.array_equal(made[name], wanted[name]) for name in wanted)
        others, after = arrays_for(engine.inputs, 2), room_for(engine.outputs)
        engine.run(others, after)
        assert all(np.array_equal(after[name], array) for name, array in plain_run(source, others).items())
        assert all(np.array_equal(made[name], wanted[name]) for name in wanted), "torch's were left alone"
        name = engine.inputs[0].name
        for wrong in (tensors[name][0], tensors[name].double(), tensors[name].transpose(2, 3)):
            with pytest.raises(EngineError, match=f"was loaded for {name}"):
                engine.put_tensors(tensors | {name: wrong})


def test_a_frame_that_cannot_be_captured_stops_or_is_counted(played, folder):
    source = source_of(folder, "encode")
    tensorrt_build.build(source, [SIZE])
    with tensorrt_backend.load(source, SIZE, 1) as engine, Stream() as stream:
        played.rt.fail["cudaGraphInstantiate"] = Error.cudaErrorInvalidValue
        with pytest.raises(EngineError, match="making the frame's graph ready"):
            tensorrt_backend.capture({"encode": engine}, stream, {})
        played.rt.fail["cudaGraphInstantiate"] = Error.cudaErrorInvalidValue
        with tensorrt_backend.capture({"encode": engine}, stream, {}, "no_graph") as frame:
            frame.launch()
            assert frame.without_graph == 1


@pytest.mark.parametrize("precision", ["int8", "bf16"])
def test_a_student_without_a_graph_for_tensorrt_is_refused(folder, tmp_path, precision):
    def change(card):
        if precision == "int8":
            del card["graphs"]["decode"]["int8_symmetric"]

    source = source_of(changed_student(folder, tmp_path / "plain", change), precision=precision)
    words = "int8_symmetric graph for decode" if precision == "int8" else "precision bf16"
    with pytest.raises(EngineError, match=f"student tiny has no {words} that TensorRT could run"):
        tensorrt_plans.graph_file(source)


def test_availability_says_what_is_missing(played, monkeypatch):
    assert tensorrt_backend.available().usable
    assert tensorrt_backend.available().reason == "NVIDIA RTX A6000 (SM 8.6)"
    monkeypatch.setattr(tensorrt_backend, "gpu", lambda: Gpu("NVIDIA Tesla P4", (6, 1), (13, 5)))
    assert "too old: TensorRT wants SM 7.5" in tensorrt_backend.available().reason
    monkeypatch.undo()
    monkeypatch.setattr(cuda, "cudart", lambda: played.rt)
    monkeypatch.setitem(sys.modules, "tensorrt", FakeTensorrt("9.3.0"))
    assert "9.3.0 is neither of 10.x and 11.x" in tensorrt_backend.available().reason
    monkeypatch.setitem(sys.modules, "tensorrt", FakeTensorrt())
    played.rt.fail["cudaGetDeviceCount"] = Error.cudaErrorMemoryAllocation
    assert "CUDA failed while looking for a GPU" in tensorrt_backend.available().reason
    monkeypatch.setitem(sys.modules, "tensorrt", None)
    found = tensorrt_backend.available()
    assert not found.usable
    assert "pip install 'vivant[nvidia]'" in found.reason


def test_it_is_ready_where_an_engine_was_built_for_this_gpu_and_version(played, folder, monkeypatch):
    assert "no engine was built for this GPU" in tensorrt_backend.ready().reason
    tensorrt_build.build(source_of(folder, "encode"), [SIZE])
    assert tensorrt_backend.ready().usable
    monkeypatch.setattr(tensorrt_backend, "gpu", lambda: Gpu("NVIDIA L4", (8, 9), (13, 5)))
    assert not tensorrt_backend.ready().usable
    tensorrt_build.build(source_of(folder, "encode"), [SIZE], "ampere_plus")
    assert tensorrt_backend.ready().usable
    monkeypatch.setitem(sys.modules, "tensorrt", None)
    assert "cannot be imported" in tensorrt_backend.ready().reason


def test_without_a_driver_nothing_of_tensorrt_is_made(played, folder):
    """Its Runtime, made without a driver, crashes the process when it is used (seen with 11.4)."""
    played.rt.fail["cudaDriverGetVersion"] = Error.cudaErrorInvalidValue
    played.trt.Runtime = played.trt.Builder = None
    with pytest.raises(EngineError, match="backend tensorrt cannot be used: CUDA failed"):
        tensorrt_backend.load(source_of(folder), SIZE, 1)


def test_a_full_disk_is_explained(played, folder, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(tensorrt_build, "keep", full)
    with pytest.raises(EngineError, match=r"cannot be kept in .*No space left on device"):
        tensorrt_build.build(source_of(folder), [SIZE])


def test_a_manifest_tells_sizes_and_shapes_of_each_profile(folder):
    made = tensorrt_plans.plan_manifest(source_of(folder), SIZES, "a GPU", "11.4.0.106")
    again = json.loads(made.model_dump_json())
    assert again["shapes"]["code@96x64"] == [1, 16, 8, 12]
    assert tensorrt_plans._sizes(made) == SIZES
    assert (made.threads, made.backend) == (0, "tensorrt")
