"""A student of random weights is a student like any other, as far as cost goes."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs torch")
pytest.importorskip("diffusers", reason="needs diffusers")

import tiny_diffusion as tiny  # noqa: E402
from tiny_diffusion import one_thread  # noqa: E402, F401  # an autouse fixture
from typer.testing import CliRunner  # noqa: E402

from vivant.cli.app import app  # noqa: E402
from vivant.engines.diffusion.torch_parts import Networks  # noqa: E402
from vivant.engines.kinds import load_student  # noqa: E402
from vivant.runtime.frames import Controls  # noqa: E402
from vivant.tools.random_student import write_random  # noqa: E402

pytestmark = pytest.mark.torch


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    networks = Networks(tiny.unet(), tiny.taesd())
    return write_random(tmp_path_factory.mktemp("random") / "tiny", networks, 64, 2, 4, tokens=tiny.TOKENS)


def test_it_paints_and_has_its_slots(folder: Path) -> None:
    with load_student(folder, "torch", "float", None, 1) as student:
        latent = student.denoise(student.encode(np.full((64, 64, 3), 90, np.uint8)), Controls())
        assert np.isfinite(latent.code).all()
        assert np.ptp(student.decode(latent, None, Controls())[..., :3]) > 0
        assert (student.facts["adapter_slots"], student.facts["adapter_rank"]) == (2, 4)


def test_the_bench_measures_it_stage_by_stage(folder: Path, tmp_path: Path) -> None:
    """The precisions that this machine runs; on a GPU it would be one frame."""
    file = tmp_path / "rows.json"
    words = ["bench", "--student", str(folder), "--backend", "torch", "--seconds", "0.2", "--threads", "1"]
    done = CliRunner().invoke(app, [*words, "--json", str(file)])
    assert done.exit_code == 0, done.output
    rows = json.loads(file.read_text())["rows"]
    assert {"encode", "denoise", "guard", "decode", "total"} <= {row["stage"] for row in rows}
