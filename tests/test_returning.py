"""A show comes back to its values, its cue, its scene and its panic; what cannot be read is a panic."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from vivant.runtime.cues.running import Cues
from vivant.runtime.parameters import CHOOSE, PANIC, RESET
from vivant.runtime.returning import BLANK, FORGET_AFTER, PLACE_NS, Place, Returning
from vivant.runtime.scene import Scene, load_scene, tree_of
from vivant.runtime.tether import Before, Tether
from vivant.runtime.tree import Tree

GRAIN, EXPOSURE, INK, OIL = (
    "/vivant/look/grain",
    "/vivant/look/exposure",
    "/vivant/style/ink",
    "/vivant/style/oil",
)
TEXT = """
title = "Tide"
parameters.look.exposure = 0.5
programme.scenes = ["far.toml"]
[[cues]]
name = "one"
[[cues]]
name = "two"
follow_s = 4
follow = "one"
"""


class Told:
    """The show's end of the line, without the line: what was said last."""

    def __init__(self, before: Before) -> None:
        self.before, self.places, self.turns = before, [], 0

    def turned(self, shown_ns: int) -> None:
        self.turns += 1

    def stands(self, place: Mapping[str, Any]) -> None:
        self.places.append(json.loads(json.dumps(place)))


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    (tmp_path / "far.toml").write_text('title = "Far"\n')
    (tmp_path / "tide.toml").write_text(TEXT)
    return load_scene(tmp_path / "tide.toml")


def returning(tree: Tree, before: Before) -> tuple[Returning, Told]:
    told = Told(before)
    tether: Tether = told  # type: ignore[assignment]  # nothing here needs its thread
    return Returning(tether, tree, 0), told


def cues_of(scene: Scene, tree: Tree) -> Cues:
    return Cues(scene.cues, tree, scene.calendar)


def left(scene: Scene, panic: bool = False) -> dict[str, Any]:
    """Where a show stood that somebody had played."""
    tree = tree_of(scene)
    cues = cues_of(scene, tree)
    tree.set(CHOOSE, ("ink",), 0, "osc")
    tree.set(GRAIN, (0.25,), 0, "osc", fade_s=60.0)
    tree.set(OIL, (0.5,), 0, "osc")
    if panic:
        tree.set(PANIC, (), 0, "osc")
    cues.resume("two", 0)
    place: dict[str, Any] = json.loads(json.dumps(asdict(Place.of(tree, cues, "home"))))
    return place


def test_values_are_there_at_once_also_those_that_were_on_their_way(scene: Scene) -> None:
    tree = tree_of(scene)
    returning(tree, Before(1, ("x",), 1, left(scene)))
    found = {address: tree.value(address) for address in (CHOOSE, GRAIN, INK, OIL)}
    assert found == {CHOOSE: "ink", GRAIN: 0.25, INK: 1.0, OIL: 0.5}
    assert not tree.panic
    tree.set(RESET, (), 1, "osc")
    assert (tree.value(GRAIN), tree.value(EXPOSURE)) == (0.0, 0.5), "a reset goes back to the scene"


def test_a_panic_comes_back_and_only_its_release_ends_it(scene: Scene) -> None:
    tree = tree_of(scene)
    returning(tree, Before(1, ("x",), 1, left(scene, panic=True)))
    assert tree.panic


@pytest.mark.parametrize(
    "place", ["", [], {"panic": False}, {"panic": 0, "values": {}, "cue": "", "scene": "home"}]
)
def test_what_cannot_be_read_is_a_panic(scene: Scene, place: object) -> None:
    tree = tree_of(scene)
    returning(tree, Before(1, ("x",), 1, place))
    assert tree.panic


def test_a_show_that_never_told_where_it_stood_begins_as_the_scene_says(scene: Scene) -> None:
    tree = tree_of(scene)
    returning(tree, Before(1, ("x",), 1, None))
    assert dict(tree.values()) == dict(tree_of(scene).values())
    assert not tree.panic


def test_after_crashes_in_a_row_only_what_keeps_the_screen_black_is_left(scene: Scene) -> None:
    tree, place = tree_of(scene), left(scene, panic=True)
    place["values"][BLANK] = True
    returning(tree, Before(3, ("x",), FORGET_AFTER, place))
    assert tree.panic
    assert tree.value(BLANK) is True
    assert tree.value(GRAIN) == 0.0


def test_the_cue_that_stood_stands_and_its_follower_is_waited_for(scene: Scene) -> None:
    tree = tree_of(scene)
    back, told = returning(tree, Before(1, ("x",), 1, left(scene)))
    cues = cues_of(scene, tree)
    back.step(0, cues, None, 0)
    assert cues.list[cues.standing].name == "two"
    assert cues.status(0)["cue_follow_s"] == 4.0
    assert told.places[-1]["cue"] == "two"


class Scenes:
    now = "far"


def test_another_scene_of_the_programme_is_asked_for_and_gets_its_values(scene: Scene) -> None:
    tree, place = tree_of(scene), left(scene) | {"scene": "far"}
    back, _ = returning(tree, Before(1, ("x",), 1, place))
    assert tree.value(GRAIN) == 0.0, "they are the other scene's"
    assert [action.address for action in tree.actions("/vivant/scene")] == ["/vivant/scene/choose"]
    back.step(0, None, Scenes(), 0)
    assert tree.value(GRAIN) == 0.25


def test_a_scene_that_is_no_more_leaves_the_first_as_it_is(scene: Scene) -> None:
    tree, place = tree_of(scene), left(scene) | {"scene": "gone"}
    back, _ = returning(tree, Before(1, ("x",), 1, place))
    back.step(0, None, None, 0)
    assert tree.value(GRAIN) == 0.0


def test_where_it_stands_is_told_when_it_changed_once_a_second_and_a_panic_at_once(scene: Scene) -> None:
    tree = tree_of(scene)
    back, told = returning(tree, Before())
    back.step(0, None, None, 0)
    tree.set(GRAIN, (0.5,), 0, "osc")
    back.step(1, None, None, 0)
    assert len(told.places) == 1, "not yet"
    tree.set(PANIC, (), 0, "osc")
    back.step(2, None, None, 0)
    assert (told.places[-1]["panic"], told.places[-1]["values"][GRAIN]) == (True, 0.5)
    back.step(3 * PLACE_NS, None, None, 0)
    assert len(told.places) == 2, "nothing changed"
    assert told.turns == 4
