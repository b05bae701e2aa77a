"""What the README tells people to type is understood: commands, addresses, values, files, pictures."""

from __future__ import annotations

import importlib.util
import re
import shlex

import pytest
from conftest import ROOT
from typer.testing import CliRunner

from vivant.cli.app import app
from vivant.runtime.scene import load_scene, parameters_of, shipped
from vivant.runtime.tree import Tree

TEXT = (ROOT / "README.md").read_text()
TYPED = [
    shlex.split(line, comments=True)
    for block in re.findall(r"```\n(.*?)```", TEXT, re.S)
    for line in block.splitlines()
]
INLINE = [shlex.split(code) for code in re.findall(r"`((?:vivant|python -m|make) [^`]+)`", TEXT)]
COMMANDS = [words for words in TYPED + INLINE if words]


def commands_of(program: str) -> list[list[str]]:
    return [words for words in COMMANDS if words[0] == program]


@pytest.mark.parametrize("words", commands_of("vivant"), ids=" ".join)
def test_vivant_commands_exist(words: list[str]) -> None:
    named = [word for word in words[1:3] if word.isidentifier() and word not in shipped()]
    done = CliRunner().invoke(app, [*named, "--help"])
    assert done.exit_code == 0, done.output
    options = [word for word in words if word.startswith("--")]
    missing = [option for option in options if option not in done.output]
    assert not missing or named == ["run"], f"{missing} are not options of {named}"


@pytest.mark.parametrize(
    "words", [words for words in commands_of("python") if "vivant.tools.osc_send" in words], ids=" ".join
)
def test_osc_examples_are_applied(words: list[str]) -> None:
    address, value = words[-2:]
    argument = float(value) if re.fullmatch(r"[\d.]+", value) else value
    assert Tree(parameters_of("house")).set(address, (argument,), 0, "readme").verb == "applied"


@pytest.mark.parametrize("words", commands_of("python"), ids=" ".join)
def test_modules_exist(words: list[str]) -> None:
    assert words[1] == "-m"
    if words[2].startswith("vivant."):
        assert importlib.util.find_spec(words[2]) is not None


@pytest.mark.parametrize("words", commands_of("make"), ids=" ".join)
def test_make_targets_exist(words: list[str]) -> None:
    assert re.search(rf"^{words[1]}:", (ROOT / "Makefile").read_text(), re.M)


@pytest.mark.parametrize("path", re.findall(r"\]\(([^)#:]+)\)", TEXT))
def test_links_lead_somewhere(path: str) -> None:
    assert (ROOT / path).exists()


@pytest.mark.parametrize(
    "path", re.findall(r"`((?:runtime|engines|guardrails|shaders|distill)/[^`]*)`", TEXT)
)
def test_named_folders_exist(path: str) -> None:
    assert (ROOT / path).exists()


@pytest.mark.parametrize("name", shipped())
def test_shipped_scenes_are_right(name: str) -> None:
    assert load_scene(shipped()[name]).title
