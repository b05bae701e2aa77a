"""What several tests share: the real command line in a process of its own, and where things are."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
CLIP = ROOT.parent / "shared" / "media" / "pedestrians.avi"
COMMAND = (sys.executable, "-P", "-m", "vivant.cli.app")

Start = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def free_port() -> int:
    """A UDP port of the loopback that nobody uses now."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Start `vivant ARGUMENTS` without a display; what is still running at the end of the test is killed."""
    running: list[subprocess.Popen[str]] = []

    def run(*arguments: object) -> subprocess.Popen[str]:
        environment = {k: v for k, v in os.environ.items() if k not in ("DISPLAY", "WAYLAND_DISPLAY")}
        process = subprocess.Popen(
            [*COMMAND, *map(str, arguments)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=tmp_path,
            env=environment,
        )
        running.append(process)
        return process

    yield run
    for process in running:
        process.kill()
        process.communicate()


@pytest.fixture
def pedestrians() -> Path:
    """The clip of people walking; tests that want it are skipped where it is absent."""
    if not CLIP.exists():
        pytest.skip(f"{CLIP.name} is not beside the checkout (shared/media)")
    return CLIP
