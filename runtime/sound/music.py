"""Music whose beats are known: for a rehearsal without a band, and for judging what hears it.

Everything is synthesised from sines and noise by a seed; times are in seconds from the first sample.
"""

from __future__ import annotations

import wave
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from vivant.runtime.frames import F32

RATE: Final = 44_100
TAIL_S: Final = 1.0  # after the last beat
LOUDEST: Final = 0.7  # of full scale
Voice = Callable[[np.random.Generator], F32]


@dataclass(frozen=True, slots=True)
class Piece:
    """`samples` float32 (N,) in [-1, 1] at RATE; the times of its beats and of everything that is struck."""

    samples: F32
    beats_s: tuple[float, ...]
    onsets_s: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Note:
    """A voice struck at a time, `loud` in [0, 1]."""

    at_s: float
    voice: Voice
    loud: float = 1.0


def beat_times(bpms: Iterable[float], begin_s: float = 0.5) -> tuple[float, ...]:
    """One beat for each tempo: as long as that tempo says it lasts."""
    times, at_s = [], begin_s
    for bpm in bpms:
        times.append(at_s)
        at_s += 60.0 / bpm
    return tuple(times)


def clicks(bpms: Sequence[float], seed: int = 0) -> Piece:
    """A metronome."""
    beats = beat_times(bpms)
    return _played([Note(at_s, _click) for at_s in beats], beats, seed)


def song(bpms: Sequence[float], seed: int = 0, swing: float = 0.5, drums_only: bool = False) -> Piece:
    """Drums in four, with a bass and chords. `swing` is where in a beat its second eighth falls: 0.5 is
    straight, 0.67 a shuffle."""
    beats = beat_times(bpms)
    notes: list[Note] = []
    for number, (at_s, bpm) in enumerate(zip(beats, bpms, strict=True)):
        second_s = at_s + swing * 60.0 / bpm
        in_bar = number % 4
        notes += [Note(at_s, _hat, 0.5), Note(second_s, _hat, 0.3)]
        notes.append(Note(at_s, _kick) if in_bar in (0, 2) else Note(at_s, _snare, 0.8))
        if in_bar == 2:
            notes.append(Note(second_s, _kick, 0.7))
        if not drums_only:
            chord = (0, 5, 7, 3)[number // 4 % 4]
            notes.append(Note(at_s, _tone(55.0 * 2 ** (chord / 12), 0.3), 0.6))
            notes.append(Note(second_s, _tone(55.0 * 2 ** (chord / 12), 0.15), 0.35))
            if in_bar == 0:
                notes += [
                    Note(at_s, _pad(220.0 * 2 ** ((chord + step) / 12), 240.0 / bpm), 0.12)
                    for step in (0, 4, 7)
                ]
    return _played(notes, beats, seed)


def write_wav(piece: Piece, path: Path) -> None:
    """As a mono 16 bit WAV."""
    with path.open("wb") as raw, wave.open(raw, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes((np.clip(piece.samples, -1.0, 1.0) * 32767).astype("<i2").tobytes())


def _played(notes: Sequence[Note], beats_s: tuple[float, ...], seed: int) -> Piece:
    rng = np.random.default_rng(seed)
    length_s = max((note.at_s for note in notes), default=0.0) + TAIL_S
    samples = np.zeros(round(length_s * RATE), np.float32)
    for note in notes:
        sound, begin = note.voice(rng) * note.loud, round(note.at_s * RATE)
        end = min(begin + len(sound), len(samples))
        samples[begin:end] += sound[: end - begin]
    loudest = float(np.abs(samples).max(initial=1e-9))
    onsets = tuple(sorted({round(note.at_s, 6) for note in notes}))
    return Piece((samples * (LOUDEST / loudest)).astype(np.float32), beats_s, onsets)


def _single(numbers: Any) -> F32:  # of whichever precision and shape the arithmetic before came to
    return np.asarray(numbers, np.float32)


def _time(length_s: float) -> F32:
    return _single(np.arange(round(length_s * RATE)) / RATE)


def _click(rng: np.random.Generator) -> F32:
    t = _time(0.03)
    return _single(np.sin(2 * np.pi * 1500.0 * t) * np.exp(-t / 0.006))


def _kick(rng: np.random.Generator) -> F32:
    t = _time(0.25)
    phase = 2 * np.pi * (50.0 * t - 110.0 * 0.025 * np.exp(-t / 0.025))
    return _single(np.sin(phase) * np.exp(-t / 0.09))


def _snare(rng: np.random.Generator) -> F32:
    t = _time(0.18)
    noise = rng.standard_normal(len(t)) * np.exp(-t / 0.05)
    return _single(0.35 * noise + 0.4 * np.sin(2 * np.pi * 190.0 * t) * np.exp(-t / 0.06))


def _hat(rng: np.random.Generator) -> F32:
    t = _time(0.06)
    noise = np.diff(rng.standard_normal(len(t) + 1))
    return _single(0.3 * noise * np.exp(-t / 0.012))


def _tone(hz: float, length_s: float) -> Voice:
    def voice(rng: np.random.Generator) -> F32:
        t = _time(length_s)
        waves = np.sin(2 * np.pi * hz * t) + 0.4 * np.sin(4 * np.pi * hz * t)
        return _single(waves * np.minimum(t / 0.004, 1.0) * np.exp(-t / (length_s / 3)))

    return voice


def _pad(hz: float, length_s: float) -> Voice:
    def voice(rng: np.random.Generator) -> F32:
        t = _time(length_s)
        swell = np.minimum(t / 0.3, 1.0) * np.minimum((length_s - t) / 0.3, 1.0)
        return _single(np.sin(2 * np.pi * hz * (t + 0.0005 * np.sin(2 * np.pi * 5 * t))) * swell)

    return voice
