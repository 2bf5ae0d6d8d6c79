from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from core.errors import InvalidInput
from core.statistics import binning

anything = arrays(np.float64, st.integers(0, 30), elements=st.floats(allow_nan=True, allow_infinity=True))


def reached(rows: np.ndarray) -> np.ndarray:
    return np.concatenate([[0], np.cumsum(rows)])


def points_of(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    points, rows = np.unique(values[~np.isnan(values)], return_counts=True)
    return points, reached(rows)


def shared_edges(values: np.ndarray) -> np.ndarray:
    return binning.shared_edges(*points_of(values))


def counts(values: np.ndarray, edges: np.ndarray) -> np.ndarray:
    points, below = points_of(values)
    return binning.counts(points, edges, below)


@settings(deadline=None, max_examples=150)
@given(anything, anything)
def test_every_value_falls_into_one_bin_whatever_the_samples(first: np.ndarray, second: np.ndarray) -> None:
    edges = shared_edges(np.append(first, second))
    assert np.isfinite(edges).all()
    assert (np.diff(edges) > 0).all()
    assert 1 <= len(edges) - 1 <= binning.N_BINS
    for sample in (first, second):
        assert counts(sample, edges).sum() == np.count_nonzero(~np.isnan(sample))


def test_few_integers_get_a_bin_each() -> None:
    edges = shared_edges(np.array([0.0, 1.0, 2.0, 4.0]))
    assert edges.tolist() == [-0.5, 0.5, 1.5, 2.5, 3.5, 4.5]
    assert counts(np.array([0.0, 4.0, 4.0]), edges).tolist() == [1, 0, 0, 0, 2]


def test_a_far_value_does_not_squeeze_the_rest_into_one_bin(rng: np.random.Generator) -> None:
    sample = rng.normal(size=5_000)
    sample[0] = 1e12
    edges = shared_edges(np.append(sample, sample))
    assert edges[-1] < 10
    assert counts(sample, edges).max() < 1_000


def test_values_beyond_the_edges_count_in_the_end_bins() -> None:
    assert counts(np.array([-9.0, 0.5, 9.0, np.inf, np.nan, 1.0]), np.array([0.0, 1.0, 2.0])).tolist() == [2, 3]


def test_edges_that_do_not_rise_are_refused() -> None:
    with pytest.raises(InvalidInput, match="rise"):
        counts(np.array([1.0]), np.array([1.0, 1.0]))


def test_shares_sum_to_one_or_are_nothing() -> None:
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


points = arrays(np.int64, st.integers(1, 60), elements=st.integers(0, 40))


@settings(deadline=None, max_examples=100)
@given(points)
def test_a_value_lies_in_the_same_bin_whatever_else_occurs_in_the_window(reference: np.ndarray) -> None:
    if not reference.any():
        assert binning.reference_bins(reference).tolist() == [0] * len(reference)
        return
    bins = binning.reference_bins(reference)
    held = np.flatnonzero(reference)

    # The same reference without the points that only the window holds.
    assert binning.reference_bins(reference[held]).tolist() == bins[held].tolist()
    assert (np.diff(bins) >= 0).all()
    assert (bins[: held[0]] == 0).all()
    assert (bins[held[-1] + 1 :] == binning.N_BINS - 1).all()
    assert ((bins[held] > 0) & (bins[held] < binning.N_BINS - 1)).all()


@settings(deadline=None, max_examples=200)
@given(points)
def test_bins_begin_where_the_points_bins_change(reference: np.ndarray) -> None:
    bins = binning.reference_bins(reference)

    starts = binning.reference_bin_starts(reached(reference))

    assert starts.tolist() == np.flatnonzero(np.diff(bins, prepend=-1)).tolist()
    between = binning.between(reached(reference), starts[1:])
    assert between.tolist() == binning.by_bin(reference, bins).tolist()


def test_bins_hold_equal_shares_of_a_continuous_reference_and_a_common_value_alone() -> None:
    even = binning.by_bin(np.ones(3_000, dtype=np.int64), binning.reference_bins(np.ones(3_000, dtype=np.int64)))
    assert even.tolist() == [100] * 30
    inflated = np.array([1, 1, 1, 400, 0, 1, 1, 1])
    bins = binning.reference_bins(inflated)
    assert (bins == bins[3]).sum() == 1


def test_the_commonest_categories_have_a_bin_each_the_others_share_one_and_new_ones_another() -> None:
    reference = np.array([*range(40, 0, -1), 0, 0])
    bins = binning.category_bins(reference, reference > 0)
    assert bins.tolist() == [*range(30), *[30] * 10, 31, 31]
    assert binning.by_bin(reference, bins)[-2:].tolist() == [55, 0]
    assert binning.category_bins(reference[::-1], reference[::-1] > 0).tolist() == bins[::-1].tolist()


def test_bins_of_many_draws_at_once_are_those_of_each(rng: np.random.Generator) -> None:
    draws = rng.poisson(1.5, size=(5, 80))
    known = draws > 0
    for made in (binning.reference_bins(draws), binning.category_bins(draws, known)):
        by_draw = binning.by_own_bins(draws, made)
        for place, one in enumerate(draws):
            alone = binning.by_bin(one, made[place])
            assert by_draw[place][np.unique(made[place])].tolist() == alone.tolist()
    assert binning.reference_bins(draws)[2].tolist() == binning.reference_bins(draws[2]).tolist()
    assert binning.category_bins(draws, known)[2].tolist() == binning.category_bins(draws[2], known[2]).tolist()


def test_edges_over_weighted_points_are_those_over_repeated_ones(rng: np.random.Generator) -> None:
    values, times = rng.standard_cauchy(size=50), rng.integers(1, 5, size=50)
    order = np.argsort(values)
    values, times = values[order], times[order]
    edges = binning.shared_edges(values, reached(times))
    assert edges.tolist() == shared_edges(np.repeat(values, times)).tolist()
    weighted = binning.counts(values, edges, reached(times))
    assert weighted.tolist() == counts(np.repeat(values, times), edges).tolist()
    inside = np.clip(np.repeat(values, times), edges[0], edges[-1])
    assert weighted.tolist() == np.histogram(inside, edges)[0].tolist()
