"""Sizes of passes are small sums: worked out as written, and nothing else is ever run."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vivant.runtime.isf.effect import side_px
from vivant.runtime.isf.expressions import expression

NAMES = ("WIDTH", "HEIGHT", "blur")
VALUES = {"WIDTH": 640.0, "HEIGHT": 360.0, "blur": 0.5}


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("$WIDTH", 640),
        ("floor($WIDTH/3.0)", 213),
        ("max(floor($HEIGHT*0.02),1.0)", 7),
        ("$WIDTH * $blur - 2", 318),
        ("(1 + 2) * -3 + +20", 11),
        ("ceil(7.2) % 5", 3),
        ("2 ** 5 + pow(2, 3)", 40),
        ("min($WIDTH, $HEIGHT, 50)", 50),
        ("round(pi() * 10) + trunc(e)", 33),
        ("abs(sin(0)) + cos(0) + tan(0) + log(100) + ln(1) + log2(8) + exp(0)", 7),
        (512, 512),
        ("mod(9, 4) + sqrt(16)", 5),
    ],
)
def test_a_sum_is_worth_what_it_says(text: str | int, wanted: float) -> None:
    assert expression(text, NAMES)(VALUES) == pytest.approx(wanted)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("__import__('os')", "holds more than"),
        ("eval(1)", "calls eval"),
        ("$WIDTH.real", "holds more than"),
        ("WIDTH", "names WIDTH"),
        ("$nobody", r"names nobody, which is none of \$WIDTH, \$HEIGHT, \$blur"),
        ("[1][0]", "holds more than"),
        ("lambda: 1", "holds more than"),
        ("'a' * 9", "holds more than"),
        ("floor()", "gives floor 0 arguments"),
        ("floor(1, 2)", "gives floor 2 arguments"),
        ("max(1)", "gives max 1 arguments"),
        ("1 +", "cannot be read"),
        ("", "1 to 200 characters"),
        ("1+" * 150 + "1", "1 to 200 characters"),
        ("-" * 60 + "1", "nested too deeply"),
        ("1 if 2 else 3", "holds more than"),
        ("$WIDTH = 3", "cannot be read"),
    ],
)
def test_what_is_no_sum_is_refused(text: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        expression(text, NAMES)


def test_what_has_no_value_is_as_large_as_the_whole() -> None:
    for text in ("1 / ($WIDTH - 640)", "sqrt(-1)", "9 ** 9 ** 9", "$WIDTH % 0", "ln(0)", "exp(1000)"):
        assert side_px(expression(text, NAMES), VALUES, 640) == 640
    assert side_px(expression("0", NAMES), VALUES, 640) == 1
    assert side_px(expression("$WIDTH * 1000", NAMES), VALUES, 640) == 4096
    assert side_px(expression("1e300 * 1e300 * $WIDTH", NAMES), VALUES, 640) in (640, 4096)
    assert side_px(None, VALUES, 640) == 640


@given(st.text(alphabet="$WIDTHblur0123456789.+-*/%() ,fpowinmax", max_size=40))
def test_no_text_raises_anything_but_what_it_should(text: str) -> None:
    try:
        found = expression(text, NAMES)
    except ValueError:
        return
    assert 1 <= side_px(found, VALUES, 640) <= 4096
    assert not math.isnan(side_px(found, VALUES, 640))
