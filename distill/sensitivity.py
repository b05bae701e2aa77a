"""Which layers INT8 costs most: each convolution alone in INT8, the rest in float, against all in float."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vivant.distill.graphs import Sample, convolutions_in, whole_in
from vivant.engines.builder.int8 import Pattern
from vivant.engines.builder.layers import Scale, costs, least_db
from vivant.engines.contract import Part
from vivant.engines.quantize import calibrate

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
    """The layers of one part, most sensitive first (blocks of them where there are very many:
    vivant.engines.builder.layers), then "all". `show` is told the part, how much is done and of how much.
    PSNR is against the highest value of the worst output, as where engines are verified."""
    graph = folder / f"{part}.float.onnx"
    inputs = [sample.inputs[part] for sample in seen]
    calibrated = calibrate(graph, inputs, [sample.group for sample in seen])
    pattern = Pattern(tuple(convolutions_in(calibrated)), tuple(whole_in(calibrated)))
    scale = Scale(graph, calibrated, inputs[:CHECKED], symmetric=False, count=CHECKED)
    whole = len(pattern.layers)
    alone = costs(scale, pattern, lambda share: show(part, round(share * whole), whole))
    found = [Sensitivity(part, one.name, round(one.psnr_db, 1)) for one in alone]
    return [*found, Sensitivity(part, "all", round(least_db(scale.of(pattern)), 1))]


def markdown(found: Sequence[Sensitivity]) -> str:
    """The table, layer by layer."""
    rows: list[Any] = [f"| {one.part} | `{one.layer}` | {one.psnr_db:.1f} |" for one in found]
    return "\n".join(["| part | layer alone in INT8 | dB against float |", "|---|---|---|", *rows])
