"""torch on the CPU: for comparison and for those who train. Imported only when it is named."""

from __future__ import annotations

import os
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Self

from vivant.engines.card import read_checked
from vivant.engines.contract import Availability, EngineError, GraphSource
from vivant.engines.specs import Specs, check_arrays, tensor_specs
from vivant.runtime.frames import Array


def available() -> Availability:
    """Whether torch and safetensors are installed. Imports them (seconds)."""
    _settle_threads()
    try:
        import safetensors
        import torch
    except (ImportError, OSError) as error:
        return Availability(
            False, "", f"torch cannot be imported ({error}). Run: pip install 'vivant[torch]'"
        )
    return Availability(True, torch.__version__, f"safetensors {safetensors.__version__}")


def load(source: GraphSource, size_px: tuple[int, int], threads: int) -> TorchEngine:
    """One part of the network with the student's weights, in float32. Raises EngineError."""
    if source.precision != "float":
        raise EngineError(
            f"the torch backend runs float only, and {source.precision} was asked for. "
            "Use precision float, or the backend openvino or onnxruntime."
        )
    if source.card.weights is None:
        raise EngineError(f"student {source.card.name} has no weights for torch; use another backend")
    specs = tensor_specs(source.card, source.part, size_px)
    weights = read_checked(source.folder, source.card.weights)
    _settle_threads()
    import safetensors.torch
    import torch

    from vivant.engines.house import Bank, House, Widths

    torch.set_num_threads(threads)  # torch knows one number for the whole process
    try:
        network = House(Widths(**source.card.trained.get("widths", {})), len(source.card.styles))
        network.load_state_dict(safetensors.torch.load(weights))
    except (RuntimeError, TypeError) as error:
        raise EngineError(
            f"{source.folder / source.card.weights.file} does not fit this version's network "
            f"({str(error).splitlines()[0]}). Export the student anew."
        ) from error
    part = network.get_submodule(source.part).eval().requires_grad_(False)
    return TorchEngine(part, specs, f"{source.card.name}.{source.part}", Bank)


class TorchEngine:
    """One part of the network. torch allocates its own activations; the outputs are copied out."""

    ran_precision = "f32"

    # Any: torch is optional
    def __init__(self, part: Any, specs: tuple[Specs, Specs], graph: str, bank: Any) -> None:
        self.inputs, self.outputs = specs
        self._graph = graph
        self._part = part
        self._bank = bank

    def run(self, inputs: Mapping[str, Array], outputs: Mapping[str, Array]) -> None:
        import torch

        if self._part is None:
            raise EngineError(f"{self._graph} is closed")
        check_arrays(self.inputs, inputs, self._graph)
        check_arrays(self.outputs, outputs, self._graph)
        with torch.inference_mode():
            given = [torch.from_numpy(inputs[spec.name]) for spec in self.inputs]
            if self.inputs[-1].name == "adapter_scale":
                given[-3:] = [self._bank(*given[-3:])]
            made = self._part(*given)
            for spec, tensor in zip(self.outputs, made if isinstance(made, tuple) else (made,), strict=True):
                torch.from_numpy(outputs[spec.name]).copy_(tensor)

    def close(self) -> None:
        self._part = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _settle_threads() -> None:
    """Idle threads sleep instead of spinning on cores that others need; torch reads this at its import."""
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
