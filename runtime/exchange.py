"""The lanes between the two processes: one writer, one reader, the newest value wins.

A lane is a ring of slots in shared memory under a sequence lock (Lameter, "Effective synchronization
on Linux/NUMA systems", 2005): the writer makes a slot's sequence odd, fills it, makes it even and only
then points the head at it. The reader copies a slot and takes it only when the sequence stood still, so
a torn value is never handed on; it is counted and read again. The writer never waits.

The memory is anonymous (multiprocessing.RawArray): it has no name, so nothing can be left behind when
either process is killed.
"""

from __future__ import annotations

import ctypes
import json
import threading
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from itertools import pairwise
from multiprocessing.context import SpawnContext
from types import MappingProxyType
from typing import Any, Final

import numpy as np

from vivant.runtime.frames import U8, Array, Controls, Judgement, Picture, Verdict

SLOTS: Final = 4
HEADER: Final = 64  # bytes before the payload of a slot: sequence, sizes of the parts
MAX_SIDE_PX: Final = 1024
MAX_META: Final = 64 * 1024
TRIES: Final = 8  # a reader that loses this often in a row takes the next refresh instead

_fence = threading.Lock()


def fence() -> None:
    """A full memory barrier: taking and freeing a lock orders what stands before and after it.

    x86 keeps stores in order by itself; 64-bit Arm does not.
    """
    with _fence:
        return


class Lane:
    """Shared memory for one direction. Pickles only while a process is being spawned.

    `capacity` is the most bytes that one value's parts may take together.
    """

    def __init__(self, context: SpawnContext, capacity: int) -> None:
        self.capacity = capacity
        self._stride = HEADER + (capacity + 63) // 64 * 64
        self._raw = context.RawArray(ctypes.c_uint8, 64 + SLOTS * self._stride)

    def views(self) -> tuple[Array, list[Array], list[U8]]:
        """The head (int64), the slots' headers (int64 each: sequence, part sizes) and their payloads."""
        memory: U8 = np.frombuffer(memoryview(self._raw).cast("B"), dtype=np.uint8)
        head = memory[:64].view(np.int64)
        starts = [64 + slot * self._stride for slot in range(SLOTS)]
        headers = [memory[at : at + HEADER].view(np.int64) for at in starts]
        payloads = [memory[at + HEADER : at + HEADER + self.capacity] for at in starts]
        return head, headers, payloads


class LaneWriter:
    """The one writer of a lane. A new writer goes on where one that was killed stopped."""

    def __init__(self, lane: Lane) -> None:
        self._head, self._headers, self._payloads = lane.views()

    def write(self, parts: Sequence[U8]) -> None:
        """Publish one value made of at most six byte arrays. Never waits.

        Raises ValueError when the parts do not fit the lane.
        """
        number = int(self._head[0]) + 1
        header, payload = self._headers[number % SLOTS], self._payloads[number % SLOTS]
        if sum(part.size for part in parts) > payload.size:
            raise ValueError(f"a value of {sum(p.size for p in parts)} bytes does not fit {payload.size}")
        header[0] = 2 * number - 1
        fence()
        start = 0
        for index, part in enumerate(parts):
            payload[start : start + part.size] = part
            header[2 + index] = part.size
            start += part.size
        header[1] = len(parts)
        fence()
        header[0] = 2 * number
        fence()
        self._head[0] = number

    def wipe(self) -> None:
        """Overwrite the newest value with zeros. Only where its reader is known to have taken it."""
        number = int(self._head[0]) % SLOTS
        header, payload = self._headers[number], self._payloads[number]
        payload[: int(header[2 : 2 + int(header[1])].sum())] = 0


class LaneReader:
    """The one reader of a lane. `torn` counts the copies that were thrown away."""

    def __init__(self, lane: Lane) -> None:
        self._head, self._headers, self._payloads = lane.views()
        self._seen = int(self._head[0])
        self.torn = 0
        self.skipped = 0

    @property
    def waiting(self) -> bool:
        """Whether there is a value that was not read yet."""
        return int(self._head[0]) != self._seen

    def newest(self) -> list[bytearray] | None:
        """Copies of the parts of the newest value that was not read yet, or None."""
        for _ in range(TRIES):
            number = int(self._head[0])
            if number == self._seen:
                return None
            fence()
            parts = self._copy(number)
            if parts is not None:
                self.skipped += number - self._seen - 1
                self._seen = number
                return parts
            self.torn += 1
        return None

    def _copy(self, number: int) -> list[bytearray] | None:
        header, payload = self._headers[number % SLOTS], self._payloads[number % SLOTS]
        if int(header[0]) != 2 * number:
            return None
        sizes = [int(size) for size in header[2 : 2 + int(header[1])]]
        ends = np.cumsum([0, *sizes])
        if ends[-1] > payload.size:
            return None
        parts = [bytearray(payload[a:b].data) for a, b in pairwise(ends)]
        fence()
        return parts if int(header[0]) == 2 * number else None


@dataclass(frozen=True, slots=True)
class Lanes:
    """What the two processes share: a lane each way and the pulse by which each knows the other lives.

    `pulse` int64: [0] render's last sign of life (ns), [1] present's, [2] index in STAGES that render is in.
    """

    controls: Lane
    pictures: Lane
    pulse: Any  # ctypes array; multiprocessing gives it no public type


def make_lanes(context: SpawnContext) -> Lanes:
    """The lanes of one show, made by the present process and handed to every render process it starts."""
    pixels = MAX_SIDE_PX * MAX_SIDE_PX
    return Lanes(
        Lane(context, MAX_META),
        Lane(context, pixels * 4 + pixels * 3 + MAX_META),
        context.RawArray(ctypes.c_int64, 4),
    )


def _bytes(value: dict[str, Any]) -> U8:
    return np.frombuffer(json.dumps(value).encode(), dtype=np.uint8)


def write_controls(lane: LaneWriter, controls: Controls) -> None:
    """Publish a full snapshot."""
    fields = {name: getattr(controls, name) for name in Controls.__dataclass_fields__}
    for name in ("styles", "adapters", "numbers"):
        fields[name] = dict(fields[name])
    lane.write([_bytes(fields)])


def read_controls(lane: LaneReader) -> Controls | None:
    """The newest snapshot, or None when there is none that was not read yet."""
    parts = lane.newest()
    if parts is None:
        return None
    fields = json.loads(parts[0])
    for name in ("styles", "adapters", "numbers"):
        fields[name] = MappingProxyType(fields[name])
    fields["size_px"] = tuple(fields["size_px"])
    return Controls(**fields)


def write_picture(lane: LaneWriter, picture: Picture) -> None:
    """Publish a picture with its verdict; pixels of one that is not admitted are not sent at all."""
    pixels = picture.pixels if picture.verdict.admits else picture.pixels[:0]
    meta = {
        "serial": picture.serial,
        "verdict": asdict(picture.verdict),
        "captured_ns": picture.captured_ns,
        "rendered_ns": picture.rendered_ns,
        "timings_ms": dict(picture.timings_ms),
        "counts": dict(picture.counts),
        "signals": dict(picture.signals),
        "adapters": list(picture.adapters),
        "shape": pixels.shape,
        "source": None if picture.source is None else picture.source.shape,
    }
    parts = [_bytes(meta), np.ascontiguousarray(pixels).reshape(-1)]
    if picture.source is not None:
        parts.append(np.ascontiguousarray(picture.source).reshape(-1))
    lane.write(parts)


def read_picture(lane: LaneReader) -> Picture | None:
    """The newest picture, or None. Raises ValueError when what stands in the lane is not a picture."""
    parts = lane.newest()
    if parts is None:
        return None
    meta = json.loads(parts[0])
    pixels = np.frombuffer(parts[1], dtype=np.uint8).reshape(meta.pop("shape"))
    shape = meta.pop("source")
    source = None if shape is None else np.frombuffer(parts[2], dtype=np.uint8).reshape(shape)
    spoken = meta.pop("verdict")
    verdict = Verdict(Judgement(spoken["judgement"]), float(spoken["score"]), str(spoken["reason"]))
    meta["adapters"] = tuple(meta["adapters"])
    return Picture(pixels=pixels, verdict=verdict, source=source, **meta)


def refuse_unless_admitted(picture: Picture) -> Picture:
    """The boundary: give the picture back when it may be drawn, else the same without pixels, as a HOLD.

    The present process trusts nobody: the verdict must admit, and the pixels must be RGBA of a sane size.
    """
    pixels = picture.pixels
    sane = pixels.ndim == 3 and pixels.shape[2] == 4 and 0 < min(pixels.shape[:2]) <= MAX_SIDE_PX
    if picture.verdict.admits and sane:
        return picture
    reason = picture.verdict.reason if not picture.verdict.admits else f"pixels of shape {pixels.shape}"
    judgement = Judgement.BLANK if picture.verdict.judgement is Judgement.BLANK else Judgement.HOLD
    held = Verdict(judgement, picture.verdict.score, reason)
    return replace(picture, pixels=np.empty((0, 0, 4), np.uint8), verdict=held)
