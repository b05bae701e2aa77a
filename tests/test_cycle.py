"""The style cycle, on times that are passed in."""

from __future__ import annotations

from vivant.runtime.cycle import Cycle
from vivant.runtime.parameters import (
    CHOOSE,
    CYCLE_S,
    HOUSE_STYLES,
    AdapterSketch,
    adapter_parameter,
    parameters_for,
)
from vivant.runtime.tree import Tree

SECOND = 1_000_000_000


def seen(cycle: Cycle, tree: Tree, seconds: range) -> list[object]:
    found = []
    for second in seconds:
        cycle.step(second * SECOND)
        found.append(tree.value(CHOOSE))
    return found


def test_it_goes_round_at_its_pace() -> None:
    tree = Tree(parameters_for())
    tree.set(CYCLE_S, (5,), 0, "test")
    found = seen(Cycle(tree), tree, range(5 * len(HOUSE_STYLES) + 5))
    assert found[0] == found[4] == HOUSE_STYLES[0]
    assert found[5] == HOUSE_STYLES[1]
    assert found[::5] == [*HOUSE_STYLES, HOUSE_STYLES[0]]


def test_a_choice_by_hand_gets_the_whole_time() -> None:
    tree = Tree(parameters_for())
    tree.set(CYCLE_S, (5,), 0, "test")
    cycle = Cycle(tree)
    seen(cycle, tree, range(4))
    last = HOUSE_STYLES[-1]
    tree.set(CHOOSE, (last,), 4 * SECOND, "osc")
    found = seen(cycle, tree, range(4, 10))
    assert set(found[:5]) == {last}
    assert found[5] == HOUSE_STYLES[0]


def test_zero_means_never() -> None:
    tree = Tree(parameters_for())
    assert set(seen(Cycle(tree), tree, range(0, 1000, 10))) == {HOUSE_STYLES[0]}


def test_a_medium_that_comes_while_it_goes_round_has_its_turn() -> None:
    tree = Tree(parameters_for())
    tree.set(CYCLE_S, (5,), 0, "test")
    cycle = Cycle(tree)
    seen(cycle, tree, range(3))
    tree.add(adapter_parameter("linen", AdapterSketch("woven", True)), "linen")
    found = seen(cycle, tree, range(3, 5 * len(HOUSE_STYLES) + 10))
    assert "linen" in found and found[-1] == HOUSE_STYLES[0]
