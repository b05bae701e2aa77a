"""What is wrong with a file of settings: all of it at once, each with its key, its value and the rule."""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Sequence
from types import UnionType
from typing import Any, Final, get_args

from pydantic import BaseModel, ValidationError

LONGEST_VALUE: Final = 60
SHOWN_PROBLEMS: Final = 50  # a file with more is no scene at all
TOML_WORDS: Final = {
    "dict_type": "input should be a table",
    "model_type": "input should be a table",
    "tuple_type": "input should be a list",
}
"""What pydantic says in Python's words, by the type of its error."""
BARE_KEY: Final = re.compile(r"[A-Za-z0-9_-]+")


def report(source: str, problems: Sequence[str]) -> str:
    """The message for a person: `source: N problems` and one line for each."""
    count = f"{len(problems)} problem" + "s" * (len(problems) != 1)
    shown = problems[:SHOWN_PROBLEMS]
    more = [f"and {len(problems) - len(shown)} more"] if len(problems) > len(shown) else []
    return "\n".join([f"{source}: {count}", *(f"  {problem}" for problem in [*shown, *more])])


def problem(path: Sequence[str | int], value: object, rule: str) -> str:
    """One line: `path = value: rule`."""
    return f"{key_text(path)} = {value_text(value)}: {rule}"


def problems_of(
    error: ValidationError, model: type[BaseModel], below: tuple[str | int, ...] = ()
) -> list[str]:
    """Every problem that pydantic found in a table for `model` that is at the key `below`, in its order."""
    return [_line(dict(one), model, below) for one in error.errors(include_url=False)]


def key_text(path: Sequence[str | int]) -> str:
    """A key as TOML writes it: `cues[0].strength`, `parameters."/vivant/look/grain"`."""
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
        else:
            bare = part if BARE_KEY.fullmatch(part) else json.dumps(part)
            text += f".{bare}" if text else bare
    return text


def value_text(value: object) -> str:
    """A value about as TOML writes it, cut to one short line."""
    try:
        text = json.dumps(value, default=str, ensure_ascii=False)
    except (RecursionError, ValueError):  # brackets without end, a number of thousands of digits
        return "..."
    return text if len(text) <= LONGEST_VALUE else text[: LONGEST_VALUE - 3] + "..."


def _line(found: dict[str, Any], model: type[BaseModel], below: tuple[str | int, ...]) -> str:
    path = (*below, *found["loc"])
    if found["type"] == "extra_forbidden":
        near = difflib.get_close_matches(str(path[-1]), _fields(model, found["loc"][:-1]), n=1)
        return f"{key_text(path)}: unknown key" + (f"; did you mean '{near[0]}'?" if near else "")
    if found["type"] == "missing":
        return f"{key_text(path)}: is missing"
    rule = TOML_WORDS.get(found["type"], found["msg"].removeprefix("Value error, "))
    if found["type"] == "literal_error":
        words = re.findall("'([^']*)'", found["ctx"]["expected"])
        near = difflib.get_close_matches(str(found["input"]), words, n=1)
        rule += f"; did you mean '{near[0]}'?" if near else ""
    return problem(path, found["input"], rule[:1].lower() + rule[1:])


def _fields(model: type[BaseModel], path: Sequence[str | int]) -> list[str]:
    """The keys that the table at `path` may have."""
    found: Any = model  # Any: annotations are whatever typing makes of them
    for part in path:
        if _is_model(found):
            found = found.model_fields[str(part)].annotation if str(part) in found.model_fields else None
        else:  # tables by name, or a list of them
            found = next((one for one in get_args(found) if _is_model(one)), None)
        if isinstance(found, UnionType):  # a table that may be left out
            found = next((one for one in get_args(found) if _is_model(one)), found)
    return list(found.model_fields) if _is_model(found) else []


def _is_model(annotation: object) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, BaseModel)
