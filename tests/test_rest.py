"""A latent at rest: noise is left out, motion comes through at once, and so does what the guard must see."""

from __future__ import annotations

import numpy as np

from vivant.runtime.frames import Latent
from vivant.runtime.rest import CODE_BAND, GUIDE_BAND, Rest


def latent(seed: int = 0) -> Latent:
    rng = np.random.default_rng(seed)
    code = rng.standard_normal((1, 16, 8, 8), dtype=np.float32)
    return Latent(code, rng.random((1, 1, 32, 32), dtype=np.float32))


def test_a_latent_without_a_guide_rests_by_its_code() -> None:
    rest, start = Rest(), latent()
    rest.settle(Latent(start.code, None), 1.0)
    again = rest.settle(Latent(moved(start, 0.9).code, None), 1.0)
    assert again.guide is None and np.array_equal(again.code, start.code)


def moved(start: Latent, by: float) -> Latent:
    """Every value moved by a share of its band."""
    return Latent(start.code + np.float32(by * CODE_BAND), start.guide + np.float32(by * GUIDE_BAND))


def test_what_moves_by_less_than_the_band_stays_to_the_bit() -> None:
    rest, start = Rest(), latent()
    first = rest.settle(start, 1.0)
    code, guide = first.code.copy(), first.guide.copy()
    for share in (0.9, -0.9, 0.5):
        again = rest.settle(moved(start, share), 1.0)
        assert np.array_equal(again.code, code) and np.array_equal(again.guide, guide)


def test_what_moves_further_is_taken_at_once_and_only_there() -> None:
    rest, start = Rest(), latent()
    rest.settle(start, 1.0)
    there = latent(1)
    code = moved(start, 0.9).code
    code[..., :4] = there.code[..., :4]
    settled = rest.settle(Latent(code, start.guide), 1.0).code
    far = np.abs(code - start.code) > CODE_BAND
    assert np.array_equal(settled[far], code[far])
    assert np.array_equal(settled[..., 4:], start.code[..., 4:])


def test_a_slow_change_is_followed_to_within_the_band() -> None:
    rest, start = Rest(), latent()
    for step in range(200):
        settled = rest.settle(moved(start, step * 0.1), 1.0)
        assert np.abs(settled.code - moved(start, step * 0.1).code).max() <= CODE_BAND * 1.001


def test_less_smoothing_has_a_narrower_band_and_none_takes_all() -> None:
    rest, start = Rest(), latent()
    rest.settle(start, 0.25)
    assert np.array_equal(rest.settle(moved(start, 0.5), 0.25).code, moved(start, 0.5).code)
    assert rest.settle(moved(start, 0.6), 0.0).code is not start.code
    assert np.array_equal(rest.settle(moved(start, 0.01), 0.0).code, moved(start, 0.01).code)


def test_a_value_that_is_no_number_comes_through_for_the_guard_to_see() -> None:
    rest, start = Rest(), latent()
    rest.settle(start, 1.0)
    broken = latent()
    broken.code[0, 3, 2, 1] = np.nan
    broken.guide[0, 0, 5, 5] = np.inf
    settled = rest.settle(broken, 1.0)
    assert np.isnan(settled.code[0, 3, 2, 1]) and np.isinf(settled.guide[0, 0, 5, 5])
    rest.settle(broken, 1.0)
    healed = rest.settle(start, 1.0)
    assert np.isfinite(healed.code).all() and np.isfinite(healed.guide).all()


def test_the_frames_own_buffers_are_never_kept() -> None:
    rest, start = Rest(), latent()
    first = rest.settle(start, 1.0)
    start.code[...] = 7.0
    assert not (first.code == 7.0).any()
