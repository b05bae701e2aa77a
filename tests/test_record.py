"""A recording holds what was offered, at its own time; a disk that is slow or full costs pictures only."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import av
import numpy as np
import pytest

from vivant.runtime.frames import U8, VivantError
from vivant.runtime.record import NICER, SLOTS, Recorder

FRAME_NS = 40_000_000


def picture(width: int, height: int, *colour: int) -> U8:
    return np.full((height, width, 4), (*colour, 255), np.uint8)


def noise(seed: int) -> U8:
    """What compresses worst."""
    return np.random.default_rng(seed).integers(0, 256, (240, 320, 4), np.uint8)


def offer_until_taken(recorder: Recorder, pixels: U8, time_ns: int) -> int:
    """Offer again until it is taken; returns how often it was dropped before."""
    refused = 0
    while not recorder.offer(pixels, time_ns):
        assert recorder.stopped is None
        refused += 1
        time.sleep(0.002)
    return refused


def decoded(path: Path) -> Iterator[tuple[float, U8]]:
    """(seconds, RGB picture) of every frame of a file that can be read."""
    with av.open(str(path)) as container:
        for frame in container.decode(video=0):
            assert frame.time is not None
            yield frame.time, frame.to_ndarray(format="rgb24")


def test_a_recording_without_a_picture_leaves_no_file_and_the_show_alive(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path / "none.mp4", (96, 64), fps=25)
    recorder.close()
    assert recorder.counts()["stopped"] == "no picture came"
    assert not (tmp_path / "none.mp4").exists()


def test_a_recording_holds_every_picture_at_its_time_and_colour(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path / "new" / "show.mp4", (96, 64), fps=25)
    colours = [(20 * index, 200 - 15 * index, 90) for index in range(12)]
    times_ns = [5_000_000_000 + FRAME_NS * (index + 5 * (index > 6)) for index in range(12)]
    refused = 0
    for colour, time_ns in zip(colours, times_ns, strict=True):
        refused += offer_until_taken(recorder, picture(96, 64, *colour), time_ns)
    recorder.close()
    frames = list(decoded(tmp_path / "new" / "show.mp4"))
    assert [frame.shape for _, frame in frames] == [(64, 96, 3)] * 12
    wanted = [(time_ns - times_ns[0]) / 1e9 for time_ns in times_ns]
    assert [seconds for seconds, _ in frames] == pytest.approx(wanted, abs=1e-4)  # a tick is 11 us
    for colour, (_, frame) in zip(colours, frames, strict=True):
        assert np.abs(frame[32, 48].astype(int) - colour).max() <= 8  # eight bits of Y'CbCr and a lossy codec
    assert recorder.counts() == {
        "file": str(tmp_path / "new" / "show.mp4"),
        "written": 12,
        "dropped": refused,
        "stopped": None,
    }


def test_the_first_row_of_a_picture_is_the_top_of_the_recording(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path / "show.mp4", (64, 64), fps=25)
    pixels = picture(64, 64, 0, 0, 200)
    pixels[:32] = (200, 0, 0, 255)
    offer_until_taken(
        recorder, pixels[::-1].copy()[::-1], 0
    )  # rows in memory from the bottom, as OpenGL reads
    recorder.close()
    ((_, frame),) = decoded(tmp_path / "show.mp4")
    assert frame[8, 32, 0] > 150 > frame[56, 32, 0]


def test_odd_sizes_lose_a_row_and_resized_windows_are_scaled(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path / "show.mp4", (97, 65), fps=25)
    offer_until_taken(recorder, picture(97, 65, 200, 0, 0), 0)
    offer_until_taken(recorder, picture(151, 33, 0, 200, 0), FRAME_NS)
    offer_until_taken(recorder, picture(97, 65, 0, 0, 200), 2 * FRAME_NS)
    recorder.close()
    frames = [frame for _, frame in decoded(tmp_path / "show.mp4")]
    assert [frame.shape for frame in frames] == [(64, 96, 3)] * 3
    assert [int(frame[32, 48].argmax()) for frame in frames] == [0, 1, 2]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_a_disk_that_takes_nothing_costs_pictures_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "slow.mp4"
    os.mkfifo(path)
    reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)  # opened and never read: the pipe fills, then blocks
    try:
        recorder = Recorder(path, (320, 240), fps=25)
        seed = 0
        while recorder.dropped < 3 * SLOTS:  # ends only when offers return while the disk is stuck
            if not recorder.offer(noise(seed), seed * FRAME_NS):
                time.sleep(0.02)
            seed += 1
        recorder.close(limit_s=0.1)
        counts = recorder.counts()
        assert counts["stopped"] == "the disk did not take the end of the recording within 0.1 s"
        assert counts["written"] + counts["dropped"] == seed
        assert not recorder.offer(noise(0), seed * FRAME_NS)
    finally:
        os.close(reader)


@pytest.mark.skipif(sys.platform == "win32", reason="needs a limit on the size of files")
def test_a_disk_that_fills_up_stops_the_recording_with_its_reason(tmp_path: Path) -> None:
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    recorder = Recorder(tmp_path / "full.mp4", (320, 240), fps=5)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))
    try:
        offered = 0
        while recorder.stopped is None:
            recorder.offer(noise(offered), offered * FRAME_NS)
            offered += 1
            time.sleep(0.002)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert not recorder.offer(noise(0), offered * FRAME_NS)
    recorder.close()
    counts = recorder.counts()
    assert "File too large" in counts["stopped"]
    assert counts["written"] + counts["dropped"] == offered + 1


def test_a_killed_show_leaves_a_recording_that_plays(tmp_path: Path) -> None:
    path = tmp_path / "killed.mp4"
    script = f"""
import os, time, numpy as np
from pathlib import Path
from vivant.runtime.record import Recorder
recorder = Recorder(Path({str(path)!r}), (64, 64), fps=5)
index = 0
while recorder.written < 60:
    index += recorder.offer(np.full((64, 64, 4), index % 256, np.uint8), index * 200_000_000)
    time.sleep(0.001)
os.kill(os.getpid(), 9)
"""
    subprocess.run([sys.executable, "-P", "-c", script], check=False, timeout=60)
    with av.open(str(path)) as container:
        played = 0
        try:
            for _ in container.decode(video=0):
                played += 1
        except av.InvalidDataError:
            pass  # the picture that was being written
    assert played >= 30


@pytest.mark.parametrize(
    ("name", "reason"),
    [("show.avi", "an .mp4 file"), ("file/show.mp4", "Choose a folder"), ("folder.mp4", "Choose a folder")],
)
def test_a_path_that_cannot_be_recorded_to_is_refused_at_once(tmp_path: Path, name: str, reason: str) -> None:
    (tmp_path / "file").write_text("in the way")
    (tmp_path / "folder.mp4").mkdir()
    with pytest.raises(VivantError, match=reason):
        Recorder(tmp_path / name, (64, 64), fps=25)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="a thread has a niceness on Linux alone")
def test_what_writes_gives_way_to_the_show(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path / "show.mp4", (64, 64), fps=25)
    offer_until_taken(recorder, picture(64, 64, 9, 9, 9), 0)
    while recorder.written == 0 and recorder.stopped is None:  # then it runs as it will
        offer_until_taken(recorder, picture(64, 64, 9, 9, 9), time.perf_counter_ns())
    own = os.getpriority(os.PRIO_PROCESS, 0)
    assert recorder._thread.native_id is not None
    assert os.getpriority(os.PRIO_PROCESS, recorder._thread.native_id) == min(19, own + NICER)
    recorder.close()
    assert recorder.stopped is None
