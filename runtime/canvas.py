"""Draws the show with OpenGL: crossfade, look, upscale, and slow life while a picture is held."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Final, Literal

import moderngl
import numpy as np

from vivant.runtime.flash import FlashGuard, Paint
from vivant.runtime.frames import U8
from vivant.runtime.isf.effects import Effects
from vivant.runtime.passes import NOISE_PX, Passes
from vivant.runtime.placing import Aspect, Placing, Size, bars, place

Profile = Literal["light", "full"]
SOFTWARE_RENDERERS: Final = ("llvmpipe", "softpipe", "swr", "swiftshader", "software", "basic render")
GLOW_PX: Final = 16  # the border's patches of colour a side; shaders/glow.frag holds the same number
WARM_PX: Final = 24  # not a power of two, as most students' sizes are not: drivers build those apart
GRAIN_HZ: Final = 12.0
GRAIN_FULL_PX: Final = 1080  # a grain is one pixel on targets up to about this height
ARRIVAL_S: Final = 0.6  # the first picture grows out of the idle field for so long
HELD_AFTER_S: Final = 0.5
LIVING_GROWS_S: Final = 2.0
LIVING_ENDS_S: Final = 1.5
LONGEST_STEP_S: Final = 0.1  # a stall of the present loop must not let a slow motion jump
HELD_PERIODS_S: Final = (11.0, 7.9, 9.3, 17.0)
IDLE_PERIODS_S: Final = (23.0, 31.0, 41.0, 19.0)


@dataclass(frozen=True, slots=True)
class Look:
    """How the picture is shown. `exposure` in EV; `contrast` and `saturation` [0, 2], 1 leaves it as it is;
    `temperature` [-1 cool, 1 warm]; `grain` and `vignette` [0, 1]. The defaults change no colour.

    `aspect` "fit" shows the whole picture with a soft border; "fill" covers the target and crops.
    """

    exposure: float = 0.0
    contrast: float = 1.0
    saturation: float = 1.0
    temperature: float = 0.0
    grain: float = 0.0
    vignette: float = 0.0
    aspect: Aspect = "fit"
    mirror: bool = False

    @property
    def grades(self) -> bool:
        """Whether it changes colours, grain and vignette apart."""
        return (self.exposure, self.contrast, self.saturation, self.temperature) != (0.0, 1.0, 1.0, 0.0)

    @property
    def gains(self) -> tuple[float, float, float]:
        """What red, green and blue are multiplied by in linear light. Temperature keeps the luma of grey."""
        red, blue = 2.0 ** (0.4 * self.temperature), 2.0 ** (-0.4 * self.temperature)
        gain = float(2.0**self.exposure / (0.2126 * red + 0.7152 + 0.0722 * blue))
        return red * gain, gain, blue * gain


def phases(periods_s: tuple[float, ...], time_s: float) -> tuple[float, ...]:
    """Angles in [0, 2 pi) of slow waves: taken here because a shader's floats lose them after some days."""
    return tuple(math.tau * math.fmod(time_s / period_s, 1.0) for period_s in periods_s)


def grain_start(time_s: float) -> tuple[float, float]:
    """Where the grain of this twelfth of a second begins in the noise: far from the one before."""
    step = math.floor(time_s * GRAIN_HZ)
    return step * 97 % NOISE_PX / NOISE_PX, step * 161 % NOISE_PX / NOISE_PX


def grain_px(target_px: Size) -> int:
    """A grain's width in whole pixels: one up to about GRAIN_FULL_PX of height, then more."""
    return max(1, round(target_px[1] / GRAIN_FULL_PX))


def noise_span(placed: Placing, grain: int) -> tuple[float, float]:
    """How often the noise repeats over a rectangle when each of its values is `grain` pixels wide."""
    left, top, right, bottom = placed.pixels
    return (right - left) / (NOISE_PX * grain), (bottom - top) / (NOISE_PX * grain)


def is_software(renderer: str) -> bool:
    """Whether an OpenGL renderer's name says that the CPU does the work."""
    return any(name in renderer.lower() for name in SOFTWARE_RENDERERS)


class Canvas:
    """The pictures on the graphics card and the passes that draw them. Only the thread of its context may
    use it. `profile` follows from the renderer's name unless it is given: "light" upscales bilinearly.
    `flash` is the flash guard, through which every draw goes; `guarded` False, to measure, leaves it out.
    `effects` lie over the picture and the screen, before that guard.
    """

    def __init__(
        self,
        context: moderngl.Context,
        profile: Profile | None = None,
        guarded: bool = True,
        effects: Effects | None = None,
    ) -> None:
        self.profile = profile or ("light" if is_software(context.info["GL_RENDERER"]) else "full")
        self._context = context
        # The alpha of what is drawn on stays 1, so that a reading of it is opaque.
        blend: Any = (moderngl.SRC_ALPHA, moderngl.ONE_MINUS_SRC_ALPHA, moderngl.ONE, moderngl.ONE)
        context.blend_func = blend  # Any: the stubs know a pair only, and textures below hardly at all
        self._passes = Passes(context, sharp=self.profile == "full")
        self._newest: Any = None
        self._previous: Any = None
        self._developed: Any = None
        self._glow: Any = self._target(None, (GLOW_PX, GLOW_PX))
        self._copy: Any = None
        self._drawn: Any = None
        self._drawn_px: Size = (0, 0)
        self._time_s: float | None = None
        self._living = 0.0  # how far the motion of a held picture has grown, and the first picture's arrival
        self._arrival = 1.0
        self._whole: Any = None
        self._last: tuple[Any, bool] | None = None  # the picture that was drawn last, and whether turned
        self._effects: Effects | None = None
        self.flash: FlashGuard | None = None  # not for what warming up draws: that is no show
        self._warm()
        self._effects = effects
        if guarded:
            self.flash = FlashGuard(context, self._passes)

    def forget(self) -> None:
        """Nothing is left of the pictures so far: no crossfade, trail or transition brings them back."""
        self.settle()
        for texture in (self._newest, self._previous):
            if texture is not None:
                texture.release()
        self._newest = self._previous = self._last = None
        if self._effects is not None:
            self._effects.forget()

    def change(self, effects: Effects | None) -> None:
        """Other effects from the next draw on, with a transition where they have one; the old ones stay their
        owner's to close."""
        self.settle()
        if effects is not None and self._last is not None:
            effects.begin(*self._last)
        self._effects, self._last = effects, None

    @property
    def has_picture(self) -> bool:
        """Whether a picture was ever shown."""
        return self._newest is not None

    @property
    def moves(self) -> bool:
        """Whether the next draw would differ from the last though picture, look and size are the same."""
        damped = self.flash is not None and self.flash.active
        stirs = self._effects is not None and self._effects.moves
        return not self.has_picture or self._living > 0.0 or self._arrival < 1.0 or damped or stirs

    def show(self, pixels: U8) -> None:
        """Make `pixels` u8 (H, W, 4) RGBA, top row first, the newest picture. They are copied."""
        if pixels.dtype != np.uint8 or pixels.ndim != 3 or pixels.shape[2] != 4:
            raise ValueError(f"a picture is u8 (H, W, 4), not {pixels.dtype} {pixels.shape}")
        self.settle()
        size = (pixels.shape[1], pixels.shape[0])
        self._newest, self._previous = self._previous, self._newest
        if self._newest is None or self._newest.size != size:
            if self._newest is not None:
                self._newest.release()
            self._newest = self._texture(size)
        self._newest.write(np.ascontiguousarray(pixels))

    def draw(
        self,
        target: moderngl.Framebuffer,
        size_px: Size,
        look: Look,
        fade: float = 1.0,
        held_s: float = 0.0,
        time_s: float = 0.0,
        blank: bool = False,
    ) -> None:
        """Draw onto `target`, `size_px` (width, height).

        `fade` in [0, 1] is the weight of the newest picture over the one before; `held_s` how long ago the
        newest arrived; `time_s` any steady time; `blank` draws black.
        """
        self.settle()
        self._move(held_s, time_s)
        self._drawn, self._drawn_px = target, size_px
        paint = self._black() if blank else self._painted(size_px, look, fade, time_s)
        if not blank and self._effects is not None and self._effects.on_screen:
            self._whole = self._target(self._whole, size_px)
            paint(self._whole, size_px)
            paint = self._effects.screen(self._whole.color_attachments[0])
        if self.flash is None:
            paint(target, size_px)
        else:
            self.flash.show(paint, target, size_px, round(time_s * 1e9), blank)
        if self._newest is None and not blank:
            self._arrival = 0.0

    def _black(self) -> Paint:
        """The operator's black; nothing of the pictures before it stays in an effect's buffers."""
        self._last = None
        if self._effects is not None:
            self._effects.forget()

        def paint(onto: moderngl.Framebuffer, pixels: Size) -> None:
            self._use(onto, pixels)
            onto.clear(0.0, 0.0, 0.0, 1.0)

        return paint

    def _painted(self, size_px: Size, look: Look, fade: float, time_s: float) -> Paint:
        """The picture with its border, or the idle field; painted again it is the same."""
        picture = None if self._newest is None else self._develop(look, fade)
        changed = None if picture is None or self._effects is None else self._effects.picture(picture)
        shown, turned = (picture, False) if changed is None else (changed, True)
        self._last = None if shown is None else (shown, turned)
        borders: list[Placing] = []
        if shown is not None:
            placed = place(shown.size, size_px, look.aspect, look.mirror)
            borders = bars(shown.size, size_px, placed, look.mirror)
        if borders:
            self._soften(shown)

        def paint(onto: moderngl.Framebuffer, pixels: Size) -> None:
            self._use(onto, pixels)
            if shown is None or self._arrival < 1.0:
                self._idle(size_px, time_s)
            if shown is not None:
                self._place(shown, placed, borders, size_px, look, time_s, turned)

        return paint

    def settle(self) -> None:
        """What a draw left to do, once the screen has its picture: the flash guard looks at it."""
        if self.flash is not None:
            self.flash.watch()

    def judge(self) -> None:
        """The flash guard judges what it saw of the last draw; the next draw does, if nobody had time."""
        if self.flash is not None:
            self.flash.judge()

    def read(self) -> U8:
        """What was drawn last, u8 (H, W, 4) RGBA, top row first; the caller may keep it, not write to it.

        Call it before the surface swaps. Raises ValueError when nothing was drawn yet.
        """
        if self._drawn is None:
            raise ValueError("nothing was drawn yet, so there is nothing to read")
        readable = self._drawn
        if readable.glo == 0:  # a window's own buffer may hold another layout, which reads slowly
            self._copy = self._target(self._copy, self._drawn_px)
            self._context.copy_framebuffer(self._copy, readable)
            readable = self._copy
        width, height = self._drawn_px
        rows = readable.read(viewport=(0, 0, width, height), components=4)
        return np.frombuffer(rows, np.uint8).reshape(height, width, 4)[::-1]

    def _warm(self) -> None:
        """Draw once in every way, so that the driver builds its programs now: left to their first use, each
        costs up to a fifth of a second. On a window the idle field covers this before it is ever shown."""
        own, px = self._target(None, (WARM_PX, WARM_PX)), (WARM_PX, WARM_PX // 2)
        for target in (own, self._context.screen):
            for look in (Look(), Look(grain=1.0)) if target is not None else ():
                for opacity in (0.5, 1.0):
                    self._arrival = opacity
                    self.show(np.zeros((WARM_PX, WARM_PX, 4), np.uint8))
                    self.draw(target, px, look)
        for look in (Look(), Look(exposure=1.0)):
            for fade in (0.5, 1.0):
                self.draw(own, px, look, fade)
        self._context.finish()
        for made in (self._newest, self._previous, own.color_attachments[0], own):
            made.release()
        self._newest = self._previous = self._drawn = self._time_s = None
        self._arrival = 1.0

    def _move(self, held_s: float, time_s: float) -> None:
        """Let the motion of a held picture, and the arrival of the first, go on by the time gone by."""
        step_s = 0.0 if self._time_s is None else min(LONGEST_STEP_S, max(0.0, time_s - self._time_s))
        self._time_s = time_s
        grows = held_s > HELD_AFTER_S and self.has_picture
        change = step_s / LIVING_GROWS_S if grows else -step_s / LIVING_ENDS_S
        self._living = min(1.0, max(0.0, self._living + change))
        if self.has_picture:
            self._arrival = min(1.0, self._arrival + step_s / ARRIVAL_S)

    def _develop(self, look: Look, fade: float) -> Any:
        """The texture to show: crossfaded and graded at the pictures' own size, or the newest as it is."""
        fades = fade < 1.0 and self._previous is not None
        wanted = [name for name, needed in (("fade", fades), ("grade", look.grades)) if needed]
        if not wanted:
            return self._newest
        self._developed = self._target(self._developed, self._newest.size)
        self._use(self._developed, self._newest.size)
        self._passes.draw(
            "+".join(wanted),
            *((self._newest, self._previous) if fades else (self._newest,)),
            fade=min(1.0, max(0.0, fade)),
            gains=look.gains,
            contrast=look.contrast,
            saturation=look.saturation,
        )
        return self._developed.color_attachments[0]

    def _idle(self, size_px: Size, time_s: float) -> None:
        whole = Placing((0, 0, *size_px), (0.0, 0.0, 1.0, 1.0))
        waves = phases(IDLE_PERIODS_S, time_s)
        self._passes.draw("idle", curved=True, phases=waves, noise_span=noise_span(whole, 1), opacity=1.0)

    def _soften(self, picture: Any) -> None:
        self._use(self._glow, (GLOW_PX, GLOW_PX))
        self._passes.draw("glow", picture)

    def _place(
        self,
        picture: Any,
        placed: Placing,
        borders: list[Placing],
        size_px: Size,
        look: Look,
        time_s: float,
        turned: bool,
    ) -> None:
        """Draw the picture, and its border where it leaves one, over what is there. `size_px` is that of the
        target, whatever is drawn on now; `turned` says that the picture's bottom row is first."""
        if turned:
            placed, borders = placed.turned(), [bar.turned() for bar in borders]
        opacity, living = smooth(self._arrival), smooth(self._living)
        if opacity < 1.0:
            self._context.enable_only(moderngl.BLEND)
        glow = self._glow.color_attachments[0]
        for bar in borders:
            self._passes.draw(
                "border",
                glow,
                curved=True,
                place=bar.clip(size_px),
                crop=bar.crop,
                noise_span=noise_span(bar, 1),
                opacity=opacity,
            )
        self._passes.draw(
            "picture+grain" if look.grain > 0.0 else "picture",
            picture,
            curved=living > 0.0,
            place=placed.clip(size_px),
            crop=placed.crop,
            living=living,
            phases=phases(HELD_PERIODS_S, time_s),
            vignette=look.vignette,
            grain=look.grain,
            noise_span=noise_span(placed, grain_px(size_px)),
            noise_start=grain_start(time_s),
            opacity=opacity,
        )

    def _use(self, target: Any, size_px: Size) -> None:
        """Draw into `target` from here on, in a known state."""
        target.viewport = (0, 0, *size_px)
        target.use()
        self._context.enable_only(moderngl.NOTHING)

    def _texture(self, size: Size) -> Any:
        texture = self._context.texture(size, 4)
        texture.filter = (moderngl.LINEAR, moderngl.LINEAR)
        texture.repeat_x = texture.repeat_y = False
        return texture

    def _target(self, kept: Any, size: Size) -> Any:
        """`kept` when it has this size, else a new RGBA framebuffer in its place."""
        if kept is not None and kept.size == size:
            return kept
        if kept is not None:
            kept.color_attachments[0].release()
            kept.release()
        return self._context.framebuffer([self._texture(size)])


def smooth(x: float) -> float:
    """Ease in and out: [0, 1] to [0, 1] with no speed at either end."""
    return x * x * (3.0 - 2.0 * x)
