"""What is answered to a request: whatever is asked, and nothing that is not JSON."""

from __future__ import annotations

import json
import math

from hypothesis import given, settings
from hypothesis import strategies as st

from vivant.runtime.oscquery.answers import Host, answer, speaks_to_us
from vivant.runtime.oscquery.namespace import ATTRIBUTES, Board, differences, node
from vivant.runtime.parameters import Parameter, parameters_for
from vivant.runtime.tree import Tree

TREE = Tree(parameters_for())
BOARD = Board(TREE.parameters, TREE.values())
HOST = Host("Vivant: Test", None, ("0.0.0.0", 9000))
PATH = (
    st.sampled_from(sorted(TREE.parameters))
    | st.text(max_size=40)
    | st.sampled_from(["/", "", "//", "/vivant"])
)
QUERY = st.lists(
    st.sampled_from([*sorted(ATTRIBUTES), "HOST_INFO", "HTML", "CLIPMODE"]) | st.text(max_size=8)
)
NAMES = frozenset({"localhost", "studio"})


@settings(max_examples=400, deadline=None)
@given(PATH, QUERY, st.sampled_from(["", "*/*", "text/html"]))
def test_whatever_is_asked_has_an_answer(path: str, queries: list[str], accept: str) -> None:
    target = path + ("?" + "&".join(queries) if queries else "")
    try:
        found = answer(target, accept, BOARD, HOST)
    except ValueError:  # no URL: the server answers 400
        return
    assert found.status in (200, 204, 400, 404)
    if found.status == 200 and found.content == "application/json":
        json.loads(found.body, parse_constant=lambda word: 1 / 0)  # NaN and Infinity are no JSON


def test_a_range_without_an_end_says_only_what_it_has() -> None:
    endless = Parameter("/a/b", "float", "", maximum=math.inf)
    found = node(Board({"/a/b": endless}, {"/a/b": 0.0}), "/a/b")
    assert found is not None and found["RANGE"] == [{"MIN": 0.0}]


def test_a_value_has_the_type_that_its_node_says() -> None:
    whole = Parameter("/a", "float", "")
    found = node(Board({"/a": whole}, {"/a": 1}), "/a")
    assert found is not None and repr(found["VALUE"]) == "[1.0]"


def test_a_host_on_every_address_leaves_its_own_out() -> None:
    info = HOST.info()
    assert not {"OSC_IP", "WS_IP", "OSC_PORT", "OSC_TRANSPORT"} & set(info)
    assert Host("x", ("0.0.0.0", 9000), ("0.0.0.0", 9001)).info()["OSC_PORT"] == 9000


def test_what_became_of_the_parameters_is_told_once_each() -> None:
    old = {one.address: one for one in (Parameter("/a", "float", ""), Parameter("/b", "float", ""))}
    new = {"/b": Parameter("/b", "float", "wider", maximum=2.0), "/c": Parameter("/c", "bool", "")}
    told = [("PATH_CHANGED", "/b"), ("PATH_ADDED", "/c"), ("PATH_REMOVED", "/a")]
    assert list(differences(old, new)) == told
    assert list(differences(new, new)) == []


def test_a_name_that_was_pointed_here_is_not_ours() -> None:
    for host in ("127.0.0.1:9000", "192.168.1.20", "localhost:9000", "studio.local:9000", "STUDIO.lan"):
        assert speaks_to_us(host, None, NAMES)
        assert speaks_to_us(host, f"http://{host}", NAMES)
        assert not speaks_to_us(host, "http://evil.example", NAMES)
    for host in (
        "",
        ":",
        "evil.example",
        "localhost.evil.example",
        "studio.local.evil.example:9000",
        "127.0.0.1.x",
    ):
        assert not speaks_to_us(host, None, NAMES)
