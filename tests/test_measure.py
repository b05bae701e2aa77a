"""What the guard measures of a latent: what the docstring promises, and nothing lost on the way."""

from __future__ import annotations

import numpy as np
import pytest

from vivant.guardrails.measure import FLOOR, GUIDE_FLOOR, SPREAD, channels_of, length, measure, measure_brief
from vivant.runtime.frames import Latent

CHANNELS = 6
ROUNDING = 3e-4  # float32 sums of squares, beside the floors, against float64


def latent_of(seed: int, height: int = 24, width: int = 32) -> Latent:
    """A code with a part of the guide in it, and a guide of soft waves."""
    rng = np.random.Generator(np.random.Philox(key=seed))
    y, x = np.mgrid[0 : 4 * height, 0 : 4 * width] / (4.0 * width)
    guide = 0.5 + 0.3 * np.sin(9 * x + rng.uniform(0, 6)) * np.cos(7 * y) + rng.normal(0, 0.02, x.shape)
    small = pooled(guide, 4) - 0.5
    code = rng.normal(0, 1, (CHANNELS, height, width)) + rng.normal(0, 3, (CHANNELS, 1, 1)) * small
    return Latent(code[None].astype(np.float32), np.clip(guide, 0, 1)[None, None].astype(np.float32))


def pooled(x: np.ndarray, side: int) -> np.ndarray:
    """Means of side x side, of the last two axes."""
    *rest, height, width = x.shape
    return x.reshape(*rest, height // side, side, width // side, side).mean((-3, -1))


def log_within(x: np.ndarray, floor: float) -> np.ndarray:
    """Log variance within blocks of 4x4 places, over channels."""
    within = np.maximum(pooled((x**2).mean(0), 4) - (pooled(x, 4) ** 2).mean(0), 0)
    return np.log(within + floor)


def by_definition(latent: Latent) -> np.ndarray:
    """The statistics as the docstring has them, in float64."""
    code, guide = latent.code[0].astype(np.float64), latent.guide[0, 0].astype(np.float64)
    mean = code.mean((1, 2))
    away = code - mean[:, None, None]
    lit = pooled(guide, 4) - guide.mean()
    covariance = (away * lit).mean((1, 2))
    variance = code.var((1, 2))
    detail = log_within(code, FLOOR)
    return np.concatenate(
        [
            mean,
            *(np.log(pooled(code, side).var((1, 2)) + FLOOR) for side in (1, 2, 4)),
            np.log(np.abs(away).max((1, 2)) ** 2 + FLOOR),
            covariance / np.sqrt((variance + FLOOR) * (lit.var() + GUIDE_FLOOR)),
            np.log(covariance**2 / (lit.var() + GUIDE_FLOOR) + FLOOR),
            [guide.mean()],
            [np.log(pooled(guide, side).var() + GUIDE_FLOOR) for side in (1, 2, 4, 8)],
            np.quantile(detail, SPREAD),
            np.quantile(detail - log_within(pooled(guide, 4)[None], GUIDE_FLOOR), SPREAD),
        ]
    )


def brief_by_definition(latent: Latent) -> np.ndarray:
    """The few statistics as their docstring has them, in float64."""
    code, guide = latent.code[0].astype(np.float64), latent.guide[0, 0].astype(np.float64)
    coarse = np.concatenate([pooled(code, 4), pooled(guide, 16)[None]])
    away = coarse - coarse.mean((1, 2), keepdims=True)
    floors = np.array([FLOOR] * CHANNELS + [GUIDE_FLOOR])
    fine = np.append(code.var((1, 2)), guide.var()) + floors
    spread = coarse.var((1, 2)) + floors
    covariance = (away[:-1] * away[-1]).mean((1, 2))
    correlation = covariance / np.sqrt(spread[:-1] * spread[-1])
    return np.concatenate([coarse.mean((1, 2)), np.log(fine), np.log(spread), correlation])


@pytest.mark.parametrize("size", [(8, 8), (24, 32), (48, 48)])
def test_the_few_statistics_are_those_that_are_named(size):
    latent = latent_of(1, *size)
    found = measure_brief(latent)
    assert found.dtype == np.float32
    assert len(found) == length(CHANNELS, brief=True) and channels_of(len(found), brief=True) == CHANNELS
    np.testing.assert_allclose(found, brief_by_definition(latent), atol=ROUNDING)


@pytest.mark.parametrize("size", [(8, 8), (24, 32), (48, 48)])
def test_the_statistics_are_those_that_are_named(size):
    latent = latent_of(1, *size)
    found = measure(latent)
    assert found.dtype == np.float32
    assert len(found) == length(CHANNELS)
    np.testing.assert_allclose(found, by_definition(latent), atol=ROUNDING)


def test_a_flat_wall_has_statistics_too():
    code = np.full((1, CHANNELS, 16, 16), 0.3, np.float32)
    found = measure(Latent(code, np.full((1, 1, 64, 64), 0.5, np.float32)))
    np.testing.assert_allclose(found[CHANNELS : 5 * CHANNELS], np.log(FLOOR), atol=1e-4)
    assert np.isfinite(found).all()


@pytest.mark.parametrize("measured", [measure, measure_brief])
def test_what_is_no_number_stays_none(measured):
    latent = latent_of(2)
    latent.code[0, 3, 5, 5] = np.nan
    assert np.isnan(measured(latent)).any()
    latent = latent_of(2)
    latent.guide[0, 0, 40, 40] = np.inf
    with np.errstate(invalid="ignore"):
        assert not np.isfinite(measured(latent)).all()


@pytest.mark.parametrize("measured", [measure, measure_brief])
def test_measuring_leaves_the_latent_as_it_was(measured):
    latent = latent_of(3)
    code, guide = latent.code.copy(), latent.guide.copy()
    measured(latent)
    np.testing.assert_array_equal(latent.code, code)
    np.testing.assert_array_equal(latent.guide, guide)


def test_what_stands_beyond_whole_blocks_of_a_code_without_a_guide_counts_for_nothing():
    code = latent_of(4).code
    wide = np.pad(code, ((0, 0), (0, 0), (0, 2), (0, 3)), constant_values=50.0)
    found = measure(Latent(wide, None))
    assert len(found) == length(CHANNELS, guided=False)
    np.testing.assert_array_equal(found, measure(Latent(code, None)))
