"""Every backend keeps the one contract, and a student on any of them refuses what does not fit."""

from __future__ import annotations

import gc
import json
import weakref
from pathlib import Path

import numpy as np
import pytest
from tiny_student import changed_student, entry, write_tiny_student

from vivant.engines import registry
from vivant.engines.card import Card
from vivant.engines.contract import PARTS, EngineError, GraphSource
from vivant.engines.kinds import load_student
from vivant.engines.slots import CHANNELS
from vivant.engines.specs import tensor_specs
from vivant.engines.student import Student, find, shipped
from vivant.runtime.frames import Controls, Latent

SIZE = (96, 64)  # width, height: not square, so that swapped sides are noticed
USABLE = [name for name, found in registry.usable().items() if found.usable and name != "tensorrt"]
KINDS = [(name, kind) for name in USABLE for kind in registry.BACKENDS[name].precisions]
HOUSE = shipped().get("house")


@pytest.fixture(scope="session")
def folders(tmp_path_factory):
    """A tiny student, with weights for torch where torch is, and the house where it is in the tree."""
    pytest.importorskip("onnx", reason="needs onnx (the distill extra) to write a student")
    tiny = write_tiny_student(tmp_path_factory.mktemp("students") / "tiny")
    if "torch" in USABLE:
        write_weights(tiny)
    return {"tiny": tiny} | ({"house": HOUSE} if HOUSE else {})


def write_weights(folder: Path) -> None:
    import safetensors.torch
    import torch

    from vivant.engines.house import House

    torch.manual_seed(0)
    safetensors.torch.save_file(House(styles=4).state_dict(), folder / "weights.safetensors")
    card = json.loads((folder / "card.json").read_text())
    card["weights"] = entry(folder / "weights.safetensors")
    (folder / "card.json").write_text(json.dumps(card))


@pytest.fixture(autouse=True)
def own_cache(tmp_path_factory, monkeypatch):
    """What is compiled here does not land in the cache of whoever runs the tests."""
    cache = tmp_path_factory.mktemp("cache")
    monkeypatch.setattr("platformdirs.user_cache_dir", lambda name: str(cache))
    return cache


def source_of(folders, student, backend, part, precision):
    own = registry.BACKENDS[backend].own_student
    folder = find(own) if own else folders[student]
    return GraphSource(folder, Card.read(folder), part, precision)


def can_run(kind):
    """Skips the test where the processor lacks what a precision needs."""
    if kind == "bf16":
        import openvino

        if "BF16" not in openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
            pytest.skip("needs a processor with bfloat16 arithmetic")


def load(folders, student, backend, part, precision, size_px=SIZE):
    can_run(precision)
    source = source_of(folders, student, backend, part, precision)
    return registry.module(backend).load(source, size_px, 1)


def arrays_for(specs, seed=1):
    rng = np.random.Generator(np.random.Philox(key=seed))
    made = {}
    for spec in specs:
        if spec.dtype == "uint8":
            made[spec.name] = rng.integers(0, 256, spec.shape, dtype=np.uint8)
        else:
            draw = rng.normal if spec.name == "code" else rng.random
            made[spec.name] = draw(size=spec.shape).astype(np.float32)
        if spec.name.startswith("adapter_"):
            made[spec.name] *= 0.1  # as small as adapters are: float16 ends at 65504
    return made


def room_for(specs):
    return {spec.name: np.full(spec.shape, 77, spec.dtype) for spec in specs}


STUDENTS = ["tiny", *(["house"] if HOUSE else [])]
PARTS_OF_ALL = [
    pytest.param(student, backend, kind, part, id=f"{student}-{backend}-{kind}-{part}")
    for student in STUDENTS
    for backend, kind in KINDS
    for part in PARTS
    if student == "tiny" or not registry.BACKENDS[backend].own_student
]


@pytest.fixture
def engine(folders, request):
    student, backend, kind, part = request.param
    with load(folders, student, backend, part, kind) as loaded:
        yield loaded


def every_engine(test):
    return pytest.mark.parametrize(
        "engine", [pytest.param(p.values, id=p.id) for p in PARTS_OF_ALL], indirect=True
    )(test)


@every_engine
def test_an_engine_keeps_the_contract(engine, folders, request):
    student, backend, kind, part = request.node.callspec.params["engine"]
    card = source_of(folders, student, backend, part, kind).card
    assert (engine.inputs, engine.outputs) == tensor_specs(card, part, SIZE)
    inputs, outputs = arrays_for(engine.inputs), room_for(engine.outputs)
    before = {name: array.copy() for name, array in inputs.items()}
    engine.run(inputs, outputs)
    for name, array in outputs.items():
        assert not (array == 77).all(), f"{name} was not written"
        assert np.isfinite(array).all()
    assert all(np.array_equal(before[name], inputs[name]) for name in before)
    if kind == "int8":
        assert "int8" in engine.ran_precision
    else:
        stays = backend == "torch" and part == "encode"  # float32 in every precision
        assert (
            engine.ran_precision
            == {"float": "f32", "bf16": "f32" if stays else "bf16", "half": "f32" if stays else "f16"}[kind]
        )
    if part == "decode":
        assert (outputs["picture"][..., 3] == 255).all()


@every_engine
def test_the_same_inputs_give_the_same_outputs_in_any_arrays(engine):
    inputs, first = arrays_for(engine.inputs), room_for(engine.outputs)
    engine.run(inputs, first)
    engine.run(arrays_for(engine.inputs, seed=2), room_for(engine.outputs))
    moved, second = {name: array.copy() for name, array in inputs.items()}, room_for(engine.outputs)
    engine.run(moved, second)
    for name in first:
        assert np.array_equal(first[name], second[name])


@every_engine
def test_new_contents_of_the_same_array_are_seen(engine):
    inputs, outputs = arrays_for(engine.inputs), room_for(engine.outputs)
    engine.run(inputs, outputs)
    before = {name: array.copy() for name, array in outputs.items()}
    for name, array in arrays_for(engine.inputs, seed=3).items():
        inputs[name][...] = array
    engine.run(inputs, outputs)
    assert any(not np.array_equal(before[name], outputs[name]) for name in outputs)


@every_engine
def test_arrays_are_not_kept(engine):
    inputs, outputs = arrays_for(engine.inputs), room_for(engine.outputs)
    engine.run(inputs, outputs)
    kept = [weakref.ref(array) for array in (*inputs.values(), *outputs.values())]
    del inputs, outputs
    gc.collect()
    assert [ref for ref in kept if ref() is not None] == []


@every_engine
def test_what_does_not_fit_is_refused(engine):
    inputs, outputs = arrays_for(engine.inputs), room_for(engine.outputs)
    spec = engine.inputs[0]
    array = inputs[spec.name]
    strided = np.repeat(array, 2, axis=-1)[..., ::2]
    for wrong in (array[..., :-1].copy(), array[0], array.astype(np.float64), strided):
        with pytest.raises(EngineError, match=spec.name):
            engine.run(inputs | {spec.name: wrong}, outputs)
    with pytest.raises(EngineError, match=f"needs '{spec.name}'"):
        engine.run({name: array for name, array in inputs.items() if name != spec.name}, outputs)
    name = engine.outputs[0].name
    with pytest.raises(EngineError, match=name):
        engine.run(inputs, outputs | {name: outputs[name][:, :1].copy()})


@every_engine
def test_an_engine_closes_twice_and_then_refuses(engine):
    engine.close()
    engine.close()
    with pytest.raises(EngineError, match="closed"):
        engine.run(arrays_for(engine.inputs), room_for(engine.outputs))


@pytest.mark.parametrize("part", PARTS)
def test_onnx_backends_agree(folders, part):
    if not {"openvino", "onnxruntime"} <= set(USABLE):
        pytest.skip("needs openvino and onnxruntime")
    results = []
    for backend in ("openvino", "onnxruntime"):
        with load(folders, "tiny", backend, part, "float") as engine:
            outputs = room_for(engine.outputs)
            engine.run(arrays_for(engine.inputs), outputs)
            results.append(outputs)
    for name, array in results[0].items():
        # float32 sums in another order; a picture may then round to the next of 256 levels
        tolerance = 1 if array.dtype == np.uint8 else 1e-4
        assert np.abs(array.astype(np.float64) - results[1][name]).max() <= tolerance, name


def test_a_kept_compiled_engine_is_used_and_paints_the_same(folders, own_cache):
    pytest.importorskip("openvino")
    pictures = []
    for _ in range(2):
        with load(folders, "tiny", "openvino", "decode", "int8") as engine:
            outputs = room_for(engine.outputs)
            engine.run(arrays_for(engine.inputs), outputs)
            pictures.append(outputs["picture"])
    assert np.array_equal(*pictures)
    blobs = list(own_cache.rglob("*.blob"))
    assert len(blobs) == 1
    blobs[0].write_bytes(blobs[0].read_bytes()[:-1])
    with pytest.raises(EngineError, match="sha256 of engine-"):
        load(folders, "tiny", "openvino", "decode", "int8")


def test_a_cache_that_cannot_be_written_costs_a_warning_only(folders, own_cache, caplog):
    pytest.importorskip("openvino")
    (own_cache / "engines").write_text("a file where a folder should be")
    load(folders, "tiny", "openvino", "encode", "float").close()
    assert "not kept" in caplog.text


def test_a_graph_with_other_tensors_is_refused(folders, tmp_path):
    folder = changed_student(folders["tiny"], tmp_path, lambda card: card["graphs"].update(swapped(card)))
    for backend in {"openvino", "onnxruntime"} & set(USABLE):
        source = GraphSource(folder, Card.read(folder), "encode", "float")
        with pytest.raises(EngineError, match=r"has tensors .* must be frame"):
            registry.module(backend).load(source, SIZE, 1)


def test_a_file_that_is_no_graph_is_refused(folders, tmp_path):
    folder = changed_student(folders["tiny"], tmp_path, lambda card: None)
    (folder / "encode.float.onnx").write_bytes(b"not a graph")
    changed_student(folder, folder, refresh)
    for backend in {"openvino", "onnxruntime"} & set(USABLE):
        source = GraphSource(folder, Card.read(folder), "encode", "float")
        with pytest.raises(EngineError, match=r"encode\.float\.onnx"):
            registry.module(backend).load(source, SIZE, 1)


def swapped(card):
    return {"encode": card["graphs"]["decode"]}


def refresh(card):
    for kinds in card["graphs"].values():
        kinds["float"]["sha256"] = entry(card["folder"] / kinds["float"]["file"])["sha256"]


# Student


@pytest.fixture(scope="module")
def null():
    with load_student("null", "null", "float", SIZE, 1) as student:
        yield student


@pytest.fixture
def frame():
    rng = np.random.Generator(np.random.Philox(key=5))
    coarse = rng.random((8, 12, 3))
    return (np.kron(coarse, np.ones((8, 8, 1))) * 255).astype(np.uint8)


def painted(student, frame, controls):
    latent = student.denoise(student.encode(frame), controls)
    planes = np.full((1, SIZE[1] // 2, SIZE[0] // 2, CHANNELS), 128, np.uint8)
    return student.decode(latent, planes, controls).copy()


@pytest.mark.parametrize(("backend", "kind"), KINDS)
def test_a_student_paints_a_picture_of_its_size_on_every_backend(folders, frame, backend, kind):
    can_run(kind)
    controls = Controls(strength=0.5, steps=2, seed=3, styles={"ink": 1.0})
    with load_student(folders["tiny"], backend, kind, SIZE, 1) as student:
        assert (student.size_px, student.backend, student.precision) == (SIZE, backend, kind)
        picture = painted(student, frame, controls)
        assert picture.shape == (SIZE[1], SIZE[0], 4) and picture.dtype == np.uint8
        assert picture[..., :3].std() > 1
        assert np.array_equal(picture, painted(student, frame, controls))
        assert all(("int8" in ran) == (kind == "int8") for ran in student.ran_precision.values())
    student.close()


def test_the_seed_alone_decides_the_noise(null, frame):
    one, other = Controls(strength=1.0, seed=1), Controls(strength=1.0, seed=2)
    first = painted(null, frame, one)
    assert not np.array_equal(first, painted(null, frame, other))
    assert np.array_equal(first, painted(null, frame, one))


def test_strength_is_clipped_to_what_the_student_was_trained_on(folders, frame):
    seen = []

    class Watched:
        def __init__(self, engine):
            self.inputs, self.outputs, self.ran_precision = (
                engine.inputs,
                engine.outputs,
                engine.ran_precision,
            )
            self.engine = engine

        def run(self, inputs, outputs):
            if "sigma" in inputs:
                seen.append(float(inputs["sigma"][0, 0]))
            self.engine.run(inputs, outputs)

    source = [source_of(folders, "tiny", "null", part, "float") for part in PARTS]
    card = source[0].card.model_copy(update={"sigma_range": (0.1, 0.8)})
    engines = {s.part: Watched(registry.module("null").load(s, SIZE, 1)) for s in source}
    student = Student(card, source[0].folder, "null", "float", engines)
    for strength, steps in ((0.0, 1), (1.0, 1), (0.4, 2), (1.0, 4)):
        student.denoise(student.encode(frame), Controls(strength=strength, steps=steps))
    assert seen == pytest.approx([0.1, 0.8, 0.4, 0.28, 0.8, 0.56, 0.392, 0.2744])


def test_one_step_mixes_code_and_noise_by_sigma(null, frame):
    latent = null.encode(frame)
    code = latent.code.copy()
    null.denoise(latent, Controls(strength=0.1, seed=4))
    noise = np.random.Generator(np.random.Philox(key=4)).standard_normal(code.shape, dtype=np.float32)
    assert np.allclose(null._noisy, 0.9 * code + 0.1 * noise, atol=1e-6)  # float32 rounding
    assert np.array_equal(code, latent.code)


def test_a_student_made_for_other_planes_is_refused(folders, tmp_path):
    folder = changed_student(folders["tiny"], tmp_path, lambda card: card.update(planes="images-20"))
    with pytest.raises(EngineError, match=r"planes 'images-20', but this version has 'blocks-112'"):
        load_student(folder, "onnxruntime", "float", SIZE, 1)


def test_the_guide_is_the_luma_of_the_frame(null, frame):
    luma = frame.astype(np.float64) @ (0.299, 0.587, 0.114) / 255
    wanted = luma.reshape(SIZE[1] // 2, 2, SIZE[0] // 2, 2).mean((1, 3))
    assert np.allclose(null.encode(frame).guide[0, 0], wanted, atol=1e-5)  # float32 rounding


def test_frames_of_another_size_are_refused(null):
    with pytest.raises(
        EngineError, match=r"loaded for frames uint8 \(64, 96, 3\).*given uint8 \(96, 64, 3\)"
    ):
        null.encode(np.zeros((96, 64, 3), np.uint8))


@pytest.mark.parametrize("size_px", [(100, 64), (0, 64), (64, 31)])
def test_a_size_the_student_cannot_paint_is_refused_with_the_next_one(size_px):
    with pytest.raises(EngineError, match=r"multiples of 32\. Next: \d+x\d+"):
        load_student("null", "null", "float", size_px, 1)


def test_an_unknown_student_is_answered_with_the_near_one():
    with pytest.raises(EngineError, match=r"no student 'nul'.*Did you mean 'null'\?"):
        find("nul")
    with pytest.raises(EngineError, match="no student 'nul'"):
        load_student("nul", "null", "float", SIZE, 1)


def test_a_precision_the_student_does_not_have_is_refused(folders, tmp_path):
    folder = changed_student(
        folders["tiny"], tmp_path, lambda card: [kinds.pop("int8") for kinds in card["graphs"].values()]
    )
    for backend in {"openvino", "onnxruntime"} & set(USABLE):
        with pytest.raises(EngineError, match="no int8 graph for encode; it has: float"):
            load_student(folder, backend, "int8", SIZE, 1)


def test_the_hash_follows_the_graphs(folders, tmp_path):
    first = Card.read(folders["tiny"])
    folder = changed_student(
        folders["tiny"], tmp_path, lambda card: card["graphs"]["encode"]["int8"].update(sha256="1" * 64)
    )
    assert len(first.hash) == 64 and first.hash != Card.read(folder).hash


def test_a_latent_of_another_size_is_refused(null):
    with pytest.raises(EngineError, match="was loaded for guide"):
        null.denoise(
            Latent(np.zeros((1, 16, 8, 12), np.float32), np.zeros((1, 1, 8, 8), np.float32)), Controls()
        )
