"""The page of sliders: whole in itself, and its OSC is everybody's OSC."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from html.parser import HTMLParser

import pytest

from vivant.runtime.oscquery.answers import page
from vivant.runtime.packets import address_of, arguments, typed_message

VOID = {"meta", "input", "br", "link", "img"}
EXPOSURE = "/vivant/look/exposure"
SAID: list[tuple[str, str, object]] = [
    (EXPOSURE, "f", 0.75),
    ("/vivant/student/seed", "i", -7),
    ("/vivant/style/choose", "s", "watercolour"),
    ("/vivant/prompt", "s", "Öl auf Leinwand, 油絵"),
    ("/abc", "s", ""),
    ("/vivant/present/mirror", "T", True),
    ("/vivant/present/mirror", "F", False),
    ("/vivant/panic", "I", True),
]


class Page(HTMLParser):
    """Every element's attributes, and whether each one that is opened is closed."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.attributes: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.attributes.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


@pytest.fixture(scope="module")
def text() -> str:
    return page().decode()


@pytest.fixture(scope="module")
def script(text: str) -> str:
    (found,) = re.findall(r"<script>(.*?)</script>", text, re.DOTALL)
    return str(found)


def node() -> str:
    found = shutil.which("node")
    if found is None:
        pytest.skip("node, which runs the page's JavaScript, is not installed")
    return found


def in_node(program: str) -> str:
    done = subprocess.run([node(), "-e", program], capture_output=True, text=True, check=True, timeout=60)
    return done.stdout


def test_the_page_is_well_formed_and_fetches_nothing_from_elsewhere(text: str) -> None:
    parsed = Page()
    parsed.feed(text)
    assert parsed.open == []
    assert not [tag for tag, given in parsed.attributes if {"src", "href"} & set(given)]
    assert not re.findall(r"https?://|@import|url\(", text)
    assert (
        "meta",
        {"name": "viewport", "content": "width=device-width, initial-scale=1, viewport-fit=cover"},
    ) in (parsed.attributes)


def test_every_element_that_the_script_asks_for_is_there(text: str, script: str) -> None:
    wanted = set(re.findall(r'getElementById\("(\w+)"\)', script))
    assert wanted and wanted <= set(re.findall(r'id="(\w+)"', text))


def test_what_the_page_says_is_what_a_door_reads(script: str) -> None:
    said = json.dumps(SAID)
    program = f"""{script}
        for (const [address, tag, value] of {said})
          console.log(Buffer.from(osc.write(address, tag, value)).toString("hex"));"""
    packets = [bytes.fromhex(line) for line in in_node(program).split()]
    for packet, (address, _, value) in zip(packets, SAID, strict=True):
        assert (address_of(packet).decode(), list(arguments(packet))) == (address, [value])


def test_what_a_door_says_is_what_the_page_reads(script: str) -> None:
    told = [(address, value) for address, tag, value in SAID if tag != "I"]
    packets = json.dumps([typed_message(address, (value,)).hex() for address, value in told])
    program = f"""{script}
        for (const hex of {packets}) {{
          const bytes = Uint8Array.from(hex.match(/../g), (one) => parseInt(one, 16));
          console.log(JSON.stringify(osc.read(bytes.buffer)));
        }}"""
    read = [json.loads(line) for line in in_node(program).splitlines()]
    assert [(one["address"], one["args"][0]) for one in read] == told
