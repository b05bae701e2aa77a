"""Every backend keeps the one contract; cards, manifests and students refuse what does not fit."""

from __future__ import annotations

import gc
import json
import logging
import subprocess
import sys
import weakref
from pathlib import Path

import numpy as np
import pytest
from tiny_student import entry, write_tiny_student

from vivant.engines import registry
from vivant.engines.card import Card, read_checked
from vivant.engines.contract import PARTS, Availability, EngineError, GraphSource
from vivant.engines.manifest import MANIFEST, Manifest, cache_folder, keep, kept_engines, recall
from vivant.engines.specs import tensor_specs
from vivant.engines.student import Student, find, shipped
from vivant.runtime.frames import Controls, Latent

SIZE = (96, 64)  # width, height: not square, so that swapped sides are noticed
USABLE = [name for name, found in registry.usable().items() if found.usable]
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

    from vivant.engines.network import House

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


def load(folders, student, backend, part, precision, size_px=SIZE):
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
def test_an_engine_keeps_the_contract(engine, request):
    student, _, kind, part = request.node.callspec.params["engine"]
    card = Card.read(find("house" if student == "house" else "null"))  # the tiny one has null's shapes
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
        assert engine.ran_precision == "f32"
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


def changed_student(folder, target, change):
    """A copy of a student in `target` whose card went through `change`."""
    if folder != target:
        for path in folder.iterdir():
            (target / path.name).write_bytes(path.read_bytes())
    card = json.loads((folder / "card.json").read_text())
    change(card | {"folder": target})
    (target / "card.json").write_text(json.dumps(card))
    return target


# Cards


def test_a_missing_card_says_where_to_look(tmp_path):
    with pytest.raises(EngineError, match=r"card\.json cannot be read.*vivant engines list"):
        Card.read(tmp_path)


def test_all_problems_of_a_card_are_told_at_once(tmp_path):
    card = json.loads((find("null") / "card.json").read_text())
    card |= {"code_channels": "16", "sigma_rnage": [0, 1], "default_size": 100.5}
    del card["license"]
    (tmp_path / "card.json").write_text(json.dumps(card))
    with pytest.raises(EngineError) as error:
        Card.read(tmp_path)
    text = str(error.value)
    assert "4 problems" in text
    for name in ("code_channels", "sigma_rnage", "default_size", "license"):
        assert name in text


@pytest.mark.parametrize(
    "change",
    [
        {"sigma_range": [0.5, 0.1]},
        {"sigma_range": [0.0, 1.5]},
        {"default_size": 100},
        {"guard": {"file": "../guard.npz", "sha256": "0" * 64}},
        {"guard": {"file": "guard.npz", "sha256": "0" * 63}},
        {"styles": []},
    ],
)
def test_an_incoherent_card_is_refused(tmp_path, change):
    card = json.loads((find("null") / "card.json").read_text()) | change
    (tmp_path / "card.json").write_text(json.dumps(card))
    with pytest.raises(EngineError, match="1 problem\n"):
        Card.read(tmp_path)


def test_broken_json_is_one_clear_problem(tmp_path):
    (tmp_path / "card.json").write_text('{"name": ')
    with pytest.raises(EngineError, match=r"card\.json: 1 problem"):
        Card.read(tmp_path)


def test_a_changed_file_is_named_with_what_to_do(folders, tmp_path):
    folder = changed_student(folders["tiny"], tmp_path, lambda card: None)
    path = folder / "denoise.int8.onnx"
    path.write_bytes(path.read_bytes() + b"\0")
    card = Card.read(folder)
    with pytest.raises(EngineError, match=r"denoise\.int8\.onnx has sha256 .*Copy the whole"):
        read_checked(folder, card.graph("denoise", "int8"))
    path.unlink()
    with pytest.raises(EngineError, match=r"names denoise\.int8\.onnx, but it cannot be read"):
        read_checked(folder, card.graph("denoise", "int8"))


@pytest.mark.parametrize("name", shipped())
def test_every_shipped_student_matches_its_card(name):
    folder = find(name)
    card = Card.read(folder)
    assert card.name == name
    for file in card.files():
        read_checked(folder, file)


# Registry


def test_an_unknown_backend_is_answered_with_the_near_one():
    with pytest.raises(EngineError, match=r"unknown backend 'openvion'; did you mean 'openvino'\?"):
        registry.choose("openvion")


def installed(*names):
    return lambda entry: Availability(
        any(registry.BACKENDS[name] is entry for name in names), "1.0", f"no {entry.packages}"
    )


@pytest.mark.parametrize(
    ("here", "chosen"),
    [
        (("openvino", "onnxruntime", "torch", "null"), "openvino"),
        (("onnxruntime", "torch", "null"), "onnxruntime"),
    ],
)
def test_auto_takes_the_first_usable_and_says_why(monkeypatch, caplog, here, chosen):
    monkeypatch.setattr(registry, "_installed", installed(*here))
    with caplog.at_level(logging.INFO, "vivant.engines.registry"):
        name, reason = registry.choose("auto")
    assert name == chosen and chosen in reason and reason in caplog.text
    assert ("openvino" in reason) == (chosen == "openvino" or "no ('openvino',)" in reason)


def test_auto_never_takes_torch_or_null_on_its_own(monkeypatch):
    monkeypatch.setattr(registry, "_installed", installed("torch", "null"))
    with pytest.raises(EngineError, match=r"no backend can run the student here: openvino: .*onnxruntime: "):
        registry.choose("auto")
    assert registry.choose("null")[0] == "null"
    with pytest.raises(EngineError, match="openvino was asked for and cannot be used"):
        registry.choose("openvino")


def test_looking_at_what_is_usable_imports_nothing_heavy():
    code = "import sys; from vivant.engines import registry; registry.usable(); registry.choose('null')\n"
    code += "print([n for n in ('openvino', 'onnxruntime', 'torch', 'numpy.f2py') if n in sys.modules])"
    done = subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("backend", USABLE)
def test_a_usable_backend_says_so_when_imported(backend):
    assert registry.look(backend, deep=True).usable


# Manifest

MANIFEST_OF_ONE = Manifest(
    student="tiny",
    part="decode",
    precision="int8",
    model_sha256="a" * 64,
    calibration_sha256="a" * 64,
    shapes={"code": (1, 16, 8, 8)},
    adapter_slots=0,
    backend="openvino",
    backend_version="1",
    device="CPU one",
    threads=2,
)


def test_what_was_kept_is_recalled_and_nothing_is_recalled_from_nothing(tmp_path):
    assert recall(tmp_path / "none", MANIFEST_OF_ONE) is None
    keep(tmp_path, MANIFEST_OF_ONE, b"compiled")
    assert recall(tmp_path, MANIFEST_OF_ONE) == b"compiled"


@pytest.mark.parametrize(
    "change",
    [{"device": "CPU two"}, {"backend_version": "2"}, {"shapes": {"code": (1, 16, 9, 8)}}, {"threads": 1}],
)
def test_a_manifest_that_differs_is_refused_with_what_differs(tmp_path, change):
    keep(tmp_path, MANIFEST_OF_ONE, b"compiled")
    wanted = MANIFEST_OF_ONE.model_copy(update=change)
    (name,) = change
    with pytest.raises(EngineError, match=rf"does not match its manifest:\n  {name}: .*wanted"):
        recall(tmp_path, wanted)
    assert wanted.key != MANIFEST_OF_ONE.key


@pytest.mark.parametrize("content", ["", "{}", '{"manifest": 1}', None])
def test_a_broken_manifest_or_a_missing_engine_is_refused(tmp_path, content):
    keep(tmp_path, MANIFEST_OF_ONE, b"compiled")
    if content is None:
        next(tmp_path.glob("*.blob")).unlink()
    else:
        (tmp_path / MANIFEST).write_text(content)
    with pytest.raises(EngineError, match="Delete that folder"):
        recall(tmp_path, MANIFEST_OF_ONE)


def test_damaged_compiled_engines_are_found(own_cache):
    assert kept_engines() == {}
    keep(cache_folder() / "one", MANIFEST_OF_ONE, b"compiled")
    keep(cache_folder() / "two", MANIFEST_OF_ONE, b"compiled")
    keep(cache_folder() / "three", MANIFEST_OF_ONE, b"compiled")
    next((cache_folder() / "two").glob("*.blob")).write_bytes(b"changed")
    (cache_folder() / "three" / MANIFEST).write_text("{")
    faults = {folder.name: fault for folder, fault in kept_engines().items()}
    assert faults["one"] == "" and "sha256" in faults["two"] and "cannot be read" in faults["three"]


# Student


@pytest.fixture(scope="module")
def null():
    with Student.load("null", "null", "float", SIZE, 1) as student:
        yield student


@pytest.fixture
def frame():
    rng = np.random.Generator(np.random.Philox(key=5))
    coarse = rng.random((8, 12, 3))
    return (np.kron(coarse, np.ones((8, 8, 1))) * 255).astype(np.uint8)


def painted(student, frame, controls):
    latent = student.denoise(student.encode(frame), controls)
    planes = np.full((1, len(student.card.planes), SIZE[1], SIZE[0]), 128, np.uint8)
    return student.decode(latent, planes, controls).copy()


@pytest.mark.parametrize(("backend", "kind"), KINDS)
def test_a_student_paints_a_picture_of_its_size_on_every_backend(folders, frame, backend, kind):
    controls = Controls(strength=0.5, steps=2, seed=3, styles={"ink": 1.0})
    with Student.load(folders["tiny"], backend, kind, SIZE, 1) as student:
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
    assert seen == pytest.approx([0.1, 0.8, 0.4, 0.2, 0.8, 0.6, 0.4, 0.2])


def test_one_step_mixes_code_and_noise_by_sigma(null, frame):
    latent = null.encode(frame)
    code = latent.code.copy()
    null.denoise(latent, Controls(strength=0.1, seed=4))
    noise = np.random.Generator(np.random.Philox(key=4)).standard_normal(code.shape, dtype=np.float32)
    assert np.allclose(null._noisy, 0.9 * code + 0.1 * noise, atol=1e-6)  # float32 rounding
    assert np.array_equal(code, latent.code)


def test_style_weights_sum_to_one_and_default_to_the_first(null):
    assert null.style_vector({}).tolist() == [[1, 0, 0, 0]]
    assert null.style_vector({"ink": 0.0, "mosaic": 0.0}).tolist() == [[1, 0, 0, 0]]
    assert null.style_vector({"ink": 1.0, "strokes": 3.0}).tolist() == [[0, 0.25, 0, 0.75]]
    assert null.style_vector({"ink": 0.5, "unknown": 1.0, "strokes": -1.0}).tolist() == [[0, 1, 0, 0]]


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
        Student.load("null", "null", "float", size_px, 1)


def test_an_unknown_student_is_answered_with_the_near_one():
    with pytest.raises(EngineError, match=r"no student 'nul'.*Did you mean 'null'\?"):
        find("nul")
    with pytest.raises(EngineError, match="no student 'nul'"):
        Student.load("nul", "null", "float", SIZE, 1)


def test_a_precision_the_student_does_not_have_is_refused(folders, tmp_path):
    folder = changed_student(
        folders["tiny"], tmp_path, lambda card: [kinds.pop("int8") for kinds in card["graphs"].values()]
    )
    for backend in {"openvino", "onnxruntime"} & set(USABLE):
        with pytest.raises(EngineError, match="no int8 graph for encode; it has: float"):
            Student.load(folder, backend, "int8", SIZE, 1)


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
