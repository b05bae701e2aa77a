"""Triggers that act on the beat: when, in which order, and what becomes of those that end before it."""

from __future__ import annotations

from pathlib import Path

import pytest
from test_cue_running import Metronome

from vivant.runtime.frames import VivantError
from vivant.runtime.scene import load_scene, tree_of
from vivant.runtime.tempo.lookahead import Lead
from vivant.runtime.triggers.running import Triggers

CLAP = """
[triggers.clap]
on = "{on}"
when = {{ signal = "motion", above = 0.5 }}
do = [{{ style = "ink", fade_s = 0 }}, {{ set = "look/exposure", to = -1 }}]
after = {{ set = "look/exposure", to = 0.5 }}
"""
REFRESH_NS = 16_000_000


class Show:
    """A tree with a scene's triggers at 120 beats a minute; every refresh is looked at."""

    def __init__(self, folder: Path, text: str, beats: bool = True) -> None:
        path = folder / "tide.toml"
        path.write_text(f'title = "Tide"\ncalendar.zone = "UTC"\n{text}')
        scene = load_scene(path)
        self.tree, self.lead, self.now_ns = tree_of(scene), Lead(), 0
        self.told: list[tuple[str, object]] = []
        self.triggers = Triggers(
            scene.triggers, self.tree, scene.calendar, scene.signals,
            tempo=Metronome() if beats else None,
            tell=lambda address, args: self.told.append((address.rpartition("/")[2], args[0])),
        )  # fmt: skip
        self.saw: list[tuple[int, object, object]] = []

    def until(self, ms: int, **signals: float) -> list[tuple[int, str, str]]:
        """Refreshes until `ms`; which trigger fired or ended at which, in milliseconds."""
        found: list[tuple[int, str, str]] = []
        while self.now_ns < ms * 1_000_000:
            self.now_ns += REFRESH_NS
            firings = self.triggers.step(self.now_ns, signals, self.lead, REFRESH_NS)
            self.tree.tick(self.now_ns)
            found += [(self.ms, one.event.rule.name, one.event.what) for one in firings]
            seen = (self.value("style/choose"), self.value("look/exposure"))
            if not self.saw or self.saw[-1][1:] != seen:
                self.saw.append((self.ms, *seen))
        return found

    @property
    def ms(self) -> int:
        return self.now_ns // 1_000_000

    def value(self, address: str) -> object:
        return self.tree.value(f"/vivant/{address}")


@pytest.mark.parametrize(("on", "beat_ms"), [("beat", 1000), ("bar", 2000)])
def test_what_fires_acts_at_the_refresh_that_is_nearest_to_the_beat(
    tmp_path: Path, on: str, beat_ms: int
) -> None:
    show = Show(tmp_path, CLAP.format(on=on))
    assert show.until(600, motion=0) == []
    ((at_ms, name, what),) = show.until(2200, motion=1)
    assert (name, what) == ("clap", "fired") and abs(at_ms - beat_ms) <= REFRESH_NS / 2e6
    assert show.told == [("clap", 1)]
    assert show.triggers.counts()["without_beat"] == 0


def test_the_students_share_goes_as_much_earlier_as_a_picture_takes(tmp_path: Path) -> None:
    show = Show(tmp_path, CLAP.format(on="beat"))
    show.lead = Lead(16_000_000, 120_000_000)
    show.until(600, motion=0)
    show.until(1200, motion=1)
    (_, oil, start), (asked_ms, ink, before), (drawn_ms, _, after) = show.saw
    assert (oil, start, ink, before, after) == ("oil", 0.0, "ink", 0.0, -1.0)
    assert abs(asked_ms - 880) <= 8 and abs(drawn_ms - 984) <= 8


def test_what_fires_too_late_for_a_beat_acts_on_the_next(tmp_path: Path) -> None:
    show = Show(tmp_path, CLAP.format(on="beat"))
    show.lead = Lead(16_000_000, 120_000_000)
    show.until(940, motion=0)
    ((at_ms, _, _),) = show.until(1600, motion=1)
    assert abs(at_ms - 1484) <= 8


def test_a_moments_condition_is_seen_for_a_beat(tmp_path: Path) -> None:
    show = Show(tmp_path, CLAP.format(on="beat"))
    show.until(600, motion=0)
    show.until(650, motion=1)
    found = show.until(2000, motion=0)
    assert [(round(at_ms / 500), what) for at_ms, _, what in found] == [(2, "fired"), (3, "ended")]
    assert [seen[2] for seen in show.saw] == [0.0, -1.0, 0.5]


def test_a_condition_that_flickers_acts_once_on_a_bar(tmp_path: Path) -> None:
    show = Show(tmp_path, CLAP.format(on="bar"))
    found = []
    for ms in range(32, 1900, 32):
        found += show.until(ms, motion=ms // 32 % 2)
    found += show.until(6000, motion=0)
    assert [(round(at_ms / 2000), what) for at_ms, _, what in found] == [(1, "fired"), (2, "ended")]
    assert show.triggers.counts()["fired"] == {"clap": 1}


def test_what_comes_back_before_its_end_was_seen_stays(tmp_path: Path) -> None:
    show = Show(tmp_path, CLAP.format(on="beat"))
    show.until(600, motion=1)
    show.until(700, motion=0)
    show.until(1800, motion=1)
    assert [seen[2] for seen in show.saw] == [0.0, -1.0]


GROUP = """
[triggers.near]
group = "room"
priority = {near}
on = "beat"
when = {{ signal = "motion", above = 0.5 }}
do = {{ set = "look/exposure", to = 1 }}
after = {{ set = "look/exposure", to = 0.25 }}
[triggers.far]
group = "room"
{on}
priority = 2
when = {{ signal = "light", above = 0.5 }}
do = {{ set = "look/exposure", to = -1 }}
"""


@pytest.mark.parametrize("on", ['on = "beat"', 'on = "bar"', ""])
def test_who_takes_over_in_a_group_has_the_last_word(tmp_path: Path, on: str) -> None:
    show = Show(tmp_path, GROUP.format(near=1, on=on))
    show.until(600, motion=1, light=0)
    assert show.value("look/exposure") == 1.0
    show.until(5000, motion=1, light=1)
    assert show.value("look/exposure") == -1.0
    assert show.triggers.standing == {"far"}
    assert show.told == [("near", 1), ("near", 0), ("far", 1)]


def test_what_another_of_its_group_took_over_before_its_beat_never_acts(tmp_path: Path) -> None:
    show = Show(tmp_path, GROUP.format(near=1, on='on = "bar"'))
    show.until(2050, motion=0, light=0)
    show.until(2100, motion=1, light=0)
    show.until(6000, motion=1, light=1)
    assert show.told == [("far", 1)]
    assert [seen[2] for seen in show.saw] == [0.0, -1.0]


def test_without_a_beat_it_acts_at_once_and_that_is_counted(tmp_path: Path) -> None:
    show = Show(tmp_path, CLAP.format(on="bar"), beats=False)
    show.until(100, motion=0)
    ((at_ms, _, _),) = show.until(400, motion=1)
    assert at_ms == 128
    assert show.triggers.counts()["without_beat"] == 1


def test_triggers_that_are_switched_off_before_the_beat_do_nothing_but_what_a_hand_asked_for(
    tmp_path: Path,
) -> None:
    show = Show(tmp_path, CLAP.format(on="beat"))
    show.until(100, motion=1)
    show.tree.set("/vivant/triggers/on", (False,), show.now_ns, "osc")
    assert show.until(1100, motion=1) == []
    show.tree.set("/vivant/trigger/clap/fire", (), show.now_ns, "osc")
    ((at_ms, _, what),) = show.until(1600, motion=1)
    assert what == "fired" and abs(at_ms - 1500) <= 8


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('on = "baet"\ndo = { seed = 1 }', "on = \"baet\": input should be 'beat' or 'bar'; did you mean"),
        ('on = "beat"\ndo = [{ seed = 1 }, { set = "panic" }]', "do[1].set: a panic waits for no beat"),
        ('on = "bar"\ndo = { cue = "go" }\n[[cues]]\nname = "one"', "do[0].cue: a cue has its own beat"),
        ('on = "bar"\ndo = { set = "cue/one/go" }\n[[cues]]\nname = "one"', "do[0].set: a cue has its own"),
    ],
)  # fmt: skip
def test_what_cannot_wait_for_a_beat_is_said_at_load(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(VivantError) as error:
        Show(tmp_path, f"[triggers.a]\nwhen = {{ signal = 'motion', above = 0.5 }}\n{text}\n")
    assert f"triggers.a.{said}" in str(error.value)
