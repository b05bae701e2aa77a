"""A map file: which control of a controller moves which parameter, and how. TOML, checked in full."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from vivant.engines.manifest import write_atomically
from vivant.runtime.frames import Value, VivantError
from vivant.runtime.mapped import Ends, Mapped, ends_trouble, target_trouble
from vivant.runtime.midi.controls import Control, control_of
from vivant.runtime.parameters import ROOT
from vivant.runtime.problems import problem, problems_of, report
from vivant.runtime.tree import Tree

STRICT: Final = ConfigDict(strict=True, extra="forbid", frozen=True, allow_inf_nan=False)
LARGEST_FILE: Final = 1_000_000

Way = Literal["auto", "absolute", "pickup", "relative", "press", "toggle", "hold", "velocity"]


class Binding(Mapped):
    """One control and what it moves. `range` in the parameter's unit, its own where none is given; the second
    may be the smaller. `value` is what a press sets."""

    control: str
    way: Way = "auto"
    range: Ends | None = None
    value: Value | None = None
    feedback: bool = True

    @field_validator("control")
    @classmethod
    def _control(cls, text: str) -> str:
        control_of(text)
        return text


class MidiMap(BaseModel):
    """A map: its name, and its bindings. Several may share a control or a parameter."""

    model_config = STRICT

    name: str = "my controller"
    controls: tuple[Binding, ...] = Field(default=(), strict=False)


def read_map(path: Path) -> MidiMap:
    """Read a map file. Raises VivantError with everything that is wrong with it, parameters aside."""
    try:
        if path.stat().st_size > LARGEST_FILE:
            raise VivantError(f"{path} is larger than {LARGEST_FILE} bytes; that is no MIDI map")
        table = tomllib.loads(path.read_bytes().decode())
        return MidiMap.model_validate(table)
    except OSError as error:
        raise VivantError(f"MIDI map {path} cannot be read: {error.strerror or error}") from error
    except ValidationError as error:
        raise VivantError(report(str(path), problems_of(error, MidiMap))) from error
    except (ValueError, RecursionError) as error:
        raise VivantError(report(str(path), [str(error) or "brackets are nested too deeply"])) from error


def map_problems(found: MidiMap, tree: Tree) -> Iterator[str]:
    """What the parameters of a show say against a map."""
    for index, one in enumerate(found.controls):
        yield from binding_problems(one, tree, ("controls", index))


def binding_problems(one: Binding, tree: Tree, path: Sequence[str | int] = ()) -> Iterator[str]:
    """What the parameters of a show say against one binding."""
    trouble = target_trouble(one.address, tree)
    if trouble is not None:
        yield problem((*path, "to"), one.to, trouble)
        return
    parameter = tree.parameters[one.address]
    if parameter.kind == "text" and one.value is None:
        yield problem((*path, "to"), one.to, "is a text; give the value that a press sets")
    if one.value is not None:
        trouble = None if parameter.kind == "action" else tree.problem(one.address, one.value)
        if trouble is not None:
            yield problem((*path, "value"), one.value, trouble)
    trouble = None if one.range is None else ends_trouble(one.range, parameter)
    if trouble is not None:
        yield problem((*path, "range"), one.range, trouble)
    if one.way == "relative" and control_of(one.control).kind not in ("cc", "cc14", "nrpn"):
        yield problem((*path, "way"), one.way, "is for controllers that turn without end: a cc")


def write_map(found: MidiMap, path: Path) -> None:
    """Write a map as TOML, whole or not at all. Raises VivantError."""
    lines = [f"name = {json.dumps(found.name)}", ""]
    for one in found.controls:
        lines += ["[[controls]]", *_keys(one), ""]
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, "\n".join(lines).encode())
    except OSError as error:
        raise VivantError(f"MIDI map {path} cannot be written: {error.strerror or error}") from error


def _keys(one: Binding) -> Iterator[str]:
    given: Mapping[str, Any] = one.model_dump(exclude_defaults=True)
    for key, value in {"control": one.control, **given}.items():
        yield f"{key} = {json.dumps(list(value) if isinstance(value, tuple) else value)}"


def with_learned(found: MidiMap, control: Control, address: str) -> MidiMap:
    """The map with one more binding; whatever the control moved before, it moves no longer."""
    text = str(control)
    kept = tuple(one for one in found.controls if one.control != text)
    return found.model_copy(
        update={"controls": (*kept, Binding(control=text, to=address.removeprefix(ROOT)))}
    )
