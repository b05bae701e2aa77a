"""`vivant sound` as somebody types it."""

from __future__ import annotations

import logging
from pathlib import Path

import cv2
import pytest
from typer.testing import CliRunner

from vivant.cli.app import app
from vivant.runtime.frames import VivantError

RUN = CliRunner()


@pytest.fixture(scope="module")
def music(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("music") / "piece.wav"
    done = RUN.invoke(app, ["sound", "demo", str(path), "--bpm", "132", "--seconds", "14"])
    assert done.exit_code == 0, done.output
    assert "132 beats a minute" in done.output
    return path


def test_what_is_heard_of_a_recording_is_said_and_drawn(music: Path, tmp_path: Path) -> None:
    sheet = tmp_path / "heard.png"
    done = RUN.invoke(app, ["sound", "look", str(music), "--sheet", str(sheet)])
    assert done.exit_code == 0, done.output
    tempo = float(done.output.split(" s: ")[1].split(" bpm")[0])
    assert tempo == pytest.approx(132.0, abs=1.0)
    drawn = cv2.imread(str(sheet))
    assert drawn is not None
    assert drawn.std() > 10


def test_a_meter_shows_every_signal(music: Path) -> None:
    done = RUN.invoke(app, ["sound", "meter", str(music), "--seconds", "0.5"])
    assert done.exit_code == 0, done.output
    assert "sound_level" in done.output
    assert "piece.wav" in done.output


@pytest.mark.parametrize(
    "arguments",
    [
        ["look", "absent.wav"],
        ["meter", "no such microphone"],
        ["meter", "off"],
        ["demo", "/no/such/folder/piece.wav", "--seconds", "4"],
    ],
)
def test_what_cannot_be_is_one_message(arguments: list[str], caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.ERROR):
        done = RUN.invoke(app, ["sound", *arguments])
    assert isinstance(done.exception, VivantError)
    assert len(str(done.exception).splitlines()) == 1
