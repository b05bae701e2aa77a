"""The only door to the trackers: what a scene asks for, what of it this machine has, and how to open it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Final, Protocol

from vivant.runtime.body.moving import Moving
from vivant.runtime.body.section import Body
from vivant.runtime.body.seen import Bodies
from vivant.runtime.frames import U8, VivantError

INSTALL: Final = "Run: make body (docs/body.md has the commands without make)"
INSTALL_TASKS: Final = "Run: make body-tasks (docs/body.md has the commands without make)"


class Tracker(Protocol):
    """Finds people in frames. One thread."""

    name: str

    def track(self, pixels: U8, captured_ns: int) -> Bodies:
        """Who is in the frame u8 (H, W, 3)."""

    def close(self) -> None:
        """Free what it holds."""


@dataclass(frozen=True, slots=True)
class Kind:
    """One sort of tracker: how to `open` it, and why that would fail here (`lacks`, empty when it would
    not). Asking imports nothing heavy."""

    meaning: str
    lacks: Callable[[Body], str]
    open: Callable[[Body], Tracker]


def _solutions(body: Body) -> Tracker:
    from vivant.runtime.body.solutions import Solutions

    return Solutions(body.find)


def _tasks(body: Body) -> Tracker:
    from vivant.runtime.body.tasks import Tasks

    return Tasks(Path(body.tasks), body.find, body.people)


def no_solutions(body: Body) -> str:
    """Why the models inside mediapipe cannot be used."""
    spec = find_spec("mediapipe")
    if spec is None:
        return f"mediapipe is not installed. {INSTALL}"
    places = [Path(place) for place in spec.submodule_search_locations or ()]
    if not any((place / "python" / "solutions" / "pose.py").exists() for place in places):
        return f"this mediapipe has no models inside: 0.10.21 is the last that has. {INSTALL}"
    return ""


def no_tasks(body: Body) -> str:
    """Why the user's own models cannot be used."""
    from vivant.runtime.body.tasks import models_in

    if not body.tasks:
        return "no folder of .task files is named: tasks = FOLDER"
    if find_spec("mediapipe") is None:
        return f"mediapipe is not installed. {INSTALL_TASKS}"
    if not no_solutions(body):  # its Tasks want a protobuf below 5, which nothing else here can have
        return f"this mediapipe is the one with models inside; .task files need a newer one. {INSTALL_TASKS}"
    try:
        models_in(Path(body.tasks), body.find)
    except VivantError as problem:
        return str(problem)
    return ""


KINDS: Final = {
    "tasks": Kind("your .task files", no_tasks, _tasks),
    "mediapipe": Kind("the models inside mediapipe", no_solutions, _solutions),
    "moving": Kind("whoever differs from the room", lambda body: "", lambda body: Moving(body.rate_hz)),
}
"""In the order in which `auto` takes them."""


@dataclass(frozen=True, slots=True)
class Choice:
    """The tracker that was chosen, and why, in words for the log."""

    name: str
    reason: str


def choose(body: Body) -> Choice:
    """The tracker that [body] asks for. Raises VivantError when it is one by name and cannot be had."""
    if body.track != "auto":
        lacks = KINDS[body.track].lacks(body)
        if lacks:
            raise VivantError(f'body.track = "{body.track}": {lacks}')
        return Choice(body.track, "asked for")
    passed: list[str] = []
    for name, kind in KINDS.items():
        lacks = kind.lacks(body)
        if not lacks:
            return Choice(name, "; ".join(passed) or kind.meaning)
        if name != "tasks" or body.tasks:
            passed.append(lacks)
    raise VivantError('body.track = "auto": ' + "; ".join(passed))


def open_tracker(name: str, body: Body) -> Tracker:
    """The tracker of a name in KINDS. Imports what it needs."""
    return KINDS[name].open(body)
