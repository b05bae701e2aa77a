"""The present bench draws with the show's own passes."""

from __future__ import annotations

import pytest

from vivant.runtime.frames import VivantError
from vivant.tools.bench_present import LOOKS, measure, told

pytestmark = pytest.mark.gl


def test_every_look_has_a_row_and_a_cell():
    try:
        rows = list(measure((160, 90), 64, 0.05))
    except VivantError as error:
        pytest.skip(str(error))
    assert [row["look"] for row in rows] == list(LOOKS)
    assert all(0 < row["p50_ms"] <= row["p99_ms"] and row["runs"] >= 1 for row in rows)
    table = told(rows).splitlines()
    assert table[-1].startswith("| 160x90 | ") and table[-1].count("/") == len(LOOKS)
