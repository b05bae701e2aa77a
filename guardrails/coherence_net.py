"""The network of coherence while it is fitted, and its graph. Imports torch.

It is judged with between a denoiser and a decoder, where no cache is warm: few layers, small ones, and none
that only moves values. A patch is PATCH places a side; what is convolved is each feature by itself, then all
of them at each patch.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any, Final, cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from vivant.guardrails.coherence import Layers, Separable
from vivant.guardrails.probe_net import FINE, Graph, batch
from vivant.runtime.frames import F32, Array

PATCH: Final = 2  # places of a code a side that the first layer looks at together
AT_ONCE: Final = 64  # latents that are judged together
WIDTHS: Final = (32, 32, 32)  # features of the first layer, and of those after it


class LocalNet(nn.Module):
    """Latents of `channels`, with a guide or without, to one logit. It sees ten places a side at once: grain
    and edges, no things."""

    def __init__(self, channels: int, guided: bool, widths: Sequence[int] = WIDTHS) -> None:
        super().__init__()
        self.channels, self.guided = channels, guided
        first, fine = widths[0], PATCH * FINE
        self.of_code = nn.Conv2d(channels, first, PATCH, PATCH, bias=False)
        self.of_guide = nn.Conv2d(1, first, fine, fine, bias=False) if guided else None
        self.deep = nn.ModuleList(nn.Conv2d(a, a, 3, 1, 1, groups=a, bias=False) for a in widths[:-1])
        self.points = nn.ModuleList(nn.Conv2d(a, b, 1, bias=False) for a, b in pairwise(widths))
        self.norms = nn.ModuleList(nn.BatchNorm2d(width) for width in widths)
        self.head = nn.Linear(2 * widths[-1], 1)

    def forward(self, code: Tensor, guide: Tensor | None) -> Tensor:
        x = self.of_code(code)
        if self.of_guide is not None and guide is not None:
            x = x + self.of_guide(guide * 2 - 1)
        x = functional.relu(self.norms[0](x))
        for deep, point, norm in zip(self.deep, self.points, list(self.norms)[1:], strict=True):
            x = functional.relu(norm(point(deep(x))))
        found: Tensor = self.head(torch.cat([x.amax((2, 3)), x.mean((2, 3))], 1))
        return found


@torch.no_grad()
def logits_of(net: LocalNet, codes: Array, guides: Array | None, rows: Array) -> Array:
    """Of `rows` of latents (N, C, h, w), (N, 1, 4h, 4w), f32 (n, 1)."""
    parts = [rows[start : start + AT_ONCE] for start in range(0, len(rows), AT_ONCE)]
    return np.concatenate([net(*batch(codes, guides, part)).numpy() for part in parts])


@torch.no_grad()
def layers_of(net: LocalNet) -> Layers:
    """Its weights as they are judged with: norms folded in, and the guide taken as it is."""
    (scale, bias), *folded = (_folded(cast(nn.BatchNorm2d, norm)) for norm in net.norms)
    of_guide = None
    if net.of_guide is not None:
        bias = bias - scale * net.of_guide.weight.sum((1, 2, 3))
        of_guide = _scaled(2 * net.of_guide.weight, scale)
    blocks = tuple(
        Separable(_array(deep.weight), _scaled(point.weight, by), _array(shift))
        for deep, point, (by, shift) in zip(_plain(net.deep), _plain(net.points), folded, strict=True)
    )
    head = net.head
    of_code = _scaled(net.of_code.weight, scale)
    return Layers(of_code, of_guide, _array(bias), blocks, _array(head.weight), _array(head.bias))


def graph_of(net: LocalNet) -> bytes:
    """The network as ONNX for latents of any size."""
    import onnx
    from onnx import TensorProto, helper

    layers, made = layers_of(net), Graph()
    inputs = [helper.make_tensor_value_info("code", TensorProto.FLOAT, [1, net.channels, "h", "w"])]
    x = _convolved(made, "code", layers.of_code, layers.bias, PATCH)
    if layers.of_guide is not None:
        inputs.append(helper.make_tensor_value_info("guide", TensorProto.FLOAT, [1, 1, "4h", "4w"]))
        seen = _convolved(made, "guide", layers.of_guide, np.zeros_like(layers.bias), PATCH * FINE)
        x = made.add("Add", [x, seen])
    x = made.add("Relu", [x])
    for block in layers.blocks:
        x = _convolved(made, x, block.deep, np.zeros(len(block.deep), np.float32), groups=len(block.deep))
        x = made.add("Relu", [_convolved(made, x, block.point, block.bias)])
    pooled = [made.add("GlobalMaxPool", [x]), made.add("GlobalAveragePool", [x])]
    flat = made.add("Flatten", [made.add("Concat", pooled, axis=1)])
    out = made.add("Gemm", [flat, made.keep(layers.head), made.keep(layers.head_bias)], transB=1)
    outputs = [helper.make_tensor_value_info(out, TensorProto.FLOAT, [1, 1])]
    graph = helper.make_graph(made.nodes, "coherence", inputs, outputs, made.weights)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.checker.check_model(model)
    data: bytes = model.SerializeToString()
    return data


def _convolved(made: Graph, x: str, weight: F32, bias: F32, stride: int = 1, groups: int = 1) -> str:
    side = weight.shape[2]
    given: dict[str, Any] = {"strides": [stride] * 2, "pads": [side // 2 if stride == 1 else 0] * 4}
    return made.add("Conv", [x, made.keep(weight), made.keep(bias)], group=groups, **given)


def _folded(norm: nn.BatchNorm2d) -> tuple[Tensor, Tensor]:
    """A norm as a scale and a shift."""
    mean, variance = norm.running_mean, norm.running_var
    assert mean is not None
    assert variance is not None
    scale = norm.weight / torch.sqrt(variance + norm.eps)
    return scale, norm.bias - mean * scale


def _plain(layers: nn.ModuleList) -> list[nn.Conv2d]:
    return [cast(nn.Conv2d, layer) for layer in layers]


def _scaled(weight: Tensor, scale: Tensor) -> F32:
    return _array(weight * scale[:, None, None, None])


def _array(x: Tensor) -> F32:
    return np.ascontiguousarray(x.detach().numpy(), np.float32)
