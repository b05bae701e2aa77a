"""Slots: how adapters are put into them, and what style weights and planes are asked for beside them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tiny_adapter import adapter_of
from tiny_student import RANK, SLOTS, STYLES, write_tiny_student

from vivant.engines.adapter import ADAPTED, Wardrobe, dressed
from vivant.engines.card import Card
from vivant.runtime.frames import Controls


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
