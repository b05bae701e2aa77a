"""`vivant midi` and a show that is played, as a person with a controller does it."""

from __future__ import annotations

import contextlib
import json
import subprocess
import time
from pathlib import Path
from typing import Any

import mido
import pytest
from mido.sockets import connect

ROOT = Path(__file__).parent.parent


def controller(port: int) -> Any:
    """A connection to a port that may not listen yet."""
    until = time.monotonic() + 60
    while True:
        try:
            return connect("127.0.0.1", port)
        except OSError:
            assert time.monotonic() < until
            time.sleep(0.05)


def cc(number: int, value: int) -> mido.Message:
    return mido.Message("control_change", control=number, value=value)


def finished(command: subprocess.Popen[str]) -> str:
    out, err = command.communicate(timeout=60)
    assert command.returncode == 0, err
    return out


def test_the_map_of_the_documentation_fits_the_shipped_student(start) -> None:
    out = finished(start("midi", "check", "mirror", ROOT / "docs" / "maps" / "eight-faders.toml"))
    assert out.strip().endswith("fine, 27 controls")


def test_a_map_that_is_wrong_is_told_in_full(start, tmp_path: Path) -> None:
    (tmp_path / "wrong.toml").write_text('[[controls]]\ncontrol = "cc:1:7"\nto = "look/exposur"\n')
    command = start("midi", "check", "mirror", "wrong.toml")
    _, err = command.communicate(timeout=60)
    assert command.returncode == 2 and "did you mean '/vivant/look/exposure'?" in err


def test_the_monitor_names_what_a_controller_sends(start, free_port: int) -> None:
    command = start("midi", "monitor", f"tcp:127.0.0.1:{free_port}", "--seconds", 6)
    with controller(free_port) as desk:
        for _ in range(40):
            desk.send(cc(7, 100))
            time.sleep(0.05)
        assert f"tcp:127.0.0.1:{free_port}  cc:1:7  100" in finished(command).splitlines()


def test_a_map_is_learned_by_moving_and_typing(start, tmp_path: Path, free_port: int) -> None:
    command = subprocess.Popen(
        [*_vivant(), "midi", "learn", "mirror", "mine.toml", "--port", f"tcp:127.0.0.1:{free_port}"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=tmp_path,
    )  # fmt: skip
    assert command.stdin is not None and command.stdout is not None
    with controller(free_port) as desk:
        assert command.stdout.readline().startswith("Move a control")
        desk.send(cc(21, 64))
        command.stdin.write("look/exposur\nlook/exposure\n")
        command.stdin.flush()
        while not (tmp_path / "mine.toml").exists():
            assert command.poll() is None
            time.sleep(0.05)
    command.terminate()
    out, _ = command.communicate(timeout=30)
    assert "did you mean" in out
    assert 'control = "cc:1:21"\nto = "look/exposure"' in (tmp_path / "mine.toml").read_text()


@pytest.mark.gl
@pytest.mark.slow
def test_a_show_is_played_and_plays_back(start, tmp_path: Path, free_port: int) -> None:
    (tmp_path / "mine.toml").write_text(
        '[[controls]]\ncontrol = "cc:1:7"\nto = "look/grain"\n'
        '[[controls]]\ncontrol = "note:10:36"\nto = "style/choose"\nvalue = "ink"\n'
    )
    (tmp_path / "tide.toml").write_text(
        'title = "Tide"\ninput = "performer"\nsize = [256, 256]\nladder = false\nwindow_size = [128, 128]\n'
        f'[osc]\nlisten = "off"\n[midi]\ninputs = ["tcp:127.0.0.1:{free_port}"]\nmap = "mine.toml"\n'
    )
    show = start("run", "tide.toml", "--headless", "--seconds", 6, "--report", "tide.json")
    told: list[tuple[int, int]] = []
    with contextlib.suppress(OSError), controller(free_port) as desk:  # the show ends first
        until = time.monotonic() + 60
        while show.poll() is None:
            assert time.monotonic() < until
            desk.send(cc(7, 127))
            desk.send(mido.Message("note_on", channel=9, note=36, velocity=100))
            told += [(m.note, m.velocity) for m in desk.iter_pending() if m.type == "note_on"]
            time.sleep(0.1)
    finished(show)
    found = json.loads((tmp_path / "tide.json").read_text())["midi"]
    assert found["applied"] > 2 and not found["refused_by_reason"] and found["told"] >= 1
    assert (36, 0) in told or (36, 127) in told


def _vivant() -> list[str]:
    from conftest import COMMAND

    return list(COMMAND)
