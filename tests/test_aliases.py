"""Other names for parameters: what they mean, both ways, and what is said of one that is wrong."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from vivant.runtime.aliases import Alias, Renamed, alias_problems, aliases_of
from vivant.runtime.frames import VivantError
from vivant.runtime.mapped import SHAPES
from vivant.runtime.parameters import parameters_for
from vivant.runtime.scene import change_scene, load_scene
from vivant.runtime.tree import Tree

EXPOSURE = "/vivant/look/exposure"


@pytest.fixture
def tree() -> Tree:
    return Tree(parameters_for())


def alias(given: Any) -> Alias:
    return aliases_of({"/x": Renamed.model_validate(given)})[0]


@pytest.mark.parametrize(
    ("given", "sent", "address", "value"),
    [
        ("look/exposure", 1.5, EXPOSURE, 1.5),
        ("/vivant/look/exposure/norm", 0.75, EXPOSURE, 1.0),
        ({"to": "look/exposure", "norm": True}, 0.75, EXPOSURE, 1.0),
        ({"to": "look/exposure", "from": [0, 127]}, 127, EXPOSURE, 2.0),
        ({"to": "look/exposure", "from": [127, 0]}, 127, EXPOSURE, -2.0),
        ({"to": "look/exposure", "onto": [-1, 0]}, 0.5, EXPOSURE, -0.5),
        ({"to": "look/exposure", "from": [1, 5], "onto": [1, -1]}, 4, EXPOSURE, -0.5),
        ({"to": "look/exposure", "from": [0, 1]}, 1.004, EXPOSURE, 2.0),
        ({"to": "present/mirror", "from": [0, 127]}, 100, "/vivant/present/mirror", True),
        ({"to": "style/choose", "norm": True}, 1, "/vivant/style/choose", "coral"),
        ({"to": "student/seed", "from": [0, 1]}, 1, "/vivant/student/seed", 9999),
    ],
)
def test_a_number_lands_where_the_scene_says(
    tree: Tree, given: object, sent: float, address: str, value: object
) -> None:
    one = alias(given)
    args = one.turn((sent,))
    assert args is not None
    assert tree.set(one.target, args, 0, "osc").taken
    assert tree.value(address) == pytest.approx(value) if isinstance(value, float) else value


@pytest.mark.parametrize("curve", list(SHAPES))
@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.9, 1.0])
def test_every_curve_is_gone_back(tree: Tree, curve: str, share: float) -> None:
    one = alias({"to": "look/exposure", "from": [0, 1], "curve": curve})
    args = one.turn((share,))
    assert args is not None
    tree.set(one.target, args, 0, "osc")
    back = one.back(tree.parameters[EXPOSURE], tree.value(EXPOSURE))
    assert back == pytest.approx(share, abs=1e-6)


@pytest.mark.parametrize(("sent", "reason"), [("a word", "wrong_type"), (float("nan"), "not_finite")])
def test_what_is_no_number_is_for_the_parameter_to_refuse(tree: Tree, sent: object, reason: str) -> None:
    one = alias({"to": "look/exposure", "from": [0, 1]})
    args = one.turn((sent,))
    assert args is not None
    assert tree.set(one.target, args, 0, "osc").reason == reason


@pytest.mark.parametrize("sent", [1.2, -0.2, float("inf"), 10**400, -(10**400)])
def test_a_number_far_outside_what_the_scene_says_is_not_taken(sent: float) -> None:
    assert alias({"to": "look/exposure", "from": [0, 1]}).turn((sent,)) is None


@pytest.mark.parametrize(
    ("address", "given", "words"),
    [
        ("/x", "look/exposur", "did you mean '/vivant/look/exposure'?"),
        ("/x", "status/late", "is only reported"),
        ("/x", {"to": "panic", "from": [0, 1]}, "is an action and has no range"),
        ("/x", {"to": "look/exposure", "onto": [-3, 0]}, "onto = [-3.0, 0.0]: should lie in [-2, 2]"),
        ("/x", {"to": "style/choose", "onto": [0, 3]}, "onto = [0.0, 3.0]: goes with a number"),
        ("/x", {"to": "look/exposure", "onto": [-1, 0], "norm": True}, "does not go with it"),
        ("x", "look/exposure", "the address should be one of plain characters"),
        ("/x*", "look/exposure", "the address should be one of plain characters"),
        ("/x//y", "look/exposure", "the address should be one of plain characters"),
        ("/vivant/look/grain", "look/exposure", "should not begin with /vivant/"),
    ],
)
def test_an_alias_that_cannot_be_is_said(tree: Tree, address: str, given: object, words: str) -> None:
    (line,) = alias_problems({address: given}, tree)
    assert line.startswith("osc.aliases.") and words in line


def test_a_scene_says_all_that_is_wrong_with_its_aliases_at_once(tmp_path: Path) -> None:
    scene = tmp_path / "layout.toml"
    scene.write_text(
        'title = "Layout"\n[osc.aliases]\n"/a" = "look/exposur"\n"/b" = {to = "look/grain", from = [1, 1]}\n'
        '"/c" = {to = "look/grain", curve = "bent"}\n"/d" = "look/grain"\n'
    )
    with pytest.raises(VivantError) as error:
        load_scene(scene)
    said = str(error.value)
    assert "3 problems" in said
    assert 'osc.aliases."/a"' in said and "did you mean '/vivant/look/exposure'?" in said
    assert "has the same end twice" in said and "should be one of smooth" in said


def test_aliases_stay_when_the_command_line_changes_a_scene(tmp_path: Path) -> None:
    scene = tmp_path / "layout.toml"
    scene.write_text(
        'title = "Layout"\n[osc]\necho = true\n'
        '[osc.aliases]\n"/a" = {to = "look/exposure", from = [0, 127]}\n'
    )
    changed = change_scene(load_scene(scene), {"osc.listen": "off"})
    assert aliases_of(changed.osc.aliases) == (Alias("/a", EXPOSURE + "/norm", 0.0, 127.0),)
    assert changed.osc.echo
