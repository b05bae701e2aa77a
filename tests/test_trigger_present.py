"""Triggers in the present loop: signals that come with a picture change what the next one is asked for."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from test_present import CLOCK, PASS, Stage
from test_present import stage as stage

from vivant.runtime.exchange import read_controls, write_picture
from vivant.runtime.frames import Picture, Verdict
from vivant.runtime.present import Company
from vivant.runtime.scene import load_scene, tree_of
from vivant.runtime.triggers.running import Triggers

pytestmark = pytest.mark.gl
RULE = "[triggers.a]\nwhen = { signal = 'motion', above = 0.5 }\ndo = { seed = 77 }\n"


def show(stage: Stage, motion: float, verdict: Verdict) -> int:
    """Hand over a picture with its signals; the seed that the render process is asked for after it."""
    now_ns = CLOCK.now_ns()
    stage.serial += 1
    pixels = np.full((64, 64, 4), 90, np.uint8)
    signals = {"motion": motion}
    write_picture(stage.writer, Picture(pixels, stage.serial, verdict, now_ns, now_ns, signals=signals))
    stage.present.refresh()
    stage.present.refresh()
    controls = read_controls(stage.controls)
    assert controls is not None
    return controls.seed


@pytest.mark.parametrize("verdict", [PASS, Verdict()])
def test_what_the_senses_saw_acts_at_the_next_refresh_even_while_the_guard_holds(
    stage: Stage, tmp_path: Path, verdict: Verdict
) -> None:
    path = tmp_path / "tide.toml"
    path.write_text(f'title = "Tide"\n{RULE}')
    scene = load_scene(path)
    stage.present._tree = stage.tree = tree_of(scene)
    triggers = Triggers(scene.triggers, stage.tree, scene.calendar, scene.signals)
    stage.present._with = Company(triggers=triggers)
    assert show(stage, 0.1, verdict) == 0
    assert show(stage, 0.9, verdict) == 77
    assert stage.present.triggers is not None and stage.present.triggers["fired"] == {"a": 1}
    assert stage.present.status()["triggered"] == 1
