"""Processes that train together: they average, and end at the same weights."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from tiny_pool import write_tiny_pool

torch = pytest.importorskip("torch", reason="needs torch: pip install '.[distill]'")

from vivant.distill.plan import Plan  # noqa: E402
from vivant.distill.pool import Pool  # noqa: E402
from vivant.distill.together import Together, alone, run_together  # noqa: E402
from vivant.distill.train import Training  # noqa: E402
from vivant.engines.house import Widths  # noqa: E402

torch.set_num_threads(1)  # more would wait for each other on cores that others use
pytestmark = [pytest.mark.torch, pytest.mark.slow]
PLAN = Plan(
    ("ink",),
    {"ink": 1.0},
    minutes=1e6,
    steps=2,
    stills=2,
    moving=0,
    crop_px=32,
    widths=Widths(weave=8, half=8, quarter=8, eighth=8, sixteenth=8, style=8),
)


def work(together: Together, pool: Path, out: Path) -> None:
    """Write what this process sees, averages and a digest of the weights after two steps; then break."""
    torch.set_num_threads(1)
    tensors = [torch.full((2, 3), float(together.rank)), torch.tensor([together.rank + 10.0])]
    together.average(tensors)
    mean = together.mean(float(together.rank))
    training = Training(PLAN, together=together)
    own = training.generator.initial_seed()
    for _ in range(2):
        training.advance(reader(pool))
    weights = b"".join(p.detach().numpy().tobytes() for p in training.house.parameters())
    found = (tensors[0].unique().tolist(), tensors[1].tolist(), mean, hashlib.sha256(weights).hexdigest())
    (out / f"{together.rank}.txt").write_text(f"{found!r}\n{own} {training.progress}")
    together.mean(0.0)  # now both have written
    fail(together)


def fail(together: Together) -> None:
    raise ValueError(f"process {together.rank} cannot go on")


def reader(folder: Path) -> Pool:
    pool = Pool(folder, ("ink",))
    pool.refresh()
    return pool


def test_two_processes_keep_the_same_weights_though_they_see_other_crops_and_tell_what_breaks(
    tmp_path: Path,
) -> None:
    pool = write_tiny_pool(tmp_path / "pool", ("ink",))
    with pytest.raises(Exception, match=r"process \d cannot go on"):
        run_together(2, work, (pool, tmp_path))
    (seen, first), (other_seen, second) = (
        (tmp_path / f"{rank}.txt").read_text().splitlines() for rank in (0, 1)
    )
    assert seen == other_seen and seen.startswith("([0.5], [10.5], 0.5, ")
    assert (first, second) == ("0 1.0", "1 1.0")


def test_one_process_works_here_and_averages_nothing() -> None:
    held = torch.tensor([3.0])
    seen: list[Together] = []
    run_together(1, seen.append, ())
    seen[0].average([held])
    assert seen == [alone()] and held == 3.0 and seen[0].mean(2.5) == 2.5
    with pytest.raises(ValueError, match="process 0"):
        run_together(1, fail, ())
