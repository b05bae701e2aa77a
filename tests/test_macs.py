"""Multiply-accumulates, counted in graphs whose number can be worked out by hand."""

from __future__ import annotations

from pathlib import Path

import pytest

from vivant.engines.contract import EngineError
from vivant.engines.macs import count_student
from vivant.engines.student import find

pytest.importorskip("openvino")
SIDE = 64


def test_the_parts_of_a_small_student_are_counted_layer_by_layer(tmp_path: Path) -> None:
    pytest.importorskip("onnx", reason="needs onnx (the distill extra) to write a student")
    from tiny_student import write_tiny_student

    found = count_student(write_tiny_student(tmp_path), (SIDE, SIDE))
    half, quarter, eighth = (SIDE // n for n in (2, 4, 8))
    luma, wide, deep = half * half * 3 * 4, quarter * quarter * 32 * 3 * 16, eighth * eighth * 16 * 32 * 4
    assert found["encode"].convolution == luma + wide + deep and found["encode"].linear == 0
    places = eighth * eighth
    assert found["denoise"].convolution == places * (32 * 16 * 9 + 32 * 1 * 16 + 16 * 32 * 9)
    assert found["denoise"].linear == 4 * 32
    assert found["denoise"].attention == found["denoise"].adapters == 0


def test_more_pixels_cost_in_proportion_and_adapters_are_counted_apart() -> None:
    small, large = (count_student(find("house"), (side, side)) for side in (256, 512))
    for part, macs in large.items():
        assert 3.5 < macs.convolution / small[part].convolution < 4.5
    assert 0 < small["decode"].adapters < 0.2 * small["decode"].total


def test_the_kind_of_graph_does_not_change_the_count() -> None:
    plain, rounded = (count_student(find("house"), (256, 256), kind) for kind in ("float", "int8"))
    assert {part: macs.total for part, macs in plain.items()} == {p: m.total for p, m in rounded.items()}


def test_a_student_without_graphs_has_nothing_to_count_in() -> None:
    with pytest.raises(EngineError, match="code alone"):
        count_student(find("null"))
