"""The graphs of a student: exported from torch in float, then quantized on what the show will feed them."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from vivant.distill.sources import Sources
from vivant.distill.structures import training_structure
from vivant.engines.adapter import ADAPTED, Adapter, Wardrobe, dressed
from vivant.engines.card import Card
from vivant.engines.contract import PARTS, Part
from vivant.engines.field import PlaneField
from vivant.engines.house import Adapted, Bank, House
from vivant.engines.quantize import Calibrated, calibrate, quantize
from vivant.engines.slots import CHANNELS
from vivant.runtime.frames import Array, Controls

OPSET = 17
SIGMA_RANGE = (0.0, 0.8)
SIZES_PX = (256, 384, 512)
WHOLE = frozenset({"weave", "mix", "look", "rise", "rise_quarter", "rise_half"})
"""Layers whose outputs are not rounded in int8_rounded either."""
THIN = frozenset({"mix", "look"})
"""Layers that stay float on CPUs too: 4 % of decode's time, and 1 dB for the finest lines."""
FINE = frozenset({"weave", "mix", "look", "rise_half", "down_quarter"})
"""Layers that stay out of the symmetric graph: without a zero point half of a step goes to values that never
come, and these five made 2 to 5 dB of the loss (vivant distill sensitivity); on a GPU they are cheap."""
REACH: Mapping[str, float] = {"down_quarter": 0.9, "down_eighth": 0.8}
"""Of what was seen of a layer's inputs, how far INT8 reaches. What lies beyond is so rare that cutting it off
costs no style anything and gains coral, with the hardest edges, 0.6 dB. Tighter, oil and marbling suffer."""
CALIBRATION = 64  # frames; each style, size and sigma several times

ADAPTER_INPUTS = ("adapter_down", "adapter_up", "adapter_scale")
INPUTS: dict[Part, tuple[str, ...]] = {
    "encode": ("frame",),
    "denoise": ("code", "guide", "sigma", "style", *ADAPTER_INPUTS),
    "decode": ("code", "guide", "planes", "style", *ADAPTER_INPUTS),
}
OUTPUTS: dict[Part, tuple[str, ...]] = {
    "encode": ("code", "guide"),
    "denoise": ("denoised",),
    "decode": ("picture",),
}
AXES = {
    "frame": {1: "height", 2: "width"},
    "planes": {1: "half_height", 2: "half_width"},
    "picture": {1: "height", 2: "width"},
    "guide": {2: "half_height", 3: "half_width"},
    "code": {2: "eighth_height", 3: "eighth_width"},
    "denoised": {2: "eighth_height", 3: "eighth_width"},
}


class _Graph(nn.Module):
    """A part whose adapters come as three tensors."""

    def __init__(self, part: nn.Module) -> None:
        super().__init__()
        self.part = part

    def forward(self, *inputs: Tensor) -> Any:  # one tensor or several
        if isinstance(self.part, Adapted):
            return self.part(*inputs[:-3], Bank(*inputs[-3:]))
        return self.part(*inputs)


def write_float(house: House, folder: Path) -> None:
    """Write {encode,denoise,decode}.float.onnx with symbolic height and width."""
    with torch.no_grad():
        frame = torch.zeros(1, 64, 64, 3, dtype=torch.uint8)
        code, guide = house.encode(frame)
    style, sigma = torch.eye(house.denoise.table.in_features)[:1], torch.zeros(1, 1)
    planes = torch.zeros(1, 32, 32, CHANNELS, dtype=torch.uint8)
    banks = {part: house.adapted(part).empty_bank() for part in ADAPTED}
    own = {part: (bank.down, bank.up, bank.scale) for part, bank in banks.items()}
    samples = {
        "encode": (frame,),
        "denoise": (code, guide, sigma, style, *own["denoise"]),
        "decode": (code, guide, planes, style, *own["decode"]),
    }
    for part in PARTS:
        with warnings.catch_warnings():
            warnings.simplefilter(
                "ignore"
            )  # the newer exporter needs onnxscript; shapes are traced as wanted
            torch.onnx.export(
                _Graph(house.get_submodule(part)).eval(),  # else the exporter leaves the part training
                samples[part],
                str(folder / f"{part}.float.onnx"),
                input_names=list(INPUTS[part]),
                output_names=list(OUTPUTS[part]),
                dynamic_axes={name: AXES[name] for name in (*INPUTS[part], *OUTPUTS[part]) if name in AXES},
                opset_version=OPSET,
                dynamo=False,
            )


@dataclass(frozen=True, slots=True)
class Sample:
    """What one frame gives to each graph, arrays by input name; `group` is the medium: style or adapter."""

    group: str
    inputs: Mapping[Part, Mapping[str, Array]]


def calibration(
    folder: Path,
    sources: Sources,
    styles: Sequence[str],
    adapters: Sequence[Adapter],
    seed: int,
    count: int = CALIBRATION,
) -> Iterator[Sample]:
    """Frames through the float graphs, style, size and sigma in turn; every fifth blends two styles; where
    there are adapters every other one wears one, at any scale."""
    import onnxruntime

    run = {
        part: onnxruntime.InferenceSession(folder / f"{part}.float.onnx", providers=["CPUExecutionProvider"])
        for part in PARTS
    }
    rng = np.random.default_rng(seed)
    card = Card.read(folder)
    wardrobe = Wardrobe(card, adapters)
    for index in range(count):
        size = SIZES_PX[index // len(styles) % len(SIZES_PX)]
        weights = {styles[index % len(styles)]: 1.0}
        if index % 5 == 4:
            weights = {styles[index % len(styles)]: 0.5, styles[(index + 3) % len(styles)]: 0.5}
        scales: dict[str, float] = {}
        if adapters and index % 2:
            worn = adapters[index // 2 % len(adapters)].info
            scales = {worn.name: float(rng.uniform(0.2, 1.0))}
        recipes, style = dressed(card, wardrobe, Controls(styles=weights, adapters=scales))
        frame = training_structure(sources, rng, size)[None]
        code, guide = run["encode"].run(None, {"frame": frame})
        sigma = np.float32(rng.uniform(*SIGMA_RANGE))
        noisy = (1 - sigma) * code + sigma * rng.standard_normal(code.shape, dtype=np.float32)
        worn_by = {part: slots.inputs() for part, slots in wardrobe.parts.items()}
        denoise = {"code": noisy, "guide": guide, "sigma": np.full((1, 1), sigma), "style": style}
        denoise |= worn_by["denoise"]
        (denoised,) = run["denoise"].run(None, denoise)
        planes = PlaneField((size, size), int(rng.integers(2**31))).update(guide, recipes)
        decode = {"code": denoised, "guide": guide, "planes": planes, "style": style} | worn_by["decode"]
        # blends and palettes count to the style: a group of one is an outlier, which costs every style 2 dB
        medium = next((name for name in scales if wardrobe.adapters[name].info.host), next(iter(weights)))
        yield Sample(medium, {"encode": {"frame": frame}, "denoise": denoise, "decode": decode})


def whole_in(calibrated: Calibrated) -> list[str]:
    """The convolutions of a graph whose outputs are not to be rounded: what planes and guide enter by, and
    what rises from a lower resolution, are added to or scaled before the next one takes them in."""
    return [name for name in convolutions_in(calibrated) if layer_of(name) in WHOLE]


def narrowed(calibrated: Calibrated) -> Calibrated:
    """The same with the inputs of some layers in a narrower range (REACH)."""
    ranges = dict(calibrated.ranges)
    for node in calibrated.model.graph.node:
        share = REACH.get(layer_of(node.name))
        if node.op_type == "Conv" and share is not None:
            low, high = calibrated.ranges[node.input[0]]
            ranges[node.input[0]] = (share * low, share * high)
    return replace(calibrated, ranges=ranges)


def convolutions_in(calibrated: Calibrated) -> list[str]:
    """The names of a graph's convolutions."""
    return [node.name for node in calibrated.model.graph.node if node.op_type == "Conv"]


def layer_of(name: str) -> str:
    """The part's own layer that a node of the graph belongs to: "/part/mix/conv/Conv" is of mix."""
    return name.removeprefix("/part/").split("/")[0]


def write_int8(folder: Path, seen: Sequence[Sample]) -> None:
    """Write the INT8 graphs of each part, all from one calibration: {part}.int8.onnx and
    {part}.int8_rounded.onnx with U8 activations for CPUs, {part}.int8_symmetric.onnx with S8 for TensorRT."""
    groups = [sample.group for sample in seen]
    for part in PARTS:
        of_part = [sample.inputs[part] for sample in seen]
        calibrated = narrowed(calibrate(folder / f"{part}.float.onnx", of_part, groups))
        narrow = [name for name in convolutions_in(calibrated) if layer_of(name) not in THIN]
        quantize(calibrated, folder / f"{part}.int8.onnx", only=narrow, whole=convolutions_in(calibrated))
        quantize(calibrated, folder / f"{part}.int8_rounded.onnx", only=narrow, whole=whole_in(calibrated))
        coarse = [name for name in convolutions_in(calibrated) if layer_of(name) not in FINE]
        quantize(calibrated, folder / f"{part}.int8_symmetric.onnx", symmetric=True, only=coarse)
