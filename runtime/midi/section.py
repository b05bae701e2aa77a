"""`[midi]` of a scene: which controllers, which map, and what they are told back."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from pydantic import BaseModel, ConfigDict, Field, field_validator

from vivant.runtime.endpoints import endpoint
from vivant.runtime.frames import VivantError
from vivant.runtime.midi.mapping import MidiMap, map_problems, read_map
from vivant.runtime.parameters import ROOT, Parameter
from vivant.runtime.tree import Tree

LEARN: Final = ROOT + "midi/learn"
SAVE: Final = ROOT + "midi/save"
LONGEST_ADDRESS: Final = 200
TCP: Final = "tcp:"


class Midi(BaseModel):
    """`inputs`: "all", "off", or parts of the ports' names; `tcp:HOST:PORT` listens for MIDI over a network
    connection. `map` is a map file, relative to the scene. With `feedback` controllers are told what changes
    elsewhere; with `clock` theirs may lead the tempo."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)

    inputs: tuple[str, ...] = Field(("off",), strict=False)
    map: str = ""
    feedback: bool = True
    clock: bool = True

    @field_validator("inputs", mode="before")
    @classmethod
    def _listed(cls, value: object) -> object:
        return (value,) if isinstance(value, str) else value

    @field_validator("inputs")
    @classmethod
    def _inputs(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        for name in names:
            if not name.strip():
                raise ValueError("should be all, off, parts of ports' names, or tcp:HOST:PORT")
            if name.startswith(TCP):
                endpoint(name.removeprefix(TCP))
        return names

    @property
    def on(self) -> bool:
        """Whether any controller is listened to."""
        return bool(self.inputs) and self.inputs != ("off",)


def midi_parameters(section: Mapping[str, Any]) -> Iterator[Parameter]:
    """What a scene that listens to controllers can be told about them."""
    if section.get("inputs", "off") in ("off", ["off"], ("off",), [], ()):
        return
    yield Parameter(
        LEARN,
        "text",
        "an address: the next control that is moved will move it; empty to let it be",
        "",
        maximum=LONGEST_ADDRESS,
    )
    yield Parameter(SAVE, "action", "write what was learned into the scene's map file")


def midi_problems(section: Mapping[str, Any], folder: Path, tree: Tree) -> Sequence[str]:
    """What is wrong with a scene's map file, beside its keys."""
    name = section.get("map")
    if not isinstance(name, str) or not name:
        return []
    path = folder / Path(name).expanduser()
    if not path.exists():
        return []  # it may be learned in the show, and saved there
    try:
        found = read_map(path)
    except VivantError as error:
        return [f"midi.map: {error}"]
    return [f"midi.map: {path}: {trouble}" for trouble in map_problems(found, tree)]


def map_at(path: Path | None) -> MidiMap:
    """The map in a file; an empty one where there is no file. Raises VivantError."""
    return MidiMap() if path is None or not path.exists() else read_map(path)
