"""The show's ear: a thread that listens and a Source that says what it heard."""

from __future__ import annotations

import logging
import math
import threading
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any, Final

import numpy as np

from vivant.runtime.frames import F32, Clock, Value
from vivant.runtime.sound.ears import Ear, SoundError, ear_for
from vivant.runtime.sound.hearing import Heard, Hearing, Manner
from vivant.runtime.sound.section import BANDS, Sound, manner_of

LOG: Final = logging.getLogger("vivant.sound")
RETRY_S: Final = 2.0
STALE_NS: Final = 1_000_000_000  # what was heard longer ago says nothing of the room
CLOSE_WAIT_S: Final = 3.0
DRAWN_DB: Final = 80.0


def drawable(magnitudes: F32) -> F32:
    """Magnitudes as heights in [0, 1]: DRAWN_DB below full scale is 0."""
    heights = 1.0 + (20.0 / DRAWN_DB) * np.log10(np.maximum(magnitudes, 1e-6))
    return np.clip(heights, 0.0, 1.0).astype(np.float32)


class Listener:
    """Opens the ear, hears, and opens it again when it is lost. `heard` is the newest; `manner` may be
    replaced at any time by the thread that reads."""

    def __init__(self, opened: Callable[[], Ear], section: Sound) -> None:
        self._open, self._section = opened, section
        self._closed = threading.Event()
        self._newest: deque[Heard] = deque([Heard()], maxlen=1)
        self.manner = Manner()
        self.state = "starting"
        self.name = section.input
        self.reason = ""
        self.lost = self.frames = self.onsets = 0
        self._thread = threading.Thread(target=self._run, name="vivant sound", daemon=True)
        self._thread.start()

    @property
    def heard(self) -> Heard:
        """The newest."""
        return self._newest[0]

    def close(self) -> None:
        """End the thread. Calling it again does nothing."""
        self._closed.set()
        self._thread.join(CLOSE_WAIT_S)

    def _run(self) -> None:
        while not self._closed.is_set():
            try:
                self._listen()
            except SoundError as error:
                self._lose(str(error))
            except Exception as error:  # the thread's outer edge
                LOG.debug("listening failed; it is started again", exc_info=True)
                self._lose(f"{type(error).__name__}: {error}")
            self._closed.wait(RETRY_S)

    def _listen(self) -> None:
        ear = self._open()
        try:
            hearing = Hearing(ear.rate_hz, self._section.low_hz, self._section.high_hz)
            before = self.onsets
            for block in ear.blocks(self._closed):
                for heard in hearing.hear(block.samples, block.ended_ns, self.manner):
                    self._newest.append(heard)
                    self.frames += 1
                self.onsets = before + hearing.onsets
                self._found(ear.name)
        finally:
            ear.close()

    def _found(self, name: str) -> None:
        if self.state != "live":
            if self.state == "lost":
                LOG.info("sound is back: %s", name)
            self.state, self.name, self.reason = "live", name, ""

    def _lose(self, reason: str) -> None:
        was, self.state, self.reason = self.state, "lost", reason
        if was != "lost":
            self.lost += 1
            if self.lost & (self.lost - 1) == 0:  # the 1st, 2nd, 4th ...: a loose plug fills no disk
                LOG.warning("%s; the show goes on without, and tries again", reason)


class SoundSource:
    """The Source of what is heard. One thread: the present loop's."""

    name = "sound"

    def __init__(self, section: Sound, opened: Callable[[], Ear], values: Mapping[str, Value]) -> None:
        self._values = values
        self.listener = Listener(opened, section)
        self.seen: Callable[[F32, F32], None] | None = None
        """Given the newest samples (1, N) in [-1, 1] and their spectrum (1, N / 2 + 1) in [0, 1] once a
        refresh, for shaders that draw sound."""

    @classmethod
    def of(cls, section: Sound, clock: Clock, values: Mapping[str, Value]) -> SoundSource | None:
        """The ear that a scene asks for, with the parameters' `values` of every moment; None for none."""
        opened = ear_for(section, clock)
        return None if opened is None else cls(section, opened, values)

    @property
    def heard(self) -> Heard:
        """The newest that was heard."""
        return self.listener.heard

    def describe(self) -> str:
        """What it listens to."""
        lost = "" if self.listener.state == "live" else " (not yet)"
        return f"sound from {self.listener.name}{lost}; none of it is kept"

    def signals(self, now_ns: int) -> Mapping[str, float]:
        """SIGNALS of vivant.runtime.sound.section; nothing while the ear is lost."""
        manner = manner_of(self._values)
        self.listener.manner = manner
        heard = self.listener.heard
        if now_ns - heard.at_ns > STALE_NS:
            return {}
        if self.seen is not None:
            self.seen(heard.samples[None], drawable(heard.magnitudes)[None])
        since_s = max(now_ns - heard.onset_ns, 0) / 1e9
        found = {
            "sound_level": float(heard.shares[0]),
            "sound_peak": heard.peak,
            **{name: float(share) for name, share in zip(BANDS, heard.shares[1:], strict=True)},
            "onset": heard.onset * math.exp(-since_s / manner.release_s),
            "silence": float(heard.silent),
            "beat_sure": heard.pulse.sure,
        }
        if heard.beat_ns is not None:
            found["bpm"] = 60.0 / heard.pulse.period_s
        return found

    def counts(self) -> dict[str, Any]:
        """For the report: no sound, only how it went."""
        ear = self.listener
        return {
            "from": ear.name,
            "state": ear.state,
            "reason": ear.reason,
            "lost": ear.lost,
            "frames": ear.frames,
            "onsets": ear.onsets,
            "silent": ear.heard.silent,
        }

    def close(self) -> None:
        """End the thread and free the device."""
        self.listener.close()
