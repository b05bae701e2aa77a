"""An ISF file's header: the JSON in its first comment, which says what it takes and how it is drawn."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

from vivant.runtime.frames import VivantError
from vivant.runtime.isf.expressions import Sum, expression
from vivant.runtime.isf.inputs import IDENTIFIER, Input, input_of

Kind = Literal["filter", "source", "transition"]
LARGEST_FILE: Final = 1_000_000  # bytes
MOST_PASSES: Final = 32
MOST_INPUTS: Final = 64
MOST_IMAGES: Final = 12  # samplers; OpenGL 3.3 promises 16 a stage
COMMENT: Final = re.compile(r"\s*/\*(.*?)\*/", re.DOTALL)
LENIENT: Final = re.compile(r'"(?:\\.|[^"\\])*"|//[^\n]*|,(?=\s*[}\]])')
"""Strings, which stay as they are; comments and commas too many, which are left out."""
TAKEN: Final = frozenset(
    ("TIME", "TIMEDELTA", "DATE", "FRAMEINDEX", "RENDERSIZE", "PASSINDEX", "isf_FragNormCoord")
)
IMAGE_INPUT: Final = "inputImage"
START, END, PROGRESS = "startImage", "endImage", "progress"


class IsfError(VivantError):
    """A file that is no ISF, or one that this machine cannot draw: its name, the line and what to change."""


@dataclass(frozen=True, slots=True)
class Pass:
    """One drawing of the shader, into the buffer `target`, or for None to where the effect draws. `width` and
    `height` are sums, None for the size of the whole."""

    target: str | None = None
    persistent: bool = False
    floats: bool = False
    width: Sum | None = None
    height: Sum | None = None


@dataclass(frozen=True, slots=True)
class Header:
    """What an ISF file says of itself. `guesses` are the places where it was read as it was surely meant;
    `line` is where its GLSL begins."""

    kind: Kind
    version: str
    description: str
    credit: str
    categories: tuple[str, ...]
    inputs: tuple[Input, ...]
    passes: tuple[Pass, ...]
    images: Mapping[str, Path]
    buffers: tuple[str, ...]
    guesses: tuple[str, ...]
    line: int


@dataclass(frozen=True, slots=True)
class Shader:
    """An ISF file as it was read: its header, the GLSL below it, and the vertex shader beside it."""

    path: Path
    header: Header
    fragment: str
    vertex: str | None = None


def read_shader(path: Path) -> Shader:
    """The ISF file at `path` (and the .vs of the same name beside it). Its GLSL is not judged: only a
    graphics card can. Raises IsfError naming every problem of the header."""
    text = _text(path)
    header = parse_header(text, path)
    beside = path.with_suffix(".vs")
    found = COMMENT.match(text)
    assert found is not None  # or there were no header
    return Shader(path, header, text[found.end() :], _text(beside) if beside.is_file() else None)


def _text(path: Path) -> str:
    try:
        if path.stat().st_size > LARGEST_FILE:
            raise IsfError(f"{path} is larger than {LARGEST_FILE} bytes; that is no shader")
        return path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise IsfError(f"{path} cannot be read: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise IsfError(f"{path} is no text: byte {error.start} is not UTF-8") from error


def parse_header(text: str, path: Path) -> Header:
    """The header of a file's whole `text`; `path` for the pictures beside it and for what is reported."""
    found = COMMENT.match(text)
    if found is None:
        raise IsfError(f"{path}:1: an ISF file begins with a comment /* {{ ... }} */ that holds its JSON")
    top, guesses = _json(found[1], text[: found.start(1)].count("\n") + 1, path)
    reader = _Reader(top, path, guesses)
    header = reader.header(text[: found.end()].count("\n") + 1)
    if reader.problems:
        lines = "\n".join(f"  {problem}" for problem in reader.problems)
        raise IsfError(f"{path}: the header cannot be used:\n{lines}")
    return header


def _json(text: str, line: int, path: Path) -> tuple[Mapping[str, Any], list[str]]:
    """The dictionary in the comment that begins at `line`. What JSON forbids and every host reads is left
    out, and said."""
    guesses = []
    try:
        top = json.loads(text, strict=False)
    except (ValueError, RecursionError):
        cleaned = LENIENT.sub(lambda one: one[0] if one[0].startswith('"') else "", text)
        try:
            top = json.loads(cleaned, strict=False)
        except json.JSONDecodeError as error:
            place = f"{path}:{line + error.lineno - 1}"
            raise IsfError(f"{place}: the header is no JSON: {error.msg} (column {error.colno})") from error
        except (ValueError, RecursionError) as error:  # a number of thousands of digits, brackets without end
            raise IsfError(f"{path}:{line}: the header is no JSON: {error}") from error
        guesses.append("the header is no strict JSON: commas too many or comments in it were passed over")
    if not isinstance(top, dict):
        raise IsfError(f"{path}:{line}: the header should be a JSON dictionary {{ ... }}")
    return top, guesses


class _Reader:
    """Reads one header's dictionary, and goes on after a problem so that all are found."""

    def __init__(self, top: Mapping[str, Any], path: Path, guesses: list[str]) -> None:
        self._top, self._path, self._guesses = top, path, guesses
        self.problems: list[str] = []

    def header(self, line: int) -> Header:
        inputs = tuple(self._inputs())
        images = dict(self._images())
        scalars = [one.name for one in inputs if one.type in ("float", "long", "bool")]
        passes = tuple(self._passes(("WIDTH", "HEIGHT", *scalars)))
        buffers = tuple(dict.fromkeys(one.target for one in passes if one.target))
        self._distinct([*(one.name for one in inputs), *images, *buffers])
        textures = sum(one.is_texture for one in inputs) + len(images) + len(buffers)
        if textures > MOST_IMAGES:
            self.problems.append(f"{textures} pictures and buffers; {MOST_IMAGES} are the most that fit")
        categories = self._top.get("CATEGORIES")
        return Header(
            _kind(inputs),
            str(self._top.get("ISFVSN", "1")),
            " ".join(str(self._top.get("DESCRIPTION", "")).split()),
            " ".join(str(self._top.get("CREDIT", "")).split()),
            tuple(map(str, categories)) if isinstance(categories, list) else (),
            inputs,
            passes,
            images,
            buffers,
            tuple(self._guesses),
            line,
        )

    def _inputs(self) -> Iterator[Input]:
        for index, given in enumerate(self._list("INPUTS", MOST_INPUTS)):
            try:
                if not isinstance(given, dict):
                    raise ValueError("should be a dictionary")
                one, guesses = input_of(given)
            except ValueError as error:
                self.problems.append(f"INPUTS[{index}]: {error}")
                continue
            self._guesses += guesses
            yield one

    def _images(self) -> Iterator[tuple[str, Path]]:
        imported = self._top.get("IMPORTED", {})
        if isinstance(imported, list):  # of the first version: each has its NAME inside
            imported = {str(one.get("NAME")): one for one in imported if isinstance(one, dict)}
        if not isinstance(imported, dict):
            self.problems.append("IMPORTED should be a dictionary of pictures by name")
            return
        for name, given in imported.items():
            where = given.get("PATH") if isinstance(given, dict) else None
            if not IDENTIFIER.fullmatch(name):
                self.problems.append(f"IMPORTED: {name!r} is no name that GLSL has")
            elif not isinstance(where, str):
                self.problems.append(f"IMPORTED.{name}: PATH is missing, the picture's file")
            elif not (self._path.parent / where).is_file():
                self.problems.append(f"IMPORTED.{name}: there is no file {self._path.parent / where}")
            else:
                yield name, self._path.parent / where

    def _passes(self, names: tuple[str, ...]) -> Iterator[Pass]:
        kept = self._persistent_of_version_1()
        given = self._list("PASSES", MOST_PASSES)
        for index, one in enumerate(given or [{}]):
            if not isinstance(one, dict):
                self.problems.append(f"PASSES[{index}]: should be a dictionary")
                continue
            folded = {key.upper(): value for key, value in one.items()}
            target = folded.get("TARGET")
            found = {**kept.get(str(target), {}), **folded}
            if target is not None and not (isinstance(target, str) and IDENTIFIER.fullmatch(target)):
                self.problems.append(f"PASSES[{index}]: TARGET {target!r} is no name that GLSL has")
                target = None
            yield Pass(
                target,
                bool(target) and _true(found.get("PERSISTENT")),
                _true(found.get("FLOAT")),
                self._sum(found, "WIDTH", index, names),
                self._sum(found, "HEIGHT", index, names),
            )

    def _persistent_of_version_1(self) -> dict[str, dict[str, Any]]:
        """PERSISTENT_BUFFERS, which version 2 writes into the passes."""
        given = self._top.get("PERSISTENT_BUFFERS", {})
        if isinstance(given, list):
            given = {str(name): {} for name in given}
        if not isinstance(given, dict):
            self.problems.append("PERSISTENT_BUFFERS should be a list of names or a dictionary")
            return {}
        return {
            name: {"PERSISTENT": True, **(one if isinstance(one, dict) else {})}
            for name, one in given.items()
        }

    def _sum(self, found: Mapping[str, Any], key: str, index: int, names: tuple[str, ...]) -> Sum | None:
        given = found.get(key)
        if given is None:
            return None
        try:
            if not isinstance(given, str | int | float):
                raise ValueError(f"{given!r} is neither a number nor text")
            return expression(given, names)
        except ValueError as error:
            self.problems.append(f"PASSES[{index}].{key}: {error}")
            return None

    def _list(self, key: str, most: int) -> list[Any]:
        given = self._top.get(key)
        if given is None:
            return []
        if not isinstance(given, list):
            self.problems.append(f"{key} should be a list")
            return []
        if len(given) > most:
            self.problems.append(f"{key}: {len(given)} are too many; {most} are the most")
        return given[:most]

    def _distinct(self, names: list[str]) -> None:
        for name in dict.fromkeys(names):
            if names.count(name) > 1:
                self.problems.append(f"the name {name} is given twice")
            if name in TAKEN or name.startswith("gl_"):
                self.problems.append(f"the name {name} is taken: ISF or GLSL has it itself")


def _kind(inputs: tuple[Input, ...]) -> Kind:
    types = {one.name: one.type for one in inputs}
    if types.get(START) == types.get(END) == "image" and types.get(PROGRESS) == "float":
        return "transition"
    return "filter" if types.get(IMAGE_INPUT) == "image" else "source"


def _true(given: object) -> bool:
    return given not in (None, False, 0, "0", "false", "")
