"""The stages of a frame on one device: one CUDA graph on a GPU, one after another on a CPU, each timed.

The very same stages run on both; only how they are started differs.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Final

import torch

from vivant.engines.contract import EngineError
from vivant.engines.cuda import OnFailure

log = logging.getLogger(__name__)

Stage = tuple[str, Callable[[], None]]
"""A stage's name, and what puts its work on torch's current stream without waiting for it."""
WARM_UP: Final = 3  # runs before a capture: libraries choose their kernels and take their memory then


class Mark:
    """A moment in the work of a device."""

    def __init__(self, device: torch.device) -> None:
        on_gpu = device.type == "cuda"
        # external: recorded inside a graph it is passed anew at each launch
        self._event: Any = _event() if on_gpu else None  # types of torch.cuda are not complete
        self._ns = 0

    def pass_by(self) -> None:
        """Put the mark behind what was put on the current stream so far."""
        if self._event is None:
            self._ns = time.perf_counter_ns()
        else:
            self._event.record(torch.cuda.current_stream())

    def ms_since(self, earlier: Mark) -> float:
        """Milliseconds between two marks that both were passed; wait for the stream before."""
        if self._event is None or earlier._event is None:
            return (self._ns - earlier._ns) / 1e6
        return float(earlier._event.elapsed_time(self._event))


class Order:
    """An order of work of its own on a device: a stream on a GPU. One thread."""

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self.stream: Any = _stream(device) if device.type == "cuda" else None

    def __call__(self) -> AbstractContextManager[Any]:
        """What is put on torch's current stream inside goes here."""
        return nullcontext() if self.stream is None else torch.cuda.stream(self.stream)

    def after_others(self) -> None:
        """What comes here waits for what this thread put on torch's current stream."""
        if self.stream is not None:
            self.stream.wait_stream(torch.cuda.current_stream(self.device))

    def wait(self) -> None:
        """Until all that was put here is done: of this order alone, not of the whole device."""
        if self.stream is not None:
            self.stream.synchronize()


class StageGraph:
    """Stages that were captured, or that are run as they are. Memory that they use must stay where it is.

    `refusal` says why there is no graph, empty when there is one; `without_graph` counts the frames that ran
    without one because of it. On a CPU there is none to be had, and nothing to count."""

    def __init__(self, stages: Sequence[Stage], order: Order, on_failure: OnFailure = "stop") -> None:
        """Runs the stages before it captures them. Raises EngineError when the capture fails and `on_failure`
        is "stop"."""
        self._stages, self._order = tuple(stages), order
        self._marks = [Mark(order.device) for _ in range(len(self._stages) + 1)]
        self._graph: torch.cuda.CUDAGraph | None = None
        self.refusal = ""
        self.without_graph = 0
        with order():
            for _ in range(WARM_UP):
                self._put()
        order.wait()
        if order.stream is not None:
            self._capture(order.stream, on_failure)

    def launch(self) -> None:
        """Put one frame on the order's stream; whoever wants its result waits for the order."""
        with self._order():
            if self._graph is not None:
                self._graph.replay()
            else:
                self.without_graph += bool(self.refusal)
                self._put()

    @property
    def first(self) -> Mark:
        """The moment before the first stage."""
        return self._marks[0]

    @property
    def last(self) -> Mark:
        """The moment after the last stage."""
        return self._marks[-1]

    def timings_ms(self) -> dict[str, float]:
        """What each stage of the last frame took on the device. Wait for the order before."""
        pairs = zip(self._stages, self._marks, self._marks[1:], strict=False)
        return {name: after.ms_since(before) for (name, _), before, after in pairs}

    def _put(self) -> None:
        with torch.no_grad():
            self._marks[0].pass_by()
            for (_, put), mark in zip(self._stages, self._marks[1:], strict=True):
                put()
                mark.pass_by()

    def _capture(self, stream: Any, on_failure: OnFailure) -> None:
        graph = torch.cuda.CUDAGraph()
        try:
            # of this thread alone: what other threads do with the GPU meanwhile is no part of the frame
            with torch.cuda.graph(graph, stream=stream, capture_error_mode="thread_local"):
                self._put()
        except RuntimeError as error:
            told = EngineError(
                f"the frame cannot be captured as one CUDA graph: {str(error).splitlines()[0]}. A stage "
                "waited, took memory outside of torch or asked the host. Repair it, or choose no_graph."
            )
            if on_failure != "no_graph":
                raise told from error
            self.refusal = str(told)
            log.warning("policy no_graph: every frame is put together anew, because %s", told)
            return
        self._graph = graph


def _event() -> Any:
    return torch.cuda.Event(enable_timing=True, external=True)  # type: ignore[no-untyped-call]


def _stream(device: torch.device) -> Any:
    return torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
