"""Triggers in a show: what they do to the parameters, what they tell, and how a person steers them."""

from __future__ import annotations

import datetime as dt
import socket
import time
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
from pythonosc.osc_message import OscMessage

from vivant.runtime.frames import ManualClock
from vivant.runtime.osc import OscDoor
from vivant.runtime.packets import message
from vivant.runtime.scene import load_scene, tree_of
from vivant.runtime.signals import Signals
from vivant.runtime.triggers.running import Firing, Triggers

SATURDAY_S = dt.datetime(2026, 11, 21, 12, 0, tzinfo=dt.UTC).timestamp()
MOTION = '[triggers.a]\nwhen = { signal = "motion", above = 0.5 }\n'


class Show:
    """A tree with a scene's triggers, and a clock that is moved by hand."""

    def __init__(self, folder: Path, text: str, door: OscDoor | None = None) -> None:
        path = folder / "tide.toml"
        path.write_text(f'title = "Tide"\ncalendar.zone = "UTC"\n{text}')
        scene = load_scene(path)
        self.tree, self.clock, self.heard = tree_of(scene), ManualClock(), list[Firing]()
        self.room = Signals()
        self.triggers = Triggers(
            scene.triggers,
            self.tree,
            scene.calendar,
            scene.signals,
            tell=None if door is None else door.tell,
            hooks=(self.heard.append,),
            wall_s=lambda: SATURDAY_S + self.clock.ns / 1e9,
        )

    def at(self, now_s: float, **signals: float) -> list[str]:
        """A refresh at `now_s`, with new signals where some are given; the triggers that fired or ended."""
        self.clock.ns = round(now_s * 1e9)
        if signals:
            self.room.hear(signals, self.clock.ns)
        firings = self.triggers.step(self.clock.ns, self.room.step(self.clock.ns))
        self.tree.tick(self.clock.ns)
        return [f"{one.event.rule.name} {one.event.what}" for one in firings]

    def value(self, address: str) -> object:
        return self.tree.value(f"/vivant/{address}")


def test_a_number_fades_and_goes_back_when_it_is_over(tmp_path: Path) -> None:
    act = '{ set = "look/exposure", to = 1.0, fade_s = 4 }'
    show = Show(tmp_path, f"{MOTION}do = {act}\nafter = {{ set = 'look/exposure', to = 0 }}\n")
    assert show.at(0, motion=1) == ["a fired"] and show.value("look/exposure") == 0.0
    show.at(2, motion=1)
    assert show.value("look/exposure") == pytest.approx(0.5)
    show.at(4, motion=1)
    assert show.value("look/exposure") == 1.0
    assert show.at(5, motion=0) == ["a ended"] and show.value("look/exposure") == 0.0


def test_a_hand_ends_the_fade_of_a_trigger(tmp_path: Path) -> None:
    show = Show(tmp_path, f"{MOTION}do = {{ set = 'look/exposure', to = 1.0, fade_s = 4 }}\n")
    show.at(0, motion=1)
    show.at(2, motion=1)
    show.tree.set("/vivant/look/exposure", (-1.0,), show.clock.ns, "osc")
    show.at(3, motion=1)
    assert show.value("look/exposure") == -1.0


def test_styles_adapters_and_seeds_change_and_fade(tmp_path: Path) -> None:
    acts = (
        "[{ style = 'ink', fade_s = 2 }, { adapter = 'pencil', scale = 0.5, fade_s = 2 }, { seed = 'next' }]"
    )
    show = Show(tmp_path, f"[parameters.student]\nseed = 9999\n{MOTION}do = {acts}\n")
    show.at(0, motion=1)
    assert (show.value("style/choose"), show.value("style/ink"), show.value("student/seed")) == (
        "ink",
        0.0,
        0,
    )
    show.at(1, motion=1)
    assert show.value("style/ink") == pytest.approx(0.5) and show.value("style/oil") == pytest.approx(0.5)
    assert show.value("adapter/pencil") == pytest.approx(0.25)
    show.at(2, motion=1)
    assert (show.value("style/ink"), show.value("style/oil"), show.value("adapter/pencil")) == (1.0, 0.0, 0.5)


def test_random_is_never_the_same_again_and_can_be_replayed(tmp_path: Path) -> None:
    def styles() -> list[object]:
        show = Show(tmp_path, f"{MOTION}do = [{{ style = 'random' }}, {{ seed = 'random' }}]\n")
        found = []
        for second in range(40):
            show.at(2 * second, motion=1)
            found.append((show.value("style/choose"), show.value("student/seed")))
            show.at(2 * second + 1, motion=0)
        return found

    first = styles()
    assert styles() == first
    assert all(a != b for a, b in zip([("oil", 0), *first], first, strict=False))
    assert len({style for style, _ in first}) > 5


def test_an_action_is_pressed(tmp_path: Path) -> None:
    show = Show(tmp_path, f"{MOTION}do = {{ set = 'reset' }}\n")
    show.tree.set("/vivant/look/grain", (0.7,), 0, "osc")
    show.at(0, motion=1)
    assert show.value("look/grain") == 0.0


def test_every_firing_is_counted_and_handed_to_the_hook(tmp_path: Path) -> None:
    other = "[triggers.b]\nwhen = { weekday = 'sun' }\ndo = { seed = 6 }\n"
    show = Show(tmp_path, f"{MOTION}do = {{ seed = 5 }}\n{other}")
    for second, motion in enumerate((1, 0, 1, 1)):
        show.at(second, motion=motion)
    assert [one.event.what for one in show.heard] == ["fired", "ended", "fired"]
    assert show.heard[0].record() == {
        "wall_s": SATURDAY_S,
        "trigger": "a",
        "what": "fired",
        "why": "condition",
        "changes": {"/vivant/student/seed": 5},
    }
    counts = show.triggers.counts()
    assert counts == {
        "fired": {"a": 2, "b": 0},
        "last_wall_s": {"a": SATURDAY_S + 2},
        "standing": ["a"],
        "without_beat": 0,
    }
    assert show.triggers.firings == 2
    assert show.tree.counts()["triggers"] == {"applied": 2}


def test_signals_that_are_old_are_not_known(tmp_path: Path) -> None:
    show = Show(tmp_path, f"{MOTION}do = {{ seed = 5 }}\n")
    assert show.at(0, motion=1) == ["a fired"]
    assert show.at(10) == []  # nobody knows whether somebody is there
    assert show.at(11, motion=0) == ["a ended"]


def test_intensity_and_age_are_signals(tmp_path: Path) -> None:
    show = Show(
        tmp_path,
        "[triggers.a]\nwhen = { signal = 'intensity', above = 0.5 }\ndo = { seed = 1 }\n"
        "[triggers.b]\nwhen = { signal = 'age_s', above = 3 }\ndo = { seed = 2 }\n",
    )
    found = {t: events for t in range(8) if (events := show.at(100 + t, motion=0.08))}
    assert found == {4: ["a fired", "b fired"]}


def test_a_person_fires_a_trigger_and_stops_them_all(tmp_path: Path) -> None:
    show = Show(tmp_path, f"{MOTION}do = {{ seed = 5 }}\n")
    show.tree.set("/vivant/triggers/on", (False,), 0, "osc")
    assert show.at(0, motion=1) == []
    show.tree.set("/vivant/trigger/a/fire", (), 0, "osc")
    assert show.at(1, motion=1) == ["a fired"] and show.value("student/seed") == 5
    show.tree.set("/vivant/triggers/on", (True,), 0, "osc")
    assert show.at(2, motion=0) == []
    assert show.at(3, motion=1) == ["a fired"]


@pytest.fixture
def door() -> Iterator[OscDoor]:
    made = OscDoor(("127.0.0.1", 0))
    yield made
    made.close()


def test_over_osc_a_signal_comes_in_and_the_firing_goes_out(tmp_path: Path, door: OscDoor) -> None:
    when = "{ signal = 'pressure', above = 6 }"
    text = f"[signals.pressure]\nmaximum = 10\n[triggers.gust]\nwhen = {when}\ndo = {{ seed = 5 }}\n"
    show = Show(tmp_path, text, door)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as peer:
        peer.bind(("127.0.0.1", 0))
        peer.settimeout(5)
        peer.sendto(message("/vivant/subscribe", ()), door.address)
        peer.sendto(message("/vivant/signal/pressure", (7.5,)), door.address)
        arrive(door, show, 2)
        assert OscMessage(peer.recv(4096)).address == "/vivant/subscribed"
        assert show.at(2) == ["gust fired"]
        told = OscMessage(peer.recv(4096))
        assert (told.address, told.params) == ("/vivant/trigger/gust", [1])


def arrive(door: OscDoor, show: Show, messages: int) -> None:
    """Drain until so many messages came over the loopback."""
    for _ in range(500):
        door.drain(show.tree, show.clock.ns)
        if door.counts()["received"] >= messages:
            return
        time.sleep(0.01)
    raise AssertionError("nothing came over the loopback in five seconds")


def test_sixty_four_triggers_are_looked_at_without_building_anything_up(tmp_path: Path) -> None:
    rules = "".join(
        f"[triggers.t{i}]\nwhen.all = [{{ signal = 'motion', above = 0.5 }}, {{ time = '10:00-18:00' }}]\n"
        f"do = {{ seed = {i} }}\n"
        for i in range(64)
    )
    show = Show(tmp_path, rules)
    assert len(show.at(0, motion=1)) == 64
    assert show.at(1, motion=1) == []
    assert show.triggers.counts()["fired"] == dict.fromkeys(tomllib.loads(rules)["triggers"], 1)
