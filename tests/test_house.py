"""The student network: what its parts take and give, how they start, and what adapters add to them."""

from __future__ import annotations

import copy

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs torch: pip install '.[distill]'")

from vivant.engines.house import (  # noqa: E402
    CODE_CHANNELS,
    RANK,
    SLOTS,
    STYLES,
    Adapted,
    Bank,
    House,
    Widths,
)
from vivant.engines.slots import CHANNELS  # noqa: E402

torch.set_num_threads(1)  # more would wait for each other on cores that others use
pytestmark = pytest.mark.torch
TINY = Widths(weave=8, half=8, quarter=8, eighth=8, sixteenth=8, style=8)
INK = torch.eye(STYLES)[1:2]


@pytest.fixture(scope="module")
def house() -> House:
    """A network whose FiLM and last layers do something."""
    torch.manual_seed(0)
    house = House(TINY).eval()
    for parameter in house.parameters():
        parameter.data += 0.05 * torch.randn_like(parameter)
    return house


def frame_of(height: int, width: int, seed: int = 0) -> torch.Tensor:
    rng = np.random.default_rng(seed)
    return torch.from_numpy(rng.integers(0, 256, (1, height, width, 3), dtype=np.uint8))


def planes_of(height: int, width: int) -> torch.Tensor:
    rng = np.random.default_rng(1)
    return torch.from_numpy(rng.integers(0, 256, (1, height // 2, width // 2, CHANNELS), dtype=np.uint8))


def bank_of(part: Adapted, scales: tuple[float, ...], seed: int = 0) -> Bank:
    rng = torch.Generator().manual_seed(seed)
    empty = part.empty_bank()
    down, up = (0.3 * torch.randn(x.shape, generator=rng) for x in (empty.down, empty.up))
    return Bank(down, up, torch.tensor([scales], dtype=torch.float32))


def painted(house: House, denoise: Bank | None = None, decode: Bank | None = None) -> torch.Tensor:
    """The picture before it becomes bytes."""
    with torch.inference_mode():
        code, guide = house.encode(frame_of(64, 64))
        denoised = house.denoise(code, guide, torch.full((1, 1), 0.3), INK, denoise)
        return house.decode.paint(denoised, guide, planes_of(64, 64), INK, decode)


@pytest.mark.parametrize(("height", "width"), [(64, 64), (96, 160)])
def test_the_three_parts_keep_the_contract_at_any_multiple_of_32(
    house: House, height: int, width: int
) -> None:
    with torch.inference_mode():
        code, guide = house.encode(frame_of(height, width))
        denoised = house.denoise(code, guide, torch.full((1, 1), 0.3), INK)
        picture = house.decode(denoised, guide, planes_of(height, width), INK)
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
    with torch.inference_mode():
        code, guide = house.encode(frame_of(64, 64))
        shown = house.decode(code, guide, planes_of(64, 64), INK)[..., :3]
        compared = house.decode.paint(code, guide, planes_of(64, 64), INK)
    rounded = (compared * 255).round().clamp(0, 255).permute(0, 2, 3, 1)
    # two convolutions of other widths may round one step apart
    assert (rounded - shown).abs().max() <= 1


def test_a_blanked_latent_carries_nothing_of_the_frame(house: House) -> None:
    pictures = []
    for seed in (1, 2):
        with torch.inference_mode():
            code, guide = house.encode(frame_of(64, 64, seed))
            blank, flat = torch.zeros_like(code), torch.full_like(guide, 0.5)
            denoised = house.denoise(blank, flat, torch.full((1, 1), 0.3), INK)
            pictures.append(house.decode(denoised, flat, planes_of(64, 64), INK))
    assert torch.equal(*pictures)


def test_every_style_starts_alike_because_film_starts_as_the_identity() -> None:
    house = House(TINY).eval()
    code, guide, planes = torch.randn(1, CODE_CHANNELS, 8, 8), torch.rand(1, 1, 32, 32), planes_of(64, 64)
    with torch.inference_mode():
        made = [
            house.decode(house.denoise(code, guide, sigma, style), guide, planes, style)
            for style, sigma in ((INK, torch.zeros(1, 1)), (torch.eye(STYLES)[5:6], torch.zeros(1, 1)))
        ]
    assert torch.equal(*made)


def test_styles_are_told_apart_once_film_has_learned(house: House) -> None:
    code, guide, planes = torch.randn(1, CODE_CHANNELS, 8, 8), torch.rand(1, 1, 32, 32), planes_of(64, 64)
    with torch.inference_mode():
        one, other = (
            house.decode.paint(code, guide, planes, style) for style in (INK, torch.eye(STYLES)[5:6])
        )
    assert (one - other).abs().mean() > 1e-3


def test_an_untrained_denoiser_gives_the_best_linear_guess() -> None:
    house = House(TINY).eval()
    code, guide = torch.randn(1, CODE_CHANNELS, 8, 8), torch.rand(1, 1, 32, 32)
    with torch.inference_mode():
        same = house.denoise(code, guide, torch.zeros(1, 1), INK)
        half = house.denoise(code, guide, torch.full((1, 1), 0.5), INK)
    bias = house.denoise.leave.bias.detach()[None, :, None, None]
    torch.testing.assert_close(same - bias, code)
    torch.testing.assert_close(half - bias, code)  # at one half, signal and noise are as strong


def test_a_bank_of_zeros_changes_nothing(house: House) -> None:
    empty = painted(house, house.denoise.empty_bank(), house.decode.empty_bank())
    torch.testing.assert_close(empty, painted(house))
    worn_at_nothing = painted(house, bank_of(house.denoise, (0, 0)), bank_of(house.decode, (0, 0)))
    torch.testing.assert_close(worn_at_nothing, painted(house))


def test_an_adapter_changes_the_picture_the_more_the_larger_its_scale(house: House) -> None:
    plain = painted(house)
    for part in ("denoise", "decode"):
        faint, full = (
            (painted(house, **{part: bank_of(house.get_submodule(part), (scale, 0))}) - plain).abs().mean()
            for scale in (0.1, 1.0)
        )
        assert 1e-4 < faint < full


def test_adapters_add_what_merging_them_into_the_weights_adds(house: House) -> None:
    scales = (0.7, 0.4)
    banks = {part: bank_of(house.get_submodule(part), scales, seed=3) for part in ("denoise", "decode")}
    merged = copy.deepcopy(house)
    each = torch.tensor(scales).repeat_interleave(RANK)[:, None]
    for part, bank in banks.items():
        module = merged.get_submodule(part)
        inputs, outputs = zip(*module.sites.values(), strict=True)
        pairs = zip(module.sites, bank.down.split(inputs, 1), bank.up.split(outputs, 1), strict=True)
        for site, down, up in pairs:
            weight = module.get_submodule(site).weight
            weight.data += ((up * each).t() @ down).reshape(weight.shape)
    # float32 sums in another order, a few layers deep
    torch.testing.assert_close(painted(house, **banks), painted(merged), rtol=1e-3, atol=1e-3)


def test_a_bank_is_padded_for_every_slot(house: House) -> None:
    for part in (house.denoise, house.decode):
        bank = part.empty_bank()
        assert bank.scale.shape == (1, SLOTS)
        assert len(bank.down) == len(bank.up) == SLOTS * RANK
        assert bank.down.shape[1] == sum(inputs for inputs, _ in part.sites.values())
        assert bank.up.shape[1] == sum(outputs for _, outputs in part.sites.values())


def test_what_is_never_learned_is_not_part_of_the_weights() -> None:
    names = House(TINY).state_dict()
    assert not [name for name in names if name.endswith(("luma", "middle", "spread"))]
