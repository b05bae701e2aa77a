"""Drives and taps in the present loop: what is asked of the student, what is drawn, what stays as it was."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from test_present import CLOCK, PASS, Stage
from test_present import stage as stage

from vivant.runtime.drives import Drives
from vivant.runtime.exchange import read_controls, write_picture
from vivant.runtime.frames import Picture
from vivant.runtime.present import Company
from vivant.runtime.scene import load_scene, tree_of
from vivant.runtime.tempo.parameters import TAP

pytestmark = pytest.mark.gl
TEXT = """title = "Tide"
[drives.dark]
signal = "motion"
to = "look/exposure"
amount = -2.0
attack_s = 0.0
[drives.loose]
signal = "motion"
to = "student/strength"
amount = 0.5
attack_s = 0.0
"""


def show(stage: Stage, motion: float) -> int:
    """Hand over a grey picture with its signals; how bright the middle of the screen is drawn."""
    now_ns = CLOCK.now_ns()
    stage.serial += 1
    pixels = np.full((64, 64, 4), 128, np.uint8)
    signals = {"motion": motion}
    write_picture(stage.writer, Picture(pixels, stage.serial, PASS, now_ns, now_ns, signals=signals))
    for _ in range(3):
        stage.present.refresh()
    drawn = stage.canvas.read()
    return int(drawn[drawn.shape[0] // 2, drawn.shape[1] // 2, 0])


def test_a_drive_reaches_student_and_screen_and_leaves_the_value_alone(stage: Stage, tmp_path: Path) -> None:
    path = tmp_path / "tide.toml"
    path.write_text(TEXT)
    scene = load_scene(path)
    tree = stage.present._tree = stage.tree = tree_of(scene)
    stage.present._with = Company(drives=Drives(scene.drives, tree, scene.signals))
    plain = show(stage, 0.0)
    assert show(stage, 1.0) < plain - 30
    controls = read_controls(stage.controls)
    assert controls is not None
    assert controls.strength == pytest.approx(0.75)
    assert tree.value("/vivant/student/strength") == 0.25
    assert tree.value("/vivant/look/exposure") == 0.0


def test_the_key_t_taps_the_beat(stage: Stage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "tide.toml"
    path.write_text('title = "Tide"\n')
    tree = stage.present._tree = stage.tree = tree_of(load_scene(path))
    monkeypatch.setattr(stage.present._surface, "pressed", lambda: ("t",))
    stage.present.refresh()
    assert [(tap.address, tap.source) for tap in tree.actions(TAP)] == [(TAP, "keys")]
