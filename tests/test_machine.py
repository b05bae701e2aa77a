"""Which GPU a process may see, by what was asked for."""

from __future__ import annotations

import os

import pytest

from vivant.engines.contract import EngineError
from vivant.engines.machine import machine, use_device, versions

SEEN = "CUDA_VISIBLE_DEVICES"


@pytest.mark.parametrize(
    ("seen", "asked", "left"),
    [
        ("", "cuda:1", "1"),
        ("", "cuda", "0"),
        ("2,5", "cuda:1", "5"),
        ("GPU-1b2c", "cuda:0", "GPU-1b2c"),
        ("0,1", "cpu", ""),
    ],
)
def test_a_gpu_is_chosen_among_those_that_may_be_seen(monkeypatch, seen, asked, left):
    monkeypatch.setenv(SEEN, seen)
    use_device(asked)
    assert os.environ[SEEN] == left


@pytest.mark.parametrize("asked", ["gpu", "cuda:x", "cuda:-1", "cuda:2", ""])
def test_a_gpu_that_is_not_there_is_refused(monkeypatch, asked):
    monkeypatch.setenv(SEEN, "3,4")
    with pytest.raises(EngineError, match="--device"):
        use_device(asked)
    assert os.environ[SEEN] == "3,4"


def test_a_report_knows_the_machine_and_what_runs_on_it():
    assert machine()["cpu"] and machine()["cores"] >= 1
    assert {"python", "numpy", "vivant"} <= versions().keys()
