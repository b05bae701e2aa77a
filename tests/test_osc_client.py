"""The OSC door and a client in another language, which shares no code with it."""

from __future__ import annotations

import shutil
import subprocess
import time
from pathlib import Path

import pytest

from vivant.runtime.frames import MonotonicClock
from vivant.runtime.osc import OscDoor
from vivant.runtime.parameters import CHOOSE, parameters_for
from vivant.runtime.tree import Tree

CLIENT = Path(__file__).parent / "data" / "osc_client.pl"


def test_a_client_in_perl_sets_values_is_told_of_them_and_times_one() -> None:
    perl = shutil.which("perl")
    if perl is None:
        pytest.skip("perl is not installed")
    clock, tree = MonotonicClock(), Tree(parameters_for())
    door = OscDoor(("127.0.0.1", 0), clock=clock)
    client = subprocess.Popen([perl, str(CLIENT), str(door.address[1])], stdout=subprocess.PIPE, text=True)
    while client.poll() is None:  # it ends by itself after twenty seconds
        now_ns = clock.now_ns()
        door.drain(tree, now_ns)
        tree.tick(now_ns)
        door.feed(tree, lambda: {"late": 2}, now_ns)
        time.sleep(1 / 60)
    assert client.stdout is not None
    told = client.stdout.read().splitlines()
    counts = door.counts()
    door.close()
    assert told[0] == "/vivant/pong 41" and told[1].startswith("/vivant/subscribed 127.0.0.1 ")
    assert "/vivant/refused /vivant/look/exposure wrong_type" in told
    assert {"/vivant/student/seed 77", "/vivant/style/choose ink", "/vivant/status/late 2"} <= set(told)
    assert told.index("/vivant/look/contrast 1.0000") < told.index("/vivant/look/contrast 0.5000")
    assert (tree.value(CHOOSE), tree.value("/vivant/student/seed")) == ("ink", 77)
    assert (counts["scheduled"], counts["refused_by_reason"]) == (1, {"wrong_type": 1})
