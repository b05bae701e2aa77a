"""Transitions: from the picture as it was when another style was chosen to the live one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from vivant.runtime.frames import Value
from vivant.runtime.isf.card import Card
from vivant.runtime.isf.header import END, PROGRESS, START
from vivant.runtime.isf.section import CHOOSE, NONE, TIME_S
from vivant.runtime.isf.slot import Slot, Wall
from vivant.runtime.parameters import CHOOSE as STYLE_CHOOSE


class Crossing:
    """The transitions of a show, of which one runs or none. Only the context's thread may use it."""

    def __init__(self, card: Card, slots: Mapping[str, Slot]) -> None:
        self._card, self._slots = card, dict(slots)
        self._style: Value | None = None
        self._seen: tuple[Any, bool] | None = None
        self._start: Any = None
        self._kept = False  # whether that holds where the next transition begins
        self._out: Any = None
        self._running: Slot | None = None
        self._began_ns = self._now_ns = 0
        self._progress = 0.0
        self._values: dict[str, Any] = {}

    @property
    def running(self) -> bool:
        """Whether a transition is under way."""
        return self._running is not None

    def step(self, now_ns: int, values: Mapping[str, Value], go: bool) -> None:
        """Once a refresh. It begins when the chosen style changes, or at once for `go`; begun anew it starts
        from what is on the screen."""
        self._now_ns = now_ns
        style = values.get(STYLE_CHOOSE)
        if self._kept or go or (self._style is not None and style != self._style):
            self._begin(str(values[CHOOSE]))
        self._style = style
        if self._running is None:
            return
        self._progress = (now_ns - self._began_ns) / (float(values[TIME_S]) * 1e9)
        if self._progress >= 1.0:
            self.stop()
        else:
            self._values = self._running.values(values)

    def _begin(self, name: str) -> None:
        kept, self._kept = self._kept, False
        if name == NONE or not (kept or self._seen):
            return
        if self._seen is not None and not kept:
            self._keep(*self._seen)
        self._running, self._began_ns = self._slots[name], self._now_ns
        self._running.forget()

    def begin_from(self, texture: Any, upside_down: bool) -> None:
        """Begin at the next step, from a texture that need not stay until then."""
        self._keep(texture, upside_down)
        self._kept = True

    def _keep(self, texture: Any, upside_down: bool) -> None:
        self._start = self._card.resized(self._start, texture.size)
        self._card.copy(texture, self._start, upside_down)

    def saw(self, texture: Any, upside_down: bool) -> None:
        """What was just drawn: the picture as it is, where a transition would start from. It must stay as it
        is until the next `step`."""
        self._seen = (texture, upside_down)

    def cross(self, live: Any, wall: Wall) -> Any:
        """The texture between the picture as it was and `live`."""
        assert self._running is not None
        self._out = self._card.resized(self._out, live.size)
        images = {START: self._start.color_attachments[0], END: live}
        values = {**self._values, PROGRESS: self._progress}
        self._running.draw(self._out, live, values, 1.0, self._now_ns, wall, images)
        return self._out.color_attachments[0]

    def stop(self) -> None:
        """The live picture alone from now on."""
        self._running = None

    def forget(self) -> None:
        """Nothing of the picture as it was is left."""
        self.stop()
        self._seen, self._kept = None, False

    def release(self) -> None:
        """Give its pictures back."""
        for target in (self._start, self._out):
            if target is not None:
                self._card.free(target)
        self._start = self._out = None
