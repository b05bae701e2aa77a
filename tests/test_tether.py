"""What a show tells of itself: what is urgent at once, where it stands each second; files that follow."""

from __future__ import annotations

import os
from collections.abc import Iterator
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import pytest

from vivant.runtime.tether import LINE, Before, Tether, following, told


@pytest.fixture
def ends() -> Iterator[tuple[Connection, Connection]]:
    ours, theirs = Pipe()
    yield ours, theirs
    ours.close()


def hear(line: Connection, key: str) -> Any:
    """The next word that has `key`."""
    while line.poll(30):
        word = told(line)
        if key in word:
            return word[key]
    raise AssertionError(f"no word of {key}")


def finish(tether: Tether, line: Connection) -> None:
    tether.ending()
    assert hear(line, "ending") is True


def test_it_says_who_is_here_what_it_needs_and_that_the_loop_turns(
    ends: tuple[Connection, Connection],
) -> None:
    ours, theirs = ends
    tether = Tether(theirs, Before())
    assert hear(ours, "here") == os.getpid()
    tether.expect(210.0)
    assert hear(ours, "limit_s") == 210.0
    tether.turned(5)
    assert hear(ours, "shown_ns") == 5
    finish(tether, ours)


def test_a_loop_that_stands_still_is_not_told_of(ends: tuple[Connection, Connection]) -> None:
    tether = Tether(ends[1], Before())
    finish(tether, ends[0])
    tether.turned(5)
    assert "shown_ns" in tether._news(100.0)
    assert "shown_ns" not in tether._news(200.0)


def test_a_place_is_told_once_a_second_and_a_panic_at_once(ends: tuple[Connection, Connection]) -> None:
    tether = Tether(ends[1], Before())
    finish(tether, ends[0])
    heard = []
    for now_s, panic, exposure in (
        (100.0, False, 0.1), (100.5, False, 0.2), (101.0, False, 0.3), (101.1, True, 0.4), (101.2, True, 0.4),
    ):  # fmt: skip
        tether.stands({"panic": panic, "values": {"exposure": exposure}})
        heard.append("place" in tether._news(now_s))
    assert heard == [True, False, True, True, False]


def test_the_first_process_decides_when_a_show_ends(ends: tuple[Connection, Connection]) -> None:
    tether = Tether(ends[1], Before(restarts=1, reasons=("was ended by SIGSEGV",), until_ns=77))
    assert tether.until(99) == 77
    finish(tether, ends[0])


def test_the_gap_of_a_restart_is_from_picture_to_picture_and_the_longest_stays(
    ends: tuple[Connection, Connection],
) -> None:
    before = Before(restarts=2, reasons=("a", "b"), shown_ns=1_000_000_000, gap_ms=2500.0)
    tether = Tether(ends[1], before)
    finish(tether, ends[0])
    tether.turned(0)
    assert tether.counts() == {"restarts": 2, "reasons": ["a", "b"], "longest_gap_ms": 2500.0}
    tether.turned(4_000_000_000)
    tether.turned(9_000_000_000)
    assert tether.counts()["longest_gap_ms"] == 3000.0


def test_what_was_before_arrives_as_it_was() -> None:
    before = Before(3, ("x", "y"), 2, {"panic": True}, 12, 34, 5.5)
    assert Before.read(before.packed()) == before
    with pytest.raises(ValueError, match="Expecting value"):
        Before.read(b"not JSON")


def test_without_somebody_who_watches_there_is_no_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(LINE, raising=False)
    assert Tether.find() is None


def test_a_recording_goes_on_in_the_next_file_that_nobody_wrote(tmp_path: Path) -> None:
    assert following(tmp_path / "show.mp4") == tmp_path / "show-2.mp4"
    (tmp_path / "show-2.mp4").touch()
    assert following(tmp_path / "show.mp4") == tmp_path / "show-3.mp4"
