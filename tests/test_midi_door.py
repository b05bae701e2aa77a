"""The MIDI door with real MIDI: over a network connection, and through JACK's virtual ports where it is."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import mido
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mido.sockets import connect

from vivant.runtime.frames import MonotonicClock, VivantError
from vivant.runtime.midi.door import MidiDoor
from vivant.runtime.midi.mapping import Binding, MidiMap, read_map
from vivant.runtime.midi.network import MOST_CLIENTS, PIECE
from vivant.runtime.midi.ports import ENOUGH, MOST_WAITING, Ports, Waiting
from vivant.runtime.midi.section import LEARN, SAVE, midi_parameters
from vivant.runtime.parameters import parameters_for
from vivant.runtime.tempo.leads import MidiClock
from vivant.runtime.tree import Tree

CLOCK = MonotonicClock()
GRAIN, EXPOSURE = "/vivant/look/grain", "/vivant/look/exposure"
MAP = MidiMap(
    controls=(Binding(control="cc:1:7", to="look/grain"), Binding(control="note:10:36", to="present/blank"))
)


def tree() -> Tree:
    return Tree((*parameters_for(), *midi_parameters({"inputs": "all"})))


def wait_for(what: Callable[[], object]) -> None:
    until = time.monotonic() + 20
    while not what():
        assert time.monotonic() < until
        time.sleep(0.005)


class Desk:
    """A door on a network port, the tree behind it, and a controller that is connected."""

    def __init__(self, path: Path | None = None) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.number = probe.getsockname()[1]
        self.tree, self.waiting, self.beats = tree(), Waiting(CLOCK), MidiClock()
        self.ports = Ports([f"tcp:127.0.0.1:{self.number}"], self.waiting)
        self.door = MidiDoor(self.ports, self.waiting, CLOCK, MAP, path, self.beats)
        self.door.drain(self.tree, 0)
        self.controller = connect("127.0.0.1", self.number)

    def play(self, *messages: mido.Message) -> None:
        """Send them, and take what came."""
        before = self.waiting.received
        for message in messages:
            self.controller.send(message)
        wait_for(lambda: self.waiting.received >= before + len(messages))
        self.door.drain(self.tree, CLOCK.now_ns())

    def told(self) -> list[mido.Message]:
        """What the controller was told by now."""
        self.door.feed(self.tree, dict, CLOCK.now_ns() + 10**9)
        time.sleep(0.1)
        return list(self.controller.iter_pending())

    def close(self) -> None:
        self.controller.close()
        self.door.close()


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    desk = Desk(tmp_path / "learned.toml")
    yield desk
    desk.close()


def cc(number: int, value: int) -> mido.Message:
    return mido.Message("control_change", control=number, value=value)


def test_a_fader_and_a_pad_move_what_the_map_says(desk: Desk) -> None:
    desk.play(cc(7, 127), mido.Message("note_on", channel=9, note=36, velocity=90))
    assert desk.tree.value(GRAIN) == 1.0 and desk.tree.value("/vivant/present/blank") is True
    desk.play(cc(99, 1))
    counts = desk.door.counts()
    assert (counts["applied"], counts["unmapped"], counts["received"]) == (2, 1, 3)


def test_of_a_faders_positions_only_the_newest_is_set_and_every_press_counts(desk: Desk) -> None:
    pad = mido.Message("note_on", channel=9, note=36, velocity=90)
    desk.play(*(cc(7, value) for value in range(100)), pad, pad, pad)
    assert desk.tree.value(GRAIN) == pytest.approx(99 / 127)
    assert desk.tree.value("/vivant/present/blank") is True  # on, off, on
    assert desk.door.counts()["applied"] == 4


def test_the_controller_hears_what_others_change_and_not_its_own_moves(desk: Desk) -> None:
    first = {(m.type, m.control if m.type == "control_change" else m.note) for m in desk.told()}
    assert first == {("control_change", 7), ("note_on", 36)}  # where everything stands, to begin with
    desk.play(cc(7, 64))
    assert desk.told() == []
    desk.tree.set(GRAIN, (1.0,), 0, "osc")
    assert [(m.control, m.value) for m in desk.told()] == [(7, 127)]


def test_what_is_moved_next_is_learned_and_saved(desk: Desk, tmp_path: Path) -> None:
    desk.tree.set(LEARN, (EXPOSURE,), 0, "osc")
    desk.play(cc(21, 1))
    desk.play(cc(21, 127))
    assert desk.tree.value(EXPOSURE) == 2.0 and desk.tree.value(LEARN) == ""
    desk.tree.set(SAVE, (), 0, "osc")
    desk.door.drain(desk.tree, CLOCK.now_ns())
    wait_for((tmp_path / "learned.toml").exists)
    assert ("cc:1:21", "look/exposure") in [
        (b.control, b.to) for b in read_map(tmp_path / "learned.toml").controls
    ]


def test_an_address_that_is_none_is_not_learned(desk: Desk) -> None:
    desk.tree.set(LEARN, ("/vivant/look/exposur",), 0, "osc")
    desk.play(cc(21, 1))
    assert desk.tree.value(LEARN) == "" and desk.door.refused == 1


def test_a_clock_leads_the_tempo(desk: Desk) -> None:
    began_ns = CLOCK.now_ns()
    desk.play(mido.Message("start"))
    for tick in range(60):
        due_ns = began_ns + (tick + 1) * 20_000_000  # 125 beats a minute
        while CLOCK.now_ns() < due_ns:
            time.sleep(0.001)
        desk.controller.send(mido.Message("clock"))
        desk.door.drain(desk.tree, CLOCK.now_ns())
    wait_for(lambda: desk.waiting.received == 61)
    desk.door.drain(desk.tree, CLOCK.now_ns())
    line = desk.beats.line(CLOCK.now_ns())
    assert line is not None
    assert 60e9 / line.period_ns == pytest.approx(125, rel=0.05)  # a loaded machine shifts ticks


def test_a_flood_and_system_exclusive_are_counted_and_cost_no_other_message(desk: Desk) -> None:
    for _ in range(50):
        desk.controller.send(mido.Message("sysex", data=[1] * 2000))
    for value in range(5000):
        desk.controller.send(cc(20, value % 128))
    desk.controller.send(cc(7, 127))
    wait_for(lambda: desk.waiting.received >= ENOUGH)
    time.sleep(0.05)
    assert len(desk.waiting) < ENOUGH + PIECE  # the sender waits, and nothing of it is lost
    wait_for(lambda: (desk.door.drain(desk.tree, CLOCK.now_ns()), desk.tree.value(GRAIN) == 1.0)[1])
    counts = desk.door.counts()
    assert (counts["received"], counts["waiting"], counts["overflow"]) == (5001, 0, 0)
    assert counts["refused_by_reason"] == {"system_exclusive": 50}
    assert desk.door.refused == 50


def test_a_connection_too_many_is_ended_and_counted(desk: Desk) -> None:
    with ExitStack() as all_open:
        for _ in range(MOST_CLIENTS + 1):
            all_open.enter_context(socket.create_connection(("127.0.0.1", desk.number)))
        wait_for(lambda: desk.door.counts()["refused_by_reason"].get("too_many", 0) >= 1)


def test_what_is_too_much_between_two_refreshes_is_dropped_and_counted() -> None:
    waiting = Waiting(CLOCK)
    for _ in range(MOST_WAITING + 10):
        waiting.put("pad", (0xB0, 7, 1))
    assert (len(waiting), waiting.overflow) == (MOST_WAITING, 10)


def test_garbage_on_the_wire_ends_nothing(desk: Desk) -> None:
    with socket.create_connection(("127.0.0.1", desk.number)) as wire:
        wire.sendall(os.urandom(20_000))
    desk.controller.send(cc(7, 127))  # it may have to wait for the garbage before
    wait_for(lambda: (desk.door.drain(desk.tree, CLOCK.now_ns()), desk.tree.value(GRAIN) == 1.0)[1])


@settings(max_examples=30, deadline=None)
@given(st.lists(st.lists(st.integers(0, 255), max_size=4), max_size=60))
def test_no_message_raises(messages: list[list[int]]) -> None:
    waiting = Waiting(CLOCK)
    ports = Ports([], waiting)
    door = MidiDoor(ports, waiting, CLOCK, MAP, None, MidiClock())
    for message in messages:
        waiting.put("pad", message)
    door.drain(tree(), 0)
    door.close()
    assert door.counts()["waiting"] == 0


def test_a_port_that_is_taken_is_said_before_the_show(desk: Desk) -> None:
    with pytest.raises(VivantError, match=r"MIDI cannot listen on 127\.0\.0\.1"):
        Ports([f"tcp:127.0.0.1:{desk.number}"], Waiting(CLOCK))


JACK = pytest.mark.skipif(
    shutil.which("jackd") is None, reason="jackd is not installed: no virtual MIDI ports"
)


@pytest.fixture
def jack(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """rtmidi on a JACK server of its own, which needs no sound card."""
    import rtmidi

    name = f"vivant{os.getpid()}"
    server = subprocess.Popen(
        ["jackd", "--no-realtime", "-n", name, "-d", "dummy", "-r", "48000", "-p", "256"],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    monkeypatch.setenv("JACK_DEFAULT_SERVER", name)
    monkeypatch.setenv("JACK_NO_START_SERVER", "1")

    def there() -> bool:
        try:
            rtmidi.MidiOut(rtmidi.API_UNIX_JACK, name="probe").delete()
        except rtmidi.SystemError:
            return False
        return True

    wait_for(there)
    yield rtmidi
    server.terminate()
    server.wait()


@JACK
def test_a_controller_that_is_plugged_in_plays_and_one_that_goes_is_missed(jack: Any) -> None:
    waiting = Waiting(CLOCK)
    ports = Ports(["all"], waiting, system=lambda: (jack, jack.API_UNIX_JACK))
    door, shown = MidiDoor(ports, waiting, CLOCK, MAP), tree()
    pad = jack.MidiOut(jack.API_UNIX_JACK, name="pad")
    pad.open_virtual_port("keys")
    wait_for(lambda: "pad:keys" in ports.names)
    wait_for(lambda: (pad.send_message([0xB0, 7, 127]), waiting.received)[1])  # JACK connects in a while
    door.drain(shown, CLOCK.now_ns())
    assert shown.value(GRAIN) == 1.0
    pad.close_port()
    pad.delete()
    wait_for(lambda: ports.lost == 1)
    assert ports.names == ()
    door.close()
