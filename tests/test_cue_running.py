"""Cues in a show: go, back, goto, follow-on, times of day and beats, each with its exact fade."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vivant.runtime.cues.running import Cues, Went
from vivant.runtime.fades import smooth
from vivant.runtime.frames import Value
from vivant.runtime.scene import load_scene, tree_of
from vivant.runtime.tempo.contract import Quantum
from vivant.runtime.tempo.lookahead import Lead

EVENING_S = dt.datetime(2026, 11, 21, 20, 29, 58, tzinfo=dt.UTC).timestamp()
EXPOSURE, GRAIN, VIGNETTE = "look/exposure", "look/grain", "look/vignette"
THREE = """
    [[cues]]
    name = "one"
    fade_s = 4
    set.look.exposure = 1
    [[cues]]
    name = "two"
    fade_s = 1
    set.look.grain = 0.5
    [[cues]]
    name = "three"
    fade_s = 0
    set.look.exposure = { to = -1, fade_s = 2, curve = "linear" }
"""


class Metronome:
    """120 beats a minute from 0, four to the bar: Tempo as vivant.runtime.tempo.contract has it."""

    bpm = 120.0

    def beats_at(self, at_ns: int) -> float:
        return at_ns / 0.5e9

    def next_beat_ns(self, quantum: Quantum, now_ns: int) -> int:
        length_ns = {"beat": 500_000_000, "bar": 2_000_000_000}[quantum]
        return (now_ns // length_ns + 1) * length_ns

    def due(self, quantum: Quantum, now_ns: int, lead_ns: int) -> int:
        return self.next_beat_ns(quantum, now_ns + lead_ns) - lead_ns


class Show:
    """A tree with a scene's cues, and a clock that is moved by hand."""

    def __init__(self, folder: Path, text: str, beats: bool = False) -> None:
        path = folder / "tide.toml"
        path.write_text(f'title = "Tide"\ncalendar.zone = "UTC"\n{text}')
        scene = load_scene(path)
        self.tree, self.now_s = tree_of(scene), 0.0
        self.told: list[tuple[str, tuple[Value, ...]]] = []
        self.went: list[Went] = []
        self.cues = Cues(
            scene.cues,
            self.tree,
            scene.calendar,
            tempo=Metronome() if beats else None,
            tell=self._tell,
            hooks=(self.went.append,),
            wall_s=lambda: EVENING_S + self.now_s,
        )
        self.lead = Lead()

    def _tell(self, address: str, args: Sequence[Value]) -> None:
        self.told.append((address, tuple(args)))

    def at(self, now_s: float, refresh_s: float = 0.0) -> str:
        """A refresh at `now_s`; the cue that stands then."""
        self.now_s = now_s
        self.cues.step(round(now_s * 1e9), self.lead, round(refresh_s * 1e9))
        self.tree.tick(round(now_s * 1e9))
        return str(self.cues.status(round(now_s * 1e9))["cue"])

    def press(self, address: str, *args: Value) -> None:
        assert self.tree.set(f"/vivant/{address}", args, round(self.now_s * 1e9), "osc").taken

    def values(self, *addresses: str) -> list[Value]:
        return [self.tree.value(f"/vivant/{address}") for address in addresses]


def test_go_back_and_goto_walk_the_list_and_give_each_cue_whole(tmp_path: Path) -> None:
    show = Show(tmp_path, THREE)
    walked = []
    for number, (address, *args) in enumerate(
        [*[("cues/go",)] * 4, *[("cues/back",)] * 3,
         ("cues/goto", "three"), ("cues/goto", 2), ("cue/one/go",), ("cues/goto", "start")]
    ):  # fmt: skip
        show.press(address, *args)
        show.at(10.0 * number)
        walked.append((show.at(10.0 * number + 9), *show.values(EXPOSURE, GRAIN)))
    assert walked == [
        ("one", 1, 0),
        ("two", 1, 0.5),
        ("three", -1, 0.5),
        ("three", -1, 0.5),
        ("two", 1, 0.5),
        ("one", 1, 0),
        ("start", 0, 0),
        ("three", -1, 0.5),
        ("two", 1, 0.5),
        ("one", 1, 0),
        ("start", 0, 0),
    ]
    assert show.cues.counts() == {"went": 10, "past_end": 1, "without_beat": 0, "standing": "start"}
    assert show.values("cues/goto") == ["start"]
    assert [went.number for went in show.went] == [1, 2, 3, 2, 1, 0, 3, 2, 1, 0]


def test_a_fade_is_a_function_of_the_time_since_its_cue_went(tmp_path: Path) -> None:
    show = Show(tmp_path, THREE)
    show.press("cues/go")
    for now_s in (0.0, 0.7, 1.0, 3.9):
        show.at(now_s)
        assert show.values(EXPOSURE) == [smooth(now_s / 4)]
    assert show.cues.status(3_000_000_000)["cue_progress"] == 0.75
    show.at(9.9)
    show.press("cues/goto", "three")
    show.at(10.0)
    show.at(10.5)
    assert show.values(EXPOSURE) == [0.5]
    assert show.values(GRAIN) == [0.5]


def test_a_fade_runs_on_until_a_later_cue_wants_its_value_elsewhere(tmp_path: Path) -> None:
    show = Show(tmp_path, THREE)
    show.press("cues/go")
    show.at(0.0)
    show.press("cues/go")
    show.at(1.0)
    show.at(2.0)
    assert show.values(EXPOSURE, GRAIN) == [smooth(0.5), 0.5]
    show.press("cues/go")
    show.at(2.0)
    show.at(3.0)
    assert show.values(EXPOSURE, GRAIN) == [smooth(0.5) / 2 - 0.5, 0.5]


def test_back_takes_as_long_as_the_cue_that_is_left_had_taken(tmp_path: Path) -> None:
    show = Show(tmp_path, THREE)
    show.press("cues/goto", "three")
    show.at(0.0)
    show.at(5.0)
    show.press("cues/back")
    assert show.at(5.0) == "two"
    show.at(6.0)
    assert show.values(EXPOSURE, GRAIN) == [0.0, 0.5]


def test_what_a_hand_changed_goes_where_the_cue_has_it_and_what_no_cue_names_stays(tmp_path: Path) -> None:
    show = Show(tmp_path, THREE)
    show.press(EXPOSURE, 2)
    show.press(VIGNETTE, 0.9)
    show.press("cues/goto", "two")
    show.at(0.0)
    show.at(9.0)
    assert show.values(EXPOSURE, GRAIN, VIGNETTE) == [1.0, 0.5, 0.9]


def test_a_hand_takes_a_value_away_from_the_fade_of_a_cue(tmp_path: Path) -> None:
    show = Show(tmp_path, THREE)
    show.press("cues/go")
    show.at(0.0)
    show.at(1.0)
    show.press(EXPOSURE, -0.5)
    show.at(3.0)
    assert show.values(EXPOSURE) == [-0.5]


def test_cues_follow_one_another_without_drifting_and_stand_still_while_somebody_holds_them(
    tmp_path: Path,
) -> None:
    text = "".join(
        f'[[cues]]\nname = "{name}"\nfade_s = 0\nfollow_s = {after}\n{more}set.look.grain = {grain}\n'
        for name, after, more, grain in (("a", 2, "", 0.1), ("b", 1, 'follow = "a"\n', 0.2))
    )
    show = Show(tmp_path, text)
    show.press("cues/go")
    stands = [show.at(index * 0.3) for index in range(12)]
    assert stands == ["a"] * 7 + ["b"] * 3 + ["a"] * 2
    assert show.cues.status(3_300_000_000)["cue_follow_s"] == pytest.approx(1.7)
    show.press("cues/auto", False)
    show.at(3.3)
    assert [show.at(10.0), show.at(20.0)] == ["a", "a"]
    show.press("cues/auto", True)
    assert [show.at(20.0), show.at(21.6), show.at(21.8)] == ["a", "a", "b"]


def test_a_cue_waits_before_it_goes_and_back_calls_it_off(tmp_path: Path) -> None:
    show = Show(tmp_path, '[[cues]]\nname = "a"\nwait_s = 2\nfade_s = 1\nset.look.grain = 1\n')
    show.press("cues/goto", "a")
    assert [show.at(0.0), show.at(1.9)] == ["start", "start"]
    assert show.told[-1] == ("/vivant/cues/next", (-1, "end", ""))
    assert show.values("cues/goto") == ["start"]
    show.press("cues/back")
    assert [show.at(2.0), show.at(5.0)] == ["start", "start"]
    assert show.values("cues/goto") == ["start"]
    show.press("cues/go")
    show.at(5.0)
    assert show.at(7.5) == "a"
    assert show.values(GRAIN) == [0.5]


def test_a_cue_goes_at_its_time_of_day(tmp_path: Path) -> None:
    show = Show(tmp_path, '[[cues]]\nname = "a"\n[[cues]]\nname = "b"\nat = "20:30"\n')
    assert [show.at(0.0), show.at(1.9), show.at(2.1), show.at(70)] == ["start", "start", "b", "b"]
    assert [went.source for went in show.went] == ["time"]


BEAT = '[[cues]]\nname = "a"\non = "beat"\nfade_s = 0\nset.look.grain = 1\nset.student.strength = 1\n'


def test_on_the_beat_the_student_is_asked_before_the_look_changes_so_that_both_are_seen_on_it(
    tmp_path: Path,
) -> None:
    show = Show(tmp_path, BEAT, beats=True)
    show.lead = Lead(drawn_ns=16_000_000, painted_ns=100_000_000)
    show.at(0.1)
    show.press("cues/go")
    seen = {}
    for refresh in range(60):
        now_s = 0.1 + refresh / 100
        show.at(now_s, refresh_s=0.01)
        grain, strength = show.values(GRAIN, "student/strength")
        seen.setdefault(f"strength {strength}", round(now_s, 3))
        seen.setdefault(f"grain {grain}", round(now_s, 3))
    assert seen["strength 1.0"] == 0.4  # a tenth of a second before the beat at 0.5
    assert seen["grain 1.0"] == 0.48  # 16 ms before, at the refresh that is nearest


def test_a_cue_that_is_called_too_late_for_a_beat_takes_the_next_one(tmp_path: Path) -> None:
    show = Show(tmp_path, BEAT, beats=True)
    show.lead = Lead(painted_ns=100_000_000)
    show.at(0.45)
    show.press("cues/go")
    assert [show.at(0.45), show.at(0.5), show.at(0.9), show.at(1.0)] == ["start", "start", "start", "a"]
    assert [address for address, _ in show.told[:2]] == ["/vivant/cues/current", "/vivant/cues/next"]


def test_without_a_beat_a_cue_goes_at_once_and_it_is_counted(tmp_path: Path) -> None:
    show = Show(tmp_path, BEAT)
    show.press("cues/go")
    assert show.at(0.1) == "a"
    assert show.cues.counts()["without_beat"] == 1


def test_a_reset_goes_back_to_the_start_of_the_list(tmp_path: Path) -> None:
    show = Show(tmp_path, THREE)
    show.press("cues/go")
    show.at(0.0)
    show.press("reset")
    assert show.at(1.0) == "start"
    assert show.values(EXPOSURE) == [0.0]
    show.press("cues/go")
    assert show.at(2.0) == "one"


def test_subscribers_hear_which_cue_stands_and_which_one_comes(tmp_path: Path) -> None:
    show = Show(tmp_path, THREE)
    show.press("cues/goto", "three")
    show.at(0.0)
    assert show.told[-2:] == [
        ("/vivant/cues/current", (3, "three", "")),
        ("/vivant/cues/next", (-1, "end", "")),
    ]


ACTS = st.sampled_from(
    [("cues/go",), ("cues/back",), ("cues/goto", 1), ("cues/goto", "start"), ("cue/b/go",), ("reset",),
     ("cues/auto", 0), ("cues/auto", 1), (GRAIN, 0.7), ("cues/goto", float("nan")), ("cues/goto", 99)]
)  # fmt: skip
WALK = """
    [[cues]]
    name = "a"
    on = "beat"
    wait_s = 0.3
    follow_s = 1
    set.look.grain = 0.5
    [[cues]]
    name = "b"
    follow_s = 0.5
    follow = "a"
    style = "ink"
"""


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(ACTS, st.floats(0, 3)), max_size=25), st.booleans())
def test_whatever_is_pressed_a_cue_of_the_list_stands_and_gets_its_values_in_the_end(
    tmp_path_factory: pytest.TempPathFactory, acts: list[tuple[tuple[Value, ...], float]], beats: bool
) -> None:
    show, now_s = Show(tmp_path_factory.mktemp("walk"), WALK, beats), 0.0
    for (address, *args), wait_s in acts:
        show.tree.set(f"/vivant/{address}", args, round(now_s * 1e9), "osc")
        show.at(now_s)
        now_s += wait_s
    show.press("cues/auto", False)
    show.press("cues/goto", "b")
    show.at(now_s)
    assert show.at(now_s + 4) == "b"
    assert show.values(GRAIN, "style/ink", "style/oil") == [0.5, 1.0, 0.0]


def test_a_cue_of_the_look_alone_need_not_wait_as_long_as_one_that_is_painted(tmp_path: Path) -> None:
    text = '[[cues]]\nname = "a"\non = "beat"\nfade_s = 0\nset.look.grain = 1\n'
    for more, stands in (("", "a"), ("seed = 5\n", "start")):
        show = Show(tmp_path, text + more, beats=True)
        show.lead = Lead(drawn_ns=16_000_000, painted_ns=300_000_000)
        show.at(0.3)
        show.press("cues/go")
        assert [show.at(0.3), show.at(0.45), show.at(0.5), show.at(1.0)] == ["start", "start", stands, "a"]
        show.press("cues/back")
        show.at(1.1)
        show.press("cues/back")
        assert show.at(3.0) == "a"  # the first back was called off before its beat
