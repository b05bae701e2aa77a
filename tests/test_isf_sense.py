"""An ISF generator is a sense: it gives frames by itself, and its inputs are set from the parameter tree."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from isf_stage import FILES

from vivant.runtime.frames import ManualClock, MonotonicClock, VivantError
from vivant.runtime.isf.header import read_shader
from vivant.runtime.isf.sense import SIZE_PX, Drawn
from vivant.runtime.scene import load_scene, tree_of
from vivant.runtime.senses.contract import SenseError
from vivant.runtime.senses.registry import check_sense, open_sense
from vivant.runtime.surface import open_headless

pytestmark = pytest.mark.gl


@pytest.fixture(autouse=True)
def opengl() -> None:
    try:
        open_headless((16, 16), clock=ManualClock()).close()
    except VivantError as error:
        pytest.skip(str(error))


@pytest.fixture
def drawn(tmp_path: Path) -> Iterator[Drawn]:
    path = tmp_path / "grey.fs"
    path.write_text(grey("level"))
    made = Drawn(read_shader(path))
    yield made
    made.close()


def grey(level: str, name: str = "level") -> str:
    return (
        f'/*{{"INPUTS": [{{"NAME": "{name}", "TYPE": "float", "DEFAULT": 0.2}}]}}*/\n'
        f"void main() {{\n    gl_FragColor = vec4(isf_FragNormCoord.y, {level}, 0.0, 1.0);\n}}\n"
    )


def test_a_generator_gives_frames_the_right_way_up() -> None:
    sense = open_sense(f"isf:{FILES}/uniform_norm_coord.fs", MonotonicClock(), 60.0)
    first = sense.wait_newer(0, 30.0)
    assert first is not None
    later = sense.wait_newer(first.serial, 30.0)
    sense.close()
    assert later is not None and later.captured_ns > first.captured_ns
    assert first.pixels.shape == (SIZE_PX[1], SIZE_PX[0], 3)
    assert first.pixels[0, 0, 1] == 255, "green grows upward, and the top row is first"
    assert first.pixels[-1, -1, 0] == 255, "red to the right"
    assert sense.state == "ended"


def test_the_tree_sets_its_inputs(drawn: Drawn) -> None:
    assert drawn.frame({}, 0)[0, 0, 1] == 51
    assert drawn.frame({"/vivant/source/level": 1.0}, 1)[0, 0, 1] == 255


def test_a_changed_file_takes_over_unless_it_is_broken_or_has_other_inputs(
    drawn: Drawn, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "grey.fs"
    for index, (text, shown) in enumerate(
        (
            (grey("1.0 - level"), 204),
            (grey("nobody"), 204),
            ("no shader", 204),
            (grey("other", "other"), 204),
            (grey("level * 2.0"), 102),
        ),
        start=1,
    ):
        path.write_text(text)
        os.utime(path, ns=(index * 10**12, index * 10**12))
        for _ in range(40):
            pixels = drawn.frame({}, 0)
        assert pixels[0, 0, 1] == shown
    assert len([one for one in caplog.records if "is refused" in one.message]) == 3


def test_what_is_no_generator_is_refused_before_the_show(tmp_path: Path) -> None:
    with pytest.raises(SenseError, match=r"is a filter: it needs a picture.*\[effects\.NAME\]"):
        check_sense(f"isf:{FILES}/pass_two.fs")
    with pytest.raises(SenseError, match=r"those that ship are .*silk"):
        check_sense("isf:slik")
    (tmp_path / "x.fs").write_text(grey("nobody"))
    with pytest.raises(SenseError, match=r"x\.fs:3: "):
        check_sense(f"isf:{tmp_path}/x.fs")
    check_sense("isf:silk")


def test_a_scene_names_it_by_file_or_by_name_and_has_its_parameters(tmp_path: Path) -> None:
    scene = tmp_path / "s.toml"
    scene.write_text('title = "x"\ninput = "isf:silk"\n[parameters]\nsource.speed = 0.5\n')
    tree = tree_of(load_scene(scene))
    assert tree.value("/vivant/source/speed") == 0.5
    assert tree.value("/vivant/source/deep/b") == pytest.approx(0.22)
    (tmp_path / "own.fs").write_text(grey("level"))
    scene.write_text('title = "x"\ninput = "isf:own.fs"\n')
    loaded = load_scene(scene)
    assert loaded.input == f"isf:{tmp_path}/own.fs"
    assert tree_of(loaded).value("/vivant/source/level") == 0.2
    scene.write_text('title = "x"\ninput = "isf:gone.fs"\n')
    with pytest.raises(VivantError, match="there is no such file"):
        load_scene(scene)


def test_a_frame_is_never_written_to_again(drawn: Drawn) -> None:
    first = drawn.frame({}, 0)
    kept = first.copy()
    drawn.frame({"/vivant/source/level": 0.9}, 1)
    assert np.array_equal(first, kept)
