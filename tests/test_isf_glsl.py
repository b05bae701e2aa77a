"""What a driver says against a shader is told with the user's own file and line."""

from __future__ import annotations

from pathlib import Path

import pytest

from vivant.runtime.isf.glsl import complaints, draws_in_place, fragment_source, lives, vertex_source
from vivant.runtime.isf.header import Shader, read_shader

HEADER = '/*{\n"INPUTS": []\n}*/\n'


@pytest.fixture
def shader(tmp_path: Path) -> Shader:
    (tmp_path / "x.fs").write_text(HEADER + "void main() {\n    gl_FragColor = vec4(1.0);\n}\n")
    (tmp_path / "x.vs").write_text("void main() {\n    isf_vertShaderInit();\n}\n")
    return read_shader(tmp_path / "x.fs")


def test_every_line_of_the_file_keeps_its_number(shader: Shader) -> None:
    text = fragment_source(shader, 0, in_place=False)
    place = text.index("#line 100003\n") + len("#line 100003\n")
    assert text[place:].splitlines()[1] == "void main() {", "line 4 of the file: line 3 ends with the header"
    assert "#line 200001\nvoid main() {" in vertex_source(shader, 0)


@pytest.mark.parametrize(
    "message",
    [
        "fragment_shader\n===\n0:100005(6): error: `a' undeclared\n0:200002(1): error: no `b'",
        "0(100005) : error C1503: `a' undeclared\n0(200002) : error C0000: no `b'",
        "ERROR: 0:100005: `a' undeclared\nERROR: 0:200002: no `b'\nWARNING: 0:100001: old",
    ],
    ids=["mesa", "nvidia", "apple"],
)
def test_the_words_of_every_driver_become_file_and_line(shader: Shader, message: str) -> None:
    assert complaints(shader, message) == [
        f"{shader.path}:5: `a' undeclared",
        f"{shader.path.with_suffix('.vs')}:2: no `b'",
    ]


def test_warnings_are_left_out_and_unknown_words_kept(shader: Shader) -> None:
    assert complaints(shader, "0:100005(6): warning: `a' unused\nlink failed") == [
        f"{shader.path}: 0:100005(6): warning: `a' unused link failed"
    ]
    assert "in what ISF declares by itself" in complaints(shader, "0:12(6): error: odd")[0]


def test_what_only_reads_its_inputs_does_not_live(tmp_path: Path) -> None:
    def lively(header: str, body: str) -> bool:
        (tmp_path / "y.fs").write_text(f"/*{{{header}}}*/void main() {{ {body} }}")
        return lives(read_shader(tmp_path / "y.fs"))

    assert not lively("", "gl_FragColor = vec4(isf_FragNormCoord, 0.0, 1.0);")
    assert lively("", "gl_FragColor = vec4(fract(TIME));")
    assert lively('"PASSES": [{"TARGET": "a", "PERSISTENT": true}]', "gl_FragColor = vec4(1.0);")
    assert lively('"INPUTS": [{"NAME": "w", "TYPE": "audioFFT"}]', "gl_FragColor = IMG_THIS_PIXEL(w);")


def test_only_what_covers_every_pixel_is_mixed_in_place(shader: Shader, tmp_path: Path) -> None:
    assert not draws_in_place(shader), "a vertex shader may move the corners"
    (tmp_path / "x.vs").unlink()
    assert draws_in_place(read_shader(shader.path))
    for header, body in (('"PASSES": [{"TARGET": "a"}]', ""), ("", "discard;")):
        shader.path.write_text(f"/*{{{header}}}*/void main() {{ {body} }}")
        assert not draws_in_place(read_shader(shader.path))
