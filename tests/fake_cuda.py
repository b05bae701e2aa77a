"""CUDA's runtime played on the host: its memory, a stream that works at once, a graph as a list of calls.

It stands in where no GPU is, so that our own lines run. What it cannot show: whether a real GPU agrees.
"""

from __future__ import annotations

import ctypes
from enum import IntEnum
from types import SimpleNamespace


class Error(IntEnum):
    cudaSuccess = 0
    cudaErrorInvalidValue = 1
    cudaErrorMemoryAllocation = 2
    cudaErrorIllegalAddress = 700
    cudaErrorStreamCaptureUnsupported = 900


class FakeCuda:
    """`fail` maps a function's name to the error that its next call is to return."""

    cudaStreamNonBlocking = 1
    cudaEventDefault = 0
    cudaEventRecordExternal = 1
    cudaMemcpyKind = SimpleNamespace(cudaMemcpyHostToDevice=1, cudaMemcpyDeviceToHost=2)
    cudaStreamCaptureMode = SimpleNamespace(cudaStreamCaptureModeThreadLocal=1)

    def __init__(self) -> None:
        self.fail: dict[str, Error] = {}
        self.memory: dict[int, object] = {}
        self.alive: set[int] = set()  # streams, events and graphs
        self.graphs: dict[int, list] = {}
        self.capturing: list | None = None
        self.clock_ms = 0.0
        self.passed: dict[int, float] = {}
        self.waits: list[tuple[int, int]] = []
        self.calls: list[str] = []
        self._next = 1000

    def __getattribute__(self, name):
        found = object.__getattribute__(self, name)
        if not name.startswith("cuda") or not callable(found):
            return found

        def call(*arguments):
            self.calls.append(name)
            error = self.fail.pop(name, None)
            if error is not None and name == "cudaStreamEndCapture":
                self.capturing = None  # a capture that failed is over as well
            return (error, None) if error is not None else found(*arguments)

        return call

    def leaks(self) -> int:
        return len(self.memory) + len(self.alive)

    def _made(self):
        self._next += 1
        self.alive.add(self._next)
        return Error.cudaSuccess, self._next

    def _gone(self, handle):
        self.alive.remove(handle)
        return (Error.cudaSuccess,)

    def _do(self, work):
        """Now, or when the graph that is being captured is launched."""
        if self.capturing is None:
            work()
        else:
            self.capturing.append(work)
        return (Error.cudaSuccess,)

    def _allocated(self, nbytes):
        block = ctypes.create_string_buffer(b"\xab" * nbytes, nbytes)  # not zero: nobody may rely on it
        self.memory[ctypes.addressof(block)] = block
        return Error.cudaSuccess, ctypes.addressof(block)

    def _freed(self, address):
        del self.memory[address]
        return (Error.cudaSuccess,)

    def cudaGetErrorName(self, error):
        return Error.cudaSuccess, error.name.encode()

    def cudaGetErrorString(self, error):
        return Error.cudaSuccess, b"it did not work"

    def cudaGetLastError(self):
        return (Error.cudaSuccess,)

    def cudaDriverGetVersion(self):
        return Error.cudaSuccess, 13050

    def cudaGetDeviceCount(self):
        return Error.cudaSuccess, 1

    def cudaGetDeviceProperties(self, index):
        name = b"NVIDIA RTX A6000".ljust(256, b"\0")
        return Error.cudaSuccess, SimpleNamespace(name=name, major=8, minor=6)

    def cudaMalloc(self, nbytes):
        return self._allocated(nbytes)

    def cudaMallocHost(self, nbytes):
        return self._allocated(nbytes)

    def cudaFree(self, address):
        return self._freed(address)

    def cudaFreeHost(self, address):
        return self._freed(address)

    def cudaMemcpyAsync(self, to, source, nbytes, kind, stream):
        return self._do(lambda: ctypes.memmove(to, source, nbytes))

    def cudaStreamCreateWithFlags(self, flags):
        return self._made()

    def cudaStreamDestroy(self, stream):
        return self._gone(stream)

    def cudaStreamSynchronize(self, stream):
        if self.capturing is not None:
            return (Error.cudaErrorStreamCaptureUnsupported,)
        return (Error.cudaSuccess,)

    def cudaStreamWaitEvent(self, stream, event, flags):
        self.waits.append((stream, event))
        return (Error.cudaSuccess,)

    def cudaEventCreateWithFlags(self, flags):
        return self._made()

    def cudaEventDestroy(self, event):
        return self._gone(event)

    def cudaEventRecord(self, event, stream):
        if self.capturing is not None:  # a dependency of the graph, and no mark that it passes
            return (Error.cudaSuccess,)
        return self._do(lambda: self._pass(event))

    def cudaEventRecordWithFlags(self, event, stream, flags):
        if self.capturing is None and flags == self.cudaEventRecordExternal:
            return (Error.cudaErrorInvalidValue,)
        return self._do(lambda: self._pass(event))

    def _pass(self, event):
        self.clock_ms += 1.5
        self.passed[event] = self.clock_ms

    def cudaEventElapsedTime(self, start, end):
        return Error.cudaSuccess, self.passed[end] - self.passed[start]

    def cudaStreamBeginCapture(self, stream, mode):
        self.capturing = []
        return (Error.cudaSuccess,)

    def cudaStreamEndCapture(self, stream):
        error, graph = self._made()
        self.graphs[graph], self.capturing = self.capturing, None
        return error, graph

    def cudaGraphInstantiate(self, graph, flags):
        error, ready = self._made()
        self.graphs[ready] = self.graphs[graph]
        return error, ready

    def cudaGraphLaunch(self, graph, stream):
        for work in self.graphs[graph]:
            work()
        return (Error.cudaSuccess,)

    def cudaGraphDestroy(self, graph):
        return self._gone(graph)

    def cudaGraphExecDestroy(self, graph):
        return self._gone(graph)
