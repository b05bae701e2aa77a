"""A layout for TouchOSC with a control for every parameter: faders, toggles, and a button for each choice.

A .tosc file is XML, compressed with zlib. The form is that of files of TouchOSC 1.0 (lexml 3), as public
tools write it; properties that are left out have their defaults.
"""

from __future__ import annotations

import uuid
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final
from xml.etree import ElementTree as xml

from vivant.runtime.parameters import NORM, PANIC, Parameter

WIDTH, COLUMNS, ROW, GAP = 1280, 4, 64, 12
LABEL: Final = 22  # height of a caption
IN_A_ROW: Final = 4  # buttons of a choice
SPACE: Final = uuid.UUID("6c0f3c0e-9e0f-5e0a-8f43-7c1f6d2f5b11")  # so that a layout made twice is the same
GROUND, CARD = (0.08, 0.075, 0.06, 1.0), (0.88, 0.64, 0.29, 1.0)
TEXT, STOP, CLEAR = (0.93, 0.9, 0.85, 1.0), (0.78, 0.27, 0.18, 1.0), (0.0, 0.0, 0.0, 0.0)
MOMENTARY, TOGGLE = 0, 1
EAST: Final = 1

Frame = tuple[float, float, float, float]  # x, y, width, height
Colour = tuple[float, float, float, float]


@dataclass(frozen=True, slots=True)
class Message:
    """What a control says and hears: `address` with its value, or with the constant `word`."""

    address: str
    word: str | None = None


def layout(parameters: Mapping[str, Parameter]) -> bytes:
    """The file for all parameters that a finger can set, in columns, in their order."""
    shown = [one for one in parameters.values() if not one.read_only and one.kind != "text"]
    tall = [ROW * _rows(one) for one in shown]
    at, wide = _places(tall), _wide()
    children: list[xml.Element] = []
    for one, used, (column, y) in zip(shown, tall, at, strict=True):
        children += _controls(one, (GAP + column * (wide + GAP), y, wide, used - GAP))
    lowest = max((y + used for used, (_, y) in zip(tall, at, strict=True)), default=float(ROW))
    root = _node("GROUP", "vivant", (0, 0, WIDTH, lowest), GROUND)
    _under(root, "children").extend(children)
    document = xml.Element("lexml", version="3")
    document.append(root)
    return zlib.compress(xml.tostring(document, encoding="UTF-8", xml_declaration=True))


def _places(tall: Sequence[int]) -> list[tuple[int, float]]:
    """Column and y of boxes that are so tall, in their order, as low as the columns allow."""
    height = sum(tall) / COLUMNS
    while True:
        found, column, y = [], 0, float(GAP)
        for used in tall:
            if y > GAP and y + used > height + GAP:
                column, y = column + 1, float(GAP)
            found.append((column, y))
            y += used
        if column < COLUMNS:
            return found
        height += GAP


def _wide() -> float:
    return (WIDTH - GAP * (COLUMNS + 1)) / COLUMNS


def _rows(one: Parameter) -> int:
    return -(-len(one.choices) // IN_A_ROW) if one.kind == "choice" else 1


def _controls(one: Parameter, frame: Frame) -> Iterator[xml.Element]:
    """A caption and what is below it."""
    x, y, width, height = frame
    _, _, *names = one.address.split("/")
    name, inner = " / ".join(names), (x, y + LABEL, width, height - LABEL)
    yield _caption(f"{name} caption", name, (x, y, width, LABEL), left=True)
    if one.kind == "choice":
        yield from _buttons(one, inner)
    elif one.kind in ("bool", "action"):
        colour = STOP if one.address == PANIC else CARD
        yield _button(
            name, inner, MOMENTARY if one.kind == "action" else TOGGLE, colour, Message(one.address)
        )
    else:
        fader = _node("FADER", name, inner, CARD, Message(one.address + NORM))
        _property(fader, "i", "orientation", str(EAST))
        _value(fader, "x", f"{one.norm(one.default):g}")
        yield fader


def _buttons(one: Parameter, frame: Frame) -> Iterator[xml.Element]:
    """A button for each choice, with its word on it."""
    x, y, width, height = frame
    across, rows = min(len(one.choices), IN_A_ROW), _rows(one)
    wide, tall = width / across, height / rows
    for index, word in enumerate(one.choices):
        cell = (x + index % across * wide, y + index // across * tall, wide - 4, tall - 4)
        yield _button(f"{one.address} {word}", cell, MOMENTARY, CARD, Message(one.address, word))
        yield _caption(f"{one.address} {word} caption", word, cell)


def _button(name: str, frame: Frame, kind: int, colour: Colour, says: Message) -> xml.Element:
    made = _node("BUTTON", name, frame, colour, says)
    _property(made, "i", "buttonType", str(kind))
    _value(made, "x", "0")
    return made


def _caption(name: str, text: str, frame: Frame, left: bool = False) -> xml.Element:
    """Words that no finger touches. Alignments are counted from 1: left, middle, right."""
    made = _node("LABEL", name, frame, CLEAR)
    for kind, key, value in (
        ("b", "background", "0"),
        ("b", "interactive", "0"),
        ("b", "outline", "0"),
        ("i", "textAlignH", "1" if left else "2"),
        ("i", "textAlignV", "2"),
        ("i", "textSize", "13"),
    ):
        _property(made, kind, key, value)
    _colour(made, "textColor", TEXT)
    _value(made, "text", text)
    return made


def _node(kind: str, name: str, frame: Frame, colour: Colour, says: Message | None = None) -> xml.Element:
    made = xml.Element("node", ID=str(uuid.uuid5(SPACE, f"{kind} {name}")), type=kind)
    _property(made, "s", "name", name)
    place = _under(_keyed(_under(made, "properties"), "r", "frame"), "value")
    for axis, size in zip("xywh", frame, strict=True):
        _under(place, axis).text = f"{size:g}"
    _colour(made, "color", colour)
    _value(made, "touch", "false")
    if says is not None:
        _under(made, "messages").append(_osc(says))
    return made


def _osc(says: Message) -> xml.Element:
    """One message on the first connection, sent when the control's x changes; a word only when it rises, and
    what is told of it does not press the button."""
    made = xml.Element("osc")
    flags = {"enabled": "1", "send": "1", "receive": str(int(says.word is None)), "feedback": "0"}
    for key, flag in (*flags.items(), ("connections", "00001")):
        _under(made, key).text = flag
    trigger = xml.SubElement(_under(made, "triggers"), "trigger")
    _under(trigger, "var").text = "x"
    _under(trigger, "condition").text = "ANY" if says.word is None else "RISE"
    path, arguments = _under(made, "path"), _under(made, "arguments")
    _partial(path, "CONSTANT", "STRING", says.address)
    if says.word is None:
        _partial(arguments, "VALUE", "FLOAT", "x")
    else:
        _partial(arguments, "CONSTANT", "STRING", says.word)
    return made


def _partial(inside: xml.Element, kind: str, conversion: str, value: str) -> None:
    made = xml.SubElement(inside, "partial")
    fields = {"type": kind, "conversion": conversion, "value": value, "scaleMin": "0", "scaleMax": "1"}
    for key, text in fields.items():
        _under(made, key).text = text


def _property(node: xml.Element, kind: str, key: str, value: str) -> None:
    _under(_keyed(_under(node, "properties"), kind, key), "value").text = value


def _colour(node: xml.Element, key: str, colour: Colour) -> None:
    value = _under(_keyed(_under(node, "properties"), "c", key), "value")
    for channel, share in zip("rgba", colour, strict=True):
        _under(value, channel).text = f"{share:g}"


def _keyed(properties: xml.Element, kind: str, key: str) -> xml.Element:
    made = xml.SubElement(properties, "property", type=kind)
    _under(made, "key").text = key
    return made


def _value(node: xml.Element, key: str, default: str) -> None:
    made = xml.SubElement(_under(node, "values"), "value")
    fixed = "1" if key == "text" else "0"
    fields = {
        "key": key,
        "locked": "0",
        "lockedDefaultCurrent": fixed,
        "default": default,
        "defaultPull": "0",
    }
    for name, text in fields.items():
        _under(made, name).text = text


def _under(element: xml.Element, name: str) -> xml.Element:
    """The child of that name, made where there is none."""
    found = element.find(name)
    return xml.SubElement(element, name) if found is None else found
