"""The flash guard at the screen: it measures every finished picture, and slows what would flash.

What was drawn is painted once more, small, once the screen has it; it is reduced to cells on the graphics
card and read back through a buffer at the next draw, so that nothing waits: what is known is one draw old,
which the damping's margin of a transition allows for. While it is calm the picture goes straight to the
target. From the first flash on it is drawn on a stage, so that what was shown last is known when damping
begins.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any, Final

import moderngl
import numpy as np

from vivant.guardrails.flash import COLUMNS, ROWS, field_cells
from vivant.guardrails.flash_damping import UNHELD, Damping
from vivant.runtime.frames import F32
from vivant.runtime.passes import LIMITS_UNIT, Passes
from vivant.runtime.placing import Size

LOG = logging.getLogger("vivant.flash")
TEXELS: Final = 4  # a side, of the small picture to a cell; shaders/flash_cells.frag holds the same number
SMALL_PX: Final = (COLUMNS * TEXELS, ROWS * TEXELS)

Paint = Callable[[moderngl.Framebuffer, Size], None]
"""Draws the picture onto a framebuffer, over so many of its pixels."""


class FlashGuard:
    """Between the passes of the show and the surface. Only the context's thread may use it."""

    def __init__(self, context: moderngl.Context, passes: Passes) -> None:
        self._context, self._passes = context, passes
        self._small = context.framebuffer([context.texture(SMALL_PX, 4)])
        self._cells = context.framebuffer([context.texture((COLUMNS, ROWS), 4, dtype="f2")])
        self._buffer = context.buffer(reserve=COLUMNS * ROWS * 4 * 2)
        self._limits: Any = context.texture((COLUMNS, ROWS), 2, dtype="f4")
        self._limits.repeat_x = self._limits.repeat_y = False
        self._made: list[Any] = []
        self._size_px: Size = (0, 0)
        self._unseen: tuple[Paint, int] | None = None
        self._pending_ns: int | None = None
        self._damped = False
        self._known = False  # whether the other stage holds what was shown last
        self.damping = Damping(field_cells(16 / 9))

    @property
    def active(self) -> bool:
        """Whether the picture is damped now: then it changes though nothing else does."""
        return self.damping.active or self._damped

    def show(
        self, paint: Paint, target: moderngl.Framebuffer, size_px: Size, time_ns: int, blank: bool = False
    ) -> None:
        """Bring what `paint` draws onto `target`, of `size_px`, at `time_ns` of any steady clock.

        `blank` says that it is the operator's black, which is shown at once whatever flashes. Coming back
        from it is damped like everything else, so that it cannot be made to flash.
        """
        self.judge()
        if size_px != self._size_px:
            self._resize(size_px)
        limits = self.damping.step(time_ns)
        if self.damping.wary:
            paint(self._stages[0], size_px)
            shown = self._damp(UNHELD if blank else limits) if self.damping.active else self._stages[0]
            self._context.copy_framebuffer(target, shown)
            self._stages.reverse()
        else:
            paint(target, size_px)
        self._known = self.damping.wary
        self._unseen = paint, time_ns
        self._report()

    def watch(self) -> None:
        """Look at what was drawn last, if nobody did yet: before anything that it was painted from changes,
        and best when the screen has it and there is time."""
        if self._unseen is None:
            return
        (paint, time_ns), self._unseen = self._unseen, None
        paint(self._small, SMALL_PX)
        self._measure(time_ns)

    def judge(self) -> None:
        """Judge the cells of the last draw, if nobody did yet; they arrived while it was shown."""
        if self._pending_ns is None:
            return
        cells = np.frombuffer(self._buffer.read(), np.float16).reshape(ROWS, COLUMNS, 4)
        self.damping.see(cells[..., :3].astype(np.float32), self._pending_ns)
        self._pending_ns = None

    def counts(self) -> dict[str, float]:
        """For the report: how often the picture was damped and for how long."""
        return {"engaged": self.damping.engaged, "damped_s": round(self.damping.damped_s, 3)}

    def _report(self) -> None:
        if self.damping.active and not self._damped:
            LOG.warning("%s flashes: the picture is damped", " and ".join(self.damping.why))
        elif self._damped and not self.damping.active:
            LOG.info("the flashing is over: the picture is free again")
        self._damped = self.damping.active

    def _measure(self, time_ns: int) -> None:
        self._use(self._cells)
        self._passes.draw("flash cells", self._small.color_attachments[0])
        self._cells.read_into(self._buffer, components=4, dtype="f2")
        self._pending_ns = time_ns

    def _damp(self, limits: F32) -> Any:
        """The stage moved toward from what was shown before; where to find it."""
        if not self._damped:  # what was shown last is on the other stage, undamped
            self._move(self._stages[1 if self._known else 0], UNHELD)
        self._move(self._stages[0], limits)
        return self._shown

    def _move(self, stage: Any, limits: F32) -> None:
        self._limits.write(np.ascontiguousarray(limits, np.float32))
        self._limits.use(LIMITS_UNIT)
        self._use(self._lights[0])
        last = self._lights[1].color_attachments[0]
        self._passes.draw("flash damp", stage.color_attachments[0], last)
        self._lights.reverse()

    def _use(self, target: Any) -> None:
        target.viewport = (0, 0, *target.size)
        target.use()
        self._context.enable_only(moderngl.NOTHING)

    def _resize(self, size_px: Size) -> None:
        """New textures: what was shown at another size is forgotten, what was counted is not."""
        for one in self._made:
            one.release()
        stages = [self._context.texture(size_px, 4) for _ in range(2)]
        lights = [self._context.texture(size_px, 4, dtype="f2") for _ in range(2)]
        colour = self._context.texture(size_px, 4)
        for texture in (*stages, *lights, colour):
            texture.filter = (moderngl.NEAREST, moderngl.NEAREST)
        self._stages = [self._context.framebuffer([texture]) for texture in stages]
        self._lights = [self._context.framebuffer([texture, colour]) for texture in lights]
        self._shown = self._context.framebuffer([colour])
        for framebuffer in (*self._stages, *self._lights):
            framebuffer.clear()  # what nobody wrote may be no number
        self._made = [*self._stages, *self._lights, self._shown, *stages, *lights, colour]
        self._size_px, self._known, self._damped = size_px, False, False
        self.damping.resize(field_cells(size_px[0] / size_px[1]))
        self._warm()

    def _warm(self) -> None:
        """Run both passes once, so that the driver builds them before the show: nothing of it is kept."""
        self._measure(0)
        self._move(self._stages[0], UNHELD)
        self._pending_ns = None
