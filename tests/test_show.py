"""Whole shows through the real command line: two processes, a trained student, OpenGL off-screen."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import av
import cv2
import numpy as np
import psutil
import pytest
from conftest import ROOT, Start
from pythonosc.udp_client import SimpleUDPClient

pytestmark = pytest.mark.gl
MIRROR = ROOT / "scenes" / "mirror.toml"
STAGES = ("sense", "condition", "planes", "encode", "denoise", "guard", "decode", "exchange", "present")
SMALL = ("--headless", "--size", "320x320", "--input", "performer")


def finish(process: subprocess.Popen[str], limit_s: float = 60.0) -> tuple[int, str]:
    out, err = process.communicate(timeout=limit_s)
    return process.returncode, out + err


def child_of(process: subprocess.Popen[str], limit_s: float = 30.0) -> psutil.Process:
    """The render process of a running show."""
    end = time.perf_counter() + limit_s
    while time.perf_counter() < end:
        for child in psutil.Process(process.pid).children():
            if "spawn_main" in " ".join(child.cmdline()):
                return child
        time.sleep(0.02)
    raise AssertionError("the show started no render process")


def wait_for(path: Path, true: Callable[[], bool], limit_s: float = 30.0) -> None:
    end = time.perf_counter() + limit_s
    while not true():
        assert time.perf_counter() < end, f"waited {limit_s} s in vain for {path}"
        time.sleep(0.05)


def frames_of(path: Path) -> list[np.ndarray]:
    with av.open(str(path)) as film:
        return [frame.to_ndarray(format="rgb24") for frame in film.decode(video=0)]


def test_a_show_writes_its_report_its_film_and_its_sheet(
    start: Start, tmp_path: Path, free_port: int
) -> None:
    film, sheet, report = tmp_path / "m.mp4", tmp_path / "m.png", tmp_path / "m.json"
    show = start(
        "run", MIRROR, *SMALL, "--seconds", 4, "--osc", f"127.0.0.1:{free_port}",
        "--record", film, "--sheet", sheet, "--report", report,
        "--set", "/vivant/style/choose=ink", "--set", "/vivant/look/grain=0.2",
    )  # fmt: skip
    code, said = finish(show)
    assert code == 0, said
    found = json.loads(report.read_text())
    for stage in STAGES:
        assert found["stages"][stage]["count"] > 0, stage
        assert set(found["stages"][stage]) >= {"p50_ms", "p95_ms", "p99_ms", "max_ms"}
    frames = found["frames"]
    shown = frames["admitted"] + frames["softened"]
    assert shown + frames["held"] == frames["rendered"] > 10  # a busy machine judges some too late
    assert 0 < frames["presented"] <= shown
    assert found["capture_to_present"]["count"] == frames["presented"]
    assert found["first_picture_ms"] > 0
    assert found["osc"]["received"] == 0
    assert found["render_process"]["restarts"] == 0
    assert len(found["student"]["hash"]) == 64
    pictures = frames_of(film)
    assert len(pictures) > 10
    assert pictures[-1].std() > 15, "the film shows nothing"
    assert cv2.imread(str(sheet)) is not None


def test_a_killed_render_process_is_replaced_and_nothing_black_is_shown(
    start: Start, tmp_path: Path, free_port: int
) -> None:
    film, report = tmp_path / "k.mp4", tmp_path / "k.json"
    show = start(
        "run", MIRROR, *SMALL, "--seconds", 9, "--osc", f"127.0.0.1:{free_port}",
        "--record", film, "--report", report,
    )  # fmt: skip
    wait_for(film, lambda: film.exists() and film.stat().st_size > 0)
    time.sleep(1.0)
    child_of(show).kill()
    code, said = finish(show)
    assert code == 0, said
    found = json.loads(report.read_text())
    assert found["render_process"]["restarts"] == 1
    assert found["render_process"]["longest_gap_ms"] > 0
    pictures = frames_of(film)
    first = next(index for index, picture in enumerate(pictures) if picture.std() > 15)
    assert min(picture.std() for picture in pictures[first:]) > 15, "a blank frame was presented"
    assert np.abs(pictures[-1].astype(int) - pictures[-5].astype(int)).mean() > 0.2, "no new pictures came"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_show_cleanly(
    start: Start, tmp_path: Path, free_port: int, number: signal.Signals
) -> None:
    report, film = tmp_path / "s.json", tmp_path / "s.mp4"
    show = start(
        "run", MIRROR, *SMALL, "--osc", f"127.0.0.1:{free_port}", "--report", report, "--record", film
    )
    child = child_of(show)
    client = SimpleUDPClient("127.0.0.1", free_port)
    wait_for(film, lambda: film.exists() and film.stat().st_size > 0)
    time.sleep(1.5)
    client.send_message("/vivant/style/choose", "engraving")
    client.send_message("/vivant/look/grain", 7.5)
    client.send_message("/vivant/nobody/knows", 1)
    time.sleep(0.5)
    show.send_signal(number)
    code, said = finish(show)
    assert code == 0, said
    assert not child.is_running()
    osc = json.loads(report.read_text())["osc"]
    assert osc["received"] == 3
    assert osc["applied"] == 1
    assert osc["refused_by_reason"] == {"out_of_range": 1, "unknown_address": 1}


def test_a_killed_show_takes_its_render_process_along_and_leaves_no_shared_memory(
    start: Start, free_port: int
) -> None:
    shared = Path("/dev/shm")
    before = set(shared.iterdir()) if shared.is_dir() else set()
    show = start("run", MIRROR, *SMALL, "--osc", f"127.0.0.1:{free_port}")
    child = child_of(show)
    time.sleep(2.0)
    show.kill()
    show.wait()
    child.wait(10)
    assert not child.is_running()
    if shared.is_dir():
        assert {path for path in set(shared.iterdir()) - before if "pym" in path.name} == set()


def broken_student(folder: Path) -> str:
    """A copy of the house student with one byte of an engine changed."""
    copy = folder / "broken"
    shutil.copytree(ROOT / "engines" / "students" / "house", copy)
    engine = copy / "decode.int8.onnx"
    data = bytearray(engine.read_bytes())
    data[len(data) // 2] ^= 0xFF
    engine.write_bytes(data)
    scene = folder / "broken.toml"
    scene.write_text(MIRROR.read_text().replace('student = "house"', f'student = "{copy}"'))
    return str(scene)


def wrong_scene(folder: Path) -> str:
    scene = folder / "wrong.toml"
    scene.write_text('title = "Wrong"\nbudget_ms = "fast"\nsise = [384, 384]\nbackend = "openvina"\n')
    return str(scene)


@pytest.mark.parametrize(
    ("case", "words"),
    [
        ("scene", ("3 problems", "budget_ms", "did you mean 'size'", "openvino")),
        ("clip", ("nowhere.mp4",)),
        ("camera", ("camera",)),
        ("engine", ("decode", "sha256")),
        ("port", ("port", "--osc")),
        ("set", ("/vivant/look/grian", "did you mean '/vivant/look/grain'")),
        ("missing", ("nothing.toml",)),
    ],
)
def test_what_is_wrong_is_one_clear_message_before_anything_is_shown(
    start: Start, tmp_path: Path, free_port: int, case: str, words: tuple[str, ...]
) -> None:
    taken = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    taken.bind(("127.0.0.1", 0))
    port = taken.getsockname()[1] if case == "port" else free_port
    arguments = {
        "scene": lambda: [wrong_scene(tmp_path)],
        "clip": lambda: [MIRROR, "--input", "clip:nowhere.mp4"],
        "camera": lambda: [MIRROR, "--input", "camera:63"],
        "engine": lambda: [broken_student(tmp_path), "--input", "performer"],
        "port": lambda: [MIRROR, "--input", "performer"],
        "set": lambda: [MIRROR, "--set", "/vivant/look/grian=1"],
        "missing": lambda: ["nothing.toml"],
    }[case]()
    with taken:
        show = start("run", *arguments, "--headless", "--seconds", 2, "--osc", f"127.0.0.1:{port}")
        code, said = finish(show)
    assert code == 2, said
    assert "Traceback" not in said
    for word in words:
        assert word in said, said


def test_a_window_without_a_display_says_what_to_do(start: Start, free_port: int) -> None:
    if os.name == "nt":
        pytest.skip("Windows always has a display")
    show = start("run", MIRROR, "--input", "performer", "--seconds", 2, "--osc", f"127.0.0.1:{free_port}")
    code, said = finish(show)
    assert code == 2, said
    assert "--headless" in said
    assert "Traceback" not in said


def test_the_clip_plays_through(start: Start, tmp_path: Path, free_port: int, pedestrians: Path) -> None:
    report = tmp_path / "c.json"
    show = start(
        "run", MIRROR, "--headless", "--size", "320x320", "--input", f"clip:{pedestrians}",
        "--seconds", 3, "--report", report, "--osc", f"127.0.0.1:{free_port}",
    )  # fmt: skip
    code, said = finish(show)
    assert code == 0, said
    found = json.loads(report.read_text())
    assert found["frames"]["admitted"] > 5
    assert found["frames"]["held"] == 0


def make_film(path: Path, frames: int) -> None:
    with av.open(str(path), "w") as film:
        stream = film.add_stream("mpeg4", rate=30)
        stream.width, stream.height, stream.pix_fmt = 320, 240, "yuv420p"
        for index in range(frames):
            pixels = np.full((240, 320, 3), 40 + index, np.uint8)
            pixels[:, index * 2 : index * 2 + 40] = (220, 60, 40)
            film.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
        film.mux(stream.encode())


def test_a_film_that_vanishes_while_it_plays_is_counted_and_the_picture_stays(
    start: Start, tmp_path: Path, free_port: int
) -> None:
    film, seen, report = tmp_path / "short.mp4", tmp_path / "seen.mp4", tmp_path / "v.json"
    make_film(film, 30)
    show = start(
        "run", MIRROR, "--headless", "--size", "320x320", "--input", f"clip:{film}", "--seconds", 6,
        "--osc", f"127.0.0.1:{free_port}", "--record", seen, "--report", report,
    )  # fmt: skip
    wait_for(seen, lambda: seen.exists() and seen.stat().st_size > 0)
    film.unlink()
    code, said = finish(show)
    assert code == 0, said
    found = json.loads(report.read_text())
    assert found["frames"]["lost"] >= 1
    assert found["render_process"]["restarts"] == 0
    assert frames_of(seen)[-1].std() > 5
