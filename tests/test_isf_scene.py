"""What a scene says of ISF files is checked before the show, and every input of theirs is a parameter."""

from __future__ import annotations

from pathlib import Path

import pytest
from isf_stage import FILES

from vivant.runtime.frames import VivantError
from vivant.runtime.isf.header import read_shader
from vivant.runtime.isf.section import shipped
from vivant.runtime.scene import Scene, change_scene, load_scene, tree_of

HEAD = 'title = "Effects"\ninput = "performer"\n'


def loaded(folder: Path, text: str) -> Scene:
    (folder / "s.toml").write_text(HEAD + text)
    return load_scene(folder / "s.toml")


def test_inputs_are_parameters_that_the_scene_may_set(tmp_path: Path) -> None:
    scene = loaded(
        tmp_path,
        '[effects.glow]\nfile = "bloom"\n'
        '[effects.mirrors]\nfile = "kaleidoscope"\non = false\nat = "screen"\n'
        '[transitions.clouds]\nfile = "dissolve"\n[transitions.edge]\nfile = "wet_wipe"\n'
        "[parameters]\neffect.glow.amount = 1.5\neffect.mirrors.middle.x = 0.25\ntransition.edge.wet = 0.9\n",
    )
    for tree in (tree_of(scene), tree_of(change_scene(scene, {"budget_ms": 25.0}))):
        assert tree.value("/vivant/effect/glow/mix") == 1.0
        assert tree.value("/vivant/effect/mirrors/mix") == 0.0
        assert tree.value("/vivant/effect/glow/amount") == 1.5
        assert tree.value("/vivant/effect/mirrors/middle/x") == 0.25
        assert tree.value("/vivant/effect/glow/tint/g") == 0.93
        assert tree.value("/vivant/transition/choose") == "clouds"
        assert tree.parameters["/vivant/transition/choose"].choices == ("none", "clouds", "edge")
        assert tree.value("/vivant/transition/edge/wet") == 0.9
        assert "/vivant/transition/edge/progress" not in tree.parameters


def test_a_scene_without_effects_has_no_parameters_of_theirs(tmp_path: Path) -> None:
    addresses = tree_of(loaded(tmp_path, "")).parameters
    assert not [one for one in addresses if one.startswith(("/vivant/effect/", "/vivant/transition/"))]


def test_triggers_may_act_on_effects(tmp_path: Path) -> None:
    rule = '[triggers.often]\nwhen = {every_s = 10}\ndo = [{set = "effect/glow/mix", to = %s}]\n'
    glow = '[effects.glow]\nfile = "bloom"\n'
    loaded(tmp_path, glow + rule % "0.5")
    with pytest.raises(VivantError, match=r"triggers\.often\.do\[0\]\.to = 2"):
        loaded(tmp_path, glow + rule % "2")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('[effects.a]\nfile = "blom"', "those that ship are bloom.*did you mean 'bloom'"),
        ('[effects.a]\nfile = "dissolve"', r"is a transition; write it under \[transitions\.NAME\]"),
        ('[transitions.a]\nfile = "bloom"', "has no startImage, endImage and progress"),
        ('[transitions.choose]\nfile = "dissolve"', "is a word of all transitions"),
        ('[effects.A]\nfile = "bloom"', "should match pattern"),
        ('[effects.a]\nfile = "bloom"\nat = "wall"', "input should be 'picture' or 'screen'"),
        ('[effects.a]\nfil = "bloom"', "did you mean 'file'"),
        ('[effects.a]\nfile = "bloom"\nimages.x = "x.png"', "the shader has no image input 'x'; it has none"),
        ("effects = 3", "should be a table"),
        ('[effects.a]\nfile = "b.fs"', "b.fs:1: an ISF file begins with a comment"),
        (
            f'[effects.a]\nfile = "{FILES}/input_images.fs"\nimages.other = "b.fs"',
            "is no picture that can be",
        ),
        ('[effects.a]\nfile = "bloom"\n[parameters]\neffect.a.amount = 9.0', r"should be in \[0, 2\]"),
    ],
)
def test_what_is_wrong_is_said_before_the_show(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "b.fs").write_text("void main() {}")
    with pytest.raises(VivantError, match=said):
        loaded(tmp_path, text)


def test_what_ships_says_what_it_is_and_needs_no_guessing() -> None:
    there = shipped()
    assert len(there) >= 8
    for path in there.values():
        header = read_shader(path).header
        assert header.description
        assert header.credit == "Vivant, Apache-2.0"
        assert not header.guesses
        assert all(
            one.meaning != one.name for one in header.inputs if not one.is_texture and one.name != "progress"
        )
