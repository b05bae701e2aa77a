"""The one command line: which shows are watched over, and what it loads."""

from __future__ import annotations

import subprocess
import sys

import pytest

from vivant.cli.app import watched


@pytest.mark.parametrize(
    ("arguments", "answer"),
    [
        ("run mirror", True),
        ("run mirror --no-keep-alive", False),
        ("run mirror --headless", False),
        ("run mirror --headless --keep-alive", True),
        ("run mirror --keep-alive --no-keep-alive", False),
        ("run --help", False),
        ("scenes check mirror", False),
        ("", False),
    ],
)
def test_a_show_with_a_window_is_watched_over_unless_somebody_says_otherwise(
    arguments: str, answer: bool
) -> None:
    assert watched(arguments.split()) is answer


def test_a_process_of_the_show_that_imports_it_loads_no_command() -> None:
    program = "import sys, vivant.cli.app; print(*sys.modules)"
    found = subprocess.run([sys.executable, "-P", "-c", program], capture_output=True, text=True, check=True)
    assert {"typer", "numpy", "vivant.cli.commands"}.isdisjoint(found.stdout.split())


def test_it_has_nothing_but_the_commands() -> None:
    import vivant.cli.app
    from vivant.cli.commands import app

    assert vivant.cli.app.app is app
    with pytest.raises(AttributeError, match="has no nothing"):
        vivant.cli.app.nothing  # noqa: B018
