"""Tracking in a process of its own, at low priority: started by the present process, fed by the render one.

A tracker that crashes or hangs takes this process alone, and another follows; the picture goes on meanwhile.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import logging
import os
import signal
import sys
import time
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnContext
from typing import Any, Final

import numpy as np

from vivant.runtime.body.counting import silhouettes
from vivant.runtime.body.quiet import quiet
from vivant.runtime.body.registry import KINDS, Tracker, choose, open_tracker
from vivant.runtime.body.section import Body
from vivant.runtime.body.seen import MOST_BYTES, Bodies, Seen, pack
from vivant.runtime.exchange import Lane, LaneReader, LaneWriter
from vivant.runtime.frames import EMPTY, U8, Clock, VivantError
from vivant.runtime.supervise import RENDER, Hello, RenderProcess

LOG: Final = logging.getLogger("vivant.body")
SIDE_PX: Final = 512  # the longest that a tracker is given
NICER: Final = 10  # than the show
STEP_MS: Final = 1000.0  # what a frame may take where the show leaves it little; a dozen of them is silence
LOOK_S: Final = 0.004  # how long it waits before it looks for a frame again
BACK_OFF_S: Final = (0.0, 0.5, 1.0, 2.0, 5.0, 15.0, 60.0, 300.0)
TOLD_S: Final = 1.0  # between two words to the present process
ERRORS_IN_A_ROW: Final = 30


@dataclass(frozen=True, slots=True)
class BodyLanes:
    """Frames to the tracker, what it saw back, both by way of the render process; `pulse` as in Lanes."""

    frames: Lane
    seen: Lane
    pulse: Any  # ctypes array; multiprocessing gives it no public type


@dataclass(frozen=True, slots=True)
class Told:
    """What a tracker did since it was started: frames `tracked`, `errors`, and milliseconds of the last."""

    tracked: int
    errors: int
    took_ms: tuple[float, ...]


def body_lanes(context: SpawnContext) -> BodyLanes:
    """The lanes of one show."""
    frames = Lane(context, SIDE_PX * SIDE_PX * 3 + 4096)
    return BodyLanes(frames, Lane(context, MOST_BYTES), context.RawArray(ctypes.c_int64, 4))


class BodyTracking:
    """The watch over the tracker. A Source; only the present loop's thread calls it.

    Raises VivantError when the tracker that [body] names cannot be had on this machine.
    """

    name = "body"

    def __init__(self, body: Body, context: SpawnContext, clock: Clock) -> None:
        self.body, self.choice = body, choose(body)
        self.lanes = body_lanes(context)
        job = body, self.choice.name
        self._process = RenderProcess(
            context, track, job, self.lanes, clock, name="body", back_off_s=BACK_OFF_S
        )
        self._told = Told(0, 0, ())
        self._before = Told(0, 0, ())
        self._started = False

    @property
    def pid(self) -> int | None:
        """The tracker's process id, or None while there is none."""
        return self._process.pid

    def describe(self) -> str:
        """What tracks, for the first lines of a show."""
        return f"body: {', '.join(self.body.find)} by {self.choice.name} ({self.choice.reason})" + (
            "; the student gets a drawing, and no pixel of the camera" if self.body.pose_only else ""
        )

    def signals(self, now_ns: int) -> Mapping[str, float]:
        """Watch over the process, which starts with the first refresh; its signals come with the pictures."""
        if not self._started:
            self._started = True
            self._process.start()
        restarts = self._process.restarts
        self._process.poll()
        if self._process.restarts != restarts:
            self._before = _sum(self._before, self._told)
            self._told = Told(0, 0, ())
        for word in self._process.said():
            if isinstance(word, Told):
                self._told = word
        return EMPTY

    def counts(self) -> dict[str, Any]:
        """For the report."""
        whole = _sum(self._before, self._told)
        took = sorted(whole.took_ms)
        return {
            "tracker": self.choice.name,
            "reason": self.choice.reason,
            "find": list(self.body.find),
            "pose_only": self.body.pose_only,
            "tracked": whole.tracked,
            "errors": whole.errors,
            "restarts": self._process.restarts,
            "took_p50_ms": took[len(took) // 2] if took else None,
            "took_p95_ms": took[int(len(took) * 0.95)] if took else None,
        }

    def close(self) -> None:
        """End the process."""
        self._process.stop()


def _sum(first: Told, second: Told) -> Told:
    return Told(
        first.tracked + second.tracked,
        first.errors + second.errors,
        second.took_ms or first.took_ms,
    )


def track(job: tuple[Body, str], lanes: BodyLanes, line: Connection) -> None:
    """Body of the process: open the tracker, say Hello, then track the newest frame until the line closes."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C goes to all; the present process decides
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s: %(message)s", stream=sys.stderr)
    if hasattr(os, "nice"):
        os.nice(NICER)
    import cv2

    cv2.setNumThreads(1)
    body, name = job
    try:
        with quiet():
            tracker = open_tracker(name, body)
            tracker.track(np.zeros((256, 256, 3), np.uint8), time.perf_counter_ns())  # what is slow once
    except (VivantError, ImportError, RuntimeError, ValueError) as problem:
        with contextlib.suppress(OSError):
            line.send(Hello({}, f"{name}: {problem}"))
        return
    lanes.pulse[RENDER] = time.perf_counter_ns()
    with contextlib.suppress(EOFError, OSError):  # the present process is no more
        line.send(Hello({"tracker": name, "kind": KINDS[name].meaning, "step_ms": STEP_MS}))
        Tracked(tracker, lanes, line).run()
    tracker.close()


class Tracked:
    """The loop of the process."""

    def __init__(self, tracker: Tracker, lanes: BodyLanes, line: Connection) -> None:
        self._tracker, self._line, self._pulse = tracker, line, lanes.pulse
        self._frames, self._seen = LaneReader(lanes.frames), LaneWriter(lanes.seen)
        self._took_ms: deque[float] = deque(maxlen=300)
        self._tracked = self._errors = self._in_a_row = 0
        self._told_s = 0.0

    def run(self) -> None:
        """Until the line closes."""
        while True:
            self._pulse[RENDER] = time.perf_counter_ns()
            parts = self._frames.newest()
            if parts is None:
                if self._line.poll(LOOK_S):
                    self._line.recv()  # nobody says anything here: this is the end
                continue
            if self._line.poll(0):
                self._line.recv()
            self._seen.write(pack(self._look(parts)))
            self._tracked += 1
            if time.perf_counter() - self._told_s >= TOLD_S:
                self._told_s = time.perf_counter()
                self._line.send(Told(self._tracked, self._errors, tuple(self._took_ms)))

    def _look(self, parts: Sequence[bytearray]) -> Seen:
        meta = json.loads(bytes(parts[0]))
        pixels = np.frombuffer(parts[1], np.uint8).reshape(meta["shape"])
        began_ns = time.perf_counter_ns()
        try:
            bodies = self._tracker.track(pixels, meta["captured_ns"])
            shapes = None if bodies.mask is None else silhouettes(bodies.mask)
            self._in_a_row = 0
        except Exception:  # the outer edge: one frame that a model cannot take is nobody
            self._errors += 1
            self._in_a_row += 1
            if self._in_a_row == 1:
                LOG.exception("a frame could not be tracked")
            if self._in_a_row >= ERRORS_IN_A_ROW:
                raise
            bodies, shapes = Bodies(), None
        took_ms = (time.perf_counter_ns() - began_ns) / 1e6
        self._took_ms.append(took_ms)
        aspect = pixels.shape[1] / pixels.shape[0]
        return Seen(bodies, meta["serial"], meta["captured_ns"], aspect, took_ms, shapes)


def write_frame(lane: LaneWriter, pixels: U8, serial: int, captured_ns: int) -> None:
    """Offer a frame u8 (H, W, 3) to the tracker, made smaller when it is larger than it needs."""
    import cv2

    longest = max(pixels.shape[:2])
    if longest > SIDE_PX:
        size = pixels.shape[1] * SIDE_PX // longest, pixels.shape[0] * SIDE_PX // longest
        pixels = np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA), np.uint8)
    meta = {"serial": serial, "captured_ns": captured_ns, "shape": pixels.shape}
    lane.write([np.frombuffer(json.dumps(meta).encode(), np.uint8), pixels.reshape(-1)])
