"""Outputs: what a scene may name, and the thread that hands pictures on and tries again."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from vivant.runtime.frames import U8, MonotonicClock, VivantError
from vivant.runtime.outputs.contract import OutputError
from vivant.runtime.outputs.registry import Outputs, parse
from vivant.runtime.outputs.running import RunningOutput
from vivant.runtime.placing import Size
from vivant.runtime.scene import load_scene

CLOCK = MonotonicClock()
LINUX = pytest.mark.skipif(sys.platform != "linux", reason="another system answers otherwise")


def picture(colour: int, size: Size = (64, 48)) -> U8:
    return np.full((size[1], size[0], 4), colour, np.uint8)


class Wall:
    """A receiver that keeps what it was given; a picture of colour 13 is more than it can bear."""

    def __init__(self, size_px: Size, walls: list[Wall]) -> None:
        self.size_px, self.seen, self.closed = size_px, list[int](), False
        walls.append(self)

    def send(self, pixels: U8) -> None:
        if pixels[0, 0, 0] == 13:
            raise OSError("the wall is gone")
        self.seen.append(int(pixels[0, 0, 0]))

    def close(self) -> None:
        self.closed = True


def wait_for(what: Callable[[], bool]) -> None:
    until = time.monotonic() + 20
    while not what():
        assert time.monotonic() < until
        time.sleep(0.005)


def test_the_newest_picture_is_sent_and_another_size_opens_anew() -> None:
    walls: list[Wall] = []
    output = RunningOutput("wall", lambda size: Wall(size, walls), CLOCK)
    output.offer(picture(1))
    wait_for(lambda: bool(walls) and walls[0].seen == [1])
    output.offer(picture(2, (32, 32)))
    wait_for(lambda: len(walls) == 2 and walls[1].seen == [2])
    output.close()
    assert [wall.size_px for wall in walls] == [(64, 48), (32, 32)]
    assert all(wall.closed for wall in walls)
    assert output.counts()["offered"] == 2


def test_a_receiver_that_fails_is_counted_and_opened_again() -> None:
    walls: list[Wall] = []
    output = RunningOutput("wall", lambda size: Wall(size, walls), CLOCK)
    output.offer(picture(13))
    wait_for(lambda: output.counts()["failed"] == 1)
    output.offer(picture(3))
    wait_for(lambda: len(walls) == 2 and bool(walls[1].seen))
    output.close()
    assert walls[0].closed and walls[1].seen[0] == 3
    assert output.counts() | {"sent": 0} == {"offered": 2, "sent": 0, "failed": 1}


def test_a_picture_that_stands_is_sent_again_for_those_who_come_late() -> None:
    walls: list[Wall] = []
    output = RunningOutput("wall", lambda size: Wall(size, walls), CLOCK)
    output.offer(picture(5))
    wait_for(lambda: bool(walls) and len(walls[0].seen) >= 2)
    output.close()
    assert output.counts()["offered"] == 1


@pytest.mark.parametrize("spec", ["ndi", "ndi:", "hdmi:1", "", "ndi:a\nb"])
def test_words_that_mean_no_output_are_refused_with_what_there_is(spec: str) -> None:
    with pytest.raises(OutputError, match="Give one of: ndi:NAME, spout:NAME, syphon:NAME, camera:"):
        parse(spec)


def test_a_scene_that_names_no_output_there_is_says_so(tmp_path: Path) -> None:
    scene = tmp_path / "tide.toml"
    scene.write_text('title = "Tide"\noutputs = ["hdmi:1"]\n')
    with pytest.raises(VivantError, match="output 'hdmi:1' is not known"):
        load_scene(scene)


@LINUX
@pytest.mark.parametrize("spec", ["spout:Vivant", "syphon:Vivant"])
def test_another_systems_output_is_one_clear_line(spec: str) -> None:
    with pytest.raises(OutputError, match=r"is for (Windows|macOS). Use ndi:Vivant"):
        Outputs([spec], CLOCK)


def test_no_outputs_want_no_picture() -> None:
    outputs = Outputs()
    assert not outputs.any
    assert outputs.counts() == {}
