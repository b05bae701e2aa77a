"""Scenes: what a file says is what runs, and what is wrong with it is said at once, all of it."""

from __future__ import annotations

import random
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tiny_adapter import write_tiny_adapter
from typer.testing import CliRunner

from vivant.cli.parameters import parameters
from vivant.cli.scenes import app
from vivant.engines.card import Card
from vivant.engines.student import find
from vivant.runtime.frames import VivantError
from vivant.runtime.parameters import HOUSE_STYLES
from vivant.runtime.scene import change_scene, find_scene, load_scene, shipped, tree_of

Write = Callable[[str], Path]
HEAD = 'title = "Tide"\nstudent = "null"\n'


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def written(text: str) -> Path:
        path = tmp_path / "tide.toml"
        path.write_text(text)
        return path

    return written


def complaint(path: Path) -> list[str]:
    with pytest.raises(VivantError) as error:
        load_scene(path)
    return str(error.value).splitlines()


@pytest.mark.parametrize("name", shipped())
def test_a_scene_that_ships_loads_and_starts_with_its_values(name: str) -> None:
    scene = load_scene(find_scene(name))
    tree = tree_of(scene)
    assert scene.title and scene.summary
    assert scene.osc.listen_at == ("127.0.0.1", 9000)
    assert sum(float(tree.value(f"/vivant/style/{style}")) for style in HOUSE_STYLES) == 1.0


def test_the_mirror_shows_every_key_that_a_scene_can_have() -> None:
    table = tomllib.loads(shipped()["mirror"].read_text())
    scene = load_scene(shipped()["mirror"])
    assert set(table) == set(type(scene).model_fields)
    assert set(table["osc"]) == set(type(scene.osc).model_fields)


def test_a_title_is_enough(write: Write) -> None:
    scene = load_scene(write(HEAD))
    assert (scene.input, scene.backend, scene.precision, scene.size) == ("auto", "auto", "int8", (384, 384))
    assert (scene.budget_ms, scene.ladder, scene.refresh_hz) == (30.0, True, 60.0)
    assert scene.parameters == {}


def test_all_problems_are_told_at_once(write: Write) -> None:
    path = write(
        HEAD
        + """
backend = "openvin"
precision = "int4"
size = [384, 100]
budget_ms = 0
lader = true
[osc]
listen = "9000"
allow = ["tablet"]
alow = []
[parameters.style]
mosaik = 1.0
choose = "chalk"
[parameters]
"/vivant/look/exposure" = 9.0
"""
    )
    assert complaint(path) == [
        f"{path}: 11 problems",
        '  backend = "openvin": should be one of auto, tensorrt, openvino, onnxruntime, torch, null;'
        " did you mean 'openvino'?",
        "  precision = \"int4\": input should be 'int8', 'float', 'bf16' or 'half'; did you mean 'int8'?",
        "  size[1] = 100: input should be a multiple of 32",
        "  budget_ms = 0: input should be greater than 0",
        '  osc.listen = "9000": should be HOST:PORT with a port from 1 to 65535, such as 127.0.0.1:9000',
        '  osc.allow = ["tablet"]: should be an address such as 192.168.1.20 or 192.168.1.0/24',
        "  osc.alow: unknown key; did you mean 'allow'?",
        "  lader: unknown key; did you mean 'ladder'?",
        "  parameters.style.mosaik = 1.0: unknown parameter; did you mean '/vivant/style/mosaic'?",
        '  parameters.style.choose = "chalk": should be oil | ink | watercolour | stipple | engraving'
        " | mosaic | glass | coral",
        '  parameters."/vivant/look/exposure" = 9.0: should be in [-2, 2] EV',
    ]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "title: is missing"),
        ("title = 'a'\ntitle = 'b'\n", "line 2, column 12: cannot overwrite a value"),
        ("title =\n", "line 1, column 8: invalid value"),
        ("title = [", "end of document: invalid value"),
        ('title = "x"\ninput = "performr"', "should be one of camera:0, clip:FILE, "),
        ('title = "x"\ninput = "camera"', "should be one of camera:0, clip:FILE, "),
        ('title = "x"\ninput = "performer:1"', "should be one of camera:0, clip:FILE, "),
        ('title = "x"\ninput = "clip:none.mp4"', "there is no file "),
        ('title = "x"\nstudent = "hause"', "there is no student 'hause'"),
        ('title = "x"\nsize = 384', "size = 384: input should be a list"),
        ('title = "x"\nosc = "off"', 'osc = "off": input should be a table'),
        ('title = "x"\nparameters = 1', "parameters = 1: input should be a table"),
        ('title = "x"\nbudget_ms = nan', "budget_ms = NaN: input should be a finite number"),
        ('title = "x"\nladder = "yes"', 'ladder = "yes": input should be a valid boolean'),
        ("title = 'x'\nparameters.reset = 1", "parameters.reset = 1: is an action and holds no value"),
        ("title = 'x'\nparameters.look.exposure = 2.01", "should be in [-2, 2] EV"),
        ("title = 'x'\nparameters.look = {}", "unknown parameter"),
        (
            "title = 'x'\n[parameters]\nlook.grain = 0.1\n'/vivant/look/grain' = 0.2",
            'parameters."/vivant/look/grain" = 0.2: is set twice',
        ),
    ],
)
def test_each_kind_of_problem_has_its_words(write: Write, text: str, problem: str) -> None:
    assert any(problem in line for line in complaint(write(text)))


def test_a_file_that_is_no_text_or_no_file_is_said(tmp_path: Path) -> None:
    path = tmp_path / "x.toml"
    assert "cannot be read: No such file" in complaint(path)[0]
    assert "cannot be read: Is a directory" in complaint(tmp_path)[0]
    path.write_bytes(b'title = "\xff"')
    assert complaint(path)[1] == "  byte 9: not UTF-8 text"
    path.write_bytes(b"#" * 1_000_001)
    assert "larger than 1000000 bytes" in complaint(path)[0]


@pytest.mark.parametrize(
    "text",
    [
        "x = " + "[" * 5000 + "]" * 5000,
        "parameters." + ".".join("a" * 3000) + " = 1",
        "monitor = " + "9" * 5000,
        "monitor = 0x" + "f" * 5000,
        "input = 'clip:" + "a" * 5000 + "'",
        "input = 'clip:~nobody-of-this-name/x.mp4'",
        "input = 'clip:\\u0000'",
        'input = "clip:\\u0000"',
        "student = '" + "a" * 5000 + "'",
        "adapters = ['" + "a" * 5000 + "']",
        "adapters = ['~nobody-of-this-name/x.safetensors']",
        'adapters = ["\\u0000"]',
        "adapters = [[[]], 3, {}]",
        "\n".join(f"key{i} = 1" for i in range(1000)),
    ],
    ids=range(14),
)
def test_absurd_files_get_a_short_answer(write: Write, text: str) -> None:
    lines = complaint(write(HEAD.replace('student = "null"\n', "") + text))
    assert len(lines) < 60
    assert all(len(line) < 12_000 for line in lines)


def test_clips_are_found_from_the_scene_and_from_the_command_line(
    write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clip = tmp_path / "films" / "a.mp4"
    clip.parent.mkdir()
    clip.touch()
    monkeypatch.setenv("FILMS", str(clip.parent))
    for written in ("clip:films/a.mp4", f"clip:{clip}", "clip:$FILMS/a.mp4"):
        assert load_scene(write(f'{HEAD}input = "{written}"')).input == f"clip:{clip}"
    monkeypatch.chdir(clip.parent)
    scene = change_scene(load_scene(write(HEAD)), {"input": "clip:a.mp4"})
    assert scene.input == f"clip:{clip}"


def test_adapters_are_found_from_the_scene_and_become_parameters(write: Write, tmp_path: Path) -> None:
    (tmp_path / "worn").mkdir()
    dusk = write_tiny_adapter(tmp_path / "worn" / "dusk.safetensors", Card.read(find("house")))
    text = 'title = "Tide"\nadapters = ["worn/dusk.safetensors"]\nparameters.adapter.dusk = 0.5\n'
    scene = load_scene(write(text))
    assert scene.adapters == (str(dusk),)
    assert tree_of(scene).controls(0, 0, (64, 64)).adapters["dusk"] == 0.5
    assert complaint(write(text.replace("dusk =", "dawn =")))[1:] == [
        "  parameters.adapter.dawn = 0.5: unknown parameter; did you mean '/vivant/adapter/dusk'?"
    ]


def test_an_adapter_that_cannot_be_worn_is_a_problem_of_the_scene(write: Write, tmp_path: Path) -> None:
    write_tiny_adapter(tmp_path / "dusk.safetensors", Card.read(find("house")), student="barn")
    said = complaint(write('title = "Tide"\nadapters = ["dusk.safetensors", 3]'))
    assert said[0].endswith("1 problem") and "adapters[1] = 3: input should be a valid string" in said[1]
    said = complaint(write('title = "Tide"\nadapters = ["dusk.safetensors"]\nparameters.adapter.dusk = 1.0'))
    assert "it was made for barn, and this is house" in "\n".join(said)
    assert "student null takes no adapters" in "\n".join(
        complaint(write(HEAD + 'adapters = ["dusk.safetensors"]'))
    )
    assert "nowhere.safetensors" in "\n".join(complaint(write(HEAD + 'adapters = ["nowhere.safetensors"]')))


def test_parameters_nest_or_are_quoted_and_keep_their_order(write: Write) -> None:
    text = (
        HEAD
        + '[parameters]\n"/vivant/look/grain" = 0.1\nstyle.ink = 1.0\nstyle.mosaic = 0\nstudent.steps = 2'
    )
    scene = load_scene(write(text))
    assert list(scene.parameters) == [
        "/vivant/look/grain",
        "/vivant/style/ink",
        "/vivant/style/mosaic",
        "/vivant/student/steps",
    ]
    assert tree_of(scene).value("/vivant/student/steps") == "2"


def test_the_command_line_is_checked_like_a_scene(write: Write) -> None:
    scene = load_scene(write(HEAD + "[parameters.look]\ngrain = 0.2"))
    changed = change_scene(scene, {"osc.listen": "off", "window_size": (640, 360), "fullscreen": True})
    assert changed.osc.listen_at is None
    assert (changed.window_size, changed.fullscreen) == ((640, 360), True)
    assert changed.parameters == {"/vivant/look/grain": 0.2}
    with pytest.raises(VivantError) as error:
        change_scene(scene, {"osc.listen": "9000", "backend": "cuda"})
    assert str(error.value).startswith('command line: 2 problems\n  backend = "cuda": should be one of')


def test_an_address_of_the_network_is_allowed_when_it_is_written(write: Write) -> None:
    scene = load_scene(
        write(HEAD + '[osc]\nlisten = "0.0.0.0:9000"\nallow = ["10.0.0.0/8"]\nfeedback = ["10.0.0.5:9001"]')
    )
    assert scene.osc.listen_at == ("0.0.0.0", 9000)
    assert scene.osc.targets == (("10.0.0.5", 9001),)


def test_scenes_are_found_by_name_and_by_path(write: Write) -> None:
    assert find_scene("mirror") == shipped()["mirror"]
    assert find_scene(str(write(HEAD))).name == "tide.toml"
    with pytest.raises(VivantError) as error:
        find_scene("scenes/miror.toml")
    names = ", ".join(shipped())
    assert "mirror" in names
    assert f"the scenes that ship are {names}. Run: vivant run mirror" in str(error.value)


MIRROR = shipped()["mirror"].read_text()
JUNK = st.sampled_from(
    [
        "",
        "=",
        "[",
        "]]",
        '"',
        "'''",
        "\n",
        "nan",
        "-1",
        "1e999",
        "0x",
        "true",
        "{}",
        "[[osc]]",
        "1979-05-27",
        "\0",
        "\\u",
    ]
)


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.randoms(use_true_random=False), st.lists(JUNK | st.text(max_size=6), min_size=1, max_size=4))
def test_a_damaged_scene_is_fine_or_explained(write: Write, draw: random.Random, junk: list[str]) -> None:
    text = MIRROR
    for piece in junk:
        start = draw.randrange(len(text))
        text = text[:start] + piece + text[start + draw.randrange(12) :]
    path = write(text.encode("utf-8", "ignore").decode())
    try:
        load_scene(path)
    except VivantError as error:
        assert str(path) in str(error)


def test_the_command_line_lists_and_checks(write: Write) -> None:
    runner = CliRunner()
    listed = runner.invoke(app, ["list"])
    assert listed.exit_code == 0
    assert all(name in listed.output for name in shipped())
    checked = runner.invoke(app, ["check"])
    assert checked.output.splitlines() == [f"{name}: fine" for name in shipped()]
    wrong = write("title = 1")
    failed = runner.invoke(app, ["check", "mirror", str(wrong)])
    assert failed.output == "mirror: fine\n"
    assert str(failed.exception).startswith(
        f"{wrong}: 1 problem\n  title = 1: input should be a valid string"
    )


def test_the_command_line_prints_a_scenes_values(capsys: pytest.CaptureFixture[str]) -> None:
    parameters("garden", markdown=True)
    assert "| `/vivant/student/strength` | float | [0, 1] | 0.35 |" in capsys.readouterr().out
