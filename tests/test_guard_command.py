"""`vivant guard` as a person uses it: its words, its files and its exit codes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import typer
from conftest import Start
from flash_films import GREY, WHITE, even, strobe, write_film

from vivant.cli.guarding import shares_of


def test_a_calm_film_passes_and_its_timeline_lies_beside_it(start: Start, tmp_path: Path) -> None:
    write_film(tmp_path / "calm.mp4", [even(*GREY)] * 20)
    command = start("guard", "flash", "calm.mp4")
    said, problems = command.communicate(timeout=60)
    assert command.returncode == 0, problems
    assert "calm.mp4 passes: 20 pictures" in said
    assert (tmp_path / "calm.flash.png").stat().st_size > 1000


def test_a_film_with_too_many_flashes_fails_with_its_reasons(start: Start, tmp_path: Path) -> None:
    film = write_film(tmp_path / "club.mp4", strobe(even(*GREY), even(*WHITE), 6, 1.5))
    command = start("guard", "flash", film, "--json", "found.json", "--timeline", "drawn.png")
    said, problems = command.communicate(timeout=60)
    assert command.returncode == 1, problems
    assert "club.mp4 does not pass" in said
    assert "too many (general)" in said
    assert json.loads((tmp_path / "found.json").read_text())["worst"]["general"]["flashes_a_second"] == 6
    assert (tmp_path / "drawn.png").exists()
    assert not (tmp_path / "club.flash.png").exists()


def test_what_cannot_be_read_is_one_message_and_exit_code_two(start: Start, tmp_path: Path) -> None:
    command = start("guard", "flash", "absent.mp4")
    said, problems = command.communicate(timeout=60)
    assert command.returncode == 2
    assert said == ""
    assert problems.startswith("Cannot read absent.mp4")
    assert "Traceback" not in problems


def test_smallest_sizes_are_of_all_kinds_or_of_one() -> None:
    assert shares_of([], ("text",)) == (0.12, {})
    assert shares_of(["0.2", "text=0.35"], ("symbol", "text")) == (0.2, {"text": 0.35})


@pytest.mark.parametrize(
    ("word", "said"),
    [("much", "no share"), ("text=", "no share"), ("0.01", "from 0.05"), ("0.95", "below 0.9"),
     ("nan", "from 0.05"), ("face=0.3", "no forbidden kind 'face', only text")],
)  # fmt: skip
def test_a_smallest_size_that_is_none_is_one_clear_error(word: str, said: str) -> None:
    with pytest.raises(typer.BadParameter, match=said):
        shares_of([word], ("text",))
