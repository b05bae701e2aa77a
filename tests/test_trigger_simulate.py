"""Simulations: a day in seconds, recorded and made-up people, the picture, and the command line."""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path
from zoneinfo import ZoneInfo

import cv2
import numpy as np
import pytest
from typer.testing import CliRunner

from vivant.cli.triggers import app
from vivant.runtime.frames import VivantError
from vivant.runtime.scene import Scene, find_scene, load_scene, tree_of
from vivant.runtime.triggers.recorded import Recorded, read_signals
from vivant.runtime.triggers.simulate import Plan, Simulation, simulate
from vivant.runtime.triggers.timeline import draw_timeline, strips_of
from vivant.runtime.triggers.visitors import Visitors

VIENNA = ZoneInfo("Europe/Vienna")
NOON = dt.datetime(2026, 11, 21, 12, 0, tzinfo=VIENNA)
PRESENCE = '[triggers.a]\nwhen = { signal = "presence", above = 0.5 }\ndo = { style = "ink" }\n'


def scene(tmp_path: Path, text: str) -> Scene:
    path = tmp_path / "tide.toml"
    path.write_text(f'title = "Tide"\ncalendar.zone = "Europe/Vienna"\n{text}')
    return load_scene(path)


def simulated(piece: Scene, plan: Plan) -> Simulation:
    *_, made = simulate(piece, tree_of(piece), plan)
    return made


def events(made: Simulation) -> list[tuple[str, str, str]]:
    return [
        (f"{made.at(one.event.wall_s):%H:%M:%S}", one.event.rule.name, one.event.what) for one in made.firings
    ]


def test_recorded_people_make_triggers_fire_when_they_came(tmp_path: Path) -> None:
    rows = ((1.0,), (0.2,), (None,), (0.9,))
    source = Recorded(("presence",), (60.0, 120.0, 180.0, 240.0), rows)
    made = simulated(scene(tmp_path, PRESENCE), Plan(NOON, 300.0, 1.0, source))
    assert events(made) == [
        ("12:01:00", "a", "fired"),
        ("12:02:00", "a", "ended"),
        ("12:04:00", "a", "fired"),
    ]
    assert [(one.begin_s, one.end_s) for one in made.stood] == [(60.0, 120.0), (240.0, 300.0)]
    assert made.stood_s("a") == 120.0
    assert [(one.what, one.begin_s) for one in made.styles] == [("oil", 0.0), ("ink", 60.0)]
    assert made.curves["presence"] == [
        None,
        None,
        1.0,
        1.0,
        pytest.approx(0.2),
        pytest.approx(0.2),
        None,
        None,
        0.9,
        0.9,
    ]


def test_recorded_columns_also_set_signals_over_osc_and_parameters(tmp_path: Path) -> None:
    text = (
        "[signals.pressure]\nmaximum = 10\n"
        "[triggers.a]\nwhen = { signal = 'pressure', above = 6 }\ndo = { seed = 1 }\n"
        "[triggers.b]\nwhen = { parameter = 'look/grain', above = 0.5 }\ndo = { seed = 2 }\n"
    )
    source = Recorded(("pressure", "/vivant/look/grain"), (0.0, 10.0, 20.0), ((1, 0), (7, None), (7, 0.9)))
    made = simulated(scene(tmp_path, text), Plan(NOON, 30.0, 1.0, source))
    assert events(made) == [("12:00:10", "a", "fired"), ("12:00:20", "b", "fired")]


def test_every_signal_that_a_scenes_sections_sense_may_be_recorded(tmp_path: Path) -> None:
    piece, table = tmp_path / "tide.toml", tmp_path / "night.csv"
    piece.write_text(
        'title = "Tide"\n[sound]\ninput = "default"\n[body]\ntrack = "moving"\nflow = true\n'
        "[triggers.a]\nwhen = { all = [{ signal = 'low', above = 0.5 }, { signal = 'people', above = 1 }] }\n"
        "do = { seed = 1 }\n"
    )
    table.write_text("time,low,people,flow_x,tempo_bpm\n0,0.1,2,0,120\n30,0.9,2,0,120\n")
    arguments = [
        "simulate",
        str(piece),
        "--signals",
        str(table),
        "--from",
        "2026-11-21T16:00",
        "--days",
        "0.001",
    ]
    done = CliRunner().invoke(app, arguments, catch_exceptions=False)
    assert "Sat 21 Nov 16:00:30" in done.output
    assert "Nobody was there" not in done.output


def test_beats_of_the_hand_that_the_scene_sets_are_those_of_the_simulation(tmp_path: Path) -> None:
    text = "{}\n[triggers.a]\non = 'bar'\nwhen = {{ signal = 'motion', above = 0.5 }}\ndo = {{ seed = 1 }}\n"
    source = Recorded(("motion",), (0.0, 5.0), ((0.0,), (1.0,)))
    led = scene(tmp_path, text.format("parameters.tempo = { source = 'tap', bpm = 120.0 }"))
    made = simulated(led, Plan(NOON, 30.0, 0.1, source))
    assert (events(made), made.without_beat) == ([("12:00:06", "a", "fired")], 0)
    made = simulated(scene(tmp_path, text.format("")), Plan(NOON, 30.0, 0.1, source))
    assert (events(made), made.without_beat) == ([("12:00:05", "a", "fired")], 1)


@pytest.mark.parametrize(("day", "hours"), [("2026-03-29", 23), ("2026-10-25", 25), ("2026-11-21", 24)])
def test_a_day_is_as_long_as_the_clock_on_the_wall_makes_it(tmp_path: Path, day: str, hours: int) -> None:
    begin = dt.datetime.fromisoformat(day).replace(tzinfo=VIENNA)
    seconds = (begin + dt.timedelta(days=1)).timestamp() - begin.timestamp()
    assert seconds == hours * 3600
    text = "[triggers.a]\nwhen = { at = '02:30' }\ndo = { seed = 'next' }\n[triggers.b]\n"
    made = simulated(
        scene(tmp_path, text + "when = { time = '02:00-04:00' }\ndo = { style = 'ink' }\n"),
        Plan(begin, seconds, 30.0),
    )
    assert len(made.fired("a")) == 1
    assert made.stood_s("b") == (hours - 22) * 3600
    two = Simulation(begin - dt.timedelta(days=1), seconds + 86_400, {})
    assert [strip.end_s - strip.begin_s for strip in strips_of(two)] == [86_400, seconds]


def test_the_same_seed_gives_the_same_people_and_another_one_others() -> None:
    def people(seed: int) -> list[float]:
        visitors = Visitors(20, 10.0, seed)
        return [one["presence"] for one in visitors.signals(iter([11 * 60] * 500))]

    assert people(1) == people(1) != people(2)
    assert max(people(1)) == 1.0 and min(people(1)) < 0.1


def test_nobody_comes_while_it_is_closed() -> None:
    signals = list(Visitors(100, 60.0).signals(iter([*range(9 * 60, 10 * 60), *range(19 * 60, 20 * 60)])))
    assert max(one["presence"] for one in signals) < 0.1


def test_a_day_of_the_attract_piece_goes_through_its_states() -> None:
    piece = load_scene(find_scene("attract"))
    begin = dt.datetime(2026, 11, 21, 9, 0, tzinfo=VIENNA)
    made = simulated(piece, Plan(begin, 3 * 3600.0, 1.0, Visitors(8, 1.0)))
    engaged, cooled, attracted = (len(made.fired(name)) for name in ("engage", "cool-down", "attract"))
    assert engaged >= 5 and 0 <= engaged - cooled <= 1 and 1 <= attracted <= cooled + 1
    states = [one for one in made.stood if one.what in ("engage", "cool-down", "attract")]
    assert sum(one.end_s - one.begin_s for one in states) == 3 * 3600.0
    assert len({one.what for one in made.styles}) >= 5


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "one of them time"),
        ("time\n", "no rows"),
        ("presence\n1\n", "one of them time"),
        ("time,presense\n0,1\n", "did you mean 'presence'?"),
        ("time,presence\n0,1,2\n", "line 2: has 3 cells"),
        ("time,presence\n0,loud\n", "line 2: presence = loud: should be a number"),
        ("time,presence\nnan,1\n", "line 2: time = nan: should be a number"),
        ("time,presence\nnoon,1\n", "line 2: time = noon: write seconds"),
        ("time,presence\n5,1\n4,1\n", "line 3: is earlier"),
    ],
)
def test_a_file_that_is_no_recording_says_where(tmp_path: Path, text: str, says: str) -> None:
    path = tmp_path / "people.csv"
    path.write_text(text)
    with pytest.raises(VivantError) as error:
        read_signals(path, NOON, ("presence", "motion"))
    assert says in str(error.value)


def test_times_are_seconds_or_dates_of_the_zone(tmp_path: Path) -> None:
    path = tmp_path / "people.csv"
    path.write_text("time, presence\n5,1\n2026-11-21T12:00:10,\n2026-11-21T11:00:20+00:00,nan\n")
    found = read_signals(path, NOON, ("presence",))
    assert found.times_s == (5.0, 10.0, 20.0)
    assert found.rows[0] == (1.0,) and found.rows[1] == (None,)


def test_the_picture_shows_a_strip_for_each_day_with_bars_where_a_trigger_stood(tmp_path: Path) -> None:
    text = "[triggers.a]\nwhen = { time = '06:00-18:00' }\ndo = { style = 'ink' }\n"
    begin = dt.datetime(2026, 11, 20, 0, 0, tzinfo=VIENNA)
    made = simulated(scene(tmp_path, text), Plan(begin, 2 * 86_400.0, 60.0))
    assert draw_timeline(made, "Tide", tmp_path / "days.png") == 2
    pixels = cv2.imread(str(tmp_path / "days.png"))
    assert pixels is not None and pixels.shape[1] == 1600
    lane = pixels[84 + 30 + 54 + 20 + 10].astype(np.int32)  # the middle of the first day's lane
    width = 1600 - 190 - 40
    night, day = lane[190 + width // 8], lane[190 + width // 2]
    assert np.abs(night - day).sum() > 60
    assert np.abs(night - lane[190 + 7 * width // 8]).sum() < 10


def test_the_command_prints_draws_and_writes(tmp_path: Path) -> None:
    picture, table = tmp_path / "day.png", tmp_path / "day.json"
    arguments = [
        "simulate",
        "attract",
        "--from",
        "2026-11-21T16:00",
        "--to",
        "2026-11-21T18:00",
        "--zone",
        "Asia/Tokyo",
    ]
    done = CliRunner().invoke(
        app,
        [*arguments, "--visitors", "10", "--picture", str(picture), "--json", str(table)],
        catch_exceptions=False,
    )
    assert done.exit_code == 0, done.output
    assert "evening" in done.output and "Sat 21 Nov 17:30:00" in done.output
    written = json.loads(table.read_text())
    assert written["seconds"] == 7200 and written["begin"] == "2026-11-21T16:00:00+09:00"
    assert written["triggers"]["evening"] == {"fired": 1, "stood_s": 1800.0}
    assert sum(one["what"] == "fired" for one in written["firings"]) == sum(
        one["fired"] for one in written["triggers"].values()
    )
    assert picture.stat().st_size > 10_000


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["attract", "--from", "noon"], "--from noon: write it as 2026-11-21T08:00"),
        (["attract", "--from", "2026-11-21", "--to", "2026-11-20"], "should be more than nothing"),
        (["attract", "--to", "2026-11-20", "--days", "2"], "give one of them"),
        (["attract", "--visitors", "2", "--signals", "x.csv"], "give one of them"),
        (["attract", "--signals", "nowhere.csv"], "nowhere.csv cannot be read"),
        (["attract", "--zone", "Europe/Wien"], "did you mean 'Europe/Vienna'?"),
        (["mirror"], "has no triggers to simulate"),
        (["atract"], "vivant run attract"),
    ],
)
def test_what_cannot_be_simulated_is_said_in_one_message(arguments: list[str], says: str) -> None:
    done = CliRunner().invoke(app, ["simulate", *arguments])
    assert isinstance(done.exception, VivantError)
    assert says in str(done.exception)


def test_triggers_are_listed_in_words() -> None:
    done = CliRunner().invoke(app, ["list", "attract"], catch_exceptions=False)
    assert "engage (group room, priority 10): somebody is here" in done.output
    assert "when   presence above 0.5 until 0.2 for 0.8 s" in done.output
    assert "engage stands and presence below 0.15 for 5 s" in done.output
    assert "then   not again for 45 s" in done.output
    assert "has no triggers" in CliRunner().invoke(app, ["list", "mirror"]).output


def test_cues_go_in_a_simulation_as_in_a_show(tmp_path: Path) -> None:
    path = tmp_path / "tide.toml"
    path.write_text(
        'title = "Tide"\ncalendar.zone = "UTC"\n'
        '[[cues]]\nname = "day"\nat = "08:00"\nstyle = "ink"\nfade_s = 0\n'
        '[[cues]]\nname = "night"\nstyle = "coral"\nfade_s = 0\n'
        '[triggers.dusk]\nwhen = { at = "18:00" }\ndo = { cue = "night" }\n'
    )
    scene = load_scene(path)
    plan = Plan(dt.datetime(2026, 11, 21, tzinfo=dt.UTC), 86_400, step_s=30)
    (*_, made) = simulate(scene, tree_of(scene), plan)
    assert [(one.what, one.begin_s) for one in made.styles] == [
        ("oil", 0),
        ("ink", 28_800),
        ("coral", 64_800),
    ]
