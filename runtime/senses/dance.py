"""The performer's dance: where every joint is at any moment, as a pure function of seed and time.

Lengths are in body heights. x is to the viewer's right, y up from the floor, z towards the viewer.
Everything is computed for many moments at once: arrays are (T, ...), T moments.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from vivant.runtime.senses.acts import ACT_S, ACTS, F64, Act, ease

WALK_S: Final = 2.9
OVERLAP_S: Final = 0.7  # the arms begin before the last step is done
CYCLE_S: Final = WALK_S - OVERLAP_S + ACT_S  # walk to a new place, one act there
STRIDE: Final = 0.16  # what a step covers

THIGH, SHIN, ANKLE_Y = 0.255, 0.24, 0.035
UPPER_ARM, FOREARM = 0.155, 0.145
HIP_X, SHOULDER_X = 0.047, 0.088
WAIST_UP, CHEST_UP, HEAD_UP = 0.105, 0.265, 0.135  # along the spine: from pelvis, pelvis, chest

JOINTS: Final = (
    *("pelvis", "waist", "chest", "head"),
    *("hip_l", "knee_l", "ankle_l", "toe_l", "shoulder_l", "elbow_l", "hand_l"),
    *("hip_r", "knee_r", "ankle_r", "toe_r", "shoulder_r", "elbow_r", "hand_r"),
)
AT: Final = {name: index for index, name in enumerate(JOINTS)}
SIDES: Final = ((0, "l", -1.0), (1, "r", 1.0))  # left and right as the viewer sees a dancer who faces him


@dataclass(frozen=True, slots=True)
class Poses:
    """`joints` (T, 18, 3) in the order of JOINTS; how body and head face as angles (T,), 0 towards the
    viewer, pi / 2 to the viewer's right; `nod` (T,) of the head, positive down."""

    times_s: F64
    joints: F64
    yaw: F64
    head_yaw: F64
    nod: F64

    def at(self, joint: str) -> F64:
        """(T, 3)"""
        found: F64 = self.joints[:, AT[joint]]
        return found


def dance(seed: int, times_s: F64) -> Poses:
    """The poses at `times_s` (T,), of which none is negative."""
    cycle = np.floor(times_s / CYCLE_S).astype(np.int64)
    local_s = times_s - cycle * CYCLE_S
    return _pose(_walk(seed, cycle, local_s), _act(seed, cycle, local_s), times_s)


def chances(seed: int, cycle: int) -> F64:
    """Four numbers in [0, 1) that belong to one cycle: the generator is used as a counter."""
    counter = [cycle & 0xFFFFFFFF, 0, 0, 0]
    return np.random.Generator(np.random.Philox(key=seed & 0xFFFFFFFF, counter=counter)).random(4)


def place(seed: int, cycle: int) -> F64:
    """(x, z) where the dancer stands in a cycle: from side to side, nearer and farther."""
    chance = chances(seed, cycle)
    side = 1.0 if (cycle + seed) % 2 else -1.0
    return np.array([side * (0.03 + 0.14 * chance[0]), -0.30 + 0.5 * chance[1]])


def _act(seed: int, cycle: NDArray[np.int64], local_s: F64) -> Act:
    whole = Act.standing(len(local_s))
    for each in np.unique(cycle):
        moments = cycle == each
        s = local_s[moments] - (WALK_S - OVERLAP_S)
        act = Act.standing(len(s))
        side = 1.0 if chances(seed, int(each))[2] < 0.5 else -1.0
        ACTS[(int(each) + seed) % len(ACTS)](act, s, ease(s / 1.3) * ease((ACT_S - s) / 1.2), side)
        whole.put(moments, act)
    return whole


@dataclass(slots=True)
class Walk:
    """Where the walk has brought the body, `root` (T, 2) as x and z, and the `feet` (T, 2, 2), `lift`ed
    (T, 2). `pace` (T,) in [0, 1] is how much walking there is; `swing` in [-1, 1]: left foot before right.
    """

    root: F64
    feet: F64
    lift: F64
    heading: F64
    pace: F64
    swing: F64


def _walk(seed: int, cycle: NDArray[np.int64], local_s: F64) -> Walk:
    """Feet that stand still while they stand: each step moves one foot past the other."""
    first = int(cycle.min())
    places = np.stack([place(seed, first + k - 1) for k in range(int(cycle.max()) - first + 2)])
    start, goal = places[cycle - first], places[cycle - first + 1]
    way = goal - start
    steps = np.maximum(3, np.round(np.hypot(way[:, 0], way[:, 1]) / STRIDE))
    clock = np.clip(local_s / WALK_S, 0.0, 1.0)
    progress = clock * (steps + 1)
    share, lift, reached = (np.zeros((len(local_s), 2)) for _ in range(3))
    for step in range(int(steps.max()) + 1):
        foot, due = step % 2, step <= steps
        target = np.where(due, np.minimum((step + 1) / steps, 1.0), reached[:, foot])
        share[:, foot] += ease(progress - step) * (target - reached[:, foot])
        reached[:, foot] = target
        lift[:, foot] += np.sin(np.pi * np.clip(progress - step, 0.0, 1.0)) ** 2 * due * 0.045
    return Walk(
        root=start + way * share.mean(1)[:, None],
        feet=start[:, None] + way[:, None] * share[..., None],
        lift=lift,
        heading=np.clip(np.arctan2(way[:, 0], way[:, 1]), -1.9, 1.9),
        pace=ease(clock / 0.22) * ease((1.0 - clock) / 0.25),
        swing=np.clip((share[:, 0] - share[:, 1]) * steps, -1.0, 1.0),
    )


def vector(x: F64 | float, y: F64 | float, z: F64 | float) -> F64:
    """(T, 3) of parts that may each be one number or (T,)."""
    return np.stack(np.broadcast_arrays(*(np.asarray(part, np.float64) for part in (x, y, z))), -1)


def turned(places: F64, yaw: F64, lean: F64 | float = 0.0, tilt: F64 | float = 0.0) -> F64:
    """Body coordinates (T or 1, 3) to the room's (T, 3): leant forward, tilted to the right, then turned."""
    x, y, z = places[..., 0], places[..., 1], places[..., 2]
    y, z = y * np.cos(lean) - z * np.sin(lean), y * np.sin(lean) + z * np.cos(lean)
    x, y = x * np.cos(tilt) + y * np.sin(tilt), y * np.cos(tilt) - x * np.sin(tilt)
    return vector(x * np.cos(yaw) + z * np.sin(yaw), y, z * np.cos(yaw) - x * np.sin(yaw))


def bent(start: F64, goal: F64, upper: float, lower: float, pole: F64) -> tuple[F64, F64]:
    """The middle and the end of a two-bone limb that reaches for `goal`, bending towards `pole`."""
    reach = goal - start
    length = np.linalg.norm(reach, axis=-1, keepdims=True)
    along = reach / np.maximum(length, 1e-9)
    length = np.clip(length, abs(upper - lower) + 1e-3, (upper + lower) * 0.9985)
    share = (upper**2 - lower**2 + length**2) / (2.0 * length)
    across = pole - along * (pole * along).sum(-1, keepdims=True)
    across /= np.maximum(np.linalg.norm(across, axis=-1, keepdims=True), 1e-9)
    middle = start + along * share + across * np.sqrt(np.maximum(upper**2 - share**2, 0.0))
    return middle, start + along * length


def _pose(walk: Walk, act: Act, times_s: F64) -> Poses:
    yaw = walk.heading * walk.pace + act.yaw + 0.12 * np.sin(0.43 * times_s)
    lean = act.lean + 0.07 * walk.pace
    tilt = act.tilt + 0.03 * np.sin(0.9 * times_s)
    nod = 0.8 * lean - 0.06 * (act.raised.mean(1) + 1.2)
    places: dict[str, F64] = {}

    stand_y = THIGH + SHIN + ANKLE_Y - 0.006 - 0.014 * walk.pace * np.abs(walk.swing)
    pelvis = vector(walk.root[:, 0], stand_y, walk.root[:, 1]) + turned(act.pelvis, yaw)
    breath = 0.004 * np.sin(1.9 * times_s)
    waist = pelvis + turned(vector(0, WAIST_UP, 0), yaw, 0.5 * lean, 0.4 * tilt)
    chest = waist + turned(vector(0, CHEST_UP - WAIST_UP + breath, 0), yaw, lean, tilt)
    head = chest + turned(vector(0, HEAD_UP, 0.012), yaw, 0.5 * lean + 0.6 * nod, 0.7 * tilt)
    places |= {"pelvis": pelvis, "waist": waist, "chest": chest, "head": head}
    for foot, letter, side in SIDES:
        places |= _leg(walk, act, foot, letter, side, pelvis, yaw)
        shoulder = chest + turned(vector(side * SHOULDER_X, 0, 0), yaw, lean, tilt)
        forward = act.forward[:, foot] + side * 0.5 * walk.swing * walk.pace
        goal, pole = _reach(act.raised[:, foot], forward, act.long[:, foot], side)
        elbow, hand = bent(
            shoulder,
            shoulder + turned(goal, yaw, lean, tilt),
            UPPER_ARM,
            FOREARM,
            turned(pole, yaw, lean, tilt),
        )
        places |= {f"shoulder_{letter}": shoulder, f"elbow_{letter}": elbow, f"hand_{letter}": hand}
    joints = np.stack([places[name] for name in JOINTS], 1)
    head_yaw = yaw + 0.25 * np.sin(0.7 * times_s) - 0.3 * np.sin(yaw)
    return Poses(times_s, joints, yaw, head_yaw, nod)


def _reach(raised: F64, forward: F64, long: F64, side: float) -> tuple[F64, F64]:
    """Where a hand goes from its shoulder, and where its elbow points, in body coordinates."""
    arm = long * (UPPER_ARM + FOREARM)
    flat = arm * np.cos(raised)
    goal = vector(side * flat * np.cos(forward), arm * np.sin(raised), flat * np.sin(forward))
    return goal, vector(side, -0.5 + 0.4 * np.clip(raised, 0.0, 1.0), -0.5)


def _leg(walk: Walk, act: Act, foot: int, letter: str, side: float, pelvis: F64, yaw: F64) -> dict[str, F64]:
    moved = act.foot[:, foot]
    hip = pelvis + turned(vector(side * HIP_X, -0.01, 0), yaw)
    ground = vector(walk.feet[:, foot, 0], ANKLE_Y + walk.lift[:, foot], walk.feet[:, foot, 1])
    goal = ground + turned(vector(side * 0.05, 0, 0) + moved, yaw)
    out = side * (0.25 + 2.2 * moved[:, 1] * (moved[:, 2] > 0))  # a raised knee opens to the side
    knee, ankle = bent(hip, goal, THIGH, SHIN, turned(vector(out, 0, 1), yaw))
    raised = np.clip(moved[:, 1] / 0.2 + walk.lift[:, foot] / 0.09, 0.0, 1.0)
    behind = raised * np.clip(-moved[:, 2] / 0.2, 0.0, 1.0)
    toe = vector(side * 0.02, -0.022 - 0.05 * raised + 0.055 * behind, 0.064 - 0.03 * raised - 0.095 * behind)
    toes = ankle + turned(toe, yaw)
    return {f"hip_{letter}": hip, f"knee_{letter}": knee, f"ankle_{letter}": ankle, f"toe_{letter}": toes}
