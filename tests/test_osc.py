"""The OSC door: honest messages act, hostile ones are counted, and everyone who asked is told."""

from __future__ import annotations

import random
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vivant.runtime.aliases import Alias
from vivant.runtime.endpoints import Endpoint, endpoint, is_loopback, network
from vivant.runtime.frames import ManualClock, MonotonicClock, VivantError
from vivant.runtime.inbox import MOST_WAITING
from vivant.runtime.osc import OscDoor
from vivant.runtime.packets import (
    BUNDLE,
    LARGEST_DATAGRAM,
    Malformed,
    address_of,
    arguments,
    message,
    split,
    time_tag,
)
from vivant.runtime.parameters import CHOOSE, AdapterSketch, adapter_parameter, parameters_for
from vivant.runtime.port import WAITING_BYTES
from vivant.runtime.schedule import MOST
from vivant.runtime.tape import Tap
from vivant.runtime.tree import Tree
from vivant.tools.osc_send import hostile, value_of

LOOPBACK = "127.0.0.1"
EXPOSURE = "/vivant/look/exposure"
CONTRAST = "/vivant/look/contrast"
RESET = "/vivant/reset"
WALL_S = 1_800_000_000.0
LIMIT_S = 10.0  # for a datagram to cross the loopback device; reached only by a failure
AT_A_TIME = 8
SECOND_NS = 1_000_000_000


class Client:
    """A program that speaks OSC with the door over a real socket."""

    def __init__(self, door: OscDoor, host: str = LOOPBACK) -> None:
        self.door = door
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind((host, 0))
        self.socket.connect(door.address)
        self.socket.settimeout(LIMIT_S)
        self.where: Endpoint = self.socket.getsockname()

    def send(self, *datagrams: bytes) -> None:
        """Send, and wait until the door's thread has put everything aside; a few at a time, because the
        kernel's buffer may be small."""
        for first in range(0, len(datagrams), AT_A_TIME):
            some = datagrams[first : first + AT_A_TIME]
            self._wanted = seen(self.door) + len(some)
            for datagram in some:
                self.socket.send(datagram)
            until(lambda: seen(self.door) == self._wanted)

    def heard(self) -> tuple[str, list[object]]:
        datagram = self.socket.recv(65536)
        return address_of(datagram).decode(), list(arguments(datagram))

    def silent(self) -> bool:
        """Whether nothing has come. The loopback device delivers before the sender's call returns."""
        self.socket.setblocking(False)
        try:
            self.socket.recv(65536)
        except BlockingIOError:
            return True
        finally:
            self.socket.settimeout(LIMIT_S)
        return False


def seen(door: OscDoor) -> int:
    counts = door.counts()
    return int(counts["datagrams"] + counts["refused_by_reason"].get("not_allowed", 0))


def until(done: Callable[[], bool]) -> None:
    end = time.monotonic() + LIMIT_S
    while not done():
        assert time.monotonic() < end, "the datagrams did not arrive"
        time.sleep(0.0005)


def bundle(tag: int, *elements: bytes) -> bytes:
    return BUNDLE + struct.pack(">Q", tag) + b"".join(struct.pack(">i", len(e)) + e for e in elements)


@pytest.fixture
def tree() -> Tree:
    return Tree(parameters_for())


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def open_door(clock: ManualClock) -> Iterator[Callable[..., OscDoor]]:
    doors: list[OscDoor] = []

    def opened(allow: tuple[str, ...] = (), targets: tuple[Endpoint, ...] = (), **more: Any) -> OscDoor:
        doors.append(OscDoor((LOOPBACK, 0), allow, targets, clock, wall_s=lambda: WALL_S, **more))
        return doors[-1]

    yield opened
    for door in doors:
        door.close()


@pytest.fixture
def door(open_door: Callable[..., OscDoor]) -> OscDoor:
    return open_door()


@pytest.fixture
def client(door: OscDoor) -> Iterator[Client]:
    made = Client(door)
    yield made
    made.socket.close()


def test_a_message_sets_its_parameter(door: OscDoor, client: Client, tree: Tree) -> None:
    client.send(message(EXPOSURE, (0.5,)), message("/vivant/present/mirror", (True,)))
    door.drain(tree, 0)
    assert (tree.value(EXPOSURE), tree.value("/vivant/present/mirror")) == (0.5, True)
    assert door.counts()["applied"] == 2


def test_an_address_that_comes_while_peers_send_is_refused_before_and_taken_after(
    door: OscDoor, client: Client, tree: Tree
) -> None:
    linen = "/vivant/adapter/linen"
    client.send(message(linen, (0.5,)))
    door.drain(tree, 0)
    assert door.counts()["refused_by_reason"] == {"unknown_address": 1}
    tree.add(adapter_parameter("linen", AdapterSketch("woven", True)), "linen")
    client.send(message(linen, (0.5,)), message(linen + "/norm", (0.75,)), message(CHOOSE, ("linen",)))
    door.drain(tree, 0)
    counts = door.counts()
    assert counts["applied"] == 3 and counts["refused_by_reason"] == {"unknown_address": 1}
    assert tree.value(CHOOSE) == "linen"
    assert add_up(counts)


def test_of_many_messages_to_one_address_the_newest_wins(door: OscDoor, client: Client, tree: Tree) -> None:
    client.send(*[message(EXPOSURE, (i / 100,)) for i in range(100)], message(CONTRAST, (0.5,)))
    door.drain(tree, 0)
    assert tree.value(EXPOSURE) == pytest.approx(0.99, abs=1e-6)  # float32
    counts = door.counts()
    assert (counts["received"], counts["applied"], counts["superseded"]) == (101, 2, 99)


def test_what_was_sent_last_is_applied_last(door: OscDoor, client: Client, tree: Tree) -> None:
    plain, norm = message(EXPOSURE, (1.5,)), message(EXPOSURE + "/norm", (0.25,))
    client.send(plain, norm, plain)
    door.drain(tree, 0)
    assert tree.value(EXPOSURE) == 1.5


def test_no_action_is_lost_among_others(door: OscDoor, client: Client, tree: Tree) -> None:
    client.send(*[message(RESET, ())] * 3, message(RESET, (1,)), message(RESET, (0,)))
    door.drain(tree, 0)
    assert len(tree.actions()) == 4
    assert door.counts()["superseded"] == 0


def test_an_impulse_fires_an_action(door: OscDoor, client: Client, tree: Tree) -> None:
    client.send(b"/vivant/reset\0\0\0,I\0\0")
    door.drain(tree, 0)
    assert len(tree.actions()) == 1


def test_a_bundle_acts_when_its_time_is_nearest_and_one_that_is_late_at_once(
    door: OscDoor, client: Client, tree: Tree
) -> None:
    later = bundle(time_tag(WALL_S + 2), message(CONTRAST, (0.5,)))
    client.send(bundle(time_tag(WALL_S - 1), message(EXPOSURE, (0.25,)), bundle(1, later)))
    door.drain(tree, 0)
    assert (tree.value(EXPOSURE), tree.value(CONTRAST)) == (0.25, 1.0)
    counts = door.counts()
    assert (counts["received"], counts["applied"], counts["scheduled"], counts["late"]) == (2, 1, 1, 1)
    assert counts["waiting"] == 1 and add_up(counts)
    refresh_ns = SECOND_NS // 60
    at_ns = 2 * SECOND_NS - 10 * refresh_ns
    seen_ns = None
    while seen_ns is None:
        door.drain(tree, at_ns)
        if tree.value(CONTRAST) == 0.5:
            seen_ns = at_ns + refresh_ns  # what is drawn at a refresh is seen as it ends
        at_ns += refresh_ns
    assert abs(seen_ns - 2 * SECOND_NS) <= refresh_ns // 2 + 1000  # 1 us: tags are not whole nanoseconds


def test_a_panic_does_not_wait_for_its_time_and_its_end_may_not(
    door: OscDoor, client: Client, tree: Tree
) -> None:
    tomorrow = time_tag(WALL_S + 30)
    client.send(bundle(tomorrow, message("/vivant/panic", ())))
    client.send(bundle(tomorrow, message("/vivant/panic/release", ())))
    door.drain(tree, 0)
    assert tree.panic
    door.drain(tree, 31 * SECOND_NS)
    assert tree.panic
    assert door.counts()["refused_by_reason"] == {"not_at_once": 1}


def test_a_time_an_hour_away_and_too_many_times_are_refused(
    door: OscDoor, client: Client, tree: Tree
) -> None:
    client.send(bundle(time_tag(WALL_S + 3600), message(EXPOSURE, (1.0,))))
    many = [bundle(time_tag(WALL_S + 5), *[message(EXPOSURE, (0.5,))] * 300)] * 15
    client.send(*many)
    door.drain(tree, 0)
    counts = door.counts()
    assert counts["refused_by_reason"] == {"too_far": 1, "too_many": 4500 - MOST}
    assert counts["scheduled"] == MOST and add_up(counts)
    door.drain(tree, 6 * SECOND_NS)
    assert tree.value(EXPOSURE) == 0.5
    assert door.counts()["waiting"] == 0 and add_up(door.counts())


def test_an_alias_acts_like_what_it_stands_for(open_door: Callable[..., OscDoor], tree: Tree) -> None:
    door = open_door(
        aliases=(
            Alias("/layer1/opacity", EXPOSURE + "/norm", 0.0, 127.0),
            Alias("/composition/stop", "/vivant/panic"),
            Alias("/look", CHOOSE),
        )
    )
    client = Client(door)
    client.send(message("/layer1/opacity", (127,)), message("/composition/stop", (1,)))
    client.send(message("/look", ("ink",)), message("/layer1/opacity", (200,)))
    door.drain(tree, 0)
    assert (tree.panic, tree.value(CHOOSE)) == (True, "ink")
    assert door.counts()["refused_by_reason"] == {"out_of_range": 1}
    assert client.heard() == ("/vivant/refused", ["/layer1/opacity", "out_of_range"])
    client.send(message("/layer1/opacity", (127,)))
    door.drain(tree, 0)
    assert tree.value(EXPOSURE) == 2.0
    client.socket.close()


def test_what_is_heard_is_kept_on_tape(open_door: Callable[..., OscDoor], tree: Tree) -> None:
    tap = Tap(ManualClock())
    door = open_door(tap=tap, allow=("127.0.0.1",))
    client = Client(door)
    sent = [message(EXPOSURE, (0.5,)), b"hello"]
    client.send(*sent)
    assert [packet for _, packet, _ in tap.waiting] == sent
    client.socket.close()


@pytest.mark.parametrize(
    ("datagram", "reason"),
    [
        (b"", "malformed"),
        (b"hello", "malformed"),
        (BUNDLE, "malformed"),
        (bundle(1)[:12], "malformed"),
        (BUNDLE + bytes(8) + struct.pack(">i", -4), "malformed"),  # python-osc never comes back from this one
        (BUNDLE + bytes(8) + struct.pack(">i", 2**31 - 1), "malformed"),
        (bundle(1, message(EXPOSURE, (1.0,)), b"odd!"), "malformed"),
        (b"/vivant/look/exposure\0\0\0,d\0\0abcd", "malformed"),
        (b"/vivant/look/exposure\0\0\0,X\0\0\0\0\0\0", "malformed"),
        (b"/vivant/style/choose\0\0\0\0,s\0\0\xff\xff\xff\0", "malformed"),
        (message(EXPOSURE, ("x" * 2000,)), "malformed"),
        (b"/" + bytes(LARGEST_DATAGRAM), "malformed"),
        (message("/vivant/look/exposur", (1.0,)), "unknown_address"),
        (b"/\xff\xfe\0", "unknown_address"),
        (message(EXPOSURE, ("1",)), "wrong_type"),
        (message(EXPOSURE, (9.0,)), "out_of_range"),
        (message(EXPOSURE, (float("nan"),)), "not_finite"),
        (message(EXPOSURE, (1.0, 1.0)), "wrong_arity"),
        (message("/vivant/status/late", (1,)), "read_only"),
        (message("/vivant/subscribe", ("10.0.0.1", 9000)), "not_allowed"),
        (message("/vivant/subscribe", ("a name", 9000)), "wrong_type"),
        (message("/vivant/subscribe", (0,)), "out_of_range"),
        (message("/vivant/subscribe", (float("nan"),)), "out_of_range"),
        (message("/vivant/unsubscribe", (1, 2, 3)), "wrong_arity"),
    ],
)
def test_what_cannot_be_taken_is_refused_with_its_reason(
    door: OscDoor, client: Client, tree: Tree, datagram: bytes, reason: str
) -> None:
    before = tree.values()
    client.send(datagram)
    door.drain(tree, 0)
    assert tree.values() == before
    assert door.counts()["refused_by_reason"] == {reason: 1}
    heard, args = client.heard()
    assert (heard, args[1]) == ("/vivant/refused", reason)


def test_a_clamped_value_is_applied_and_counted(door: OscDoor, client: Client, tree: Tree) -> None:
    client.send(message(EXPOSURE, (2.03,)))
    door.drain(tree, 0)
    assert (tree.value(EXPOSURE), door.counts()["clamped"]) == (2.0, 1)


def test_only_named_senders_are_heard(open_door: Callable[..., OscDoor], tree: Tree) -> None:
    door = open_door(allow=("10.1.0.0/16", "127.0.0.9"))
    stranger = Client(door)
    stranger.send(message(EXPOSURE, (1.0,)), message("/vivant/ping", ()))
    door.drain(tree, 0)
    assert tree.value(EXPOSURE) == 0.0
    assert door.counts()["refused_by_reason"] == {"not_allowed": 2}
    assert stranger.silent()
    stranger.socket.close()


def test_a_port_in_use_is_said_with_the_way_out(door: OscDoor) -> None:
    port = door.address[1]
    with pytest.raises(VivantError) as error:
        OscDoor((LOOPBACK, port))
    assert f"cannot listen on 127.0.0.1:{port}: another program has port {port}" in str(error.value)
    assert "--osc 127.0.0.1:" in str(error.value)


@pytest.mark.parametrize("host", ["192.0.2.1", "no-such-machine.invalid"])  # RFC 5737, RFC 6761
def test_an_address_of_another_machine_is_said(host: str) -> None:
    with pytest.raises(VivantError, match="is no address of this machine"):
        OscDoor((host, 9000))


def test_closing_frees_the_port_and_ends_the_thread(open_door: Callable[..., OscDoor]) -> None:
    before = set(threading.enumerate())
    door = open_door()
    address = door.address
    (receiving,) = set(threading.enumerate()) - before
    door.close()
    door.close()
    receiving.join(30.0)  # on a busy machine
    assert not receiving.is_alive()
    OscDoor(address).close()


def test_the_first_lines_say_who_can_reach_the_door() -> None:
    for host, allow, words in [
        (LOOPBACK, (), "for this machine only"),
        ("0.0.0.0", (), "open to the network for everyone who reaches it"),
        ("0.0.0.0", ("10.0.0.5",), "open to the network for 10.0.0.5"),
    ]:
        door = OscDoor((host, 0), allow)
        assert door.describe() == f"OSC on {host}:{door.address[1]}, {words}"
        door.close()


def test_a_ping_comes_back_to_its_sender(door: OscDoor, client: Client, tree: Tree) -> None:
    client.send(message("/vivant/ping", (41,)))
    door.drain(tree, 0)
    assert client.heard() == ("/vivant/pong", [41])


def test_a_subscriber_gets_every_value_then_changes_then_nothing(
    door: OscDoor, client: Client, tree: Tree, clock: ManualClock
) -> None:
    def feed(seconds: float) -> None:
        clock.advance_s(seconds)
        door.drain(tree, clock.now_ns())
        door.feed(tree, lambda: {"late": 3, "unlisted": 1, "render_ms": float("nan")}, clock.now_ns())

    client.send(message("/vivant/subscribe", ()))
    feed(0.0)
    assert client.heard() == ("/vivant/subscribed", [LOOPBACK, client.where[1], 60])
    heard: dict[str, list[object]] = {}
    for _ in range(4):
        feed(0.04)
        while not client.silent():
            pass
    feed(1.0)
    assert client.heard() == ("/vivant/status/late", [3])
    assert client.silent()

    tree.set(EXPOSURE, (1.0,), 0, "keys")
    tree.set("/vivant/present/mirror", (True,), 0, "keys")
    feed(0.04)
    heard = dict(client.heard() for _ in range(4))
    assert heard == {
        EXPOSURE: [1.0],
        EXPOSURE + "/norm": [0.75],
        "/vivant/present/mirror": [1],
        "/vivant/present/mirror/norm": [1.0],
    }
    feed(61.0)
    tree.set(EXPOSURE, (0.0,), 0, "keys")
    feed(0.04)
    assert client.silent()
    assert door.counts()["feedback"]["subscribers"] == 0


def test_what_leaves_the_machine_does_not_raise(open_door: Callable[..., OscDoor], tree: Tree) -> None:
    door = open_door(targets=(("192.0.2.1", 9), ("255.255.255.255", 9)))  # unreachable, and not permitted
    door.feed(tree, dict, 0)
    feedback = door.counts()["feedback"]
    assert feedback["sent"] + feedback["failed"] == 64


def test_a_drain_out_of_time_leaves_the_rest_for_the_next(door: OscDoor, client: Client, tree: Tree) -> None:
    client.send(*[message(RESET, ())] * 200)

    class Hurried:
        """A clock on which time passes at every look."""

        ns = 0

        def now_ns(self) -> int:
            self.ns += 20_000
            return self.ns

    door._inbox._clock = Hurried()
    drains = 0
    while door.counts()["applied"] < 200:
        door.drain(tree, 0)
        drains += 1
        assert drains < 200
    assert drains > 2


def test_waiting_actions_have_a_limit(door: OscDoor, client: Client, tree: Tree) -> None:
    many = bundle(1, *[message(RESET, ())] * 500)
    client.send(*[many] * 10)
    door._inbox._apply = lambda *_: None  # type: ignore[method-assign]  # a loop that never gets to them
    door.drain(tree, 0)
    assert door.counts()["waiting"] == MOST_WAITING
    assert door.counts()["refused_by_reason"] == {"too_many": 5000 - MOST_WAITING}


def test_when_nobody_drains_the_oldest_datagrams_go(door: OscDoor, client: Client, tree: Tree) -> None:
    big = bundle(1, *[message(EXPOSURE, (0.5,))] * 400)
    count = WAITING_BYTES // len(big) + 50
    for _ in range(count):
        client.send(big)
    client.send(message(EXPOSURE, (1.0,)))
    assert door.counts()["overflow"] > 0
    while len(door._port):
        door.drain(tree, 0, budget_ms=1e6)
    assert tree.value(EXPOSURE) == 1.0


def settled(door: OscDoor, tree: Tree) -> dict[str, Any]:
    while len(door._port) or door.counts()["waiting"]:
        door.drain(tree, 0)
    return door.counts()


def add_up(counts: dict[str, Any]) -> bool:
    became = counts["applied"] + counts["clamped"] + counts["superseded"] + counts["waiting"]
    return bool(counts["received"] == became + sum(counts["refused_by_reason"].values()))


def test_ten_thousand_hostile_datagrams_are_all_accounted_for(
    door: OscDoor, client: Client, tree: Tree
) -> None:
    draw = random.Random(1)
    for _ in range(200):
        client.send(*[hostile(draw) for _ in range(50)])
        door.drain(tree, 0)
        door.feed(tree, dict, 0)
    counts = settled(door, tree)
    assert counts["datagrams"] == 10_000
    assert add_up(counts)
    assert counts["refused_by_reason"]["malformed"] > 1_000
    client.send(message(EXPOSURE, (0.5,)))
    door.drain(tree, 0)
    assert tree.value(EXPOSURE) == 0.5


INT64 = st.integers(-(2**63), 2**63 - 1)
WORD = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=20)
ARGUMENT = st.one_of(st.floats(width=32), INT64, WORD, st.booleans())
ADDRESS = st.sampled_from(Tree(parameters_for()).addresses())
SENTENCE = st.builds(message, ADDRESS, st.lists(ARGUMENT, max_size=3))
TIME_TAG = st.integers(0, 2**64 - 1)
PACKET = st.recursive(
    SENTENCE | st.binary(max_size=40),
    lambda inner: st.builds(lambda tag, parts: bundle(tag, *parts), TIME_TAG, st.lists(inner, max_size=3)),
    max_leaves=6,
)


@settings(max_examples=300, deadline=None)
@given(PACKET, st.lists(st.tuples(st.integers(0, 400), st.integers(0, 255)), max_size=4), st.integers(0, 8))
def test_no_bytes_bring_anything_but_messages_or_malformed(
    packet: bytes, edits: list[tuple[int, int]], cut: int
) -> None:
    damaged = bytearray(packet[: len(packet) - cut])
    for at, value in edits:
        if at < len(damaged):
            damaged[at] = value
    tree = Tree(parameters_for())
    try:
        for found, _ in split(bytes(damaged)):
            address = address_of(found).decode("utf-8", "replace")
            tree.set(address, arguments(found), 0, "osc")
    except Malformed:
        return


def test_a_flood_reaches_the_tree_with_its_last_values(tree: Tree) -> None:
    """Real time on purpose: the receiving thread and a drain beside each other, 20,000 messages."""
    door = OscDoor((LOOPBACK, 0), clock=MonotonicClock())
    sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sender.connect(door.address)
    for i in range(20_000):
        sender.send(message(EXPOSURE, (i / 20_000,)) if i % 2 else message(CONTRAST, (i / 20_000,)))
        if i % 300 == 0:
            door.drain(tree, 0)

    def arrived() -> bool:
        sender.send(message(EXPOSURE, (2.0,)))
        sender.send(message(CONTRAST, (2.0,)))
        door.drain(tree, 0)
        return tree.value(EXPOSURE) == tree.value(CONTRAST) == 2.0

    until(arrived)
    counts = settled(door, tree)
    assert add_up(counts)
    door.close()
    sender.close()


@pytest.mark.parametrize(
    "text", ["", "9000", ":9000", "host:", "host:0", "host:65536", "a b:1", "::1:9000", "host:１"]
)
def test_an_endpoint_that_is_none_is_explained(text: str) -> None:
    with pytest.raises(ValueError, match="should be"):
        endpoint(text)


def test_endpoints_and_networks_are_read() -> None:
    assert endpoint("tablet.local:9001") == ("tablet.local", 9001)
    assert network("10.0.0.7/8") == network("10.0.0.0/8")
    assert is_loopback("127.0.0.5") and is_loopback("localhost") and not is_loopback("0.0.0.0")
    with pytest.raises(ValueError, match="should be an address"):
        network("tablet")


def test_words_of_the_command_line_become_arguments() -> None:
    assert [value_of(word) for word in ("1", "-0.5", "true", "ink")] == [1, -0.5, True, "ink"]
