"""`vivant engines build`, on played libraries."""

from __future__ import annotations

import pytest
import typer
from test_tensorrt import folder, played  # noqa: F401  # fixtures
from typer.testing import CliRunner

from vivant.cli.build import build
from vivant.engines import tensorrt_backend
from vivant.engines.card import Card
from vivant.engines.contract import PARTS, EngineError, GraphSource

app = typer.Typer()
app.command()(build)


def test_the_command_that_a_refusal_names_builds_what_was_missing(played, folder):  # noqa: F811
    sources = [GraphSource(folder, Card.read(folder), part, "int8") for part in PARTS]
    with pytest.raises(EngineError, match="is not built") as refusal:
        tensorrt_backend.load(sources[0], (96, 64), 1)
    command = str(refusal.value).partition("Run: vivant engines build ")[2]
    result = CliRunner().invoke(app, command.split())
    assert result.exit_code == 0, result.output
    assert "decode: Building, 50%" in result.output
    for source in sources:
        tensorrt_backend.load(source, (96, 64), 1).close()


def test_without_a_size_it_is_the_students_own(played, folder):  # noqa: F811
    assert CliRunner().invoke(app, [str(folder)]).exit_code == 0
    source = GraphSource(folder, Card.read(folder), "decode", "int8")
    tensorrt_backend.load(source, (64, 64), 1).close()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--backend", "openvino"], "give tensorrt"),
        (["--precision", "int4"], "give int8 or float"),
        (["--compatibility", "all"], "give this_gpu or ampere_plus"),
        (["--size", "large"], "not WIDTHxHEIGHT"),
    ],
)
def test_what_it_does_not_know_is_refused(folder, arguments, words):  # noqa: F811
    result = CliRunner().invoke(app, [str(folder), *arguments])
    assert result.exit_code == 2
    assert words in " ".join(result.output.split())
