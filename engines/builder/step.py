"""Work in small lazy steps, each done once: results are kept by a hash of everything that goes into them."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from pydantic import BaseModel, ConfigDict, ValidationError

from vivant.engines.buildable import Share
from vivant.engines.manifest import sync_folder

WHOLE = "step.json"
STAGED = ".staged-"


class Done(BaseModel):
    """step.json, written last: what the step was called, how long it took, and the sha256 of its files."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)

    name: str
    seconds: float
    files: dict[str, str]


@dataclass(frozen=True, slots=True)
class Making:
    """What a step's work is given: a folder to write into, the folders of the steps it needs, by name, and
    whom to tell how far it is."""

    folder: Path
    given: Mapping[str, Path]
    share: Share


Make = Callable[[Making], None]


@dataclass(frozen=True, slots=True)
class Step:
    """One piece of work whose result is files. `kind` names what sort of work it is, `of` what it is done to;
    `key` is the hash of all that goes in (`step` makes it); `guess_s` is how long it may take where nobody
    knows yet."""

    kind: str
    of: str
    key: str
    make: Make
    needs: Mapping[str, Step]
    guess_s: float

    @property
    def name(self) -> str:
        return f"{self.kind} {self.of}".strip()


def step(
    kind: str,
    of: str,
    make: Make,
    facts: Mapping[str, Any],
    needs: Mapping[str, Step] | None = None,
    guess_s: float = 1.0,
) -> Step:
    """A step. `facts` are JSON values: hashes of files, sizes, versions, all that the result depends on
    besides the steps it needs."""
    needs = needs or {}
    parts = {"kind": kind, "of": of, "facts": facts, "needs": {name: one.key for name, one in needs.items()}}
    text = json.dumps(parts, sort_keys=True)
    return Step(kind, of, hashlib.sha256(text.encode()).hexdigest()[:20], make, needs, guess_s)


class Watch(Protocol):
    """Who is told of the work: which steps there are to do, and of each its begin, share done and end."""

    def planned(self, steps: list[Step]) -> None: ...
    def began(self, one: Step) -> None: ...
    def further(self, one: Step, share: float) -> None: ...
    def ended(self, one: Step, seconds: float) -> None: ...


class Unwatched:
    """Nobody is told."""

    def planned(self, steps: list[Step]) -> None: ...
    def began(self, one: Step) -> None: ...
    def further(self, one: Step, share: float) -> None: ...
    def ended(self, one: Step, seconds: float) -> None: ...


class Shelf:
    """Finished steps, a folder for each under its key. A result appears by one rename, whole and on the disk,
    so that whoever kills the work at any moment loses the step that was at work and nothing else."""

    def __init__(self, folder: Path, clock: Callable[[], float] = time.monotonic) -> None:
        self.folder = folder
        self._clock = clock
        self._checked: set[str] = set()

    def place(self, one: Step) -> Path:
        return self.folder / f"{one.kind.replace(' ', '-')}-{one.key}"

    def has(self, one: Step) -> bool:
        """Whether a step's result is here and is what was written; one that is damaged is thrown away."""
        place = self.place(one)
        if one.key in self._checked:
            return True
        if not place.is_dir():
            return False
        if _damaged(place):
            shutil.rmtree(place)
            return False
        self._checked.add(one.key)
        return True

    def missing(self, *goals: Step) -> list[Step]:
        """What is still to be done for these, in order; what a finished step needed is not asked for."""
        found: dict[str, Step] = {}

        def visit(one: Step) -> None:
            if one.key in found or self.has(one):
                return
            for need in one.needs.values():
                visit(need)
            found[one.key] = one

        for goal in goals:
            visit(goal)
        return list(found.values())

    def get(self, goal: Step, watch: Watch | None = None) -> Path:
        """The folder of a step's result, made now with all it needs where it is not here yet."""
        for one in self.missing(goal):
            self._do(one, watch or Unwatched())
        os.utime(self.place(goal))  # prune looks at when a result was last wanted
        return self.place(goal)

    def _do(self, one: Step, watch: Watch) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        staged = Path(tempfile.mkdtemp(prefix=STAGED, dir=self.folder))
        began = self._clock()
        watch.began(one)
        try:
            given = {name: self.place(need) for name, need in one.needs.items()}
            one.make(Making(staged, given, lambda share: watch.further(one, share)))
            seconds = self._clock() - began
            settle(staged, Done(name=one.name, seconds=seconds, files=hashes(staged)))
            if not self.place(one).exists():  # another build may have been faster: what it made is the same
                staged.rename(self.place(one))
                sync_folder(self.folder)
        finally:
            shutil.rmtree(staged, ignore_errors=True)
        self._checked.add(one.key)
        watch.ended(one, seconds)

    def times(self) -> dict[str, float]:
        """How long steps took, by name: the last of each."""
        found: dict[str, float] = {}
        for path in sorted(self.folder.glob(f"*/{WHOLE}"), key=lambda path: path.stat().st_mtime):
            done = _done(path)
            if done is not None:
                found[done.name] = done.seconds
        return found

    def staged(self) -> Iterator[Path]:
        """What killed builds have left."""
        return self.folder.glob(f"{STAGED}*")


def hashes(folder: Path) -> dict[str, str]:
    """sha256 of every file below a folder, by its path from there."""
    found = {}
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            with path.open("rb") as file:
                digest = hashlib.file_digest(file, "sha256").hexdigest()
            found[path.relative_to(folder).as_posix()] = digest
    return found


def settle(folder: Path, done: Done) -> None:
    """Writes step.json and sees to it that all files are on the disk."""
    (folder / WHOLE).write_text(done.model_dump_json(indent=1))
    for path in (folder / WHOLE, *(folder / name for name in done.files)):
        with path.open("rb") as file:
            os.fsync(file.fileno())
    sync_folder(folder)


def _done(path: Path) -> Done | None:
    try:
        return Done.model_validate_json(path.read_bytes())
    except (OSError, ValidationError):
        return None


def _damaged(place: Path) -> bool:
    done = _done(place / WHOLE)
    if done is None:
        return True
    found = hashes(place)
    found.pop(WHOLE, None)
    return found != done.files
