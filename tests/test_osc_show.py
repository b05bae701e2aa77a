"""A whole show with its OSC doors open: found, set, recorded, and the same again from the recording."""

from __future__ import annotations

import http.client
import json
import re
import signal
import socket
import time
import tomllib
from pathlib import Path
from typing import Any

import pytest
from conftest import ROOT, Start
from websockets.sync.client import connect

from vivant.runtime.packets import address_of, arguments, message
from vivant.runtime.scene import load_scene

LIMIT_S = 60.0  # for a show to begin on a busy machine; reached only by a failure
SCENE = """
title = "Found"
input = "performer"
student = "null"
backend = "null"
size = [256, 256]
window_size = [64, 64]
[osc]
listen = "127.0.0.1:{port}"
oscquery = "127.0.0.1:{port}"
echo = true
[osc.aliases]
"/fader" = {{to = "look/exposure", from = [0, 127]}}
"""
EXPOSURE = "/vivant/look/exposure"


def ask(port: int, target: str) -> Any:
    line = http.client.HTTPConnection("127.0.0.1", port, timeout=LIMIT_S)
    line.request("GET", target)
    found = json.loads(line.getresponse().read())
    line.close()
    return found


def until_asked(port: int) -> Any:
    end = time.monotonic() + LIMIT_S
    while True:
        try:
            return ask(port, "/?HOST_INFO")
        except OSError:
            assert time.monotonic() < end, "the show did not begin"
            time.sleep(0.05)


@pytest.mark.gl
def test_a_show_is_found_and_set_and_recorded_and_comes_again(
    start: Start, tmp_path: Path, free_port: int
) -> None:
    scene, tape, report = tmp_path / "found.toml", tmp_path / "a.oscl", tmp_path / "r.json"
    scene.write_text(SCENE.format(port=free_port))
    show = start("run", scene, "--headless", "--osc-record", tape, "--report", report)
    info = until_asked(free_port)
    assert (info["NAME"], info["OSC_PORT"]) == ("Vivant: Found", free_port)
    with connect(f"ws://127.0.0.1:{free_port}/", compression=None) as line:
        line.send(json.dumps({"COMMAND": "LISTEN", "DATA": EXPOSURE}))
        assert list(arguments(bytes(line.recv(timeout=LIMIT_S)))) == [0.0]  # type: ignore[arg-type]
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as fader:
            fader.settimeout(LIMIT_S)
            fader.sendto(message("/vivant/subscribe", ()), ("127.0.0.1", free_port))
            fader.sendto(message("/fader", (127,)), ("127.0.0.1", free_port))
            assert list(arguments(bytes(line.recv(timeout=LIMIT_S)))) == [2.0]  # type: ignore[arg-type]
            echoed: dict[str, list[object]] = {}
            while echoed.get("/fader") != [127.0]:
                packet = fader.recv(65536)
                echoed[address_of(packet).decode()] = list(arguments(packet))
        line.send(message("/vivant/look/grain", (0.25,)))
        while ask(free_port, "/vivant/look/grain?VALUE") != {"VALUE": [0.25]}:
            time.sleep(0.02)
    show.send_signal(signal.SIGINT)
    assert show.wait(LIMIT_S) == 0, show.communicate()
    found = json.loads(report.read_text())
    assert (found["osc"]["applied"], found["oscquery"]["applied"]) == (2, 1)
    assert (found["tape"]["written"], found["tape"]["lost"]) == (3, 0)
    first, *lines = tape.read_text().splitlines()
    cut = [json.loads(line) | {"at_s": 0.1 * number} for number, line in enumerate(lines)]
    tape.write_text("\n".join([first, *map(json.dumps, cut)]))  # as an editor would, without the waiting
    again = start("run", scene, "--headless", "--osc-replay", tape, "--seconds", 1.5, "--report", report)
    assert again.wait(LIMIT_S) == 0, again.communicate()
    replayed = json.loads(report.read_text())["replay"]
    assert (replayed["applied"], replayed["done"]) == (2, True)
    assert replayed["refused_by_reason"] == {"unknown_address": 1}  # nobody subscribes from a tape


def test_every_scene_in_the_documentation_is_one(tmp_path: Path) -> None:
    blocks = re.findall(r"```toml\n(.*?)```", (ROOT / "docs" / "osc.md").read_text(), re.DOTALL)
    assert len(blocks) == 2
    for block in blocks:
        assert tomllib.loads(block)["osc"]
        path = tmp_path / "scene.toml"
        path.write_text(f'title = "As documented"\n{block}')
        load_scene(path)
