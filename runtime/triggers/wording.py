"""Triggers in words, for a person."""

from __future__ import annotations

from vivant.runtime.parameters import ROOT
from vivant.runtime.triggers.actions import Change
from vivant.runtime.triggers.rules import (
    Act,
    Compound,
    Dice,
    Leaf,
    ParameterIs,
    Part,
    Pick,
    Rule,
    SignalIs,
    Stands,
    Threshold,
)


def part_text(part: Part) -> str:
    """A condition in words."""
    text = _compound_text(part) if isinstance(part, Compound) else _leaf_text(part)
    return f"{text} for {part.for_s:g} s" if part.for_s else text


def _compound_text(part: Compound) -> str:
    inner = [f"({part_text(one)})" if isinstance(one, Compound) else part_text(one) for one in part.parts]
    return f"not {inner[0]}" if part.word == "not" else {"all": " and ", "any": " or "}[part.word].join(inner)


def _leaf_text(leaf: Leaf) -> str:
    if isinstance(leaf, SignalIs):
        return f"{leaf.signal} {_threshold_text(leaf)}"
    if isinstance(leaf, ParameterIs):
        bound = _threshold_text(leaf) if leaf.equals is None else f"is {leaf.equals}"
        return f"{leaf.parameter} {bound}"
    if isinstance(leaf, Dice):
        return f"by chance {leaf.chance:.0%} every {leaf.every_s:g} s"
    if isinstance(leaf, Stands):
        return f"{leaf.stands} stands"
    words = [
        f"at {' and '.join(leaf.at)}" if leaf.at else "",
        f"{' and '.join(leaf.time)}" if leaf.time else "",
        f"on {' and '.join(leaf.weekday)}" if leaf.weekday else "",
        f"in {' and '.join(leaf.dates)}" if leaf.dates else "",
        f"on days of {leaf.recurs}" if leaf.recurs else "",
        f"during {leaf.campaign}" if leaf.campaign else "",
    ]
    return " ".join(word for word in words if word)


def _threshold_text(keys: Threshold) -> str:
    bound = f"above {keys.above:g}" if keys.above is not None else f"below {keys.below:g}"
    return bound if keys.until is None else f"{bound} until {keys.until:g}"


def on_text(rule: Rule) -> str:
    """What it waits for once its condition is true, if for anything."""
    return "" if rule.on is None else f", on the next {rule.on}"


def act_text(act: Act) -> str:
    """An action in words."""
    value = act.to.value if isinstance(act.to, Pick) else act.to
    to = "" if value is None else f" = {value}"
    return f"{act.address.removeprefix(ROOT)}{to}{_fade_text(act.fade_s)}"


def change_text(change: Change) -> str:
    """A change in words."""
    return f"{change.address.removeprefix(ROOT)} = {change.value}{_fade_text(change.fade_s)}"


def _fade_text(fade_s: float | None) -> str:
    return f" over {fade_s:g} s" if fade_s else ""


def duration_text(seconds: float) -> str:
    """1 h 05 min, or 3 min 20 s."""
    whole = round(seconds)
    if whole >= 3600:
        return f"{whole // 3600} h {whole % 3600 // 60:02d} min"
    return f"{whole // 60} min {whole % 60:02d} s" if whole >= 60 else f"{whole} s"
