from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from core.errors import InvalidInput
from core.statistics import binning

anything = arrays(np.float64, st.integers(0, 30), elements=st.floats(allow_nan=True, allow_infinity=True))


@settings(deadline=None, max_examples=150)
@given(anything, anything)
def test_every_value_falls_into_one_bin_whatever_the_samples(first: np.ndarray, second: np.ndarray) -> None:
    edges = binning.shared_edges(first, second)
    assert np.isfinite(edges).all()
    assert (np.diff(edges) > 0).all()
    assert 1 <= len(edges) - 1 <= binning.N_BINS
    for sample in (first, second):
        assert binning.counts(sample, edges).sum() == np.count_nonzero(~np.isnan(sample))


def test_few_integers_get_a_bin_each() -> None:
    edges = binning.shared_edges(np.array([0.0, 1.0, 2.0]), np.array([4.0]))
    assert edges.tolist() == [-0.5, 0.5, 1.5, 2.5, 3.5, 4.5]
    assert binning.counts(np.array([0.0, 4.0, 4.0]), edges).tolist() == [1, 0, 0, 0, 2]


def test_a_far_value_does_not_squeeze_the_rest_into_one_bin(rng: np.random.Generator) -> None:
    sample = rng.normal(size=5_000)
    sample[0] = 1e12
    edges = binning.shared_edges(sample, sample)
    assert edges[-1] < 10
    assert binning.counts(sample, edges).max() < 1_000


def test_values_beyond_the_edges_count_in_the_end_bins() -> None:
    assert binning.counts(np.array([-9.0, 0.5, 9.0, np.inf, np.nan]), np.array([0.0, 1.0, 2.0])).tolist() == [2, 2]


def test_edges_that_do_not_rise_are_refused() -> None:
    with pytest.raises(InvalidInput, match="rise"):
        binning.counts(np.array([1.0]), np.array([1.0, 1.0]))


def test_categories_are_counted_the_commonest_first_and_missing_left_out() -> None:
    first = np.array(["b", "a", None, "a"], dtype=object)
    second = np.array(["c", "b", "b"], dtype=object)
    categories, one, two = binning.category_counts(first, second)
    assert categories == ["b", "a", "c"]
    assert one.tolist() == [1, 2, 0]
    assert two.tolist() == [2, 0, 1]


def test_smoothed_shares_are_positive_and_sum_to_one() -> None:
    assert binning.smooth([0, 3]).tolist() == [0.125, 0.875]
    assert binning.shares([0, 0]).tolist() == [0.0, 0.0]
    assert binning.shares([1, 3]).tolist() == [0.25, 0.75]


@pytest.mark.parametrize("ties", [False, True])
def test_weighted_quantiles_are_those_of_repeated_values(rng: np.random.Generator, ties: bool) -> None:
    values = np.round(rng.normal(size=200), 1 if ties else 9)
    times = rng.integers(0, 4, size=200)
    at = np.linspace(0.0037, 0.9963, 21)

    found = binning.weighted_quantiles(values, at, times.astype(float))

    assert found.tolist() == np.quantile(np.repeat(values, times), at, method="inverted_cdf").tolist()
    assert binning.weighted_quantiles(values, at).tolist() == np.quantile(values, at, method="inverted_cdf").tolist()
    assert binning.weighted_quantiles(values, at, times * 0.1).tolist() == found.tolist()
