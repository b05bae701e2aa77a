"""Doubts about triggers: which can never fire, which fight, and which are only over."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import pytest
from typer.testing import CliRunner

from vivant.cli.scenes import app
from vivant.runtime.frames import VivantError
from vivant.runtime.scene import load_scene, tree_of
from vivant.runtime.triggers.review import Review

STYLE_IS = "{ parameter = 'style/choose', equals = "
NEVER = "triggers.a: can never fire: its conditions exclude each other, or ask for what there is not"
TODAY = dt.date(2026, 11, 21)


def doubts(tmp_path: Path, text: str) -> list[tuple[bool, str]]:
    path = tmp_path / "tide.toml"
    path.write_text(f'title = "Tide"\n{text}')
    scene = load_scene(path)
    found = Review(scene.triggers, tree_of(scene), scene.calendar, TODAY).doubts()
    return [(one.grave, one.text) for one in found]


def alone(tmp_path: Path, when: str, more: str = "") -> list[tuple[bool, str]]:
    return doubts(tmp_path, f"{more}\n[triggers.a]\nwhen = {when}\ndo = {{ seed = 1 }}\n")


@pytest.mark.parametrize(
    "when",
    [
        '{ all = [{ signal = "motion", above = 0.5 }, { signal = "motion", below = 0.4 }] }',
        '{ all = [{ signal = "motion", above = 0.5 }, { not = { signal = "motion", above = 0.5 } }] }',
        '{ all = [{ signal = "motion", above = 0.5, until = 0.45 }, { signal = "motion", below = 0.4 }] }',
        '{ signal = "intensity", above = 1 }',
        '{ signal = "light", below = 0 }',
        '{ signal = "pressure", above = 10 }',
        '{ signal = "presence", above = 1.5, until = 0.2 }',
        '{ parameter = "look/exposure", above = 2 }',
        f"{{ all = [{STYLE_IS}'ink' }}, {STYLE_IS}'oil' }}] }}",
        f"{{ all = [{STYLE_IS}'ink' }}, {{ not = {STYLE_IS}'ink' }} }}] }}",
        '{ all = [{ time = "10:00-12:00" }, { time = "12:00-14:00" }] }',
        '{ all = [{ time = "10:00-12:00" }, { not = { time = "09:00-13:00" } }] }',
        '{ all = [{ time = "10:00-12:00" }, { at = ["13:00", "0 14 * * sat"] }] }',
        '{ all = [{ weekday = "mon-fri" }, { weekday = "sat" }] }',
        '{ weekday = "sat", dates = "2027-01-04..2027-01-08" }',
        '{ dates = "02-29", recurs = "FREQ=MONTHLY;BYMONTHDAY=1" }',
        '{ campaign = "advent", dates = "07-01..08-31" }',
        '{ all = [{ stands = "b" }, { stands = "c" }] }',
        '{ any = [{ signal = "motion", above = 2 }, { all = [{ weekday = "mon" }, { weekday = "tue" }] }] }',
        '{ stands = "dead" }',
    ],
)
def test_conditions_that_exclude_each_other_are_found(tmp_path: Path, when: str) -> None:
    more = (
        "[signals.pressure]\nmaximum = 10\n[calendar.campaigns.advent]\ndates = '11-29..12-24'\n"
        "[triggers.b]\ngroup = 'g'\nwhen = { weekday = 'mon' }\ndo = { set = 'look/grain', to = 1 }\n"
        "[triggers.c]\ngroup = 'g'\nwhen = { weekday = 'tue' }\ndo = { set = 'look/grain', to = 0 }\n"
        "[triggers.dead]\nwhen = { signal = 'motion', above = 1 }\ndo = { set = 'look/grain', to = 0 }\n"
    )
    found = alone(tmp_path, when, more)
    assert (True, NEVER) in found


@pytest.mark.parametrize(
    "when",
    [
        '{ all = [{ signal = "motion", above = 0.5, until = 0.3 }, { signal = "motion", below = 0.4 }] }',
        '{ signal = "age_s", above = 100000 }',
        '{ all = [{ time = "22:00-02:00" }, { time = "01:00-05:00" }] }',
        '{ time = "22:00-02:00", weekday = "fri" }',
        '{ all = [{ time = "10:00-12:00" }, { at = "11:30" }] }',
        '{ all = [{ time = "10:00-12:00" }, { at = "*/5 * * * *" }] }',
        '{ all = [{ at = "* * * * *" }, { time = "10:00-12:00" }] }',
        '{ dates = "02-28..03-01", weekday = "sun" }',
        '{ recurs = "FREQ=MONTHLY;BYDAY=1FR", time = "18:00-24:00" }',
        '{ any = [{ signal = "motion", above = 2 }, { weekday = "mon" }] }',
        '{ not = { parameter = "style/choose", equals = "ink" } }',
        "{ all = [{ every_s = 60, chance = 0.1 }, { not = { every_s = 7 } }] }",
    ],
)
def test_conditions_that_can_be_true_are_left_alone(tmp_path: Path, when: str) -> None:
    assert alone(tmp_path, when) == []


def test_days_that_are_over_or_far_ahead_are_a_warning(tmp_path: Path) -> None:
    assert alone(tmp_path, '{ dates = "2026-11-01..2026-11-20" }') == [
        (False, "triggers.a: will not fire any more: its days are over")
    ]
    assert alone(tmp_path, '{ dates = "2029-05-01" }') == [
        (False, "triggers.a: will not fire in the next 400 days")
    ]
    assert alone(tmp_path, '{ dates = "2026-11-21" }') == []


def pair(one: str, other: str) -> str:
    return f"[triggers.a]\n{one}\n[triggers.b]\n{other}\n"


INK = "do = { style = 'ink' }"
OIL = "do = { style = 'oil' }"


def test_two_that_can_hold_at_once_and_set_the_same_fight(tmp_path: Path) -> None:
    text = pair(f"when = {{ time = '10:00-12:00' }}\n{INK}", f"when = {{ time = '11:00-13:00' }}\n{OIL}")
    ((grave, said),) = doubts(tmp_path, text)
    assert grave and said == (
        "triggers.a and triggers.b can hold at once and both set style/choose; "
        "put them into one group, or give one a higher priority"
    )
    grouped = text.replace("when", "group = 'g'\nwhen")
    assert "both set style/choose; give one a higher priority" in doubts(tmp_path, grouped)[0][1]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (f"when = {{ time = '10:00-12:00' }}\n{INK}", f"when = {{ time = '12:00-13:00' }}\n{OIL}"),
        (f"when = {{ weekday = 'mon' }}\n{INK}", f"when = {{ weekday = 'mon' }}\n{INK}"),
        (f"when = {{ weekday = 'mon' }}\n{INK}", f"when = {{ weekday = 'mon' }}\npriority = 1\n{OIL}"),
        (f"when = {{ weekday = 'mon' }}\n{INK}", "when = { weekday = 'mon' }\ndo = { seed = 2 }"),
        (
            f"when = {{ signal = 'motion', above = 0.5 }}\n{INK}",
            f"when = {{ signal = 'motion', below = 0.5 }}\n{OIL}",
        ),
    ],
)
def test_two_that_cannot_meet_or_do_not_differ_are_left_alone(tmp_path: Path, one: str, other: str) -> None:
    assert doubts(tmp_path, pair(one, other)) == []


def test_an_end_that_undoes_what_another_set_is_a_fight(tmp_path: Path) -> None:
    do = "do = { set = 'look/grain', to = 0.3 }"
    one = f"when = {{ weekday = 'mon' }}\n{do}\nafter = {{ set = 'look/grain', to = 0 }}"
    other = f"when = {{ signal = 'motion', above = 0.5 }}\n{do}"
    assert [grave for grave, _ in doubts(tmp_path, pair(one, other))] == [True]


def test_the_command_tells_warnings_and_refuses_what_cannot_be_meant(tmp_path: Path) -> None:
    path = tmp_path / "tide.toml"
    head = 'title = "Tide"\n[triggers.old]\nwhen = { dates = "2020-01-01" }\ndo = { seed = 1 }\n'
    path.write_text(head)
    done = CliRunner().invoke(app, ["check", str(path)], catch_exceptions=False)
    assert done.exit_code == 0
    assert "warning: triggers.old: will not fire any more" in done.output and "fine" in done.output
    path.write_text(f"{head}[triggers.a]\nwhen = {{ signal = 'motion', above = 1 }}\ndo = {{ seed = 2 }}\n")
    done = CliRunner().invoke(app, ["check", str(path)])
    assert isinstance(done.exception, VivantError)
    assert "1 problem\n  triggers.a: can never fire" in str(done.exception)


def test_the_scenes_that_ship_are_beyond_doubt() -> None:
    done = CliRunner().invoke(app, ["check"], catch_exceptions=False)
    assert done.exit_code == 0 and "warning" not in done.output
