"""The flashes of a recording: the same watch as in a show, over the frames of a file."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np

from vivant.guardrails.flash import (
    ADVISORY,
    COLUMNS,
    MOST_TRANSITIONS,
    ROWS,
    SCREEN_DEG,
    Watch,
    field_cells,
    flashing,
)
from vivant.guardrails.flash_swings import luminance
from vivant.runtime.frames import F32, U8, VivantError

HD_ROWS: Final = 720  # a film that does not say is BT.709 from so many rows on, BT.601 below
BT601: Final = (5, 6)
UNSPECIFIED: Final = (0, 2)
LONG_S: Final = 5.0  # BT.1702: flashing for longer may be a risk even within the limits
STEADY: Final = 4  # transitions a second, two flashes, that count as flashing on


@dataclass(frozen=True, slots=True)
class Moment:
    """What was known once the frame at `at_s` was seen: its mean relative luminance, and by kind the most
    transitions of the second before on an area that counts."""

    at_s: float
    luminance: float
    transitions: dict[str, int]


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch of the film with more than three flashes of one kind in every second that ends in it."""

    kind: str
    from_s: float
    to_s: float


@dataclass(frozen=True, slots=True)
class Analysis:
    """The flashes of one film, seen as `screen_deg` wide."""

    size_px: tuple[int, int]
    screen_deg: float
    moments: tuple[Moment, ...] = field(repr=False)

    @property
    def passes(self) -> bool:
        """Whether there are never more than three flashes in a second of a kind that is not ADVISORY."""
        return all(span.kind in ADVISORY for span in self.spans())

    def worst(self) -> dict[str, Moment]:
        """By kind: the moment with the most transitions, the first of them."""
        kinds = self.moments[0].transitions
        return {kind: max(self.moments, key=lambda moment: moment.transitions[kind]) for kind in kinds}

    def spans(self) -> list[Span]:
        """Where there are more than three flashes in a second, by kind in the order of time."""
        found = []
        for kind in self.moments[0].transitions:
            begun: float | None = None
            for before, moment in zip((None, *self.moments), (*self.moments, None), strict=False):
                fails = moment is not None and kind in flashing(moment.transitions)
                if fails and begun is None and moment is not None:
                    begun = moment.at_s
                elif not fails and begun is not None and before is not None:
                    found.append(Span(kind, begun, before.at_s))
                    begun = None
        return sorted(found, key=lambda span: span.from_s)

    def longest_s(self) -> float:
        """The longest stretch with two flashes and more in every second, of any kind."""
        longest = begun = 0.0
        for moment in self.moments:
            if max(moment.transitions.values()) < STEADY:
                begun = moment.at_s
            longest = max(longest, moment.at_s - begun)
        return longest

    def as_dict(self) -> dict[str, Any]:
        """For a JSON file: the verdict, the worst second of each kind, and the timeline."""
        return {
            "passes": self.passes,
            "frames": len(self.moments),
            "seconds": self.moments[-1].at_s - self.moments[0].at_s,
            "size_px": list(self.size_px),
            "screen_deg": self.screen_deg,
            "most_flashes_a_second": MOST_TRANSITIONS / 2,
            "worst": {
                kind: {"flashes_a_second": moment.transitions[kind] / 2, "at_s": moment.at_s}
                for kind, moment in self.worst().items()
            },
            "too_many": [
                {"kind": span.kind, "from_s": span.from_s, "to_s": span.to_s} for span in self.spans()
            ],
            "longest_flashing_s": self.longest_s(),
            "timeline": {
                "at_s": [moment.at_s for moment in self.moments],
                "luminance": [round(moment.luminance, 4) for moment in self.moments],
                "flashes_a_second": {
                    kind: [moment.transitions[kind] / 2 for moment in self.moments]
                    for kind in self.moments[0].transitions
                },
            },
        }


def cells_of(pixels: U8) -> F32:
    """The cells f32 (ROWS, COLUMNS, 3), means of linear light, of a picture u8 (H, W, 3 or 4) sRGB."""
    import cv2

    light = LINEAR[pixels[..., :3]]
    made: F32 = cv2.resize(light, (COLUMNS, ROWS), interpolation=cv2.INTER_AREA)
    return made


def linear_table() -> F32:
    """Linear light of each of the 256 codes of sRGB (IEC 61966-2-1), as WCAG's relative luminance has it."""
    code = np.arange(256) / 255.0
    return np.where(code <= 0.04045, code / 12.92, ((code + 0.055) / 1.055) ** 2.4).astype(np.float32)


LINEAR: Final = linear_table()


def analyse(
    path: Path, screen_deg: float = SCREEN_DEG, seen: Callable[[float], None] = lambda share: None
) -> Analysis:
    """Watch a whole film that is `screen_deg` wide for its nearest spectator; `seen` hears how far it is.

    Raises VivantError when it cannot be read, or holds no picture.
    """
    import av

    try:
        with av.open(str(path)) as film:
            if not film.streams.video:
                raise VivantError(f"{path} holds no film. Give a file with pictures, such as an .mp4.")
            return watch_film(film, screen_deg, seen, path)
    except (av.FFmpegError, OSError) as error:
        raise VivantError(
            f"Cannot read {path}: {error.strerror or error}. Give a film that FFmpeg can decode, "
            "such as one made by: vivant run SCENE --record FILE.mp4"
        ) from error


def watch_film(film: Any, screen_deg: float, seen: Callable[[float], None], path: Path) -> Analysis:
    """`analyse` for an open av container."""
    stream = film.streams.video[0]
    width, height = stream.codec_context.width, stream.codec_context.height
    aspect = width / max(height, 1) * float(stream.sample_aspect_ratio or 1)
    length_s = float(film.duration or 0) / 1e6
    watch = Watch(field_cells(aspect, screen_deg))
    moments = []
    for at_s, pixels in pictures_of(film, stream):
        light = cells_of(pixels)
        watch.see(light, round(at_s * 1e9))
        moments.append(Moment(at_s, float(luminance(light).mean()), watch.transitions()))
        seen(min(1.0, at_s / length_s) if length_s else 0.0)
    if not moments:
        raise VivantError(f"{path} holds no picture that can be decoded: it is cut off, or empty.")
    return Analysis((width, height), screen_deg, tuple(moments))


def pictures_of(film: Any, stream: Any) -> Iterator[tuple[float, U8]]:
    """Each frame's time in seconds and its pixels u8 (H, W, 3) sRGB, in the order in which they are shown."""
    rate = float(stream.average_rate or 25)
    for index, frame in enumerate(film.decode(stream)):
        colours = frame.colorspace
        if colours in UNSPECIFIED:
            colours = 1 if frame.height >= HD_ROWS else 5
        space = "ITU601" if colours in BT601 else "ITU709"
        at_s = index / rate if frame.time is None else float(frame.time)
        yield at_s, frame.to_ndarray(format="rgb24", src_colorspace=space)
