"""OpenVINO on the CPU: the default where there is no NVIDIA GPU."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from functools import partial
from types import TracebackType
from typing import Any, Self

import numpy as np

from vivant.engines.buildable import (
    Machine,
    Share,
    Size,
    Unbuilt,
    kept_or_compiled,
    manifest_of,
    refuse_gpu_wishes,
)
from vivant.engines.card import read_checked, read_graph
from vivant.engines.contract import Availability, EngineError, GraphSource
from vivant.engines.openvino_graph import WORN, convolve_worn
from vivant.engines.specs import Specs, check_arrays, check_names, tensor_specs
from vivant.runtime.frames import Array

HEAVY = {"Convolution", "GroupConvolution", "Deconvolution", "MatMul", "FullyConnected"}
INTEGER = {"i8", "u8"}
BF16_BESIDE = "bf16 beside int8"


def available() -> Availability:
    """Whether OpenVINO is installed and finds a CPU. Imports it (about half a second)."""
    try:
        import openvino
    except (ImportError, OSError) as error:
        return Availability(False, "", f"openvino cannot be imported ({error}). Run: pip install openvino")
    version = openvino.__version__.split("-")[0]
    if "CPU" not in openvino.Core().available_devices:
        return Availability(
            False, version, "openvino finds no CPU device. Run: pip install --force-reinstall openvino"
        )
    return Availability(True, version)


def load(source: GraphSource, size_px: tuple[int, int], threads: int) -> OpenvinoEngine:
    """One graph at a static size, from the store, or compiled now and kept there. Raises EngineError."""
    # also where the store has it compiled: a file that was changed is not to go unseen
    read_checked(source.folder, source.card.graph(source.part, source.precision))
    (engine,) = unbuilt(source, [size_px], Machine(threads))
    return _opened(source, _settings(threads, source), kept_or_compiled(engine), size_px)


def unbuilt(source: GraphSource, sizes_px: Sequence[Size], machine: Machine) -> list[Unbuilt]:
    """An engine for each size: OpenVINO compiles for one. Raises EngineError."""

    if source.precision == "bf16" and not _has_bf16():
        raise EngineError("this processor has no bfloat16 arithmetic. Ask for precision int8 or float.")
    refuse_gpu_wishes("openvino", machine)
    file = source.card.graph(source.part, source.precision)
    made = []
    for size_px in sizes_px:
        specs = tensor_specs(source.card, source.part, size_px)
        shapes = {spec.name: spec.shape for side in specs for spec in side}
        manifest = manifest_of(source, file, shapes, "openvino", *here(), machine.threads, _rewrite(source))
        settings = _settings(machine.threads, source)
        made.append(Unbuilt(manifest, (size_px,), partial(_compiled, source, specs, settings)))
    return made


def _rewrite(source: GraphSource) -> str:
    beside = source.precision == "int8" and _rest(source) == "bf16"
    return ", ".join([BF16_BESIDE] * beside + [WORN] * _wears(source))


def _wears(source: GraphSource) -> bool:
    return source.card.kind == "diffusion" and source.part == "denoise"


def here() -> tuple[str, str]:
    """The version that compiles, and the processor that it compiles for and what that can do."""
    import openvino

    core = openvino.Core()
    abilities = sorted(core.get_property("CPU", "OPTIMIZATION_CAPABILITIES"))
    name = core.get_property("CPU", "FULL_DEVICE_NAME")
    return openvino.__version__, f"{name} ({' '.join(abilities)})"


class OpenvinoEngine:
    """One compiled graph and its one request, which writes straight into the caller's arrays."""

    def __init__(self, compiled: Any, specs: tuple[Specs, Specs], graph: str) -> None:  # Any: no types
        import openvino

        self.inputs, self.outputs = specs
        self.ran_precision = _ran_precision(compiled)
        self._graph = graph
        self._tensor = openvino.Tensor
        self._request = compiled.create_infer_request()
        self._bound: dict[str, int] = {}
        self._warm_up()

    def run(self, inputs: Mapping[str, Array], outputs: Mapping[str, Array]) -> None:
        if self._request is None:
            raise EngineError(f"{self._graph} is closed")
        check_arrays(self.inputs, inputs, self._graph)
        check_arrays(self.outputs, outputs, self._graph)
        self._bind(self.inputs, inputs)
        self._bind(self.outputs, outputs)
        self._request.infer()

    def close(self) -> None:
        self._request = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _bind(self, specs: Specs, arrays: Mapping[str, Array]) -> None:
        # An address that is bound already needs no new tensor: whatever array lies there now is the
        # caller's, alive, and of the same shape. The request itself holds no array.
        for spec in specs:
            address = arrays[spec.name].ctypes.data
            if self._bound.get(spec.name) != address:
                self._request.set_tensor(spec.name, self._tensor(arrays[spec.name], shared_memory=True))
                self._bound[spec.name] = address

    def _warm_up(self) -> None:
        made = [{s.name: np.zeros(s.shape, s.dtype) for s in side} for side in (self.inputs, self.outputs)]
        self.run(*made)
        self._bound.clear()  # these arrays are gone after this


def _settings(threads: int, source: GraphSource) -> dict[str, Any]:
    return {
        # else bf16 runs unasked on CPUs that have it
        "INFERENCE_PRECISION_HINT": _rest(source),
        "PERFORMANCE_HINT": "LATENCY",
        "NUM_STREAMS": 1,
        "INFERENCE_NUM_THREADS": threads,
        "ENABLE_CPU_PINNING": True,  # else both threads wake on one core: 27 % of frames, measured
    }


def _rest(source: GraphSource) -> str:
    """What runs where it is not INT8. Beside the INT8 layers of a diffusion denoiser attention and adapters
    take half of the time; bfloat16, as fine as INT8 is, takes a fifth off the whole (docs/diffusion.md)."""
    denoiser = source.precision == "int8" and _wears(source)
    return "bf16" if source.precision == "bf16" or (denoiser and _has_bf16()) else "f32"


def _has_bf16() -> bool:
    import openvino

    return "BF16" in openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")


def _compiled(source: GraphSource, specs: tuple[Specs, Specs], settings: Any, share: Share) -> bytes:
    import openvino

    file = source.card.graph(source.part, source.precision)
    name = f"{source.card.name}.{source.part}"
    graph = read_graph(source.folder, file)
    core = openvino.Core()
    try:
        model = core.read_model(io.BytesIO(graph) if isinstance(graph, bytes) else graph)
        check_names(specs[0], [port.get_any_name() for port in model.inputs], name)
        check_names(specs[1], [port.get_any_name() for port in model.outputs], name)
        model.reshape({spec.name: list(spec.shape) for spec in specs[0]})
        if _wears(source):
            convolve_worn(model)
        share(0.1)
        made: bytes = core.compile_model(model, "CPU", settings).export_model().getvalue()
    except RuntimeError as error:
        raise EngineError(_cannot(source.folder / file.file, error)) from error
    return made


def _opened(source: GraphSource, settings: Any, compiled: bytes, size_px: Size) -> OpenvinoEngine:
    import openvino

    specs = tensor_specs(source.card, source.part, size_px)
    name = f"{source.card.name}.{source.part}"
    try:
        return OpenvinoEngine(openvino.Core().import_model(compiled, "CPU", settings), specs, name)
    except RuntimeError as error:
        raise EngineError(_cannot(f"the compiled engine of {name}", error)) from error


def _cannot(what: object, error: RuntimeError) -> str:
    return f"openvino cannot load {what}: {str(error).strip().splitlines()[-1]}"


def _ran_precision(compiled: Any) -> str:
    """What the convolutions and matrix products really run in, read back from the compiled graph."""
    found = set()
    for node in compiled.get_runtime_model().get_ops():
        info = node.get_rt_info()
        if info["layerType"].get() in HEAVY:
            precision = info["runtimePrecision"].get()
            found.add("int8" if precision in INTEGER else precision)
    return "+".join(sorted(found, key=lambda name: (name != "int8", name))) or "none"
