"""What a student paints with adapters on."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tiny_adapter import (
    info_of,
    tensors_of,
    write,
    write_tiny_adapter,
)
from tiny_student import SITES, SLOTS, STYLES, changed_student, entry, write_tiny_student

from vivant.engines.adapter import (
    ADAPTED,
    Adapter,
    AdapterInfo,
    read_adapter,
)
from vivant.engines.card import Card
from vivant.engines.contract import EngineError
from vivant.engines.kinds import kind_of, load_student
from vivant.engines.registry import usable
from vivant.engines.student import Student, find
from vivant.runtime.frames import F32, U8, Controls

SIZE = (96, 64)


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
