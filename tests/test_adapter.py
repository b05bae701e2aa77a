"""Adapters: which files are taken, how slots are filled, and what a student paints with them."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from safetensors.numpy import save_file
from tiny_adapter import write_tiny_adapter
from tiny_student import RANK, SITES, SLOTS, STYLES, changed_student, entry, write_tiny_student

from vivant.engines.adapter import (
    ADAPTED,
    PREFIX,
    Adapter,
    AdapterInfo,
    Wardrobe,
    dressed,
    read_adapter,
    wearable,
)
from vivant.engines.card import Card
from vivant.engines.contract import EngineError
from vivant.engines.kinds import kind_of, load_student
from vivant.engines.registry import usable
from vivant.engines.student import Student, find
from vivant.runtime.frames import F32, U8, Controls

SIZE = (96, 64)
Tensors = dict[str, F32]


def info_of(name: str = "dusk", **instead: object) -> dict[str, Any]:
    facts: dict[str, Any] = {
        "name": name,
        "summary": "for tests",
        "student": "tiny",
        "alpha": 2.0,
        "rank": 2,
        "made_with": "tests/test_adapters.py",
        "license": "Apache-2.0",
    }
    return facts | instead


def tensors_of(rank: int = 2, seed: int = 0) -> Tensors:
    rng = np.random.default_rng(seed)
    found: Tensors = {}
    for part, sites in SITES.items():
        for site, (inputs, outputs) in sites.items():
            name = f"{PREFIX}{part}.{site}"
            found[f"{name}.lora_A.weight"] = rng.standard_normal((rank, inputs), dtype=np.float32)
            found[f"{name}.lora_B.weight"] = rng.standard_normal((outputs, rank), dtype=np.float32)
    return found


def write(path: Path, info: Mapping[str, object], tensors: Tensors | None = None) -> Path:
    rank = info["rank"]
    assert isinstance(rank, int)
    save_file(tensors_of(rank) if tensors is None else tensors, path, {"vivant": json.dumps(info)})
    return path


@pytest.fixture(autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What is compiled here does not land in the cache of whoever runs the tests."""
    cache = tmp_path_factory.mktemp("cache")
    monkeypatch.setattr("platformdirs.user_cache_dir", lambda name: str(cache))
    return cache


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny student that takes adapters."""
    pytest.importorskip("onnx", reason="needs onnx (the distill extra) to write a student")
    return write_tiny_student(tmp_path_factory.mktemp("students") / "adapted", adapted=True)


@pytest.fixture(scope="module")
def card(folder: Path) -> Card:
    return Card.read(folder)


# Files


def test_a_right_file_is_laid_side_by_side_with_its_gain_in_it(card: Card, tmp_path: Path) -> None:
    tensors = tensors_of()
    adapter = read_adapter(write(tmp_path / "dusk.safetensors", info_of(alpha=6.0), tensors), card)
    assert adapter.info == AdapterInfo(**info_of(alpha=6.0))
    assert len(adapter.hash) == 64
    for part in ADAPTED:
        pairs = [
            [tensors[f"{PREFIX}{part}.{site}.lora_{letter}.weight"] for site in SITES[part]]
            for letter in "AB"
        ]
        assert np.array_equal(adapter.down[part], np.concatenate(pairs[0], 1))
        assert np.array_equal(adapter.up[part], 3.0 * np.concatenate(pairs[1]).T)


def test_a_site_that_a_file_leaves_alone_is_zero(card: Card, tmp_path: Path) -> None:
    tensors = {name: value for name, value in tensors_of().items() if "stained" in name}
    adapter = read_adapter(write(tmp_path / "dusk.safetensors", info_of(), tensors), card)
    assert not adapter.down["denoise"].any() and not adapter.up["denoise"].any()
    assert not adapter.down["decode"][:, :4].any() and adapter.down["decode"][:, 4:].all()


def test_weights_of_1x1_convolutions_and_of_half_precision_are_taken(card: Card, tmp_path: Path) -> None:
    plain = read_adapter(write(tmp_path / "one.safetensors", info_of()), card)
    tensors = {name: value[..., None, None] for name, value in tensors_of().items()}
    other = read_adapter(write(tmp_path / "two.safetensors", info_of(), tensors), card)
    halves = {name: value.astype(np.float16) for name, value in tensors_of().items()}
    half = read_adapter(write(tmp_path / "three.safetensors", info_of(), halves), card)
    for part in ADAPTED:
        assert np.array_equal(plain.down[part], other.down[part])
        assert half.up[part].dtype == np.float32
        np.testing.assert_allclose(plain.up[part], half.up[part], rtol=1e-3)  # eleven bits


def put(name: str, *shape: int) -> Callable[[Tensors], Tensors]:
    return lambda tensors: tensors | {f"{PREFIX}{name}.weight": np.ones(shape, np.float32)}


def without(name: str) -> Callable[[Tensors], Tensors]:
    return lambda tensors: {n: value for n, value in tensors.items() if n != f"{PREFIX}{name}.weight"}


def spoilt(number: float) -> Callable[[Tensors], Tensors]:
    return lambda tensors: {
        name: np.where(value == value.max(), number, value) for name, value in tensors.items()
    }


@pytest.mark.parametrize(
    ("instead", "change", "message"),
    [
        ({"student": "house"}, None, "student: it was made for house, and this is tiny"),
        ({"rank": RANK + 1}, None, f"rank: {RANK + 1}, but a slot of tiny holds {RANK}"),
        ({"host": "chalk"}, None, "host: style 'chalk' is none of oil, ink, engraving, mosaic"),
        ({"recipe": "chalk"}, None, "recipe: 'chalk' is none of oil, ink"),
        ({}, put("decode.leave.lora_A", 2, 8), "decode.leave.lora_A.weight: tiny has no such layer"),
        ({}, put("encode.styled.lora_A", 2, 4), "encode.styled.lora_A.weight: tiny has no such layer"),
        ({}, put("decode.styled.lora_A", 2, 5), r"shape \(2, 5\), and \(2, 4\) is needed"),
        ({}, put("decode.styled.lora_B", 2, 32), r"shape \(2, 32\), and \(32, 2\) is needed"),
        ({}, put("decode.styled.lora_A", 2, 4, 3, 3), r"\(2, 4, 3, 3\), and \(2, 4\)"),
        ({}, put("decode.styled.lora_A", 8), r"shape \(8,\), and \(2, 4\) is needed"),
        ({"rank": 1}, lambda _: tensors_of(2), r"shape \(2, 4\), and \(1, 4\) is needed"),
        ({}, spoilt(np.nan), "holds NaN or infinity"),
        ({}, spoilt(np.inf), "holds NaN or infinity"),
        ({}, spoilt(1e5), "values above 1000"),
        ({}, lambda _: {}, "it holds no layer at all"),
        ({}, without("decode.stained.lora_B"), "decode.stained: only one of lora_A and lora_B is there"),
    ],
)
def test_an_adapter_that_does_not_fit_is_refused_with_the_reason(
    card: Card,
    tmp_path: Path,
    instead: dict[str, Any],
    change: Callable[[Tensors], Tensors] | None,
    message: str,
) -> None:
    info = info_of(**instead)
    tensors = tensors_of(info["rank"])
    path = write(tmp_path / "dusk.safetensors", info, change(tensors) if change else tensors)
    with pytest.raises(EngineError, match=message) as error:
        read_adapter(path, card)
    assert str(error.value).startswith(f"{path}: ")


def test_every_reason_is_told_at_once(card: Card, tmp_path: Path) -> None:
    info = info_of(student="house", host="chalk", recipe="lard")
    path = write(tmp_path / "dusk.safetensors", info, tensors_of() | {"x": np.ones(1, np.float32)})
    with pytest.raises(EngineError, match="4 problems"):
        read_adapter(path, card)


@pytest.mark.parametrize(
    ("metadata", "lacking"),
    [
        (None, "name, summary, student, alpha, rank, made_with, license"),
        ({"format": "pt"}, "name, summary"),
        ({"vivant": "{"}, ""),
        ({"vivant": "[]"}, ""),
        ({"vivant": json.dumps(info_of(rank=0))}, "rank"),
        ({"vivant": json.dumps(info_of(rank=2.5))}, "rank"),
        ({"vivant": json.dumps(info_of(alpha=-1))}, "alpha"),
        ({"vivant": json.dumps(info_of(alpha=float("inf")))}, "alpha"),
        ({"vivant": json.dumps(info_of(alpha=float("nan")))}, "alpha"),
        ({"vivant": json.dumps(info_of(alpha=1)).replace("1,", "1e999,", 1)}, "alpha"),
        ({"vivant": json.dumps(info_of(name="Dusk till dawn"))}, "name"),
        ({"vivant": json.dumps(info_of(colour="red"))}, "colour"),
    ],
)
def test_a_file_that_does_not_say_what_it_is_is_refused(
    card: Card, tmp_path: Path, metadata: dict[str, str] | None, lacking: str
) -> None:
    path = tmp_path / "dusk.safetensors"
    save_file(tensors_of(), path, metadata)
    with pytest.raises(EngineError, match=f"does not say what it is.*wrong: {lacking}"):
        read_adapter(path, card)


@pytest.mark.parametrize("keep", [0, 4, 20, 300, -10])
def test_a_file_cut_short_is_refused(card: Card, tmp_path: Path, keep: int) -> None:
    path = write(tmp_path / "dusk.safetensors", info_of())
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(EngineError, match=r"dusk\.safetensors is no safetensors file that can be read"):
        read_adapter(path, card)


@pytest.mark.parametrize("content", [b"not tensors at all", b"\xff" * 64, b"PK\x03\x04" + bytes(100)])
def test_a_file_of_another_kind_is_refused(card: Card, tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "dusk.safetensors"
    path.write_bytes(content)
    with pytest.raises(EngineError, match="is no safetensors file that can be read"):
        read_adapter(path, card)


def test_a_file_that_is_not_there_is_refused(card: Card, tmp_path: Path) -> None:
    for path in (tmp_path / "nowhere.safetensors", tmp_path):
        with pytest.raises(EngineError, match="can be read"):
            read_adapter(path, card)


def test_a_student_without_slots_refuses_every_adapter(tmp_path: Path) -> None:
    path = write(tmp_path / "dusk.safetensors", info_of(student="null"))
    with pytest.raises(EngineError, match="student null takes no adapters"):
        read_adapter(path, Card.read(find("null")))


def test_adapters_are_found_by_the_names_they_say(card: Card, tmp_path: Path) -> None:
    paths = [write(tmp_path / f"{i}.safetensors", info_of(name)) for i, name in enumerate(("dusk", "dawn"))]
    assert wearable(card, paths) == {"dusk": paths[0], "dawn": paths[1]}
    with pytest.raises(EngineError, match=r"1\.safetensors is named 'dawn', and so is .*1\.safetensors"):
        wearable(card, [*paths, paths[1]])
    named_as_a_style = write(tmp_path / "ink.safetensors", info_of("ink"))
    with pytest.raises(EngineError, match="is named 'ink', and so is a style of tiny"):
        wearable(card, [named_as_a_style])


# Slots


def adapter_of(name: str, rank: int = RANK, seed: int = 0, **instead: object) -> Adapter:
    rng = np.random.default_rng(seed)
    sizes = {part: [sum(size[i] for size in SITES[part].values()) for i in (0, 1)] for part in ADAPTED}
    down, up = (
        {part: rng.standard_normal((rank, sizes[part][i]), dtype=np.float32) for part in ADAPTED}
        for i in (0, 1)
    )
    return Adapter(AdapterInfo(**info_of(name, rank=rank, **instead)), down, up, "0" * 64)


@pytest.fixture
def wardrobe(card: Card) -> Wardrobe:
    return Wardrobe(card, [adapter_of(name, seed=seed) for seed, name in enumerate("abcd")])


def held(wardrobe: Wardrobe) -> list[str | None]:
    """Which adapter lies in each slot, told by the arrays alone; None where nothing counts."""
    slots = wardrobe.parts["decode"]
    found: list[str | None] = []
    for slot in range(SLOTS):
        lies = slots.down[slot * RANK : (slot + 1) * RANK]
        names = [n for n, a in wardrobe.adapters.items() if np.array_equal(a.down["decode"], lies)]
        found.append(names[0] if names and slots.scale[0, slot] > 0 else None)
    return found


def test_at_first_nothing_is_worn(wardrobe: Wardrobe) -> None:
    assert wardrobe.wear({}) == {}
    for part in ADAPTED:
        assert not any(array.any() for array in wardrobe.parts[part].inputs().values())


def test_slots_are_filled_by_name_whatever_was_worn_before(wardrobe: Wardrobe) -> None:
    wardrobe.wear({"a": 1.0})
    assert held(wardrobe) == ["a", None]
    wardrobe.wear({"b": 0.8, "a": 0.1})
    assert held(wardrobe) == ["a", "b"]
    np.testing.assert_allclose(wardrobe.parts["decode"].scale, [[0.1, 0.8]])
    wardrobe.wear({"b": 0.2})
    assert held(wardrobe) == ["b", None]
    wardrobe.wear({"c": 1.0, "b": 0.2})
    assert held(wardrobe) == ["b", "c"]


def test_an_adapter_that_is_replaced_while_it_is_worn_hangs_anew(wardrobe: Wardrobe) -> None:
    wardrobe.wear({"a": 1.0})
    other = adapter_of("a", seed=77)
    wardrobe.add(other)
    wardrobe.wear({"a": 1.0})
    assert np.array_equal(wardrobe.parts["decode"].down[:RANK], other.down["decode"])


def test_the_heaviest_are_worn_when_there_are_more_than_slots(wardrobe: Wardrobe) -> None:
    assert wardrobe.wear({"a": 0.1, "b": 0.5, "c": 0.3, "d": 0.2}) == {"b": 0.5, "c": 0.3}
    assert wardrobe.wear({"a": 0.9, "b": 0.5, "c": 0.3, "d": 0.6}) == {"a": 0.9, "d": 0.6}
    assert sorted(filter(None, held(wardrobe))) == ["a", "d"]


def test_one_then_another_then_the_first_again_are_the_very_same_numbers(wardrobe: Wardrobe) -> None:
    seen = []
    for name in "aba":
        wardrobe.wear({name: 0.7})
        seen.append([a.tobytes() for part in ADAPTED for a in wardrobe.parts[part].inputs().values()])
    assert seen[0] == seen[2] != seen[1]


def test_an_adapter_of_low_rank_leaves_nothing_of_the_one_before(card: Card) -> None:
    low = adapter_of("low", rank=1, seed=9)
    wardrobe = Wardrobe(card, [adapter_of("high"), low])
    wardrobe.wear({"high": 1.0})
    wardrobe.wear({"low": 1.0})
    slots = wardrobe.parts["denoise"]
    assert np.array_equal(slots.up[:1], low.up["denoise"])
    assert not slots.up[1:RANK].any() and not slots.down[1:RANK].any()


def test_scales_stay_in_range_and_unknown_names_count_for_nothing(wardrobe: Wardrobe) -> None:
    asked = {"a": 7.0, "b": -1.0, "nobody": 1.0, "c": float("nan"), "d": 0.0}
    assert wardrobe.wear(asked) == {"a": 1.0}


def test_slots_are_filled_where_they_lie(wardrobe: Wardrobe) -> None:
    before = {part: wardrobe.parts[part].inputs() for part in ADAPTED}
    wardrobe.wear({"a": 1.0, "b": 0.5})
    for part in ADAPTED:
        assert all(before[part][name] is array for name, array in wardrobe.parts[part].inputs().items())


# What is asked of the student and of the planes


HOSTED = {"woodcut": "ink", "riso": "mosaic"}
SCALES = st.floats(-0.5, 2.0) | st.just(float("nan"))


@pytest.fixture(scope="module")
def clothes(card: Card) -> Wardrobe:
    hosted = [adapter_of(name, host=host, recipe=name) for name, host in HOSTED.items()]
    return Wardrobe(card, [adapter_of("dusk"), *hosted, adapter_of("crayon", host="ink")])


def asked(
    card: Card, clothes: Wardrobe, styles: Mapping[str, float], adapters: Mapping[str, float] | None = None
) -> tuple[dict[str, float], dict[str, float]]:
    """What the planes are made for, and the weights that are not zero by style."""
    recipes, style = dressed(card, clothes, Controls(styles=styles, adapters=adapters or {}))
    assert style.shape == (1, len(STYLES)) and style.dtype == np.float32
    return recipes, {name: pytest.approx(float(w)) for name, w in zip(STYLES, style[0], strict=True) if w}


@pytest.mark.parametrize(
    ("styles", "wanted"),
    [
        ({}, {"oil": 1.0}),
        ({"ink": 0.0, "mosaic": 0.0}, {"oil": 1.0}),
        ({"ink": 1.0, "mosaic": 3.0}, {"ink": 0.25, "mosaic": 0.75}),
        ({"ink": 0.5, "unknown": 1.0, "mosaic": -1.0}, {"ink": 1.0}),
    ],
)
def test_weights_are_brought_to_a_sum_of_one_and_default_to_the_first(
    card: Card, clothes: Wardrobe, styles: dict[str, float], wanted: dict[str, float]
) -> None:
    assert asked(card, clothes, styles) == (wanted, wanted)


def test_an_adapter_without_a_host_goes_with_every_style(card: Card, clothes: Wardrobe) -> None:
    wanted = {"ink": 1.0}
    assert asked(card, clothes, {"ink": 1.0}, {"dusk": 0.8}) == (wanted, wanted)
    np.testing.assert_allclose(clothes.parts["decode"].scale.max(), 0.8)


def test_an_adapter_with_a_host_stands_in_for_the_styles_by_its_scale(card: Card, clothes: Wardrobe) -> None:
    assert asked(card, clothes, {"oil": 1.0}, {"woodcut": 0.25}) == (
        {"oil": 0.75, "woodcut": 0.25},
        {"oil": 0.75, "ink": 0.25},
    )
    assert asked(card, clothes, {"oil": 1.0}, {"woodcut": 1.0}) == ({"woodcut": 1.0}, {"ink": 1.0})
    assert asked(card, clothes, {"oil": 1.0}, {"crayon": 0.5}) == (
        {"oil": 0.5, "ink": 0.5},
        {"oil": 0.5, "ink": 0.5},
    )


def test_scales_above_one_together_are_shared_out(card: Card, clothes: Wardrobe) -> None:
    recipes, weights = asked(card, clothes, {"oil": 1.0}, {"woodcut": 0.9, "riso": 0.6})
    assert recipes == {"woodcut": pytest.approx(0.6), "riso": pytest.approx(0.4)}
    assert weights == {"ink": 0.6, "mosaic": 0.4}


@given(
    st.dictionaries(st.sampled_from([*STYLES, "unknown"]), st.floats(-1, 10)),
    st.dictionaries(st.sampled_from(["dusk", "crayon", *HOSTED, "nobody"]), SCALES),
)
def test_weights_and_recipes_always_sum_to_one(
    card: Card, clothes: Wardrobe, styles: dict[str, float], adapters: dict[str, float]
) -> None:
    recipes, style = dressed(card, clothes, Controls(styles=styles, adapters=adapters))
    assert style.min() >= 0 and style.sum() == pytest.approx(1, abs=1e-5)
    assert min(recipes.values()) >= 0 and sum(recipes.values()) == pytest.approx(1, abs=1e-5)


# Students


def frame() -> U8:
    coarse = np.random.default_rng(5).random((8, 12, 3))
    return (np.kron(coarse, np.ones((8, 8, 1))) * 255).astype(np.uint8)


def painted(student: Student, adapters: Mapping[str, float]) -> tuple[F32, U8]:
    """The denoised code and the picture."""
    controls = Controls(strength=0.4, seed=2, styles={"ink": 0.7, "oil": 0.3}, adapters=adapters)
    planes = np.random.default_rng(6).integers(0, 256, (1, 32, 48, 112), dtype=np.uint8)
    latent = student.denoise(student.encode(frame()), controls)
    return latent.code.copy(), student.decode(latent, planes, controls).copy()


def merged(plain: Path, target: Path, scales: Mapping[str, float], adapters: Mapping[str, Adapter]) -> Path:
    """The student without adapters, with what they add in its float weights."""
    import onnx
    from onnx import numpy_helper

    def change(card: dict[str, Any]) -> None:
        for part in ADAPTED:
            path = target / f"{part}.float.onnx"
            model = onnx.load(path)
            starts = np.cumsum([(0, 0), *SITES[part].values()], 0)
            for (inputs, outputs), (i, o) in zip(SITES[part].values(), starts[:-1], strict=True):
                name = f"w_{inputs}_{outputs}"
                held = next(each for each in model.graph.initializer if each.name == name)
                weight = numpy_helper.to_array(held).astype(np.float64)
                for adapter, scale in ((adapters[n], s) for n, s in scales.items()):
                    down = adapter.down[part][:, i : i + inputs]
                    weight = weight + scale * down.T @ adapter.up[part][:, o : o + outputs]
                held.CopyFrom(numpy_helper.from_array(weight.astype(np.float32), name))
            onnx.save(model, path)
            card["graphs"][part]["float"] = entry(path)

    return changed_student(plain, target, change)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("adapters")
    return [
        write(folder / f"{name}.safetensors", info_of(name, alpha=0.4), tensors_of(2, seed))
        for seed, name in enumerate(("dusk", "dawn", "noon"))
    ]


@pytest.mark.parametrize("scales", [{"dusk": 1.0}, {"noon": 0.5}, {"dusk": 0.3, "dawn": 0.9}])
def test_a_student_paints_as_if_its_adapters_were_merged_into_its_weights(
    folder: Path, files: list[Path], tmp_path: Path, scales: dict[str, float]
) -> None:
    plain = write_tiny_student(tmp_path / "plain")
    with load_student(folder, "onnxruntime", "float", SIZE, 1, files) as student:
        bare, made = painted(student, {}), painted(student, scales)
        reference = merged(plain, tmp_path / "merged", scales, student.wardrobe.adapters)
    with load_student(plain, "onnxruntime", "float", SIZE, 1) as student:
        assert np.array_equal(painted(student, {})[1], bare[1])
    with load_student(reference, "onnxruntime", "float", SIZE, 1) as student:
        wanted = painted(student, {})
    assert np.abs(made[0] - bare[0]).mean() > 0.01
    # float32 sums in another order; the picture may round to the next of 256 levels
    np.testing.assert_allclose(made[0], wanted[0], atol=1e-4)
    assert np.abs(made[1].astype(int) - wanted[1]).max() <= 1


@pytest.mark.parametrize("backend", [name for name in ("openvino", "onnxruntime") if usable()[name].usable])
@pytest.mark.parametrize("precision", ["float", "int8"])
def test_putting_adapters_on_and_off_leaves_no_trace(
    folder: Path, files: list[Path], backend: str, precision: str
) -> None:
    with load_student(folder, backend, precision, SIZE, 1, files) as student:  # type: ignore[arg-type]
        bare, dusk = painted(student, {}), painted(student, {"dusk": 1.0})
        assert np.abs(bare[1].astype(int) - dusk[1]).mean() > 1
        for scales in ({"dusk": 0.5, "dawn": 0.5}, {"dawn": 1.0}, {"dawn": 0.5, "dusk": 0.5}, {"noon": 1.0}):
            painted(student, scales)
        assert np.array_equal(painted(student, {"dusk": 1.0})[1], dusk[1])
        assert np.array_equal(painted(student, {})[1], bare[1])


@pytest.mark.parametrize("backend", [name for name in ("openvino", "onnxruntime") if usable()[name].usable])
@pytest.mark.parametrize("precision", ["float", "int8"])
def test_a_picture_is_the_same_to_the_last_bit_after_any_swaps(
    folder: Path, files: list[Path], backend: str, precision: str
) -> None:
    rng = np.random.default_rng(4)
    with load_student(folder, backend, precision, SIZE, 1, files) as student:  # type: ignore[arg-type]
        looks = [{"dusk": 1.0}, {"dawn": 1.0}, {"noon": 0.6}, {"dusk": 0.4, "noon": 0.6}, {}]
        first = [painted(student, scales)[1] for scales in looks]
        for step in rng.integers(0, len(looks), 60):
            between = {name: float(rng.random()) for name in ("dusk", "dawn", "noon") if rng.random() < 0.6}
            painted(student, between)
            assert np.array_equal(painted(student, looks[step])[1], first[step])


def test_a_compiled_engine_is_kept_with_how_many_adapters_it_takes(
    folder: Path, files: list[Path], own_cache: Path
) -> None:
    pytest.importorskip("openvino")
    load_student(folder, "openvino", "float", SIZE, 1, files).close()
    kept = [json.loads(path.read_text())["manifest"] for path in own_cache.rglob("manifest.json")]
    assert [each["adapter_slots"] for each in kept] == [SLOTS] * 3


def test_a_student_without_slots_paints_on_beside_adapters(files: list[Path]) -> None:
    with load_student("null", "null", "float", SIZE, 1, files) as student:
        assert np.array_equal(painted(student, {"dusk": 1.0})[1], painted(student, {})[1])


def test_a_wrong_adapter_is_refused_before_any_engine_is_loaded(folder: Path, tmp_path: Path) -> None:
    path = write(tmp_path / "dusk.safetensors", info_of(student="house"))
    with pytest.raises(EngineError, match="it was made for house, and this is tiny"):
        load_student(folder, "onnxruntime", "float", SIZE, 1, [path])


@pytest.mark.torch
def test_the_house_wears_an_adapter_alike_in_torch_and_in_its_graphs(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch", reason="needs torch: pip install '.[distill]'")
    pytest.importorskip("skimage", reason="needs scikit-image: pip install '.[distill]'")
    import safetensors.torch

    from vivant.distill.adapt import Adapting
    from vivant.distill.export import write_card
    from vivant.distill.graphs import write_float
    from vivant.distill.plan import Plan
    from vivant.engines.house import House, Widths

    torch.manual_seed(0)
    widths = Widths(weave=8, half=8, quarter=8, eighth=8, sixteenth=8, style=8)
    plan = Plan(tuple(STYLES), {"oil": 1.0}, 1.0, widths=widths)
    house = House(widths, len(STYLES)).eval()
    for parameter in house.parameters():
        parameter.data += 0.05 * torch.randn_like(parameter)
    write_float(house, tmp_path)
    safetensors.torch.save_file(house.state_dict(), tmp_path / "weights.safetensors")
    write_card(tmp_path, house, plan, "0", {"widths": plan.facts()["widths"]})

    adapting = Adapting.begin(house, rank=3)
    for low_rank in (adapting.denoise, adapting.decode):
        low_rank.up.data = 0.3 * torch.randn_like(low_rank.up)
    path = tmp_path / "dusk.safetensors"
    adapting.save(path, AdapterInfo(**info_of(student="house", alpha=3.0, rank=3)))
    adapter = read_adapter(path, Card.read(tmp_path))
    for part, low_rank in (("denoise", adapting.denoise), ("decode", adapting.decode)):
        assert np.array_equal(adapter.down[part], low_rank.down.detach().numpy())
        assert np.array_equal(adapter.up[part], low_rank.up.detach().numpy())

    made = []
    for backend in ("torch", "onnxruntime"):
        with load_student(tmp_path, backend, "float", SIZE, 1, [path]) as student:
            made.append((painted(student, {}), painted(student, {"dusk": 0.8})))
    for one, other in zip(*made, strict=True):
        # two float32 libraries add in other orders; a picture may then round one step apart
        np.testing.assert_allclose(one[0], other[0], atol=1e-3)
        assert np.abs(one[1].astype(int) - other[1]).max() <= 1
    assert np.abs(made[0][0][1].astype(int) - made[0][1][1]).mean() > 0.5


def test_an_adapter_trained_upon_other_weights_is_refused(tmp_path: Path) -> None:
    card = Card.read(find("house"))
    assert card.weights is not None
    right = write_tiny_adapter(tmp_path / "right.safetensors", card, upon=card.weights.sha256)
    assert read_adapter(right, card).info.upon == card.weights.sha256
    wrong = write_tiny_adapter(tmp_path / "wrong.safetensors", card, upon="0" * 64)
    with pytest.raises(EngineError, match="other weights of house; train it again"):
        read_adapter(wrong, card)


def test_an_adapter_is_fitted_beside_the_show_and_paints_once_it_hangs(
    folder: Path, files: list[Path]
) -> None:
    with load_student(folder, "onnxruntime", "float", SIZE, 1, files) as student:
        wanted = painted(student, {"noon": 0.8})[1]
    with load_student(folder, "onnxruntime", "float", SIZE, 1, files[:2]) as student:
        bare = painted(student, {"noon": 0.8})[1]
        assert np.array_equal(bare, painted(student, {})[1])
        fitted = student.fitted(files[2])
        assert fitted.name == "noon" and np.array_equal(painted(student, {"noon": 0.8})[1], bare)
        student.hang(fitted)
        assert np.array_equal(painted(student, {"noon": 0.8})[1], wanted)
        assert student.adapters["noon"] == fitted.hash


def test_an_adapter_may_not_have_the_name_of_a_style(folder: Path, tmp_path: Path) -> None:
    named_as_a_style = write(tmp_path / "x.safetensors", info_of("ink"))
    with (
        load_student(folder, "onnxruntime", "float", SIZE, 1) as student,
        pytest.raises(EngineError, match="and so is a style of tiny"),
    ):
        student.fitted(named_as_a_style)


def test_a_file_is_inspected_as_what_it_is(card: Card, tmp_path: Path) -> None:
    name, worn = kind_of(card).inspect(card, write(tmp_path / "x.safetensors", info_of(host="ink")))
    assert (name, worn.alone, worn.rank, worn.license) == ("dusk", True, 2, "Apache-2.0")
    with pytest.raises(EngineError, match="can be read"):
        kind_of(card).inspect(card, tmp_path / "nowhere.safetensors")
