"""Senses: the newest frame wins, clips keep their time, and whatever is unplugged may come back."""

from __future__ import annotations

import struct
import threading
import time
import wave
from collections.abc import Callable, Iterator
from fractions import Fraction
from itertools import islice, pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vivant.runtime.frames import U8, Frame, MonotonicClock
from vivant.runtime.senses import camera, registry
from vivant.runtime.senses.camera import Camera, watch
from vivant.runtime.senses.clip import Break, Times, check_clip, one_pass, open_clip, reel
from vivant.runtime.senses.contract import Sense, SenseError
from vivant.runtime.senses.registry import check_sense, choose_sense, open_sense
from vivant.runtime.senses.running import RunningSense
from vivant.runtime.senses.slot import Slot
from vivant.runtime.senses.video4linux import (
    CAPABILITY,
    HAS_DEVICE_CAPS,
    VIDEO_CAPTURE,
    capture_devices,
    capture_name,
    name_of_capture,
)

PEDESTRIANS = Path(__file__).parents[2] / "shared" / "media" / "pedestrians.avi"
PATIENCE_S = 20.0  # how long a busy machine may take; a test that passes never waits for it
COLOURS = ((220, 30, 30), (30, 200, 40), (40, 50, 220), (230, 220, 40))
GREY = np.full((8, 8, 3), 90, np.uint8)


def film(
    path: Path,
    frames: list[U8],
    codec: str = "mpeg4",
    times_ms: list[int] | None = None,
    rate_fps: int = 50,
    pixel_aspect: Fraction = Fraction(1),
) -> Path:
    """Write a film of `frames`; with `times_ms` each has its own time stamp."""
    import av

    height, width = frames[0].shape[:2]
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=rate_fps)
        stream.width, stream.height = width, height
        stream.pix_fmt = "yuvj420p" if codec == "mjpeg" else "yuv420p"
        stream.bit_rate = 4_000_000
        stream.codec_context.sample_aspect_ratio = pixel_aspect
        if times_ms is not None:
            stream.codec_context.time_base = Fraction(1, 1000)
        for index, pixels in enumerate(frames):
            frame = av.VideoFrame.from_ndarray(pixels, "rgb24")
            if times_ms is not None:
                frame.pts, frame.time_base = times_ms[index], Fraction(1, 1000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def plain(count: int, size_px: tuple[int, int] = (64, 48)) -> list[U8]:
    """Frames of one colour each, in the order of COLOURS."""
    width, height = size_px
    return [np.full((height, width, 3), COLOURS[k % len(COLOURS)], np.uint8) for k in range(count)]


def noisy(count: int) -> list[U8]:
    """Frames that no codec makes small: a film of them is larger than what a reader takes ahead."""
    generator = np.random.default_rng(7)
    return [generator.integers(0, 256, (120, 160, 3), np.uint8) for _ in range(count)]


def colour_of(pixels: U8) -> int:
    """Which of COLOURS a frame shows."""
    mean = pixels.reshape(-1, 3).mean(0)
    return int(np.argmin([np.abs(mean - np.array(colour)).sum() for colour in COLOURS]))


def eventually(holds: Callable[[], bool]) -> bool:
    """Whether something comes true while other threads work."""
    end_s = time.monotonic() + PATIENCE_S
    while not holds() and time.monotonic() < end_s:
        time.sleep(0.002)
    return holds()


def watched(sense: Sense, count: int) -> list[Frame]:
    """The next `count` frames that a reader sees."""
    frames: list[Frame] = []
    while len(frames) < count:
        frame = sense.wait_newer(frames[-1].serial if frames else 0, PATIENCE_S)
        assert frame is not None, f"{sense.name} is {sense.state}: {dict(sense.counts())}"
        frames.append(frame)
    return frames


@pytest.fixture
def closing() -> Iterator[Callable[[Any], Any]]:
    """Closes every sense that a test opened."""
    opened: list[Any] = []

    def keep(sense: Any) -> Any:
        opened.append(sense)
        return sense

    yield keep
    for sense in opened:
        sense.close()


# The slot


def test_the_newest_frame_wins() -> None:
    slot = Slot()
    assert slot.latest() is None
    for serial in (1, 2, 3):
        slot.put(Frame(GREY, serial, 0))
    newest = slot.latest()
    assert newest is not None
    assert newest.serial == 3
    assert slot.wait_newer(1, 0.0) is newest


def test_waiting_for_a_frame_that_does_not_come_ends() -> None:
    slot = Slot()
    slot.put(Frame(GREY, 4, 0))
    assert slot.wait_newer(4, 0.01) is None


def test_a_reader_who_waits_is_woken_by_the_frame() -> None:
    slot = Slot()
    found: list[Frame | None] = []
    reader = threading.Thread(target=lambda: found.append(slot.wait_newer(0, PATIENCE_S)))
    reader.start()
    slot.put(Frame(GREY, 1, 0))
    reader.join(PATIENCE_S)
    assert found == [slot.latest()]


def test_closing_lets_everybody_go_who_waits() -> None:
    slot = Slot()
    found: list[Frame | None] = []
    reader = threading.Thread(target=lambda: found.append(slot.wait_newer(0, PATIENCE_S)))
    reader.start()
    slot.close()
    reader.join(PATIENCE_S)
    assert found == [None]
    assert slot.wait_closed(0.0)


@given(st.lists(st.one_of(st.none(), st.floats(-1e6, 1e6)), min_size=1, max_size=30))
def test_time_stamps_of_any_kind_never_turn_back(stamps_s: list[float | None]) -> None:
    times = Times(1_000, 25.0)
    placed = [times.place(stamp, None, None) for stamp in stamps_s]
    assert placed[0] == (1_000, 40_000_000)
    positions = [position for position, _ in placed]
    assert positions == sorted(positions)
    assert all(stands_ns > 0 for _, stands_ns in placed)


# What all senses have in common


def test_a_body_that_raises_is_counted_and_run_again(closing: Any) -> None:
    runs: list[int] = []

    def body(sense: RunningSense) -> None:
        runs.append(1)
        if len(runs) == 1:
            raise RuntimeError("the driver is confused")
        sense.hand_on(GREY, sense.clock.now_ns())

    sense = closing(RunningSense("camera:0", MonotonicClock(), body))
    assert sense.wait_newer(0, PATIENCE_S) is not None
    assert sense.counts()["lost"] == 1
    assert sense.counts()["retries"] >= 1
    assert sense.state == "live"


def test_a_closed_sense_has_ended_and_may_be_closed_again(closing: Any) -> None:
    sense = closing(open_sense("performer", MonotonicClock()))
    (frame,) = watched(sense, 1)
    assert sense.state == "live"
    sense.close()
    sense.close()
    assert sense.state == "ended"
    assert sense.wait_newer(frame.serial, PATIENCE_S) is None
    assert sense.latest() is not None


def test_serials_rise_by_one_and_times_never_fall(closing: Any, tmp_path: Path) -> None:
    sense = closing(open_sense(f"clip:{film(tmp_path / 'a.avi', plain(8))}", MonotonicClock()))
    frames = watched(sense, 10)
    assert frames[-1].serial <= sense.counts()["captured"]
    for one, other in pairwise(frames):
        assert other.serial > one.serial
        assert other.captured_ns > one.captured_ns


# Clips


def test_a_clip_loops_in_its_order(closing: Any, tmp_path: Path) -> None:
    sense = closing(open_clip(film(tmp_path / "loop.mp4", plain(4)), MonotonicClock()))
    for frame in watched(sense, 10):
        assert frame.pixels.shape == (48, 64, 3)
        assert colour_of(frame.pixels) == (frame.serial - 1) % 4
    assert sense.counts()["lost"] == 0


def test_a_clip_keeps_variable_time_and_goes_on_after_its_last_frame(tmp_path: Path) -> None:
    path = film(tmp_path / "variable.mkv", plain(4), times_ms=[0, 40, 240, 260], rate_fps=25)
    first = list(one_pass(path, 0))
    assert [shot.position_ns // 1_000_000 for shot in first] == [0, 40, 240, 260]
    shots = reel(path)
    looped = [next(shots) for _ in range(5)]
    assert not isinstance(looped[3], Break)
    assert not isinstance(looped[4], Break)
    assert looped[4].position_ns == looped[3].position_ns + looped[3].period_ns


def test_a_large_clip_is_made_smaller_in_its_proportions(tmp_path: Path) -> None:
    (shot,) = one_pass(film(tmp_path / "large.mp4", plain(1, (1600, 900))), 0)
    assert shot.pixels.shape == (720, 1280, 3)
    # The codec's colours: BT.601 with 8-bit rounding, and a plain field has no other loss.
    assert np.abs(shot.pixels.mean((0, 1)) - np.array(COLOURS[0])).max() < 4


def test_a_clip_of_oblong_pixels_has_its_true_proportions(tmp_path: Path) -> None:
    path = film(tmp_path / "tape.mkv", plain(1), pixel_aspect=Fraction(3, 2))
    (shot,) = one_pass(path, 0)
    assert shot.pixels.shape == (48, 96, 3)


def test_a_clip_that_was_taken_upright_stands_upright(tmp_path: Path) -> None:
    pixels = np.full((48, 64, 3), COLOURS[2], np.uint8)
    pixels[:, :32] = COLOURS[0]
    path = film(tmp_path / "telephone.mp4", [pixels])
    data = bytearray(path.read_bytes())
    matrix = data.index(b"tkhd") + 4 + 40  # version 0: the display matrix of ISO/IEC 14496-12, 8.3.2
    assert struct.unpack_from(">9i", data, matrix)[0] == 1 << 16
    # A quarter turn clockwise, as telephones write it: what is left in the file is the top for people.
    struct.pack_into(">9i", data, matrix, 0, 1 << 16, 0, -(1 << 16), 0, 0, 0, 0, 1 << 30)
    path.write_bytes(data)
    (shot,) = one_pass(path, 0)
    assert shot.pixels.shape == (64, 48, 3)
    assert colour_of(shot.pixels[:24]) == 0
    assert colour_of(shot.pixels[40:]) == 2


def test_a_clip_that_is_truncated_while_playing_is_begun_again(closing: Any, tmp_path: Path) -> None:
    path = film(tmp_path / "torn.avi", noisy(30), codec="mjpeg")
    sense = closing(open_clip(path, MonotonicClock()))
    watched(sense, 3)
    with path.open("r+b") as file:
        file.truncate(path.stat().st_size // 2)
    assert eventually(lambda: sense.counts()["lost"] >= 1)
    seen = sense.counts()["captured"]
    assert eventually(lambda: sense.counts()["captured"] > seen + 3)
    assert eventually(lambda: sense.state == "live")


def test_a_clip_that_vanishes_is_waited_for_and_comes_back(closing: Any, tmp_path: Path) -> None:
    path = film(tmp_path / "gone.mp4", plain(4))
    sense = closing(open_clip(path, MonotonicClock()))
    watched(sense, 2)
    away = path.rename(tmp_path / "elsewhere.mp4")
    assert eventually(lambda: sense.state == "lost")
    assert sense.latest() is not None
    away.rename(path)
    assert eventually(lambda: sense.state == "live")
    assert sense.counts()["lost"] == 1
    assert sense.counts()["retries"] >= 1


def test_a_clip_that_is_replaced_is_seen_at_its_next_pass(closing: Any, tmp_path: Path) -> None:
    path = film(tmp_path / "piece.avi", plain(2))
    sense = closing(open_clip(path, MonotonicClock()))
    watched(sense, 1)
    film(tmp_path / "new.avi", plain(2, (32, 32))).replace(path)
    assert eventually(lambda: sense.latest().pixels.shape == (32, 32, 3))


@pytest.mark.skipif(not PEDESTRIANS.exists(), reason="the clip pedestrians.avi is not on this machine")
def test_the_pedestrians_walk_at_ten_frames_a_second() -> None:
    shots = list(islice(one_pass(PEDESTRIANS, 0), 4))
    assert [shot.position_ns for shot in shots] == [0, 100_000_000, 200_000_000, 300_000_000]
    assert shots[0].pixels.shape == (576, 768, 3)


def test_a_missing_clip_is_named_with_the_one_that_was_meant(tmp_path: Path) -> None:
    film(tmp_path / "tide.mp4", plain(1))
    with pytest.raises(SenseError, match=r"did you mean 'tide\.mp4'"):
        check_clip(tmp_path / "tyde.mp4")
    with pytest.raises(SenseError, match="no folder"):
        check_clip(tmp_path / "nowhere" / "tide.mp4")
    with pytest.raises(SenseError, match=r"is a folder; .*tide\.mp4"):
        check_clip(tmp_path)


def test_what_is_no_film_is_refused_before_the_show(tmp_path: Path) -> None:
    text = tmp_path / "scene.mp4"
    text.write_text("name = 'tide'")
    sound = tmp_path / "sound.wav"
    with wave.open(str(sound), "wb") as file:
        file.setparams((1, 2, 8000, 0, "NONE", ""))
        file.writeframes(bytes(1600))
    torn = film(tmp_path / "torn.mp4", noisy(5))
    torn.write_bytes(torn.read_bytes()[:-500])
    for path in (text, sound, torn):
        with pytest.raises(SenseError, match="cannot be played"):
            check_sense(f"clip:{path}")
    check_sense(f"clip:{film(tmp_path / 'good.mp4', plain(1))}")


# Cameras


class Film:
    """A device that is a real film; when it has ended, it has been unplugged."""

    def __init__(self, path: Path) -> None:
        import cv2

        self._capture = cv2.VideoCapture(str(path))
        self.released = False

    def grab(self) -> bool:
        return self._capture.grab()

    def retrieve(self) -> tuple[bool, Any]:
        return self._capture.retrieve()

    def release(self) -> None:
        self._capture.release()
        self.released = True


class Script:
    """A device that gives what it is told to; an exception is raised."""

    def __init__(self, *script: Any) -> None:
        self._left = list(script)
        self._now: Any = None

    def grab(self) -> bool:
        if not self._left:
            return False
        self._now = self._left.pop(0)
        if isinstance(self._now, Exception):
            raise self._now
        return True

    def retrieve(self) -> tuple[bool, Any]:
        return self._now is not None, self._now

    def release(self) -> None:
        pass


def test_a_camera_that_vanishes_is_lost_and_taken_up_again_when_it_returns(
    closing: Any, tmp_path: Path
) -> None:
    path = film(tmp_path / "camera.avi", plain(6))
    devices: list[Film] = []
    pictures: list[U8] = []

    def plug() -> Film | None:
        if len(devices) == 1 and not pictures:  # it stays away until somebody has seen that it is gone
            return None
        devices.append(Film(path))
        return devices[-1]

    sense = closing(RunningSense("camera:0", MonotonicClock(), lambda sense: watch(sense, plug)))
    assert eventually(lambda: sense.state == "lost")
    assert eventually(lambda: devices[0].released)
    pictures.append(sense.latest().pixels)
    assert colour_of(pictures[0]) == 1  # the last of six, in RGB
    captured = sense.counts()["captured"]
    assert captured == 6
    assert eventually(lambda: sense.counts()["captured"] > captured)
    assert sense.counts()["lost"] >= 1
    assert sense.counts()["retries"] >= 1


def test_a_camera_that_is_not_there_at_first_is_taken_up_when_it_is(closing: Any) -> None:
    tries: list[int] = []

    def plug() -> Script | None:
        tries.append(1)
        return None if len(tries) == 1 else Script(GREY)

    sense = closing(RunningSense("camera:0", MonotonicClock(), lambda sense: watch(sense, plug)))
    assert sense.wait_newer(0, PATIENCE_S) is not None
    assert sense.counts()["lost"] >= 1


def test_a_damaged_frame_is_passed_over_and_a_row_of_them_is_a_loss(closing: Any) -> None:
    scripts = [
        Script(GREY, None, GREY),
        Script(*[None] * camera.DAMAGED_IN_A_ROW, GREY),
        Script(RuntimeError("the driver is confused")),
    ]

    def plug() -> Script | None:
        return scripts.pop(0) if scripts else None

    sense = closing(RunningSense("camera:0", MonotonicClock(), lambda sense: watch(sense, plug)))
    assert eventually(lambda: not scripts and sense.counts()["retries"] >= 3)
    assert sense.counts()["captured"] == 2
    assert sense.state == "lost"


def test_a_grey_camera_gives_colour_frames() -> None:
    assert camera.rgb(np.full((4, 6), 77, np.uint8)).shape == (4, 6, 3)
    blue_first = np.array([[[1, 2, 3]]], np.uint8)
    assert camera.rgb(blue_first).tolist() == [[[3, 2, 1]]]


def test_a_camera_is_known_by_what_its_driver_says() -> None:
    def says(whole: int, device: int) -> bytes:
        return CAPABILITY.pack(b"uvcvideo", b"HD Webcam\0", b"usb-1", 0, whole, device)

    assert name_of_capture(says(VIDEO_CAPTURE, 0)) == "HD Webcam"
    metadata_only = HAS_DEVICE_CAPS | VIDEO_CAPTURE
    assert name_of_capture(says(metadata_only, 0x00800000)) is None
    assert name_of_capture(says(metadata_only, VIDEO_CAPTURE)) == "HD Webcam"


def test_a_file_that_is_no_device_is_no_camera(tmp_path: Path) -> None:
    (tmp_path / "video0").write_bytes(b"")
    (tmp_path / "video10").write_bytes(b"")
    (tmp_path / "videos").mkdir()
    assert capture_name(tmp_path / "video0") is None
    assert capture_name(tmp_path / "video7") is None
    assert capture_devices(tmp_path) == []


def test_an_absent_camera_is_refused_with_what_to_do() -> None:
    with pytest.raises(SenseError, match=r"camera:63 .*(performer|Cameras here)"):
        check_sense("camera:63")


# The door


def test_auto_is_the_first_camera_that_opens_else_the_performer() -> None:
    two = (Camera("camera:/dev/video0", "Busy"), Camera("camera:/dev/video2", "Free"))
    chosen = choose_sense("auto", lambda: two, lambda where: where == "/dev/video2")
    assert chosen.spec == "camera:/dev/video2"
    assert "Free" in chosen.reason
    refused = choose_sense("auto", lambda: two, lambda where: False)
    assert refused.spec == "performer"
    assert "none of 2" in refused.reason
    assert choose_sense("auto", tuple).spec == "performer"
    assert choose_sense("clip:a.mp4").spec == "clip:a.mp4"


@pytest.mark.parametrize("spec", ["", "kamera:0", "camera", "camera:", "performer:2", "clip:"])
def test_an_input_that_is_not_known_is_refused_with_those_that_are(spec: str) -> None:
    with pytest.raises(SenseError, match=r"camera:0.*clip:FILE.*performer"):
        open_sense(spec, MonotonicClock())
    with pytest.raises(SenseError, match="is not known"):
        check_sense(spec)


def test_every_kind_opens_and_says_its_name(closing: Any, tmp_path: Path) -> None:
    absent = dict.fromkeys(("ndi", "spout", "syphon"), "nobody") | {"depth": "0", "isf": "silk"}
    wheres = {"camera": "63", "clip": str(film(tmp_path / "a.avi", plain(2))), **absent, "performer": ""}
    assert set(wheres) == set(registry.KINDS)
    for kind, where in wheres.items():
        spec = f"{kind}:{where}" if where else kind
        sense = closing(open_sense(spec, MonotonicClock()))
        assert sense.name == spec
        assert set(sense.counts()) == {"captured", "lost", "retries"}
    assert eventually(lambda: sense.state == "live")
