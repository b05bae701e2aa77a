"""The tiny student with graphs for TensorRT, for tests of what builds and runs them."""

from __future__ import annotations

from pathlib import Path

from test_engines import arrays_for
from tiny_student import changed_student, entry, write_tiny_student

from vivant.engines.card import Card
from vivant.engines.contract import PARTS, GraphSource
from vivant.engines.specs import tensor_specs


def symmetric_student(place: Path) -> Path:
    """Written to `place`, with symmetric INT8 graphs as they ship."""
    from vivant.engines.quantize import calibrate, quantize

    made = write_tiny_student(place)
    card = Card.read(made)
    symmetric = {}
    for part in PARTS:
        target = made / f"{part}.int8_symmetric.onnx"
        sample = arrays_for(tensor_specs(card, part, (64, 64))[0])
        quantize(calibrate(made / f"{part}.float.onnx", [sample]), target, symmetric=True)
        symmetric[part] = entry(target)

    def with_symmetric(card):
        for part in PARTS:
            card["graphs"][part]["int8_symmetric"] = symmetric[part]

    return changed_student(made, made, with_symmetric)


def source_of(folder, part="decode", precision="int8"):
    return GraphSource(folder, Card.read(folder), part, precision)
