"""onnxruntime on the CPU."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np

from vivant.engines.card import read_checked
from vivant.engines.contract import Availability, EngineError, GraphSource
from vivant.engines.specs import Specs, check_arrays, check_names, tensor_specs
from vivant.runtime.frames import Array

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
    """One graph in its own session; nothing is kept on disk. Raises EngineError."""
    file = source.card.graph(source.part, source.precision)
    graph = read_checked(source.folder, file)
    specs = tensor_specs(source.card, source.part, size_px)
    name = f"{source.card.name}.{source.part}"
    with tempfile.TemporaryDirectory() as folder:
        session = _session(graph, threads, Path(folder), source.folder / file.file)
        check_names(specs[0], [each.name for each in session.get_inputs()], name)
        check_names(specs[1], [each.name for each in session.get_outputs()], name)
        return OnnxruntimeEngine(session, specs, name)


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


def _session(graph: bytes, threads: int, profiles: Path, path: Path) -> Any:
    import onnxruntime
    from onnxruntime.capi.onnxruntime_pybind11_state import (
        Fail,
        InvalidArgument,
        InvalidGraph,
        InvalidProtobuf,
    )

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")  # the other core is not ours
    options.enable_profiling = True
    options.profile_file_prefix = str(profiles / "first")
    try:
        return onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
    except (Fail, InvalidArgument, InvalidGraph, InvalidProtobuf) as error:
        raise EngineError(f"onnxruntime cannot load {path}: {str(error).splitlines()[0]}") from error
