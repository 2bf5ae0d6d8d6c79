"""Each distance and p-value against scipy's, from the same rows written out."""

from __future__ import annotations

import warnings
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import stats
from scipy.spatial.distance import jensenshannon

from core.errors import InsufficientData, InvalidInput
from core.statistics import two_sample
from core.statistics.sketches import Counted, counted

values = st.floats(-1e6, 1e6, allow_nan=False, allow_subnormal=False) | st.integers(-3, 3).map(float)
samples = arrays(np.float64, st.integers(1, 60), elements=values)
counts = st.lists(st.tuples(st.integers(0, 50), st.integers(0, 50)), min_size=1, max_size=12).filter(
    lambda pairs: any(one for one, _ in pairs) and any(other for _, other in pairs)
)


def both(first: np.ndarray, second: np.ndarray) -> Counted:
    return counted(np.asarray(first, dtype=float), np.asarray(second, dtype=float))


def moved(first: np.ndarray, second: np.ndarray) -> float:
    points = both(first, second)
    return float(two_sample.wasserstein(points.low, points.reference, points.current))


@settings(deadline=None, max_examples=150)
@given(samples, samples)
def test_kolmogorov_smirnov_is_scipys(first: np.ndarray, second: np.ndarray) -> None:
    points = both(first, second)
    with warnings.catch_warnings(record=True) as gave_up:
        warnings.simplefilter("always")
        expected = stats.ks_2samp(first, second, method="exact")
    assert two_sample.kolmogorov_smirnov(points.reference, points.current) == pytest.approx(
        expected.statistic, abs=1e-14
    )
    pvalue, exact = two_sample.ks_pvalue(points.reference, points.current)
    assert exact
    # scipy gives up where its sum is above 1 by rounding.
    assert pvalue == pytest.approx(1.0 if gave_up else expected.pvalue, rel=1e-9)


@pytest.mark.parametrize(("n", "m"), [(20_000, 1), (3, 6_000), (141, 141), (80, 240)])
def test_the_exact_p_value_is_scipys_at_its_largest(n: int, m: int, rng: np.random.Generator) -> None:
    for shift in (0.1, 0.5, 1.5, 9.0):
        first, second = rng.normal(size=n), rng.normal(shift, 1, size=m)
        points = both(first, second)
        expected = stats.ks_2samp(first, second, method="exact").pvalue
        assert two_sample.ks_pvalue(points.reference, points.current)[0] == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize(("n", "m"), [(200, 150), (300, 90), (20_001, 1), (2_000, 3_000), (50_000, 900)])
@pytest.mark.parametrize("shift", [0.0, 0.05, 0.2])
@pytest.mark.parametrize("ties", [False, True])
def test_the_asymptotic_p_value_is_scipys_within_half_a_percent(
    n: int, m: int, shift: float, ties: bool, rng: np.random.Generator
) -> None:
    first, second = rng.normal(size=n), rng.normal(shift, 1, size=m)
    if ties:
        first, second = first.round(), second.round()
    points = both(first, second)
    found, exact = two_sample.ks_pvalue(points.reference, points.current)
    expected = stats.ks_2samp(first, second, method="asymp").pvalue
    assert not exact
    assert found == pytest.approx(expected, rel=0.005, abs=1e-6)


@settings(deadline=None, max_examples=150)
@given(samples, samples)
def test_wasserstein_is_scipys_over_the_references_deviation(first: np.ndarray, second: np.ndarray) -> None:
    points = both(first, second)
    distance = stats.wasserstein_distance(first, second)
    size = max(np.abs(first).max(), np.abs(second).max(), 1e-300)
    found = two_sample.distance_moved(points.low, points.reference, points.current)
    assert found == pytest.approx(distance, rel=1e-9, abs=1e-12 * size)
    spread = first.std() if first.min() < first.max() else np.concatenate([first, second]).std()
    if spread > 1e-6 * size:  # below that numpy's own deviation is rounding
        assert moved(first, second) == pytest.approx(distance / spread, rel=1e-6, abs=1e-9)


@pytest.mark.parametrize("unit", [1.0, 1e290, 1e-12, 1e-300])
@pytest.mark.parametrize("offset", [0.0, 1.7e9])
def test_a_shift_is_told_in_standard_deviations_in_any_unit(
    unit: float, offset: float, rng: np.random.Generator
) -> None:
    sample = rng.normal(size=500)
    reference, current = (sample * 1e5 + offset) * unit, ((sample + 0.5 * sample.std()) * 1e5 + offset) * unit
    assert moved(reference, current) == pytest.approx(0.5, rel=1e-6)


def test_wasserstein_has_a_stated_outcome_for_constants_and_infinities() -> None:
    inf, largest = np.inf, 1.7e308
    assert moved([3.0, 3.0], [3.0]) == 0.0
    assert moved([3.0, 3.0], [4.0, 4.0]) == pytest.approx(2.0)  # one, over the deviation of both together
    assert moved([1.0, 2.0, inf], [-inf, 2.0]) == pytest.approx(np.sqrt(1 / 8))  # as 1, 2, 2 against 1, 2
    assert moved([inf], [inf]) == 0.0
    assert moved([-inf, inf], [inf]) == pytest.approx(1.0)  # as 0, 1 against 1
    assert moved([largest, -largest], [largest]) == pytest.approx(1.0)
    assert moved([0.0, 1e-300], [largest]) == two_sample.LARGEST


@settings(deadline=None, max_examples=150)
@given(counts)
def test_distances_over_bins_are_scipys(pairs: list[tuple[int, int]]) -> None:
    first, second = np.array(pairs, dtype=np.int64).T
    before, after = first / first.sum(), second / second.sum()
    assert two_sample.jensen_shannon(first, second) == pytest.approx(jensenshannon(before, after, base=2), abs=1e-7)
    assert two_sample.total_variation(first, second) == pytest.approx(np.abs(before - after).sum() / 2)
    assert two_sample.hellinger(first, second) == pytest.approx(
        np.sqrt(max(0.0, 1 - np.sqrt(before * after).sum())), abs=1e-7
    )
    held = first + second > 0
    before, after = ((one[held] + 0.5) / (one[held] + 0.5).sum() for one in (first, second))
    divergences = stats.entropy(before, after) + stats.entropy(after, before)
    assert two_sample.psi(first, second) == pytest.approx(divergences, abs=1e-12)


@settings(deadline=None, max_examples=100)
@given(counts)
def test_distances_keep_their_range_and_do_not_mind_the_order_of_bins_nor_who_is_first(
    pairs: list[tuple[int, int]],
) -> None:
    first, second = np.array(pairs, dtype=np.int64).T
    for distance, most in (
        (two_sample.psi, np.inf),
        (two_sample.jensen_shannon, 1),
        (two_sample.hellinger, 1),
        (two_sample.total_variation, 1),
        (two_sample.pooled_total_variation, 1),
    ):
        found = float(distance(first, second))
        assert 0 <= found <= most + 1e-12
        assert distance(second, first) == pytest.approx(found, abs=1e-12)
        assert distance(first[::-1], second[::-1]) == pytest.approx(found, abs=1e-12)
        assert distance(first, first) == pytest.approx(0, abs=1e-12)
    assert two_sample.pooled_total_variation(first, second) <= two_sample.total_variation(first, second) + 1e-12


def test_many_draws_at_once_are_what_each_is_alone(rng: np.random.Generator) -> None:
    at = np.sort(rng.normal(size=300))
    reference, draws = rng.multinomial(900, [1 / 300] * 300), rng.poisson(0.3, size=(700, 300))
    references = rng.poisson(0.5, size=(700, 300))
    for distance in (
        two_sample.kolmogorov_smirnov,
        two_sample.psi,
        two_sample.jensen_shannon,
        two_sample.hellinger,
        two_sample.total_variation,
        two_sample.pooled_total_variation,
        two_sample.share_outside,
        lambda first, second: two_sample.wasserstein(at, first, second),
        lambda first, second: two_sample.distance_moved(at, first, second),
    ):
        alone = [float(distance(reference, one)) for one in draws]
        assert distance(reference, draws) == pytest.approx(alone, rel=1e-9)
        alone = [float(distance(first, second)) for first, second in zip(references, draws, strict=True)]
        assert distance(references, draws) == pytest.approx(alone, rel=1e-9)


@pytest.mark.parametrize("shape", [(4,), (3, 4), (1,)])
def test_a_sample_without_a_row_has_no_distance(shape: tuple[int, ...]) -> None:
    at = np.arange(shape[-1], dtype=float)
    for distance in (
        two_sample.kolmogorov_smirnov,
        two_sample.psi,
        two_sample.jensen_shannon,
        two_sample.hellinger,
        two_sample.total_variation,
        two_sample.pooled_total_variation,
        two_sample.share_outside,
        lambda first, second: two_sample.wasserstein(at, first, second),
    ):
        nothing, ones = np.zeros(shape, dtype=np.int64), np.ones(shape, dtype=np.int64)
        assert np.isnan(distance(ones, nothing)).all()
        assert np.isnan(distance(nothing, ones)).all()


@pytest.mark.parametrize("scale", [1, 10, 1_000])
def test_chi_square_is_scipys_where_every_category_is_common(scale: int) -> None:
    first, second = np.array([40, 30, 30]) * scale, np.array([18, 16, 6]) * scale
    expected = stats.chi2_contingency(np.array([first, second]), correction=False)
    statistic, pvalue, exact = two_sample.chi_square(first, second)
    assert (statistic, pvalue) == pytest.approx((expected.statistic, expected.pvalue), rel=1e-9)
    assert not exact
    assert two_sample.pooled_total_variation(first, second) == pytest.approx(0.15)


@settings(deadline=None, max_examples=200)
@given(st.integers(0, 12), st.integers(0, 12), st.integers(0, 400), st.integers(0, 400))
def test_two_shares_are_told_apart_as_scipy_does(first: int, second: int, others: int, more: int) -> None:
    one, two = np.array([first, others]), np.array([second, more])
    if not one.any() or not two.any():
        return
    _, pvalue, exact = two_sample.two_shares(one, two)
    table = np.array([one, two])
    if (table.sum(axis=0) == 0).any():
        expected = 1.0
    elif exact:
        expected = stats.fisher_exact(table).pvalue
    else:
        expected = stats.chi2_contingency(table, correction=False).pvalue
    assert pvalue == pytest.approx(expected, rel=1e-7, abs=1e-12)


def test_few_of_many_rows_are_told_apart_exactly() -> None:
    _, pvalue, exact = two_sample.two_shares(np.array([300, 999_700]), np.array([6, 4_994]))
    assert exact
    assert pvalue == pytest.approx(stats.fisher_exact([[300, 999_700], [6, 4_994]]).pvalue, rel=1e-6)


def test_rare_categories_are_pooled() -> None:
    first, second = np.array([500, 500, *[2] * 50]), np.array([500, 500, *[2] * 50])
    shuffled = np.array([500, 500, *[4, 0] * 25])
    assert two_sample.chi_square(first, second)[1] == 1.0
    assert two_sample.pooled_total_variation(first, shuffled) == pytest.approx(0.0)
    assert two_sample.total_variation(first, shuffled) == pytest.approx(50 / 1_100)


def test_a_new_category_shows_in_a_small_window_beside_a_large_reference() -> None:
    first, second = np.array([20_000, 10_000, 0]), np.array([180, 90, 30])
    assert two_sample.chi_square(first, second)[1] < 1e-10
    assert two_sample.pooled_total_variation(first, second) == pytest.approx(0.1)


def test_counts_that_do_not_fit_are_refused() -> None:
    with pytest.raises(InvalidInput, match="one per category"):
        two_sample.chi_square(np.array([1, 2]), np.array([1]))
    with pytest.raises(InvalidInput, match="negative"):
        two_sample.chi_square(np.array([1, -2]), np.array([1, 1]))
    with pytest.raises(InsufficientData):
        two_sample.chi_square(np.array([0, 0]), np.array([1, 1]))


@pytest.mark.parametrize(("n", "m"), [(1, 3), (2, 4), (4, 3), (3, 1)])
def test_the_chance_of_values_out_of_range_is_that_over_all_orders(n: int, m: int) -> None:
    orders = combinations(range(n + m), n)
    outside = [sum(place < held[0] or place > held[-1] for place in range(n + m)) for held in orders]
    for w in range(m + 1):
        assert two_sample.outside_pvalue(w, n, m) == pytest.approx(np.mean(np.array(outside) >= w))


def test_the_share_out_of_range_counts_both_ends() -> None:
    reference, current = np.array([0, 0, 5, 0, 5, 0]), np.array([1, 1, 0, 4, 2, 2])
    assert two_sample.share_outside(reference, current) == pytest.approx(0.4)
    assert two_sample.share_outside(np.array([reference]), current).tolist() == pytest.approx([0.4])


@pytest.mark.parametrize("n_bins", [2, 10, 32])
def test_what_is_chi_square_in_the_limit_has_chi_squares_p_value(n_bins: int, rng: np.random.Generator) -> None:
    first, second = (rng.multinomial(n, [1 / n_bins] * n_bins) for n in (400_000, 90_000))
    expected = stats.chi2_contingency(np.array([first, second]), correction=False).pvalue
    for rows_moved in (
        two_sample.psi(first, second),
        8 * np.log(2) * two_sample.jensen_shannon(first, second) ** 2,
        8 * two_sample.hellinger(first, second) ** 2,
    ):
        assert two_sample.binned_pvalue(float(rows_moved), first, second) == pytest.approx(expected, rel=0.02)
