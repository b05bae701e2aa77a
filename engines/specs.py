"""What each graph of a student takes and gives at one size, and the check of arrays against it."""

from __future__ import annotations

from collections.abc import Mapping

from vivant.engines.card import Card
from vivant.engines.contract import EngineError, Part, TensorSpec
from vivant.engines.slots import CHANNELS
from vivant.runtime.frames import Array

Specs = tuple[TensorSpec, ...]


def tensor_specs(card: Card, part: Part, size_px: tuple[int, int]) -> tuple[Specs, Specs]:
    """Inputs and outputs of one part at `size_px` (width, height). Raises EngineError for a size that
    is no multiple of the card's."""
    width, height = size_px
    step = card.size_multiple
    if width < step or height < step or width % step or height % step:
        raise EngineError(
            f"student {card.name} cannot paint {width}x{height}: both sides must be multiples of {step}. "
            f"Next: {max(round(width / step), 1) * step}x{max(round(height / step), 1) * step}."
        )
    if card.diffusion is not None:
        return card.diffusion.specs(part, size_px)
    frame = TensorSpec("frame", "uint8", (1, height, width, 3))
    code = TensorSpec("code", "float32", (1, card.code_channels, height // 8, width // 8))
    guide = TensorSpec("guide", "float32", (1, 1, height // 2, width // 2))
    sigma = TensorSpec("sigma", "float32", (1, 1))
    style = TensorSpec("style", "float32", (1, len(card.styles)))
    planes = TensorSpec("planes", "uint8", (1, height // 2, width // 2, CHANNELS))
    denoised = TensorSpec("denoised", "float32", code.shape)
    picture = TensorSpec("picture", "uint8", (1, height, width, 4))
    table: dict[Part, tuple[Specs, Specs]] = {
        "encode": ((frame,), (code, guide)),
        "denoise": ((code, guide, sigma, style, *_adapters(card, "denoise")), (denoised,)),
        "decode": ((code, guide, planes, style, *_adapters(card, "decode")), (picture,)),
    }
    return table[part]


def _adapters(card: Card, part: Part) -> Specs:
    """The slots of a part that takes adapters: low-rank pairs, sites side by side, and a scale for each."""
    if card.adapters is None:
        return ()
    rows = card.adapters.slots * card.adapters.rank
    inputs, outputs = (sum(sizes) for sizes in zip(*card.adapters.sites[part].values(), strict=True))
    return (
        TensorSpec("adapter_down", "float32", (rows, inputs)),
        TensorSpec("adapter_up", "float32", (rows, outputs)),
        TensorSpec("adapter_scale", "float32", (1, card.adapters.slots)),
    )


def check_arrays(specs: Specs, arrays: Mapping[str, Array], graph: str) -> None:
    """Raises EngineError unless `arrays` are exactly what `specs` say and C-contiguous."""
    for spec in specs:
        array = arrays.get(spec.name)
        if array is None:
            raise EngineError(f"{graph} needs '{spec.name}'; given: {', '.join(arrays) or 'nothing'}")
        if array.shape != spec.shape or array.dtype != spec.dtype or not array.flags.c_contiguous:
            how = "" if array.flags.c_contiguous else ", not contiguous"
            raise EngineError(
                f"{graph} was loaded for {spec.name} {spec.dtype} {spec.shape}, "
                f"but was given {array.dtype} {array.shape}{how}"
            )


def check_names(specs: Specs, found: list[str], graph: str) -> None:
    """Raises EngineError unless a graph's own tensor names are those of the contract."""
    wanted = [spec.name for spec in specs]
    if sorted(found) != sorted(wanted):
        raise EngineError(
            f"{graph} has tensors {', '.join(found)}, but a student's must be {', '.join(wanted)}. "
            "Export the student anew."
        )
