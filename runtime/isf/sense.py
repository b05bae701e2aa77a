"""An ISF generator as what the student sees: drawn off the screen, on a thread and a context of its own."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np

from vivant.runtime.frames import U8, Clock, MonotonicClock, Value
from vivant.runtime.isf.header import IsfError, Shader
from vivant.runtime.isf.section import SOURCE, shader_for
from vivant.runtime.senses.contract import Phase, SenseError
from vivant.runtime.senses.pace import Pace
from vivant.runtime.senses.running import RunningSense

if TYPE_CHECKING:  # OpenGL is for the thread that draws
    from vivant.runtime.isf.slot import Slot

LOG = logging.getLogger("vivant.senses")
SIZE_PX: Final = (384, 384)
LOOK_EVERY: Final = 15  # frames between two looks at the file


def check_generator(where: str) -> None:
    """Compile the file on a context that is closed again. Raises SenseError with file and line."""
    try:
        drawn = Drawn(generator(where))
    except IsfError as error:
        raise SenseError(str(error)) from error
    drawn.close()


def open_generator(where: str, clock: Clock, fps: float, phase: Phase | None = None) -> RunningSense:
    """Draw `fps` frames a second of the ISF file at `where`. Raises SenseError when it is no generator."""
    shader = generator(where)
    return RunningSense(f"isf:{where}", clock, lambda sense: draw(sense, shader, fps, Pace(clock, phase)))


def generator(where: str) -> Shader:
    """The file. Raises SenseError when it cannot be read, or is a filter or a transition."""
    try:
        shader = shader_for(where, Path.cwd())
    except ValueError as error:
        raise SenseError(f"isf:{where}: {error}") from error
    if shader.header.kind != "source":
        raise SenseError(
            f"{shader.path} is a {shader.header.kind}: it needs a picture to work on. "
            "Write it in the scene under [effects.NAME] or [transitions.NAME]."
        )
    return shader


class Drawn:
    """A generator on a context of its own. The thread that opens it draws and closes it."""

    def __init__(self, shader: Shader, clock: Clock | None = None) -> None:
        """Raises IsfError with file and line, VivantError without OpenGL."""
        from vivant.runtime.isf.card import Card
        from vivant.runtime.isf.hearing import Hearing
        from vivant.runtime.isf.slot import Slot
        from vivant.runtime.isf.watch import Watch
        from vivant.runtime.surface import open_headless

        self._surface = open_headless(SIZE_PX, clock=clock or MonotonicClock())
        self._card = Card(self._surface.context)
        self._slot: Slot = Slot(shader.path.stem, SOURCE, shader, self._card, Hearing(self._card), {})
        self._watch = Watch({SOURCE: shader.path})
        self._frames = 0
        try:
            self._slot.start()
        except IsfError:
            self.close()
            raise
        self._known = tuple(self._slot.parameters_with(shader))
        self._target = self._card.target(SIZE_PX)

    def frame(self, numbers: Mapping[str, Value], now_ns: int) -> U8:
        """The picture u8 (H, W, 3) of now, top row first. `numbers` are the show's values by address."""
        self._renew()
        values = {one.address: numbers.get(one.address, one.default) for one in self._known}
        uniforms = self._slot.values(values)
        self._slot.draw(self._target, self._card.black, uniforms, 1.0, now_ns, datetime.now)
        rows = np.frombuffer(self._target.read(components=4), np.uint8).reshape(*SIZE_PX[::-1], 4)
        return np.ascontiguousarray(rows[::-1, :, :3])

    def _renew(self) -> None:
        """A changed file takes over; one that is broken, or has other inputs, is refused."""
        self._frames += 1
        if self._frames % LOOK_EVERY == 0:
            self._watch.look()
        try:
            while self._watch.news:
                _, found = self._watch.news.popleft()
                if isinstance(found, IsfError):
                    raise found
                if found.header.kind != "source" or tuple(self._slot.parameters_with(found)) != self._known:
                    raise IsfError(f"{found.path} has other inputs now; that takes a new start of the show")
                self._slot.renew(found)
            self._slot.work()
        except IsfError as error:
            LOG.warning("a changed file is refused, the one before stays: %s", error)

    def close(self) -> None:
        """Give the context back."""
        self._surface.close()


def draw(sense: RunningSense, shader: Shader, fps: float, pace: Pace) -> None:
    """Body of the sense's thread: the next frame is drawn while the last one stands."""
    drawn = Drawn(shader, sense.clock)
    period_ns, k = round(1e9 / fps), 0
    try:
        while True:
            began_ns = sense.clock.now_ns()
            pixels = drawn.frame(sense.numbers, began_ns)
            cost_ns = sense.clock.now_ns() - began_ns
            if not sense.wait_until(pace.due_ns(k * period_ns, period_ns)):
                return
            released_ns = sense.clock.now_ns()
            sense.hand_on(pixels, released_ns)
            k += 1
            if not sense.wait_until(released_ns + pace.rest_ns(period_ns, cost_ns)):
                return
    finally:
        drawn.close()
