"""Tracking: every cue is the whole of what the list names."""

from __future__ import annotations

from vivant.runtime.cues.listing import Aim, Cue
from vivant.runtime.cues.tracking import aims_of, cue_parameters, states
from vivant.runtime.frames import Value
from vivant.runtime.parameters import AdapterSketch, parameters_for
from vivant.runtime.tree import Tree

EXPOSURE, GRAIN = "/vivant/look/exposure", "/vivant/look/grain"
CHOOSE, OIL, INK = "/vivant/style/choose", "/vivant/style/oil", "/vivant/style/ink"
RISO = "/vivant/adapter/riso"


def tree() -> Tree:
    return Tree(parameters_for(("oil", "ink"), {"riso": AdapterSketch("", True)}))


def cue(**values: Value) -> Cue:
    return Cue("a", aims={address: Aim(value) for address, value in values.items()})


def test_what_a_cue_does_not_name_it_takes_from_the_one_before_it_or_from_the_start() -> None:
    begun = tree().values()
    aims = [
        aims_of(one, tree()) for one in (cue(**{EXPOSURE: 1.0}), cue(**{GRAIN: 0.5}), cue(**{EXPOSURE: -1}))
    ]
    assert states(aims, begun) == (
        {EXPOSURE: 0.0, GRAIN: 0.0},
        {EXPOSURE: 1.0, GRAIN: 0.0},
        {EXPOSURE: 1.0, GRAIN: 0.5},
        {EXPOSURE: -1.0, GRAIN: 0.5},
    )


def test_a_style_is_the_weights_that_it_comes_to_and_a_medium_leaves_those_beneath_it() -> None:
    aims = [aims_of(cue(**{CHOOSE: "ink"}), tree()), aims_of(cue(**{CHOOSE: "riso"}), tree())]
    found = states(aims, tree().values())
    assert [state[CHOOSE] for state in found] == ["oil", "ink", "riso"]
    assert [(state[OIL], state[INK], state[RISO]) for state in found] == [(1, 0, 0), (0, 1, 0), (0, 1, 1)]


def test_weights_that_a_cue_names_itself_go_before_those_of_its_style() -> None:
    aims = aims_of(cue(**{OIL: 0.5, CHOOSE: "ink", GRAIN + "/norm": 1}), tree())
    assert (aims[OIL].value, aims[INK].value, aims[GRAIN].value) == (0.5, 1.0, 1.0)


def test_a_cue_list_brings_its_parameters_and_a_scene_without_brings_none() -> None:
    found = {one.address: one for one in cue_parameters((Cue("dusk", "blue"),))}
    assert found["/vivant/cues/goto"].choices == ("start", "dusk")
    assert found["/vivant/cue/dusk/go"].meaning == "go to the cue dusk: blue"
    assert found["/vivant/status/cue_next"].choices == ("dusk", "end")
    assert list(cue_parameters(())) == []
