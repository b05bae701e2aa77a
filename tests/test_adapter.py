"""Adapter files: which are taken, and why others are refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save_file
from tiny_adapter import (
    Tensors,
    info_of,
    tensors_of,
    write,
)
from tiny_student import RANK, SITES, write_tiny_student

from vivant.engines.adapter import (
    ADAPTED,
    PREFIX,
    AdapterInfo,
    read_adapter,
    wearable,
)
from vivant.engines.card import Card
from vivant.engines.contract import EngineError
from vivant.engines.student import find


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
