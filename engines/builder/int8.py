"""INT8 graphs in the builder: which layers a graph has in INT8, and a calibration that lies on disk."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, overload

import numpy as np

from vivant.engines.quantize import LINEAR, Calibrated, name_of, quantize, save
from vivant.runtime.frames import Array

KINDS = ("Conv", *LINEAR)


@dataclass(frozen=True, slots=True)
class Pattern:
    """The layers of a graph that are INT8, and those among them whose output is not rounded."""

    layers: tuple[str, ...]
    whole: tuple[str, ...]

    def without(self, kept: Collection[str]) -> Pattern:
        """The same with these layers in float."""
        return Pattern(*(tuple(n for n in names if n not in kept) for names in (self.layers, self.whole)))


def pattern_of(int8_onnx: Path) -> Pattern:
    """How an INT8 graph was quantized, so that another calibration quantizes alike."""
    import onnx

    graph = onnx.load(int8_onnx, load_external_data=False).graph
    dequantized = {node.output[0] for node in graph.node if node.op_type == "DequantizeLinear"}
    rounded = {node.input[0] for node in graph.node if node.op_type == "QuantizeLinear"}
    layers = [node for node in graph.node if node.op_type in KINDS and node.input[1] in dequantized]
    whole = [name_of(node) for node in layers if node.output[0] not in rounded]
    return Pattern(tuple(name_of(node) for node in layers), tuple(whole))


def every_layer(calibrated: Calibrated) -> Pattern:
    """Where no INT8 graph says how: every convolution."""
    return Pattern(tuple(n.name for n in calibrated.model.graph.node if n.op_type == "Conv"), ())


def write_int8(calibrated: Calibrated, pattern: Pattern, path: Path, symmetric: bool) -> None:
    """The graph of a calibration with the layers of a pattern in INT8."""
    quantize(
        calibrated,
        path,
        symmetric=symmetric,
        only=pattern.layers,
        whole=pattern.whole,
        kinds=kinds_of(calibrated),
    )


def kinds_of(calibrated: Calibrated) -> tuple[str, ...]:
    """The operators that its ranges are of: "Conv" alone for a house student."""
    linear = [
        n for n in calibrated.model.graph.node if n.op_type in LINEAR and n.input[0] in calibrated.ranges
    ]
    return KINDS if linear else ("Conv",)


def keep_calibrated(calibrated: Calibrated, folder: Path) -> None:
    """On disk, for quantizing again without running anything."""
    save(calibrated.model, folder / "prepared.onnx")
    (folder / "ranges.json").write_text(json.dumps(dict(calibrated.ranges)))
    np.savez(folder / "means.npz", allow_pickle=False, **_by_number(calibrated.means))
    (folder / "means.json").write_text(json.dumps(list(calibrated.means)))


def read_calibrated(folder: Path) -> Calibrated:
    """What `keep_calibrated` wrote."""
    import onnx

    ranges = {
        name: (low, high) for name, (low, high) in json.loads((folder / "ranges.json").read_text()).items()
    }
    names = json.loads((folder / "means.json").read_text())
    with np.load(folder / "means.npz", allow_pickle=False) as held:
        means = {name: held[f"n{index}"] for index, name in enumerate(names)}
    return Calibrated(onnx.load(folder / "prepared.onnx"), ranges, means)


def _by_number(arrays: Mapping[str, Array]) -> dict[str, Array]:
    return {f"n{index}": value for index, value in enumerate(arrays.values())}


class SampleFiles:
    """Writes the inputs of one graph, each run into a file of its own."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._groups: list[str] = []

    def add(self, group: str, inputs: Mapping[str, Array]) -> None:
        np.savez(self._folder / f"{len(self._groups):05}.npz", allow_pickle=False, **inputs)
        self._groups.append(group)

    def close(self) -> None:
        (self._folder / "groups.json").write_text(json.dumps(self._groups))


class Samples(Sequence[Mapping[str, Array]]):
    """Inputs of one graph that lie on disk, each read when it is asked for."""

    def __init__(self, folder: Path) -> None:
        self._paths = sorted(folder.glob("*.npz"))
        self.groups: list[str] = json.loads((folder / "groups.json").read_text())

    def __len__(self) -> int:
        return len(self._paths)

    @overload
    def __getitem__(self, index: int) -> Mapping[str, Array]: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Mapping[str, Array]]: ...
    def __getitem__(self, index: int | slice) -> Any:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        with np.load(self._paths[index], allow_pickle=False) as held:
            return {name: held[name] for name in held.files}
