"""What a scene's own sections bring: the signals that its senses and sources say, the parameters that they
add. Tables are as TOML holds them and may be wrong anywhere: what is wrong is said elsewhere, and skipped."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from vivant.runtime.body.section import body_parameters, body_signals
from vivant.runtime.cues.listing import Cue
from vivant.runtime.cues.tracking import cue_parameters
from vivant.runtime.drives import drive_parameters
from vivant.runtime.isf.section import isf_parameters
from vivant.runtime.midi.section import midi_parameters
from vivant.runtime.parameters import Parameter
from vivant.runtime.programme import programme_parameters
from vivant.runtime.signals import SENSED
from vivant.runtime.sound.section import sound_parameters, sound_signals
from vivant.runtime.tempo.parameters import SIGNALS as BEAT_SIGNALS
from vivant.runtime.triggers.agreement import trigger_parameters
from vivant.runtime.triggers.rules import Declared, Rule


def sensed_by(table: Mapping[str, Any]) -> tuple[str, ...]:
    """The names of the signals that the senses and sources of a scene's `table` may say."""
    heard = sound_signals(table_in(table, "sound"))
    return (*SENSED, *body_signals(table_in(table, "body")), *heard, *BEAT_SIGNALS)


def own_parameters(
    table: Mapping[str, Any], rules: Mapping[str, Rule], cues: Sequence[Cue] = (), folder: Path = Path()
) -> Iterator[Parameter]:
    """The parameters that a scene's `table`, its `rules` and its `cues` add to those of its student. A
    section whose keys are parameters says here which they are. `folder` is where its files are."""
    signals = {name: _declared(one) for name, one in table_in(table, "signals").items()}
    yield from trigger_parameters(rules, signals)
    yield from cue_parameters(cues)
    yield from programme_parameters(table_in(table, "programme"))
    yield from sound_parameters(table_in(table, "sound"))
    yield from drive_parameters(table_in(table, "drives"))
    yield from body_parameters(table_in(table, "body"))
    yield from isf_parameters(table, folder)
    yield from midi_parameters(table_in(table, "midi"))


def table_in(table: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    """The table at `key`; an empty one where there is none."""
    inner = table.get(key)
    return inner if isinstance(inner, Mapping) else {}


def _declared(one: object) -> Declared:
    try:
        return one if isinstance(one, Declared) else Declared.model_validate(one)
    except ValueError:
        return Declared()
