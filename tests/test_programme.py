"""A programme: which scenes a show can change to, by which names, and what goes together."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from vivant.cli.scenes import app
from vivant.runtime.changing import programme_of, unheard
from vivant.runtime.frames import VivantError
from vivant.runtime.scene import change_scene, load_scene, tree_of


def write(folder: Path, name: str, text: str = "") -> Path:
    path = folder / f"{name}.toml"
    path.write_text(f'title = "{name}"\ninput = "performer"\n{text}')
    return path


def test_scenes_are_called_by_their_files_and_the_first_one_is_home(tmp_path: Path) -> None:
    write(tmp_path, "tide", "[programme]\nscenes = ['dusk.toml']\n")
    path = write(tmp_path, "dusk", "[programme]\nscenes = ['tide.toml', 'garden']\nfade_s = 3\n")
    scene = change_scene(load_scene(path), {"ladder": False})
    choose = tree_of(scene).parameters["/vivant/scene/choose"]
    assert choose.choices == ("home", "tide", "garden")
    assert tree_of(scene).value("/vivant/scene/fade_s") == 3
    found = programme_of(scene)
    assert {name: one.title for name, one in found.items()} == {
        "home": "dusk",
        "tide": "tide",
        "garden": "Garden",
    }
    assert all(tree_of(one).parameters["/vivant/scene/choose"] == choose for one in found.values())


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ("['nowhere']", "there is no scene nowhere"),
        ("['Wild Tide.toml']", "its name becomes an OSC value"),
        ("['home.toml']", "its name becomes an OSC value"),
        ("['other/tide.toml', 'tide.toml']", "two scenes are called tide"),
        ("3", "programme.scenes = 3: input should be a list"),
    ],
)
def test_what_cannot_be_called_is_told_at_load(tmp_path: Path, files: str, said: str) -> None:
    (tmp_path / "other").mkdir()
    for name in ("Wild Tide", "home", "tide", "other/tide"):
        write(tmp_path, name)
    with pytest.raises(VivantError, match=said):
        load_scene(write(tmp_path, "dusk", f"[programme]\nscenes = {files}\n"))


def test_a_trigger_names_a_scene_of_the_programme(tmp_path: Path) -> None:
    write(tmp_path, "tide")
    when = "[triggers.a]\nwhen = { at = '20:00' }\n"
    scene = load_scene(
        write(tmp_path, "dusk", f"[programme]\nscenes = ['tide.toml']\n{when}do = {{ scene = 'tide' }}\n")
    )
    assert [(act.address, act.to) for act in scene.triggers["a"].do] == [("/vivant/scene/choose", "tide")]
    with pytest.raises(VivantError, match="should be one of home, tide; did you mean 'tide'"):
        load_scene(
            write(tmp_path, "dawn", f"[programme]\nscenes = ['tide.toml']\n{when}do = {{ scene = 'tied' }}\n")
        )
    with pytest.raises(VivantError, match=r"this scene has no scenes; write \[programme\] scenes"):
        load_scene(write(tmp_path, "dawn", f"{when}do = {{ scene = 'tide' }}\n"))


def test_a_scene_that_wants_to_go_elsewhere_than_the_programme_is_told_before_the_show(
    tmp_path: Path,
) -> None:
    acts = (
        "[programme]\nscenes = ['garden']\n[triggers.a]\nwhen = { at = '20:00' }\ndo = { scene = 'garden' }\n"
    )
    write(tmp_path, "tide", acts)
    scene = load_scene(write(tmp_path, "dusk", "[programme]\nscenes = ['tide.toml']\n"))
    with pytest.raises(
        VivantError, match=r"tide.toml: triggers.a: garden is none of this programme: home, tide"
    ):
        programme_of(scene)


def test_a_critic_that_would_not_be_heard_is_told_before_the_show(tmp_path: Path) -> None:
    (tmp_path / "c.onnx").write_bytes(b"read when the show begins")
    critic = '[guard.critic]\nfile = "c.onnx"\nlabels = ["a"]\nforbidden = { a = 0.5 }\n'
    write(tmp_path, "tide", critic)
    with pytest.raises(
        VivantError, match=r"tide.toml: guard.critic: that of a programme is named by the scene"
    ):
        programme_of(load_scene(write(tmp_path, "dusk", "[programme]\nscenes = ['tide.toml']\n")))
    both = load_scene(write(tmp_path, "dawn", f"{critic}[programme]\nscenes = ['tide.toml']\n"))
    assert list(programme_of(both)) == ["home", "tide"]


LOUD = """
[sound]
input = "default"
[midi]
inputs = "off"
[triggers.kick]
when = { all = [{ signal = "low", above = 0.5 }, { signal = "motion", above = 0.5 }] }
do = { seed = 1 }
[drives.flash]
signal = "onset"
to = "look/exposure"
amount = 0.2
"""


def test_sections_of_a_later_scene_that_do_not_take_effect_are_named(tmp_path: Path) -> None:
    write(tmp_path, "loud", LOUD)
    quiet = write(tmp_path, "dusk", "[programme]\nscenes = ['loud.toml']\n")
    (line,) = unheard(programme_of(load_scene(quiet)))
    assert line.startswith("loud: [sound] does not take effect in this programme")
    assert line.endswith("Never known in it: low, onset.")
    checked = CliRunner().invoke(app, ["check", str(quiet)], catch_exceptions=False)
    assert "dusk.toml: warning: loud: [sound] does not take effect" in checked.output
    assert checked.exit_code == 0


def test_a_later_scene_that_wants_the_same_room_is_not_warned_of(tmp_path: Path) -> None:
    write(tmp_path, "loud", LOUD)
    write(tmp_path, "still")
    alike = write(tmp_path, "dusk", f"{LOUD}[programme]\nscenes = ['loud.toml', 'still.toml']\n")
    assert unheard(programme_of(load_scene(alike))) == []


def test_a_scene_without_a_programme_has_no_parameter_for_it(tmp_path: Path) -> None:
    scene = load_scene(write(tmp_path, "tide"))
    assert "/vivant/scene/choose" not in tree_of(scene).parameters
    assert list(programme_of(scene)) == ["home"]
