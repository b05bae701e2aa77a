"""What a training run tells of itself."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from tiny_pool import write_tiny_pool

torch = pytest.importorskip("torch", reason="needs torch: pip install '.[distill]'")

from vivant.distill.journal import EACH, LINE_STEPS, Journal, paint_pairs  # noqa: E402
from vivant.distill.plan import Plan  # noqa: E402
from vivant.distill.pool import Pool  # noqa: E402
from vivant.distill.train import Training  # noqa: E402
from vivant.engines.house import Widths  # noqa: E402

torch.set_num_threads(1)  # more would wait for each other on cores that others use
pytestmark = pytest.mark.torch
PLAN = Plan(
    ("ink",),
    {"ink": 1.0},
    minutes=10.0,
    widths=Widths(weave=8, half=8, quarter=8, eighth=8, sixteenth=8, style=8),
)


@pytest.fixture
def training() -> Training:
    """A run that is half an hour old, of which a quarter is done."""
    training = Training(PLAN)
    training.seconds, training.progress = 1800.0, 0.25
    return training


@pytest.fixture(scope="module")
def pool(tmp_path_factory: pytest.TempPathFactory) -> Pool:
    pool = Pool(write_tiny_pool(tmp_path_factory.mktemp("pool"), ("ink",)), ("ink",))
    pool.refresh()
    return pool


def test_every_fifty_steps_a_line_says_the_losses_and_the_time_left(
    training: Training, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with Journal(tmp_path, PLAN) as journal:
        for training.step in range(1, 2 * LINE_STEPS + 1):
            journal.note(training, {"near": 0.5}, 320)
    lines = capsys.readouterr().out.splitlines()
    assert lines[1] == "step 100  near 0.5000  320 pairs  0.06 steps/s  90.0 min left"
    log = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert [entry["step"] for entry in log] == [50, 100]
    assert log[0] == {"step": 50, "minutes": 30.0, "pairs": 320, "near": pytest.approx(0.5)}


def test_losses_are_told_smoothed_and_new_ones_join(
    training: Training, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with Journal(tmp_path, PLAN) as journal:
        training.step = 49
        journal.note(training, {"near": 1.0}, 1)
        training.step = 50
        journal.note(training, {"near": 0.0, "fool": 2.0}, 1)
    assert "near 0.9700  fool 2.0000" in capsys.readouterr().out


def test_the_first_run_and_the_resumed_one_write_one_log(training: Training, tmp_path: Path) -> None:
    for _ in range(2):
        with Journal(tmp_path, PLAN) as journal:
            training.step += LINE_STEPS
            journal.note(training, {"near": 0.5}, 1)
    assert len((tmp_path / "log.jsonl").read_text().splitlines()) == 2


def test_samples_show_structures_teachers_and_student_of_what_is_held_back(
    training: Training, pool: Pool, tmp_path: Path
) -> None:
    with Journal(tmp_path, PLAN) as journal:
        journal.sample(training, pool)
        made = cv2.imread(str(tmp_path / "samples.png"))[..., ::-1]
        (tmp_path / "samples.png").unlink()
        journal.sample(training, pool)  # not again so soon
    assert not (tmp_path / "samples.png").exists()
    held = pool.held_back()["ink"]
    assert made.shape == (3 * 256, EACH * 256, 3)
    assert np.array_equal(made[:256, :256], held.structure[0])
    assert np.array_equal(made[256:512, 256:], held.picture[1])


def test_samples_are_of_the_averaged_network_and_the_same_each_time(training: Training, pool: Pool) -> None:
    pairs = pool.moving(np.random.default_rng(0), ["ink"], 64)[0]
    first = paint_pairs(training, pairs)
    for parameter in training.house.parameters():
        parameter.data += 1
    assert np.array_equal(first, paint_pairs(training, pairs))
    assert first.shape == pairs.picture.shape and first.dtype == np.uint8


def test_only_one_of_several_processes_tells(training: Training, pool: Pool, tmp_path: Path) -> None:
    with Journal(tmp_path / "out", PLAN, enabled=False) as journal:
        training.step = LINE_STEPS
        journal.note(training, {"near": 0.5}, 1)
        journal.sample(training, pool)
    assert not (tmp_path / "out").exists()
