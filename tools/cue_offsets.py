"""How far from the beat a cue is seen: a real show without a window, two cues in turn on every second beat.

    python -m vivant.tools.cue_offsets [--bpm 120] [--seconds 60] [--json FILE]

Once with cues of what the present process draws with (exposure), once with cues of the student (its style).
What is seen is read from the drawn picture after every swap: the first refresh whose mean brightness is on
the other side of the middle between the two cues. An offset is that swap's end less the beat.
"""

from __future__ import annotations

import argparse
import itertools
import json
import random
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar, Final

import numpy as np

from vivant.runtime import making
from vivant.runtime.frames import VivantError
from vivant.runtime.present import Present
from vivant.runtime.scene import load_scene
from vivant.runtime.show import run_show
from vivant.runtime.tempo.lookahead import Lead
from vivant.runtime.tempo.parameters import BPM

CUES: Final[Mapping[str, tuple[str, str]]] = {
    "look": ("set.look.exposure = -1.5", "set.look.exposure = 0.5"),
    "student": ('style = "ink"', 'style = "glass"'),
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
[[cues]]
name = "a"
fade_s = 0
on = "beat"
{first}
[[cues]]
name = "b"
fade_s = 0
on = "beat"
{second}
"""
SETTLE_S: Final = 4.0  # for the first pictures; half of it for each cue, to know its brightness
LATEST: Final = 1.5  # beats after its own, a cue that is not seen is missed
EARLY: Final = (0.55, 0.85)  # of a beat before the one that it should be on, a cue is called


class Watched(Present):
    """The present loop with somebody who calls cues and looks at what is drawn."""

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
        """One step for each refresh: learn how bright each cue is, then call one and the other in turn."""
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
        self._tree.set(f"/vivant/cue/{name}/go", (), self._clock.now_ns(), "watch")

    def _beats(self, at_ns: int | None = None) -> float:
        cues = self._with.cues
        assert cues is not None and cues.tempo is not None
        beats = cues.tempo.beats_at(self._clock.now_ns() if at_ns is None else at_ns)
        assert beats is not None
        return beats

    def _rest(self, seconds: float) -> Iterator[None]:
        until_ns = self._clock.now_ns() + round(seconds * 1e9)
        while self._clock.now_ns() < until_ns:
            yield

    def _bright(self) -> float:
        return float(self._canvas.read()[..., :3].mean())


def measure(kind: str, bpm: float, seconds: float, backend: str = "auto") -> dict[str, Any]:
    """A show of `seconds` with the cues of one kind: milliseconds from the beat, later is positive."""
    first, second = CUES[kind]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "offsets.toml"
        path.write_text(SCENE.format(backend=backend, bpm=float(bpm), first=first, second=second))
        vars(making)["Present"] = Watched  # the only way in: nobody else needs one
        report = run_show(
            load_scene(path), making.Wishes(headless=True, seconds=seconds), time.perf_counter_ns()
        )
    watched = Watched.latest
    if not watched.offsets_ms:
        raise VivantError(f"no cue was seen in {seconds:g} s, {watched.missed} were missed; give it longer")
    offsets = np.abs(watched.offsets_ms)
    lead = watched.leads[-1].drawn_ns if kind == "look" else watched.leads[-1].painted_ns
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
    parser.add_argument("--json", type=Path)
    asked = parser.parse_args()
    made = {kind: measure(kind, asked.bpm, asked.seconds) for kind in CUES}
    for kind, found in made.items():
        print(f"{kind}: {json.dumps(found)}")
    if asked.json is not None:
        asked.json.write_text(json.dumps(made, indent=1))


if __name__ == "__main__":
    main()
