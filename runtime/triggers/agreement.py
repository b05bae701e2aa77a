"""Whether triggers fit the show they are for: its parameters, styles, signals, campaigns and each other."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from vivant.runtime.frames import Value
from vivant.runtime.parameters import ADAPTER, CHOOSE, NORM, PANIC, PANIC_RELEASE, ROOT, Parameter, address_of
from vivant.runtime.problems import key_text, problem
from vivant.runtime.signals import OWN, SENSED
from vivant.runtime.tree import Tree
from vivant.runtime.triggers.reading import Path
from vivant.runtime.triggers.rules import (
    Act,
    Compound,
    Declared,
    Leaf,
    ParameterIs,
    Part,
    Pick,
    Rule,
    SignalIs,
    Stands,
    When,
)

SIGNAL: Final = ROOT + "signal/"
TRIGGER: Final = ROOT + "trigger/"
FIRE: Final = "/fire"
ENABLED: Final = ROOT + "triggers/on"
CALLS: Final = (ROOT + "cues/", ROOT + "cue/")
LISTED: Final[Mapping[str, tuple[str, tuple[str, ...]]]] = {
    "cue": ("[[cues]]", ("go", "back")),
    "scene": ("[programme] scenes = [...]", ()),
}
"""Acts that name something of a list: where the list is written, and what else may be named."""


def trigger_parameters(rules: Mapping[str, Rule], signals: Mapping[str, Declared]) -> Iterator[Parameter]:
    """The parameters that a scene's signals and triggers add to those of its student."""
    for name, one in signals.items():
        yield Parameter(
            SIGNAL + name, "float", one.meaning, one.start, one.minimum, one.maximum, unit=one.unit
        )
    if rules:
        yield Parameter(ENABLED, "bool", "whether triggers act by themselves", True)
    for name, rule in rules.items():
        meaning = f"let the trigger {name} act now" + (f": {rule.meaning}" if rule.meaning else "")
        yield Parameter(TRIGGER + name + FIRE, "action", meaning)


def disagreements(
    rules: Mapping[str, Rule],
    tree: Tree,
    campaigns: Collection[str],
    signals: Collection[str],
    sensed: Collection[str] = tuple(SENSED),
) -> list[str]:
    """Every name in `rules` that means nothing in this show, and every value that it would not take.
    `campaigns` and `signals` are the names that the scene gives; `sensed` what its senses and sources say."""
    found = [
        f"signals.{name}: is a signal that there is already; give yours another name"
        for name in signals
        if name in (*sensed, *OWN)
    ]
    names = Names(tuple(rules), tuple(campaigns), (*sensed, *OWN, *signals))
    for name, rule in rules.items():
        path: Path = ("triggers", name)
        for leaf, where in leaves(rule.when, (*path, "when")):
            found += _leaf_trouble(leaf, where, name, names, tree)
        for key, acts in (("do", rule.do), ("after", rule.after)):
            for index, act in enumerate(acts):
                found += _act_trouble(act, (*path, key, index), tree)
                found += _beat_trouble(act, (*path, key, index), rule)
    return found


@dataclass(frozen=True, slots=True)
class Names:
    """What a condition may name."""

    rules: tuple[str, ...]
    campaigns: tuple[str, ...]
    signals: tuple[str, ...]


def leaves(part: Part, path: Path = ()) -> Iterator[tuple[Leaf, Path]]:
    """The conditions of which `part` is made, with their keys."""
    if not isinstance(part, Compound):
        yield part, path
        return
    for index, inner in enumerate(part.parts):
        at: Path = (*path, part.word) if part.word == "not" else (*path, part.word, index)
        yield from leaves(inner, at)


def _leaf_trouble(leaf: Leaf, path: Path, rule: str, names: Names, tree: Tree) -> Iterator[str]:
    if isinstance(leaf, SignalIs):
        yield from _unknown((*path, "signal"), leaf.signal, names.signals, "signal", "signals")
    elif isinstance(leaf, When) and leaf.campaign is not None:
        where = (*path, "campaign")
        yield from _unknown(where, leaf.campaign, names.campaigns, "campaign", "calendar.campaigns")
    elif isinstance(leaf, Stands):
        yield from _unknown((*path, "stands"), leaf.stands, names.rules, "trigger", "triggers")
        if leaf.stands == rule:
            yield problem((*path, "stands"), leaf.stands, "is the trigger itself; it would wait for itself")
    elif isinstance(leaf, ParameterIs):
        yield from _parameter_trouble(leaf, path, tree)


def _unknown(path: Path, name: str, known: Collection[str], what: str, table: str) -> Iterator[str]:
    if name in known:
        return
    near = difflib.get_close_matches(name, known, n=1)
    yield problem(path, name, f"unknown {what}; {_hint(near) or f'write it under [{table}.{name}]'}")


def _parameter_trouble(leaf: ParameterIs, path: Path, tree: Tree) -> Iterator[str]:
    address = address_of(leaf.parameter)
    parameter = tree.parameters.get(address)
    if parameter is None:
        where = (*path, "parameter")
        yield problem(where, leaf.parameter, tree.problem(address.removesuffix(NORM), 0.0) or "has no /norm")
    elif parameter.kind == "action" or parameter.read_only:
        yield problem((*path, "parameter"), leaf.parameter, "holds no value that could be compared")
    elif leaf.equals is not None:
        trouble = tree.problem(address, leaf.equals)
        if trouble is not None:
            yield problem((*path, "equals"), leaf.equals, trouble)
    elif parameter.kind not in ("float", "int"):
        yield problem((*path, "parameter"), leaf.parameter, "is no number; compare it with equals")


def _act_trouble(act: Act, path: Path, tree: Tree) -> Iterator[str]:
    parameter = tree.parameters.get(act.address)
    at = (*path, act.key)
    if act.key == "style":
        yield from _style_trouble(at, act.to, media_of(tree))
    elif act.key == "adapter" and parameter is None:
        known = [a.removeprefix(ADAPTER) for a in tree.parameters if a.startswith(ADAPTER)]
        name = act.address.removeprefix(ADAPTER)
        near = difflib.get_close_matches(name, known, n=1)
        yield problem(at, name, f"unknown adapter; {_hint(near) or 'see: vivant parameters'}")
    elif act.key in LISTED:
        yield from _listed_trouble(at, act, parameter)
    elif act.address.startswith((SIGNAL, TRIGGER, ENABLED, PANIC_RELEASE)):
        yield problem(at, act.address, "is for people and signals; triggers do not set it")
    elif parameter is None or parameter.read_only:
        value = 0.0 if act.to is None or isinstance(act.to, Pick) else act.to
        yield problem(at, act.address, tree.problem(act.address, value) or "has no door of its own")
    elif parameter.kind == "action":
        if act.to is not None:
            yield problem((*path, "to"), act.to, "goes with no action; leave it out")
    elif act.to is None:
        yield f"{key_text((*path, 'to'))}: is missing; it is the value that {act.address} gets"
    elif not isinstance(act.to, Pick):
        trouble = tree.problem(act.address, act.to)
        if trouble is not None:
            yield problem((*path, "to"), act.to, trouble)


def _beat_trouble(act: Act, path: Path, rule: Rule) -> Iterator[str]:
    """What cannot wait for a beat, or has one of its own."""
    if rule.on is None:
        return
    if act.address == PANIC:
        yield f"{key_text((*path, act.key))}: a panic waits for no beat; give it a trigger without on"
    elif act.key == "cue" or act.address.startswith(CALLS):
        yield (
            f"{key_text((*path, act.key))}: a cue has its own beat; write on into [[cues]], and take it out "
            f"of triggers.{rule.name}"
        )


def _listed_trouble(path: Path, act: Act, parameter: Parameter | None) -> Iterator[str]:
    """What is wrong with an act that names a cue or a scene."""
    table, words = LISTED[act.key]
    if parameter is None:
        asked = act.address.rpartition("/")[2] if act.to is None else str(act.to)
        yield problem(path, asked, f"this scene has no {act.key}s; write {table}")
    elif act.to is not None and act.to not in parameter.choices:
        known = (*words, *parameter.choices)
        near = difflib.get_close_matches(str(act.to), known, n=1)
        hint = f"; {_hint(near)}" if near else ""
        yield problem(path, str(act.to), f"should be one of {', '.join(known)}{hint}")


def media_of(tree: Tree) -> tuple[str, ...]:
    """What can be chosen alone: styles and media; none of a student that is asked by a prompt."""
    chosen = tree.parameters.get(CHOOSE)
    return () if chosen is None else chosen.choices


def _style_trouble(path: Path, to: Value | Pick | None, media: Collection[str]) -> Iterator[str]:
    if not media:
        yield problem(path, str(to), "this student has no styles; set its prompt")
    elif not isinstance(to, Pick) and to not in media:
        near = difflib.get_close_matches(str(to), [*media, *(pick.value for pick in Pick)], n=1)
        hint = f"; {_hint(near)}" if near else ""
        yield problem(path, to, f"should be next, random or one of {', '.join(media)}{hint}")


def _hint(near: Sequence[str]) -> str:
    return f"did you mean '{near[0]}'?" if near else ""
