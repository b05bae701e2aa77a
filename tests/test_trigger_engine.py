"""Which trigger fires: thresholds, durations, groups, priorities, cooldowns, and what is not known."""

from __future__ import annotations

import datetime as dt
import math
import tomllib
from collections.abc import Iterable, Mapping
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vivant.runtime.frames import Value
from vivant.runtime.triggers.almanac import Almanac
from vivant.runtime.triggers.conditions import Setting, World, chance_of
from vivant.runtime.triggers.engine import Engine, Event
from vivant.runtime.triggers.reading import Reader
from vivant.runtime.triggers.rules import Calendar, Declared

BEGIN_S = dt.datetime(2026, 11, 21, 12, 0, tzinfo=dt.UTC).timestamp()


class Desk:
    """An engine with triggers as a scene has them, and a clock that is moved by hand."""

    def __init__(self, text: str, seed: int = 0, campaigns: str = "") -> None:
        reader = Reader()
        rules = reader.rules(tomllib.loads(text))
        assert reader.problems == []
        self.almanac = Almanac(dt.UTC)
        calendar = Calendar.model_validate(tomllib.loads(campaigns))
        self.engine = Engine(rules, Setting(self.almanac, calendar, {"pressure": Declared()}, seed))
        self.world = World()
        self.values: dict[str, Value] = {}
        self.now_s = 0.0

    def at(self, now_s: float, **signals: float) -> list[str]:
        """Step to `now_s`; what happened, as "+name" for a firing and "-name" for an end."""
        world, wall_s = self.world, BEGIN_S + now_s
        world.now_ns, world.wall_s, world.local = round(now_s * 1e9), wall_s, self.almanac.local(wall_s)
        world.signals, world.values = signals, self.values
        self.now_s = now_s
        return said(self.engine.step(world))

    def fire(self, name: str) -> list[str]:
        return said(self.engine.fire(name, self.world))


def said(events: Iterable[Event]) -> list[str]:
    return [("+" if event.what == "fired" else "-") + event.rule.name for event in events]


def one(when: str, more: str = "") -> Desk:
    return Desk(f"[a]\nwhen = {when}\ndo = {{ seed = 1 }}\n{more}")


def test_a_trigger_fires_once_for_each_time_and_ends() -> None:
    desk = one('{ signal = "motion", above = 0.5 }')
    found = [desk.at(t, motion=m) for t, m in enumerate((0.1, 0.6, 0.9, 0.5, 0.6))]
    assert found == [[], ["+a"], [], ["-a"], ["+a"]]


def test_with_two_thresholds_a_value_between_them_changes_nothing() -> None:
    desk = one('{ signal = "motion", above = 0.5, until = 0.3 }')
    found = [desk.at(t, motion=m) for t, m in enumerate((0.4, 0.51, 0.4, 0.31, 0.3, 0.45, 0.6))]
    assert found == [[], ["+a"], [], [], ["-a"], [], ["+a"]]
    under = one('{ signal = "light", below = 0.2, until = 0.3 }')
    assert [under.at(t, light=v) for t, v in enumerate((0.25, 0.1, 0.29, 0.3))] == [[], ["+a"], [], ["-a"]]


def test_for_s_asks_for_so_long_without_a_break() -> None:
    desk = one('{ signal = "motion", above = 0.5, for_s = 2 }')
    found = [desk.at(t, motion=m) for t, m in ((0, 1), (1.9, 1), (2.0, 0), (2.1, 1), (4.0, 1), (4.2, 1))]
    assert found == [[], [], [], [], [], ["+a"]]


def test_for_s_of_a_combination_is_counted_from_when_all_of_it_is_true() -> None:
    desk = one('{ all = [{ signal = "motion", above = 0.5 }, { signal = "light", above = 0.5 }], for_s = 1 }')
    assert [
        desk.at(0, motion=1, light=0),
        desk.at(5, motion=1, light=1),
        desk.at(5.9, motion=1, light=1),
    ] == [[]] * 3
    assert desk.at(6, motion=1, light=1) == ["+a"]


@pytest.mark.parametrize("signals", [{}, {"motion": math.nan}])
def test_what_is_not_known_starts_nothing_and_ends_nothing(signals: dict[str, float]) -> None:
    desk = one('{ signal = "motion", above = 0.5 }')
    assert desk.at(0, **signals) == []
    assert desk.at(1, motion=1) == ["+a"]
    assert desk.at(2, **signals) == []
    assert desk.at(3, motion=1) == []
    assert desk.at(4, motion=0) == ["-a"]
    contrary = one('{ not = { signal = "motion", above = 0.5 } }')
    assert contrary.at(0, **signals) == []
    assert contrary.at(1, motion=0) == ["+a"]


def test_of_all_and_any_what_is_sure_decides() -> None:
    both = one('{ all = [{ signal = "motion", above = 0.5 }, { signal = "light", above = 0.5 }] }')
    assert both.at(0, motion=1) == [] and both.at(1, motion=1, light=1) == ["+a"]
    assert both.at(2, motion=1) == [] and both.at(3, motion=0) == ["-a"]
    either = one('{ any = [{ signal = "motion", above = 0.5 }, { signal = "light", above = 0.5 }] }')
    assert either.at(0, motion=1) == ["+a"] and either.at(1, motion=0) == []
    assert either.at(2, motion=0, light=0) == ["-a"]


def test_parameters_are_compared_by_number_and_by_value() -> None:
    desk = Desk(
        '[a]\nwhen = { parameter = "style/choose", equals = "ink" }\ndo = { seed = 1 }\n'
        '[b]\nwhen = { parameter = "look/exposure", above = 1 }\ndo = { seed = 2 }\n'
        '[c]\nwhen = { signal = "pressure", above = 0.5 }\ndo = { seed = 3 }\n'
    )
    desk.values = {
        "/vivant/style/choose": "oil",
        "/vivant/look/exposure": 1.0,
        "/vivant/signal/pressure": 0.0,
    }
    assert desk.at(0) == []
    desk.values = {
        "/vivant/style/choose": "ink",
        "/vivant/look/exposure": 1.5,
        "/vivant/signal/pressure": 0.7,
    }
    assert desk.at(1) == ["+a", "+b", "+c"]


def test_a_cooldown_is_waited_for_and_then_it_fires_if_it_still_is_so() -> None:
    desk = one('{ signal = "motion", above = 0.5 }', "cooldown_s = 10")
    assert desk.at(0, motion=1) == ["+a"] and desk.at(1, motion=0) == ["-a"]
    assert desk.at(2, motion=1) == [] and desk.at(3, motion=0) == []
    assert desk.at(9, motion=1) == [] and desk.at(10, motion=1) == ["+a"]


GROUP = """
[low]
group = "g"
when = { signal = "motion", above = 0.1 }
do = { seed = 1 }
[high]
group = "g"
priority = 5
when = { signal = "light", above = 0.5 }
do = { seed = 2 }
[equal]
group = "g"
when = { signal = "presence", above = 0.5 }
do = { seed = 3 }
"""


def test_of_a_group_one_stands_until_another_fires() -> None:
    desk = Desk(GROUP)
    assert desk.at(0, motion=1, light=0, presence=0) == ["+low"]
    assert desk.at(1, motion=0, light=0, presence=0) == [] and desk.engine.standing == {"low"}
    assert desk.at(2, motion=1, light=0, presence=0) == []  # it stands already
    assert desk.at(3, motion=1, light=0, presence=1) == []  # of equal ones the one that stands goes on
    assert desk.at(4, motion=0, light=0, presence=1) == ["-low", "+equal"]
    assert desk.engine.standing == {"equal"}


def test_in_a_group_the_higher_priority_takes_over_and_gives_back() -> None:
    desk = Desk(GROUP)
    assert desk.at(0, motion=1, light=1, presence=1) == ["+high"]
    assert desk.at(1, motion=1, light=1, presence=0) == []
    assert desk.at(2, motion=1, light=0, presence=1) == ["-high", "+low"]  # the earlier in the file
    assert desk.at(3, motion=1, light=1, presence=1) == ["-low", "+high"]


def test_a_state_machine_goes_round() -> None:
    desk = Desk(
        """
[idle]
group = "room"
when = { any = [{ signal = "age_s", below = 2 }, { stands = "leaving", for_s = 30 }] }
do = { seed = 1 }
[busy]
group = "room"
priority = 10
when = { signal = "presence", above = 0.5, until = 0.2 }
do = { seed = 2 }
[leaving]
group = "room"
priority = 5
when = { all = [{ stands = "busy" }, { signal = "presence", below = 0.1, for_s = 5 }] }
do = { seed = 3 }
"""
    )
    people = {10: 1.0, 20: 0.15, 30: 0.0, 80: 1.0}
    presence, found = 0.0, {}
    for second in range(100):
        presence = people.get(second, presence)
        events = desk.at(second, presence=presence, age_s=second)
        if events:
            found[second] = events[-1]
    assert found == {0: "+idle", 10: "+busy", 35: "+leaving", 66: "+idle", 80: "+busy"}


def test_of_those_that_fire_together_the_higher_priority_acts_last() -> None:
    desk = Desk(
        "[a]\nwhen = { weekday = 'sat' }\npriority = 3\ndo = { seed = 1 }\n"
        "[b]\nwhen = { weekday = 'sat' }\ndo = { seed = 2 }\n"
    )
    assert desk.at(0) == ["+b", "+a"]


def test_a_trigger_can_be_fired_by_hand_and_stays_until_something_begins() -> None:
    desk = Desk(GROUP)
    assert desk.at(0, motion=0, light=1, presence=0) == ["+high"]
    assert desk.fire("low") == ["-high", "+low"]
    assert desk.at(1, motion=0, light=1, presence=0) == []  # high held before the hand: it does not come back
    assert desk.at(2, motion=0, light=0, presence=1) == ["-low", "+equal"]
    alone = one('{ signal = "motion", above = 0.5 }')
    assert alone.at(0, motion=0) == [] and alone.fire("a") == ["+a"] and alone.engine.standing == frozenset()
    assert alone.at(1, motion=1) == ["+a"] and alone.fire("a") == ["+a"] and alone.engine.standing == {"a"}
    assert alone.at(2, motion=0) == ["-a"]


def test_hours_moments_and_campaigns_follow_the_wall_clock() -> None:
    desk = Desk(
        "[lunch]\nwhen = { time = '12:30-13:00', weekday = 'sat' }\ndo = { seed = 1 }\n"
        "[gong]\nwhen = { at = ['12:45', '50 12 * * *'], campaign = 'fair' }\ndo = { seed = 2 }\n"
        "[never]\nwhen = { at = '12:45', campaign = 'past' }\ndo = { seed = 3 }\n",
        campaigns="[campaigns.fair]\ndates = '11-20..11-22'\n[campaigns.past]\ndates = '2025-11-21'\n",
    )
    found = {minute: events for minute in range(70) if (events := desk.at(minute * 60))}
    assert found == {
        30: ["+lunch"],
        45: ["+gong"],
        46: ["-gong"],
        50: ["+gong"],
        51: ["-gong"],
        60: ["-lunch"],
    }


def test_the_dice_hang_on_the_seed_and_the_wall_clock_alone() -> None:
    def throws(seed: int, begin: int) -> dict[int, list[str]]:
        desk = Desk("[a]\nwhen = { every_s = 60, chance = 0.3 }\ndo = { seed = 1 }\n", seed)
        steps = range(begin, 60 * 500, 15)
        return {second: e for second in steps if "+a" in (e := desk.at(second))}

    first = throws(0, 0)
    assert 110 < len(first) < 190
    assert throws(0, 0) == first != throws(1, 0)
    late = throws(0, 6000)  # a show that was started later throws the same
    assert late == {second: e for second, e in first.items() if second >= 6000}


def test_chances_are_spread_evenly() -> None:
    chances = [chance_of(str(key)) for key in range(4000)]
    assert all(0 <= chance < 1 for chance in chances)
    assert abs(sum(chances) / 4000 - 0.5) < 0.02


SIGNALS = st.dictionaries(
    st.sampled_from(["motion", "light", "presence", "age_s", "nobody"]), st.floats(), max_size=5
)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.floats(-1e5, 1e5), SIGNALS), max_size=25), st.booleans())
def test_whatever_the_signals_and_the_clock_do_nothing_is_raised_and_groups_stay_exclusive(
    steps: list[tuple[float, Mapping[str, float]]], exposed: bool
) -> None:
    text = GROUP + (
        "[d]\nwhen = { all = [{ at = '*/5 * * * *' }, { not = { signal = 'light', below = 0.2 } }] }\n"
        "do = { seed = 1 }\n[e]\nwhen = { every_s = 7, chance = 0.5, for_s = 1 }\ndo = { seed = 2 }\n"
        "[f]\nwhen = { parameter = 'look/exposure', above = 0 }\ndo = { seed = 3 }\n"
    )
    first, second = Desk(text), Desk(text)
    values: dict[str, Any] = {"/vivant/look/exposure": "loud" if exposed else math.nan}
    first.values = second.values = values
    for now_s, signals in steps:
        found = first.at(now_s, **signals)
        assert found == second.at(now_s, **signals)  # the same steps give the same events
        assert len(first.engine.standing & {"low", "high", "equal"}) <= 1
