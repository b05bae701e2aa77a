"""What somebody does with their arms: raised, both up, wide, waving. Each with hysteresis."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from vivant.runtime.body.seen import HIPS, NOSE, SHOULDERS, WRISTS
from vivant.runtime.frames import F32

VISIBLE: Final = 0.5  # a point less visible than this is guessed, and says nothing
SHOULDERS_TO_TORSO: Final = 1.3  # where the hips are not seen
HANDS_APART: Final = 2.0  # torso lengths from wrist to wrist: arms stretched out to both sides give 2.7
REACH: Final = 1.2  # torso lengths from shoulder to wrist: the whole arm
SWING: Final = 0.18  # torso lengths that a waving hand goes one way at least
SWINGS: Final = 3  # ways within WAVE_S
WAVE_S: Final = 1.6


class Threshold:
    """True from `on` upward, until it falls below `off`."""

    def __init__(self, on: float, off: float) -> None:
        self._on, self._off = on, off
        self.stands = False

    def step(self, value: float) -> bool:
        self.stands = value >= (self._off if self.stands else self._on)
        return self.stands


@dataclass(frozen=True, slots=True)
class Posture:
    """One body measured by its own torso. `lifts` by hand, left and right: how far the wrist is above the
    shoulder, `tops`: above the nose; None for a hand that is not seen. `apart`: from wrist to wrist, `level`:
    how far the wrists are from the height of the shoulders, `reach` in [0, 1]: the farther arm's stretch."""

    torso: float
    lifts: tuple[float | None, float | None]
    tops: tuple[float | None, float | None]
    apart: float
    level: float
    reach: float


def posture(pose: F32, aspect: float) -> Posture | None:
    """Of a pose f32 (33, 3); None where the shoulders are not seen. `aspect`: the frame's width by height."""
    at = pose[:, :2] * np.array([aspect, 1.0], np.float32)
    seen = pose[:, 2] >= VISIBLE
    if not seen[list(SHOULDERS)].all():
        return None
    shoulders = at[list(SHOULDERS)]
    wide = float(np.hypot(*(shoulders[0] - shoulders[1])))
    torso = SHOULDERS_TO_TORSO * wide
    if seen[list(HIPS)].all():
        torso = max(torso, float(np.hypot(*(at[list(HIPS)].mean(0) - shoulders.mean(0)))))
    torso = max(torso, 1e-3)
    hands = [at[wrist] if seen[wrist] else None for wrist in WRISTS]
    lifts = [None if h is None else float(s[1] - h[1]) / torso for h, s in zip(hands, shoulders, strict=True)]
    tops = [None if h is None else float(at[NOSE, 1] - h[1]) / torso for h in hands]
    stretch = [
        float(np.hypot(*(h - s))) / torso for h, s in zip(hands, shoulders, strict=True) if h is not None
    ]
    left, right = hands
    both = left is not None and right is not None
    return Posture(
        torso,
        (lifts[0], lifts[1]),
        (tops[0], tops[1]),
        float(np.hypot(*(left - right))) / torso if both else 0.0,  # type: ignore[operator]
        max((abs(lift) for lift in lifts if lift is not None), default=0.0),
        min(1.0, max(stretch, default=0.0) / REACH),
    )


class Gestures:
    """The gestures of one person, from posture to posture."""

    def __init__(self) -> None:
        self.forget()

    def forget(self) -> None:
        """Nobody: whoever comes next begins anew."""
        self._up = Threshold(0.3, 0.1), Threshold(0.3, 0.1)
        self._raised, self._both = Threshold(0.15, 0.0), Threshold(0.15, 0.0)
        self._wide = Threshold(HANDS_APART, 0.85 * HANDS_APART)
        self._waves = Swings(), Swings()
        self.found: dict[str, float] = {
            "hands_up": 0.0,
            "raised": 0.0,
            "both_up": 0.0,
            "arms_wide": 0.0,
            "wave": 0.0,
        }

    def step(self, now: Posture, wrists_x: tuple[float, float], at_ns: int) -> None:
        """The next posture; `wrists_x` of both hands, in frame heights."""
        lifts = [-9.0 if lift is None else lift for lift in now.lifts]
        tops = [-9.0 if top is None else top for top in now.tops]
        ups = [up.step(lift) for up, lift in zip(self._up, lifts, strict=True)]
        wide = now.apart if now.level < 0.7 else 0.0
        waving = [
            wave.step(x / now.torso, at_ns, lift > -0.25)
            for wave, x, lift in zip(self._waves, wrists_x, lifts, strict=True)
        ]
        self.found = {
            "hands_up": float(sum(ups)),
            "raised": float(self._raised.step(max(tops))),
            "both_up": float(self._both.step(min(tops))),
            "arms_wide": float(self._wide.step(wide)),
            "wave": float(any(waving)),
        }


class Swings:
    """Tells a waving hand by how often it turned back lately, sideways."""

    def __init__(self) -> None:
        self._turns_ns: list[int] = []
        self._way, self._extreme = 0, 0.0

    def step(self, x: float, at_ns: int, lifted: bool) -> bool:
        """`x` in torso lengths; a hand that is not lifted does not wave."""
        if not lifted:
            self._turns_ns, self._way, self._extreme = [], 0, x
            return False
        if self._way == 0:
            if abs(x - self._extreme) >= SWING:
                self._way, self._extreme = (1 if x > self._extreme else -1), x
        elif (x - self._extreme) * self._way > 0:
            self._extreme = x
        elif (self._extreme - x) * self._way >= SWING:
            self._turns_ns.append(at_ns)
            self._way, self._extreme = -self._way, x
        self._turns_ns = [turn for turn in self._turns_ns if at_ns - turn <= WAVE_S * 1e9][-SWINGS:]
        return len(self._turns_ns) >= SWINGS
