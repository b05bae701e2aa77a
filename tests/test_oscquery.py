"""OSCQuery as its clients meet it: over HTTP and the websocket, with the real door and a real tree."""

from __future__ import annotations

import http.client
import json
import math
import socket
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from vivant.runtime.cues.listing import Cue
from vivant.runtime.cues.tracking import cue_parameters
from vivant.runtime.endpoints import Endpoint, outward
from vivant.runtime.frames import MonotonicClock, VivantError
from vivant.runtime.oscquery.door import QueryDoor
from vivant.runtime.oscquery.events import events_of
from vivant.runtime.oscquery.namespace import Board
from vivant.runtime.oscquery.server import MOST_OF_A_HOST, QueryServer
from vivant.runtime.packets import LARGEST_DATAGRAM, address_of, arguments, message, typed_message
from vivant.runtime.parameters import AdapterSketch, Parameter, adapter_parameter, parameters_for
from vivant.runtime.scene import Scene
from vivant.runtime.tree import Tree

LOOPBACK = "127.0.0.1"
EXPOSURE = "/vivant/look/exposure"
LIMIT_S = 10.0  # reached only by a failure


def door(listen: Endpoint, **osc: Any) -> QueryDoor:
    scene = Scene.model_validate({"title": "Test", "osc": osc})
    return QueryDoor(scene, listen, MonotonicClock(), (LOOPBACK, 9000), announce=False)


class Show:
    """A door, and a present loop that is turned by hand."""

    def __init__(self, refreshed: bool = True, **more: Any) -> None:
        self.tree = Tree(parameters_for())
        self.clock = MonotonicClock()
        self.door = door((LOOPBACK, 0), **more)
        self.status: dict[str, Any] = {"late": 3, "verdict": "pass", "render_ms": math.nan}
        if refreshed:
            self.refresh()

    def refresh(self) -> None:
        self.door.drain(self.tree, self.clock.now_ns())
        self.door._published_ns = -(10**9)  # whatever the time is
        self.door.feed(self.tree, lambda: self.status, self.clock.now_ns())

    def until(self, done: Callable[[], bool]) -> None:
        end = time.monotonic() + LIMIT_S
        while not done():
            assert time.monotonic() < end, self.door.counts()
            self.refresh()
            time.sleep(0.002)

    def get(self, target: str, **headers: str) -> tuple[int, Any]:
        status, body, kind = self.raw(target, **headers)
        return status, json.loads(body) if kind == "application/json" and body else body

    def raw(self, target: str, method: str = "GET", **headers: str) -> tuple[int, bytes, str]:
        line = http.client.HTTPConnection(*self.door.address, timeout=LIMIT_S)
        line.request(method, target, headers=headers)
        answer = line.getresponse()
        found = answer.status, answer.read(), answer.getheader("Content-Type", "")
        line.close()
        return found

    def connect(self, **more: Any) -> ClientConnection:
        host, port = self.door.address
        return connect(f"ws://{host}:{port}/", open_timeout=LIMIT_S, compression=None, **more)

    def listen(self, line: ClientConnection, address: str) -> None:
        line.send(json.dumps({"COMMAND": "LISTEN", "DATA": address}))


@pytest.fixture
def show() -> Iterator[Show]:
    made = Show()
    yield made
    made.door.close()


def leaves(node: dict[str, Any]) -> Iterator[dict[str, Any]]:
    if "TYPE" in node:
        yield node
    for inner in node.get("CONTENTS", {}).values():
        yield from leaves(inner)


def heard(line: ClientConnection) -> tuple[str, list[object]]:
    packet = line.recv(timeout=LIMIT_S)
    assert isinstance(packet, bytes)
    return address_of(packet).decode(), list(arguments(packet))


def test_the_whole_tree_is_there_with_types_ranges_and_values(show: Show) -> None:
    show.get("/")
    show.door._told_ns = -(10**9)
    show.refresh()
    status, root = show.get("/")
    found = {node["FULL_PATH"]: node for node in leaves(root)}
    assert status == 200 and set(found) == {*show.tree.parameters, *events_of(show.tree.parameters)}
    assert found[EXPOSURE] == {
        "FULL_PATH": EXPOSURE,
        "DESCRIPTION": "brightness",
        "ACCESS": 3,
        "TYPE": "f",
        "TAGS": ["float"],
        "VALUE": [0.0],
        "UNIT": ["EV"],
        "RANGE": [{"MIN": -2.0, "MAX": 2.0}],
    }
    assert found["/vivant/present/mirror"]["TYPE"] == "F"
    assert found["/vivant/student/steps"]["RANGE"] == [{"VALS": [1, 2], "MIN": 1, "MAX": 2}]
    assert found["/vivant/student/steps"]["VALUE"] == [1]
    assert found["/vivant/style/choose"]["RANGE"][0]["VALS"][0] == "oil"
    assert found["/vivant/style/fade_s"]["UNIT"] == ["time.second"]
    panic = found["/vivant/panic"]
    assert (panic["TYPE"], panic["ACCESS"], panic["CRITICAL"]) == ("I", 2, True)
    assert "VALUE" not in panic and panic["CONTENTS"]["release"]["TYPE"] == "I"
    assert found["/vivant/status/late"] | {"DESCRIPTION": ""} == {
        "FULL_PATH": "/vivant/status/late",
        "DESCRIPTION": "",
        "ACCESS": 1,
        "TYPE": "i",
        "TAGS": ["int"],
        "VALUE": [3],
    }
    assert "VALUE" not in found["/vivant/status/render_ms"]  # NaN is nothing to tell


@pytest.mark.parametrize(
    ("target", "status", "body"),
    [
        (EXPOSURE + "?VALUE", 200, {"VALUE": [0.0]}),
        (EXPOSURE + "?TYPE&ACCESS", 200, {"TYPE": "f", "ACCESS": 3}),
        (EXPOSURE + "/?RANGE", 200, {"RANGE": [{"MIN": -2.0, "MAX": 2.0}]}),
        ("/vivant/look?TYPE", 200, {}),
        ("/vivant/look?FULL_PATH#here", 200, {"FULL_PATH": "/vivant/look"}),
        ("/vivant/%6cook?FULL_PATH", 200, {"FULL_PATH": "/vivant/look"}),
        ("/vivant/panic?VALUE", 204, b""),
        (EXPOSURE + "?OVERLOADS", 204, b""),
        (EXPOSURE + "?COLOUR", 400, b""),
        ("/vivant/loo", 404, b""),
        ("/vivant/look/exposure/norm", 404, b""),
        ("//[", 400, b""),
    ],
)
def test_one_attribute_is_answered_by_itself(show: Show, target: str, status: int, body: object) -> None:
    assert show.get(target) == (status, body)


def test_host_info_says_where_osc_and_the_websocket_are(show: Show) -> None:
    status, info = show.get("/vivant/anything?HOST_INFO")
    assert status == 200
    assert {key: info[key] for key in info if key != "EXTENSIONS"} == {
        "NAME": "Vivant: Test",
        "OSC_IP": LOOPBACK,
        "OSC_PORT": 9000,
        "OSC_TRANSPORT": "UDP",
        "WS_IP": LOOPBACK,
        "WS_PORT": show.door.address[1],
    }
    assert info["EXTENSIONS"]["LISTEN"] and info["EXTENSIONS"]["PATH_CHANGED"]
    assert "CLIPMODE" not in info["EXTENSIONS"]


def test_a_client_that_walks_the_tree_can_set_everything_to_its_ends_and_back(show: Show) -> None:
    _, root = show.get("/")
    writable = [node for node in leaves(root) if node["ACCESS"] == 3]
    assert len(writable) > 25
    sent = 0
    with show.connect() as line:
        for node in writable:
            (value,), tag = node["VALUE"], node["TYPE"]
            given = node.get("RANGE", [{}])[0]
            wanted = given.get("VALS") or [given.get("MIN", False), given.get("MAX", True)]
            for one in (*wanted, value):
                line.send(typed_message(node["FULL_PATH"], (float(one) if tag == "f" else one,)))
                sent += 1
                show.until(lambda sent=sent: show.door.counts()["applied"] == sent)  # type: ignore[misc]
                got = show.tree.value(node["FULL_PATH"])
                if not node["FULL_PATH"].startswith("/vivant/style/"):  # these fade
                    assert str(got) == str(one) if tag in "is" else got == pytest.approx(one)
    assert show.door.refused == 0


def test_a_listener_hears_a_value_now_and_when_it_changes_until_it_ignores(show: Show) -> None:
    with show.connect() as line:
        show.listen(line, EXPOSURE)
        assert heard(line) == (EXPOSURE, [0.0])
        show.tree.set(EXPOSURE, (1.0,), 0, "keys")
        show.tree.set("/vivant/look/grain", (1.0,), 0, "keys")
        show.refresh()
        assert heard(line) == (EXPOSURE, [1.0])
        show.listen(line, "/vivant/present/mirror")
        assert heard(line) == ("/vivant/present/mirror", [False])
        line.send(json.dumps({"COMMAND": "IGNORE", "DATA": EXPOSURE}))
        show.tree.set(EXPOSURE, (0.5,), 0, "keys")
        show.tree.set("/vivant/present/mirror", (True,), 0, "keys")
        show.refresh()
        assert heard(line) == ("/vivant/present/mirror", [True])


def test_whoever_listens_to_a_container_hears_all_that_is_in_it(show: Show) -> None:
    with show.connect() as line:
        show.listen(line, "/vivant/look/")
        looks = [address for address in show.tree.values() if address.startswith("/vivant/look/")]
        assert sorted(heard(line)[0] for _ in looks) == sorted(looks)
        line.send(json.dumps({"COMMAND": "IGNORE", "DATA": "/vivant"}))
        show.listen(line, "/vivant/present/mirror")
        assert heard(line) == ("/vivant/present/mirror", [False])
        show.tree.set(EXPOSURE, (0.5,), 0, "keys")
        show.tree.set("/vivant/present/mirror", (True,), 0, "keys")
        show.refresh()
        assert heard(line) == ("/vivant/present/mirror", [True])


def test_what_grows_in_the_tree_is_told_and_found(show: Show) -> None:
    with show.connect() as line:
        show.listen(line, EXPOSURE)
        heard(line)
        show.tree.add(adapter_parameter("linen", AdapterSketch("woven", True)), "linen")
        show.refresh()
        told = [json.loads(line.recv(timeout=LIMIT_S)) for _ in range(2)]
        assert {one["COMMAND"]: one["DATA"] for one in told} == {
            "PATH_ADDED": "/vivant/adapter/linen",
            "PATH_CHANGED": "/vivant/style/choose",
        }
        assert show.get("/vivant/adapter/linen?VALUE") == (200, {"VALUE": [0.0]})
        line.send(message("/vivant/adapter/linen", (0.5,)))
        show.until(lambda: show.tree.value("/vivant/adapter/linen") == 0.5)


def test_an_action_is_fired_by_whatever_stands_for_no_value(show: Show) -> None:
    with show.connect() as line:
        for tag in (b"I", b"N", b"T"):
            line.send(b"/vivant/reset\0\0\0," + tag + b"\0\0")
        show.until(lambda: show.door.counts()["applied"] == 3)
    assert len(show.tree.actions()) == 3


def test_what_is_refused_is_said_to_its_sender(show: Show) -> None:
    with show.connect() as line, show.connect() as other:
        line.send(message(EXPOSURE, (9.0,)))
        show.until(lambda: show.door.refused == 1)
        assert heard(line) == ("/vivant/refused", [EXPOSURE, "out_of_range"])
        show.listen(other, EXPOSURE)
        assert heard(other) == (EXPOSURE, [0.0])


def test_whoever_listens_to_an_event_hears_it_when_it_happens_and_no_one_else_does(show: Show) -> None:
    show.tree = Tree((*parameters_for(), *cue_parameters((Cue("drop", "The drop"),))))
    show.refresh()
    with show.connect() as line, show.connect() as other:
        show.door.tell("/vivant/cues/next", (1, "drop", "The drop"))
        show.listen(line, "/vivant/cues/current")
        show.listen(other, EXPOSURE)
        assert heard(other) == (EXPOSURE, [0.0])
        show.until(lambda: show.door.counts()["server"].get("commands", 0) == 2)
        show.door.tell("/vivant/cues/current", (0, "start", ""))
        show.door.tell("/vivant/cues/next", (1, "drop", "The drop"))
        show.door.tell("/vivant/cues/current", (1, "drop", "The drop"))
        show.refresh()
        assert heard(line) == ("/vivant/cues/current", [0, "start", ""])
        assert heard(line) == ("/vivant/cues/current", [1, "drop", "The drop"])
        show.tree.set(EXPOSURE, (1.0,), 0, "keys")
        show.refresh()
        assert heard(other) == (EXPOSURE, [1.0])
    status, node = show.get("/vivant/cues/current")
    assert (status, node["TYPE"], node["ACCESS"]) == (200, "iss", 1)
    assert (node["TAGS"], node["VALUE"]) == (["event"], [1, "drop", "The drop"])


def test_a_trigger_is_an_event_and_a_container_and_events_come_and_go_with_their_scene(show: Show) -> None:
    fire = Parameter("/vivant/trigger/gust/fire", "action", "let the trigger gust act now")
    with show.connect() as line:
        show.listen(line, EXPOSURE)
        heard(line)
        show.tree = Tree((*parameters_for(), fire))
        show.refresh()
        told = {json.loads(line.recv(timeout=LIMIT_S))["DATA"] for _ in range(2)}
        assert told == {"/vivant/trigger/gust/fire", "/vivant/trigger/gust"}
        show.listen(line, "/vivant/trigger")
        show.until(lambda: show.door.counts()["server"].get("commands", 0) == 2)
        show.door.tell("/vivant/trigger/gust", (1,))
        show.door.tell("/vivant/nothing/of/this/show", (1,))
        show.refresh()
        assert heard(line) == ("/vivant/trigger/gust", [1])
        node = show.get("/vivant/trigger/gust")[1]
        assert node["VALUE"] == [1] and node["CONTENTS"]["fire"]["TYPE"] == "I"
        line.send(json.dumps({"COMMAND": "IGNORE", "DATA": "/vivant/trigger/gust"}))
        show.until(lambda: show.door.counts()["server"].get("commands", 0) == 3)
        show.door.tell("/vivant/trigger/gust", (0,))
        show.tree.set(EXPOSURE, (1.0,), 0, "keys")
        show.refresh()
        assert heard(line) == (EXPOSURE, [1.0])


def test_a_browser_gets_the_page_and_a_program_the_tree(show: Show) -> None:
    status, body, kind = show.raw("/", Accept="text/html,application/xhtml+xml;q=0.9,*/*;q=0.8")
    assert (status, kind) == (200, "text/html; charset=utf-8") and body.startswith(b"<!doctype html>")
    assert show.raw("/?HTML")[1] == body
    assert show.raw("/", Accept="*/*")[2] == "application/json"


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "evil.example:9001"},
        {"Host": ""},
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
    ],
)
def test_a_page_of_another_site_is_turned_away(show: Show, headers: dict[str, str]) -> None:
    assert show.raw("/", **headers)[0] == 403
    assert show.door.counts()["server"]["foreign"] == 1


def test_a_websocket_of_another_site_is_turned_away(show: Show) -> None:
    with pytest.raises(InvalidStatus) as error:
        show.connect(origin="http://evil.example")
    assert error.value.response.status_code == 403
    with show.connect(origin=f"http://{LOOPBACK}:{show.door.address[1]}") as line:
        show.listen(line, EXPOSURE)
        assert heard(line) == (EXPOSURE, [0.0])


def test_only_hosts_that_are_named_are_answered() -> None:
    show = Show(allow=("10.1.0.0/16",))
    with pytest.raises((ConnectionError, http.client.HTTPException)):
        show.get("/")
    assert show.door.counts()["server"]["not_allowed"] == 1
    show.door.close()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{}",
        "[1]",
        "null",
        "[" * 20_000,
        '{"COMMAND": "LISTEN", "DATA": 3}',
        '{"COMMAND": "SING", "DATA": "/"}',
    ]
    + [
        json.dumps({"COMMAND": "LISTEN", "DATA": name})
        for name in ("/vivant/panic", "/vivant/nowhere", "/vivant/loo")
    ],
)
def test_a_command_that_means_nothing_is_counted(show: Show, text: str) -> None:
    with show.connect() as line:
        line.send(text[: LARGEST_DATAGRAM - 1])
        show.listen(line, EXPOSURE)
        assert heard(line) == (EXPOSURE, [0.0])
    assert show.door.counts()["server"]["commands_refused"] == 1


def test_packets_that_are_no_osc_and_values_that_are_no_numbers_are_refused(show: Show) -> None:
    with show.connect() as line:
        for packet in (
            b"",
            b"hello",
            b"#bundle\0",
            message(EXPOSURE, (math.nan,)),
            message("/nowhere", (1,)),
        ):
            line.send(packet)
        show.until(lambda: show.door.refused == 5)
    reasons = show.door.counts()["refused_by_reason"]
    assert reasons == {"malformed": 3, "not_finite": 1, "unknown_address": 1}


def test_a_packet_larger_than_any_datagram_ends_its_connection_only(show: Show) -> None:
    with show.connect() as line, pytest.raises(ConnectionClosed):
        line.send(bytes(LARGEST_DATAGRAM + 1))
        line.recv(timeout=LIMIT_S)
    assert show.get("/?HOST_INFO")[0] == 200


@pytest.mark.parametrize(
    "garbage",
    [
        b"\0" * 4096,
        b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 5000 + b"\r\n",
        b"GET /" + b"a" * 20_000 + b" HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nX: " + b"z" * 100_000,
        b"POST / HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 5\r\n\r\nhello",
        b"DELETE / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",  # the beginning of TLS
        b"GET \xff\xfe HTTP/1.1\r\n\r\n",
    ],
)
def test_garbage_is_turned_away_and_the_next_is_answered(show: Show, garbage: bytes) -> None:
    with socket.create_connection(show.door.address, timeout=LIMIT_S) as line:
        line.sendall(garbage)
        line.shutdown(socket.SHUT_WR)
        answered = b""
        try:
            while part := line.recv(65536):
                answered += part
        except ConnectionError:
            pass
    assert b"200 OK" not in answered
    assert show.get("/?HOST_INFO")[0] == 200


def test_those_who_hold_the_line_are_limited_and_leave_no_trace(show: Show) -> None:
    lines = [socket.create_connection(show.door.address, timeout=LIMIT_S) for _ in range(MOST_OF_A_HOST + 5)]
    show.until(lambda: show.door.counts()["server"].get("too_many", 0) == 5)
    with pytest.raises((ConnectionError, http.client.HTTPException)):
        show.get("/?HOST_INFO")
    for line in lines:
        line.close()
    show.until(lambda: not show.door._server._hosts)
    assert show.get("/?HOST_INFO")[0] == 200


def test_when_the_present_loop_stands_still_senders_wait_and_nothing_grows(show: Show) -> None:
    with show.connect() as line:
        line.socket.settimeout(0.5)
        packet = message(EXPOSURE, (0.5,))
        sent = 0
        try:
            while sent < 200_000:
                line.send(packet)
                sent += 1
        except (TimeoutError, ConnectionClosed):
            pass
        assert sent < 200_000
        assert len(show.door._server.waiting) <= 256
    show.refresh()
    assert show.tree.value(EXPOSURE) == 0.5


def test_the_first_lines_say_where_the_page_is_and_for_whom() -> None:
    for listen, osc, words in [
        (LOOPBACK, {}, f"http://{LOOPBACK}:PORT, for this machine only"),
        ("0.0.0.0", {}, f"http://{outward()}:PORT, open to the network for everyone who reaches it"),
        ("0.0.0.0", {"allow": ("10.0.0.5",)}, f"http://{outward()}:PORT, open to the network for 10.0.0.5"),
    ]:
        made = door((listen, 0), **osc)
        words = words.replace("PORT", str(made.address[1]))
        assert made.describe() == f"OSCQuery and sliders on {words}"
        made.close()


def test_a_port_in_use_is_said_with_the_way_out(show: Show) -> None:
    port = show.door.address[1]
    with pytest.raises(VivantError) as error:
        door((LOOPBACK, port))
    assert f"cannot listen on 127.0.0.1:{port}: another program has port {port}" in str(error.value)
    assert "--oscquery 127.0.0.1:" in str(error.value)


def test_who_comes_before_the_first_refresh_waits_for_the_tree() -> None:
    show = Show(refreshed=False)
    with socket.create_connection(show.door.address, timeout=0.3) as early:
        early.sendall(b"GET /vivant/look/exposure?TYPE HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        with pytest.raises(TimeoutError):
            early.recv(1)
        show.refresh()
        early.settimeout(LIMIT_S)
        assert early.recv(65536).startswith(b"HTTP/1.1 200 OK")
    show.door.close()


def test_a_door_that_never_saw_a_refresh_closes_too() -> None:
    made = door((LOOPBACK, 0))
    made.close()
    assert not made._server._thread.is_alive()


def test_closing_frees_the_port_and_ends_the_thread_with_clients_on_it(show: Show) -> None:
    with show.connect():
        address = show.door.address
        show.door.close()
        show.door.close()
        assert not show.door._server._thread.is_alive()
        door(address).close()


def test_a_show_is_found_on_the_network_and_gone_when_it_ends() -> None:
    zeroconf = pytest.importorskip("zeroconf", reason="zeroconf is not installed")
    server = QueryServer((LOOPBACK, 0), (), "Vivant: Test.1", (LOOPBACK, 9000))
    server.board = Board(Tree(parameters_for()).parameters, {})
    found: dict[str, int] = {}

    class Listener(zeroconf.ServiceListener):  # type: ignore[misc, name-defined]
        def add_service(self, known: Any, kind: str, name: str) -> None:
            info = known.get_service_info(kind, name)
            found[name] = info.port if info else 0

        def update_service(self, known: Any, kind: str, name: str) -> None:
            return

        def remove_service(self, known: Any, kind: str, name: str) -> None:
            found.pop(name, None)

    with zeroconf.Zeroconf(interfaces=[LOOPBACK]) as known:
        kinds = ["_oscjson._tcp.local.", "_osc._udp.local."]
        zeroconf.ServiceBrowser(known, kinds, Listener())
        until(lambda: len(found) == 2)
        assert found == {
            "Vivant: Test 1._oscjson._tcp.local.": server.address[1],
            "Vivant: Test 1._osc._udp.local.": 9000,
        }
        server.close()
        until(lambda: not found)


def until(done: Callable[[], bool]) -> None:
    end = time.monotonic() + LIMIT_S
    while not done():
        assert time.monotonic() < end
        time.sleep(0.02)
