"""What training lowers: pixels, texture, motion and the critic's doubt."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch", reason="needs torch: pip install '.[distill]'")

from vivant.distill.losses import (  # noqa: E402
    Critic,
    critic_loss,
    filters,
    fool_loss,
    motion_loss,
    picture_loss,
    sliced_wasserstein,
)

torch.set_num_threads(1)  # more would wait for each other on cores that others use
pytestmark = pytest.mark.torch


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def pictures(count: int, seed: int = 0) -> torch.Tensor:
    return torch.rand(count, 3, 64, 64, generator=seeded(seed))


def test_losses_are_zero_for_equal_pictures_and_grow_with_the_difference() -> None:
    wanted = pictures(2)
    noise = torch.randn(wanted.shape, generator=seeded(1))
    near, far = (wanted + amount * noise for amount in (0.05, 0.3))
    for loss in (picture_loss, lambda a, b: sliced_wasserstein(a, b, seeded())):
        assert loss(wanted, wanted) == 0
        assert 0 < loss(near, wanted) < loss(far, wanted)


def test_texture_does_not_ask_where_things_are() -> None:
    wanted = pictures(1)
    moved = torch.roll(wanted, (16, 16), (2, 3))
    blurred = torch.nn.functional.avg_pool2d(wanted, 5, 1, 2)
    moved_far, blurred_far = (sliced_wasserstein(other, wanted, seeded()) for other in (moved, blurred))
    assert moved_far < 0.3 * blurred_far
    assert picture_loss(moved, wanted) > picture_loss(blurred, wanted)


def test_filters_are_of_length_one_and_three_of_four_see_texture_alone() -> None:
    made = filters(16, 7, seeded(), "cpu")
    torch.testing.assert_close(made.square().sum((1, 2, 3)), torch.ones(16))
    means = made.mean((1, 2, 3)).abs()
    assert means.reshape(4, 4)[:, 1:].max() < 1e-6 and means.reshape(4, 4)[:, 0].max() > 1e-3


def test_motion_compares_changes_and_not_pictures() -> None:
    before, after = pictures(2), pictures(2, seed=1)
    shifted = torch.cat([before + 0.2, after + 0.2])
    assert motion_loss(shifted, torch.cat([before, after])) < 1e-6
    still = torch.cat([before, before])
    assert motion_loss(still, torch.cat([before, after])) == pytest.approx(
        float((after - before).abs().mean())
    )


def test_a_critic_learns_to_tell_the_pictures_made_from_those_wanted() -> None:
    torch.manual_seed(0)
    critic = Critic(2)
    optimizer = torch.optim.AdamW(critic.parameters(), 2e-3, betas=(0.5, 0.99))
    style = torch.eye(2)
    wanted, made = pictures(2), pictures(2, seed=1).mul(0.3).requires_grad_(True)
    losses = []
    for _ in range(25):
        optimizer.zero_grad()
        loss = critic_loss(critic, made, wanted, style)
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < 0.6 * losses[0]
    assert critic(wanted, style)[0].mean() > critic(made, style)[0].mean()
    assert made.grad is None


def test_what_fools_the_critic_is_followed_back_to_the_picture_made_alone() -> None:
    torch.manual_seed(0)
    critic, style = Critic(2), torch.eye(2)
    critic.eval()  # spectral norms stay as they are
    made, wanted = pictures(2, seed=1).requires_grad_(True), pictures(2).requires_grad_(True)
    fooled, matching = fool_loss(critic, made, wanted, style)
    assert matching > 0
    torch.testing.assert_close(fooled, -critic(made, style)[0].mean())
    (fooled + matching).backward()
    assert made.grad is not None and made.grad.abs().sum() > 0
    assert wanted.grad is None
    assert fool_loss(critic, wanted, wanted, style)[1] == 0


def test_a_critic_knows_which_style_it_looks_at() -> None:
    torch.manual_seed(0)
    critic = Critic(2).eval()
    scores = [critic(pictures(1), style[None])[0] for style in torch.eye(2)]
    assert scores[0].shape == (1, 1, 8, 8)
    assert (scores[0] - scores[1]).abs().max() > 1e-4
