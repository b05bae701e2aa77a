"""What a scene's sections bring: signals that are sensed and parameters beside the student's."""

from __future__ import annotations

from pathlib import Path

import pytest

from vivant.runtime.frames import VivantError
from vivant.runtime.scene import load_scene, tree_of
from vivant.runtime.scene_signals import own_parameters


def scene_with(folder: Path, text: str) -> Path:
    """A scene file that holds `text`."""
    path = folder / "piece.toml"
    path.write_text(f'title = "Piece"\ninput = "performer"\n{text}')
    return path


def test_a_scene_may_start_with_values_of_parameters_that_it_adds_itself(tmp_path: Path) -> None:
    text = '[signals.wind]\nmaximum = 20.0\n[parameters]\n"/vivant/signal/wind" = 12.0\n'
    assert tree_of(load_scene(scene_with(tmp_path, text))).value("/vivant/signal/wind") == 12.0


def test_a_value_outside_the_range_that_the_scene_itself_gave_is_a_problem(tmp_path: Path) -> None:
    text = '[signals.wind]\nmaximum = 20.0\n[parameters]\n"/vivant/signal/wind" = 21.0\n'
    with pytest.raises(VivantError, match=r"should be in \[0, 20\]"):
        load_scene(scene_with(tmp_path, text))


@pytest.mark.parametrize("signals", [3, ["wind"], {"wind": 3}, {"wind": {"minimum": 2.0}}])
def test_a_section_that_is_wrong_anywhere_is_skipped_here_and_reported_by_the_scene(signals: object) -> None:
    assert all(one.kind == "float" for one in own_parameters({"signals": signals}, {}))
