"""The parameter tree: the values in force, changed through one method and handed on as full snapshots."""

from __future__ import annotations

import difflib
from collections import Counter, deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Final

from vivant.engines.diffusion.wishes import BLEND, PROMPT, PROMPT_A, PROMPT_B, PROMPT_FADE_S
from vivant.guardrails.words import WordGuard
from vivant.runtime.fades import Fade
from vivant.runtime.frames import Controls, Value, VivantError
from vivant.runtime.parameters import (
    ADAPTER,
    ADAPTERS_CURVE,
    ADAPTERS_FADE_S,
    CHOOSE,
    CYCLE_S,
    FADE_S,
    NORM,
    PANIC,
    PANIC_RELEASE,
    RESET,
    ROOT,
    STYLE,
    Outcome,
    Parameter,
    coerce,
    refused,
)

WAITING_ACTIONS: Final = 64  # a caller that drains once a refresh never sees more; older ones are forgotten
SMOOTH: Final = "smooth"
TRUE_WORDS: Final = ("1", "true", "on", "yes")
FALSE_WORDS: Final = ("0", "false", "off", "no")


@dataclass(frozen=True, slots=True)
class Action:
    """An action parameter that was fired, by which door and when."""

    address: str
    stamp_ns: int
    source: str


class Tree:
    """The values of a show's parameters. One thread uses it: the present loop's.

    Every change raises `version`, so that any number of readers can ask what changed since they last looked.
    """

    def __init__(self, parameters: Sequence[Parameter]) -> None:
        self.parameters: Mapping[str, Parameter] = MappingProxyType({one.address: one for one in parameters})
        self._values: dict[str, Value] = {
            one.address: one.default for one in parameters if one.kind != "action" and not one.read_only
        }
        self._versions = {address: number for number, address in enumerate(self._values, start=1)}
        self.version = len(self._values)
        self.grown = 0
        """How often the tree grew: whoever keeps a list of addresses looks whether it is still whole."""
        self.media: tuple[str, ...] = ()
        """What can be chosen alone: styles and adapters that are media of their own; empty without styles."""
        self._added: dict[str, tuple[Parameter, str | None]] = {}
        self._index()
        self._begun = dict(self._values)
        self.current: Mapping[str, Value] = MappingProxyType(self._values)
        """Every value by address as it is at any moment; `values` is a snapshot of it."""
        self.over: Mapping[str, float] = MappingProxyType({})
        """What drives make of some of the values, by address: it is shown, and is nobody's setting."""
        self._fades: dict[str, Fade] = {}
        self._actions: deque[Action] = deque(maxlen=WAITING_ACTIONS)
        self._counts: Counter[tuple[str, str]] = Counter()
        self.absent: dict[str, str] = {}
        """Addresses that are not here and yet known, and the word for why (an adapter in quarantine)."""
        self.panic = False
        """Whether an operator's panic holds the screen black: no value that a reset or a scene could
        change."""
        self.words: WordGuard | None = None
        """What texts are judged by."""
        self.denied: Callable[[str, str, str, str], None] | None = None
        """Told of the address, text, source and reason of a text that was denied; it must not wait."""
        self.heard: Callable[[str, Value, str], None] | None = None
        """Told of every address, value and source that was taken; it must not wait."""

    def _index(self) -> None:
        """What is looked up by address: the doors, and which parameters are weights."""
        self._doors = {address: (one, False) for address, one in self.parameters.items()}
        self._doors |= {
            address + NORM: (self.parameters[address], True)
            for address in self._values
            if self.parameters[address].kind != "text"
        }
        self._styles = tuple(
            a.removeprefix(STYLE) for a, one in self.parameters.items() if _weight(one, STYLE)
        )
        self._adapters = tuple(a for a, one in self.parameters.items() if _weight(one, ADAPTER))
        self.media = self.parameters[CHOOSE].choices if CHOOSE in self.parameters else ()
        self._media = tuple(a for a in self._adapters if a.removeprefix(ADAPTER) in self.media)

    def add(self, parameter: Parameter, medium: str | None = None) -> None:
        """One more value while the show runs, at its default; and `medium`, if given, as the last of what can
        be chosen alone, so that no index moves. Whoever gets feedback hears of the new value, and of where
        the chosen one lies now. Raises ValueError for an address that is there."""
        if parameter.address in self.parameters:
            raise ValueError(f"{parameter.address} is there already")
        grown = {**self.parameters, parameter.address: parameter}
        if medium is not None and CHOOSE in grown:
            grown[CHOOSE] = replace(grown[CHOOSE], choices=(*grown[CHOOSE].choices, medium))
            self._touch(CHOOSE)
        self.parameters = MappingProxyType(grown)
        if parameter.address.startswith(ADAPTER):
            self._added[parameter.address] = (parameter, medium)
        self._values[parameter.address] = self._begun[parameter.address] = parameter.default
        self._touch(parameter.address)
        self.grown += 1
        self._index()

    def become(self, other: Tree, now_ns: int, fade_s: float, kept: tuple[str, ...] = ()) -> None:
        """Another tree's parameters, starting values and words from now on. What both have goes from where it
        is to where the other has it: floats over `fade_s`, other kinds at once. What only the other has is
        there at once, and what it lacks is gone, but for adapters that came while the show runs. Values below
        the addresses `kept` stay as they are."""
        before, stays = dict(self._values), tuple(kept)
        fades = {a: fade for a, fade in self._fades.items() if stays and a.startswith(stays)}
        self.parameters = other.parameters
        for address, goal in other.values().items():
            known = address in before
            if known and stays and address.startswith(stays):
                continue
            parameter = self.parameters[address]
            if known and parameter.kind == "float" and fade_s > 0 and not isinstance(before[address], str):
                begin = min(max(float(before[address]), parameter.minimum), parameter.maximum)
                fades[address] = Fade(begin, float(goal), now_ns, round(fade_s * 1e9))
                goal = begin
            self._values[address] = goal
        for address in before.keys() - other.values().keys():
            del self._values[address]
            self._versions.pop(address, None)
        for address in self._values:
            self._touch(address)
        staying = {a: v for a, v in self._begun.items() if stays and a.startswith(stays)}
        self._begun = {a: staying.get(a, v) for a, v in other.begun.items()}
        self._fades = {a: fade for a, fade in fades.items() if a in self._values}
        self.over = MappingProxyType({})
        self.words = other.words
        self.grown += 1
        self._index()
        for parameter, medium in tuple(self._added.values()):
            if parameter.address not in self.parameters:
                self.add(parameter, medium)

    def as_begun(self, more: Sequence[Parameter] = ()) -> Tree:
        """Another tree that stands where the show started, with `more` parameters at their defaults."""
        made = Tree((*self.parameters.values(), *more))
        made._values.update(self._begun)
        made._begun, made.words = dict(made._values), self.words
        return made

    @property
    def begun(self) -> Mapping[str, Value]:
        """Every value by address as the show, or the scene that it changed to, started with it."""
        return MappingProxyType(self._begun)

    def addresses(self) -> tuple[str, ...]:
        """Every address that `set` knows, with the norm doors."""
        return tuple(self._doors)

    def check(self, address: str, args: Sequence[object]) -> Outcome:
        """What `set` would answer; nothing changes and nothing is counted."""
        door = self._doors.get(address)
        if door is None:
            return refused("unknown_address")
        outcome = coerce(door[0], args, door[1])
        return refused("denied") if outcome.taken and self._denial(door[0], outcome.value) else outcome

    def _denial(self, parameter: Parameter, value: object) -> str:
        if self.words is None or parameter.kind != "text":
            return ""
        return self.words.problem(str(value))

    def set(
        self,
        address: str,
        args: Sequence[object],
        now_ns: int,
        source: str,
        fade_s: float | None = None,
        curve: str | None = None,
    ) -> Outcome:
        """Take one message of a door. Never raises: what cannot be taken is refused, counted and ignored.

        `source` names the door ("osc", "keys"), for the counters. With `fade_s` a float goes to its value
        over so long, and so does what stands for several of them; other kinds are there at once. `curve` is
        one of CURVES (None: the parameter's own). `now_ns` is when the fade begins.
        """
        outcome = self.check(address, args)
        self._counts[source, outcome.reason or outcome.verb] += 1
        if outcome.reason == "denied" and self.denied is not None:
            self.denied(address, str(args[0]), source, self._denial(self._doors[address][0], args[0]))
        if outcome.taken:
            self._take(self._doors[address][0], outcome.value, now_ns, source, fade_s, curve)
            if self.heard is not None:
                self.heard(address, outcome.value, source)
        return outcome

    def _take(
        self,
        parameter: Parameter,
        value: Value,
        now_ns: int,
        source: str,
        fade_s: float | None,
        curve: str | None,
    ) -> None:
        if parameter.kind == "action":
            if value:
                self._actions.append(Action(parameter.address, now_ns, source))
                if parameter.address == RESET:
                    self.reset()
                elif parameter.address == PANIC:
                    self.panic = True
                elif parameter.address == PANIC_RELEASE:
                    self.panic = False
            return
        self._fades.pop(parameter.address, None)
        worn = parameter.address in self._adapters
        if worn and fade_s is None:
            fade_s = float(self._values.get(ADAPTERS_FADE_S, 0.0)) or None
        if fade_s is not None and parameter.kind == "float":
            begin, way = float(self._values[parameter.address]), curve or (self._curve if worn else SMOOTH)
            self._fades[parameter.address] = Fade(begin, float(value), now_ns, round(fade_s * 1e9), way)
            self.tick(now_ns)
            return
        self._store(parameter.address, value)
        if parameter.acts:
            self._actions.append(Action(parameter.address, now_ns, source))
        if parameter.address == CHOOSE:
            self._choose(str(value), now_ns, fade_s, curve)
        if parameter.address == PROMPT:
            self._go_to(str(value), now_ns, fade_s)

    def _choose(self, chosen: str, now_ns: int, fade_s: float | None, curve: str | None) -> None:
        duration_ns = round((float(self._values[FADE_S]) if fade_s is None else fade_s) * 1e9)
        for address, end in self.weights_of(chosen).items():
            way = curve or (self._curve if address in self._media else SMOOTH)
            self._fades[address] = Fade(float(self._values[address]), end, now_ns, duration_ns, way)
        self.tick(now_ns)

    def weights_of(self, chosen: str) -> dict[str, float]:
        """Where choosing a style or a medium alone sends weights and scales, by address."""
        goals = {address: float(address == ADAPTER + chosen) for address in self._media}
        if chosen in self._styles:  # an adapter stands in for the styles, which stay as they are beneath it
            goals |= {STYLE + name: float(name == chosen) for name in self._styles}
        return goals

    @property
    def _curve(self) -> str:
        return str(self._values.get(ADAPTERS_CURVE, SMOOTH))

    def _go_to(self, text: str, now_ns: int, fade_s: float | None) -> None:
        """Put a prompt on the deck that is not heard and fade over to it; the first one is there at once."""
        fade = self._fades.get(BLEND)
        goal = float(self._values[BLEND]) if fade is None else fade.end
        heard, free, end = (PROMPT_A, PROMPT_B, 1.0) if goal < 0.5 else (PROMPT_B, PROMPT_A, 0.0)
        if text == self._values[heard]:
            return
        if not self._values[heard]:
            self._store(heard, text)
            return
        self._store(free, text)
        duration_ns = round((float(self._values[PROMPT_FADE_S]) if fade_s is None else fade_s) * 1e9)
        self._fades[BLEND] = Fade(float(self._values[BLEND]), end, now_ns, duration_ns)
        self.tick(now_ns)

    def _store(self, address: str, value: Value) -> None:
        if value != self._values[address]:
            self._values[address] = value
            self._touch(address)

    def _touch(self, address: str) -> None:
        self.version += 1
        self._versions.pop(address, None)
        self._versions[address] = self.version  # at the end: the newest change is the last entry

    def tick(self, now_ns: int) -> None:
        """Move running fades to `now_ns`; called once a refresh."""
        for address, fade in tuple(self._fades.items()):
            self._store(address, fade.at(now_ns))
            if fade.done(now_ns):
                del self._fades[address]

    def start_with(self, values: Mapping[str, Value], source: str) -> None:
        """Set values before the show, without fading; /vivant/reset comes back to them.

        Raises VivantError for the first one that is not admitted.
        """
        for address, value in values.items():
            problem = self.problem(address, value)
            if problem is not None:
                raise VivantError(f"{address} = {value}: {problem}")
            self.set(address, (value,), 0, source)
            self._arrive()
        self._begun = dict(self._values)

    def assign(self, texts: Iterable[str]) -> None:
        """`start_with` what `--set ADDRESS=VALUE` asks for. Raises VivantError like `parse_assignment`."""
        for text in texts:
            address, value = parse_assignment(text, self)
            self.start_with({address: value}, "command line")

    def _arrive(self) -> None:
        for address, fade in self._fades.items():
            self._store(address, fade.end)
        self._fades.clear()

    def reset(self) -> None:
        """Every value back to that of the start of the show, at once."""
        self._fades.clear()
        for address, value in self._begun.items():
            self._store(address, value)

    def value(self, address: str) -> Value:
        """The value in force at `address`; KeyError for actions, status and what is unknown."""
        return self._values[address]

    def goal(self, address: str) -> Value:
        """Where the value at `address` is going, or the value where it stands still; KeyError as `value`."""
        fade = self._fades.get(address)
        return self._values[address] if fade is None else fade.end

    def values(self) -> Mapping[str, Value]:
        """A snapshot of every value by address."""
        return MappingProxyType(dict(self._values))

    def driven(self) -> Mapping[str, Value]:
        """Every value by address as it is to be shown: with what the drives make of it."""
        return {**self._values, **self.over} if self.over else self.current

    def controls(
        self, now_ns: int, serial: int, size_px: tuple[int, int], want_source: bool = False
    ) -> Controls:
        """The full snapshot for the render process: plain dictionaries of its own, which can be pickled."""
        values = self.driven()
        return Controls(
            serial=serial,
            stamp_ns=now_ns,
            strength=float(values[ROOT + "student/strength"]),
            steps=int(values[ROOT + "student/steps"]),
            seed=int(values[ROOT + "student/seed"]),
            styles={name: float(values[STYLE + name]) for name in self._styles},
            adapters={a.removeprefix(ADAPTER): float(values[a]) for a in self._adapters},
            prompt=self.prompt,
            numbers=dict(values),
            size_px=size_px,
            want_source=want_source,
        )

    @property
    def prompt(self) -> str:
        """The text of the deck that is heard most; empty for a student without prompts."""
        deck = PROMPT_B if float(self._values.get(BLEND, 0.0)) >= 0.5 else PROMPT_A
        return str(self._values.get(deck, ""))

    def changes(self, since: int) -> list[tuple[int, str]]:
        """(version, address) of what changed after version `since`, oldest first; everything for 0."""
        return [(version, address) for address, version in self._versions.items() if version > since]

    def actions(self, below: str = ROOT) -> tuple[Action, ...]:
        """The actions fired below an address since the last call, oldest first; the others go on waiting for
        whoever asks for them."""
        if not self._actions:
            return ()
        fired = tuple(action for action in self._actions if action.address.startswith(below))
        others = [action for action in self._actions if not action.address.startswith(below)]
        self._actions.clear()
        self._actions.extend(others)
        return fired

    def counts(self) -> dict[str, dict[str, int]]:
        """By source: how many messages were applied, clamped, and refused for each reason."""
        table: dict[str, dict[str, int]] = {}
        for (source, word), count in self._counts.items():
            table.setdefault(source, {})[word] = count
        return table

    def problem(self, address: str, value: object) -> str | None:
        """What is wrong with `value` as a starting value, in words for a person; None when it is admitted.

        Stricter than `set`: somebody who writes a value down is told of a clamping, not helped.
        """
        if address not in self._doors:
            near = difflib.get_close_matches(address, self._doors, n=1)
            return "unknown parameter; " + (
                f"did you mean '{near[0]}'?" if near else "see: vivant parameters"
            )
        parameter, norm = self._doors[address]
        if parameter.kind == "action":
            return "is an action and holds no value; send it over OSC"
        if parameter.read_only:
            return "is only reported, it cannot be set"
        if self.check(address, (value,)).verb == "applied":
            return None
        denial = self._denial(parameter, value)
        if denial:
            return f"is not let through by [words] ({denial})"
        wanted = "[0, 1]" if norm else parameter.range_text()
        return f"should be {'in ' if wanted.startswith('[') else ''}{wanted}"


def _weight(parameter: Parameter, prefix: str) -> bool:
    """Whether a parameter is the weight of a style or the scale of an adapter, and not about all of them."""
    return parameter.address.startswith(prefix) and parameter.address not in (CHOOSE, FADE_S, CYCLE_S)


def parse_assignment(text: str, tree: Tree) -> tuple[str, Value]:
    """The address and the value of one `--set ADDRESS=VALUE`; a leading /vivant/ may be left out.

    Raises VivantError, saying what is admitted, when the tree would not take it as it is.
    """
    address, equals, word = (part.strip() for part in text.partition("="))
    if not equals or not address:
        raise VivantError(f"--set {text}: write it as ADDRESS=VALUE, for example --set style/choose=ink")
    address = address if address.startswith("/") else ROOT + address
    value = _read(word, tree.parameters.get(address))
    problem = tree.problem(address, value)
    if problem is not None:
        raise VivantError(f"--set {text}: {problem}")
    return address, value


def _read(word: str, parameter: Parameter | None) -> Value:
    if parameter is not None and (word in parameter.choices or parameter.kind == "text"):
        return word
    if parameter is not None and parameter.kind == "bool" and word.lower() in TRUE_WORDS + FALSE_WORDS:
        return word.lower() in TRUE_WORDS
    for number in (int, float):
        try:
            return number(word)
        except ValueError:
            continue
    return word
