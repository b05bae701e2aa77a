"""Where sound comes from: a device through PortAudio, or a file in its own time. One registry: `ear_for`."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any, Final, Protocol

import numpy as np

from vivant.runtime.frames import F32, Clock, VivantError
from vivant.runtime.sound.section import DEFAULT, FILE, OFF, SILENT, Sound

FILE_RATE_HZ: Final = 44_100
FILE_BLOCK: Final = 441  # samples: a hundredth of a second
MOST_CHANNELS: Final = 8  # of a device; more are only asked for when one of them is named
GONE_S: Final = 2.0  # a device that says nothing for so long is gone
WAITING_BLOCKS: Final = 200  # two seconds; what an analysis that was held up cannot catch up with is dropped
BEHIND_S: Final = 0.5  # a file that fell back further begins a new time line
INSTALL: Final = "Run: pip install 'vivant[sound]'"
LIBRARY: Final = "Run: sudo apt-get install libportaudio2 (macOS and Windows bring it with sounddevice)"


class SoundError(VivantError):
    """There is no sound to be had, or no more; the message says why and what to do."""


@dataclass(frozen=True, slots=True)
class Block:
    """`samples` float32 (N,) mono in [-1, 1]; the last of them sounded at `ended_ns`."""

    samples: F32
    ended_ns: int


class Ear(Protocol):
    """A source of sound. All of it is used by one thread: the listener's."""

    name: str
    rate_hz: int

    def blocks(self, closed: threading.Event) -> Iterator[Block]:
        """Blocks as they come, until `closed` is set. Raises SoundError when there is no more sound."""

    def close(self) -> None:
        """Free the device or the file."""


class FileEar:
    """The sound of a file (any that PyAV reads, films too), over and over in its own time. It is not
    played aloud. Raises SoundError when it cannot be opened."""

    def __init__(self, path: Path, clock: Clock) -> None:
        self.name, self.rate_hz = path.name, FILE_RATE_HZ
        self._path, self._clock = path, clock
        check_file(path)

    def blocks(self, closed: threading.Event) -> Iterator[Block]:
        began_ns, sent = self._clock.now_ns(), 0
        while not closed.is_set():
            before = sent
            for samples in decoded(self._path, FILE_BLOCK):
                sent += len(samples)
                due_ns = began_ns + round(sent * 1e9 / FILE_RATE_HZ)
                left_s = (due_ns - self._clock.now_ns()) / 1e9
                if left_s > 0 and closed.wait(left_s):
                    return
                if left_s < -BEHIND_S:
                    began_ns -= round(left_s * 1e9)
                yield Block(samples, due_ns)
            if sent == before:
                raise SoundError(f"{self._path} holds no sound")

    def close(self) -> None:
        """Nothing stays open between two blocks that would have to be freed."""


class DeviceEar:
    """A microphone or line in. Raises SoundError when the library, the device or the channel is not there."""

    def __init__(self, device: str, channel: int, clock: Clock) -> None:
        self._clock, self._channel = clock, channel
        self._waiting: SimpleQueue[Block] = SimpleQueue()
        self.dropped = 0
        library = portaudio()
        try:
            found = library.query_devices(None if device == DEFAULT else device, "input")
            self.name = str(found["name"])
            self.rate_hz = int(found["default_samplerate"])
            channels = channels_for(self.name, int(found["max_input_channels"]), channel)
            self._stream = library.InputStream(
                device=found["index"],
                samplerate=self.rate_hz,
                channels=channels,
                dtype="float32",
                blocksize=self.rate_hz // 100,
                latency="low",
                callback=self._hear,
            )
            self._stream.start()
        except (ValueError, library.PortAudioError) as error:
            raise SoundError(f"no sound from '{device}': {error}. See: vivant sound devices") from error

    @property
    def latency_s(self) -> float:
        """What the device says of itself: from the air to us."""
        return float(self._stream.latency)

    def blocks(self, closed: threading.Event) -> Iterator[Block]:
        while not closed.is_set():
            try:
                yield self._waiting.get(timeout=GONE_S)
            except Empty:
                raise SoundError(f"'{self.name}' went silent altogether; is it still plugged in?") from None

    def close(self) -> None:
        self._stream.abort(ignore_errors=True)
        self._stream.close(ignore_errors=True)

    def _hear(self, samples: F32, frames: int, times: Any, status: object) -> None:
        """PortAudio's own thread. `times` are of the stream's clock, which is not ours."""
        if self._waiting.qsize() >= WAITING_BLOCKS:
            self.dropped += 1
            return
        mono = samples.mean(axis=1) if self._channel == 0 else samples[:, self._channel - 1].copy()
        age_s = max(float(times.currentTime) - float(times.inputBufferAdcTime), 0.0)
        began_ns = self._clock.now_ns() - round(min(age_s, 1.0) * 1e9)
        self._waiting.put(Block(mono, began_ns + round(frames * 1e9 / self.rate_hz)))


def ear_for(section: Sound, clock: Clock) -> Callable[[], Ear] | None:
    """Opens what `section` asks for, as often as it is called; None where it asks for nothing."""
    if section.input in (OFF, SILENT):
        return None
    if section.input.startswith(FILE):
        path = Path(section.input.removeprefix(FILE))
        return lambda: FileEar(path, clock)
    return lambda: DeviceEar(section.input, section.channel, clock)


def portaudio() -> Any:
    """The module sounddevice, with the list of devices as it is now. Raises SoundError without it."""
    try:
        import sounddevice
    except ImportError as error:
        raise SoundError(f"no sound: the package sounddevice is not installed. {INSTALL}") from error
    except OSError as error:
        raise SoundError(f"no sound: the library PortAudio is not installed. {LIBRARY}") from error
    try:  # PortAudio looks for devices when it is started, and only then
        sounddevice._terminate()
        sounddevice._initialize()
    except sounddevice.PortAudioError as error:
        raise SoundError(f"no sound: PortAudio does not start: {error}") from error
    return sounddevice


def channels_for(device: str, there: int, wanted: int) -> int:
    """How many channels to open so that `wanted` is among them. Raises SoundError."""
    if there < 1:
        raise SoundError(f"'{device}' has no inputs. See: vivant sound devices")
    if wanted > there:
        raise SoundError(f"'{device}' has {there} input channels, but [sound] channel = {wanted}")
    return max(wanted, min(there, MOST_CHANNELS))


def check_file(path: Path) -> None:
    """Raises SoundError unless the file has a sound track that can be read."""
    import av

    try:
        with av.open(str(path)) as film:
            if not film.streams.audio:
                raise SoundError(f"{path} has no sound track")
    except (OSError, ValueError) as error:
        raise SoundError(f"{path} cannot be heard: {error}") from error


def decoded(path: Path, block: int, rate_hz: int = FILE_RATE_HZ) -> Iterator[F32]:
    """The file's sound once, mono, in blocks of `block` samples; the last may be shorter. Raises SoundError
    when it breaks off."""
    import av

    try:
        with av.open(str(path)) as film:
            if not film.streams.audio:
                raise SoundError(f"{path} has no sound track")
            resampler = av.AudioResampler(format="flt", layout="mono", rate=rate_hz)
            rest = np.zeros(0, np.float32)
            for frame in _frames(film, resampler):
                rest = np.concatenate([rest, frame])
                whole = len(rest) // block * block
                for begin in range(0, whole, block):
                    yield rest[begin : begin + block]
                rest = rest[whole:]
            if len(rest):
                yield rest
    except (OSError, ValueError) as error:
        raise SoundError(f"{path} cannot be heard to its end: {error}") from error


def _frames(film: Any, resampler: Any) -> Iterator[F32]:
    for frame in film.decode(film.streams.audio[0]):
        for made in resampler.resample(frame):
            yield made.to_ndarray().reshape(-1)
    for made in resampler.resample(None):
        yield made.to_ndarray().reshape(-1)
