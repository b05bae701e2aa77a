"""The header of an ISF file is read as it was surely meant; what cannot be used is said with its place."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from isf_stage import FILES

from vivant.runtime.isf.header import IsfError, Shader, parse_header, read_shader
from vivant.runtime.parameters import coerce


def written(folder: Path, text: str, name: str = "x.fs") -> Path:
    path = folder / name
    path.write_text(text)
    return path


def shader(folder: Path, **top: Any) -> Shader:
    return read_shader(written(folder, f"/*{json.dumps(top)}*/\nvoid main() {{}}\n"))


def problems(folder: Path, **top: Any) -> str:
    with pytest.raises(IsfError) as caught:
        shader(folder, **top)
    return str(caught.value)


def test_inputs_say_whether_a_file_is_a_filter_a_source_or_a_transition() -> None:
    kinds = {name: read_shader(FILES / f"{name}.fs").header.kind for name in ("pass_two", "draw_over")}
    assert kinds == {"pass_two": "filter", "draw_over": "source"}
    assert read_shader(FILES / "transition_fade.fs").header.kind == "transition"


def test_what_json_forbids_and_people_write_is_passed_over_and_said() -> None:
    header = read_shader(FILES / "header_lenient.fs").header
    assert header.description == "a comma // too many"
    assert header.inputs[0].default == (0.5,)
    assert "no strict JSON" in header.guesses[0]


def test_a_header_that_is_none_is_refused_with_its_line(tmp_path: Path) -> None:
    with pytest.raises(IsfError, match=r"x\.fs:1: an ISF file begins with a comment"):
        read_shader(written(tmp_path, "void main() {}\n"))
    with pytest.raises(IsfError, match=r"x\.fs:3: the header is no JSON: Expecting"):
        read_shader(written(tmp_path, '/*{\n"INPUTS": [\n  {"NAME": }\n]}*/\n'))
    with pytest.raises(IsfError, match="should be a JSON dictionary"):
        read_shader(written(tmp_path, "/*[1]*/"))
    for long in ("[" * 100_000, '{"VSN": ' + "1" * 9000 + "}"):
        with pytest.raises(IsfError, match="the header is no JSON: "):
            read_shader(written(tmp_path, f"/*{long}*/"))
    with pytest.raises(IsfError, match="DEFAULT of a is 1000"):
        shader(tmp_path, INPUTS=[{"NAME": "a", "TYPE": "float", "DEFAULT": 10**400}])
    with pytest.raises(IsfError, match="not UTF-8"):
        (tmp_path / "b.fs").write_bytes(b"/*{}*/\xff")
        read_shader(tmp_path / "b.fs")
    with pytest.raises(IsfError, match="cannot be read"):
        read_shader(tmp_path / "absent.fs")


def test_every_problem_of_a_header_is_said_at_once(tmp_path: Path) -> None:
    said = problems(
        tmp_path,
        INPUTS=[
            {"NAME": "a b", "TYPE": "float"},
            {"NAME": "k", "TYPE": "flot"},
            {"NAME": "TIME", "TYPE": "float"},
            {"NAME": "n", "TYPE": "float", "DEFAULT": "many"},
            {"NAME": "v", "TYPE": "long", "VALUES": []},
            7,
        ],
        PASSES=[{"TARGET": "1a"}, {"TARGET": "b", "WIDTH": "$Nobody"}, {"TARGET": "b", "HEIGHT": [1]}],
        IMPORTED={"gone": {"PATH": "gone.png"}, "empty": {}},
    )
    for part in (
        "INPUTS[0]: NAME is 'a b'",
        "INPUTS[1]: TYPE of k is 'flot'",
        "the name TIME is taken",
        "INPUTS[3]: DEFAULT of n is 'many'",
        "INPUTS[4]: VALUES of v",
        "INPUTS[5]: should be a dictionary",
        "PASSES[0]: TARGET '1a'",
        "PASSES[1].WIDTH: '$Nobody' names Nobody, which is none of $WIDTH, $HEIGHT",
        "PASSES[2].HEIGHT: [1] is neither",
        f"IMPORTED.gone: there is no file {tmp_path}/gone.png",
        "IMPORTED.empty: PATH is missing",
    ):
        assert part in said


def test_a_name_that_is_given_twice_and_too_many_of_anything_are_refused(tmp_path: Path) -> None:
    twice = problems(tmp_path, INPUTS=[{"NAME": "a", "TYPE": "float"}], PASSES=[{"TARGET": "a"}])
    assert "the name a is given twice" in twice
    images = [{"NAME": f"i{index}", "TYPE": "image"} for index in range(13)]
    assert "13 pictures and buffers; 12 are the most" in problems(tmp_path, INPUTS=images)
    assert "PASSES: 40 are too many" in problems(tmp_path, PASSES=[{}] * 40)


def test_inputs_become_parameters_with_their_ranges(tmp_path: Path) -> None:
    header = shader(
        tmp_path,
        INPUTS=[
            {"NAME": "speed", "TYPE": "float", "LABEL": "How  fast", "DEFAULT": 2, "MIN": -1, "MAX": 3},
            {"NAME": "at", "TYPE": "point2D", "DEFAULT": [0.1, 0.2]},
            {"NAME": "ink", "TYPE": "color", "DEFAULT": [1, 0.5, 0]},
            {"NAME": "kind", "TYPE": "long", "VALUES": [3, 5], "LABELS": ["a", "a"], "DEFAULT": 5},
            {"NAME": "count", "TYPE": "long", "MIN": 1, "MAX": 9, "DEFAULT": 4},
            {"NAME": "hit", "TYPE": "event"},
            {"NAME": "mix", "TYPE": "bool", "DEFAULT": 1.0},
            {"NAME": "inputImage", "TYPE": "image"},
            {"NAME": "wave", "TYPE": "audio"},
        ],
    ).header
    made = {one.address: one for each in header.inputs for one in each.parameters("/e/")}
    assert list(made) == [
        "/e/speed",
        "/e/at/x",
        "/e/at/y",
        "/e/ink/r",
        "/e/ink/g",
        "/e/ink/b",
        "/e/ink/a",
        "/e/kind",
        "/e/count",
        "/e/hit",
        "/e/mix_",
    ]
    assert (made["/e/speed"].minimum, made["/e/speed"].maximum, made["/e/speed"].default) == (-1, 3, 2)
    assert made["/e/speed"].meaning == "How fast"
    assert made["/e/at/y"].default == 0.2
    assert made["/e/ink/a"].default == 1.0
    assert made["/e/kind"].choices == ("a", "a (2)")
    assert made["/e/kind"].default == "a (2)"
    assert coerce(made["/e/count"], [20]).reason == "out_of_range"
    assert made["/e/hit"].kind == "action"
    values = {one.address: one.default for one in made.values()}
    uniforms = {each.name: each.uniform("/e/")(values) for each in header.inputs if not each.is_texture}
    assert uniforms == {
        "speed": 2.0,
        "at": (0.1, 0.2),
        "ink": (1.0, 0.5, 0.0, 1.0),
        "kind": 5,
        "count": 4,
        "hit": False,
        "mix": True,
    }
    assert uniforms == {each.name: each.starting() for each in header.inputs if not each.is_texture}


def test_a_range_that_cannot_be_is_put_right_and_said(tmp_path: Path) -> None:
    header = shader(
        tmp_path,
        INPUTS=[
            {"NAME": "a", "TYPE": "float", "MIN": 2, "MAX": 1, "DEFAULT": 1.5},
            {"NAME": "b", "TYPE": "float", "MIN": 0, "MAX": 1, "DEFAULT": 4},
            {"NAME": "c", "TYPE": "float", "MIN": 3, "MAX": 3},
            {"NAME": "d", "TYPE": "long", "VALUES": [1, 2], "LABELS": ["one"], "DEFAULT": 9},
        ],
    ).header
    ranges = [(one.minimum, one.maximum) for one in header.inputs[:3]]
    assert ranges == [((1.0,), (2.0,)), ((0.0,), (4.0,)), ((3.0,), (4.0,))]
    assert header.inputs[3].labels == ("1", "2")
    assert header.inputs[3].default == (1.0,)
    assert len(header.guesses) == 4


LEAVES = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8)
ANYTHING = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
)
KEYS = st.sampled_from(
    ["NAME", "TYPE", "DEFAULT", "MIN", "MAX", "VALUES", "LABELS", "TARGET", "WIDTH", "PATH"]
)
TYPES = st.sampled_from(["float", "long", "bool", "color", "point2D", "image", "audio", "event", "a b"])
PARTS = st.dictionaries(KEYS, TYPES | ANYTHING, max_size=6)
TOPS = st.sampled_from(["INPUTS", "PASSES", "IMPORTED", "PERSISTENT_BUFFERS", "ISFVSN", "CATEGORIES"])


@given(st.dictionaries(TOPS, st.lists(PARTS, max_size=3) | PARTS | ANYTHING, max_size=5))
def test_no_header_raises_anything_but_what_it_should(top: dict[str, Any]) -> None:
    try:
        header = parse_header(f"/*{json.dumps(top)}*/", Path("x.fs"))
    except IsfError as error:
        assert "x.fs" in str(error)
        return
    for one in header.inputs:
        for parameter in one.parameters("/e/"):
            assert parameter.kind == "action" or coerce(parameter, [parameter.default]).verb == "applied"


@given(st.text(max_size=60))
def test_no_text_raises_anything_but_what_it_should(text: str) -> None:
    for whole in (text, f"/*{text}*/", f"/*{{{text}}}*/"):
        try:
            parse_header(whole, Path("x.fs"))
        except IsfError as error:
            assert "x.fs" in str(error)
