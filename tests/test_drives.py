"""Drives: signals that add to parameters, and leave them as the operator set them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vivant.runtime.drives import DRIVE, DRIVES_ON, Drive, Drives, drive_parameters
from vivant.runtime.frames import VivantError
from vivant.runtime.parameters import parameters_for
from vivant.runtime.scene import change_scene, load_scene, tree_of
from vivant.runtime.tempo.lookahead import Lead
from vivant.runtime.tree import Tree

EXPOSURE, STRENGTH, INK = "/vivant/look/exposure", "/vivant/student/strength", "/vivant/style/ink"
STEP_NS = 16_666_667
LEAD = Lead(10_000_000, 40_000_000)


class Show:
    """Drives over a tree, stepped sixty times a second."""

    def __init__(self, beats: object = None, **drives: Mapping[str, object]) -> None:
        self.tree = Tree((*parameters_for(), *drive_parameters(drives)))
        made = {name: Drive.model_validate(table) for name, table in drives.items()}
        self.drives = Drives(made, self.tree, beats=beats)  # type: ignore[arg-type]
        self.now_ns = 0

    def step(self, signals: Mapping[str, float], times: int = 1) -> Mapping[str, float]:
        for _ in range(times):
            self.now_ns += STEP_NS
            self.tree.over = self.drives.step(self.now_ns, signals, LEAD)
        return self.tree.over


def at_once(to: str, amount: float, signal: str = "low", **more: object) -> dict[str, object]:
    return {"signal": signal, "to": to, "amount": amount, "attack_s": 0.0, "release_s": 0.0, **more}


def test_a_drive_adds_to_the_value_that_is_set_and_does_not_change_it() -> None:
    show = Show(bass=at_once("look/exposure", 0.8))
    show.tree.set(EXPOSURE, (0.5,), 0, "osc")
    show.step({"low": 0.5})
    assert show.tree.driven()[EXPOSURE] == pytest.approx(0.9)
    assert show.tree.value(EXPOSURE) == 0.5
    show.step({"low": 0.0})
    assert show.tree.driven()[EXPOSURE] == pytest.approx(0.5)


def test_what_drives_make_of_a_value_reaches_the_student_and_stays_in_its_range() -> None:
    show = Show(bass=at_once("student/strength", 5.0), ink=at_once("style/ink", 0.4))
    show.step({"low": 1.0})
    controls = show.tree.controls(0, 0, (64, 64))
    assert controls.strength == 1.0
    assert controls.styles["ink"] == pytest.approx(0.4)
    assert controls.numbers[STRENGTH] == 1.0


def test_two_drives_of_one_parameter_add_up() -> None:
    show = Show(bass=at_once("look/exposure", 0.5), treble=at_once("look/exposure", -0.2, "high"))
    assert show.step({"low": 1.0, "high": 1.0})[EXPOSURE] == pytest.approx(0.3)


def test_a_range_says_what_is_added_at_both_ends_and_from_which_values_of_the_signal() -> None:
    keys = {"range": (-1.0, 1.0), "from": (60.0, 180.0), "amount": None}
    show = Show(tempo=at_once("look/exposure", 0.0, "bpm") | keys)
    assert show.step({"bpm": 60.0})[EXPOSURE] == pytest.approx(-1.0)
    assert show.step({"bpm": 150.0})[EXPOSURE] == pytest.approx(0.5)
    assert show.step({"bpm": 999.0})[EXPOSURE] == pytest.approx(1.0)


def test_a_curve_bends_the_way_between() -> None:
    show = Show(bass=at_once("look/exposure", 1.0, curve="late"))
    assert show.step({"low": 0.5})[EXPOSURE] == pytest.approx(1 - math.cos(math.pi / 4))


def test_attack_and_release_are_time_constants() -> None:
    show = Show(bass=at_once("look/exposure", 1.0) | {"attack_s": 0.5, "release_s": 2.0})
    show.step({"low": 0.0})
    assert show.step({"low": 1.0}, 30)[EXPOSURE] == pytest.approx(1 - math.exp(-1.0), abs=0.01)
    peak = show.step({"low": 1.0}, 600)[EXPOSURE]
    assert show.step({}, 120)[EXPOSURE] == pytest.approx(peak * math.exp(-1.0), abs=0.01)


def test_its_scale_and_the_switch_of_all_take_a_drive_back() -> None:
    show = Show(bass=at_once("look/exposure", 1.0))
    show.tree.set(DRIVE + "bass", (0.25,), 0, "osc")
    assert show.step({"low": 1.0})[EXPOSURE] == pytest.approx(0.25)
    show.tree.set(DRIVES_ON, (False,), 0, "osc")
    assert show.step({"low": 1.0}) == {}


def test_a_beat_that_moves_the_student_runs_ahead_by_what_a_picture_takes() -> None:
    asked: list[int] = []

    def beats(at_ns: int) -> Mapping[str, float]:
        asked.append(at_ns)
        return {"beat": 1.0}

    show = Show(beats, a=at_once("student/strength", 0.1, "beat"), b=at_once("look/exposure", 0.1, "beat"))
    show.step({})
    assert [at_ns - show.now_ns for at_ns in asked] == [LEAD.painted_ns, LEAD.drawn_ns]


@given(st.lists(st.floats(allow_nan=True, allow_infinity=True), max_size=20))
def test_no_signal_however_wild_leaves_a_value_outside_its_range(numbers: list[float]) -> None:
    show = Show(bass=at_once("look/exposure", 3.0) | {"attack_s": 0.1, "release_s": 0.1})
    for number in numbers:
        over = show.step({"low": number})
        assert all(-2.0 <= value <= 2.0 for value in over.values())


def scene_with(folder: Path, text: str) -> Path:
    path = folder / "piece.toml"
    path.write_text(f'title = "Piece"\ninput = "performer"\n{text}')
    return path


def test_a_scene_may_drive_by_sound_by_beats_and_by_signals_of_its_own(tmp_path: Path) -> None:
    text = """
[sound]
input = "default"
[signals.wind]
maximum = 20.0
[drives.bass]
signal = "low"
to = "look/exposure"
amount = 0.5
[drives.wind]
signal = "wind"
to = "student/strength"
range = [0.0, 0.3]
[drives.tempo]
signal = "tempo_bpm"
to = "look/saturation"
amount = 0.5
from = [90, 150]
"""
    scene = load_scene(scene_with(tmp_path, text))
    tree = tree_of(scene)
    assert tree.value(DRIVE + "bass") == 1.0
    drives = Drives(scene.drives, tree, scene.signals)
    tree.set("/vivant/signal/wind", (10.0,), 0, "osc")
    drives.step(0, {}, LEAD)
    over = drives.step(900_000_000, {"tempo_bpm": 120.0, "low": 1.0}, LEAD)
    assert over[STRENGTH] == pytest.approx(0.25 + 0.15, abs=0.01)
    assert over["/vivant/look/saturation"] == pytest.approx(1.25, abs=0.01)
    assert change_scene(scene, {"backend": "null"}).drives == scene.drives


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ('signal = "loww"\nto = "look/exposure"\namount = 1.0', "unknown signal; did you mean 'low'?"),
        ('signal = "low"\nto = "look/exposer"\namount = 1.0', "did you mean '/vivant/look/exposure'?"),
        ('signal = "low"\nto = "style/choose"\namount = 1.0', "is no float that could be driven"),
        ('signal = "low"\nto = "drive/x"\namount = 1.0', "is what drives are made of"),
        ('signal = "bpm"\nto = "look/exposure"\namount = 1.0', "give from = [low, high]"),
        ('signal = "low"\nto = "look/exposure"', "give either amount or range"),
        ('signal = "low"\nto = "look/exposure"\namount = 1.0\ncurve = "bent"', "should be one of"),
        ('signal = "low"\nto = "look/exposure"\namount = 1.0\nfrom = [1, 1]', "two different values"),
        ('signal = "low"\nto = "look/exposure"\namont = 1.0', "did you mean 'amount'?"),
    ],
)
def test_a_drive_that_means_nothing_is_a_problem_of_the_scene(
    tmp_path: Path, keys: str, message: str
) -> None:
    text = f'[sound]\ninput = "default"\n[drives.x]\n{keys}\n'
    with pytest.raises(VivantError) as found:
        load_scene(scene_with(tmp_path, text))
    assert message in str(found.value)


def test_signals_of_sound_are_unknown_to_a_scene_without_an_ear(tmp_path: Path) -> None:
    text = '[drives.x]\nsignal = "low"\nto = "look/exposure"\namount = 1.0\n'
    with pytest.raises(VivantError, match="unknown signal"):
        load_scene(scene_with(tmp_path, text))
