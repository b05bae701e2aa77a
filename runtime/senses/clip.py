"""A film from a file, played for ever in its own time."""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from vivant.runtime.frames import U8, Clock
from vivant.runtime.senses.contract import Phase, SenseError
from vivant.runtime.senses.pace import Pace
from vivant.runtime.senses.running import RunningSense

LONGEST_SIDE_PX: Final = 1280  # no student is larger, and four times the pixels would only be carried
DECODER_THREADS: Final = 2  # enough for 1080p; the cores are the student's
LONGEST_STEP_NS: Final = 10_000_000_000  # a gap in the time stamps is no reason to stand still for an hour
FILMS: Final = frozenset({".avi", ".gif", ".m4v", ".mkv", ".mov", ".mp4", ".mpg", ".ts", ".webm", ".wmv"})


@dataclass(frozen=True, slots=True)
class Shot:
    """One decoded frame, `position_ns` after the start of the first pass, `period_ns` after the last one."""

    pixels: U8
    position_ns: int
    period_ns: int


@dataclass(frozen=True, slots=True)
class Break:
    """The film broke off. `at_once` says that there were pictures, so it may go on without a pause."""

    reason: str
    at_once: bool


def open_clip(path: Path, clock: Clock, phase: Phase | None = None) -> RunningSense:
    """Play `path` in a loop. The next frame is decoded while the last one stands; the file is opened
    anew for each pass, so that a film that was replaced is seen. A frame that cannot be decoded within
    one frame's time is late by the rest."""
    return RunningSense(f"clip:{path}", clock, lambda sense: play(sense, path, Pace(clock, phase)))


def play(sense: RunningSense, path: Path, pace: Pace) -> None:
    """Body of the sense's thread. A file that breaks off is begun again; one that is gone is waited for."""
    began_ns = sense.clock.now_ns()
    for event in reel(path):
        if isinstance(event, Shot):
            cost_ns = sense.clock.now_ns() - began_ns
            if not sense.wait_until(pace.due_ns(event.position_ns, event.period_ns)):
                return
            released_ns = sense.clock.now_ns()
            sense.hand_on(event.pixels, released_ns)
            if not sense.wait_until(released_ns + pace.rest_ns(event.period_ns, cost_ns)):
                return
            began_ns = sense.clock.now_ns()
        else:
            sense.lose(event.reason)
            if sense.closed or not (event.at_once or sense.wait_to_retry()):
                return


def reel(path: Path) -> Iterator[Shot | Break]:
    """The film over and over on one time line; a Break wherever it could not go on."""
    from av.error import FFmpegError

    end_ns = 0
    while True:
        start_ns, reason = end_ns, ""
        try:
            size_bytes = path.stat().st_size
            for shot in one_pass(path, start_ns):
                end_ns = shot.position_ns + shot.period_ns
                yield shot
            if path.stat().st_size < size_bytes:
                reason = "the file became shorter while it was played"
        except (FFmpegError, OSError) as error:
            reason = _why(error)
        if reason or end_ns == start_ns:
            yield Break(reason or "there is no picture in it", at_once=end_ns > start_ns)


def one_pass(path: Path, start_ns: int) -> Iterator[Shot]:
    """Decode the film once. Raises OSError or FFmpegError; a damaged packet alone is passed over."""
    import av
    from av.error import InvalidDataError
    from av.video.reformatter import VideoReformatter

    with av.open(f"file:{path}", metadata_errors="ignore") as container:
        stream = first_video(container)
        stream.thread_type = "AUTO"
        stream.codec_context.thread_count = DECODER_THREADS
        reformatter = VideoReformatter()
        times = Times(start_ns, float(stream.average_rate or 25))
        for packet in container.demux(stream):
            try:
                frames = packet.decode()
            except InvalidDataError:
                continue
            for frame in frames:
                position_ns, period_ns = times.place(frame.time, frame.duration, frame.time_base)
                yield Shot(pixels_of(frame, stream, reformatter), position_ns, period_ns)


def _why(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error)


def first_video(container: Any) -> Any:
    """The first stream with moving pictures; raises InvalidDataError when there is none."""
    from av.error import InvalidDataError

    for stream in container.streams.video:
        if stream.codec_context is not None:  # a torn file may name a film and hold nothing of it
            return stream
    raise InvalidDataError(0, "there is no picture in it", container.name)


class Times:
    """Places frames one after another, whatever their time stamps say: variable, missing or falling."""

    def __init__(self, start_ns: int, rate_fps: float) -> None:
        self._nominal_ns = round(1e9 / rate_fps)
        self._position_ns = start_ns - self._nominal_ns
        self._last_s: float | None = None

    def place(self, time_s: float | None, duration: int | None, time_base: Any) -> tuple[int, int]:
        """(position, how long it stands) in ns. The first frame is placed at the start of the pass."""
        step_ns = self._nominal_ns
        if time_s is not None and self._last_s is not None:
            step_ns = min(max(round((time_s - self._last_s) * 1e9), 0), LONGEST_STEP_NS)
        self._last_s = time_s
        self._position_ns += step_ns
        stands_ns = round(float(duration * time_base) * 1e9) if duration and time_base else self._nominal_ns
        return self._position_ns, min(max(stands_ns, 1), LONGEST_STEP_NS)


def pixels_of(frame: Any, stream: Any, reformatter: Any) -> U8:
    """RGB u8 (H, W, 3), square pixels, upright, at most 1280 on the long side."""
    aspect = float(stream.sample_aspect_ratio or 1) or 1.0
    width, height = frame.width * max(aspect, 1.0), frame.height / min(aspect, 1.0)
    shrink = min(1.0, LONGEST_SIDE_PX / max(width, height))
    size = max(1, round(width * shrink)), max(1, round(height * shrink))
    rgb: U8 = reformatter.reformat(frame, *size, "rgb24", interpolation="AREA").to_ndarray()
    quarters = round(frame.rotation / 90) % 4  # a telephone's film is stored lying; counter-clockwise
    return np.ascontiguousarray(np.rot90(rgb, quarters)) if quarters else rgb


def check_clip(path: Path) -> None:
    """Decode the first frame. Raises SenseError that says what was found instead of a film."""
    from av.error import FFmpegError

    if not path.is_file():
        raise SenseError(f"clip:{path}: {_what_is_there(path)}")
    try:
        found = next(one_pass(path, 0), None)
    except (FFmpegError, OSError) as error:
        raise SenseError(
            f"clip:{path} cannot be played: {_why(error)}. Give a film that plays elsewhere, as in ffplay."
        ) from error
    if found is None:
        raise SenseError(f"clip:{path} holds no picture that can be decoded. Is the file complete?")


def _what_is_there(path: Path) -> str:
    if path.is_dir():
        return f"is a folder; name one film in it{_films_of(path, '')}."
    if not path.parent.is_dir():
        return f"no such file, and no folder {path.parent}. The path is taken from {Path.cwd()}."
    return f"no such file in {path.parent.resolve()}{_films_of(path.parent, path.name)}."


def _films_of(folder: Path, name: str) -> str:
    films = sorted(entry.name for entry in folder.iterdir() if entry.suffix.lower() in FILMS)
    near = difflib.get_close_matches(name, films, n=1)
    if near:
        return f"; did you mean '{near[0]}'?"
    return f"; films there: {', '.join(films[:5])}" if films else "; there is no film there"
