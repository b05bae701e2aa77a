"""The student network, its losses and its training, on networks a few channels wide."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs torch: pip install '.[distill]'")

from vivant.distill.losses import picture_loss, sliced_wasserstein  # noqa: E402
from vivant.distill.pairs import HELD_BACK, Pool, PoolError  # noqa: E402
from vivant.distill.train import Plan, Training, sample_sigma, train  # noqa: E402
from vivant.engines.network import CODE_CHANNELS, PLANES, STYLES, House, Widths  # noqa: E402

pytestmark = pytest.mark.torch
TINY = Widths(half=8, quarter=8, eighth=8, sixteenth=8, style=8)


@pytest.fixture(scope="module")
def house() -> House:
    torch.manual_seed(0)
    return House(TINY).eval()


def frame_of(height: int, width: int, seed: int = 0) -> torch.Tensor:
    rng = np.random.default_rng(seed)
    return torch.from_numpy(rng.integers(0, 256, (1, height, width, 3), dtype=np.uint8))


def planes_of(height: int, width: int) -> torch.Tensor:
    rng = np.random.default_rng(1)
    return torch.from_numpy(rng.integers(0, 256, (1, PLANES, height, width), dtype=np.uint8))


@pytest.mark.parametrize(("height", "width"), [(64, 64), (96, 160)])
def test_the_three_parts_keep_the_contract_at_any_multiple_of_32(
    house: House, height: int, width: int
) -> None:
    style = torch.eye(STYLES)[:1]
    with torch.inference_mode():
        code, guide = house.encode(frame_of(height, width))
        denoised = house.denoise(code, guide, torch.full((1, 1), 0.3), style)
        picture = house.decode(denoised, guide, planes_of(height, width), style)
    assert code.shape == denoised.shape == (1, CODE_CHANNELS, height // 8, width // 8)
    assert guide.shape == (1, 1, height // 2, width // 2)
    assert picture.shape == (1, height, width, 4) and picture.dtype == torch.uint8
    assert (picture[..., 3] == 255).all()


def test_the_guide_is_the_mean_luma_of_two_by_two_pixels(house: House) -> None:
    frame = frame_of(32, 64)
    with torch.inference_mode():
        _, guide = house.encode(frame)
    luma = frame.numpy()[0].astype(np.float64) @ (0.299, 0.587, 0.114) / 255
    wanted = luma.reshape(16, 2, 32, 2).mean((1, 3))
    # float32 sums of twelve products of order one
    np.testing.assert_allclose(guide[0, 0].numpy(), wanted, atol=1e-5)


def test_the_picture_that_training_compares_is_the_picture_that_is_shown(house: House) -> None:
    style = torch.eye(STYLES)[1:2]
    with torch.inference_mode():
        code, guide = house.encode(frame_of(64, 64))
        shown = house.decode(code, guide, planes_of(64, 64), style)[..., :3]
        painted = house.decode.paint(code, guide, planes_of(64, 64), style)
    rounded = (painted * 255).round().clamp(0, 255).permute(0, 2, 3, 1)
    # two convolutions of other widths may round one step apart
    assert (rounded - shown).abs().max() <= 1


def test_a_blanked_latent_carries_nothing_of_the_frame(house: House) -> None:
    pictures = []
    for seed in (1, 2):
        with torch.inference_mode():
            code, guide = house.encode(frame_of(64, 64, seed))
            blank, flat, style = torch.zeros_like(code), torch.full_like(guide, 0.5), torch.eye(STYLES)[:1]
            pictures.append(house.decode(blank, flat, planes_of(64, 64), style))
    assert torch.equal(*pictures)


def test_an_untrained_denoiser_gives_the_best_linear_guess() -> None:
    house = House(TINY).eval()
    code, guide = torch.randn(1, CODE_CHANNELS, 8, 8), torch.rand(1, 1, 32, 32)
    with torch.inference_mode():
        same = house.denoise(code, guide, torch.zeros(1, 1), torch.eye(STYLES)[:1])
        half = house.denoise(code, guide, torch.full((1, 1), 0.5), torch.eye(STYLES)[:1])
    bias = house.denoise.leave.bias.detach()[None, :, None, None]
    torch.testing.assert_close(same - bias, code)
    torch.testing.assert_close(half - bias, code)  # at one half, signal and noise are as strong


def test_losses_are_zero_for_equal_pictures_and_grow_with_the_difference() -> None:
    wanted = torch.rand(2, 3, 64, 64)
    near, far = (wanted + amount * torch.randn_like(wanted) for amount in (0.05, 0.3))
    for loss in (picture_loss, lambda a, b: sliced_wasserstein(a, b, torch.Generator().manual_seed(0))):
        assert loss(wanted, wanted) == 0
        assert 0 < loss(near, wanted) < loss(far, wanted)


def test_texture_does_not_ask_where_things_are() -> None:
    wanted = torch.rand(1, 3, 64, 64)
    moved = torch.roll(wanted, (16, 16), (2, 3))
    blurred = torch.nn.functional.avg_pool2d(wanted, 5, 1, 2)
    moved_far, blurred_far = (
        sliced_wasserstein(other, wanted, torch.Generator().manual_seed(0)) for other in (moved, blurred)
    )
    assert moved_far < 0.3 * blurred_far
    assert picture_loss(moved, wanted) > picture_loss(blurred, wanted)


def test_half_of_the_sigmas_are_small() -> None:
    sigma = sample_sigma(1000, torch.Generator().manual_seed(0))[:, 0]
    assert sigma.min() >= 0 and sigma.max() <= 0.8
    assert (sigma[::2] <= 0.25).all()


@pytest.fixture
def pool(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    folder, count = tmp_path / "pool", HELD_BACK + 8
    folder.mkdir()
    structure = np.repeat(np.repeat(rng.integers(0, 256, (count, 4, 4, 3), dtype=np.uint8), 16, 1), 16, 2)
    np.save(folder / "structure0.npy", structure)
    np.save(folder / "picture0.npy", 255 - structure)
    np.save(folder / "planes0.npy", rng.integers(0, 256, (count, PLANES, 64, 64), dtype=np.uint8))
    np.save(folder / "style0.npy", (np.arange(count) % STYLES).astype(np.uint8))
    (folder / "meta0.json").write_text(json.dumps({"done": count}))
    return folder


def test_training_lowers_the_loss_and_resumes_at_its_step(pool: Path, tmp_path: Path) -> None:
    plan = Plan(minutes=10, steps=24, styles=(0, 1, 2, 3), crop_px=32)
    training, pairs = Training(plan, TINY), Pool(pool)
    pairs.refresh()
    first = np.mean([training.advance(pairs)["near"] for _ in range(4)])
    train(training, pairs, tmp_path / "checkpoint.pt")
    last = np.mean([training.advance(pairs)["near"] for _ in range(4)])
    assert last < 0.8 * first

    resumed = Training(plan, TINY)
    resumed.restore(tmp_path / "checkpoint.pt")
    assert resumed.step == 24 and resumed.progress == 1
    assert resumed.seconds > 0


def test_a_resumed_run_takes_the_very_steps_that_the_first_would_have_taken(
    pool: Path, tmp_path: Path
) -> None:
    plan = Plan(minutes=1e6, styles=(0, 1, 2, 3), crop_px=32)
    one, pairs = Training(plan, TINY), Pool(pool)
    pairs.refresh()
    one.advance(pairs)
    one.save(tmp_path / "checkpoint.pt")
    other = Training(plan, TINY)
    other.restore(tmp_path / "checkpoint.pt")
    assert one.advance(pairs) == pytest.approx(other.advance(pairs), rel=1e-3)
    assert not list(tmp_path.glob("*.partial"))


def test_late_in_training_every_norm_is_frozen_but_the_one_that_holds_the_code_at_unit_variance(
    pool: Path,
) -> None:
    training, pairs = Training(Plan(minutes=10, steps=10, styles=(0, 1, 2, 3), crop_px=32), TINY), Pool(pool)
    pairs.refresh()
    training.advance(pairs)
    norms = [m for m in training.house.modules() if isinstance(m, torch.nn.BatchNorm2d)]
    assert all(norm.training for norm in norms)
    training.step = 9
    training.advance(pairs)
    assert [norm for norm in norms if norm.training] == [training.house.encode.norm]


def test_a_growing_pool_gives_every_style_and_aligned_crops(pool: Path) -> None:
    (pool / "meta0.json").write_text(json.dumps({"done": HELD_BACK + 4}))
    pairs = Pool(pool)
    assert pairs.refresh() == 4
    (pool / "meta0.json").write_text(json.dumps({"done": HELD_BACK + 8}))
    assert pairs.refresh() == 8
    batch = pairs.batch(np.random.default_rng(0), (0, 1, 2, 3, 3, 2, 1, 0), 32)
    assert batch.style.tolist() == [0, 1, 2, 3, 3, 2, 1, 0]
    assert (batch.picture == 255 - batch.structure).all()
    assert len(pairs.held_back().style) == HELD_BACK


def test_an_empty_pool_says_how_to_fill_it(tmp_path: Path) -> None:
    with pytest.raises(PoolError, match=r"vivant\.distill\.paint"):
        Pool(tmp_path).refresh()
