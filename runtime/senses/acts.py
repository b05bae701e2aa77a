"""What the performer does between two walks: each act says where arms, feet and spine go.

An act is a function of the seconds `s` (T,) since it began, of `w` (T,) which blends it in and out
over standing, and of the `side` (1 or -1) that it favours. Lengths are in body heights.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray

F64 = NDArray[np.float64]

ACT_S: Final = 5.8
DOWN: Final = -1.2  # where an arm hangs: how far it is raised, brought forward, and how long it is
FORWARD: Final = 0.3
LONG: Final = 0.94


@dataclass(slots=True)
class Act:
    """What is asked of the body; left before right in (T, 2) and (T, 2, 3).

    An arm is `raised` from -pi / 2 (down) to pi / 2 (up), brought `forward` from 0 (sideways) to pi / 2,
    and `long` as a share of its length. `foot` moves a foot from where it stands, `pelvis` the pelvis;
    the spine `lean`s forward and `tilt`s to the right; the body turns by `yaw` radians.
    """

    raised: F64
    forward: F64
    long: F64
    foot: F64
    pelvis: F64
    lean: F64
    tilt: F64
    yaw: F64

    @classmethod
    def standing(cls, count: int) -> Self:
        return cls(
            raised=np.full((count, 2), DOWN),
            forward=np.full((count, 2), FORWARD),
            long=np.full((count, 2), LONG),
            foot=np.zeros((count, 2, 3)),
            pelvis=np.zeros((count, 3)),
            lean=np.zeros(count),
            tilt=np.zeros(count),
            yaw=np.zeros(count),
        )

    def put(self, moments: NDArray[np.bool_], other: Act) -> None:
        """Take `other`'s values for the `moments` (T,) that it was made for."""
        for each in fields(self):
            getattr(self, each.name)[moments] = getattr(other, each.name)

    def arm(self, which: int, w: F64, raised: F64 | float, forward: F64 | float, long: float) -> None:
        """Bring one arm from hanging to where it is asked for, by `w`."""
        self.raised[:, which] = DOWN + w * (raised - DOWN)
        self.forward[:, which] = FORWARD + w * (forward - FORWARD)
        self.long[:, which] = LONG + w * (long - LONG)


def ease(x: F64) -> F64:
    """From 0 to 1 while x goes from 0 to 1, at rest at both ends."""
    x = np.clip(x, 0.0, 1.0)
    eased: F64 = x * x * x * (x * (6.0 * x - 15.0) + 10.0)
    return eased


def between(s: F64, start_s: float, rise_s: float, end_s: float, fall_s: float) -> F64:
    """1 between `start_s` and `end_s`, eased in after the one and out before the other."""
    return ease((s - start_s) / rise_s) * ease((end_s - s) / fall_s)


def rise(act: Act, s: F64, w: F64, side: float) -> None:
    """Both arms up, swaying like a tree."""
    swing = np.sin(1.7 * s)
    act.arm(0, w, 1.2 - 0.2 * side * swing, 0.25, 0.95)
    act.arm(1, w, 1.2 + 0.2 * side * swing, 0.25, 0.95)
    act.tilt = 0.17 * w * side * swing
    act.pelvis[:, 1] = -0.035 * w * (0.5 - 0.5 * np.cos(3.4 * s))


def waves(act: Act, s: F64, w: F64, side: float) -> None:
    """One arm's wave runs through to the other."""
    act.arm(0, w, 0.55 * np.sin(2.1 * s), 0.15, 0.97)
    act.arm(1, w, 0.55 * np.sin(2.1 * s + 2.4 * side), 0.15, 0.97)
    act.tilt = 0.2 * w * np.sin(2.1 * s + 1.2 * side)
    act.yaw = 0.35 * side * w * np.sin(1.05 * s)


def bow(act: Act, s: F64, w: F64, side: float) -> None:
    """A deep bow, one foot behind, one arm before the body."""
    near, far = (0, 1) if side > 0 else (1, 0)
    deep = w * between(s, 0.9, 1.3, 4.6, 1.2)
    act.arm(near, w, 0.5 - 1.3 * deep, 0.3 - 1.0 * deep, 0.95)
    act.arm(far, w, 0.5 - 1.5 * deep, 0.3 + 0.8 * deep, 0.9)
    act.lean = 0.95 * deep
    act.pelvis[:, 1] = -0.05 * deep
    act.pelvis[:, 2] = -0.07 * deep
    act.foot[:, far, 2] = -0.16 * w
    act.yaw = 0.5 * side * w


def pirouette(act: Act, s: F64, w: F64, side: float) -> None:
    """Two turns on one foot."""
    near, far = (0, 1) if side > 0 else (1, 0)
    on_one = between(s, 0.9, 0.6, 4.3, 0.6)
    for arm in (near, far):
        act.arm(arm, w, 0.1 + 1.1 * on_one, 0.9 - 0.5 * on_one, 0.8)
    act.foot[:, far] = on_one[:, None] * np.array([0.05 * side, 0.21, 0.06])
    act.pelvis[:, 1] = 0.012 * on_one - 0.04 * between(s, 0.0, 0.9, 1.5, 0.7)
    act.yaw = 4.0 * np.pi * side * ease((s - 1.0) / 3.2)


def lunge(act: Act, s: F64, w: F64, side: float) -> None:
    """A long step to the side, one arm to the sky."""
    near, far = (0, 1) if side > 0 else (1, 0)
    out = w * ease((s - 0.3) / 1.2)
    act.arm(near, w, 0.75 + 0.15 * np.sin(2 * s), 0.1, 1.0)
    act.arm(far, w, -0.35 + 0.15 * np.sin(2 * s + 1), 0.1, 1.0)
    act.foot[:, near, 0] = -0.24 * side * out
    act.pelvis[:, 0] = -0.13 * side * out
    act.pelvis[:, 1] = (-0.085 + 0.015 * np.sin(2 * s)) * out
    act.tilt = 0.22 * side * out


def sway(act: Act, s: F64, w: F64, side: float) -> None:
    """Hips from side to side, arms in the air."""
    swing = side * np.sin(3.3 * s)
    act.arm(0, w, 0.75 + 0.35 * swing, 0.35, 0.85)
    act.arm(1, w, 0.75 - 0.35 * swing, 0.35, 0.85)
    act.pelvis[:, 0] = 0.06 * w * swing
    act.pelvis[:, 1] = w * (-0.03 + 0.02 * np.cos(6.6 * s))
    act.tilt = -0.14 * w * swing
    act.yaw = 0.3 * w * np.sin(1.65 * s)


def arabesque(act: Act, s: F64, w: F64, side: float) -> None:
    """From the side: one leg stretched behind, one arm before."""
    near, far = (0, 1) if side > 0 else (1, 0)
    high = w * between(s, 0.7, 1.2, 4.9, 1.0)
    act.arm(near, w, 0.35, 0.5 + 0.7 * high, 1.0)
    act.arm(far, w, 0.05, 0.4 - 0.5 * high, 1.0)
    act.foot[:, far] = high[:, None] * np.array([0.0, 0.38, -0.38])
    act.foot[:, near, 0] = 0.045 * side * high
    act.lean = 0.45 * high
    act.yaw = 1.2 * side * w


ACTS: Final[tuple[Callable[[Act, F64, F64, float], None], ...]] = (
    rise,
    pirouette,
    waves,
    arabesque,
    sway,
    bow,
    lunge,
)
