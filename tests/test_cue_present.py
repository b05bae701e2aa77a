"""Cues in the present loop: keys call them, status tells of them, what is drawn changes at that refresh."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from test_present import Stage
from test_present import stage as stage

from vivant.runtime.cues.running import Cues
from vivant.runtime.present import Company
from vivant.runtime.scene import load_scene, tree_of

pytestmark = pytest.mark.gl
TWO = """
    title = "Tide"
    [[cues]]
    name = "dim"
    fade_s = 0
    set.look.exposure = -2
    [[cues]]
    name = "loud"
    fade_s = 0
    set.look.exposure = 0.5
"""


@pytest.fixture
def press(stage: Stage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """A refresh of a show with two cues, while the named keys are pressed."""
    path = tmp_path / "tide.toml"
    path.write_text(TWO)
    scene = load_scene(path)
    stage.present._tree = stage.tree = tree_of(scene)
    stage.present._with = Company(cues=Cues(scene.cues, stage.tree, scene.calendar))

    def press(*keys: str) -> None:
        monkeypatch.setattr(stage.present._surface, "pressed", lambda: keys)
        stage.present.refresh()

    return press


def test_space_and_right_call_the_next_cue_and_left_the_one_before(
    stage: Stage, press: Callable[..., None]
) -> None:
    stands = []
    for key in ("space", "right", "right", "left", "left"):
        press(key)
        stands.append(stage.present.status()["cue"])
    assert stands == ["dim", "loud", "loud", "dim", "start"]


def test_a_cue_without_a_fade_is_seen_at_the_refresh_at_which_it_is_called(
    stage: Stage, press: Callable[..., None]
) -> None:
    stage.send((200, 200, 200, 255))
    press()
    before = float(stage.canvas.read().mean())
    press("space")
    assert float(stage.canvas.read().mean()) < before - 50


def test_keys_of_cues_mean_nothing_in_a_show_without(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stage.present._surface, "pressed", lambda: ("space", "left"))
    stage.present.refresh()
    assert stage.tree.counts().get("keys") is None
