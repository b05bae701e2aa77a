"""How near one graph's outputs come to another's: PSNR and cosine as polygraphy computes them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final

from vivant.engines.contract import Precision
from vivant.engines.watched import Arrays
from vivant.runtime.frames import Array

LOUDEST_DB: Final = 200.0  # stands for "equal"; JSON knows no infinity


@dataclass(frozen=True, slots=True)
class Threshold:
    """The least that an engine must reach at every output on every held-out input."""

    psnr_db: float
    cosine: float


THRESHOLDS: Final[Mapping[Precision, Threshold]] = MappingProxyType(
    {
        "float": Threshold(60.0, 0.99999),
        "half": Threshold(35.0, 0.999),
        "bf16": Threshold(25.0, 0.995),
        "int8": Threshold(30.0, 0.99),
    }
)
"""Rounding of float32 in another order; of FP16 and bfloat16; of INT8. Measured: docs/engines.md."""


@dataclass(frozen=True, slots=True)
class Row:
    """One output of one graph while it paints one wish; "whole" is the picture of the whole student."""

    part: str
    output: str
    wish: str
    psnr_db: float
    cosine: float

    def fails(self, least: Threshold) -> bool:
        return self.psnr_db < least.psnr_db or self.cosine < least.cosine


def compared(part: str, wish: str, wanted: Arrays, made: Arrays) -> list[Row]:
    """A row for each output."""
    psnr, cosine = (
        _metric("PsnrCompareFunc", wanted, made),
        _metric("CosineSimilarityCompareFunc", wanted, made),
    )
    return [Row(part, name, wish, _decibel(psnr[name]), _cosine(cosine[name])) for name in wanted]


def cosine_of(wanted: Array, made: Array) -> float:
    """Of two arrays as they are."""
    return _cosine(_metric("CosineSimilarityCompareFunc", {"": wanted}, {"": made})[""])


def worst(rows: Iterable[Row]) -> dict[tuple[str, str], Row]:
    """The row with the lowest PSNR for each part and output."""
    found: dict[tuple[str, str], Row] = {}
    for row in rows:
        key = (row.part, row.output)
        if key not in found or row.psnr_db < found[key].psnr_db:
            found[key] = row
    return found


def failing(rows: Sequence[Row], least: Threshold) -> list[Row]:
    return [row for row in rows if row.fails(least)]


def _decibel(psnr_db: float) -> float:
    """NaN, which an engine that gives NaN has, is as bad as can be; equal outputs are infinitely near."""
    return -LOUDEST_DB if math.isnan(psnr_db) else min(float(psnr_db), LOUDEST_DB)


def _cosine(cosine: float) -> float:
    return -1.0 if math.isnan(cosine) else float(cosine)


def _metric(name: str, wanted: Arrays, made: Arrays) -> dict[str, float]:
    quiet()
    from polygraphy import comparator

    func = getattr(comparator, name)()
    (field,) = func._RESULT_CLASS.metric_fields()
    results = func(_result(wanted), _result(made))
    return {output: float(getattr(result, field)) for output, result in results.items()}


def _result(arrays: Arrays) -> Any:  # polygraphy has no types
    from polygraphy.comparator import IterationResult

    return IterationResult(outputs=dict(arrays), runner_name="")


def quiet() -> None:
    """polygraphy and onnxruntime print what they do; we say it ourselves."""
    import onnxruntime
    from polygraphy.logger import G_LOGGER

    G_LOGGER.module_severity = G_LOGGER.CRITICAL
    onnxruntime.set_default_logger_severity(3)
