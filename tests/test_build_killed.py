"""A build that is killed at any moment leaves the old engines as they were, and the next one goes on."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import ROOT
from tiny_student import changed_student, entry, write_tiny_student

onnx = pytest.importorskip("onnx", reason="needs onnx: pip install '.[build]'")
pytest.importorskip("polygraphy", reason="needs polygraphy: pip install '.[build]'")

from vivant.engines import manifest  # noqa: E402
from vivant.engines.card import Card, read_checked  # noqa: E402
from vivant.engines.kinds import load_student  # noqa: E402
from vivant.engines.manifest import kept_engines, read_kept  # noqa: E402
from vivant.engines.student import built, find  # noqa: E402

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork, to kill what has all its imports done"),
]
KILLS = 24
NAME, SIZE = "painter", (64, 64)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(manifest, "kept_folder", lambda: tmp_path / "cache" / "engines")
    monkeypatch.setattr("platformdirs.user_data_dir", lambda name: str(tmp_path / "data" / name))
    return tmp_path


class Builder:
    """The server, and what a test asks of it."""

    def __init__(self) -> None:
        command = [sys.executable, "-P", str(ROOT / "tests" / "build_server.py")]
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )

    def build(self, home: Path, source: Path, **asked: Any) -> int:
        """How the build ended: 0, or minus the signal."""
        assert self.process.stdin is not None and self.process.stdout is not None
        self.process.stdin.write(json.dumps({"home": str(home), "source": str(source), **asked}) + "\n")
        self.process.stdin.flush()
        return int(self.process.stdout.readline() or self.process.communicate()[1])


@pytest.fixture(scope="module")
def builder() -> Iterator[Builder]:
    made = Builder()
    yield made
    made.process.kill()
    made.process.communicate()


def variant(base: Path, target: Path, number: int) -> Path:
    """The student with other weights in its decoder."""
    model = onnx.load(base / "decode.float.onnx")
    for one in model.graph.initializer:
        if one.name == "w_12_32_3_3":
            values = onnx.numpy_helper.to_array(one) * (1 + number / 100)
            one.CopyFrom(onnx.numpy_helper.from_array(values.astype("float32"), one.name))
    changed_student(base, target, lambda card: None)
    onnx.save(model, target / "decode.float.onnx")

    def change(card):
        card["graphs"]["decode"]["float"] = entry(target / "decode.float.onnx")
        card["version"] = str(number)

    return changed_student(target, target, change)


def installed() -> str:
    """The version of the student that is there, every file and engine of it whole and verified."""
    assert list(built()) == [NAME]
    folder = find(NAME)
    card = Card.read(folder)
    for file in card.files():
        read_checked(folder, file)
    graphs = {card.graphs[part]["float"].sha256 for part in card.parts}
    engines = {read_kept(place).manifest.model_sha256: place for place in kept_engines()}
    assert graphs <= engines.keys()
    assert all(read_kept(engines[graph]).verified is not None for graph in graphs)
    with load_student(folder, "onnxruntime", "float", SIZE, 1) as student:
        assert student.size_px == SIZE
    return card.version


def test_a_build_killed_at_any_moment_leaves_the_old_engine_and_the_next_one_goes_on(home, builder):
    base = write_tiny_student(home / "base", adapted=True)
    assert builder.build(home, variant(base, home / "v0", 0)) == 0
    began = time.monotonic()
    assert builder.build(home, variant(base, home / "v1", 1)) == 0
    whole_s = time.monotonic() - began
    assert installed() == "1+slots"
    rng = random.Random(4)
    killed, version = 0, "1"
    for number in range(2, 2 + KILLS):
        student = variant(base, home / f"v{number}", number)
        end = builder.build(home, student, after_s=rng.uniform(0, whole_s))
        assert end in (0, -signal.SIGKILL)
        killed += end != 0
        now = installed()
        assert now in (f"{version}+slots", f"{number}+slots")
        assert [fault for fault in kept_engines().values() if fault] == []
        version = now.removesuffix("+slots")
    assert killed >= KILLS // 2
    for _ in range(2):
        assert builder.build(home, home / f"v{1 + KILLS}") == 0
        assert installed() == f"{1 + KILLS}+slots"


def test_a_killed_build_does_not_do_again_what_was_done(home, builder):
    student = variant(write_tiny_student(home / "base", adapted=True), home / "v0", 0)
    done = home / "done"
    assert builder.build(home, student, when="build encode 64x64") == -signal.SIGKILL
    before = set(done.read_text().splitlines())
    done.unlink()
    assert builder.build(home, student) == 0
    assert before and before & set(done.read_text().splitlines()) == set()
    assert installed() == "0+slots"
