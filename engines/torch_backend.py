"""torch, on the first NVIDIA GPU that it sees or else on the CPU. Imported only when it is named.

On a GPU the parts of a frame can be joined without leaving it (vivant.engines.device_frame); here each runs
for itself, from numpy to numpy.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Mapping
from types import MappingProxyType, TracebackType
from typing import TYPE_CHECKING, Any, Final, Self

from vivant.engines.card import read_checked
from vivant.engines.contract import Availability, EngineError, GraphSource, Precision
from vivant.engines.specs import Specs, check_arrays, tensor_specs
from vivant.runtime.frames import EMPTY, Array

if TYPE_CHECKING:
    from torch import Tensor, device, dtype, nn

log = logging.getLogger(__name__)

RAN: Final[Mapping[Precision, str]] = MappingProxyType({"float": "f32", "half": "f16", "bf16": "bf16"})
DTYPES: Final[Mapping[Precision, str]] = MappingProxyType(
    {"float": "float32", "half": "float16", "bf16": "bfloat16"}
)


def available() -> Availability:
    """Whether torch and safetensors are installed, and where torch would run. Imports them (seconds)."""
    _settle_threads()
    try:
        import safetensors
        import torch
    except (ImportError, OSError) as error:
        return Availability(
            False, "", f"torch cannot be imported ({error}). Run: pip install 'vivant[torch]'"
        )
    where = torch.cuda.get_device_name(0) if torch.cuda.is_available() else "the CPU"
    return Availability(True, torch.__version__, f"on {where}, safetensors {safetensors.__version__}")


def own_device() -> device:
    """Where torch runs: the first GPU that CUDA_VISIBLE_DEVICES leaves, else the CPU."""
    import torch

    return torch.device("cuda", 0) if torch.cuda.is_available() else torch.device("cpu")


def load(source: GraphSource, size_px: tuple[int, int], threads: int) -> TorchEngine:
    """One part of the network with the student's weights. Raises EngineError."""
    if source.precision not in RAN:
        raise EngineError(
            f"the torch backend runs {', '.join(RAN)}, and {source.precision} was asked for. "
            "Use one of these, or the backend openvino or onnxruntime."
        )
    if source.card.weights is None:
        raise EngineError(
            f"student {source.card.name} has no weights for torch. Use another backend, or build it anew."
        )
    specs = tensor_specs(source.card, source.part, size_px)
    _settle_threads()
    import torch

    torch.set_num_threads(threads)  # torch knows one number for the whole process
    if source.card.diffusion is None:
        return _house(source, specs)
    try:
        from vivant.engines.diffusion.torch_parts import load_part
    except ImportError as error:
        raise EngineError(
            f"torch needs diffusers for student {source.card.name} ({error}). "
            "Run: pip install 'vivant[diffusion]'"
        ) from error
    return load_part(source, size_px, own_device(), getattr(torch, DTYPES[source.precision]))


def _house(source: GraphSource, specs: tuple[Specs, Specs]) -> TorchEngine:
    """One part of a house student."""
    weights = read_checked(source.folder, source.card.weights)
    import safetensors.torch
    import torch

    from vivant.engines.house import Bank, House, Widths, folded

    try:
        network = House(Widths(**source.card.trained.get("widths", {})), len(source.card.styles))
        network.load_state_dict(safetensors.torch.load(weights))
    except (RuntimeError, TypeError) as error:
        raise EngineError(
            f"{source.folder / source.card.weights.file} does not fit this version's network "
            f"({str(error).splitlines()[0]}). Export the student anew."
        ) from error
    part = folded(network.get_submodule(source.part).eval().requires_grad_(False))
    # the encoder is little work, and its guide is judged to a thousandth: it stays float32
    precision: Precision = "float" if source.part == "encode" else source.precision
    on, dtype = own_device(), getattr(torch, DTYPES[precision])
    part = laid_out(part.to(on, dtype))
    call: Callable[..., Any] = part
    if specs[0][-1].name == "adapter_scale":
        call = lambda *given: part(*given[:-3], Bank(*given[-3:]))  # noqa: E731  # one of two calls
    return TorchEngine(call, specs, f"{source.card.name}.{source.part}", on, RAN[precision], dtype)


class TorchEngine:
    """One part of a network on one device. `run` is the contract: numpy in, numpy out; `put_tensors` takes
    and fills tensors of that device. torch allocates its own activations; the outputs are copied out."""

    def __init__(
        self,
        call: Callable[..., Any],
        specs: tuple[Specs, Specs],
        graph: str,
        on: device,
        ran: str,
        dtype: dtype | None = None,
        dtypes: Mapping[str, dtype] = EMPTY,
    ) -> None:
        """`call` takes the inputs in their order, on the device `on`; numbers of its inputs are brought to
        `dtype` first, None leaves them float32. `ran` tells the precision. `dtypes` are those in which inputs
        should lie on the device beforehand, where it is another than their spec's."""
        import torch

        self.inputs, self.outputs = specs
        self.device = on
        self.ran_precision = ran
        self.dtypes = dtypes
        self._graph, self._dtype = graph, dtype
        self._call: Callable[..., Any] | None = call
        if on.type == "cuda":
            torch.backends.cudnn.allow_tf32 = False  # float is to mean float
            torch.backends.cudnn.benchmark = True  # shapes never change: look for the fastest once

    def run(self, inputs: Mapping[str, Array], outputs: Mapping[str, Array]) -> None:
        import torch

        self._open()
        check_arrays(self.inputs, inputs, self._graph)
        check_arrays(self.outputs, outputs, self._graph)
        given = {name: torch.from_numpy(array).to(self.device) for name, array in inputs.items()}
        made = {name: torch.from_numpy(array) for name, array in outputs.items()}
        self.put_tensors({**given, **made})

    def put_tensors(self, tensors: Mapping[str, Tensor]) -> None:
        """One run from and into tensors by name, inputs and outputs; on a GPU put on torch's current stream
        and not waited for."""
        import torch

        with torch.no_grad():
            given = [self._taken(tensors[spec.name]) for spec in self.inputs]
            made = self._open()(*given)
            for spec, tensor in zip(self.outputs, made if isinstance(made, tuple) else (made,), strict=True):
                tensors[spec.name].copy_(tensor)

    def close(self) -> None:
        self._call = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _taken(self, tensor: Tensor) -> Any:
        return tensor.to(self._dtype) if self._dtype and tensor.is_floating_point() else tensor

    def _open(self) -> Callable[..., Any]:
        if self._call is None:
            raise EngineError(f"{self._graph} is closed")
        return self._call


def laid_out(part: nn.Module) -> nn.Module:
    """Channels last, as convolutions on tensor cores want them."""
    import torch

    for parameter in part.parameters():
        if parameter.dim() == 4:
            parameter.data = parameter.data.contiguous(memory_format=torch.channels_last)
    return part


def _settle_threads() -> None:
    """Idle threads sleep instead of spinning on cores that others need; torch reads this at its import."""
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
