"""Triggers in a scene file: everything that is wrong is said at once, with its key and a way out."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vivant.runtime.frames import VivantError
from vivant.runtime.scene import Scene, change_scene, load_scene, tree_of
from vivant.runtime.triggers.reading import MOST_RULES, Reader
from vivant.runtime.triggers.rules import Act, Compound, Pick, Rule

HEAD = 'title = "Tide"\n'


def scene(tmp_path: Path, text: str) -> Scene:
    path = tmp_path / "tide.toml"
    path.write_text(HEAD + text)
    return load_scene(path)


def complaint(tmp_path: Path, text: str) -> list[str]:
    with pytest.raises(VivantError) as error:
        scene(tmp_path, text)
    return [line.strip() for line in str(error.value).splitlines()[1:]]


def test_a_trigger_is_read_as_it_stands(tmp_path: Path) -> None:
    found = scene(
        tmp_path,
        """
[triggers.a]
group = "room"
priority = 3
cooldown_s = 4
when.all = [{ signal = "motion", above = 0.2, until = 0.1 }, { not = { time = "22:00-08:00" } }]
when.for_s = 2
do = [{ style = "next", fade_s = 3 }, { seed = 7 }, { adapter = "pencil" }, { set = "reset" }]
after = { set = "look/exposure", to = 1 }
""",
    ).triggers["a"]
    assert (found.group, found.priority, found.cooldown_s) == ("room", 3, 4.0)
    assert isinstance(found.when, Compound) and found.when.for_s == 2.0
    assert [part.word if isinstance(part, Compound) else "" for part in found.when.parts] == ["", "not"]
    assert found.do == (
        Act("style", "/vivant/style/choose", Pick.NEXT, 3.0),
        Act("seed", "/vivant/student/seed", 7),
        Act("adapter", "/vivant/adapter/pencil", 1.0),
        Act("set", "/vivant/reset", None),
    )
    assert found.after == (Act("set", "/vivant/look/exposure", 1),)


def test_everything_that_is_wrong_is_said_at_once(tmp_path: Path) -> None:
    found = complaint(
        tmp_path,
        """
lader = true
[calendar]
zone = "Europe/Wien"
[calendar.campaigns.advent]
dates = "11-29..12-32"
[signals.presence]
[signals.pressure]
maximum = 0
[triggers.Loud]
wen = { signal = "presence", above = 0.5 }
do = { scene = "garden" }
[triggers.a]
when = { signal = "presense", above = 0.5 }
do = { style = "inc" }
priorty = 3
[triggers.b]
when.all = [{ signal = "motion", above = 1, until = 2 }, { time = "25:00-26:00" }, { weekday = ["fry"] }]
do = [{ seed = "old" }, { stile = "ink" }, { set = "look/exposure" }, { set = "reset", to = 1 }, 3]
[triggers.c]
when = { any = [{ parameter = "look/exposr", above = 1 }, { parameter = "style/choose", equals = "inc" }] }
do = [{ set = "status/late", to = 1 }, { scene = "garden" }]
""",
    )
    for wanted in (
        "lader: unknown key; did you mean 'ladder'?",
        "calendar.zone = \"Europe/Wien\": is no time zone; did you mean 'Europe/Vienna'?",
        "signals.presence: is a signal that there is already",
        "triggers.Loud: names are of a-z",
        "triggers.Loud.wen: unknown key; did you mean 'when'?",
        'triggers.c.do[1].scene = "garden": this scene has no scenes; write [programme] scenes = [...]',
        "triggers.a.priorty: unknown key; did you mean 'priority'?",
        'triggers.b.when.all[0] = {"signal": "motion", "above": 1, "until": 2}: until should not be over',
        "triggers.b.when.all[1].time",
        'triggers.b.when.all[2].weekday = ["fry"]: should be one of mon',
        'triggers.b.do[0].seed = "old": should be next, random or a whole number',
        'triggers.b.do[1] = {"stile": "ink"}: should have one of set, style, adapter, seed, cue, scene; did',
        "triggers.b.do[4] = 3: input should be a table",
        'triggers.c.when.any[0].parameter = "look/exposr": unknown parameter; did you mean',
        'triggers.c.when.any[1].equals = "inc": should be oil | ink',
        'triggers.c.do[0].set = "/vivant/status/late": is only reported',
    ):
        assert any(line.startswith(wanted) for line in found), (wanted, found)


def test_names_that_mean_nothing_are_told_with_what_was_meant(tmp_path: Path) -> None:
    found = complaint(
        tmp_path,
        """
[triggers.a]
when.all = [
    { signal = "presense", above = 0.5 }, { campaign = "adventt" }, { stands = "bb" }, { stands = "a" },
]
do = [
    { set = "look/exposur", to = 1 }, { style = "inc" },
    { set = "look/exposure", to = 9 }, { adapter = "pencl" },
]
after = [{ set = "look/exposure" }, { set = "reset", to = 1 }, { set = "triggers/on", to = false }]
""",
    )
    assert (
        found[0] == "triggers.a.when.all[0].signal = \"presense\": unknown signal; did you mean 'presence'?"
    )
    assert found[1].endswith("unknown campaign; write it under [calendar.campaigns.adventt]")
    assert found[2].endswith("unknown trigger; write it under [triggers.bb]")
    assert found[3].endswith("is the trigger itself; it would wait for itself")
    assert found[4].endswith("unknown parameter; did you mean '/vivant/look/exposure'?")
    assert found[5].endswith("did you mean 'ink'?")
    assert found[6] == "triggers.a.do[2].to = 9: should be in [-2, 2] EV"
    assert found[7].endswith("unknown adapter; did you mean 'pencil'?")
    assert found[8].startswith("triggers.a.after[0].to: is missing")
    assert found[9].endswith("goes with no action; leave it out")
    assert found[10].endswith("triggers do not set it")


@pytest.mark.parametrize(
    ("when", "says"),
    [
        ("{}", "should have one of all, any, not, signal"),
        ("3", "input should be a table"),
        ('{ signal = "motion" }', "should have above or below"),
        ('{ signal = "motion", above = 1, below = 2 }', "should have above or below"),
        ('{ signal = "motion", below = 0.2, until = 0.1 }', "until should not be under below"),
        ('{ signal = "motion", above = nan }', "finite"),
        ('{ signal = "motion", above = 1, time = "10:00-11:00" }', "says two things"),
        ('{ parameter = "look/grain" }', "should have equals, above or below"),
        ('{ parameter = "look/grain", equals = 0.5, above = 0.1 }', "not both"),
        ('{ parameter = "reset", equals = 1 }', "holds no value"),
        ('{ parameter = "style/choose", above = 1 }', "compare it with equals"),
        ('{ at = "10:00", time = "10:00-11:00" }', "not both"),
        ('{ at = "10:00", for_s = 3 }', "leave for_s out"),
        ("{ chance = 0.5 }", "every_s: is missing"),
        ("{ every_s = 60, chance = 0 }", "greater than 0"),
        ("{ all = [] }", "should be a list of conditions"),
        ("{ all = { time = '10:00-11:00' } }", "should be a list of conditions"),
        ('{ not = [{ stands = "b" }] }', "input should be a table"),
        ('{ any = [{ weekday = "mon" }], signal = "motion" }', "does not go with any"),
        ('{ any = [{ weekday = "mon" }], for_s = -1 }', "number of seconds"),
        (
            "{ not = " * 8 + "{ weekday = 'mon' }" + " }" * 8,
            "nests",
        ),
    ],
)
def test_a_condition_that_is_none_is_refused(tmp_path: Path, when: str, says: str) -> None:
    found = complaint(tmp_path, f"[triggers.a]\nwhen = {when}\ndo = {{ seed = 1 }}\n")
    assert any(says in line for line in found), found


def test_an_empty_do_and_too_many_triggers_are_refused(tmp_path: Path) -> None:
    assert complaint(tmp_path, "[triggers.a]\nwhen = { weekday = 'mon' }\ndo = []\n") == [
        "triggers.a.do: is empty; say what happens"
    ]
    many = "".join(f"[triggers.t{i}]\nwhen={{weekday='mon'}}\ndo={{seed=1}}\n" for i in range(MOST_RULES + 1))
    assert "64 triggers at most" in complaint(tmp_path, many)[0]


def test_the_command_line_changes_a_scene_with_triggers(tmp_path: Path) -> None:
    first = scene(
        tmp_path, '[signals.p]\n[triggers.a]\nwhen = { signal = "p", above = 0.5 }\ndo = { seed = 1 }\n'
    )
    changed = change_scene(first, {"backend": "onnxruntime", "calendar.zone": "Asia/Tokyo"})
    assert changed.triggers == first.triggers and changed.calendar.zone == "Asia/Tokyo"
    assert {"/vivant/signal/p", "/vivant/triggers/on", "/vivant/trigger/a/fire"} <= {
        *tree_of(changed).parameters
    }
    assert not any("trigger" in a for a in tree_of(scene(tmp_path, "")).parameters if "/status/" not in a)


TREES: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["when", "do", "after", "all", "any", "not", "signal", "above", "for_s", "time", "set", "to"]
            )
            | st.text(max_size=5),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@settings(max_examples=150, deadline=None)
@given(TREES)
def test_whatever_stands_there_becomes_rules_or_problems(table: object) -> None:
    reader = Reader()
    rules = reader.rules({"a": table})
    assert all(isinstance(rule, Rule) for rule in rules.values())
    assert rules or reader.problems


def test_the_examples_of_the_page_load(tmp_path: Path) -> None:
    page = (Path(__file__).parent.parent / "docs" / "triggers.md").read_text()
    blocks = [part.partition("```")[0] for part in page.split("```toml\n")[1:]]
    assert len(blocks) >= 5
    for block in blocks:
        assert scene(tmp_path, block).triggers, block
    conditions = [
        row.split("`")[1] for row in page.splitlines() if row.startswith("| `{ ") and "above" not in row
    ]
    assert len(conditions) >= 12
    campaign = '[calendar.campaigns.advent]\ndates = "11-29..12-24"\n'
    others = '[programme]\nscenes = ["garden"]\n[[cues]]\nname = "drop"\nstyle = "ink"\n'
    state = '[triggers.engage]\nwhen = { weekday = "mon" }\ndo = { seed = 2 }\n'
    for text in conditions:
        filled = text.replace("[...]", '[{ weekday = "mon" }]').replace("{...}", '{ weekday = "mon" }')
        acts = {"set", "style", "adapter", "seed", "cue", "scene"}
        key = "do" if {*tomllib.loads(f"a = {filled}")["a"]} & acts else "when"
        other = '{ weekday = "mon" }' if key == "do" else "{ seed = 1 }"
        rest = f"{'when' if key == 'do' else 'do'} = {other}"
        body = f"{campaign}{others}{state}[triggers.a]\n{key} = {filled}\n{rest}\n"
        assert "a" in scene(tmp_path, body).triggers
