"""What a scene says of its beats: the parameters and signals that every show has, and the section [tempo]."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Final

from pydantic import BaseModel, ConfigDict

from vivant.runtime.parameters import ROOT, Parameter

TEMPO: Final = ROOT + "tempo/"
TAP, DOWNBEAT = TEMPO + "tap", TEMPO + "downbeat"
BPM, LED_BY, IN_BAR, NUDGE_MS = TEMPO + "bpm", TEMPO + "source", TEMPO + "beats_per_bar", TEMPO + "nudge_ms"
AUTO: Final = "auto"
SOURCES: Final = (AUTO, "tap", "sound", "midi", "link")
USUAL_BPM: Final = 120.0
SIGNALS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "tempo_bpm": "beats a minute",
        "beat": "1 on each beat, dying away",
        "beat_phase": "from 0 on a beat to 1 on the next",
        "bar_phase": "from 0 on the first beat of a bar to 1 on that of the next",
        "beats": "beats since the first",
    }
)
"""Of every show; absent while there is no beat."""


class Tempos(BaseModel):
    """[tempo]: `link` joins the Ableton Link session of the local network, which is told of us."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)

    link: bool = False


def tempo_parameters() -> Iterator[Parameter]:
    """The parameters of the beats; every show has them."""
    yield Parameter(TAP, "action", "tap the beat; the first tap of a count begins a bar")
    yield Parameter(DOWNBEAT, "action", "the beat that is nearest now is the first of a bar")
    yield Parameter(BPM, "float", "tempo that is tapped or set by hand", USUAL_BPM, 20.0, 300.0, unit="bpm")
    yield Parameter(
        LED_BY, "choice", "who leads the beats; auto: midi, link, tap, sound", AUTO, choices=SOURCES
    )
    yield Parameter(IN_BAR, "int", "beats in a bar", 4, 1, 16)
    yield Parameter(NUDGE_MS, "float", "beats later (or earlier) by so much", 0.0, -250.0, 250.0, unit="ms")
