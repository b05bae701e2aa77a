"""Depth cameras: what is near, what is refused, and frames with their masks (no such camera was here)."""

from __future__ import annotations

import importlib.util
import threading

import numpy as np
import pytest

from vivant.runtime.frames import U8, MonotonicClock
from vivant.runtime.senses.contract import SenseError
from vivant.runtime.senses.depth import NEAR_M, Depths, Place, near_mask, place_of, watch
from vivant.runtime.senses.registry import check_sense
from vivant.runtime.senses.running import RunningSense


def test_what_stands_before_the_distance_is_near_and_unknown_depth_is_not() -> None:
    depths = np.full((96, 96), 4000, np.uint16)  # millimetres: the wall
    depths[20:70, 30:60] = 1500
    depths[40:44, 40:44] = 0  # a hole that the sensor left in somebody
    depths[80:, :] = 0
    depths[5, 5] = 900  # a speck
    mask = near_mask(depths, 0.001, 2.0)
    assert (mask[22:68, 32:58] == 255).all()
    assert not mask[80:].any() and not mask[:, 70:].any() and mask[5, 5] == 0


@pytest.mark.parametrize(
    ("where", "expected"),
    [("0", Place("0", NEAR_M)), ("0@1.8", Place("0", 1.8)), ("841512070123@3", Place("841512070123", 3.0))],
)
def test_a_depth_camera_is_named_by_index_or_serial_and_distance(where: str, expected: Place) -> None:
    assert place_of(where) == expected


@pytest.mark.parametrize("where", ["0@", "0@far", "0@-1", "0@nan", "0@inf", "/dev/video0", "@2"])
def test_a_place_that_is_none_is_refused(where: str) -> None:
    if where == "0@":
        assert place_of(where) == Place("0", NEAR_M)
        return
    with pytest.raises(SenseError, match=r"depth:0@1\.8"):
        place_of(where)


@pytest.mark.skipif(importlib.util.find_spec("pyrealsense2") is not None, reason="pyrealsense2 is here")
def test_without_its_library_one_line_says_what_to_install() -> None:
    with pytest.raises(SenseError, match="pip install pyrealsense2"):
        check_sense("depth:0")


class Recorded:
    """Stands in for a device: two frames, then none."""

    def __init__(self) -> None:
        self.frames, self.released = 2, threading.Event()

    def read(self) -> tuple[U8, Depths, float] | None:
        self.frames -= 1
        if self.frames < 0:
            return None
        depths = np.full((48, 64), 1000, np.uint16)
        depths[:, 32:] = 5000
        return np.full((48, 64, 3), 90, np.uint8), depths, 0.001

    def release(self) -> None:
        self.released.set()


def test_frames_come_with_who_is_near_and_a_camera_that_stops_is_let_go() -> None:
    device = Recorded()
    sense = RunningSense("depth:0", MonotonicClock(), lambda one: watch(one, Place("0", 2.0), lambda: device))
    try:
        assert device.released.wait(20.0)
        frame = sense.latest()
        assert frame is not None and frame.serial == 2 and frame.near is not None
        assert (frame.near[8:40, 8:24] == 255).all() and not frame.near[8:40, 40:].any()
        assert sense.counts()["captured"] == 2
    finally:
        sense.close()
    assert sense.state == "ended"
