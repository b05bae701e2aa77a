"""Which adapter files a scene means: those it names, those in the folders it names, and what is wrong with
them."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from vivant.engines.adapter_file import SUFFIX, is_whole
from vivant.engines.card import Card
from vivant.engines.contract import EngineError, Wearable
from vivant.engines.kinds import kind_of
from vivant.engines.student import find

LOOKS_LIKE_ONE: Final = (".safetensors", ".ckpt", ".pt", ".pth", ".bin")
"""Endings of files that people mean as adapters; those that are none are refused with a reason."""
MOST: Final = 64  # adapters of a show: each is a parameter in every snapshot
REMEMBERED: Final = 256  # files that were read
LARGEST: Final = 2_000_000_000  # bytes: a LoRA of the highest rank for the largest UNet is not much smaller
TAKEN: Final = frozenset({"choose", "fade_s", "cycle_s"})  # addresses beside those of the styles


@dataclass(frozen=True, slots=True)
class Candidate:
    """One file, its name and what it is; or the `problem` for which it is refused."""

    path: Path
    name: str = ""
    worn: Wearable | None = None
    problem: str = ""


def named(entries: Iterable[str]) -> list[Path]:
    """Of a scene's `adapters`, the files."""
    return [Path(entry) for entry in entries if not _is_folder(entry)]


def folders(entries: Iterable[str]) -> list[Path]:
    """Of a scene's `adapters`, the folders."""
    return [Path(entry) for entry in entries if _is_folder(entry)]


def _is_folder(entry: str) -> bool:
    try:
        return Path(entry).is_dir()
    except OSError:  # too long for a path
        return False


def files_in(folder: Path) -> list[Path]:
    """What lies in a folder and may be an adapter, by name; nothing while the folder cannot be read."""
    try:
        return sorted(
            path
            for path in folder.iterdir()
            if path.suffix.lower() in LOOKS_LIKE_ONE and not path.name.startswith(".") and path.is_file()
        )
    except OSError:  # a network share that is away: it is looked into again
        return []


def looked_at(card: Card, path: Path) -> Candidate:
    """One file, read and checked in full; a file that did not change is read once."""
    try:
        stat = path.stat()
    except OSError as error:
        return Candidate(path, problem=f"{path} cannot be read: {error.strerror}")
    problem = _unread(path, stat.st_size)
    if problem:
        return Candidate(path, problem=problem)
    key = (card.hash, path, stat.st_mtime_ns, stat.st_size)
    if key not in _read:
        while len(_read) >= REMEMBERED:
            del _read[next(iter(_read))]
        _read[key] = _inspected(card, path)
    return _read[key]


def _unread(path: Path, size: int) -> str:
    """Why a file is not opened at all; empty when it is."""
    if path.suffix.lower() != SUFFIX:
        return (
            f"{path} is no {SUFFIX} file. Other adapter files are pickles, which can run code, so it was not "
            "opened. Save it as safetensors in the program that it comes from"
        )
    if size > LARGEST:
        return f"{path} has {size / 1e9:.1f} GB, and an adapter has {LARGEST / 1e9:.0f} at most. Take it away"
    if not is_whole(path):
        return f"{path} is cut off, or no safetensors file. Copy it again from where it came from"
    return ""


def _inspected(card: Card, path: Path) -> Candidate:
    try:
        name, worn = kind_of(card).inspect(card, path)
    except EngineError as error:
        return Candidate(path, problem=str(error))
    return Candidate(path, name, worn)


_read: dict[tuple[str, Path, int, int], Candidate] = {}


def in_folders(card: Card, entries: Sequence[str], taken: Iterable[str]) -> list[Candidate]:
    """Every file in a scene's folders. `taken` are names that are given already: of two files of one name the
    first is it."""
    names = {*taken, *TAKEN}
    found = []
    for path in (path for folder in folders(entries) for path in files_in(folder)):
        one = clash(looked_at(card, path), names, card)
        names |= {one.name} if not one.problem else set()
        found.append(one)
    return found


def clash(one: Candidate, names: Iterable[str], card: Card) -> Candidate:
    """The candidate, or why its name cannot be had."""
    if one.problem:
        return one
    given = set(names)
    if one.name in given or one.name in card.styles:
        other = "a style" if one.name in card.styles else "another adapter or address"
        return replace(
            one, worn=None, problem=f"{one.path} is named '{one.name}', and so is {other}. Rename it"
        )
    if len(given - TAKEN) >= MOST:
        return replace(one, worn=None, problem=f"{one.path}: a show takes {MOST} adapters. Take others away")
    return one


def worn_by(student: str, entries: Sequence[str]) -> tuple[Card, Mapping[str, Wearable], list[Candidate]]:
    """The student's card; what it may wear by name: what comes with vivant, the files that a scene names, and
    those in its folders that fit; and those in its folders, the refused ones among them. Raises EngineError
    for a named file that does not fit."""
    card = Card.read(find(student))
    for path in named(entries):
        problem = ""
        with contextlib.suppress(OSError, ValueError):  # what is no path at all, the student has words for
            problem = (
                _unread(path, path.stat().st_size) if path.exists() else f"there is no file or folder {path}"
            )
        if problem:
            raise EngineError(problem)
    worn = dict(kind_of(card).wardrobe(card, named(entries)))
    beside = in_folders(card, entries, worn)
    return card, worn | {one.name: one.worn for one in beside if one.worn is not None}, beside
