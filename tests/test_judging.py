"""`vivant guard critic` and `vivant guard words` as a person uses them."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from tiny_classifier import LABELS, write_classifier
from typer.testing import CliRunner

from vivant.cli.guard import app
from vivant.runtime.frames import VivantError

CRITIC = f"""title = "x"
[guard.critic]
file = "c.onnx"
labels = {list(LABELS)}
size = [32, 32]
forbidden = {{ red = 0.5 }}
"""


def run(*arguments: object) -> tuple[int, str]:
    found = CliRunner().invoke(app, [str(one) for one in arguments])
    if isinstance(found.exception, VivantError):
        raise found.exception
    return found.exit_code, found.stdout


def scene(folder: Path, text: str) -> Path:
    path = folder / "scene.toml"
    path.write_text(text)
    return path


def test_the_critic_says_what_it_thinks_of_each_picture(tmp_path: Path) -> None:
    write_classifier(tmp_path / "c.onnx")
    for name, bgr in (("red", (20, 20, 230)), ("grey", (99, 99, 99))):
        cv2.imwrite(str(tmp_path / f"{name}.png"), np.full((40, 60, 3), bgr, np.uint8))
    file = scene(tmp_path, CRITIC)
    code, said = run("critic", file, tmp_path / "red.png", tmp_path / "grey.png")
    first, second = said.splitlines()
    assert code == 1
    assert "red.png: forbidden: red 0.980, of 0.5" in first
    assert "grey.png: passes: red 0.002, of 0.5" in second
    assert run("critic", file, tmp_path / "grey.png")[0] == 0
    with pytest.raises(VivantError, match=r"no picture that can be read"):
        run("critic", file, file)


def test_words_are_tried_before_the_show(tmp_path: Path) -> None:
    file = scene(tmp_path, 'title = "x"\n[words]\ndeny = ["kill*"]\n')
    code, said = run("words", file, "a field", "the k1 lling")
    assert code == 1
    assert said.splitlines() == ["'a field': let through", "'the k1 lling': refused: denied word 1"]
    assert run("words", file, "a field")[0] == 0


def test_what_a_scene_does_not_have_is_said_with_where_to_read_on(tmp_path: Path) -> None:
    file = scene(tmp_path, 'title = "x"\n')
    with pytest.raises(VivantError, match=r"docs/words\.md"):
        run("words", file, "a field")
    with pytest.raises(VivantError, match=r"docs/critic\.md"):
        run("critic", file, file)
    with pytest.raises(VivantError, match="takes no prompts"):
        run("words", scene(tmp_path, 'title = "x"\n[words]\ndenied_concepts = ["violence"]\n'), "a field")
