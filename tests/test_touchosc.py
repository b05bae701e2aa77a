"""The layout for TouchOSC: read back as the XML that it is. No TouchOSC was at hand to open it."""

from __future__ import annotations

import itertools
import zlib
from xml.etree import ElementTree as xml

import pytest

from vivant.cli.touchosc import layout
from vivant.runtime.parameters import AdapterSketch, Parameter, parameters_for
from vivant.runtime.tree import Tree

ADAPTERS = {"linen": AdapterSketch("woven", True)}


@pytest.fixture(scope="module")
def tree() -> Tree:
    return Tree(parameters_for(adapters=ADAPTERS))


@pytest.fixture(scope="module")
def root(tree: Tree) -> xml.Element:
    document = xml.fromstring(zlib.decompress(layout(tree.parameters)))
    assert (document.tag, document.get("version")) == ("lexml", "3")
    (only,) = document
    return only


def prop(node: xml.Element, key: str) -> xml.Element:
    (value,) = [
        one.find("value") for one in node.findall("properties/property") if one.findtext("key") == key
    ]
    assert value is not None
    return value


def frame(node: xml.Element) -> tuple[float, ...]:
    return tuple(float(prop(node, "frame").findtext(axis, "")) for axis in "xywh")


def controls(root: xml.Element) -> list[xml.Element]:
    return [node for node in root.iterfind("children/node") if node.find("messages") is not None]


def said(node: xml.Element, pressed: float) -> tuple[str, object]:
    """What the door gets when a control is moved to `pressed`."""
    path = "".join(partial.findtext("value", "") for partial in node.iterfind("messages/osc/path/partial"))
    (argument,) = node.iterfind("messages/osc/arguments/partial")
    if argument.findtext("type") == "CONSTANT":
        return path, argument.findtext("value")
    return path, pressed


def test_every_control_says_what_the_tree_takes(tree: Tree, root: xml.Element) -> None:
    reached = set()
    for node in controls(root):
        for pressed in (0.0, 1.0):
            address, value = said(node, pressed)
            assert tree.check(address, (value,)).taken, (address, value)
            reached.add(address.removesuffix("/norm"))
    assert reached == {
        address for address, one in tree.parameters.items() if not one.read_only and one.kind != "text"
    }


def test_every_choice_has_its_button(tree: Tree, root: xml.Element) -> None:
    words = {said(node, 1.0)[1] for node in controls(root) if said(node, 1.0)[0] == "/vivant/style/choose"}
    assert words == set(tree.parameters["/vivant/style/choose"].choices)


def test_no_control_lies_upon_another_or_beside_the_canvas(root: xml.Element) -> None:
    _, _, width, height = frame(root)
    frames = [frame(node) for node in controls(root)]
    for x, y, w, h in frames:
        assert w > 20 and h > 20
        assert x >= 0 and x + w <= width and y >= 0 and y + h <= height
    for (x, y, w, h), (x2, y2, w2, h2) in itertools.combinations(frames, 2):
        assert x + w <= x2 or x2 + w2 <= x or y + h <= y2 or y2 + h2 <= y


def test_a_fader_begins_where_its_parameter_does_and_hears_of_it(root: xml.Element) -> None:
    (exposure,) = [node for node in controls(root) if said(node, 0.0)[0] == "/vivant/look/exposure/norm"]
    assert exposure.get("type") == "FADER"
    values = {one.findtext("key"): one.findtext("default") for one in exposure.iterfind("values/value")}
    assert values["x"] == "0.5"
    assert exposure.findtext("messages/osc/receive") == "1"


def test_ids_are_all_different_and_a_layout_made_twice_is_the_same(tree: Tree, root: xml.Element) -> None:
    ids = [node.get("ID") for node in root.iter("node")]
    assert len(set(ids)) == len(ids)
    assert layout(tree.parameters) == layout(tree.parameters)


def test_one_parameter_is_a_layout_too() -> None:
    one = Parameter("/vivant/look/grain", "float", "film grain")
    root = xml.fromstring(zlib.decompress(layout({one.address: one})))[0]
    assert len(controls(root)) == 1
