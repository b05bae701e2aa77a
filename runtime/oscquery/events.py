"""What a show says once, when it happens, as nodes that OSCQuery clients can find and listen to. Nobody sets
one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from vivant.runtime.adapters.live import STATE
from vivant.runtime.cues.running import CURRENT, NEXT
from vivant.runtime.frames import Value
from vivant.runtime.isf.effects import REFUSED as EFFECT_REFUSED
from vivant.runtime.parameters import ADAPTER, GOTO, ROOT, Parameter
from vivant.runtime.refusals import REFUSED
from vivant.runtime.triggers.agreement import FIRE, TRIGGER

EFFECT: Final = ROOT + "effect/"


@dataclass(frozen=True, slots=True)
class Event:
    """A kind of thing that happens: OSC's type tags of what is said of it, and what that means."""

    types: str
    meaning: str


@dataclass(frozen=True, slots=True)
class Happened:
    """An event that happened, numbered from 1, with what was said."""

    number: int
    address: str
    args: tuple[Value, ...]


def events_of(parameters: Mapping[str, Parameter]) -> Mapping[str, Event]:
    """The events of a show with these parameters, by address."""
    return MappingProxyType(dict(_events(parameters)))


def _events(parameters: Mapping[str, Parameter]) -> Iterator[tuple[str, Event]]:
    yield REFUSED, Event("ss", "an address and why what was sent there was not taken")
    if GOTO in parameters:
        yield CURRENT, Event("iss", "the number, name and note of the cue that stands, when one went")
        yield NEXT, Event("iss", "the number, name and note of the cue that go calls, when one went")
    if any(address.startswith(ADAPTER) for address in parameters):
        yield STATE, Event("sss", "the name of an adapter, what became of it, and why")
    if any(address.startswith(EFFECT) for address in parameters):
        yield EFFECT_REFUSED, Event("ss", "the name of an effect that cannot be drawn, and why")
    for address in parameters:
        if address.startswith(TRIGGER) and address.endswith(FIRE):
            name = address.removesuffix(FIRE)
            yield name, Event("i", f"1 when the trigger {name.removeprefix(TRIGGER)} fires, 0 when it ends")
