"""Signals from a CSV file, for simulations: a column `time`, and one for each signal or parameter."""

from __future__ import annotations

import csv
import datetime as dt
import difflib
import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from vivant.runtime.frames import VivantError
from vivant.runtime.problems import report

TIME: Final = "time"
LARGEST_FILE: Final = 200_000_000  # bytes


@dataclass(frozen=True, slots=True)
class Recorded:
    """Rows in the order of time: `times_s` since the start of the simulation; a row holds until the next.
    An empty cell is a signal that was absent."""

    columns: tuple[str, ...]
    times_s: tuple[float, ...]
    rows: tuple[tuple[float | None, ...], ...]


def read_signals(path: Path, begin: dt.datetime, known: Collection[str]) -> Recorded:
    """A CSV file with `time` in seconds from the start, or as local or zoned date and time, and columns of
    `known` names. Raises VivantError with all problems of the file."""
    try:
        if path.stat().st_size > LARGEST_FILE:
            raise VivantError(f"{path} is larger than {LARGEST_FILE} bytes; give fewer rows")
        lines = list(csv.reader(path.read_text("utf-8-sig").splitlines()))
    except OSError as error:
        raise VivantError(f"{path} cannot be read: {error.strerror or error}") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise VivantError(f"{path} is no CSV file in UTF-8: {error}") from error
    head = [name.strip() for name in lines[0]] if lines else []
    problems = list(_column_problems(head, known))
    if problems:
        raise VivantError(report(str(path), problems))
    rows: list[tuple[float, tuple[float | None, ...]]] = []
    last_s = -math.inf
    for number, cells in enumerate(lines[1:], start=2):
        if not any(cells):
            continue
        try:
            rows.append(_row(cells, head, begin))
        except ValueError as error:
            problems.append(f"line {number}: {error}")
            continue
        if rows[-1][0] < last_s:
            problems.append(f"line {number}: is earlier than the one before it")
        last_s = rows[-1][0]
    if not rows and not problems:
        problems.append("there are no rows")
    if problems:
        raise VivantError(report(str(path), problems))
    columns = tuple(name for name in head if name != TIME)
    return Recorded(columns, tuple(at_s for at_s, _ in rows), tuple(values for _, values in rows))


def _column_problems(head: Sequence[str], known: Collection[str]) -> list[str]:
    if TIME not in head:
        return [
            f"the first line should name the columns, one of them {TIME}; it has {', '.join(head) or 'none'}"
        ]
    found = []
    for name in head:
        if name != TIME and name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            hint = f"did you mean '{near[0]}'?" if near else f"there are {', '.join(known)}"
            found.append(f"column {name}: unknown signal; {hint}")
    return found


def _row(
    cells: Sequence[str], head: Sequence[str], begin: dt.datetime
) -> tuple[float, tuple[float | None, ...]]:
    if len(cells) != len(head):
        raise ValueError(f"has {len(cells)} cells, and the first line {len(head)}")
    values: Mapping[str, str] = dict(zip(head, map(str.strip, cells), strict=True))
    numbers = tuple(_number(name, text) for name, text in values.items() if name != TIME)
    return _seconds(values[TIME], begin), numbers


def _number(name: str, text: str) -> float | None:
    try:
        return float(text) if text else None
    except ValueError:
        raise ValueError(f"{name} = {text}: should be a number, or empty where it is not known") from None


def _seconds(text: str, begin: dt.datetime) -> float:
    try:
        seconds = float(text)
    except ValueError:
        return _moment(text, begin).timestamp() - begin.timestamp()
    if not math.isfinite(seconds):
        raise ValueError(f"{TIME} = {text}: should be a number of seconds")
    return seconds


def _moment(text: str, begin: dt.datetime) -> dt.datetime:
    try:
        moment = dt.datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(f"{TIME} = {text}: write seconds, or 2026-11-21T10:00:05") from None
    return moment.replace(tzinfo=begin.tzinfo) if moment.tzinfo is None else moment
