"""Which layers INT8 costs most, and how few of them must stay in float for a graph to be near enough."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from vivant.engines.buildable import Share
from vivant.engines.builder.compare import Row, Threshold, compared, cosine_of, worst
from vivant.engines.builder.int8 import KINDS, Pattern, write_int8
from vivant.engines.card import data_file
from vivant.engines.quantize import Calibrated, name_of
from vivant.runtime.frames import Array

log = logging.getLogger(__name__)

MOST_GROUPS = 48  # more layers than this are looked at by blocks
FEW, MANY = 6, 40  # samples: to find the dear layers, and to see whether a graph is near enough
ROOM_DB = 1.0  # above the threshold: other frames cost a little more


@dataclass(frozen=True, slots=True)
class Cost:
    """What a graph's worst output comes to when only `layers` are INT8; `name` says which they are."""

    name: str
    layers: tuple[str, ...]
    psnr_db: float


class Scale:
    """Weighs INT8 graphs of one calibration against its float graph, on `count` of some samples."""

    def __init__(
        self,
        float_onnx: Path,
        calibrated: Calibrated,
        samples: Sequence[Mapping[str, Array]],
        symmetric: bool,
        count: int,
    ) -> None:
        self._calibrated = calibrated
        self._symmetric = symmetric
        step = max(len(samples) // count, 1)
        self._samples = [samples[index] for index in range(0, len(samples), step)][:count]
        self._wanted = _runs(float_onnx, self._samples)

    def of(self, pattern: Pattern) -> list[Row]:
        """The rows of an INT8 graph with these layers."""
        with TemporaryDirectory() as scratch:
            made = Path(scratch) / "some.onnx"
            write_int8(self._calibrated, pattern, made, self._symmetric)
            runs = zip(self._wanted, _runs(made, self._samples), strict=True)
            return [row for wanted, found in runs for row in compared("", "", wanted, found)]


def costs(scale: Scale, pattern: Pattern, share: Share) -> list[Cost]:
    """Each layer of the pattern alone in INT8, or each block where there are many; the dearest first."""
    groups = grouped(pattern.layers)
    found = []
    for done, (name, layers) in enumerate(groups.items()):
        alone = Pattern(layers, tuple(one for one in pattern.whole if one in layers))
        found.append(Cost(name, layers, least_db(scale.of(alone))))
        share((done + 1) / len(groups))
    return sorted(found, key=lambda cost: cost.psnr_db)


def to_keep(
    scale: Scale, pattern: Pattern, dearest: Sequence[Cost], least: Threshold, at_least: int = 0
) -> tuple[str, ...] | None:
    """The fewest of the dearest layers, but `at_least` so many, that are to stay float for every output to
    reach `least`; None where not even all of them would do. More layers in float are taken to be no worse,
    which bisection needs."""
    wanted = Threshold(least.psnr_db + ROOM_DB, least.cosine)

    def enough(count: int) -> bool:
        kept = {layer for cost in dearest[:count] for layer in cost.layers}
        return not any(row.fails(wanted) for row in scale.of(pattern.without(kept)))

    low, high = min(at_least, len(dearest)), len(dearest)
    if not enough(high):
        return None
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle + 1, high)
    return tuple(layer for cost in dearest[:high] for layer in cost.layers)


def grouped(layers: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """Layers by themselves, or where there are more than MOST_GROUPS by the path of their names, as deep as
    keeps the groups few: "/down_blocks.0/resnets.1/conv1/Conv" is of "/down_blocks.0/resnets.1"."""
    if len(layers) <= MOST_GROUPS:
        return {layer: (layer,) for layer in layers}
    best: dict[str, tuple[str, ...]] = {}
    for depth in range(1, max(layer.count("/") for layer in layers) + 1):
        found: dict[str, list[str]] = {}
        for layer in layers:
            found.setdefault("/".join(layer.split("/")[: depth + 1]), []).append(layer)
        if best and len(found) > MOST_GROUPS:
            break
        best = {name: tuple(inside) for name, inside in found.items()}
    return best


def least_db(rows: Sequence[Row]) -> float:
    """The PSNR of the worst output."""
    return min(row.psnr_db for row in worst(rows).values())


def _runs(graph: Path | bytes, samples: Sequence[Mapping[str, Array]]) -> list[dict[str, Array]]:
    """The outputs of a graph by name, for each of its inputs."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
    names = [one.name for one in session.get_outputs()]
    known = {one.name for one in session.get_inputs()}
    given = [{name: value for name, value in one.items() if name in known} for one in samples]
    return [dict(zip(names, session.run(names, inputs), strict=True)) for inputs in given]


def layer_by_layer(
    float_onnx: Path, int8_onnx: Path, samples: Sequence[Mapping[str, Array]]
) -> dict[str, float]:
    """The lowest cosine between each layer of an INT8 graph and the same layer of its float graph, errors of
    all layers before it among its own. (Cosine, as a gain may have been folded into a layer.) Graphs above
    two gigabytes are passed over: twice all outputs do not fit."""
    if not samples:
        return {}
    if data_file(float_onnx).exists():
        log.warning("%s is above two gigabytes: it is not looked at layer by layer", float_onnx.name)
        return {}
    (plain, own), (quantized, others) = (_seen_inside(path) for path in (float_onnx, int8_onnx))
    runs = list(zip(_runs(plain, samples), _runs(quantized, samples), strict=True))
    return {
        name: min(cosine_of(wanted[own[name]], made[others[name]]) for wanted, made in runs)
        for name in own.keys() & others.keys()
    }


def _seen_inside(path: Path) -> tuple[bytes, dict[str, str]]:
    """The graph with the outputs of all its layers among its own; and those outputs by layer."""
    import onnx

    model = onnx.load(path)
    own = {one.name for one in model.graph.output}
    made = {name_of(node): node.output[0] for node in model.graph.node if node.op_type in KINDS}
    model.graph.output.extend(onnx.ValueInfoProto(name=name) for name in made.values() if name not in own)
    return model.SerializeToString(), made
