"""onnxruntime on the CPU."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
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
from vivant.engines.machine import cpu_name
from vivant.engines.specs import Specs, check_arrays, check_names, tensor_specs
from vivant.runtime.frames import Array

WHOLE = b"the graph itself"
"""Stands for an engine that is not written: its graph is optimised at each start."""
LARGEST = 900_000_000  # bytes; weights stored as float16 are twice as long once they are widened
INTEGER = {"QLinearConv", "QLinearMatMul", "QGemm", "ConvInteger", "MatMulInteger"}
FLOAT = {"Conv", "FusedConv", "MatMul", "Gemm", "FusedMatMul", "FusedGemm", "ConvTranspose"}


def available() -> Availability:
    """Whether onnxruntime is installed. Imports it."""
    try:
        import onnxruntime
    except (ImportError, OSError) as error:
        return Availability(
            False, "", f"onnxruntime cannot be imported ({error}). Run: pip install onnxruntime"
        )
    return Availability(True, onnxruntime.__version__)


def load(source: GraphSource, size_px: tuple[int, int], threads: int) -> OnnxruntimeEngine:
    """One graph at a static size, from the store, or optimised now and kept there. Raises EngineError."""
    # also where the store has it compiled: a file that was changed is not to go unseen
    read_checked(source.folder, source.card.graph(source.part, source.precision, rounded=True))
    (engine,) = unbuilt(source, [size_px], Machine(threads))
    return _opened(source, threads, kept_or_compiled(engine), size_px)


def unbuilt(source: GraphSource, sizes_px: Sequence[Size], machine: Machine) -> list[Unbuilt]:
    """An engine for each size: the graph as onnxruntime's own optimiser leaves it for this processor. Raises
    EngineError."""
    refuse_gpu_wishes("onnxruntime", machine)
    file = source.card.graph(source.part, source.precision, rounded=True)
    made = []
    for size_px in sizes_px:
        specs = tensor_specs(source.card, source.part, size_px)
        shapes = {spec.name: spec.shape for side in specs for spec in side}
        manifest = manifest_of(source, file, shapes, "onnxruntime", *here())
        made.append(Unbuilt(manifest, (size_px,), partial(_compiled, source, specs)))
    return made


def here() -> tuple[str, str]:
    """The version that optimises, and the processor that it optimises for."""
    import onnxruntime

    return onnxruntime.__version__, cpu_name()


class OnnxruntimeEngine:
    """One session, bound to the caller's arrays. The first run, at load, is profiled to learn what
    precision really runs."""

    def __init__(self, session: Any, specs: tuple[Specs, Specs], graph: str) -> None:  # Any: no types
        self.inputs, self.outputs = specs
        self._graph = graph
        self._session = session
        self._binding = session.io_binding()
        self._bound: dict[str, int] = {}
        self.ran_precision = self._warm_up()

    def run(self, inputs: Mapping[str, Array], outputs: Mapping[str, Array]) -> None:
        if self._session is None:
            raise EngineError(f"{self._graph} is closed")
        check_arrays(self.inputs, inputs, self._graph)
        check_arrays(self.outputs, outputs, self._graph)
        self._bind(self._binding.bind_input, self.inputs, inputs)
        self._bind(self._binding.bind_output, self.outputs, outputs)
        self._session.run_with_iobinding(self._binding)

    def close(self) -> None:
        self._session = self._binding = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _bind(self, bind: Any, specs: Specs, arrays: Mapping[str, Array]) -> None:
        for spec in specs:
            address = arrays[spec.name].ctypes.data
            if self._bound.get(spec.name) != address:
                bind(spec.name, "cpu", 0, arrays[spec.name].dtype.type, spec.shape, address)
                self._bound[spec.name] = address

    def _warm_up(self) -> str:
        made = [{s.name: np.zeros(s.shape, s.dtype) for s in side} for side in (self.inputs, self.outputs)]
        self.run(*made)
        self._bound.clear()  # these arrays are gone after this
        events = json.loads(Path(self._session.end_profiling()).read_bytes())
        ran = {event["args"]["op_name"] for event in events if event.get("cat") == "Node"}
        return "+".join([kind for kind, ops in (("int8", INTEGER), ("f32", FLOAT)) if ran & ops]) or "none"


def _compiled(source: GraphSource, specs: tuple[Specs, Specs], share: Share) -> bytes:
    """The optimised graph, at its size: what is computed from shapes alone is computed here."""
    file = source.card.graph(source.part, source.precision, rounded=True)
    path = source.folder / file.file
    graph = read_graph(source.folder, file)
    if not isinstance(graph, bytes) or len(graph) > LARGEST:
        return WHOLE  # an optimised graph above two gigabytes cannot be written
    name = f"{source.card.name}.{source.part}"
    with tempfile.TemporaryDirectory() as folder:
        made = Path(folder) / "optimised.onnx"
        plain = _session(graph, _options(1), path)
        _check(specs, plain, name)
        share(0.3)
        options = _options(1)
        options.optimized_model_filepath = str(made)
        given = {spec.name: spec.shape for spec in specs[0]}
        for one in plain.get_inputs():
            for axis, length in zip(one.shape, given[one.name], strict=True):
                if isinstance(axis, str):
                    options.add_free_dimension_override_by_name(axis, length)
        _session(graph, options, path)
        return made.read_bytes()


def _opened(source: GraphSource, threads: int, compiled: bytes, size_px: Size) -> OnnxruntimeEngine:
    import onnxruntime

    specs = tensor_specs(source.card, source.part, size_px)
    name = f"{source.card.name}.{source.part}"
    graph: bytes | Path = compiled
    options = _options(threads)
    if compiled == WHOLE:
        graph = read_graph(source.folder, source.card.graph(source.part, source.precision, rounded=True))
    else:
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL  # it was
    with tempfile.TemporaryDirectory() as folder:
        options.enable_profiling = True
        options.profile_file_prefix = str(Path(folder) / "first")
        session = _session(graph, options, f"the compiled engine of {name}")
        _check(specs, session, name)
        return OnnxruntimeEngine(session, specs, name)


def _check(specs: tuple[Specs, Specs], session: Any, name: str) -> None:
    check_names(specs[0], [each.name for each in session.get_inputs()], name)
    check_names(specs[1], [each.name for each in session.get_outputs()], name)


def _options(threads: int) -> Any:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")  # the other core is not ours
    return options


def _session(graph: bytes | Path, options: Any, what: object) -> Any:
    import onnxruntime
    from onnxruntime.capi.onnxruntime_pybind11_state import (
        Fail,
        InvalidArgument,
        InvalidGraph,
        InvalidProtobuf,
    )

    try:
        return onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
    except (Fail, InvalidArgument, InvalidGraph, InvalidProtobuf) as error:
        raise EngineError(f"onnxruntime cannot load {what}: {str(error).splitlines()[0]}") from error
