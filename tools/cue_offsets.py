"""How far from the beat a cue or a trigger is seen: a real show without a window, two looks in turn.

    python -m vivant.tools.cue_offsets [--bpm 120] [--seconds 60] [--only trigger-look] [--json FILE]

With cues of what the present process draws with (exposure), with cues of the student (its style), and with a
trigger on a signal over OSC that does and undoes the same. What is seen is read from the drawn picture after
every swap: the first refresh whose mean brightness is on the other side of the middle between the two looks.
An offset is that swap's end less the beat.
"""

from __future__ import annotations

import argparse
import itertools
import json
import random
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Final

import numpy as np

from vivant.runtime import making
from vivant.runtime.frames import Value, VivantError
from vivant.runtime.present import Present
from vivant.runtime.scene import load_scene
from vivant.runtime.show import run_show
from vivant.runtime.tempo.clock import BeatClock
from vivant.runtime.tempo.lookahead import Lead
from vivant.runtime.tempo.parameters import BPM

GO: Final[Mapping[str, tuple[str, tuple[Value, ...]]]] = {
    name: (f"/vivant/cue/{name}/go", ()) for name in "ab"
}
SIGNAL: Final[Mapping[str, tuple[str, tuple[Value, ...]]]] = {
    "a": ("/vivant/signal/call", (1.0,)),
    "b": ("/vivant/signal/call", (0.0,)),
}


@dataclass(frozen=True, slots=True)
class Kind:
    """What goes on the beat: two looks, `a` and `b`, as a scene has them, and the message that calls each."""

    painted: bool
    scene: str
    calls: Mapping[str, tuple[str, tuple[Value, ...]]]


def cues(a: str, b: str) -> str:
    """A cue for each look."""
    cue = '[[cues]]\nname = "{}"\nfade_s = 0\non = "beat"\n{}\n'
    return cue.format("a", a) + cue.format("b", b)


def trigger(a: str, b: str) -> str:
    """A trigger that does one look and undoes it with the other."""
    when = "when = { signal = 'call', above = 0.5 }"
    return f"[signals.call]\n[triggers.turn]\non = 'beat'\n{when}\ndo = {a}\nafter = {b}\n"


KINDS: Final[Mapping[str, Kind]] = {
    "look": Kind(False, cues("set.look.exposure = -1.5", "set.look.exposure = 0.5"), GO),
    "student": Kind(True, cues('style = "ink"', 'style = "glass"'), GO),
    "trigger-look": Kind(
        False,
        trigger("{ set = 'look/exposure', to = -1.5 }", "{ set = 'look/exposure', to = 0.5 }"),
        SIGNAL,
    ),
    "trigger-student": Kind(
        True, trigger("{ style = 'ink', fade_s = 0 }", "{ style = 'glass', fade_s = 0 }"), SIGNAL
    ),
}
SCENE: Final = """
title = "Offsets"
input = "performer"
backend = "{backend}"
ladder = false
audit = "off"
osc.listen = "off"
window_size = [160, 160]
parameters.present.crossfade = 0.0
parameters.tempo = {{ source = "tap", bpm = {bpm} }}
parameters.look.exposure = 0.5
parameters.style.choose = "glass"
{looks}
"""
SETTLE_S: Final = 4.0  # for the first pictures; half of it for each look, to know its brightness
LATEST: Final = 1.5  # beats after its own, a cue that is not seen is missed
EARLY: Final = (0.55, 0.85)  # of a beat before the one that it should be on, a cue is called


class Watched(Present):
    """The present loop with somebody who calls one look and the other, and looks at what is drawn."""

    kind: ClassVar[Kind]
    latest: ClassVar[Watched]

    def __init__(self, *parts: Any) -> None:  # Any: whatever Present takes
        super().__init__(*parts)
        self.offsets_ms: list[float] = []
        self.leads: list[Lead] = []
        self.missed = 0
        self._script = self._calls()
        Watched.latest = self

    def refresh(self) -> None:
        super().refresh()
        next(self._script)

    def _calls(self) -> Iterator[None]:
        """One step for each refresh: learn how bright each look is, then call one and the other in turn."""
        yield from self._rest(SETTLE_S)
        means = {}
        for name in ("a", "b"):
            self._go(name)
            yield from self._rest(SETTLE_S / 2)
            means[name] = self._bright()
        middle = (means["a"] + means["b"]) / 2
        chance = random.Random(7)
        for name in itertools.cycle(("a", "b")):
            beat = int(self._beats()) + 3
            call_at = beat - chance.uniform(*EARLY)
            while self._beats() < call_at:
                yield
            self._go(name)
            yield
            while (self._bright() > middle) != (means[name] > middle) and self._beats() < beat + LATEST:
                yield
            if self._beats() < beat + LATEST:
                bpm = float(self._tree.value(BPM))
                self.offsets_ms.append((self._beats(self._presented_ns) - beat) * 60e3 / bpm)
                self.leads.append(self._lead)
            else:
                self.missed += 1

    def _go(self, name: str) -> None:
        address, args = self.kind.calls[name]
        self._tree.set(address, args, self._clock.now_ns(), "watch")

    def _beats(self, at_ns: int | None = None) -> float:
        tempo = next(one for one in self._with.signals.sources if isinstance(one, BeatClock))
        beats = tempo.beats_at(self._clock.now_ns() if at_ns is None else at_ns)
        assert beats is not None
        return beats

    def _rest(self, seconds: float) -> Iterator[None]:
        until_ns = self._clock.now_ns() + round(seconds * 1e9)
        while self._clock.now_ns() < until_ns:
            yield

    def _bright(self) -> float:
        return float(self._canvas.read()[..., :3].mean())


def measure(kind: str, bpm: float, seconds: float, backend: str = "auto") -> dict[str, Any]:
    """A show of `seconds` with the looks of one of KINDS: milliseconds from the beat, later is positive."""
    asked = KINDS[kind]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "offsets.toml"
        path.write_text(SCENE.format(backend=backend, bpm=float(bpm), looks=asked.scene))
        Watched.kind = asked
        vars(making)["Present"] = Watched  # the only way in: nobody else needs one
        report = run_show(
            load_scene(path), making.Wishes(headless=True, seconds=seconds), time.perf_counter_ns()
        )
    watched = Watched.latest
    if not watched.offsets_ms:
        raise VivantError(f"no cue was seen in {seconds:g} s, {watched.missed} were missed; give it longer")
    offsets = np.abs(watched.offsets_ms)
    lead = watched.leads[-1].painted_ns if asked.painted else watched.leads[-1].drawn_ns
    return {
        "cues": len(offsets),
        "missed": watched.missed,
        "offset_ms": {f"p{q}": round(float(np.percentile(watched.offsets_ms, q)), 1) for q in (1, 50, 99)},
        "away_ms": {f"p{q}": round(float(np.percentile(offsets, q)), 1) for q in (50, 95, 99, 100)},
        "lead_ms": round(lead / 1e6, 1),
        "capture_to_present_ms": report["capture_to_present"],
        "present_interval_ms": report["present_interval"],
        "flash_guard": report["flash_guard"],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--bpm", type=float, default=120.0)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--only", choices=KINDS, action="append")
    parser.add_argument("--json", type=Path)
    asked = parser.parse_args()
    made = {kind: measure(kind, asked.bpm, asked.seconds) for kind in asked.only or KINDS}
    for kind, found in made.items():
        print(f"{kind}: {json.dumps(found)}")
    if asked.json is not None:
        asked.json.write_text(json.dumps(made, indent=1))


if __name__ == "__main__":
    main()
