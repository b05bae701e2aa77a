"""INT8 graphs of a diffusion student: which layers are quantized, and which are not.

Convolutions and linear layers whose weights are fixed. What stays in float: the low-rank branches (rounded
with the base, an adapter's effect drowns in the error), the products of attention, the embedding of time, and
the first and last layer, whose few channels carry the code itself. Outputs are not rounded: they are
normalised or added next.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from vivant.engines.quantize import LINEAR, calibrate, quantize
from vivant.runtime.frames import Array

KINDS = ("Conv", *LINEAR)
FLOAT = ("conv_in", "conv_out", "time_embedding", "time_emb_proj", "add_embedding", "encoder_hid_proj")


def write_int8(
    float_onnx: Path,
    samples: Sequence[Mapping[str, Array]],
    int8_onnx: Path,
    symmetric: bool = False,
    groups: Sequence[str] | None = None,
) -> int:
    """Write the INT8 graph of one part, and say how many layers are INT8. `samples` are a show's inputs by
    name, adapters worn among them; `symmetric` as in vivant.engines.quantize.

    Give a group to each sigma and each way that adapters are worn: ranges are averaged within a group, and an
    average over all of them cuts off the widest (on a tiny UNet of random weights: 24 dB, with groups 45).
    """
    calibrated = calibrate(float_onnx, samples, groups, KINDS)
    names = base_layers(calibrated.model)
    quantize(calibrated, int8_onnx, symmetric, only=names, whole=names, kinds=KINDS)
    return len(names)


def base_layers(model: Any) -> list[str]:  # onnx.ModelProto
    """The names of the nodes that are worth quantizing."""
    fixed = {one.name for one in model.graph.initializer}
    return [
        node.name
        for node in model.graph.node
        if node.op_type in KINDS
        and node.input[1] in fixed
        and not any(part in FLOAT for part in node.name.split("/"))
        and not any(attribute.name == "group" and attribute.i > 1 for attribute in node.attribute)
    ]
