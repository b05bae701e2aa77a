"""`vivant isf` as people use it."""

from __future__ import annotations

import subprocess
from pathlib import Path

import cv2
import numpy as np
import pytest
from conftest import COMMAND
from isf_stage import FILES

from vivant.runtime.frames import ManualClock, VivantError
from vivant.runtime.surface import open_headless

pytestmark = pytest.mark.gl


@pytest.fixture(autouse=True)
def opengl() -> None:
    try:
        open_headless((16, 16), clock=ManualClock()).close()
    except VivantError as error:
        pytest.skip(str(error))


def vivant(*arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*COMMAND, "isf", *map(str, arguments)], capture_output=True, text=True)


def test_check_says_what_is_fine_and_where_what_is_not_is_wrong(tmp_path: Path) -> None:
    (tmp_path / "bad.fs").write_text('/*{"INPUTS": []}*/\nvoid main() {\n    gl_FragColor = nobody;\n}\n')
    (tmp_path / "none.fs").write_text("void main() {}\n")
    done = vivant("check", "silk", FILES / "pass_two.fs", FILES / "header_lenient.fs", tmp_path)
    assert done.returncode == 2
    assert "silk.fs: fine, a source" in done.stdout
    assert "pass_two.fs: fine, a filter with 1 input and 2 passes, ISF 2" in done.stdout
    assert "note: the header is no strict JSON" in done.stdout
    assert f"{tmp_path}/bad.fs:3: `nobody' undeclared" in done.stderr
    assert f"{tmp_path}/none.fs:1: an ISF file begins with a comment" in done.stderr
    assert "2 of 5 files cannot be drawn" in done.stderr
    assert "Traceback" not in done.stderr


def test_list_says_what_a_folder_holds() -> None:
    done = vivant("list")
    assert done.returncode == 0
    for word in ("kaleidoscope", "transition", "half_life"):
        assert word in done.stdout
    gone = vivant("list", FILES / "nowhere")
    assert gone.returncode == 2


def test_look_draws_a_sheet_and_says_what_a_frame_took(tmp_path: Path) -> None:
    sheet = tmp_path / "sheet.png"
    files = [FILES / f"{name}.fs" for name in ("draw_over", "transition_fade", "input_audio")]
    picture = FILES / "corners.png"
    done = vivant("look", *files, "--sheet", sheet, "--size", 64, "--picture", picture)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("ms a frame at 64x64") == 3
    page = cv2.imread(str(sheet))
    assert page is not None
    assert page.shape[0] > 3 * 320
    _, green, red = page[100, 60].astype(int)
    assert red > 200 > green, "what is drawn over is red above on the left"
    assert np.ptp(page[868, 60].astype(int)) == 0, "the third row shows a wave in grey"


def test_a_scene_is_checked_down_to_the_glsl_of_its_files(tmp_path: Path) -> None:
    broken = "void main() {\n    gl_FragColor = nobody;\n}\n"
    (tmp_path / "bad.fs").write_text(f'/*{{"INPUTS": []}}*/\n{broken}')
    scene = tmp_path / "s.toml"
    scene.write_text(
        'title = "x"\ninput = "isf:silk"\n[effects.a]\nfile = "bad.fs"\n[effects.b]\nfile = "bloom"\n'
    )
    done = subprocess.run([*COMMAND, "scenes", "check", str(scene)], capture_output=True, text=True)
    assert done.returncode == 2
    assert f"{scene}: 1 problem\n  {tmp_path}/bad.fs:3: `nobody' undeclared" in done.stderr
