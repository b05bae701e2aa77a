"""Transitions of single cells: where a change begins to count, and to which side."""

from __future__ import annotations

import numpy as np
import pytest

from vivant.guardrails.flash_swings import (
    RedSwings,
    Swings,
    chromaticity,
    luminance,
    redness,
    saturated,
)
from vivant.runtime.frames import F32


def turns_of(values: list[float], dark: float = 0.8) -> str:
    """The transitions of one cell as a word: u(p), d(own) and . for none."""
    swings = Swings(0.1)
    word = ""
    for value in values:
        level = np.full((1, 1), value, np.float32)
        turned = swings.step(level, level < dark)
        word += "u" if turned.up[0, 0] else "d" if turned.down[0, 0] else "."
    return word


def colour(red: float, green: float, blue: float) -> F32:
    return np.full((1, 1, 3), (red, green, blue), np.float32)


def test_one_way_counts_once_however_far_it_goes() -> None:
    assert turns_of([0.1, 0.3, 0.5, 0.7]) == ".u.."
    assert turns_of([0.7, 0.5, 0.3, 0.1]) == ".d.."


def test_a_slow_change_counts_when_it_is_large_enough() -> None:
    assert turns_of([0.10, 0.14, 0.17, 0.21, 0.16, 0.12, 0.08]) == "...u.." + "d"


def test_small_wavering_on_the_way_is_no_transition() -> None:
    assert turns_of([0.1, 0.18, 0.12, 0.19, 0.13]) == "....."
    assert turns_of([0.1, 0.5, 0.45, 0.5, 0.42, 0.38]) == ".u...d"


def test_between_bright_states_nothing_counts_and_the_next_dark_one_does() -> None:
    assert turns_of([1.0, 0.82, 1.0, 0.85, 1.0]) == "....."
    assert turns_of([1.0, 0.82, 1.0, 0.79, 1.0]) == "...du"


def test_exactly_a_tenth_counts() -> None:
    assert turns_of([0.3, 0.4, 0.3]) == ".ud"


def test_luminance_is_that_of_linear_light() -> None:
    assert luminance(colour(1, 1, 1))[0, 0] == pytest.approx(1.0, abs=1e-6)
    assert luminance(colour(0, 1, 0))[0, 0] == pytest.approx(0.7152)


@pytest.mark.parametrize(
    ("light", "is_red"),
    [((0.4, 0.05, 0.05), True), ((0.4, 0.05, 0.051), False), ((0.01, 0, 0), False), ((0, 0, 0), False)],
)
def test_red_is_saturated_by_its_share_and_not_when_it_is_black(light, is_red) -> None:
    assert saturated(colour(*light), 0.8)[0, 0] == is_red


def test_redness_is_never_negative() -> None:
    assert redness(colour(0.6, 0.1, 0.2))[0, 0] == pytest.approx(0.3)
    assert redness(colour(0.1, 0.6, 0.2))[0, 0] == 0.0


def test_chromaticity_is_that_of_the_standard() -> None:
    white, red = chromaticity(colour(1, 1, 1))[:, 0, 0], chromaticity(colour(1, 0, 0))[:, 0, 0]
    assert white == pytest.approx((0.1978, 0.4683), abs=2e-3)  # D65
    assert red == pytest.approx((0.4507, 0.5229), abs=4e-3)  # the veil takes a little
    assert chromaticity(colour(0, 0, 0))[:, 0, 0] == pytest.approx(white, abs=1e-3)


def test_red_transitions_go_to_red_and_from_it() -> None:
    swings, word = RedSwings(0.2), ""
    red, grey, blue = colour(0.5, 0, 0), colour(0.2, 0.2, 0.2), colour(0, 0, 0.5)
    for light in (grey, red, red, grey, blue, red, blue, grey):
        turned = swings.step(chromaticity(light), saturated(light, 0.8))
        word += "u" if turned.up[0, 0] else "d" if turned.down[0, 0] else "."
    assert word == ".u.d.ud."
