"""Looking at an input with a tracker, without a show: for `vivant body look` and for trying a place out."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from vivant.runtime.body.drawing import Drawing, draw_lines
from vivant.runtime.body.quiet import quiet
from vivant.runtime.body.reading import SIGNALS, Reading
from vivant.runtime.body.registry import Tracker, choose, open_tracker
from vivant.runtime.body.section import Body
from vivant.runtime.body.seen import Seen
from vivant.runtime.condition import cut_to
from vivant.runtime.frames import U8, Frame, MonotonicClock, VivantError
from vivant.runtime.senses.registry import check_sense, choose_sense, open_sense

SIZE_PX: Final = (384, 384)
TINT: Final = (255, 96, 32)
SKELETON: Final = (255, 255, 255)
FIRST_FRAME_S: Final = 10.0
GESTURES: Final = {"wave": "waves", "both_up": "both up", "raised": "hand up", "arms_wide": "arms wide"}


@dataclass(frozen=True, slots=True)
class Moment:
    """One frame u8 (H, W, 3) as the student would get it, what was seen in it, and the signals then."""

    pixels: U8
    seen: Seen
    signals: Mapping[str, float]
    at_s: float


class Look:
    """An input and a tracker for `seconds`. Raises VivantError when one of them cannot be had."""

    def __init__(self, source: str, body: Body, seconds: float, moments: int) -> None:
        if body.track in ("off", "near"):
            raise VivantError(f"there is nothing to track with '{body.track}'. Give --track auto or moving.")
        self._choice = choose(body)
        self._sense_choice = choose_sense(source)
        check_sense(self._sense_choice.spec)
        self._body, self._seconds, self._moments = body, seconds, moments
        self._took_ms: list[float] = []
        self.heard: list[Mapping[str, float]] = []
        """The signals after each tracked frame."""

    def describe(self) -> str:
        """What looks at what."""
        return (
            f"{self._choice.name} ({self._choice.reason}) looks for {', '.join(self._body.find)} "
            f"in {self._sense_choice.spec} ({self._sense_choice.reason})"
        )

    def run(self, told: Callable[[float], None]) -> list[Moment]:
        """Look, and give moments evenly spread over the time; `told` hears the share of it that is over."""
        clock = MonotonicClock()
        with quiet():
            tracker = open_tracker(self._choice.name, self._body)
        reading = Reading(self._body.smoothing)
        sense = open_sense(self._sense_choice.spec, clock)
        found: list[Moment] = []
        try:
            first = sense.wait_newer(0, FIRST_FRAME_S)
            if first is None:
                raise VivantError(f"{sense.name} gave no frame in {FIRST_FRAME_S:.0f} s")
            with quiet():
                tracker.track(_cut(first), first.captured_ns)  # what is slow once
            began_ns, serial = clock.now_ns(), first.serial
            while (at_s := (clock.now_ns() - began_ns) / 1e9) < self._seconds:
                told(at_s / self._seconds)
                frame = sense.wait_newer(serial, 0.5)
                if frame is None:
                    continue
                serial = frame.serial
                moment = self._track(tracker, reading, frame, at_s)
                if at_s >= self._seconds * (len(found) + 0.5) / self._moments:
                    found.append(moment)
        finally:
            sense.close()
            tracker.close()
        return found

    def _track(self, tracker: Tracker, reading: Reading, frame: Frame, at_s: float) -> Moment:
        pixels, began = _cut(frame), time.perf_counter()
        bodies = tracker.track(pixels, frame.captured_ns)
        self._took_ms.append((time.perf_counter() - began) * 1e3)
        seen = Seen(bodies, frame.serial, frame.captured_ns)
        reading.hear(seen)
        signals = reading.signals(frame.captured_ns)
        self.heard.append(signals)
        return Moment(pixels, seen, signals, at_s)

    def cost(self) -> str:
        """What tracking took."""
        if not self._took_ms:
            return "No frame was tracked."
        p50, p95 = np.percentile(self._took_ms, [50, 95])
        return f"{len(self._took_ms)} frames tracked; each took p50 {p50:.1f} ms, p95 {p95:.1f} ms"


def _cut(frame: Frame) -> U8:
    width, height = SIZE_PX
    out: U8 = np.empty((height, width, 3), np.uint8)
    cut_to(frame.pixels, out)
    return out


def summary(heard: Sequence[Mapping[str, float]]) -> Iterator[tuple[str, str, str, str, str]]:
    """For each signal: its least, median and most, and in what share of the frames it was known."""
    for name in SIGNALS:
        values = sorted(one[name] for one in heard if name in one)
        if values:
            numbers = (f"{values[at]:.2f}" for at in (0, len(values) // 2, -1))
            least, median, most = numbers
            yield name, least, median, most, f"{100 * len(values) / len(heard):.0f} %"


def overlaid(moment: Moment, drawn: bool = False) -> U8:
    """The moment with its mask tinted and its skeletons, u8 (H, W, 3); or the figure that pose_only draws."""
    bodies = moment.seen.bodies
    if drawn:
        out: U8 = np.empty_like(moment.pixels)
        Drawing(SIZE_PX).draw(out, bodies.mask, bodies)
        return out
    import cv2

    picture = moment.pixels.copy()
    if bodies.mask is not None:
        share = cv2.resize(bodies.mask, SIZE_PX).astype(np.float32)[..., None] / 255.0 * 0.55
        picture = (picture + (np.array(TINT, np.float32) - picture) * share).astype(np.uint8)
    draw_lines(picture, bodies, SKELETON, 2)
    return picture


def words_of(moment: Moment) -> str:
    """The numbers of a moment in one line."""
    signals = moment.signals
    doing = [word for name, word in GESTURES.items() if signals.get(name, 0.0) > 0.5][:1]
    numbers = f"people {signals.get('people', 0):.0f}  body {signals.get('body', 0):.2f}"
    if "body_speed" in signals:
        numbers += f"  speed {signals['body_speed']:.2f}"
    return f"{numbers}  {' '.join(doing)}".rstrip()


def picture_of(moments: Sequence[Moment], path: Path, drawn: bool = False) -> None:
    """Write a contact sheet: the frame above, what was seen in it below; or that above the figure that is
    drawn for pose_only. Raises VivantError."""
    from vivant.runtime.sheet import contact_sheet

    if not moments:
        raise VivantError("no frame was tracked, so there is no sheet to write")
    pairs = [(overlaid(one) if drawn else one.pixels, overlaid(one, drawn)) for one in moments]
    contact_sheet(pairs, path, captions=[words_of(one) for one in moments])
