"""The shape of the repository: what imports what, what is packaged, what the house style refuses."""

from __future__ import annotations

import ast
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
FOLDERS = ("runtime", "engines", "guardrails", "distill", "cli", "tools", "shaders", "scenes")
SOURCES = [path for folder in FOLDERS for path in (ROOT / folder).rglob("*.py")]
LONGEST = 500

# folder -> the folders of Vivant that it may import from, beside vivant.runtime.frames, which all may;
# or a package in one
ALLOWED = {
    "engines": {"engines"},
    "guardrails": {"guardrails", "engines"},
    "runtime": {"runtime", "engines", "guardrails", "shaders", "scenes"},
    "cli": {"cli", "runtime", "engines", "guardrails", "distill"},
    "distill": {
        *("distill", "engines", "guardrails"),
        *("runtime.senses", "runtime.condition", "runtime.rest", "runtime.still"),
    },
    "tools": {"tools", "runtime", "engines", "guardrails", "cli.app"},
    "shaders": set(),
    "scenes": set(),
}


def imports_of(path: Path) -> set[str]:
    """Every vivant module that a file imports, at its top or inside a function."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module)
    return {name for name in found if name.startswith("vivant.")}


def allowed(module: str, places: set[str]) -> bool:
    return any(f"{module}.".startswith(f"vivant.{place}.") for place in places)


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_follow_the_data_path(path: Path) -> None:
    folder = path.relative_to(ROOT).parts[0]
    wrong = {
        name
        for name in imports_of(path)
        if name != "vivant.runtime.frames" and not allowed(name, ALLOWED[folder])
    }
    assert wrong == set(), f"{path.name} may not import {sorted(wrong)}"


def test_the_show_imports_nothing_of_distill() -> None:
    others = {path for path in SOURCES if path.relative_to(ROOT).parts[0] != "distill"}
    importing = {p for p in others if any(allowed(name, {"distill"}) for name in imports_of(p))}
    assert importing == {ROOT / "cli" / "distill.py"}


def test_frames_imports_nothing_of_vivant() -> None:
    assert imports_of(ROOT / "runtime" / "frames.py") == set()


def test_every_module_is_packaged() -> None:
    packages = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"]
    listed = {name.removeprefix("vivant.").replace(".", "/") for name in packages}
    assert {str(path.parent.relative_to(ROOT)) for path in SOURCES} == listed


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_modules_are_small_and_say_what_they_are_for(path: Path) -> None:
    text = path.read_text()
    assert len(text.splitlines()) <= LONGEST
    if text.strip():
        assert ast.get_docstring(ast.parse(text)), f"{path.name} opens without a sentence"


def test_only_the_exchange_and_the_slot_hold_locks() -> None:
    holders = {
        str(path.relative_to(ROOT))
        for path in SOURCES
        if "Lock()" in path.read_text() or "Condition()" in path.read_text()
    }
    assert holders <= {"runtime/exchange.py", "runtime/senses/slot.py"}


@pytest.mark.parametrize(
    "arguments",
    [["--help"], ["run", "--help"], ["bench", "--help"], ["doctor", "--help"], ["distill", "--help"]],
)
def test_help_imports_nothing_heavy(arguments: list[str]) -> None:
    heavy = "cv2", "openvino", "onnxruntime", "torch", "moderngl", "glfw", "av", "scipy", "skimage"
    program = (
        "import sys\n"
        "from vivant.cli.app import app\n"
        f"try: app({arguments!r})\n"
        "except SystemExit as end: assert not end.code\n"
        f"print([name for name in {heavy!r} if name in sys.modules], file=sys.stderr)\n"
    )
    done = subprocess.run([sys.executable, "-P", "-c", program], capture_output=True, text=True, check=True)
    assert done.stderr.strip().endswith("[]"), done.stderr
