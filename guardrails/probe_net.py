"""The probe's network while it is fitted, and its graph: convolutions, then each feature's most and mean.

The most of a feature finds a small thing wherever it lies; two scales of it find small things and large ones.
Imports torch.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from vivant.runtime.frames import F32, Array

FINE: Final = 4  # values of the guide to a value of the code
BATCH: Final = 64
FLOOR: Final = 1e-5


@dataclass(frozen=True, slots=True)
class Build:
    """Channels of the first layer; channels and stride of each block; the blocks that are pooled."""

    stem: int
    blocks: tuple[tuple[int, int], ...]
    pooled: tuple[int, ...]


PROBE: Final = Build(24, ((32, 2), (32, 1), (48, 2), (48, 1), (64, 2), (64, 1)), (3, 5))
LOCAL: Final = Build(24, ((32, 2), (32, 1), (32, 1)), (2,))
"""Sees no more than seven by seven places of twice the code's size at once: grain, not things."""


class ProbeNet(nn.Module):
    """Latents of `channels`, with a guide or without, to one logit for each of `kinds`."""

    def __init__(self, channels: int, guided: bool, kinds: int, build: Build = PROBE) -> None:
        super().__init__()
        self.guided, self.build = guided, build
        widths = [
            channels + (FINE * FINE if guided else 0),
            build.stem,
            *(width for width, _ in build.blocks),
        ]
        strides = [1, *(stride for _, stride in build.blocks)]
        self.convolutions = nn.ModuleList(
            nn.Conv2d(a, b, 3 if index else 1, stride, 1 if index else 0, bias=False)
            for index, (a, b, stride) in enumerate(zip(widths, widths[1:], strides, strict=False))
        )
        self.norms = nn.ModuleList(nn.BatchNorm2d(width) for width in widths[1:])
        self.head = nn.Linear(2 * sum(build.blocks[index][0] for index in build.pooled), kinds)

    def layers(self) -> list[tuple[nn.Conv2d, nn.BatchNorm2d]]:
        """Each convolution with its norm, in their order."""
        pairs = zip(self.convolutions, self.norms, strict=True)
        return [(cast(nn.Conv2d, convolution), cast(nn.BatchNorm2d, norm)) for convolution, norm in pairs]

    def forward(self, code: Tensor, guide: Tensor | None) -> Tensor:
        x = code if guide is None else torch.cat([code, functional.pixel_unshuffle(guide, FINE) * 2 - 1], 1)
        pooled = []
        for index, (convolution, norm) in enumerate(self.layers()):
            x = functional.relu(norm(convolution(x)))
            if index - 1 in self.build.pooled:
                pooled += [x.amax((2, 3)), x.mean((2, 3))]
        found: Tensor = self.head(torch.cat(pooled, 1))
        return found


def train(
    net: ProbeNet,
    codes: Array,
    guides: Array | None,
    labels: Array,
    rows: Array,
    epochs: int,
    seed: int,
    tell: Callable[[float], None] = lambda share: None,
) -> None:
    """Fit to `rows` of latents (N, C, h, w), (N, 1, 4h, 4w) and labels (N, K) in [0, 1]. `tell` hears the
    share that is done."""
    rng = np.random.default_rng(seed)
    optimizer = torch.optim.AdamW(net.parameters(), 3e-3, weight_decay=0.02)
    steps = epochs * (len(rows) // BATCH)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 4e-3, total_steps=max(steps, 2), pct_start=0.2)
    net.train()
    done = 0
    for _ in range(epochs):
        order = rng.permutation(rows)
        for start in range(0, len(order) - BATCH + 1, BATCH):
            chosen = np.sort(order[start : start + BATCH])
            logits = net(*batch(codes, guides, chosen))
            loss = functional.binary_cross_entropy_with_logits(
                logits, torch.from_numpy(labels[chosen].astype(np.float32))
            )
            optimizer.zero_grad()
            torch.autograd.backward(loss)
            optimizer.step()
            schedule.step()
            done += 1
            tell(done / steps)
    net.eval()


@torch.no_grad()
def logits_of(net: ProbeNet, codes: Array, guides: Array | None, rows: Array) -> Array:
    """Of `rows`, f32 (n, K)."""
    parts = [rows[start : start + BATCH] for start in range(0, len(rows), BATCH)]
    return np.concatenate([net(*batch(codes, guides, part)).numpy() for part in parts])


def batch(codes: Array, guides: Array | None, chosen: Array) -> tuple[Tensor, Tensor | None]:
    """The chosen latents as f32."""
    code = torch.from_numpy(codes[chosen].astype(np.float32))
    return code, None if guides is None else torch.from_numpy(guides[chosen].astype(np.float32))


def layers_of(net: ProbeNet) -> tuple[tuple[F32, F32, int], ...]:
    """Weight, bias and stride of each convolution, its norm folded into it; the head last."""
    found = []
    for convolution, norm in net.layers():
        mean, variance = norm.running_mean, norm.running_var
        assert mean is not None
        assert variance is not None
        scale = (norm.weight / torch.sqrt(variance + norm.eps)).detach()
        weight = (convolution.weight.detach() * scale[:, None, None, None]).numpy()
        found.append((weight, (norm.bias - mean * scale).detach().numpy(), convolution.stride[0]))
    return (*found, (net.head.weight.detach().numpy(), net.head.bias.detach().numpy(), 1))


def graph_of(net: ProbeNet) -> bytes:
    """The network as ONNX for latents of any size, its norms folded into its convolutions."""
    import onnx
    from onnx import TensorProto, helper

    made = Graph()
    channels = net.layers()[0][0].in_channels - (FINE * FINE if net.guided else 0)
    inputs = [helper.make_tensor_value_info("code", TensorProto.FLOAT, [1, channels, "h", "w"])]
    x = "code"
    if net.guided:
        inputs.append(helper.make_tensor_value_info("guide", TensorProto.FLOAT, [1, 1, "4h", "4w"]))
        blocks = made.add("SpaceToDepth", ["guide"], blocksize=FINE)
        twice = made.add("Mul", [blocks, made.keep(np.float32(2))])
        x = made.add("Concat", ["code", made.add("Sub", [twice, made.keep(np.float32(1))])], axis=1)
    pooled = []
    for index, (weight, bias, stride) in enumerate(layers_of(net)[:-1]):
        kept = [made.keep(weight), made.keep(bias)]
        pad = weight.shape[2] // 2
        x = made.add("Conv", [x, *kept], pads=[pad] * 4, strides=[stride] * 2)
        x = made.add("Relu", [x])
        if index - 1 in net.build.pooled:
            pooled += [made.add("GlobalMaxPool", [x]), made.add("GlobalAveragePool", [x])]
    flat = made.add("Flatten", [made.add("Concat", pooled, axis=1)])
    weight, bias, _ = layers_of(net)[-1]
    out = made.add("Gemm", [flat, made.keep(weight), made.keep(bias)], transB=1)
    outputs = [helper.make_tensor_value_info(out, TensorProto.FLOAT, [1, net.head.out_features])]
    graph = helper.make_graph(made.nodes, "probe", inputs, outputs, made.weights)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.checker.check_model(model)
    data: bytes = model.SerializeToString()
    return data


class Graph:
    """The nodes and weights of a graph while it is put together."""

    def __init__(self) -> None:
        self.nodes: list[Any] = []  # onnx has no types
        self.weights: list[Any] = []

    def add(self, kind: str, inputs: list[str], **attributes: Any) -> str:
        """One node; the name of what it gives."""
        from onnx import helper

        out = f"{kind.lower()}{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, inputs, [out], **attributes))
        return out

    def keep(self, values: Array | np.float32) -> str:
        """A weight's name."""
        from onnx import numpy_helper

        name = f"weight{len(self.weights)}"
        self.weights.append(numpy_helper.from_array(np.ascontiguousarray(values), name))
        return name
