"""What aliases and MIDI maps share: targets, ends, shapes; one rule and one message for both."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from vivant.runtime.mapped import SHAPES, Mapped, backwards, ends_trouble, target_trouble
from vivant.runtime.parameters import HOUSE_STYLES, parameters_for
from vivant.runtime.tree import Tree

TREE = Tree(parameters_for(HOUSE_STYLES))
EXPOSURE, STYLE = TREE.parameters["/vivant/look/exposure"], TREE.parameters["/vivant/style/choose"]


@pytest.mark.parametrize("shape", list(SHAPES))
def test_every_shape_rises_from_one_end_to_the_other_and_can_be_gone_back(shape: str) -> None:
    shares = [number / 16 for number in range(17)]
    reached = [SHAPES[shape](share) for share in shares]
    assert (reached[0], reached[-1]) == (0.0, pytest.approx(1.0)) and reached == sorted(reached)
    assert [backwards(shape, one) for one in reached] == pytest.approx(shares, abs=1e-6)


@pytest.mark.parametrize(
    ("address", "norm", "words"),
    [
        ("/vivant/look/exposure", False, None),
        ("/vivant/look/exposure/norm", True, None),
        ("/vivant/look/exposure/norm", False, "leave /norm out"),
        ("/vivant/panic", False, None),
        ("/vivant/panic/norm", True, "unknown parameter"),
        ("/vivant/look/exposur", False, "did you mean '/vivant/look/exposure'?"),
        ("/vivant/status/late", True, "is only reported"),
    ],
)
def test_a_target_is_what_can_be_moved(address: str, norm: bool, words: str | None) -> None:
    said = target_trouble(address, TREE, norm)
    assert said is None if words is None else said is not None and words in said


def test_ends_lie_in_the_range_of_what_is_moved() -> None:
    assert ends_trouble((1.0, -1.0), EXPOSURE) is None
    assert ends_trouble((-3.0, 0.0), EXPOSURE) == "should lie in [-2, 2] EV"
    assert ends_trouble((0.0, 1.5), EXPOSURE, norm=True) == "should lie in [0, 1]"
    assert ends_trouble((0.0, 1.0), STYLE) == "goes with a number; /vivant/style/choose is a choice"


def test_what_is_mapped_has_a_whole_address_and_a_shape_that_is_known() -> None:
    assert Mapped(to="look/grain").address == Mapped(to="/vivant/look/grain").address == "/vivant/look/grain"
    with pytest.raises(ValidationError, match="should be one of smooth, linear, early, late, square, root"):
        Mapped(to="look/grain", curve="bent")
