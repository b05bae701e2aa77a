"""scenes/pulse.toml: what it does with music that comes late, goes on, and ends; and with none at all."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from vivant.runtime.drives import Drives
from vivant.runtime.scene import load_scene, shipped, tree_of
from vivant.runtime.tempo.lookahead import Lead
from vivant.runtime.triggers.running import Triggers

STEP_NS = 16_666_667
BAR_S = 2.0
STYLE, STRENGTH = "/vivant/style/choose", "/vivant/student/strength"


class Room:
    """The scene's triggers and drives, stepped sixty times a second."""

    def __init__(self) -> None:
        self.scene = load_scene(shipped()["pulse"])
        self.tree = tree_of(self.scene)
        self.now_s = 0.0
        self.triggers = Triggers(
            self.scene.triggers,
            self.tree,
            self.scene.calendar,
            self.scene.signals,
            wall_s=lambda: 1.8e9 + self.now_s,
        )
        self.drives = Drives(self.scene.drives, self.tree, self.scene.signals, lambda _: {})
        self.fired: list[str] = []

    def live(self, seconds: float, heard: Callable[[float], Mapping[str, float]]) -> None:
        for _ in range(round(seconds * 60)):
            self.now_s += STEP_NS / 1e9
            now_ns = round(self.now_s * 1e9)
            signals = {"age_s": self.now_s, **heard(self.now_s)}
            self.fired += [
                one.event.rule.name
                for one in self.triggers.step(now_ns, signals)
                if one.event.what == "fired"
            ]
            self.tree.tick(now_ns)
            self.tree.over = self.drives.step(now_ns, signals, Lead())


def nothing(now_s: float) -> Mapping[str, float]:
    return {}


def music(now_s: float) -> Mapping[str, float]:
    return {"silence": 0.0, "low": 1.0, "bar_phase": now_s % BAR_S / BAR_S}


def silence(now_s: float) -> Mapping[str, float]:
    return {"silence": 1.0, "low": 0.0}


def test_the_media_go_round_on_the_bars_however_late_the_music_comes() -> None:
    room = Room()
    room.live(7.0, nothing)
    assert room.fired == ["waiting"]
    room.live(42.0, music)
    assert room.fired[1:6] == ["glass", "coral", "oil", "mosaic", "stipple"]
    assert room.fired[6] == "glass"


def test_a_medium_begins_with_a_bar() -> None:
    room = Room()
    room.live(10.0, music)
    assert room.fired == ["waiting", "glass", "coral"]
    while "oil" not in room.fired:
        room.live(1 / 60, music)
    assert room.now_s % BAR_S < 0.06 * BAR_S


def test_it_gets_quiet_with_the_room_and_begins_again_with_the_music() -> None:
    room = Room()
    room.live(5.0, music)
    room.live(10.0, silence)
    assert room.tree.value(STYLE) == "watercolour"
    assert room.tree.value("/vivant/style/cycle_s") == 45
    room.live(1.0, music)
    assert room.tree.value(STYLE) == "glass"
    assert room.tree.value("/vivant/style/cycle_s") == 0


def test_the_bass_loosens_the_brush_and_lets_go_of_it() -> None:
    room = Room()
    room.live(2.0, music)
    assert room.tree.driven()[STRENGTH] > 0.55
    room.live(3.0, silence)
    assert room.tree.driven()[STRENGTH] < 0.22
    assert room.tree.value(STRENGTH) == 0.2


def test_without_an_ear_it_paints_on_by_the_clock() -> None:
    room = Room()
    room.live(20.0, nothing)
    assert room.fired == ["waiting"]
    assert room.tree.value("/vivant/style/cycle_s") == 45
