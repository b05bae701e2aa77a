"""Training the student, on networks a few channels wide: steps, what freezes, checkpoints, going on."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tiny_pool import write_tiny_pool

torch = pytest.importorskip("torch", reason="needs torch: pip install '.[distill]'")
cv2 = pytest.importorskip("cv2")

from vivant.distill.plan import Plan  # noqa: E402
from vivant.distill.pool import Pool  # noqa: E402
from vivant.distill.train import SIGMA_MAX, SIGMA_SMALL, Training, sample_sigma, train  # noqa: E402
from vivant.engines.house import Widths  # noqa: E402

torch.set_num_threads(1)  # more would wait for each other on cores that others use
pytestmark = pytest.mark.torch
STYLES = ("ink", "oil")
PLAN = Plan(
    STYLES,
    {"ink": 1.0, "oil": 1.0, "blends": 1.0},
    minutes=1e6,
    steps=12,
    stills=3,
    moving=1,
    crop_px=32,
    widths=Widths(weave=8, half=8, quarter=8, eighth=8, sixteenth=8, style=8),
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_pool(tmp_path_factory.mktemp("pool"), STYLES)


@pytest.fixture
def pool(folder: Path) -> Pool:
    found = Pool(folder, STYLES)
    found.refresh()
    return found


def same(one: Training, other: Training) -> bool:
    """Whether two runs stand at the very same numbers."""
    pairs = [(one.house.state_dict(), other.house.state_dict()), (one.average, other.average)]
    pairs.append((one.critic.state_dict(), other.critic.state_dict()))
    return all(torch.equal(a[name], b[name]) for a, b in pairs for name in a)


def test_half_of_the_sigmas_are_small() -> None:
    sigma = sample_sigma(1000, torch.Generator().manual_seed(0))[:, 0]
    assert sigma.min() >= 0 and sigma.max() <= SIGMA_MAX
    assert (sigma[::2] <= SIGMA_SMALL).all()


def test_training_lowers_the_loss(pool: Pool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vivant.distill.train.WARM_STEPS", 1)
    training = Training(replace(PLAN, steps=None, rate=6e-3))
    near = [training.advance(pool)["near"] for _ in range(24)]
    assert np.mean(near[-4:]) < 0.8 * np.mean(near[:4])


def test_a_resumed_run_ends_where_one_without_interruption_ends(pool: Pool, tmp_path: Path) -> None:
    plan = replace(PLAN, steps=5, critic_from=0.3, freeze_norm=0.7)  # the critic plays, then norms freeze
    whole = Training(plan)
    for _ in range(5):
        whole.advance(pool)
    begun = Training(plan)
    for _ in range(2):
        begun.advance(pool)
    begun.save(tmp_path / "checkpoint.pt")
    resumed = Training(replace(plan, seed=0))
    resumed.restore(tmp_path / "checkpoint.pt")
    assert (resumed.step, resumed.progress) == (2, pytest.approx(2 / 5))
    assert same(begun, resumed)
    for _ in range(3):
        losses = resumed.advance(pool)
    assert {"critic", "fool", "matching"} <= losses.keys()
    assert same(whole, resumed) and not same(begun, resumed)
    assert not list(tmp_path.glob("*.partial"))


def test_a_checkpoint_that_cannot_be_written_leaves_the_one_before(
    pool: Pool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    training = Training(PLAN)
    training.save(tmp_path / "checkpoint.pt")
    kept = (tmp_path / "checkpoint.pt").read_bytes()

    def full(state: object, path: Path) -> None:
        path.write_bytes(b"half of it")
        raise OSError("no space left on device")

    monkeypatch.setattr(torch, "save", full)
    with pytest.raises(OSError, match="no space"):
        training.save(tmp_path / "checkpoint.pt")
    assert (tmp_path / "checkpoint.pt").read_bytes() == kept


def test_late_in_training_every_norm_is_frozen_but_the_one_that_holds_the_code_at_unit_variance(
    pool: Pool,
) -> None:
    training = Training(replace(PLAN, steps=10))
    training.advance(pool)
    norms = [m for m in training.house.modules() if isinstance(m, torch.nn.BatchNorm2d)]
    assert all(norm.training for norm in norms)
    training.step = 9
    for _ in range(2):
        training.advance(pool)
    assert [norm for norm in norms if norm.training] == [training.house.encode.norm]


def test_a_plan_without_moving_pairs_or_without_stills_can_be_trained(pool: Pool) -> None:
    assert "motion" not in Training(replace(PLAN, moving=0)).advance(pool)
    assert "motion" in Training(replace(PLAN, stills=0, moving=2)).advance(pool)


def test_the_critic_plays_only_late(pool: Pool) -> None:
    training = Training(replace(PLAN, steps=4, critic_from=0.5))
    played = ["critic" in training.advance(pool) for _ in range(4)]
    assert played == [False, False, True, True]
    assert all(parameter.requires_grad for parameter in training.critic.parameters())


def test_the_rate_warms_up_and_falls_along_a_cosine(pool: Pool) -> None:
    training = Training(PLAN)
    rates = []
    for step, progress in ((0, 0.0), (79, 0.0), (200, 0.5), (400, 1.0)):
        training.step, training.progress = step, progress
        training._set_rate()
        rates.append(training.optimizer.param_groups[0]["lr"] / PLAN.rate)
    assert rates == pytest.approx([1 / 80, 1, 0.5 * (1 + PLAN.last_rate), PLAN.last_rate])


def test_a_run_ends_with_a_checkpoint_a_log_and_samples(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vivant.distill.journal.LINE_STEPS", 2)
    plan = replace(PLAN, steps=3)
    training = Training(plan)
    train(training, Pool(folder, STYLES), tmp_path)
    assert training.step == 3
    resumed = Training(plan)
    resumed.restore(tmp_path / "checkpoint.pt")
    assert resumed.progress == 1 and same(training, resumed)
    assert "48 pairs" in capsys.readouterr().out  # one shard of each folder is held back
    samples = cv2.imread(str(tmp_path / "samples.png"))
    assert samples.shape == (3 * 256, 6 * 256, 3)  # structures, teachers, student; two of each folder
    assert np.array_equal(samples[:256], 255 - samples[256:512])
