"""What a MIDI message moves: a control by name, `cc:1:7`, and where it stands now."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

Kind = Literal["note", "cc", "cc14", "nrpn", "bend", "program", "pressure", "touch"]

NUMBERED: Final[dict[Kind, int]] = {"note": 127, "cc": 127, "cc14": 31, "nrpn": 16383, "touch": 127}
"""The kinds that have a number after their channel, and the largest."""
PLAIN: Final[tuple[Kind, ...]] = ("bend", "program", "pressure")
BITS: Final[dict[Kind, int]] = {"cc14": 14, "nrpn": 14, "bend": 14}  # the others have seven
CHANNELS: Final = 16


@dataclass(frozen=True, slots=True)
class Control:
    """One thing on a controller. `channel` 1 to 16 as people count them; `number` as the maker does."""

    kind: Kind
    channel: int
    number: int = 0

    @property
    def largest(self) -> int:
        """The largest position it sends."""
        return (1 << BITS.get(self.kind, 7)) - 1

    def __str__(self) -> str:
        name = f"{self.kind}:{self.channel}"
        return f"{name}:{self.number}" if self.kind in NUMBERED else name


def control_of(text: str) -> Control:
    """The control that `cc:1:7`, `note:10:36` or `bend:1` names. Raises ValueError in words for a person."""
    word, *numbers = text.split(":")
    kind = next((kind for kind in (*NUMBERED, *PLAIN) if kind == word), None)
    whole = [int(number) if number.isdecimal() and len(number) < 6 else -1 for number in numbers]
    if kind is None or len(whole) != (2 if kind in NUMBERED else 1):
        raise ValueError(
            "should be KIND:CHANNEL:NUMBER such as cc:1:7, cc14:1:7, nrpn:1:300, note:10:36 or touch:10:36, "
            "or KIND:CHANNEL such as bend:1, program:1 or pressure:1"
        )
    if not 1 <= whole[0] <= CHANNELS:
        raise ValueError(f"has channel {numbers[0]}; channels are 1 to {CHANNELS}")
    if kind in NUMBERED and not 0 <= whole[1] <= NUMBERED[kind]:
        raise ValueError(f"has number {numbers[1]}; those of {kind} are 0 to {NUMBERED[kind]}")
    return Control(kind, *whole)


@dataclass(frozen=True, slots=True)
class Moved:
    """A control and its position, 0 to `Control.largest`: of a note its velocity, 0 when it is let go of."""

    control: Control
    position: int


class Reader:
    """One port's messages as moves. Keeps what is needed of those before: fourteen bits come in two messages,
    an NRPN in four.

    Every message may be more than one move: cc:1:7 moves with cc14:1:7, so that a map may name either.
    """

    def __init__(self) -> None:
        self._coarse: dict[tuple[int, int], int] = {}
        self._fine: dict[tuple[int, int], int] = {}
        self._parameter: dict[int, list[int]] = {}

    def moves(self, message: Sequence[int]) -> list[Moved]:
        """What a channel message moves; nothing for one that is none or is not whole."""
        if not message or any(not 0 <= byte <= 127 for byte in message[1:]):
            return []
        status, channel = message[0] & 0xF0, (message[0] & 0x0F) + 1
        if len(message) == 2 and status in (0xC0, 0xD0):
            kind: Kind = "program" if status == 0xC0 else "pressure"
            return [Moved(Control(kind, channel), message[1])]
        if len(message) != 3:
            return []
        first, second = message[1], message[2]
        if status in (0x80, 0x90):
            return [Moved(Control("note", channel, first), second if status == 0x90 else 0)]
        if status == 0xA0:
            return [Moved(Control("touch", channel, first), second)]
        if status == 0xE0:
            return [Moved(Control("bend", channel), first + second * 128)]
        return self._controller(channel, first, second) if status == 0xB0 else []

    def _controller(self, channel: int, number: int, value: int) -> list[Moved]:
        found = [Moved(Control("cc", channel, number), value)]
        if number in (98, 99):
            self._parameter.setdefault(channel, [-1, -1])[99 - number] = value
        elif number in (100, 101):  # a registered parameter is another matter
            self._parameter.pop(channel, None)
        base = number % 32
        if number < 64 and number not in (6, 38):
            table = self._coarse if number < 32 else self._fine
            table[channel, base] = value
            if (channel, base) in self._fine:
                whole = self._coarse.get((channel, base), 0) * 128 + self._fine[channel, base]
                found.append(Moved(Control("cc14", channel, base), whole))
        if number in (6, 38):
            found += self._entered(channel, number, value)
        return found

    def _entered(self, channel: int, number: int, value: int) -> list[Moved]:
        """Data entry: the value of the NRPN that was named before it."""
        high, low = self._parameter.get(channel, [-1, -1])
        if high < 0 or low < 0:
            return []
        key = channel, 1000 + high * 128 + low
        (self._coarse if number == 6 else self._fine)[key] = value
        whole = self._coarse.get(key, 0) * 128 + self._fine.get(key, 0)
        return [Moved(Control("nrpn", channel, high * 128 + low), whole)]


def message_of(control: Control, position: int) -> list[list[int]]:
    """The messages that say to a controller that `control` stands at `position`."""
    channel = control.channel - 1
    high, low = position >> 7, position & 127
    if control.kind == "note":
        return [[0x90 | channel, control.number, position]]
    if control.kind == "cc":
        return [[0xB0 | channel, control.number, position]]
    if control.kind == "cc14":
        return [[0xB0 | channel, control.number, high], [0xB0 | channel, control.number + 32, low]]
    if control.kind == "nrpn":
        named = [[0xB0 | channel, 99, control.number >> 7], [0xB0 | channel, 98, control.number & 127]]
        return [*named, [0xB0 | channel, 6, high], [0xB0 | channel, 38, low]]
    if control.kind == "bend":
        return [[0xE0 | channel, low, high]]
    if control.kind == "touch":
        return [[0xA0 | channel, control.number, position]]
    return [[(0xC0 if control.kind == "program" else 0xD0) | channel, position]]
