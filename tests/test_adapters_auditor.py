"""The auditor: a process that holds auditions, and whose end is the end of no one else."""

from __future__ import annotations

import os
import time
from dataclasses import replace
from pathlib import Path

import pytest
from tiny_adapter import write_tiny_adapter

from vivant.engines.card import Card
from vivant.engines.student import find
from vivant.runtime.adapters import auditor
from vivant.runtime.adapters.auditor import AuditorProcess
from vivant.runtime.adapters.job import DressJob
from vivant.runtime.adapters.registry import Registry
from vivant.runtime.parameters import parameters_for
from vivant.runtime.tree import Tree

SIZE = (128, 128)
BASE = replace(Tree(parameters_for()).controls(0, 0, SIZE), adapters={})
LIMIT_S = 120.0  # for a process at the lowest priority; reached only by a failure


@pytest.fixture
def job(tmp_path: Path) -> DressJob:
    return DressJob("null", "null", "float", SIZE, BASE, (), str(tmp_path / "registry"))


def over(process: AuditorProcess) -> list[tuple[str, str]]:
    end = time.perf_counter() + LIMIT_S
    found: list[tuple[str, str]] = []
    while not found and time.perf_counter() < end:
        found = process.done()
        time.sleep(0.01)
    return found


def test_a_process_answers_for_what_it_cannot_audition_and_goes_on(job: DressJob) -> None:
    process = AuditorProcess(job)
    try:
        assert process.done() == []
        for name in ("dusk", "dawn"):
            process.ask(f"/nowhere/{name}.safetensors")
            ((kept, problem),) = over(process)
            assert kept == f"/nowhere/{name}.safetensors" and "could not be auditioned" in problem
    finally:
        process.close()


def test_a_process_that_an_adapter_brings_down_is_that_adapters_end_alone(job: DressJob) -> None:
    process = AuditorProcess(job)
    try:
        process.start()
        assert process._process is not None and process._process.pid is not None
        process._asked = "/kept/wild.safetensors"
        os.kill(process._process.pid, 11)
        assert over(process) == [("/kept/wild.safetensors", "its audition ended the process (exit code -11)")]
        process.ask("/nowhere/dusk.safetensors")
        assert "could not be auditioned" in over(process)[0][1]
    finally:
        process.close()
    assert process._process is None and process.done() == []


def test_an_audition_leaves_its_record_in_the_registry(job: DressJob, tmp_path: Path) -> None:
    card = Card.read(find("house"))
    assert card.guard is not None
    here = auditor.Auditor(replace(job, student="house", backend="onnxruntime", precision="int8"))
    kept = Registry(Path(job.registry)).keep(
        write_tiny_adapter(tmp_path / "calm.safetensors", card, alpha=0.02)
    )
    assert here.hold(str(kept)) == ""
    here.close()
    record = Registry(Path(job.registry)).record(kept.parent.name, card.hash, card.guard.sha256)
    assert record is not None and record.passed
