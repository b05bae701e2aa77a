"""What the show hears of a whole recording, in the order of time and knowing nothing of what follows."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from vivant.runtime.frames import F32
from vivant.runtime.sound.ears import FILE_RATE_HZ, SoundError, decoded
from vivant.runtime.sound.hearing import Heard, Hearing, Manner

BLOCK: Final = 441
LONGEST_S: Final = 3600
TOLERANCE_S: Final = 0.07  # what the literature allows a beat to be off
LEAST_APART: Final = 0.4  # of a period: a beat that is corrected a little is not a second one


@dataclass(frozen=True, slots=True)
class Impression:
    """Frame by frame: `at_s` (N,), `shares` (N, 4) of the whole, low, mid and high, `bpm` (N,), 0 while there
    is none; and the times of what was struck and of the beats that were believed in when they came."""

    at_s: F32
    shares: F32
    bpm: F32
    onsets_s: tuple[float, ...]
    beats_s: tuple[float, ...]


def impression_of(blocks: Iterable[F32], rate_hz: int = FILE_RATE_HZ) -> Impression:
    """Hear `blocks` of samples (N,), one after the other."""
    frames = list(_heard(blocks, rate_hz))
    if not frames:
        raise SoundError("there is nothing to hear: it is shorter than a hundredth of a second")
    bpm = [60.0 / one.pulse.period_s if one.beat_ns is not None else 0.0 for one in frames]
    onsets = sorted({one.onset_ns / 1e9 for one in frames if one.onset > 0})
    return Impression(
        np.array([one.at_ns / 1e9 for one in frames], np.float32),
        np.array([one.shares[:4] for one in frames], np.float32),
        np.array(bpm, np.float32),
        tuple(onsets),
        tuple(beats_in(frames)),
    )


def impression_of_file(path: Path) -> Impression:
    """Hear a file. Raises SoundError."""
    return impression_of(decoded(path, BLOCK))


def beats_in(frames: Sequence[Heard]) -> Iterator[float]:
    """When beats were, in seconds: each as it was placed by the frame that first knew that it had begun."""
    last_s = -1.0
    for before, one in itertools.pairwise(frames):
        begun_ns = one.beat_ns
        if begun_ns is None or before.pulse.phase - one.pulse.phase < 0.5:
            continue
        if begun_ns / 1e9 - last_s > LEAST_APART * one.pulse.period_s:
            last_s = begun_ns / 1e9
            yield last_s


def agreement(found_s: Sequence[float], true_s: Sequence[float], within_s: float) -> tuple[float, float]:
    """Precision and recall: each true time is met by at most one found within `within_s`."""
    left, met = list(found_s), 0
    for true in true_s:
        near = min(left, key=lambda found: abs(found - true), default=None)
        if near is not None and abs(near - true) <= within_s:
            left.remove(near)
            met += 1
    return met / max(len(found_s), 1), met / max(len(true_s), 1)


def _heard(blocks: Iterable[F32], rate_hz: int) -> Iterator[Heard]:
    hearing, manner, count = Hearing(rate_hz), Manner(), 0
    for samples in blocks:
        count += len(samples)
        if count > LONGEST_S * rate_hz:
            return
        yield from hearing.hear(samples, round(count * 1e9 / rate_hz), manner)
