"""A cue list as it stands in a scene: what it says, and everything that is wrong with it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vivant.runtime.cues.listing import Aim, read_cues
from vivant.runtime.frames import VivantError
from vivant.runtime.midi.mapping import map_problems, read_map
from vivant.runtime.scene import Scene, change_scene, load_scene, shipped, tree_of


def load(folder: Path, text: str) -> Scene:
    path = folder / "tide.toml"
    path.write_text(f'title = "Tide"\n{text}')
    return load_scene(path)


def problems(folder: Path, text: str) -> list[str]:
    with pytest.raises(VivantError) as error:
        load(folder, text)
    return [line.strip() for line in str(error.value).splitlines()[1:]]


def test_a_cue_says_where_values_go_and_how(tmp_path: Path) -> None:
    text = """
        [[cues]]
        name = "drop"
        note = "all colours"
        style = "ink"
        adapter = { riso = 0.5 }
        seed = 7
        fade_s = 1
        curve = "early"
        wait_s = 0.5
        follow_s = 12
        follow = "start"
        on = "bar"
        at = ["9:05", "20:30"]
        set.look.exposure = 0.5
        set."/vivant/look/grain" = { to = 0.2, fade_s = 0, curve = "late" }
    """
    (cue,) = load(tmp_path, text).cues
    assert (cue.name, cue.note, cue.fade_s, cue.curve, cue.wait_s) == ("drop", "all colours", 1, "early", 0.5)
    assert (cue.follow_s, cue.follow, cue.on, cue.at) == (12, "start", "bar", (545, 1230))
    assert {address: (aim.value, aim.fade_s, aim.curve) for address, aim in cue.aims.items()} == {
        "/vivant/style/choose": ("ink", None, None),
        "/vivant/student/seed": (7, None, None),
        "/vivant/adapter/riso": (0.5, None, None),
        "/vivant/look/exposure": (0.5, None, None),
        "/vivant/look/grain": (0.2, 0, "late"),
    }


def test_the_command_line_leaves_a_cue_list_as_it_is(tmp_path: Path) -> None:
    scene = load(tmp_path, '[[cues]]\nname = "a"\nset.look.grain = 0.3\n')
    assert change_scene(scene, {"ladder": False}).cues == scene.cues
    assert scene.cues[0].aims["/vivant/look/grain"] == Aim(0.3, key=("cues", 0, "set", "look", "grain"))


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ('styl = "ink"', "cues[0].styl: unknown key; did you mean 'style'?"),
        ('style = "inc"', 'cues[0].style = "inc": should be oil | ink | '),
        ('adapter = "rizo"', "cues[0].adapter.rizo = 1.0: unknown parameter; did you mean '/vivant/adap"),
        ('prompt = "a sea"', 'cues[0].prompt = "a sea": unknown parameter'),
        ("seed = 10000", "cues[0].seed = 10000: input should be less than or equal to 9999"),
        ("fade_s = -1", "cues[0].fade_s = -1: input should be greater than or equal to 0"),
        ('curve = "fast"', 'cues[0].curve = "fast": should be one of smooth, linear, early, late'),
        ('on = "beet"', "cues[0].on = \"beet\": input should be 'beat' or 'bar'"),
        ('at = "25:30"', 'cues[0].at = "25:30": write times of day as 20:30'),
        ('follow = "start"', "cues[0].follow_s: is missing; after how long start follows"),
        ("follow_s = 2", "cues[0].follow: is missing; nothing comes after the last cue, so say which cue"),
        ('follow_s = 2\nfollow = "b"', 'cues[0].follow = "b": there is no cue of this name'),
        ("set = 3", "cues[0].set = 3: input should be a table"),
        ("set.look.exposure = 3", "cues[0].set.look.exposure = 3: should be in [-2, 2] EV"),
        ("set.look.exposure = { to = 0, fade_s = -1 }", "cues[0].set.look.exposure.fade_s = -1: input"),
        ("set.look.exposur = 0", "cues[0].set.look.exposur = 0: unknown parameter; did you mean"),
        ("set.panic = 1", "cues[0].set.panic = 1: is for people and triggers; cues do not set it"),
        ("set.cues.auto = 1", "cues[0].set.cues.auto = 1: is for people and triggers; cues do not set it"),
        ("set.status.late = 1", "cues[0].set.status.late = 1: is only reported, it cannot be set"),
        ('style = "ink"\nset.style.choose = "oil"', 'cues[0].set.style.choose = "oil": is set twice'),
        (
            'set = { "look/grain" = 0.1, "look/grain/norm" = 0.1 }',
            'cues[0].set."look/grain/norm" = 0.1: is set twice',
        ),
        (
            'set.student.steps = { to = "2", fade_s = 1 }',
            "cues[0].set.student.steps.fade_s = 1.0: /vivant/student/steps is there at once;",
        ),
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_cue_is_said_with_its_key(tmp_path: Path, text: str, line: str) -> None:
    found = problems(tmp_path, f'[[cues]]\nname = "a"\n{text}\n')
    assert len(found) == 1
    assert found[0].startswith(line)


def test_names_are_of_their_own(tmp_path: Path) -> None:
    assert problems(tmp_path, '[[cues]]\nname = "a"\n[[cues]]\nname = "a"\n') == [
        'cues[1].name = "a": is the name of an earlier cue too'
    ]
    for name in ("start", "go", "back"):
        (line,) = problems(tmp_path, f'[[cues]]\nname = "{name}"\n')
        assert re.search("means something already", line)
    (line,) = problems(tmp_path, '[[cues]]\nnote = "nameless"\n')
    assert line == "cues[0].name: is missing"


def test_a_trigger_may_call_a_cue(tmp_path: Path) -> None:
    cues = '[[cues]]\nname = "dusk"\n[triggers.a]\nwhen = { at = "20:30" }\n'
    acts = 'do = [{ cue = "go" }, { cue = "back" }, { cue = "dusk" }]\n'
    made = [(act.address, act.to) for act in load(tmp_path, cues + acts).triggers["a"].do]
    assert made == [
        ("/vivant/cues/go", None),
        ("/vivant/cues/back", None),
        ("/vivant/cues/goto", "dusk"),
    ]
    assert problems(tmp_path, f'{cues}do = {{ cue = "dust" }}\n') == [
        "triggers.a.do[0].cue = \"dust\": should be one of go, back, start, dusk; did you mean 'dusk'?"
    ]
    trigger = cues.partition("\n")[2].partition("\n")[2]
    assert problems(tmp_path, f'{trigger}do = {{ cue = "go" }}\n') == [
        'triggers.a.do[0].cue = "go": this scene has no cues; write [[cues]]'
    ]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["name", "set", "style", "adapter", "seed", "at", "to", "x"]), inner
        )
    ),
    max_leaves=12,
)


@given(JSON)
def test_no_table_gives_anything_but_cues_and_problems(tables: object) -> None:
    cues, found = read_cues(tables)
    assert all(isinstance(line, str) for line in found)
    assert found or len(cues) == len(tables)  # type: ignore[arg-type]


def test_the_set_that_ships_has_a_pad_for_its_cues_and_none_for_what_is_not_there() -> None:
    scene = load_scene(shipped()["vj"])
    found, tree = read_map(Path(scene.midi.map)), tree_of(scene)
    assert list(map_problems(found, tree)) == []
    pads = {one.address for one in found.controls}
    assert len(scene.cues) >= 8
    assert {f"/vivant/cue/{cue.name}/go" for cue in scene.cues[:8]} <= pads
    assert {"/vivant/cues/go", "/vivant/cues/back", "/vivant/tempo/tap"} <= pads
