"""OSC on tape: what is heard is written, what is written is said again at its time, damage is left out."""

from __future__ import annotations

import base64
import json
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from vivant.cli.osc import app
from vivant.runtime.aliases import Alias
from vivant.runtime.frames import ManualClock, VivantError
from vivant.runtime.packets import BUNDLE, address_of, arguments, in_time, message, split, time_tag
from vivant.runtime.parameters import parameters_for
from vivant.runtime.replay import ReplayDoor
from vivant.runtime.tape import LARGEST_FILE, Recorded, Tape
from vivant.runtime.tree import Tree

LOOPBACK = "127.0.0.1"
EXPOSURE = "/vivant/look/exposure"
WALL_S = 1_800_000_000.0
SECOND_NS = 1_000_000_000
ME = (LOOPBACK, 5000)


def bundle(wall_s: float, inner: bytes) -> bytes:
    return BUNDLE + time_tag(wall_s).to_bytes(8, "big") + len(inner).to_bytes(4, "big") + inner


def taped(path: Path, packets: list[tuple[float, bytes]]) -> Path:
    """A tape on which each packet was heard at its second."""
    clock = ManualClock()
    tape = Tape(path, clock, wall_s=lambda: WALL_S)
    tap = tape.tap()
    at_s = 0.0
    for second, packet in packets:
        clock.advance_s(second - at_s)
        at_s = second
        tap.hear(packet, ME)
    tape.close()
    assert tape.counts()["written"] == len(packets)
    return path


@pytest.fixture
def tree() -> Tree:
    return Tree(parameters_for())


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as made:
        made.bind((LOOPBACK, 0))
        made.settimeout(10.0)
        yield made


def played(door: ReplayDoor, tree: Tree, clock: ManualClock, until_s: float) -> None:
    """Refresh sixty times a second until `until_s` after the first refresh."""
    door._thread.join(timeout=10.0)
    while clock.now_ns() <= until_s * SECOND_NS:
        door.drain(tree, clock.now_ns())
        clock.advance_s(1 / 60)


def test_a_tape_holds_every_packet_with_its_time_and_who_said_it(tmp_path: Path) -> None:
    said = [(0.25, message(EXPOSURE, (1.0,))), (0.5, b"no osc"), (3600.0, b"")]
    tape = Recorded(taped(tmp_path / "a.oscl", said))
    assert [(heard.at_s, heard.packet) for heard in tape] == said
    assert {heard.sender for heard in tape} == {f"{LOOPBACK}:5000"}
    assert (tape.wall_s, tape.damaged) == (WALL_S, 0)
    second = json.loads((tmp_path / "a.oscl").read_text().splitlines()[1])
    assert second["address"] == EXPOSURE  # for whoever reads it


def test_two_taps_make_one_tape_in_the_order_of_time(tmp_path: Path) -> None:
    clock = ManualClock()
    tape = Tape(tmp_path / "a.oscl", clock)
    taps = tape.tap(), tape.tap()
    for i in range(10):
        taps[i % 2].hear(bytes([i]), ME)
        clock.advance_s(0.001)
    tape.close()
    assert [heard.packet for heard in Recorded(tmp_path / "a.oscl")] == [bytes([i]) for i in range(10)]


@pytest.mark.parametrize("cut", range(1, 60, 7))
def test_a_torn_last_line_is_left_out(tmp_path: Path, cut: int) -> None:
    path = taped(tmp_path / "a.oscl", [(i / 10, message(EXPOSURE, (i / 10,))) for i in range(5)])
    path.write_bytes(path.read_bytes()[:-cut])
    tape = Recorded(path)
    found = list(tape)
    assert len(found) == 5 if cut == 1 else len(found) == 4  # without its line feed the last one is whole
    assert tape.damaged == (cut != 1)


@pytest.mark.parametrize(
    "line",
    [
        b"{}",
        b"[]",
        b"\xff\xfe",
        b'{"at_s": -1, "from": "", "osc": ""}',
        b'{"at_s": NaN, "from": "", "osc": ""}',
        b'{"at_s": 1, "from": "", "osc": "!"}',
        b'{"at_s": 1, "from": "", "osc": "' + base64.b64encode(bytes(20_000)) + b'"}',
        b"x" * 300_000,
        b"[" * 9_999,
    ],
)
def test_a_line_that_an_editor_spoiled_is_left_out(tmp_path: Path, line: bytes) -> None:
    path = taped(tmp_path / "a.oscl", [(0.1, message(EXPOSURE, (1.0,)))])
    path.write_bytes(path.read_bytes() + line + b"\n" + path.read_bytes().splitlines(keepends=True)[1])
    tape = Recorded(path)
    assert len(list(tape)) == 2
    assert tape.damaged > 0


@pytest.mark.parametrize(
    "text", ["", "hello\n", "{}\n", '{"kind": "vivant osc", "version": 9}\n', "[" * 9999]
)
def test_a_file_that_is_no_tape_is_said(tmp_path: Path, text: str) -> None:
    (tmp_path / "a.oscl").write_text(text)
    with pytest.raises(VivantError, match="is no OSC recording of this version"):
        Recorded(tmp_path / "a.oscl")


def test_a_place_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(VivantError, match="cannot be written"):
        Tape(tmp_path / "file" / "a.oscl")


def test_a_full_disk_ends_the_tape_and_not_the_show(tmp_path: Path) -> None:
    tape = Tape(tmp_path / "a.oscl", ManualClock())
    tap = tape.tap()
    tape.bytes = LARGEST_FILE + 1
    for _ in range(3):
        tap.hear(b"x", ME)
    tape.close()
    counts = tape.counts()
    assert (counts["written"], counts["lost"]) == (0, 3)
    assert "which is enough" in counts["trouble"]


def test_a_replay_acts_at_the_times_at_which_it_was_heard(
    tmp_path: Path, tree: Tree, clock: ManualClock
) -> None:
    path = taped(tmp_path / "a.oscl", [(1.0, message(EXPOSURE, (1.0,))), (2.0, message("/layer", (0.0,)))])
    door = ReplayDoor(path, clock, (Alias("/layer", EXPOSURE + "/norm"),))
    clock.advance_s(0.001)
    played(door, tree, clock, 0.98)
    assert tree.value(EXPOSURE) == 0.0
    played(door, tree, clock, 1.05)
    assert tree.value(EXPOSURE) == 1.0
    assert not door.counts()["done"]
    played(door, tree, clock, 2.1)
    assert tree.value(EXPOSURE) == -2.0
    counts = door.counts()
    assert (counts["applied"], counts["done"], counts["damaged"]) == (2, True, 0)
    door.close()


def test_a_time_tag_on_tape_means_what_it_meant(tmp_path: Path, tree: Tree, clock: ManualClock) -> None:
    packet = bundle(WALL_S + 2.0, message(EXPOSURE, (1.0,)))
    door = ReplayDoor(taped(tmp_path / "a.oscl", [(1.0, packet)]), clock)
    clock.advance_s(0.001)
    played(door, tree, clock, 1.9)
    assert (tree.value(EXPOSURE), door.counts()["scheduled"]) == (0.0, 1)
    played(door, tree, clock, 2.05)
    assert tree.value(EXPOSURE) == 1.0
    door.close()


def test_a_tape_that_is_longer_than_what_is_read_ahead_is_played_whole(
    tmp_path: Path, tree: Tree, clock: ManualClock
) -> None:
    path = taped(tmp_path / "a.oscl", [(i / 1e4, message("/vivant/reset", ())) for i in range(5000)])
    door = ReplayDoor(path, clock)
    while not door.counts()["done"]:
        clock.advance_s(1 / 60)
        door.drain(tree, clock.now_ns())
    while door.counts()["waiting"]:
        door.drain(tree, clock.now_ns())
    assert door.counts()["applied"] == 5000
    door.close()


def test_moved_time_tags_keep_their_distance_and_now_stays_now() -> None:
    inner = bundle(WALL_S + 1, message(EXPOSURE, (1.0,)))
    at_once = BUNDLE + (1).to_bytes(8, "big") + len(inner).to_bytes(4, "big") + inner
    moved = in_time(at_once, 10 << 32)
    assert moved[8:16] == at_once[8:16]
    assert split(moved) == [(message(EXPOSURE, (1.0,)), time_tag(WALL_S + 11))]


def test_the_command_says_a_tape_again_to_any_program(tmp_path: Path, listener: socket.socket) -> None:
    packets = [(0.0, message(EXPOSURE, (0.5,))), (0.2, message(EXPOSURE, (0.75,))), (0.3, b"no osc")]
    path = taped(tmp_path / "a.oscl", packets)
    to = f"{LOOPBACK}:{listener.getsockname()[1]}"
    done = CliRunner().invoke(app, ["replay", str(path), "--to", to, "--speed", "20"])
    assert done.exit_code == 0 and f"3 packets sent to {to}" in done.output
    assert [listener.recv(65536) for _ in packets] == [packet for _, packet in packets]


def test_the_command_that_replays_to_nobody_says_so(tmp_path: Path, listener: socket.socket) -> None:
    to = f"{LOOPBACK}:{listener.getsockname()[1]}"
    listener.close()
    path = taped(tmp_path / "a.oscl", [(i / 10, message(EXPOSURE, (0.5,))) for i in range(4)])
    done = CliRunner().invoke(app, ["replay", str(path), "--to", to, "--speed", "10"])
    assert "not taken (nobody listens there)" in done.output


def test_a_machine_that_nobody_knows_is_said(tmp_path: Path) -> None:
    path = taped(tmp_path / "a.oscl", [(0.0, b"x")])
    with pytest.raises(VivantError, match=r"no-such.invalid:9000 cannot be sent to"):
        CliRunner().invoke(app, ["replay", str(path), "--to", "no-such.invalid:9000"], catch_exceptions=False)


def test_a_port_that_a_show_has_is_said_with_what_to_do(tmp_path: Path, listener: socket.socket) -> None:
    where = f"{LOOPBACK}:{listener.getsockname()[1]}"
    with pytest.raises(VivantError) as error:
        wanted = ["record", str(tmp_path / "a.oscl"), "--from", where]
        CliRunner().invoke(app, wanted, catch_exceptions=False)
    assert "another program has port" in str(error.value)
    assert "vivant run SCENE --osc-record" in str(error.value)
    assert not (tmp_path / "a.oscl").exists()


def test_the_command_keeps_what_it_hears_in_the_place_of_a_show(tmp_path: Path) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind((LOOPBACK, 0))
        port = probe.getsockname()[1]
    file, over = tmp_path / "a.oscl", threading.Event()

    def say() -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            while not over.wait(0.02):
                sender.sendto(message(EXPOSURE, (0.5,)), (LOOPBACK, port))

    saying = threading.Thread(target=say)
    saying.start()
    wanted = ["record", str(file), "--from", f"{LOOPBACK}:{port}", "--seconds", "0.5"]
    done = CliRunner().invoke(app, wanted)
    over.set()
    saying.join()
    heard = list(Recorded(file))
    assert heard and f"{len(heard)} packets in" in done.output
    assert address_of(heard[0].packet).decode() == EXPOSURE and list(arguments(heard[0].packet)) == [0.5]
