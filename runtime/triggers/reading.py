"""From the tables of a scene to rules: everything that is wrong with them, at once and by key."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, TypeVar

from pydantic import BaseModel, ValidationError

from vivant.runtime.frames import Value
from vivant.runtime.parameters import ADAPTER, BACK, CHOOSE, GO, GOTO, ROOT, SCENE, address_of
from vivant.runtime.problems import key_text, problem, problems_of
from vivant.runtime.triggers.rules import (
    ACTIONS,
    COMPOUND,
    LEAVES,
    LONGEST_S,
    NAME,
    Act,
    AdapterKeys,
    Compound,
    CueKeys,
    Head,
    Leaf,
    Part,
    Pick,
    Rule,
    SceneKeys,
    SeedKeys,
    SetKeys,
    StyleKeys,
)

SEED: Final = ROOT + "student/seed"
MOST_RULES: Final = 64
DEEPEST: Final = 8
MOST_PARTS: Final = 64  # conditions of one rule
MOST_ACTS: Final = 32

PICKS: Final[Mapping[Value, Pick]] = {pick.value: pick for pick in Pick}
Path = tuple[str | int, ...]
Keys = TypeVar("Keys", bound=BaseModel)


@dataclass(slots=True)
class Reader:
    """Reads one scene's triggers; what is wrong gathers in `problems`."""

    problems: list[str] = field(default_factory=list)
    _parts: int = 0

    def rules(self, tables: object) -> dict[str, Rule]:
        """Every rule of [triggers] that could be read, by name. Rules that were read before stay as they
        are."""
        if not isinstance(tables, Mapping):
            self._wrong(("triggers",), tables, "input should be a table")
            return {}
        if len(tables) > MOST_RULES:
            self._wrong(("triggers",), len(tables), f"a scene has {MOST_RULES} triggers at most")
            return {}
        found = {}
        for name, table in tables.items():
            rule = table if isinstance(table, Rule) else self._rule(name, table)
            if rule is not None:
                found[name] = rule
        return found

    def _rule(self, name: str, table: object) -> Rule | None:
        path: Path = ("triggers", name)
        if not re.fullmatch(NAME, name):
            self.problems.append(f"triggers.{name}: names are of a-z, 0-9, - and _, 32 characters at most")
        if not isinstance(table, dict):
            self._wrong(path, table, "input should be a table")
            return None
        self._parts = 0
        head = self._table(Head, table, path)
        when = self._part(table["when"], (*path, "when"), 0) if "when" in table else None
        do = self._acts(table.get("do", ()), (*path, "do"))
        after = self._acts(table.get("after", ()), (*path, "after"))
        if not table.get("do", True):
            self.problems.append(f"triggers.{name}.do: is empty; say what happens")
        if head is None or when is None:
            return None
        return Rule(name, when, do, after, head.meaning, head.cooldown_s, head.priority, head.group, head.on)

    def _part(self, table: object, path: Path, depth: int) -> Part | None:
        self._parts += 1
        if not isinstance(table, dict):
            self._wrong(path, table, "input should be a table")
        elif depth >= DEEPEST or self._parts > MOST_PARTS:
            self.problems.append(f"triggers.{path[1]}.when: nests too deeply, or has too many conditions")
        elif words := [word for word in COMPOUND if word in table]:
            return self._compound(words[0], table, path, depth)
        else:
            return self._leaf(table, path)
        return None

    def _compound(self, word: str, table: dict[str, Any], path: Path, depth: int) -> Part | None:
        for key in {*table} - {word, "for_s"}:
            self.problems.append(f"{key_text((*path, key))}: does not go with {word}; put it into the list")
        for_s = table.get("for_s", 0.0)
        if isinstance(for_s, bool) or not isinstance(for_s, int | float) or not 0 <= for_s <= LONGEST_S:
            self._wrong((*path, "for_s"), for_s, "should be a number of seconds")
            for_s = 0.0
        inner = table[word]
        if word == "not":
            parts = [self._part(inner, (*path, word), depth + 1)]
        elif not isinstance(inner, list) or not inner:
            self._wrong((*path, word), inner, "should be a list of conditions")
            return None
        else:
            parts = [self._part(one, (*path, word, i), depth + 1) for i, one in enumerate(inner[:MOST_PARTS])]
        known = tuple(part for part in parts if part is not None)
        return Compound(word, known, float(for_s)) if len(known) == len(parts) else None

    def _leaf(self, table: dict[str, Any], path: Path) -> Leaf | None:
        kinds = [kind for kind in LEAVES if {*kind.takes} & {*table}]
        if len(kinds) != 1:
            keys = [*COMPOUND, *(key for kind in LEAVES for key in kind.takes)]
            near = [close for key in table for close in difflib.get_close_matches(key, keys, n=1)]
            hint = f"; did you mean '{near[0]}'?" if near else ""
            rule = f"should have one of {', '.join(keys)}{hint}"
            self._wrong(path, table, "says two things; put them into all = [...]" if kinds else rule)
            return None
        return self._table(kinds[0], table, path)

    def _acts(self, given: object, path: Path) -> tuple[Act, ...]:
        if isinstance(given, dict):
            acts = [self._act(given, path)]
        elif isinstance(given, list | tuple):
            acts = [self._act(table, (*path, index)) for index, table in enumerate(given[:MOST_ACTS])]
        else:
            self._wrong(path, given, "input should be an action, or a list of them")
            return ()
        return tuple(act for act in acts if act is not None)

    def _act(self, table: object, path: Path) -> Act | None:
        if not isinstance(table, dict):
            self._wrong(path, table, "input should be a table")
            return None
        kinds = [key for key in ACTIONS if key in table]
        if len(kinds) != 1:
            near = [close for key in table for close in difflib.get_close_matches(key, ACTIONS, n=1)]
            hint = f"; did you mean '{near[0]}'?" if near and not kinds else ""
            self._wrong(path, table, f"should have one of {', '.join(ACTIONS)}{hint}")
            return None
        keys = self._table(ACTIONS[kinds[0]], table, path)
        return None if keys is None else _act_of(keys)

    def _table(self, kind: type[Keys], table: object, path: Path) -> Keys | None:
        try:
            return kind.model_validate(table)
        except ValidationError as error:
            self.problems += problems_of(error, kind, path)
            return None

    def _wrong(self, path: Path, value: object, rule: str) -> None:
        self.problems.append(problem(path, value, rule))


def _act_of(keys: BaseModel) -> Act:
    """What the keys of one action come to."""
    if isinstance(keys, StyleKeys):
        return Act("style", CHOOSE, PICKS.get(keys.style, keys.style), keys.fade_s)
    if isinstance(keys, AdapterKeys):
        return Act("adapter", ADAPTER + keys.adapter, keys.scale, keys.fade_s)
    if isinstance(keys, SeedKeys):
        return Act("seed", SEED, PICKS.get(keys.seed, keys.seed))
    if isinstance(keys, SceneKeys):
        return Act("scene", SCENE, keys.scene)
    if isinstance(keys, CueKeys):
        pressed = {"go": GO, "back": BACK}.get(keys.cue)
        return Act("cue", GOTO, keys.cue) if pressed is None else Act("cue", pressed, None)
    assert isinstance(keys, SetKeys)
    return Act("set", address_of(keys.set), keys.to, keys.fade_s)
