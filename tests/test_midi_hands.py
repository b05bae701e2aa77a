"""What a binding does to a parameter, in each of its ways."""

from __future__ import annotations

from typing import Any

import pytest

from vivant.runtime.midi.hands import Hand
from vivant.runtime.midi.mapping import Binding
from vivant.runtime.parameters import CHOOSE, PANIC, parameters_for
from vivant.runtime.tree import Tree

EXPOSURE = "/vivant/look/exposure"  # [-2, 2]


def hand(tree: Tree, to: str, control: str = "cc:1:7", **keys: Any) -> Hand:
    binding = Binding(control=control, to=to, **keys)
    return Hand(binding, tree.parameters[binding.address])


@pytest.fixture
def tree() -> Tree:
    return Tree(parameters_for())


def test_a_fader_takes_the_whole_range_of_its_parameter(tree: Tree) -> None:
    fader = hand(tree, "look/exposure")
    assert [fader.move(tree, position, 0) for position in (0, 127)] == ["applied", "applied"]
    assert tree.value(EXPOSURE) == 2.0
    fader.move(tree, 0, 0)
    assert tree.value(EXPOSURE) == -2.0


def test_a_range_may_be_smaller_and_turned_around_and_bent(tree: Tree) -> None:
    fader = hand(tree, "look/exposure", range=(1.0, -1.0), curve="square")
    fader.move(tree, 0, 0)
    assert tree.value(EXPOSURE) == 1.0
    fader.move(tree, 127, 0)
    assert tree.value(EXPOSURE) == -1.0
    fader.move(tree, 64, 0)
    assert tree.value(EXPOSURE) == pytest.approx(1.0 - 2.0 * (64 / 127) ** 2)


def test_a_choice_a_switch_and_a_whole_number(tree: Tree) -> None:
    hand(tree, "style/choose").move(tree, 127, 0)
    assert tree.value(CHOOSE) == "coral"
    hand(tree, "present/blank").move(tree, 100, 0)
    assert tree.value("/vivant/present/blank") is True
    hand(tree, "student/seed").move(tree, 127, 0)
    assert tree.value("/vivant/student/seed") == 9999


def test_a_pad_presses_toggles_and_holds(tree: Tree) -> None:
    press = hand(tree, "style/choose", "note:10:36", value="ink")
    assert press.way == "press"
    press.move(tree, 90, 0)
    assert tree.value(CHOOSE) == "ink" and press.move(tree, 0, 0) is None
    toggle = hand(tree, "present/blank", "note:10:37")
    assert toggle.way == "toggle"
    for down, expected in ((90, True), (0, True), (90, False), (0, False)):
        toggle.move(tree, down, 0)
        assert tree.value("/vivant/present/blank") is expected
    held = hand(tree, "look/grain", "note:10:38", way="hold", range=(0.1, 0.9))
    held.move(tree, 1, 0)
    assert tree.value("/vivant/look/grain") == 0.9
    held.move(tree, 0, 0)
    assert tree.value("/vivant/look/grain") == 0.1


def test_how_hard_a_key_is_struck_and_an_action(tree: Tree) -> None:
    key = hand(tree, "look/grain", "note:1:60")
    assert key.way == "velocity"
    key.move(tree, 127, 0)
    assert tree.value("/vivant/look/grain") == 1.0 and key.move(tree, 0, 0) is None
    panic = hand(tree, PANIC, "note:1:61")
    assert panic.move(tree, 100, 0) == "applied" and tree.panic


def test_a_knob_without_end_goes_on_from_where_the_value_is(tree: Tree) -> None:
    knob = hand(tree, "look/grain", way="relative")
    tree.set("/vivant/look/grain", (0.5,), 0, "test")
    for position in (1, 1, 127):  # two detents up, one down
        knob.move(tree, position, 0)
    assert tree.value("/vivant/look/grain") == pytest.approx(0.5 + 1 / 127)


def test_a_fader_that_picks_up_waits_until_it_meets_the_value(tree: Tree) -> None:
    fader = hand(tree, "look/grain", way="pickup")
    tree.set("/vivant/look/grain", (0.5,), 0, "test")
    assert fader.move(tree, 0, 0) == "not_picked_up" and tree.value("/vivant/look/grain") == 0.5
    assert fader.move(tree, 90, 0) == "applied"  # it came past one half
    assert fader.move(tree, 10, 0) == "applied"  # and holds it
    tree.set("/vivant/look/grain", (0.9,), 0, "somebody else")
    assert fader.move(tree, 12, 0) == "not_picked_up" and tree.value("/vivant/look/grain") == 0.9


def test_a_controller_is_shown_what_others_changed_and_never_its_own_move(tree: Tree) -> None:
    fader = hand(tree, "look/exposure", curve="square")
    assert fader.shown(tree) == round((0.5**0.5) * 127)
    assert fader.shown(tree) is None
    fader.move(tree, 127, 0)
    assert fader.shown(tree) is None
    tree.set(EXPOSURE, (-2.0,), 0, "osc")
    assert fader.shown(tree) == 0
    pad = hand(tree, "style/choose", "note:10:36", value="ink")
    assert pad.shown(tree) == 0
    tree.set(CHOOSE, ("ink",), 0, "osc")
    assert pad.shown(tree) == 127
    assert hand(tree, "reset", "note:10:39").shown(tree) is None
