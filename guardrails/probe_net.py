"""The probe's network while it is fitted, and its graph: convolutions, then each feature's most and mean.

The most of a feature finds a small thing wherever it lies; two scales of it find small things and large ones.
Imports torch.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final, cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from vivant.runtime.frames import F32, Array

FINE: Final = 4  # values of the guide to a value of the code
HALF: Final = 2  # of them are looked at together by the first layer, where there is one for the guide
BATCH: Final = 64
FLOOR: Final = 1e-5


@dataclass(frozen=True, slots=True)
class Build:
    """Channels of a layer that looks at the guide alone, 0 where the guide joins the code as it is; of one
    that mixes both at each place, 0 for none; channels and stride of each block; which blocks are pooled."""

    look: int
    stem: int
    blocks: tuple[tuple[int, int], ...]
    pooled: tuple[int, ...]


PROBE: Final = Build(24, 0, ((32, 2), (32, 1), (48, 2), (48, 1), (64, 2), (64, 1)), (1, 3, 5))
"""Letters are strokes of two or three values of the guide: they are looked for before it is brought down."""
LOCAL: Final = Build(0, 24, ((32, 2), (32, 1), (32, 1)), (2,))
"""Sees no more than a few places of the code at once: grain, not things."""


class ProbeNet(nn.Module):
    """Latents of `channels`, with a guide or without, to one logit for each of `kinds`."""

    def __init__(self, channels: int, guided: bool, kinds: int, build: Build = PROBE) -> None:
        super().__init__()
        self.channels, self.guided, self.build = channels, guided, build
        self.looks = guided and build.look > 0
        given = channels + (build.look if self.looks else FINE * FINE if guided else 0)
        stem = [(build.stem, 1)] if build.stem else []
        widths = [given, *(width for width, _ in (*stem, *build.blocks))]
        shapes = [(a, b, 3) for a, b in pairwise(widths)]
        if build.stem:
            shapes[0] = (given, build.stem, 1)
        strides = [stride for _, stride in (*stem, *build.blocks)]
        if self.looks:
            shapes, strides = [(HALF * HALF, build.look, 3), *shapes], [FINE // HALF, *strides]
        self.convolutions = nn.ModuleList(
            nn.Conv2d(a, b, side, stride, side // 2, bias=False)
            for (a, b, side), stride in zip(shapes, strides, strict=True)
        )
        self.norms = nn.ModuleList(nn.BatchNorm2d(b) for _, b, _ in shapes)
        self.head = nn.Linear(2 * sum(build.blocks[index][0] for index in build.pooled), kinds)

    def layers(self) -> list[tuple[nn.Conv2d, nn.BatchNorm2d]]:
        """Each convolution with its norm, in their order; the guide's own before those of both."""
        pairs = zip(self.convolutions, self.norms, strict=True)
        return [(cast(nn.Conv2d, convolution), cast(nn.BatchNorm2d, norm)) for convolution, norm in pairs]

    def pooled(self, index: int) -> bool:
        """Whether what layer `index` gives is pooled."""
        return index - int(self.looks) - int(self.build.stem > 0) in self.build.pooled

    def forward(self, code: Tensor, guide: Tensor | None) -> Tensor:
        layers = list(enumerate(self.layers()))
        x = code
        if guide is not None and self.looks:
            (_, (convolution, norm)), *layers = layers
            seen = norm(convolution(functional.pixel_unshuffle(guide * 2 - 1, HALF)))
            x = torch.cat([code, functional.relu(seen)], 1)
        elif guide is not None:
            x = torch.cat([code, functional.pixel_unshuffle(guide, FINE) * 2 - 1], 1)
        pooled = []
        for index, (convolution, norm) in layers:
            x = functional.relu(norm(convolution(x)))
            if self.pooled(index):
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
            with brisk():
                logits = net(*batch(codes, guides, chosen))
            wanted = torch.from_numpy(labels[chosen].astype(np.float32))
            loss = functional.binary_cross_entropy_with_logits(logits.float(), wanted)
            optimizer.zero_grad()
            torch.autograd.backward(loss)
            optimizer.step()
            schedule.step()
            done += 1
            tell(done / steps)
    net.eval()


def brisk() -> torch.autocast:
    """In bf16, which processors that have it are twice as fast in; what is judged with is float."""
    return torch.autocast("cpu", torch.bfloat16)


@torch.no_grad()
def logits_of(net: ProbeNet, codes: Array, guides: Array | None, rows: Array) -> Array:
    """Of `rows`, f32 (n, K)."""
    parts = [rows[start : start + BATCH] for start in range(0, len(rows), BATCH)]
    return np.concatenate([net(*batch(codes, guides, part)).numpy() for part in parts])


def batch(codes: Array, guides: Array | None, chosen: Array) -> tuple[Tensor, Tensor | None]:
    """The chosen latents as f32."""
    code = torch.from_numpy(codes[chosen].astype(np.float32)).contiguous(memory_format=torch.channels_last)
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
    inputs = [helper.make_tensor_value_info("code", TensorProto.FLOAT, [1, net.channels, "h", "w"])]
    layers = list(enumerate(layers_of(net)[:-1]))
    x = "code"
    if net.guided:
        inputs.append(helper.make_tensor_value_info("guide", TensorProto.FLOAT, [1, 1, "4h", "4w"]))
        blocks = made.add("SpaceToDepth", ["guide"], blocksize=HALF if net.looks else FINE)
        twice = made.add("Mul", [blocks, made.keep(np.float32(2))])
        seen = made.add("Sub", [twice, made.keep(np.float32(1))])
        if net.looks:
            (_, layer), *layers = layers
            seen = made.layer(seen, *layer)
        x = made.add("Concat", ["code", seen], axis=1)
    pooled = []
    for index, layer in layers:
        x = made.layer(x, *layer)
        if net.pooled(index):
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

    def layer(self, x: str, weight: F32, bias: F32, stride: int) -> str:
        """A convolution that keeps the size but for its stride, and what of it is above zero."""
        kept = [x, self.keep(weight), self.keep(bias)]
        return self.add(
            "Relu", [self.add("Conv", kept, pads=[weight.shape[2] // 2] * 4, strides=[stride] * 2)]
        )

    def keep(self, values: Array | np.float32) -> str:
        """A weight's name."""
        from onnx import numpy_helper

        name = f"weight{len(self.weights)}"
        self.weights.append(numpy_helper.from_array(np.ascontiguousarray(values), name))
        return name
