"""What the drawn media share: the flow follows edges, lines are found, stripes run on."""

from __future__ import annotations

import numpy as np

from vivant.distill.teachers.drawing import drawn_lines, edge_flow, even_stripes, streams
from vivant.distill.teachers.optics import blur
from vivant.runtime.frames import F32

SIZE = 64


def _level() -> tuple[F32, F32]:
    return np.ones((SIZE, SIZE), np.float32), np.zeros((SIZE, SIZE), np.float32)


def _dark_column() -> F32:
    tone = np.full((SIZE, SIZE), 0.8, np.float32)
    tone[:, 31:33] = 0.2
    return blur(tone, 0.8)


def test_the_flow_runs_along_an_edge_and_keeps_to_the_given_tangent_where_there_is_none() -> None:
    tx, ty = edge_flow(_dark_column(), *_level())
    assert np.abs(ty[8:-8, 30]).min() > 0.95  # cosine of 18 degrees
    assert np.abs(tx[8:-8, 4]).min() > 0.95


def test_a_dark_line_is_drawn_and_bare_ground_is_not() -> None:
    tone = _dark_column()
    flow = streams(*edge_flow(tone, *_level()), 9)
    line = drawn_lines(tone, flow, 0.9, 3.5)
    assert line[8:-8, 31:33].min() > 1  # clear, as the docstring counts
    assert np.abs(line[8:-8, 4:12]).max() < 0.1


def test_broken_stripes_run_on_along_the_flow() -> None:
    rows = np.arange(SIZE, dtype=np.float32)[:, None] * np.ones((1, SIZE), np.float32)
    whole = np.cos(2 * np.pi * rows / 5.4).astype(np.float32)
    broken = whole.copy()
    broken[:, 28:34] = 0
    mended = even_stripes(broken, streams(*_level(), 12), 5.0)
    assert np.corrcoef(mended[8:-8, 28:34].ravel(), whole[8:-8, 28:34].ravel())[0, 1] > 0.95
