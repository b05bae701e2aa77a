"""What slots cost: counted, and measured upon graphs that run."""

from __future__ import annotations

from argparse import Namespace

import pytest

torch = pytest.importorskip("torch", reason="needs torch")
pytest.importorskip("diffusers", reason="needs diffusers")
pytest.importorskip("onnx", reason="needs onnx")
import tiny_diffusion as tiny  # noqa: E402
from tiny_diffusion import one_thread  # noqa: E402, F401  # an autouse fixture

from vivant.engines.diffusion.bank import Layout  # noqa: E402
from vivant.engines.diffusion.unet import all_sites  # noqa: E402
from vivant.tools import slot_cost  # noqa: E402

pytestmark = pytest.mark.torch
SIDE = 8


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(slot_cost, "network", tiny.unet)
    monkeypatch.setitem(slot_cost.SD_TURBO, "cross_attention_dim", tiny.WIDTH)


def test_twice_the_slots_cost_twice_and_rank_counts_as_slots_do() -> None:
    sites = all_sites(tiny.unet())
    one, two, deep = (
        slot_cost.share_of_macs(Layout(sites, *shape), SIDE) for shape in ((1, 4), (2, 4), (1, 8))
    )
    assert 0.0 < one < two == deep
    assert two == pytest.approx(2 * one)


def test_each_backend_runs_the_graph_with_slots_and_without_and_says_what_they_cost() -> None:
    asked = Namespace(
        slots=2,
        rank=4,
        side=SIDE,
        threads=1,
        runs=1,
        backend=["openvino", "onnxruntime"],
        precision=["float"],
    )
    counted, *measured = slot_cost.measured(asked)
    assert counted.startswith(f"{len(all_sites(tiny.unet()))} layers, 2 slots of rank 4: ")
    assert [line.split(":")[0] for line in measured] == ["openvino float", "onnxruntime float"]
    assert all(line.endswith("%") and " ms, with slots " in line for line in measured)
