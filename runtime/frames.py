"""The values that cross threads, processes and stages: frozen, and never edited once handed on.

This module imports nothing of Vivant, so that every other folder may import it.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from types import MappingProxyType
from typing import Any, Final, Protocol

import numpy as np
from numpy.typing import NDArray

U8 = NDArray[np.uint8]
F32 = NDArray[np.float32]
Array = NDArray[Any]  # an engine's tensors differ in dtype; TensorSpec states which
Value = float | int | bool | str  # what one parameter can hold

STAGES: Final = (
    "sense",
    "condition",
    "encode",
    "denoise",
    "guard",
    "planes",
    "decode",
    "exchange",
    "present",
)
"""The path of the picture in its order. Planes come after the guard because they are made from the
latent that it judged: planes made from the camera's frame would paint what the guard never saw."""

EMPTY: Final[Mapping[str, Any]] = MappingProxyType({})


class Judgement(IntEnum):
    """What the guard says of a latent. Zero is HOLD, so that memory nobody wrote is not admitted."""

    HOLD = 0
    PASS = 1
    SOFTEN = 2
    BLANK = 3


@dataclass(frozen=True, slots=True)
class Verdict:
    """A judgement with its score in [0, 1] (1 = certainly admissible) and its reason, in words."""

    judgement: Judgement = Judgement.HOLD
    score: float = 0.0
    reason: str = "not judged"

    @property
    def admits(self) -> bool:
        """Whether a picture decoded from this latent may be drawn."""
        return self.judgement in (Judgement.PASS, Judgement.SOFTEN)


@dataclass(frozen=True, slots=True)
class Frame:
    """One frame of a sense: `pixels` u8 (H, W, 3) sRGB; `captured_ns` on the monotonic clock. `near` u8
    (H, W) of a depth camera: 255 where somebody stands near; None from all others."""

    pixels: U8
    serial: int
    captured_ns: int
    near: U8 | None = None


@dataclass(frozen=True, slots=True)
class Latent:
    """All that the decoder gets of the frame: `code` f32 (1, C, H/8, W/8), `guide` f32 (1, 1, H/2, W/2)
    luma in [0, 1], None where the student has none (a diffusion model's latent is its code alone). `sigma`
    in [0, 1] is the noise still in `code`; `scaled` says unit variance."""

    code: F32
    guide: F32 | None
    sigma: float = 0.0
    scaled: bool = True


@dataclass(frozen=True, slots=True)
class Controls:
    """A full snapshot of what the show asks for; never a delta.

    `strength` in [0, 1] is img2img strength (the sigma of the first denoising step); `steps` 1, 2 or 4;
    `styles` weight by style name, each in [0, 1]; `adapters` scale by adapter name; `numbers` every
    parameter's value by OSC address; `size_px` (width, height) of the student's picture.
    `want_source` asks for the next pictures to carry what the student was given, `want_held` for those that
    are held to do so. `stamp_ns` is taken as a refresh begins; the next begins `refresh_ns` later (0: not
    known). A picture that is there at `draw_by_ns`
    (or whole refreshes later) is drawn while that refresh lasts.
    """

    serial: int = 0
    stamp_ns: int = 0
    strength: float = 0.5
    steps: int = 1
    seed: int = 0
    styles: Mapping[str, float] = field(default_factory=lambda: EMPTY)
    adapters: Mapping[str, float] = field(default_factory=lambda: EMPTY)
    prompt: str = ""
    numbers: Mapping[str, Value] = field(default_factory=lambda: EMPTY)
    size_px: tuple[int, int] = (384, 384)
    want_source: bool = False
    want_held: bool = False
    refresh_ns: int = 0
    draw_by_ns: int = 0


@dataclass(frozen=True, slots=True)
class Picture:
    """What the render process hands back. Only one whose `verdict.admits` is ever drawn.

    `pixels` u8 (H, W, 4) RGBA, top row first; `captured_ns` of the frame it was made from;
    `rendered_ns` when it was handed to the lane; `timings_ms` by stage name; `counts` the render
    process's totals since it started; `signals` what the senses know (motion, presence, ...);
    `source` u8 (H, W, 3), what the student was given, sent only when the present process asks for it.
    """

    pixels: U8
    serial: int
    verdict: Verdict
    captured_ns: int
    rendered_ns: int
    timings_ms: Mapping[str, float] = field(default_factory=lambda: EMPTY)
    counts: Mapping[str, int] = field(default_factory=lambda: EMPTY)
    signals: Mapping[str, float] = field(default_factory=lambda: EMPTY)
    adapters: tuple[str, ...] = ()
    source: U8 | None = None


class Clock(Protocol):
    """Monotonic nanoseconds. Passed in, so that tests set the time instead of sleeping."""

    def now_ns(self) -> int: ...


class MonotonicClock:
    """The one clock of the show; the same in both processes of one machine."""

    def now_ns(self) -> int:
        return time.perf_counter_ns()


@dataclass(slots=True)
class ManualClock:
    """A clock that stands until it is moved, for tests and simulations."""

    ns: int = 0

    def now_ns(self) -> int:
        return self.ns

    def advance_s(self, seconds: float) -> None:
        self.ns += round(seconds * 1e9)


class VivantError(Exception):
    """Something a person can put right: says what was asked, what was found and what to do next.

    The command line prints its message alone, without a traceback, and exits with 2.
    """
