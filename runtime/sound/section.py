"""[sound] of a scene: which ear the show has, the signals that it says and the parameters that it adds."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator, model_validator

from vivant.runtime.frames import Value
from vivant.runtime.parameters import ROOT, Parameter
from vivant.runtime.sound.hearing import Manner
from vivant.runtime.sound.levels import EIGHT_HZ

STRICT = ConfigDict(strict=True, extra="forbid", frozen=True, allow_inf_nan=False)
OFF: Final = "off"
SILENT: Final = "silent"  # an ear that hears nothing: a scene made for sound runs, and nothing is opened
DEFAULT: Final = "default"
FILE: Final = "file:"
SOUND: Final = ROOT + "sound/"
BANDS: Final = ("low", "mid", "high", *(f"band_{number}" for number in range(1, len(EIGHT_HZ))))
SIGNALS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "sound_level": "loudness, of what is loud in this room",
        "sound_peak": "loudness that goes up at once and comes down slowly",
        "low": "loudness of the bass",
        "mid": "loudness of the middle",
        "high": "loudness of the treble",
        **{
            f"band_{number}": f"loudness from {low:g} to {high:g} Hz"
            for number, (low, high) in enumerate(itertools.pairwise(EIGHT_HZ), start=1)
        },
        "onset": "how strong the last stroke was, dying away within the release",
        "silence": "1 while nothing has been heard for a second",
        "bpm": "tempo that is heard, in beats a minute; absent while there is none",
        "beat_sure": "how sure the heard beat is",
    }
)
"""Each in [0, 1] but bpm."""


class Sound(BaseModel):
    """[sound]: `input` is off, silent, default, part of a device's name, file:PATH; `channel` 0 mixes all."""

    model_config = STRICT

    input: str = OFF
    channel: int = Field(0, ge=0, le=64)
    low_hz: float = Field(150.0, ge=40, le=1000)
    high_hz: float = Field(2000.0, ge=200, le=12_000)

    @field_validator("input")
    @classmethod
    def _input(cls, text: str, info: ValidationInfo) -> str:
        if not text.startswith(FILE):
            if not text.strip():
                raise ValueError('should be "off", "silent", "default", a device\'s name or "file:PATH"')
            return text
        folder: Path = info.context["folder"] if info.context else Path.cwd()
        try:
            path = folder / Path(text.removeprefix(FILE)).expanduser()
            found = path.is_file()
        except (OSError, RuntimeError) as error:  # too long for a path; no such person in ~person
            raise ValueError(f"is no path of this machine: {error}") from error
        if not found:
            raise ValueError(f"there is no file {path}")
        return f"{FILE}{path}"

    @model_validator(mode="after")
    def _ordered(self) -> Sound:
        if self.low_hz >= self.high_hz:
            raise ValueError("low_hz should be below high_hz")
        return self


def named_input(text: str) -> str:
    """An input as somebody writes it on the command line, where a file needs no `file:` before it, and where
    off leaves a scene's signals of sound their names."""
    if text == OFF:
        return SILENT
    return f"{FILE}{text}" if not text.startswith(FILE) and Path(text).is_file() else text


def listens(section: Mapping[str, Any]) -> bool:
    """Whether a scene with this table [sound] has an ear."""
    return bool(section.get("input", OFF) != OFF)


def sound_signals(section: Mapping[str, Any]) -> tuple[str, ...]:
    """The signals of a scene with this table [sound]."""
    return tuple(SIGNALS) if listens(section) else ()


def sound_parameters(section: Mapping[str, Any]) -> Iterator[Parameter]:
    """The parameters that the table [sound] adds."""
    if not listens(section):
        return
    usual = Manner()
    yield Parameter(
        SOUND + "gain_db", "float", "gain of what is heard", usual.gain_db, -24.0, 24.0, unit="dB"
    )
    yield Parameter(
        SOUND + "adaptive", "bool", "fit levels to how loud the room has been of late", usual.adaptive
    )
    yield Parameter(
        SOUND + "attack_s", "float", "how fast levels go up", usual.attack_s, maximum=5.0, unit="s"
    )
    yield Parameter(
        SOUND + "release_s", "float", "how fast levels come down", usual.release_s, 0.01, 10.0, unit="s"
    )
    yield Parameter(
        SOUND + "silence_db", "float", "what is below is silence", usual.silence_db, -100.0, 0.0, unit="dBFS"
    )


def manner_of(values: Mapping[str, Value]) -> Manner:
    """How to listen, by the parameters' values."""
    return Manner(
        gain_db=float(values[SOUND + "gain_db"]),
        attack_s=float(values[SOUND + "attack_s"]),
        release_s=float(values[SOUND + "release_s"]),
        silence_db=float(values[SOUND + "silence_db"]),
        adaptive=bool(values[SOUND + "adaptive"]),
    )
