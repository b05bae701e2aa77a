"""Streams, events, memory that never moves and graphs on an NVIDIA GPU, over cuda-bindings.

Each object is made before the show, closed by who made it, and used by one thread. Nothing is allocated
between making and closing. The GPU is the first that CUDA_VISIBLE_DEVICES leaves.
"""

from __future__ import annotations

import ctypes
import importlib
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import prod
from types import TracebackType
from typing import Any, Final, Literal, Self

import numpy as np

from vivant.engines.contract import EngineError
from vivant.engines.dlpack import CUDA, View, lend
from vivant.runtime.frames import Array

log = logging.getLogger(__name__)

OnFailure = Literal["stop", "no_graph"]
"""What happens when a graph cannot be captured: the show does not start, or it runs without a graph, which
is told at start and counted for each frame."""
Stage = tuple[str, Callable[["Stream"], None]]
"""A stage's name, and what puts its work on a stream without waiting for it."""

LOST: Final = "The GPU is lost to this process: start the render process again, and look for Xid in dmesg."
REMEDIES: Final = {
    "cudaErrorMemoryAllocation": "Its memory is full: nvidia-smi shows who holds it. End that, or ask for a "
    "smaller size.",
    "cudaErrorInsufficientDriver": "The NVIDIA driver is missing or too old for this CUDA. Install driver "
    "580 or newer, restart, and run: vivant doctor",
    "cudaErrorNoDevice": "No NVIDIA GPU is to be seen. Look at nvidia-smi and at CUDA_VISIBLE_DEVICES.",
    "cudaErrorSystemDriverMismatch": "The driver was updated under the running system. Restart the machine.",
    "cudaErrorIllegalAddress": LOST,
    "cudaErrorLaunchFailure": LOST,
    "cudaErrorLaunchTimeout": LOST,
    "cudaErrorHardwareStackError": LOST,
    "cudaErrorIllegalInstruction": LOST,
    "cudaErrorMisalignedAddress": LOST,
    "cudaErrorECCUncorrectable": LOST,
    "cudaErrorAssert": LOST,
}
CAPTURE: Final = (
    "A stage waited, allocated or used the default stream, which no graph can record. Repair the stage, or "
    "choose the policy no_graph."
)


def cudart() -> Any:  # Any: cuda-bindings is optional
    """The CUDA runtime. Raises EngineError when cuda-bindings is not installed."""
    try:
        return importlib.import_module("cuda.bindings.runtime")
    except ImportError as error:
        raise EngineError(
            f"cuda-bindings cannot be imported ({error}). Run: pip install 'vivant[nvidia]'"
        ) from error


def checked(result: tuple[Any, ...], doing: str) -> Any:
    """What a call of the runtime gave beside its error code. Raises EngineError for any code but success;
    `doing` says what was tried."""
    error, *values = result
    if int(error):
        rt = cudart()
        name, text = (bytes(ask(error)[1]).decode() for ask in (rt.cudaGetErrorName, rt.cudaGetErrorString))
        remedy = CAPTURE if name.startswith("cudaErrorStreamCapture") else REMEDIES.get(name, "")
        raise EngineError(f"CUDA failed while {doing}: {text} ({name}). {remedy}".rstrip())
    return values[0] if values else None


@dataclass(frozen=True, slots=True)
class Gpu:
    """The GPU in use: `capability` is its SM version; `driver` the newest CUDA that the driver knows."""

    name: str
    capability: tuple[int, int]
    driver: tuple[int, int]

    def __str__(self) -> str:
        return f"{self.name} (SM {self.capability[0]}.{self.capability[1]})"


def gpu() -> Gpu:
    """The GPU in use. Raises EngineError where there is none, or no driver for it."""
    rt = cudart()
    driver = checked(rt.cudaDriverGetVersion(), "asking for the driver")
    checked(rt.cudaGetDeviceCount(), "looking for a GPU")
    properties = checked(rt.cudaGetDeviceProperties(0), "asking what the GPU is")
    name = bytes(properties.name).rstrip(b"\0").decode()
    return Gpu(name, (properties.major, properties.minor), (driver // 1000, driver % 1000 // 10))


class _Owned:
    """What is closed at the end of a with block; closing twice is no error."""

    def close(self) -> None:
        raise NotImplementedError

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class Stream(_Owned):
    """An order of work of its own: it never waits for the default stream."""

    def __init__(self) -> None:
        self._rt = cudart()
        made = self._rt.cudaStreamCreateWithFlags(self._rt.cudaStreamNonBlocking)
        self.handle = int(checked(made, "making a stream"))

    def synchronize(self) -> None:
        """Waits until all that was put on this stream is done. Raises EngineError for what failed in it."""
        checked(self._rt.cudaStreamSynchronize(self.handle), "waiting for a frame")

    def close(self) -> None:
        if self.handle:
            handle, self.handle = self.handle, 0
            checked(self._rt.cudaStreamDestroy(handle), "giving a stream back")


class Event(_Owned):
    """A mark in a stream, with the time at which the GPU passed it."""

    def __init__(self) -> None:
        self._rt = cudart()
        made = self._rt.cudaEventCreateWithFlags(self._rt.cudaEventDefault)
        self.handle = int(checked(made, "making an event"))

    def record(self, stream: Stream, in_graph: bool = False) -> None:
        """Puts the mark on `stream`; `in_graph` while it is captured, so that each launch passes it anew."""
        rt = self._rt
        if in_graph:
            made = rt.cudaEventRecordWithFlags(self.handle, stream.handle, rt.cudaEventRecordExternal)
        else:
            made = rt.cudaEventRecord(self.handle, stream.handle)
        checked(made, "marking a stage")

    def ms_since(self, earlier: Event) -> float:
        """Milliseconds between two marks that both were passed: synchronize the stream before."""
        return float(checked(self._rt.cudaEventElapsedTime(earlier.handle, self.handle), "timing a stage"))

    def close(self) -> None:
        if self.handle:
            handle, self.handle = self.handle, 0
            checked(self._rt.cudaEventDestroy(handle), "giving an event back")


class Pinned(_Owned):
    """Host memory that the GPU reads and writes by itself; `array` is a numpy view of it, gone at close."""

    def __init__(self, shape: tuple[int, ...], dtype: str) -> None:
        self._rt = cudart()
        self.nbytes = prod(shape) * np.dtype(dtype).itemsize
        doing = f"taking {self.nbytes} bytes of pinned memory"
        self.address = int(checked(self._rt.cudaMallocHost(self.nbytes), doing))
        memory = memoryview((ctypes.c_uint8 * self.nbytes).from_address(self.address))
        self.array: Array = np.frombuffer(memory, dtype).reshape(shape)
        self.array[...] = 0

    def close(self) -> None:
        if self.address:
            address, self.address = self.address, 0
            self.array = np.empty(0, np.uint8)
            checked(self._rt.cudaFreeHost(address), "giving pinned memory back")


class DeviceBuffer(_Owned):
    """A C-contiguous array in GPU memory that stays where it is. torch, CuPy, PyCUDA and other engines use
    it in place through DLPack and __cuda_array_interface__; what was lent is freed when it comes back."""

    def __init__(self, shape: tuple[int, ...], dtype: str, stream: Stream | None = None) -> None:
        """`stream` is where the array is written, for borrowers that want to wait for it."""
        self._rt = cudart()
        self.shape, self.dtype = shape, dtype
        self.nbytes = prod(shape) * np.dtype(dtype).itemsize
        doing = f"taking {self.nbytes} bytes of GPU memory"
        self.address = int(checked(self._rt.cudaMalloc(self.nbytes), doing))
        self._stream = stream
        self._lent = 0
        self._closed = False

    def view(self) -> View:
        """This array as an engine binds it."""
        return View(self.address, self.shape, self.dtype, self)

    @property
    def __cuda_array_interface__(self) -> dict[str, Any]:
        self._refuse_closed()
        return {
            "version": 3,
            "shape": self.shape,
            "typestr": np.dtype(self.dtype).str,
            "data": (self.address, False),
            "strides": None,
            "stream": self._stream.handle if self._stream else None,
        }

    def __dlpack__(self, *, stream: int | None = None, **_: Any) -> Any:  # later versions' wishes: unused
        self._refuse_closed()
        if self._stream is not None and stream != -1:
            with Event() as written:  # the borrower's stream goes on when this array is written
                written.record(self._stream)
                waiting = self._rt.cudaStreamWaitEvent(1 if stream is None else stream, written.handle, 0)
                checked(waiting, "letting a borrower wait")
        self._lent += 1
        return lend(self.address, self.shape, self.dtype, self._returned)

    def __dlpack_device__(self) -> tuple[int, int]:
        return CUDA, 0

    def close(self) -> None:
        self._closed = True
        if self.address and not self._lent:
            address, self.address = self.address, 0
            checked(self._rt.cudaFree(address), "giving GPU memory back")

    def _returned(self) -> None:
        self._lent -= 1
        if self._closed:
            self.close()

    def _refuse_closed(self) -> None:
        if self._closed:
            raise EngineError(f"a GPU array of shape {self.shape} is closed and cannot be lent any more")


def upload(to: View, source: Pinned, stream: Stream) -> None:
    """Puts the copy of pinned memory to the GPU on `stream`."""
    rt = cudart()
    kind = rt.cudaMemcpyKind.cudaMemcpyHostToDevice
    checked(rt.cudaMemcpyAsync(to.address, source.address, to.nbytes, kind, stream.handle), "uploading")


def download(to: Pinned, source: View, stream: Stream) -> None:
    """Puts the copy of GPU memory to pinned memory on `stream`."""
    rt = cudart()
    kind = rt.cudaMemcpyKind.cudaMemcpyDeviceToHost
    checked(rt.cudaMemcpyAsync(to.address, source.address, to.nbytes, kind, stream.handle), "downloading")


class FrameGraph(_Owned):
    """The stages of a whole frame on one stream, recorded as one CUDA graph, with a time for each stage.

    Memory that the stages use must stay where it is for as long as this lives. `refusal` says why there is
    no graph, empty when there is one; `without_graph` counts the frames that ran without."""

    def __init__(self, stages: Sequence[Stage], stream: Stream, on_failure: OnFailure = "stop") -> None:
        """Runs the stages once as they are, since first runs load kernels and take memory, which no graph
        may record; then captures them. Raises EngineError when that fails and `on_failure` is "stop"."""
        self._rt = cudart()
        self._stages, self._stream = tuple(stages), stream
        self._graph = 0
        self.refusal = ""
        self.without_graph = 0
        self._marks = [Event() for _ in range(len(self._stages) + 1)]
        try:
            self._put(in_graph=False)
            stream.synchronize()
            self._capture(on_failure)
        except BaseException:
            self.close()
            raise

    def launch(self) -> None:
        """Puts one frame on the stream; whoever wants its result synchronizes the stream."""
        if self._graph:
            checked(self._rt.cudaGraphLaunch(self._graph, self._stream.handle), "launching the frame's graph")
        else:
            self.without_graph += 1
            self._put(in_graph=False)

    def timings_ms(self) -> dict[str, float]:
        """What each stage of the last frame took on the GPU. Synchronize the stream before."""
        pairs = zip(self._stages, self._marks, self._marks[1:], strict=False)
        return {name: after.ms_since(before) for (name, _), before, after in pairs}

    def close(self) -> None:
        if self._graph:
            graph, self._graph = self._graph, 0
            checked(self._rt.cudaGraphExecDestroy(graph), "giving a graph back")
        for mark in self._marks:
            mark.close()

    def _put(self, in_graph: bool) -> None:
        self._marks[0].record(self._stream, in_graph)
        for (_, put), mark in zip(self._stages, self._marks[1:], strict=True):
            put(self._stream)
            mark.record(self._stream, in_graph)

    def _capture(self, on_failure: OnFailure) -> None:
        try:
            self._graph = self._captured()
        except EngineError as error:
            if on_failure != "no_graph":
                raise
            self._rt.cudaGetLastError()  # told here; else the next library to ask would take it for its own
            self.refusal = str(error)
            log.warning("policy no_graph: every frame is put together anew, because %s", error)

    def _captured(self) -> int:
        rt, handle = self._rt, self._stream.handle
        # of this thread alone: what other threads do with the GPU meanwhile is no part of the frame
        mode = rt.cudaStreamCaptureMode.cudaStreamCaptureModeThreadLocal
        checked(rt.cudaStreamBeginCapture(handle, mode), "beginning to capture the frame")
        try:
            self._put(in_graph=True)
        except BaseException:
            error, graph = rt.cudaStreamEndCapture(handle)  # ends it; why it failed is known already
            if not int(error):
                rt.cudaGraphDestroy(graph)
            raise
        graph = checked(rt.cudaStreamEndCapture(handle), "capturing the frame")
        try:
            return int(checked(rt.cudaGraphInstantiate(graph, 0), "making the frame's graph ready"))
        finally:
            checked(rt.cudaGraphDestroy(graph), "giving the captured graph back")
