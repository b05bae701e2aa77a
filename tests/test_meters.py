"""Meters: percentiles against numpy's, and what an empty or abused meter says."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vivant.runtime.meters import BUCKETS, GROWTH, HIGHEST_MS, LOWEST_MS, Histogram, Window

DURATIONS_MS = st.lists(
    st.floats(min_value=LOWEST_MS, max_value=HIGHEST_MS * 0.999), min_size=1, max_size=300
)
PERCENT = st.sampled_from([0.0, 1.0, 50.0, 90.0, 95.0, 99.0, 100.0])


def filled(samples_ms: list[float]) -> Histogram:
    histogram = Histogram()
    for ms in samples_ms:
        histogram.add(ms)
    return histogram


@given(DURATIONS_MS, PERCENT)
def test_a_percentile_is_within_half_a_bucket_of_the_sample_of_that_rank(
    samples_ms: list[float], percent: float
) -> None:
    exact = float(np.percentile(samples_ms, percent, method="inverted_cdf"))
    found = filled(samples_ms).percentile(percent)
    assert found is not None
    # Half a bucket in ratio, and as much again for a sample that rounding puts on an edge.
    assert exact / GROWTH <= found <= exact * GROWTH


@given(DURATIONS_MS)
def test_count_mean_and_maximum_are_exact(samples_ms: list[float]) -> None:
    histogram = filled(samples_ms)
    assert histogram.count == len(samples_ms)
    assert histogram.max_ms == max(samples_ms)
    assert histogram.mean_ms == pytest.approx(float(np.mean(samples_ms)), rel=1e-9)


@given(DURATIONS_MS, DURATIONS_MS)
def test_merged_histograms_say_what_one_of_all_samples_says(first: list[float], second: list[float]) -> None:
    merged = filled(first)
    merged.merge(filled(second))
    assert merged.snapshot() == filled(first + second).snapshot()


@given(st.lists(st.floats(min_value=0.0, max_value=1e9), min_size=1, max_size=50))
def test_durations_beyond_the_buckets_stay_within_the_samples(samples_ms: list[float]) -> None:
    histogram = filled(samples_ms)
    for percent in (0.0, 50.0, 100.0):
        found = histogram.percentile(percent)
        assert found is not None
        assert min(samples_ms) <= found <= max(samples_ms)


def test_an_empty_histogram_says_none_and_not_zero() -> None:
    assert Histogram().snapshot() == {
        "p50_ms": None,
        "p95_ms": None,
        "p99_ms": None,
        "max_ms": None,
        "count": 0,
    }
    assert Histogram().mean_ms is None


@pytest.mark.parametrize("impossible", [math.nan, -1.0, -math.inf])
def test_an_impossible_duration_is_counted_as_nothing_and_ends_nothing(impossible: float) -> None:
    histogram = filled([impossible, 4.0])
    assert histogram.count == 2
    assert histogram.mean_ms == 2.0
    assert histogram.percentile(0) == 0.0


def test_an_infinite_duration_is_the_maximum() -> None:
    assert filled([1.0, math.inf]).max_ms == math.inf


def test_a_histogram_does_not_grow_with_its_samples() -> None:
    histogram = filled([0.0, 5.0, 1e12] * 1000)
    assert len(histogram._counts) == BUCKETS


@given(DURATIONS_MS, st.integers(min_value=1, max_value=100), PERCENT)
def test_a_window_gives_the_exact_percentile_of_its_last_samples(
    samples_ms: list[float], length: int, percent: float
) -> None:
    window = Window(length)
    for ms in samples_ms:
        window.add(ms)
    last = samples_ms[-length:]
    assert window.full == (len(samples_ms) >= length)
    assert window.percentile(percent) == float(np.percentile(last, percent, method="inverted_cdf"))


def test_a_cleared_window_has_forgotten() -> None:
    window = Window(4)
    window.add(3.0)
    window.clear()
    assert window.count == 0
    assert window.percentile(95) is None


def test_a_window_of_no_samples_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one"):
        Window(0)
