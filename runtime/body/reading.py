"""From what a tracker saw to numbers for triggers: smoothed, followed through short losses, named."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

import numpy as np

from vivant.runtime.body.counting import NOBODY, Silhouettes, silhouettes
from vivant.runtime.body.gestures import VISIBLE, Gestures, posture
from vivant.runtime.body.one_euro import OneEuro
from vivant.runtime.body.seen import HIPS, SHOULDERS, WRISTS, Bodies, Seen
from vivant.runtime.frames import F32

SIGNALS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "tracking": "1 while the tracker answers",
        "people": "how many people are seen",
        "body": "how surely somebody is seen, from 0 to 1",
        "body_x": "where the nearest one is, from the left, 0 to 1",
        "body_y": "where the nearest one is, from the top, 0 to 1",
        "body_size": "share of the picture that people cover",
        "body_speed": "how fast the nearest one goes, picture heights a second",
        "hands_up": "how many hands of the nearest one are above the shoulder: 0, 1, 2",
        "hand_left_x": "the left hand of the nearest one, from the left",
        "hand_left_y": "the left hand of the nearest one, from the top",
        "hand_right_x": "the right hand of the nearest one, from the left",
        "hand_right_y": "the right hand of the nearest one, from the top",
        "reach": "how far the nearest one stretches an arm, from 0 to 1",
        "interaction": "how much people do with the piece, from 0 to 1",
        "raised": "1 while a hand is above the head",
        "both_up": "1 while both hands are above the head",
        "arms_wide": "1 while both arms are stretched to the sides",
        "wave": "1 while a hand waves",
    }
)
SILENT_NS: Final = 1_500_000_000  # a tracker that says nothing for so long knows nothing
COUNTED: Final = 5  # frames whose median is the number of people
NEARER: Final = 1.3  # times larger somebody must be to become the one who counts
FAR: Final = 0.25  # of the frame: who is that far from where the last one was is somebody else
MOVED: Final = 0.5  # heights a second: somebody who walks briskly
WAVED: Final = 1.5  # heights a second: a hand that is waved about
ATTACK_S, RELEASE_S = 0.3, 2.5
POINTS: Final = {
    "hand_left": WRISTS[0],
    "hand_right": WRISTS[1],
}


@dataclass(frozen=True, slots=True)
class Smoothing:
    """How calm the numbers are: see OneEuro. Who is lost is taken to be still there for `hold_s`."""

    min_cutoff_hz: float = 1.2
    beta: float = 4.0
    hold_s: float = 0.6


class Place:
    """A point (x, y) that is followed, held through a short loss, and then unknown."""

    def __init__(self, smoothing: Smoothing) -> None:
        self._x = OneEuro(smoothing.min_cutoff_hz, smoothing.beta)
        self._y = OneEuro(smoothing.min_cutoff_hz, smoothing.beta)
        self._hold_ns = round(smoothing.hold_s * 1e9)
        self._found_ns: int | None = None

    def found(self, x: float, y: float, at_ns: int) -> None:
        """It is here, in shares of the frame."""
        if self._found_ns is None or at_ns - self._found_ns > self._hold_ns:
            self._x.forget()
            self._y.forget()
        self._x.step(x, at_ns)
        self._y.step(y, at_ns)
        self._found_ns = at_ns

    def at(self, now_ns: int) -> tuple[float, float] | None:
        """Where it is; None when it has been lost for longer than the hold."""
        lost = self._found_ns is None or now_ns - self._found_ns > self._hold_ns
        if lost or self._x.value is None or self._y.value is None:
            return None
        return min(max(self._x.value, 0.0), 1.0), min(max(self._y.value, 0.0), 1.0)

    def speed(self, aspect: float) -> float:
        """Frame heights a second."""
        return math.hypot(self._x.speed * aspect, self._y.speed)


class Reading:
    """Hears what the tracker saw and says the signals of SIGNALS. One thread."""

    def __init__(self, smoothing: Smoothing) -> None:
        self._smoothing = smoothing
        self._middle = Place(smoothing)
        self._hands = {name: Place(smoothing) for name in POINTS}
        self._size = OneEuro(smoothing.min_cutoff_hz, smoothing.beta)
        self._sure = OneEuro(smoothing.min_cutoff_hz, smoothing.beta)
        self._reach = OneEuro(smoothing.min_cutoff_hz, smoothing.beta)
        self._counted: deque[int] = deque(maxlen=COUNTED)
        self._gestures = Gestures()
        self._interaction = 0.0
        self._heard_ns: int | None = None
        self._found_ns: int | None = None
        self._posed_ns: int | None = None
        self._first: tuple[float, float] | None = None
        self._aspect = 1.0

    def hear(self, seen: Seen) -> None:
        """The newest that the tracker saw. One that is not newer is let go."""
        at_ns = seen.captured_ns
        if self._heard_ns is not None and at_ns <= self._heard_ns:
            return
        step_s = 0.0 if self._heard_ns is None else min(1.0, (at_ns - self._heard_ns) / 1e9)
        self._heard_ns, self._aspect = at_ns, seen.aspect
        shapes = shapes_of(seen)
        pose = self._nearest(seen.bodies)
        self._counted.append(max(shapes.people, len(seen.bodies.poses)))
        if pose is not None or shapes.people:
            self._found_ns = at_ns
            self._follow(pose, shapes, seen)
            confidence = shapes.confidence if pose is None else max(shapes.confidence, float(sureness(pose)))
            self._sure.step(confidence, at_ns)
            self._size.step(shapes.share if shapes.people or pose is None else extent(pose), at_ns)
        elif not self._within_hold(self._found_ns, at_ns):
            self._lose(at_ns)
        self._follow_hands(pose, seen, at_ns)
        self._engage(at_ns, step_s)

    def signals(self, now_ns: int) -> dict[str, float]:
        """The signals of now; none while the tracker says nothing."""
        if self._heard_ns is None or now_ns - self._heard_ns > SILENT_NS:
            return {"tracking": 0.0}
        found = {
            "tracking": 1.0,
            "people": float(sorted(self._counted)[len(self._counted) // 2]),
            "body": min(max(self._sure.value or 0.0, 0.0), 1.0),
            "interaction": self._interaction,
            **self._gestures.found,
        }
        middle = self._middle.at(now_ns)
        if middle is not None:
            found["body_x"], found["body_y"] = middle
            found["body_speed"] = self._middle.speed(self._aspect)
            found["body_size"] = min(max(self._size.value or 0.0, 0.0), 1.0)
        if self._reach.value is not None:
            found["reach"] = min(max(self._reach.value, 0.0), 1.0)
        for name, place in self._hands.items():
            at = place.at(now_ns)
            if at is not None:
                found[f"{name}_x"], found[f"{name}_y"] = at
        return found

    def _within_hold(self, since_ns: int | None, at_ns: int) -> bool:
        return since_ns is not None and at_ns - since_ns <= self._smoothing.hold_s * 1e9

    def _lose(self, at_ns: int) -> None:
        self._sure.step(0.0, at_ns)
        self._size.forget()
        self._first = None

    def _nearest(self, bodies: Bodies) -> F32 | None:
        """The pose that counts: the one who counted before, until somebody is much nearer."""
        if not len(bodies.poses):
            return None
        sizes = [extent(pose) for pose in bodies.poses]
        largest = int(np.argmax(sizes))
        if self._first is not None:
            away = [math.dist(middle_of(pose), self._first) for pose in bodies.poses]
            same = int(np.argmin(away))
            if away[same] < FAR and sizes[largest] < NEARER * sizes[same]:
                largest = same
        nearest: F32 = bodies.poses[largest]
        return nearest

    def _follow(self, pose: F32 | None, shapes: Silhouettes, seen: Seen) -> None:
        x, y = (shapes.x, shapes.y) if pose is None else middle_of(pose)
        self._first = None if pose is None else (x, y)
        self._middle.found(x, y, seen.captured_ns)

    def _follow_hands(self, pose: F32 | None, seen: Seen, at_ns: int) -> None:
        found: dict[str, tuple[float, float]] = {}
        for hand, side in zip(seen.bodies.hands, seen.bodies.sides, strict=False):
            x, y = hand.mean(0)
            found[f"hand_{side}"] = float(x), float(y)
        if pose is not None:
            for name, point in POINTS.items():
                if pose[point, 2] >= VISIBLE:
                    found[name] = float(pose[point, 0]), float(pose[point, 1])
        for name, (x, y) in found.items():
            self._hands[name].found(x, y, at_ns)
        now = None if pose is None else posture(pose, seen.aspect)
        if pose is not None and now is not None:
            self._posed_ns = at_ns
            self._reach.step(now.reach, at_ns)
            wrists_x = pose[list(WRISTS), 0] * seen.aspect
            self._gestures.step(now, (float(wrists_x[0]), float(wrists_x[1])), at_ns)
        elif not self._within_hold(self._posed_ns, at_ns):
            self._reach.forget()
            self._gestures.forget()

    def _engage(self, at_ns: int, step_s: float) -> None:
        """Interaction: speed of body and hands, and gestures; it comes quickly and goes slowly."""
        target = 0.0
        if self._within_hold(self._found_ns, at_ns):
            hands = [
                place.speed(self._aspect) for place in self._hands.values() if place.at(at_ns) is not None
            ]
            moving = 0.5 * self._middle.speed(self._aspect) / MOVED + 0.5 * max(hands, default=0.0) / WAVED
            target = min(1.0, moving + 0.4 * any(self._gestures.found.values()))
        time_s = ATTACK_S if target > self._interaction else RELEASE_S
        self._interaction += (target - self._interaction) * (1.0 - math.exp(-step_s / time_s))


def shapes_of(seen: Seen) -> Silhouettes:
    """Of the mask, as the tracker took them; taken now where it did not."""
    if seen.shapes is not None:
        return seen.shapes
    return NOBODY if seen.bodies.mask is None else silhouettes(seen.bodies.mask)


def sureness(pose: F32) -> float:
    """How visible the trunk of a pose f32 (33, 3) is, in [0, 1]."""
    return float(pose[[*SHOULDERS, *HIPS], 2].mean())


def middle_of(pose: F32) -> tuple[float, float]:
    """The middle of the trunk of a pose f32 (33, 3), by what of it is seen."""
    trunk = pose[[*SHOULDERS, *HIPS]]
    weights = trunk[:, 2] + 1e-3
    x, y = (trunk[:, :2] * weights[:, None]).sum(0) / weights.sum()
    return float(x), float(y)


def extent(pose: F32) -> float:
    """Share of the frame of the box around the visible points of a pose f32 (33, 3)."""
    visible = pose[pose[:, 2] >= VISIBLE, :2]
    if len(visible) < 2:
        return 0.0
    width, height = np.clip(visible, 0.0, 1.0).max(0) - np.clip(visible, 0.0, 1.0).min(0)
    return float(width * height)
