"""What one binding of a map does to the parameter tree when its control is moved, and where a controller
that can show it should show its parameter."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from vivant.runtime.frames import Value
from vivant.runtime.mapped import SHAPES, backwards
from vivant.runtime.midi.controls import Control, control_of
from vivant.runtime.midi.mapping import Binding, Way
from vivant.runtime.parameters import Parameter
from vivant.runtime.tree import Tree

SOURCE: Final = "midi"
NEAR: Final = 0.02  # of a fader's way: so near to the value it takes hold of it
PRESSED: Final = ("note", "touch")
STEP: Final = 1 / 127  # of the range, for each detent of a knob without end


class Hand:
    """One binding in a show. One thread: the present loop's."""

    def __init__(self, binding: Binding, parameter: Parameter) -> None:
        self.binding, self.parameter = binding, parameter
        self.control: Control = control_of(binding.control)
        self.way: Way = binding.way if binding.way != "auto" else _usual(self.control, parameter, binding)
        self._shape: Callable[[float], float] = SHAPES[binding.curve]
        self._last: float | None = None  # where the fader was, as a share of its way
        self._set: Value | None = None  # what it set last: another value is somebody else's
        self._shown: int | None = None

    def move(self, tree: Tree, position: int, now_ns: int) -> str | None:
        """Its control is at `position` now. What became of it: a word for the counters; None for nothing."""
        self._shown = position
        if self.way in ("press", "toggle", "hold"):
            return self._press(tree, position, now_ns)
        share = position / self.control.largest
        if self.way == "relative":
            turned = position - 128 if position > 63 else position
            share = min(max(self._share(tree) + turned * STEP, 0.0), 1.0)
        elif self.way == "velocity" and not position:
            return None
        elif self.way == "pickup" and not self._holds(tree, share):
            self._last = share
            return "not_picked_up"
        self._last = share
        return self._take(tree, self._value(share), now_ns)

    def shown(self, tree: Tree) -> int | None:
        """Where the controller should show its parameter; None where it shows that already, or cannot."""
        if not self.binding.feedback or self.parameter.kind in ("action", "text") or self.way == "relative":
            return None
        position = round(self._share(tree) * self.control.largest)
        if self.control.kind in PRESSED or self.way in ("press", "toggle", "hold"):
            position = self.control.largest if self._lit(tree) else 0
        if position == self._shown:
            return None
        self._shown = position
        return position

    def _press(self, tree: Tree, position: int, now_ns: int) -> str | None:
        down = position > (0 if self.control.kind in PRESSED else self.control.largest // 2)
        if self.way == "hold":
            return self._take(tree, self._ends[down], now_ns)
        if not down:
            return None
        if self.way == "toggle":
            lit = self._lit(tree)
            value = self.binding.value if self.binding.value is not None and not lit else self._ends[not lit]
            return self._take(tree, value, now_ns)
        return self._take(tree, True if self.binding.value is None else self.binding.value, now_ns)

    def _holds(self, tree: Tree, share: float) -> bool:
        """Whether a fader has hold of its value: it set it, or came to where it is, or passed it."""
        now = tree.value(self.parameter.address)
        if self._set is not None and now == self._set:
            return True
        wanted = self._share(tree)
        crossed = self._last is not None and (self._last - wanted) * (share - wanted) <= 0.0
        return crossed or abs(share - wanted) <= NEAR

    def _take(self, tree: Tree, value: Value, now_ns: int) -> str:
        outcome = tree.set(self.parameter.address, (value,), now_ns, SOURCE)
        if outcome.taken and self.parameter.kind != "action":
            self._set = tree.value(self.parameter.address)
        return outcome.reason or "applied"

    @property
    def _ends(self) -> tuple[Value, Value]:
        """What nothing and everything mean."""
        one = self.parameter
        if self.binding.range is not None:
            return self.binding.range
        if one.kind in ("float", "int"):
            return one.minimum, one.maximum
        if one.kind == "choice":
            return one.choices[0], one.choices[-1]
        return False, True

    def _value(self, share: float) -> Value:
        """The value at a share of the control's way."""
        low, high = self._ends
        if self.parameter.kind == "choice":
            return self.parameter.choices[round(self._shape(share) * (len(self.parameter.choices) - 1))]
        if self.parameter.kind in ("bool", "action"):
            return share >= 0.5
        value = float(low) + (float(high) - float(low)) * self._shape(share)
        return round(value) if self.parameter.kind == "int" else value

    def _share(self, tree: Tree) -> float:
        """Where on the control's way the value lies."""
        value = tree.value(self.parameter.address)
        if self.parameter.kind == "choice":
            wanted = self.parameter.norm(value)
        else:
            low, high = (float(end) for end in self._ends)
            wanted = (float(value) - low) / (high - low)
        return backwards(self.binding.curve, min(max(wanted, 0.0), 1.0))

    def _lit(self, tree: Tree) -> bool:
        """Whether a button should be lit: its value is in force, or its switch is on."""
        now = tree.value(self.parameter.address)
        if self.binding.value is not None:
            return now == self.binding.value
        return self._share(tree) >= 0.5


def _usual(control: Control, parameter: Parameter, binding: Binding) -> Way:
    """What a control does where a map does not say."""
    if parameter.kind in ("action", "text") or binding.value is not None:
        return "press"
    if control.kind == "note":
        return "toggle" if parameter.kind == "bool" else "velocity"
    return "absolute"
