"""A show is started again when it dies or hangs, told where it stood, given up when it is hopeless, and ended
by a person: small programs at the other end of the line, and one whole show."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from conftest import Start
from test_osc_show import SCENE, ask, until_asked

from vivant.runtime import standing
from vivant.runtime.backoff import BackOff
from vivant.runtime.packets import message
from vivant.runtime.standing import GAVE_UP, Child, Limits, Standing
from vivant.runtime.tether import Before

if sys.platform == "win32":
    pytest.skip("it ends processes by signals", allow_module_level=True)
import resource

LIMIT_S = 60.0  # on a busy machine; reached only by a failure
TINY = """
import json, os, signal, sys, time
from pathlib import Path
from vivant.runtime.tether import Tether
tether = Tether.find()
before = tether.before
at = Path(sys.argv[1])
with at.open("a") as file:
    print(json.dumps({"pid": os.getpid(), "restarts": before.restarts, "reasons": before.reasons,
        "place": before.place, "until_ns": before.until_ns, "failures": before.failures}), file=file)
def turn(seconds=0.0):
    end = time.monotonic() + seconds
    while time.monotonic() < end or not tether._turns_told:
        tether.turned(1)
        time.sleep(0.01)
def stands(place):
    tether.stands(place)
    while tether._told.get("place") != place:
        turn(0.02)
def go_on():
    at.with_suffix(".on").touch()
    turn(60)
def die(number=signal.SIGSEGV):
    time.sleep(0.1)  # what was told is on its way
    os.kill(os.getpid(), number)
"""


@pytest.fixture(autouse=True)
def no_core_files_and_the_same_handlers_after() -> Iterator[None]:
    _, most = limits = resource.getrlimit(resource.RLIMIT_CORE)
    resource.setrlimit(resource.RLIMIT_CORE, (0, most))
    handlers = {n: signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    yield
    for number, handler in handlers.items():
        signal.signal(number, handler)
    resource.setrlimit(resource.RLIMIT_CORE, limits)


@pytest.fixture
def told(tmp_path: Path) -> Path:
    return tmp_path / "told.jsonl"


def command(told: Path, program: str) -> tuple[str, ...]:
    return (sys.executable, "-P", "-c", TINY + program, str(told))


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def wait_for(true: Callable[[], object]) -> None:
    end = time.monotonic() + LIMIT_S
    while not true():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.02)


def stand(told: Path, program: str, limits: Limits | None = None) -> int:
    return Standing(command(told, program), limits, BackOff((0.0,))).run()


@pytest.mark.parametrize("code", [0, 1, 2, 130])
def test_the_exit_code_of_a_first_start_is_final(told: Path, code: int) -> None:
    assert stand(told, f"sys.exit({code})") == code
    assert len(lines(told)) == 1


def test_a_show_that_crashed_is_started_again_and_told_where_it_stood(told: Path) -> None:
    program = """
if before.restarts: sys.exit(0)
tether.until(12345)
stands({"panic": False, "values": {"a": 1.5}})
stands({"panic": True, "values": {"a": 2.5}})
die()
"""
    assert stand(told, program) == 0
    first, second = lines(told)
    assert (first["restarts"], first["place"], first["until_ns"]) == (0, None, None)
    assert (second["restarts"], second["reasons"]) == (1, ["was ended by SIGSEGV"])
    assert second["until_ns"] == 12345
    assert second["place"] == {"panic": True, "values": {"a": 2.5}}, "a panic is told at once"


def test_a_frozen_show_is_ended_with_what_it_had_started_and_another_follows(
    told: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(standing, "SAY_WHERE_S", 0.1)
    program = """
if before.restarts: sys.exit(0)
import subprocess
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
at.with_suffix(".child").write_text(str(child.pid))
turn()
die(signal.SIGSTOP)
"""
    assert stand(told, program, Limits(silent_s=0.5)) == 0
    assert lines(told)[1]["reasons"][0].startswith("was frozen for")
    child = int(told.with_suffix(".child").read_text())
    wait_for(lambda: not psutil.pid_exists(child) or psutil.Process(child).status() == "zombie")


def test_a_slow_start_is_not_frozen(told: Path) -> None:
    assert stand(told, "time.sleep(1.0)", Limits(silent_s=0.3)) == 0
    assert len(lines(told)) == 1


def test_a_show_may_ask_for_a_longer_start(told: Path) -> None:
    child = Child(command(told, "tether.expect(500); time.sleep(60)"), Before())
    try:
        wait_for(lambda: child.hear() and child.limit_s)
        assert Standing(())._limit_s(child) == 500
    finally:
        child.end()


def test_a_start_that_never_comes_to_an_end_is_given_up(
    told: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert stand(told, "time.sleep(60)", Limits(start_s=0.4, most_at_start=2)) == GAVE_UP
    assert "the last one did not get ready" in capsys.readouterr().err


def test_after_a_hopeless_series_one_message_says_so(told: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert stand(told, "turn(); die(signal.SIGKILL)", Limits(most=3)) == GAVE_UP
    assert [line["failures"] for line in lines(told)] == [0, 1, 2]
    said = capsys.readouterr().err
    assert "started 3 times in a row" in said
    assert "ended by SIGKILL" in said


def test_what_a_person_has_to_put_right_is_tried_again_once_the_show_has_run(told: Path) -> None:
    program = "if before.restarts == 2: sys.exit(0)\nturn(); time.sleep(0.1); sys.exit(2)"
    assert stand(told, program) == 0
    assert lines(told)[2]["reasons"] == ["ended with exit code 2"] * 2


def test_a_crash_after_the_show_was_over_starts_no_other(told: Path) -> None:
    assert stand(told, "turn(); tether.ending(); die()") == -signal.SIGSEGV
    assert len(lines(told)) == 1


def parent(told: Path, program: str) -> subprocess.Popen[str]:
    """A process of its own that watches over the program."""
    text = "import sys; from vivant.runtime.standing import Standing; sys.exit(Standing(sys.argv[1:]).run())"
    return subprocess.Popen([sys.executable, "-P", "-c", text, *command(told, program)], text=True)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_is_passed_on_and_what_the_show_answers_is_final(told: Path, number: signal.Signals) -> None:
    program = f"signal.signal({int(number)}, lambda *_: sys.exit(7))\nturn(0.1); go_on()"
    watching = parent(told, program)
    wait_for(told.with_suffix(".on").exists)
    time.sleep(0.3)  # until it was heard that the show speaks
    watching.send_signal(number)
    assert watching.wait(LIMIT_S) == 7
    assert len(lines(told)) == 1


def test_the_third_time_of_asking_is_by_force(told: Path) -> None:
    watching = parent(told, "signal.signal(signal.SIGINT, signal.SIG_IGN)\nturn(0.1); go_on()")
    wait_for(told.with_suffix(".on").exists)
    time.sleep(0.3)  # until it was heard that the show speaks
    while watching.poll() is None:
        watching.send_signal(signal.SIGINT)
        time.sleep(0.1)
    assert watching.returncode == 256 - signal.SIGKILL
    assert len(lines(told)) == 1


def test_a_show_whose_watching_process_is_killed_ends_in_order(told: Path) -> None:
    program = 'try: go_on()\nexcept KeyboardInterrupt: at.with_suffix(".ended").touch()'
    watching = parent(told, program)
    wait_for(told.with_suffix(".on").exists)
    watching.kill()
    watching.wait(LIMIT_S)
    wait_for(told.with_suffix(".ended").exists)
    pid = lines(told)[0]["pid"]
    wait_for(lambda: not psutil.pid_exists(pid) or psutil.Process(pid).status() == "zombie")


def test_the_process_that_watches_loads_nothing_of_the_show() -> None:
    program = "import sys, vivant.cli.app, vivant.runtime.standing; print(*sys.modules)"
    found = subprocess.run([sys.executable, "-P", "-c", program], capture_output=True, text=True, check=True)
    modules = {name for name in found.stdout.split() if name.startswith("vivant.runtime.")}
    assert modules == {f"vivant.runtime.{name}" for name in ("backoff", "standing", "tether")}
    assert {"numpy", "typer"}.isdisjoint(found.stdout.split())


def asked(port: int, address: str) -> object:
    try:
        return ask(port, f"{address}?VALUE")["VALUE"][0]
    except (OSError, ValueError, KeyError):
        return None


@pytest.mark.gl
def test_a_whole_show_comes_back_with_its_values_and_its_panic(
    start: Start, tmp_path: Path, free_port: int
) -> None:
    scene, report = tmp_path / "found.toml", tmp_path / "r.json"
    scene.write_text(SCENE.replace("[osc]", 'audit = "log"\n[osc]', 1).format(port=free_port))
    show = start("run", scene, "--headless", "--keep-alive", "--report", report)
    until_asked(free_port)
    port, values = free_port, {"/vivant/look/grain": 0.25, "/vivant/student/seed": 7}
    wait_for(lambda: asked(port, "/vivant/status/presented"))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as hand:
        for address, value in (*values.items(), ("/vivant/panic", None)):
            hand.sendto(message(address, () if value is None else (value,)), ("127.0.0.1", port))
    wait_for(lambda: asked(port, "/vivant/status/panic") == 1)
    wait_for(lambda: asked(port, "/vivant/look/grain") == 0.25)
    time.sleep(1.2)  # values are told once a second
    first = psutil.Process(show.pid).children()[0]
    first.send_signal(signal.SIGSEGV)
    wait_for(lambda: not first.is_running())
    wait_for(lambda: asked(port, "/vivant/status/presented"))
    assert asked(port, "/vivant/status/panic") == 1
    assert {address: asked(port, address) for address in values} == values
    show.send_signal(signal.SIGINT)
    out, err = show.communicate(timeout=LIMIT_S)
    assert show.returncode == 0, out + err
    assert json.loads(report.read_text())["show_process"]["reasons"] == ["was ended by SIGSEGV"]
    logged = "".join(path.read_text() for path in (tmp_path / "log").glob("*.jsonl"))
    assert '"process": "show", "restarts": 1, "reason": "was ended by SIGSEGV"' in logged
