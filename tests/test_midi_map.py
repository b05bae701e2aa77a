"""Map files: checked in full, written whole, learned into."""

from __future__ import annotations

from pathlib import Path

import pytest

from vivant.runtime.frames import VivantError
from vivant.runtime.midi.controls import control_of
from vivant.runtime.midi.mapping import Binding, MidiMap, map_problems, read_map, with_learned, write_map
from vivant.runtime.parameters import parameters_for
from vivant.runtime.scene import load_scene, tree_of
from vivant.runtime.tree import Tree

TREE = Tree(parameters_for())


def test_a_map_is_read_as_it_was_written(tmp_path: Path) -> None:
    path = tmp_path / "maps" / "mine.toml"
    bindings = (
        Binding(control="cc:1:7", to="look/exposure", range=(-1.0, 1.0), curve="smooth", way="pickup"),
        Binding(control="note:10:36", to="/vivant/style/choose", value='ink "wash"', feedback=False),
    )
    write_map(MidiMap(name="pads \\ faders", controls=bindings), path)
    assert read_map(path) == MidiMap(name="pads \\ faders", controls=bindings)


def test_everything_that_is_wrong_is_said_at_once(tmp_path: Path) -> None:
    path = tmp_path / "wrong.toml"
    path.write_text(
        '[[controls]]\ncontrol = "cc:1"\nto = "look/exposure"\n'
        '[[controls]]\ncontrol = "cc:1:7"\nto = "look/exposure"\ncurve = "bent"\nrange = [1]\nwey = 1\n'
        '[[controls]]\ncontrol = "cc:1:7"\nto = "look/exposure"\nrange = [1, 1]\n'
    )
    with pytest.raises(VivantError) as told:
        read_map(path)
    message = str(told.value)
    assert message.startswith(f"{path}: 5 problems")
    for words in (
        "controls[0].control",
        "should be one of smooth",
        "controls[1].range",
        "did you mean 'way'?",
        "controls[2].range = [1, 1]: has the same end twice",
    ):
        assert words in message


@pytest.mark.parametrize(
    ("binding", "words"),
    [
        (Binding(control="cc:1:7", to="look/exposur"), "did you mean"),
        (Binding(control="cc:1:7", to="status/held"), "is only reported"),
        (Binding(control="cc:1:7", to="look/exposure/norm"), "leave /norm out"),
        (Binding(control="cc:1:7", to="look/exposure", range=(-5.0, 1.0)), "should lie in [-2, 2] EV"),
        (Binding(control="cc:1:7", to="style/choose", range=(0.0, 1.0)), "goes with a number"),
        (Binding(control="note:1:7", to="style/choose", value="inc"), "should be oil | ink"),
        (Binding(control="note:1:7", to="look/grain", way="relative"), "is for controllers that turn"),
    ],
)
def test_a_binding_that_fits_no_parameter_says_why(binding: Binding, words: str) -> None:
    [trouble] = map_problems(MidiMap(controls=(binding,)), TREE)
    assert words in trouble


def test_what_a_control_moved_before_it_moves_no_longer() -> None:
    first = with_learned(MidiMap(), control_of("cc:1:7"), "/vivant/look/grain")
    second = with_learned(first, control_of("cc:1:7"), "/vivant/look/exposure")
    assert [(one.control, one.address) for one in second.controls] == [("cc:1:7", "/vivant/look/exposure")]


def test_a_scene_checks_its_map_and_may_name_one_that_is_still_to_be_learned(tmp_path: Path) -> None:
    scene, found = tmp_path / "tide.toml", tmp_path / "mine.toml"
    scene.write_text('title = "Tide"\n[midi]\ninputs = "all"\nmap = "mine.toml"\n')
    loaded = load_scene(scene)
    assert loaded.midi.map == str(found) and "/vivant/midi/learn" in tree_of(loaded).parameters
    write_map(MidiMap(controls=(Binding(control="cc:1:7", to="look/exposur"),)), found)
    with pytest.raises(VivantError, match=r"midi\.map: .*mine\.toml.*did you mean"):
        load_scene(scene)


def test_a_scene_without_controllers_has_nothing_to_learn(tmp_path: Path) -> None:
    scene = tmp_path / "tide.toml"
    scene.write_text('title = "Tide"\n')
    loaded = load_scene(scene)
    assert not loaded.midi.on and "/vivant/midi/learn" not in tree_of(loaded).parameters
