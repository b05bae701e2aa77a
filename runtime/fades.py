"""Values on their way to a target, as pure functions of time."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final


def smooth(share: float) -> float:
    """Smoothstep: from 0 to 1 over `share` in [0, 1] with no speed at either end, and still outside it.

    smooth(t) + smooth(1 - t) = 1, so that two weights that exchange places keep their sum.
    """
    share = min(max(share, 0.0), 1.0)
    return share * share * (3.0 - 2.0 * share)


def _linear(share: float) -> float:
    return min(max(share, 0.0), 1.0)


def _early(share: float) -> float:
    return math.sin(_linear(share) * math.pi / 2)


def _late(share: float) -> float:
    return 1.0 - math.cos(_linear(share) * math.pi / 2)


CURVES: Final[Mapping[str, Callable[[float], float]]] = MappingProxyType(
    {"smooth": smooth, "linear": _linear, "early": _early, "late": _late}
)
"""How a value goes from 0 to 1; early and late are a quarter of a sine. The only door from a name to one."""


@dataclass(frozen=True, slots=True)
class Fade:
    """From `begin` at `start_ns` to `end`, `duration_ns` later, along one of CURVES."""

    begin: float
    end: float
    start_ns: int
    duration_ns: int
    curve: str = "smooth"

    def at(self, now_ns: int) -> float:
        """The value at `now_ns`; exactly `end` from the end on."""
        if self.done(now_ns):
            return self.end
        share = CURVES[self.curve]((now_ns - self.start_ns) / self.duration_ns)
        return self.begin + (self.end - self.begin) * share

    def done(self, now_ns: int) -> bool:
        """Whether the fade has arrived."""
        return now_ns - self.start_ns >= self.duration_ns
