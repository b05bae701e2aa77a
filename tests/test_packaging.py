"""The wheel holds everything that the checkout runs with: every module, shader, scene and student."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

from conftest import ROOT

CODE = ("runtime", "engines", "guardrails", "distill", "cli", "tools", "shaders", "scenes")
DATA = (
    "shaders/*.vert",
    "shaders/*.frag",
    "scenes/*.toml",
    "scenes/maps/*.toml",
    "engines/students/*/*",
    "engines/adapters/*",
)


def test_the_wheel_is_whole(tmp_path: Path) -> None:
    subprocess.run(
        [
            sys.executable,
            "-m",
            "pip",
            "wheel",
            "-q",
            "--no-deps",
            "--no-build-isolation",
            "-w",
            tmp_path,
            ROOT,
        ],
        check=True,
        capture_output=True,
    )
    with zipfile.ZipFile(next(tmp_path.glob("vivant-*.whl"))) as wheel:
        packed = {name for name in wheel.namelist() if name.startswith("vivant/")}
    wanted = {path for folder in CODE for path in (ROOT / folder).rglob("*.py")}
    wanted |= {path for pattern in DATA for path in ROOT.glob(pattern) if path.is_file()}
    assert {f"vivant/{path.relative_to(ROOT).as_posix()}" for path in wanted} - packed == set()
