"""A walk's numbers do what the samplers do."""

from __future__ import annotations

import numpy as np
import pytest

from vivant.engines.diffusion.steps import ADVANCE, Sampler, img2img, schedule, sigmas_of
from vivant.engines.walk import WIDTH, Walk, diffusion_walk, house_walk

SIGMAS = sigmas_of({"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear"})
SHAPE = (1, 4, 6, 5)
SAMPLERS = [
    Sampler("euler"),
    Sampler("euler_ancestral"),
    Sampler("ddim", ends_clean=False),
    Sampler("lcm", 50),
    Sampler("tcd", 50, 0.3, False),
]


def drawn(seed):
    return np.random.default_rng(seed).standard_normal(SHAPE, np.float32)


def model(x, sigma):
    """As a network does: nothing that is linear in x."""
    return np.tanh(x / np.float32(1 + sigma)) + np.float32(0.1)


def follow(walk: Walk, clean):
    x = clean * np.float32(walk.start[0]) + drawn(100) * np.float32(walk.start[1])
    for index, (sigma, *shares) in enumerate(walk.steps, 1):
        a, b, c = map(np.float32, shares)
        x = x * a + model(x, sigma) * b + drawn(100 + index) * c
    return x


@pytest.mark.parametrize("steps", [1, 2, 4])
@pytest.mark.parametrize("sampler", SAMPLERS, ids=lambda sampler: sampler.kind)
def test_a_walk_is_what_img2img_does(sampler, steps):
    """Float32 sums in another order, of codes times a sigma of up to 15: 1e-4 of them."""
    taken = schedule(sampler, SIGMAS, steps, 0.9)
    wanted = img2img(model, drawn(1), taken, ADVANCE[sampler.kind], lambda index: drawn(100 + index))
    assert np.allclose(follow(diffusion_walk(taken, ADVANCE[sampler.kind]), drawn(1)), wanted, atol=2e-4)


@pytest.mark.parametrize("steps", [1, 2, 3, 4])
def test_a_house_walk_falls_to_nothing_and_ends_on_the_denoised_code(steps):
    walk = house_walk(0.6, steps)
    assert walk.start == (0.4, 0.6) and len(walk.steps) == steps
    levels = [step[0] for step in walk.steps]
    assert levels == sorted(levels, reverse=True) and levels[0] == 0.6
    assert walk.steps[-1][1:] == (0.0, 1.0, 0.0)


def test_a_latent_without_noise_walks_too():
    assert house_walk(0.0, 2).steps == ((0.0, 0.0, 1.0, 0.0), (0.0, 0.0, 1.0, 0.0))


def test_numbers_have_room_for_the_longest_walk():
    numbers = house_walk(0.5, 2).numbers(4)
    assert numbers.shape == (2 + 4 * WIDTH,) and numbers[2] == 0.5 and not numbers[2 + 2 * WIDTH :].any()
