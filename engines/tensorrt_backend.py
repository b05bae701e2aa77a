"""TensorRT on an NVIDIA GPU: runs the engines that vivant.engines.tensorrt_build built for this machine.

Written for TensorRT 10 and 11. Every network is strongly typed: what the graph says is what runs.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from importlib.util import find_spec
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Self

import numpy as np

from vivant.engines.buildable import Machine, Unbuilt
from vivant.engines.contract import Availability, EngineError, GraphSource, Part, TensorSpec
from vivant.engines.cuda import (
    DeviceBuffer,
    FrameGraph,
    OnFailure,
    Pinned,
    Stream,
    download,
    gpu,
    upload,
)
from vivant.engines.dlpack import View, borrow
from vivant.engines.specs import Specs, check_arrays, check_names, tensor_specs
from vivant.engines.tensorrt_plans import Size, any_built, build_command, find_plan
from vivant.runtime.frames import Array

if TYPE_CHECKING:
    from torch import Tensor, device

log = logging.getLogger(__name__)

LINES: Final = (10, 11)  # of TensorRT, that this was written for
OLDEST: Final = (7, 5)  # SM version: INT8 tensor cores, and what TensorRT 11 still knows
REMEDY: Final = "Run: pip install 'vivant[nvidia]'"


def available() -> Availability:
    """Whether TensorRT, cuda-bindings, a driver and a GPU that fits are here. Imports them (a second)."""
    try:
        import tensorrt as trt
    except (ImportError, OSError) as error:
        return Availability(False, "", f"tensorrt cannot be imported ({error}). {REMEDY}")
    version = str(trt.__version__)
    if int(version.split(".")[0]) not in LINES:
        lines = " and ".join(f"{line}.x" for line in LINES)
        return Availability(False, version, f"tensorrt {version} is neither of {lines}. {REMEDY}")
    try:
        found = gpu()  # before any Runtime: made without a driver, one crashes the process when it is used
    except EngineError as error:
        return Availability(False, version, str(error))
    if found.capability < OLDEST:
        needed = ".".join(map(str, OLDEST))
        return Availability(
            False, version, f"{found} is too old: TensorRT wants SM {needed} or newer. Use another backend."
        )
    return Availability(True, version, str(found))


def ready() -> Availability:
    """As `available`, and whether engines were built here for this GPU and this version."""
    found = available()
    if not found.usable or any_built(gpu(), found.version):
        return found
    return Availability(
        False, found.version, "no engine was built for this GPU. Run: vivant engines build house"
    )


def load(source: GraphSource, size_px: Size, threads: int) -> TensorrtEngine:
    """One part at one size, from the engine that was built for this GPU. `threads` means nothing to a GPU.
    Raises EngineError, with the command that builds it, when there is none or it is of something else."""
    found = available()
    if not found.usable:
        raise EngineError(f"backend tensorrt cannot be used: {found.reason}")
    specs = tensor_specs(source.card, source.part, size_px)
    plan, profile = find_plan(source, size_px, gpu(), found.version)
    name = f"{source.card.name}.{source.part}"
    try:
        return TensorrtEngine(plan, profile, specs, name, source.precision)
    except (RuntimeError, ValueError, TypeError) as error:  # how its bindings tell what its log does not
        raise EngineError(
            f"TensorRT cannot make ready {name}: {error}. Run: {build_command(source, [size_px])}"
        ) from error


def unbuilt(source: GraphSource, sizes_px: Sequence[Size], machine: Machine) -> list[Unbuilt]:
    """What the builder compiles. Raises EngineError."""
    from vivant.engines.tensorrt_build import unbuilt as engines_of  # onnx is needed there, not in a show

    return engines_of(source, sizes_px, machine)


def here() -> tuple[str, str]:
    """The version that builds, and the GPU that it builds for. Raises EngineError without one."""
    return available().version, str(gpu())


class TensorrtEngine:
    """One part at one size, with its arrays in GPU memory and pinned memory to reach them from numpy.

    `run` is the contract: numpy in, numpy out. For a chain without copies `bind` joins the output of one
    part to the input of the next, before anything is recorded; `put` only puts the work on a stream.
    """

    def __init__(
        self, plan: bytes, profile: int, specs: tuple[Specs, Specs], graph: str, precision: str
    ) -> None:
        self.inputs, self.outputs = specs
        self.ran_precision = {"int8": "int8+f16", "float": "f32"}[precision]
        self.bound: set[str] = set()  # to memory of somebody else
        self.fixed = False  # part of a captured frame
        self.device = _torch_device()
        """Where torch's tensors may be handed over (put_tensors); None where torch is not here for CUDA."""
        self._elsewhere = False  # pointed to tensors of torch
        self._graph = graph
        self._context: Any = None  # Any: TensorRT is optional
        self._open = ExitStack()
        self._stream = self._open.enter_context(Stream())
        try:
            self._log, self._runtime, self._engine = _deserialized(plan, graph)
            self._check_engine()
            self._context = self._made_context(profile)
            every = (*self.inputs, *self.outputs)
            self._staging: dict[str, Pinned] = {}
            self.buffers: dict[str, View] = {}
            for spec in every:
                self._staging[spec.name] = self._open.enter_context(Pinned(spec.shape, spec.dtype))
                own = self._open.enter_context(DeviceBuffer(spec.shape, spec.dtype, self._stream))
                self.buffers[spec.name] = own.view()
                self._point(spec.name, own.address)
            missing = self._context.infer_shapes()
            if missing:
                raise EngineError(f"{graph} still wants {', '.join(missing)}. Export the student anew.")
            self.put(self._stream)  # first runs load kernels and take memory
            self._stream.synchronize()
        except BaseException:
            self.close()
            raise

    def run(self, inputs: Mapping[str, Array], outputs: Mapping[str, Array]) -> None:
        if self._context is None:
            raise EngineError(f"{self._graph} is closed")
        check_arrays(self.inputs, inputs, self._graph)
        check_arrays(self.outputs, outputs, self._graph)
        for spec in self.inputs:
            np.copyto(self._staging[spec.name].array, inputs[spec.name])
            upload(self.buffers[spec.name], self._staging[spec.name], self._stream)
        self.put(self._stream)
        for spec in self.outputs:
            download(self._staging[spec.name], self.buffers[spec.name], self._stream)
        self._stream.synchronize()
        for spec in self.outputs:
            np.copyto(outputs[spec.name], self._staging[spec.name].array)

    def put(self, stream: Stream) -> None:
        """Puts one run on `stream`, from and into the arrays in GPU memory, and does not wait for it."""
        if self._context is None:
            raise EngineError(f"{self._graph} is closed")
        if self._elsewhere:
            for name, view in self.buffers.items():
                self._point(name, view.address)
            self._elsewhere = False
        self._execute(stream.handle)

    def put_tensors(self, tensors: Mapping[str, Tensor]) -> None:
        """Puts one run on torch's current stream, from and into its tensors by name, inputs and outputs, and
        does not wait for it. They must live until it is done. Raises EngineError for one that does not
        fit."""
        import torch

        if self._context is None:
            raise EngineError(f"{self._graph} is closed")
        for spec in (*self.inputs, *self.outputs):
            given = tensors[spec.name]
            kind = str(given.dtype).removeprefix("torch.")
            if (tuple(given.shape), kind) != (spec.shape, spec.dtype) or not given.is_contiguous():
                raise EngineError(
                    f"{self._graph} was loaded for {spec.name} {spec.dtype} {spec.shape}, contiguous, "
                    f"but was to run on {kind} {tuple(given.shape)}"
                )
            self._point(spec.name, given.data_ptr())
        self._elsewhere = True
        self._execute(torch.cuda.current_stream().cuda_stream)

    def bind(self, name: str, array: View | Any) -> None:  # Any: an array of any GPU library
        """Makes `array` (C-contiguous, in GPU memory) the tensor `name` from now on, and keeps it alive.
        Raises EngineError for one that does not fit, and for any once a frame was captured."""
        spec = self._spec(name)
        if self.fixed:
            raise EngineError(
                f"{self._graph} is part of a captured frame, so its memory must stay where it is. Bind "
                f"{name} before, or load the engine anew."
            )
        view = array if isinstance(array, View) else borrow(array)
        if (view.shape, view.dtype) != (spec.shape, spec.dtype):
            raise EngineError(
                f"{self._graph} was loaded for {name} {spec.dtype} {spec.shape}, "
                f"but was to be bound to {view.dtype} {view.shape}"
            )
        self._point(name, view.address)
        self.bound.add(name)
        self.buffers[name] = view  # what lay there before stays with this engine until it closes

    def staged(self, name: str) -> Pinned:
        """The pinned memory of a tensor: what to fill before a captured frame, or to read after it."""
        self._spec(name)
        return self._staging[name]

    def close(self) -> None:
        self._context = self._engine = self._runtime = None  # in this order, each before what made it
        self._open.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _spec(self, name: str) -> TensorSpec:
        for spec in (*self.inputs, *self.outputs):
            if spec.name == name:
                return spec
        names = ", ".join(spec.name for spec in (*self.inputs, *self.outputs))
        raise EngineError(f"{self._graph} has no tensor '{name}'; it has: {names}")

    def _check_engine(self) -> None:
        """The engine's tensors must be those of the contract, by name, direction and type."""
        import tensorrt as trt

        engine = self._engine
        names = [engine.get_tensor_name(index) for index in range(engine.num_io_tensors)]
        for specs, mode in ((self.inputs, trt.TensorIOMode.INPUT), (self.outputs, trt.TensorIOMode.OUTPUT)):
            check_names(specs, [name for name in names if engine.get_tensor_mode(name) == mode], self._graph)
        kinds = {"uint8": trt.DataType.UINT8, "float32": trt.DataType.FLOAT}
        for spec in (*self.inputs, *self.outputs):
            found = engine.get_tensor_dtype(spec.name)
            if found != kinds[spec.dtype]:
                raise EngineError(
                    f"{self._graph} was built with {spec.name} as {found}, but a student's must be "
                    f"{spec.dtype}. Export the student anew."
                )

    def _made_context(self, profile: int) -> Any:
        engine = self._engine
        if profile >= engine.num_optimization_profiles:
            raise EngineError(
                f"{self._graph} was built with {engine.num_optimization_profiles} profiles, and its manifest "
                f"promises profile {profile}. Delete its folder and build it anew."
            )
        context = engine.create_execution_context()
        if context is None:
            raise EngineError(
                f"TensorRT cannot make ready {self._graph}: GPU memory is likely full. nvidia-smi shows who "
                "holds it."
            )
        chosen = context.set_optimization_profile_async(profile, self._stream.handle)
        self._stream.synchronize()
        for spec in self.inputs:
            chosen = chosen and context.set_input_shape(spec.name, spec.shape)
        if not chosen:
            raise EngineError(f"{self._graph} does not take its own shapes. Build the engine anew.")
        return context

    def _point(self, name: str, address: int) -> None:
        if not self._context.set_tensor_address(name, address):
            raise EngineError(f"TensorRT does not take the memory that was given for {self._graph}.{name}")

    def _execute(self, stream: int) -> None:
        if not self._context.execute_async_v3(stream):
            raise EngineError(
                f"TensorRT would not run {self._graph}; its log says why. Build the engine anew."
            )


def capture(
    engines: Mapping[Part, TensorrtEngine],
    stream: Stream,
    wanted: Mapping[Part, Sequence[str]],
    on_failure: OnFailure = "stop",
) -> FrameGraph:
    """Several parts, in their order, as one graph: inputs that are bound to nothing are uploaded from
    pinned memory, and the `wanted` outputs are downloaded to it (`TensorrtEngine.staged`). Bind parts to
    each other before, and close the graph before them. Raises EngineError when it cannot be captured and
    `on_failure` is "stop"."""

    def stage(engine: TensorrtEngine, outputs: Sequence[str]) -> Any:
        given = [spec.name for spec in engine.inputs if spec.name not in engine.bound]

        def put(on: Stream) -> None:
            for name in given:
                upload(engine.buffers[name], engine.staged(name), on)
            engine.put(on)
            for name in outputs:
                download(engine.staged(name), engine.buffers[name], on)

        return put

    stages = [(part, stage(engine, wanted.get(part, ()))) for part, engine in engines.items()]
    for engine in engines.values():
        engine.fixed = True
    return FrameGraph(stages, stream, on_failure)


def _torch_device() -> device | None:
    if find_spec("torch") is None:
        return None
    import torch

    return torch.device("cuda", 0) if torch.cuda.is_available() else None


def logger() -> Any:
    """TensorRT's log in ours, and its last errors for whoever explains a failure: `.errors`."""
    import tensorrt as trt

    class Log(trt.ILogger):  # type: ignore[misc]
        def __init__(self) -> None:
            trt.ILogger.__init__(self)
            self.errors: list[str] = []

        def log(self, severity: Any, msg: str) -> None:
            if severity in (trt.ILogger.Severity.INTERNAL_ERROR, trt.ILogger.Severity.ERROR):
                self.errors = [*self.errors[-2:], msg]
                log.error("tensorrt: %s", msg)
            elif severity == trt.ILogger.Severity.WARNING:
                log.warning("tensorrt: %s", msg)
            else:
                log.debug("tensorrt: %s", msg)

    return Log()


def _deserialized(plan: bytes, graph: str) -> tuple[Any, Any, Any]:
    import tensorrt as trt

    told = logger()
    runtime = trt.Runtime(told)
    engine = runtime.deserialize_cuda_engine(plan)
    if engine is None:
        reason = "; ".join(told.errors) or "its log says why"
        raise EngineError(
            f"TensorRT {trt.__version__} cannot load the engine of {graph}: {reason}. Delete its folder and "
            "build it anew."
        )
    return told, runtime, engine
