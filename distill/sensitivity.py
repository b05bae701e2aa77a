"""Which layers INT8 costs most: each convolution alone in INT8, the rest in float, against all in float."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from vivant.distill.graphs import Sample, whole_in
from vivant.engines.contract import Part
from vivant.engines.quantize import calibrate, quantize
from vivant.runtime.frames import Array

CHECKED = 8  # samples
CALIBRATED = 16


@dataclass(frozen=True, slots=True)
class Sensitivity:
    """`psnr_db` of a part's output when only `layer` is in INT8; "all" for the whole part."""

    part: Part
    layer: str
    psnr_db: float


def sensitivities(
    folder: Path, part: Part, seen: Sequence[Sample], show: Callable[[str, int, int], None]
) -> list[Sensitivity]:
    """The layers of one part, most sensitive first, then "all". `show` is told the layer, how many are done
    and of how many. Pictures are compared over 255, codes over their own range."""
    import onnx

    graph = folder / f"{part}.float.onnx"
    layers = [node.name for node in onnx.load(graph).graph.node if node.op_type == "Conv"]
    inputs = [sample.inputs[part] for sample in seen[:CHECKED]]
    groups = [sample.group for sample in seen]
    calibrated = calibrate(graph, [sample.inputs[part] for sample in seen], groups)
    wanted = [_run(graph, given) for given in inputs]
    found = []
    with TemporaryDirectory() as scratch:
        made = Path(scratch) / "one.onnx"
        for done, layer in enumerate([*layers, "all"]):
            show(layer, done, len(layers) + 1)
            alone = None if layer == "all" else [layer]
            quantize(calibrated, made, only=alone, whole=whole_in(calibrated))
            error = [_error(_run(made, given), right) for given, right in zip(inputs, wanted, strict=True)]
            found.append(
                Sensitivity(part, layer, round(-10 * math.log10(max(float(np.mean(error)), 1e-12)), 1))
            )
    return [*sorted(found[:-1], key=lambda one: one.psnr_db), found[-1]]


def _run(graph: Path, inputs: Mapping[str, Array]) -> Array:
    import onnxruntime

    session = onnxruntime.InferenceSession(graph, providers=["CPUExecutionProvider"])
    known = {one.name for one in session.get_inputs()}
    output: Array = session.run(None, {k: v for k, v in inputs.items() if k in known})[0]
    return output


def _error(made: Array, wanted: Array) -> float:
    """Mean squared error as a share of the squared range."""
    span = 255.0 if wanted.dtype == np.uint8 else float(np.ptp(wanted))
    return float(np.mean((made.astype(np.float64) - wanted) ** 2)) / span**2


def markdown(found: Sequence[Sensitivity]) -> str:
    """The table, layer by layer."""
    rows: list[Any] = [f"| {one.part} | `{one.layer}` | {one.psnr_db:.1f} |" for one in found]
    return "\n".join(["| part | layer alone in INT8 | dB against float |", "|---|---|---|", *rows])
