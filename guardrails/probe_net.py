"""The probe's network while it is fitted, and its graph: convolutions, then each feature's most and mean.

The most of a feature finds a small thing wherever it lies; two scales of it find small things and large ones.
Where it is known in which places a forbidden thing lies, it is fitted to each place. Imports torch.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, Final, cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from vivant.guardrails.fresh_views import UNSURE, FreshViews
from vivant.runtime.frames import F32, Array

FINE: Final = 4  # values of the guide to a value of the code
HALF: Final = 2  # of them are looked at together by the first layer, where there is one for the guide
BATCH: Final = 64  # stored latents of a step where nothing is pasted anew
STORED: Final = 32  # and where it is; besides them
FRESH: Final = 96  # that are pasted into anew
HARDER: Final = 20.0  # approved latents that look forbidden are gone through so many times as often
DOUBT: Final = -3.0  # the logit of each place before anything is learned


@dataclass(frozen=True, slots=True)
class Build:
    """Channels of a layer that looks at the guide alone, 0 where the guide joins the code as it is; of one
    that mixes both at each place, 0 for none; channels and stride of each block; which blocks are pooled;
    whether those also say of each place what lies there; and blocks that the code has to itself, of which
    the last is pooled, where the guide has the others: of what is pasted there the code says nothing."""

    look: int
    stem: int
    blocks: tuple[tuple[int, int], ...]
    pooled: tuple[int, ...]
    mapped: bool = False
    beside: tuple[tuple[int, int], ...] = ()


PROBE: Final = Build(32, 0, ((48, 2), (48, 1), (64, 2), (64, 1)), (1, 3), True, ((32, 2), (48, 2)))
"""Letters are strokes of two or three values of the guide: they are looked for before it is brought down."""
LOCAL: Final = Build(0, 24, ((32, 2), (32, 1), (32, 1)), (2,))
"""Sees no more than a few places of the code at once: grain, not things."""


class ProbeNet(nn.Module):
    """Latents of `channels`, with a guide or without, to one logit for each of `kinds`."""

    def __init__(self, channels: int, guided: bool, kinds: int, build: Build = PROBE) -> None:
        super().__init__()
        self.channels, self.guided, self.build = channels, guided, build
        self.looks = guided and build.look > 0
        self.beside = build.beside if self.looks else ()
        given = build.look if self.looks else channels + (FINE * FINE if guided else 0)
        given += channels if self.looks and not self.beside else 0
        stem = [(build.stem, 1)] if build.stem else []
        widths = [given, *(width for width, _ in (*stem, *build.blocks))]
        shapes = [(a, b, 3) for a, b in pairwise(widths)]
        if build.stem:
            shapes[0] = (given, build.stem, 1)
        strides = [stride for _, stride in (*stem, *build.blocks)]
        if self.looks:
            shapes, strides = [(HALF * HALF, build.look, 3), *shapes], [FINE // HALF, *strides]
        own = pairwise((channels, *(width for width, _ in self.beside)))
        shapes += [(a, b, 3) for a, b in own]
        strides += [stride for _, stride in self.beside]
        self.convolutions = nn.ModuleList(
            nn.Conv2d(a, b, side, stride, side // 2, bias=False)
            for (a, b, side), stride in zip(shapes, strides, strict=True)
        )
        self.norms = nn.ModuleList(nn.BatchNorm2d(b) for _, b, _ in shapes)
        seen = [build.blocks[index][0] for index in build.pooled]
        self.maps = nn.ModuleList(nn.Conv2d(width, kinds, 1) for width in seen if build.mapped)
        seen += [width for width, _ in self.beside[-1:]]
        self.head = nn.Linear(2 * sum(seen) + (kinds if build.mapped else 0), kinds)
        if build.mapped:
            self._begin_with_maps(kinds)

    @torch.no_grad()
    def _begin_with_maps(self, kinds: int) -> None:
        """At first a kind's logit is the most of its maps, and nothing is anywhere."""
        self.head.weight.zero_()
        self.head.bias.zero_()
        self.head.weight[:, -kinds:] = torch.eye(kinds)
        for one in self.maps:
            cast(nn.Conv2d, one).bias.fill_(DOUBT)  # type: ignore[union-attr]

    def layers(self) -> list[tuple[nn.Conv2d, nn.BatchNorm2d]]:
        """Each convolution with its norm, in their order; the guide's own first, the code's own last."""
        pairs = zip(self.convolutions, self.norms, strict=True)
        return [(cast(nn.Conv2d, convolution), cast(nn.BatchNorm2d, norm)) for convolution, norm in pairs]

    def pooled(self, index: int) -> bool:
        """Whether what layer `index` gives is pooled."""
        if self.beside and index >= len(self.convolutions) - len(self.beside):
            return index == len(self.convolutions) - 1
        return index - int(self.looks) - int(self.build.stem > 0) in self.build.pooled

    def forward(self, code: Tensor, guide: Tensor | None) -> Tensor:
        return self.judged(code, self.seen(code, guide))

    def seen(self, code: Tensor, guide: Tensor | None) -> list[Tensor]:
        """What the blocks that are pooled give, of the guide alone if there are blocks `beside`."""
        layers = list(enumerate(self.layers()))[: len(self.convolutions) - len(self.beside)]
        x = code
        if guide is not None and self.looks:
            (_, (convolution, norm)), *layers = layers
            x = functional.relu(norm(convolution(functional.pixel_unshuffle(guide * 2 - 1, HALF))))
            x = x if self.beside else torch.cat([code, x], 1)
        elif guide is not None:
            x = torch.cat([code, functional.pixel_unshuffle(guide, FINE) * 2 - 1], 1)
        found = []
        for index, (convolution, norm) in layers:
            x = functional.relu(norm(convolution(x)))
            if self.pooled(index):
                found.append(x)
        return found

    def mapped(self, seen: list[Tensor]) -> list[Tensor]:
        """One logit for each place (N, K, h', w') by each block that is pooled."""
        return [one(x) for one, x in zip(self.maps, seen, strict=True)]

    def judged(self, code: Tensor, seen: list[Tensor]) -> Tensor:
        """Logits (N, K) of latents of which all this is seen."""
        maps = self.mapped(seen) if self.build.mapped else []
        x = code
        for convolution, norm in self.layers()[len(self.convolutions) - len(self.beside) :]:
            x = functional.relu(norm(convolution(x)))
        pooled = [
            one for y in (*seen, *([x] if self.beside else [])) for one in (y.amax((2, 3)), y.mean((2, 3)))
        ]
        logits: Tensor = self.head(torch.cat([*pooled, *([most(maps)] if maps else [])], 1))
        return logits


def most(maps: list[Tensor]) -> Tensor:
    """Of each kind (N, K), over all places of all maps."""
    return torch.stack([one.amax((2, 3)) for one in maps]).amax(0)


@dataclass(slots=True)
class Stock:
    """The latents of a fit, (N, C, h, w) and (N, 1, 4h, 4w), with labels (N, K) in [0, 1], of which `rows`
    are gone through: at random, approved ones that last looked forbidden more often."""

    codes: Array
    guides: Array | None
    labels: Array
    rows: Array
    rng: np.random.Generator
    often: F32 = field(init=False)

    def __post_init__(self) -> None:
        self.often = np.ones(len(self.codes), np.float32)

    def drawn(self, count: int, approved: bool = False) -> Array:
        """Numbers of `count` latents, in their order: any, or approved ones alone."""
        among = self.rows[~self.labels[self.rows].any(1)] if approved else self.rows
        share = self.often[among].astype(np.float64)
        return np.sort(self.rng.choice(among, count, p=share / share.sum()))

    def mind(self, chosen: Array, logits: Tensor) -> None:
        """What was just thought of those."""
        doubt = torch.sigmoid(logits.detach().amax(1)).numpy()
        self.often[chosen] = 1 + HARDER * np.where(self.labels[chosen].any(1), 0, doubt)


def train(
    net: ProbeNet,
    codes: Array,
    guides: Array | None,
    labels: Array,
    rows: Array,
    epochs: int,
    seed: int,
    tell: Callable[[float], None] = lambda share: None,
    fresh: FreshViews | None = None,
) -> None:
    """Fit to `rows` of latents (N, C, h, w), (N, 1, 4h, 4w) and labels (N, K) in [0, 1], and to `fresh` views
    of the approved ones among them. `tell` hears the share that is done."""
    stock = Stock(codes, guides, labels, rows, np.random.default_rng(seed))
    optimizer = torch.optim.AdamW(net.parameters(), 3e-3, weight_decay=0.02)
    steps = max(epochs * (len(rows) // (STORED if fresh else BATCH)), 2)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 4e-3, total_steps=steps, pct_start=0.15)
    net.train()
    for step in range(steps):
        loss = lost_anew(net, stock, fresh) if fresh else lost(net, stock)
        optimizer.zero_grad()
        torch.autograd.backward(loss)
        optimizer.step()
        schedule.step()
        tell((step + 1) / steps)
    net.eval()


def lost(net: ProbeNet, stock: Stock) -> Tensor:
    """The loss of a step on stored latents alone."""
    chosen = stock.drawn(BATCH)
    with brisk():
        logits = net(*batch(stock.codes, stock.guides, chosen)).float()
    stock.mind(chosen, logits)
    wanted = torch.from_numpy(stock.labels[chosen].astype(np.float32))
    return functional.binary_cross_entropy_with_logits(logits, wanted)


def lost_anew(net: ProbeNet, stock: Stock, fresh: FreshViews) -> Tensor:
    """The loss of a step on stored latents and on ones that were pasted into: of each as a whole, and of each
    place that is known."""
    chosen, grounds = stock.drawn(STORED), stock.drawn(FRESH, approved=True)
    made = fresh.of(grounds)
    code, guide = batch(stock.codes, stock.guides, chosen)
    assert guide is not None
    with brisk():
        seen = net.seen(code, torch.cat([guide, torch.from_numpy(made.guides)]))
        logits = net.judged(code, [one[:STORED] for one in seen]).float()
        maps = [one.float() for one in net.mapped(seen)]
    stock.mind(chosen, logits)
    stored, labels = stock.labels[chosen].astype(np.float32), torch.from_numpy(made.labels)
    asked = torch.from_numpy(made.asked)[:, None] / max(float(made.asked.sum()), 1.0)
    whole = most([one[STORED:] for one in maps])
    known = UNSURE * stored.any(1).reshape(-1, 1, 1, 1) * np.ones_like(made.cells[:1])
    cells = torch.from_numpy(np.concatenate([known, made.cells]).astype(np.float32))
    loss = functional.binary_cross_entropy_with_logits(logits, torch.from_numpy(stored))
    loss = loss + functional.binary_cross_entropy_with_logits(whole, labels, asked, reduction="sum")
    for one in maps:
        loss = loss + lost_places(one, cells)
    return loss


def lost_places(found: Tensor, cells: Tensor) -> Tensor:
    """The loss of a map's logits (N, K, h', w') on what lies in its places (N, K, h, w): 0, 1 or UNSURE,
    those that are far off most."""
    times = cells.shape[-1] // found.shape[-1]
    there = functional.max_pool2d((cells == 1).float(), times)
    unsure = functional.max_pool2d((cells == UNSURE).float(), times) * (1 - there)
    logits = found.float()
    doubt = torch.sigmoid(logits.detach())
    weight = torch.where(there > 0, 1 - doubt, doubt) * (1 - unsure)
    each = functional.binary_cross_entropy_with_logits(logits, there, reduction="none")
    return (each * weight).sum() / (there.sum() + len(found))


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
        x = seen if net.beside else made.add("Concat", ["code", seen], axis=1)
    pooled, places = [], []
    for index, layer in layers:
        if index == len(net.convolutions) - len(net.beside):
            x = "code"
        x = made.layer(x, *layer)
        if net.pooled(index):
            pooled += [made.add("GlobalMaxPool", [x]), made.add("GlobalAveragePool", [x])]
            places.append(x)
    if net.maps:
        seen_by = zip(net.maps, places[: len(net.maps)], strict=True)
        pooled.append(made.most([made.map(one, x) for one, x in seen_by]))
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

    def map(self, convolution: nn.Module, x: str) -> str:
        """A logit a kind for each place."""
        weight, bias = (one.detach().numpy() for one in convolution.parameters())
        return self.add("Conv", [x, self.keep(weight), self.keep(bias)])

    def most(self, maps: list[str]) -> str:
        """The most of each kind, over all places of all maps."""
        return self.add("Max", [self.add("GlobalMaxPool", [one]) for one in maps])

    def keep(self, values: Array | np.float32) -> str:
        """A weight's name."""
        from onnx import numpy_helper

        name = f"weight{len(self.weights)}"
        self.weights.append(numpy_helper.from_array(np.ascontiguousarray(values), name))
        return name
