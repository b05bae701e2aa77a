"""The inputs of an ISF file: what its header says of each, and the parameters that they become."""

from __future__ import annotations

import contextlib
import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from vivant.runtime.frames import Value
from vivant.runtime.parameters import Parameter

IDENTIFIER: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}")
MIX: Final = "mix"  # the address that every effect has; an input of that name gets an underscore
LARGEST: Final = 1e9
MOST_SAMPLES: Final = 4096  # columns of an audio picture
CHANNELS: Final[Mapping[str, tuple[str, ...]]] = {"point2D": ("x", "y"), "color": ("r", "g", "b", "a")}
GLSL: Final[Mapping[str, str]] = {
    "event": "bool",
    "bool": "bool",
    "long": "int",
    "float": "float",
    "point2D": "vec2",
    "color": "vec4",
    "image": "sampler2D",
    "audio": "sampler2D",
    "audioFFT": "sampler2D",
}
"""Every TYPE that there is, and what it is in the shader."""


@dataclass(frozen=True, slots=True)
class Input:
    """One input. `default`, `minimum` and `maximum` have a number for each channel; a `long` is one of
    `values`, which people know by `labels`, or where there are none any whole number in its range. `samples`
    is how many columns an audio picture should have, 0 for as many as there are."""

    name: str
    type: str
    meaning: str = ""
    default: tuple[float, ...] = ()
    minimum: tuple[float, ...] = ()
    maximum: tuple[float, ...] = ()
    values: tuple[int, ...] = ()
    labels: tuple[str, ...] = ()
    samples: int = 0

    @property
    def glsl(self) -> str:
        """The type of its uniform."""
        return GLSL[self.type]

    @property
    def is_texture(self) -> bool:
        """Whether it is a picture to the shader."""
        return self.glsl == "sampler2D"

    def parameters(self, below: str) -> Iterator[Parameter]:
        """What of it can be set, at `below` and its name; nothing of a picture."""
        address = below + self.name + ("_" if self.name == MIX else "")
        if self.is_texture:
            return
        if self.type == "event":
            yield Parameter(address, "action", self.meaning)
        elif self.type == "bool":
            yield Parameter(address, "bool", self.meaning, bool(self.default[0]))
        elif self.type == "long":
            yield self._long(address)
        else:
            channels = CHANNELS.get(self.type, ("",))
            for index, channel in enumerate(channels):
                yield Parameter(
                    f"{address}/{channel}" if channel else address,
                    "float",
                    f"{self.meaning}: {channel}" if channel else self.meaning,
                    self.default[index],
                    self.minimum[index],
                    self.maximum[index],
                )

    def _long(self, address: str) -> Parameter:
        if not self.values:
            low, high = self.minimum[0], self.maximum[0]
            return Parameter(address, "int", self.meaning, int(self.default[0]), low, high)
        chosen = self.values.index(int(self.default[0]))
        return Parameter(address, "choice", self.meaning, self.labels[chosen], choices=self.labels)

    def uniform(self, below: str) -> Callable[[Mapping[str, Value]], Any]:
        """How its uniform's value is taken from the values by address. Any: moderngl takes numbers and
        tuples of them."""
        addresses = [one.address for one in self.parameters(below)]
        if self.type == "event":
            return lambda values: bool(values.get(addresses[0], False))
        if self.type == "bool":
            return lambda values: bool(values[addresses[0]])
        if self.type == "long" and self.values:
            meant = dict(zip(self.labels, self.values, strict=True))
            return lambda values: meant[str(values[addresses[0]])]
        if self.type == "long":
            return lambda values: int(values[addresses[0]])
        if len(addresses) == 1:
            return lambda values: float(values[addresses[0]])
        return lambda values: tuple(float(values[address]) for address in addresses)

    def starting(self) -> Any:
        """Its uniform's value where nobody set one."""
        if self.type in ("event", "bool"):
            return bool(self.default and self.default[0])
        if self.type == "long":
            return int(self.default[0])
        return self.default[0] if len(self.default) == 1 else self.default


def input_of(given: Mapping[str, Any]) -> tuple[Input, list[str]]:
    """An input from its dictionary in the header, and what had to be guessed. Raises ValueError for one
    that means nothing."""
    name, kind = given.get("NAME"), given.get("TYPE")
    if not isinstance(name, str) or not IDENTIFIER.fullmatch(name):
        raise ValueError(f"NAME is {name!r}; it should be a name such as GLSL has: letters, digits and _")
    if not isinstance(kind, str) or kind not in GLSL:
        raise ValueError(f"TYPE of {name} is {kind!r}; it should be one of {', '.join(GLSL)}")
    label = given.get("LABEL")
    meaning = " ".join(str(label).split())[:80] if label else name
    guesses: list[str] = []
    if kind in ("event", "image"):
        return Input(name, kind, meaning), guesses
    if kind in ("audio", "audioFFT"):
        samples = _number(given.get("MAX", 0), f"MAX of {name}")
        return Input(name, kind, meaning, samples=int(min(max(samples, 0), MOST_SAMPLES))), guesses
    if kind == "bool":
        on = bool(_number(given.get("DEFAULT", 0), f"DEFAULT of {name}"))
        return Input(name, kind, meaning, (float(on),)), guesses
    if kind == "long":
        return _long(name, meaning, given, guesses), guesses
    default, low, high = _ranged(name, kind, given, guesses)
    return Input(name, kind, meaning, default, low, high), guesses


def _long(name: str, meaning: str, given: Mapping[str, Any], guesses: list[str]) -> Input:
    values = given.get("VALUES")
    if values is None:
        begin, low, high = ((float(round(of[0])),) for of in _ranged(name, "long", given, guesses))
        return Input(name, "long", meaning, begin, low, high)
    if not isinstance(values, list) or not values:
        raise ValueError(f"VALUES of {name} should be a list of whole numbers")
    whole = tuple(int(_number(value, f"VALUES of {name}")) for value in values)
    labels = given.get("LABELS")
    if not isinstance(labels, list) or len(labels) != len(whole):
        if labels is not None:
            guesses.append(f"{name}: {len(whole)} VALUES and other LABELS; the values are shown")
        labels = list(map(str, whole))
    default = int(_number(given.get("DEFAULT", whole[0]), f"DEFAULT of {name}"))
    if default not in whole:
        guesses.append(f"{name}: DEFAULT {default} is none of its VALUES; it begins with {whole[0]}")
        default = whole[0]
    return Input(name, "long", meaning, (float(default),), values=whole, labels=_distinct(labels))


def _distinct(labels: Sequence[object]) -> tuple[str, ...]:
    """The labels as one line each; one that comes again is numbered."""
    found: list[str] = []
    for label in labels:
        text = " ".join(str(label).split()) or "-"
        same = sum(one == text or one.startswith(f"{text} (") for one in found)
        found.append(f"{text} ({same + 1})" if same else text)
    return tuple(found)


def _ranged(
    name: str, kind: str, given: Mapping[str, Any], guesses: list[str]
) -> tuple[tuple[float, ...], tuple[float, ...], tuple[float, ...]]:
    """DEFAULT, MIN and MAX of each channel. The range is [0, 1] where there is none, and always holds the
    default."""
    width = len(CHANNELS.get(kind, ("",)))
    low = _channels(given.get("MIN", 0.0), width, 0.0, f"MIN of {name}")
    high = _channels(given.get("MAX", 1.0), width, 1.0, f"MAX of {name}")
    begin = given.get("DEFAULT", given.get("IDENTITY"))
    default = low if begin is None else _channels(begin, width, 1.0, f"DEFAULT of {name}")
    if any(a > b for a, b in zip(low, high, strict=True)):
        guesses.append(f"{name}: MIN is above MAX; they are exchanged")
        low, high = (tuple(map(pick, low, high)) for pick in (min, max))
    if any(not a <= d <= b for a, d, b in zip(low, default, high, strict=True)):
        if "MIN" in given or "MAX" in given:
            guesses.append(f"{name}: DEFAULT lies outside MIN and MAX; the range is widened")
        low, high = tuple(map(min, low, default)), tuple(map(max, high, default))
    high = tuple(b if b > a else a + 1.0 for a, b in zip(low, high, strict=True))
    return default, low, high


def _channels(given: object, width: int, missing: float, what: str) -> tuple[float, ...]:
    """A number for each channel: a single one counts for all, a missing alpha is `missing`."""
    if not isinstance(given, list):
        return (_number(given, what),) * width
    numbers = [_number(one, what) for one in given[:width]]
    return (*numbers, *[missing] * (width - len(numbers)))


def _number(given: object, what: str) -> float:
    if isinstance(given, str):  # some files write "0.5"
        with contextlib.suppress(ValueError):
            given = float(given)
    if not isinstance(given, bool | int | float) or abs(given) > LARGEST or not math.isfinite(given):
        raise ValueError(f"{what} is {given!r}; it should be a number")
    return float(given)
