"""Where sound comes from: files in their own time, devices that are not there, and an ear that is lost."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from vivant.runtime.frames import ManualClock, MonotonicClock, VivantError
from vivant.runtime.scene import change_scene, find_scene, load_scene, tree_of
from vivant.runtime.sound.ears import (
    FILE_BLOCK,
    FILE_RATE_HZ,
    Block,
    DeviceEar,
    FileEar,
    SoundError,
    channels_for,
    check_file,
    decoded,
    ear_for,
)
from vivant.runtime.sound.listening import RETRY_S, SoundSource
from vivant.runtime.sound.music import song, write_wav
from vivant.runtime.sound.section import SIGNALS, Sound, named_input, sound_parameters
from vivant.runtime.tree import Tree

ON = {"input": "default"}


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("sound") / "song.wav"
    write_wav(song([120.0] * 4), path)
    return path


class FakeWait(threading.Event):
    """An event whose waits move a clock and do not wait."""

    def __init__(self, clock: ManualClock) -> None:
        super().__init__()
        self.clock = clock

    def wait(self, timeout: float | None = None) -> bool:
        self.clock.advance_s(timeout or 0.0)
        return self.is_set()


def test_a_file_is_decoded_as_it_was_written(recording: Path) -> None:
    piece = song([120.0] * 4)
    found = np.concatenate(list(decoded(recording, FILE_BLOCK)))
    assert len(found) == len(piece.samples)
    assert np.allclose(found, piece.samples, atol=1e-4)  # 16 bits


def test_a_file_is_played_in_its_own_time_over_and_over(recording: Path) -> None:
    clock = ManualClock(5_000_000_000)
    closed = FakeWait(clock)
    blocks = FileEar(recording, clock).blocks(closed)
    length = len(song([120.0] * 4).samples)
    sent = 0
    for block in blocks:
        sent += len(block.samples)
        assert block.ended_ns == pytest.approx(5e9 + sent * 1e9 / FILE_RATE_HZ, abs=10)
        assert clock.now_ns() == pytest.approx(block.ended_ns, abs=10)
        if sent > 2.5 * length:
            closed.set()
    assert sent == pytest.approx(2.5 * length, abs=2 * FILE_BLOCK)


def test_a_file_that_fell_far_behind_goes_on_from_now(recording: Path) -> None:
    clock = ManualClock()
    blocks = FileEar(recording, clock).blocks(FakeWait(clock))
    next(blocks)
    clock.advance_s(30.0)
    next(blocks)
    assert abs(next(blocks).ended_ns - clock.now_ns()) < 30_000_000


def test_what_holds_no_sound_is_refused(tmp_path: Path) -> None:
    text = tmp_path / "words.wav"
    text.write_text("no sound at all")
    with pytest.raises(SoundError, match="cannot be heard"):
        check_file(text)
    with pytest.raises(SoundError, match="cannot be heard"):
        FileEar(tmp_path / "absent.wav", ManualClock())


def test_a_device_that_is_not_there_is_one_clear_line() -> None:
    with pytest.raises(SoundError) as found:
        DeviceEar("no such microphone", 0, MonotonicClock())
    assert "\n" not in str(found.value)
    assert "vivant sound devices" in str(found.value) or "Run:" in str(found.value)


def test_the_channels_that_are_opened_hold_the_one_that_is_wanted() -> None:
    assert channels_for("mixer", 2, 0) == 2
    assert channels_for("mixer", 64, 0) == 8
    assert channels_for("mixer", 64, 17) == 17
    with pytest.raises(SoundError, match="has 2 input channels"):
        channels_for("mixer", 2, 3)
    with pytest.raises(SoundError, match="has no inputs"):
        channels_for("speaker", 0, 0)


class Played:
    """An ear of given blocks; then it breaks off."""

    name, rate_hz = "played", FILE_RATE_HZ

    def __init__(self, blocks: list[Block]) -> None:
        self._blocks = blocks
        self.closed = False

    def blocks(self, closed: threading.Event) -> Iterator[Block]:
        yield from self._blocks
        raise SoundError("the cable was pulled")

    def close(self) -> None:
        self.closed = True


def source_of(opened: object) -> SoundSource:
    values = Tree(tuple(sound_parameters(ON))).current
    return SoundSource(Sound(input="default"), opened, values)  # type: ignore[arg-type]


def wait_for(true: object) -> None:
    until_s = time.monotonic() + 10.0
    while not true():  # type: ignore[operator]
        assert time.monotonic() < until_s, "nothing happened for ten seconds"
        time.sleep(0.005)


def test_what_is_heard_becomes_signals_and_is_forgotten_when_the_ear_is_lost() -> None:
    samples = song([120.0] * 8).samples
    ended_ns = round(len(samples) * 1e9 / FILE_RATE_HZ)
    ears: list[Played] = []

    def opened() -> Played:
        if ears:
            raise SoundError("there is none")
        ears.append(Played([Block(samples[:-FILE_RATE_HZ], ended_ns - 1_000_000_000)]))
        return ears[-1]

    source = source_of(opened)
    try:
        wait_for(lambda: source.counts()["lost"] == 1)
        found = source.signals(ended_ns - 900_000_000)
        assert set(found) <= set(SIGNALS)
        assert found["sound_level"] > 0.3
        assert source.counts()["onsets"] > 10
        assert source.counts()["reason"] == "the cable was pulled"
        assert ears[0].closed
        assert source.signals(ended_ns + 5_000_000_000) == {}
    finally:
        source.close()


def test_a_fault_of_a_driver_ends_nothing_and_it_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vivant.runtime.sound.listening.RETRY_S", 0.01)
    assert RETRY_S > 1.0
    tries: list[int] = []

    def opened() -> Played:
        tries.append(1)
        raise RuntimeError("a driver's own trouble")

    source = source_of(opened)
    try:
        wait_for(lambda: len(tries) > 3)
        assert source.counts()["lost"] == 1
        assert "driver's own trouble" in source.counts()["reason"]
        assert source.signals(10**10) == {}
    finally:
        source.close()


def test_shaders_are_given_what_is_heard() -> None:
    samples = song([120.0] * 4).samples
    given: list[tuple[tuple[int, ...], tuple[int, ...]]] = []
    source = source_of(lambda: Played([Block(samples, 10**9)]))
    source.seen = lambda samples, spectrum: given.append((samples.shape, spectrum.shape))
    try:
        wait_for(lambda: source.counts()["frames"] > 0)
        source.signals(10**9)
        assert given == [((1, 1024), (1, 513))]
    finally:
        source.close()


def test_no_input_is_no_ear() -> None:
    assert ear_for(Sound(), MonotonicClock()) is None
    assert SoundSource.of(Sound(), MonotonicClock(), {}) is None


def test_a_scene_names_its_ear_and_gets_its_parameters(tmp_path: Path, recording: Path) -> None:
    scene = tmp_path / "piece.toml"
    scene.write_text(f'title = "P"\ninput = "performer"\n[sound]\ninput = "file:{recording}"\n')
    tree = tree_of(load_scene(scene))
    assert tree.value("/vivant/sound/release_s") == 0.25
    scene.write_text('title = "P"\ninput = "performer"\n')
    assert "/vivant/sound/release_s" not in tree_of(load_scene(scene)).parameters


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('input = "file:absent.wav"', "there is no file"),
        ('input = ""', 'should be "off", "silent", "default"'),
        ('input = "default"\nlow_hz = 900.0\nhigh_hz = 400.0', "low_hz should be below high_hz"),
        ('inptu = "default"', "did you mean 'input'?"),
    ],
)
def test_a_section_that_is_wrong_is_a_problem_of_the_scene(tmp_path: Path, text: str, message: str) -> None:
    scene = tmp_path / "piece.toml"
    scene.write_text(f'title = "P"\ninput = "performer"\n[sound]\n{text}\n')
    with pytest.raises(VivantError) as found:
        load_scene(scene)
    assert message in str(found.value)


def test_on_the_command_line_a_file_needs_no_word_before_it(recording: Path) -> None:
    assert named_input(str(recording)) == f"file:{recording}"
    assert named_input("off") == "silent"
    assert named_input("default") == "default"
    assert named_input(f"file:{recording}") == f"file:{recording}"


def test_a_scene_made_for_sound_runs_without_and_opens_nothing() -> None:
    scene = change_scene(load_scene(find_scene("pulse")), {"sound.input": "silent"})
    assert scene.sound.input == "silent" and ear_for(scene.sound, MonotonicClock()) is None
    with pytest.raises(VivantError, match="silence"):
        change_scene(load_scene(find_scene("pulse")), {"sound.input": "off"})
