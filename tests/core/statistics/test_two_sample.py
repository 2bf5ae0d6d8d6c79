from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import stats

from core.errors import InsufficientData, InvalidInput
from core.statistics import binning, two_sample

finite = st.floats(-1e6, 1e6, allow_nan=False)
samples = arrays(np.float64, st.integers(1, 40), elements=finite)


@pytest.mark.parametrize(("n", "m"), [(20, 30), (120, 90), (2_000, 3_000)])
@pytest.mark.parametrize("ties", [False, True])
def test_ks_agrees_with_scipy(n: int, m: int, ties: bool, rng: np.random.Generator) -> None:
    first, second = rng.normal(size=n), rng.normal(0.2, 1.1, size=m)
    if ties:
        first, second = first.round(), second.round()
    found = two_sample.kolmogorov_smirnov(first, second)
    method = "exact" if n * m <= two_sample.EXACT_PRODUCT else "asymp"
    expected = stats.ks_2samp(first, second, method=method)
    assert found.statistic == pytest.approx(expected.statistic, abs=1e-12)
    assert found.pvalue == pytest.approx(expected.pvalue, rel=1e-6, abs=1e-300)
    assert found.effect == found.statistic


def test_ks_sees_two_narrow_modes_that_swap_their_weights(rng: np.random.Generator) -> None:
    def modes(share: float) -> np.ndarray:
        return np.where(rng.random(5_000) < share, 1e6 + rng.normal(0, 1e-3, 5_000), rng.normal(0, 1e-3, 5_000))

    assert two_sample.kolmogorov_smirnov(modes(0.5), modes(0.776)).effect == pytest.approx(0.276, abs=0.03)


def test_ks_sees_a_shift_inside_a_narrow_mode_that_equal_bins_cannot(rng: np.random.Generator) -> None:
    far = rng.random(4_000) < 0.5
    first = np.where(far, 1e6, rng.normal(0.0, 1e-3, 4_000))
    second = np.where(far, 1e6, rng.normal(5e-3, 1e-3, 4_000))
    assert two_sample.kolmogorov_smirnov(first, second).effect == pytest.approx(0.5, abs=0.03)


@pytest.mark.parametrize(
    ("first", "second", "effect"),
    [
        ([1.0] * 50, [1.0] * 50, 0.0),
        ([1.0] * 50, [2.0] * 50, 1.0),
        ([np.inf] * 50, [1.0] * 50, 1.0),
        ([1.0, np.nan] * 50, [1.0] * 50, 0.0),
        ([-np.inf, np.inf] * 50, [-np.inf, np.inf] * 50, 0.0),
    ],
    ids=["equal constants", "other constants", "infinite", "missing left out", "both infinite"],
)
def test_ks_on_nasty_samples(first: list[float], second: list[float], effect: float) -> None:
    found = two_sample.kolmogorov_smirnov(np.array(first), np.array(second))
    assert found.effect == effect
    assert (found.pvalue < 0.001) == (effect == 1.0)


@pytest.mark.parametrize("function", [two_sample.kolmogorov_smirnov, two_sample.wasserstein])
def test_a_sample_without_values_is_refused(function: object) -> None:
    with pytest.raises(InsufficientData, match="at least one"):
        function(np.array([np.nan, np.nan]), np.array([1.0]))  # type: ignore[operator]


@settings(deadline=None, max_examples=60)
@given(samples, samples)
def test_wasserstein_agrees_with_scipy(first: np.ndarray, second: np.ndarray) -> None:
    distance = stats.wasserstein_distance(first, second)
    spread = first.std() if first.min() < first.max() else np.concatenate([first, second]).std()
    expected = distance / spread if spread > 1e-9 else None
    found = two_sample.wasserstein(first, second)
    assert found >= 0
    if expected is not None and spread > 1e-3:
        assert found == pytest.approx(expected, rel=1e-6, abs=1e-9)


def test_wasserstein_is_a_shift_in_standard_deviations(rng: np.random.Generator) -> None:
    sample = rng.normal(size=2_000)
    assert two_sample.wasserstein(sample, sample + 0.5 * sample.std()) == pytest.approx(0.5)
    assert two_sample.wasserstein(sample * 1e300, (sample + 0.5 * sample.std()) * 1e300) == pytest.approx(0.5)


def test_wasserstein_stays_finite_with_infinities_and_constants() -> None:
    assert np.isfinite(two_sample.wasserstein(np.array([1.0, 2.0, np.inf]), np.array([-np.inf, 2.0])))
    assert two_sample.wasserstein(np.array([3.0, 3.0]), np.array([3.0])) == 0.0
    assert two_sample.wasserstein(np.array([3.0, 3.0]), np.array([4.0])) > 0
    assert two_sample.wasserstein(np.array([np.inf]), np.array([np.inf])) == 0.0


def test_chi_square_agrees_with_scipy_where_every_category_is_common() -> None:
    first, second = np.array([400, 300, 300]), np.array([180, 160, 60])
    expected = stats.chi2_contingency(np.array([first, second]), correction=False)
    found = two_sample.chi_square(first, second)
    assert found.statistic == pytest.approx(expected.statistic)
    assert found.pvalue == pytest.approx(expected.pvalue)
    assert found.effect == pytest.approx(0.15)


def test_rare_categories_are_pooled() -> None:
    first, second = np.array([500, 500, *[2] * 50]), np.array([500, 500, *[2] * 50])
    shuffled = np.array([500, 500, *[4, 0] * 25])
    assert two_sample.chi_square(first, second).pvalue == 1.0
    assert two_sample.chi_square(first, shuffled).effect == 0.0


def test_a_new_category_shows_in_a_small_window_beside_a_large_reference() -> None:
    found = two_sample.chi_square(np.array([20_000, 10_000, 0]), np.array([180, 90, 30]))
    assert found.pvalue < 1e-10
    assert found.effect == pytest.approx(0.1)


@pytest.mark.parametrize(
    ("first", "second"),
    [([10, 0], [0, 10]), ([1000], [1000]), ([3], [2]), ([0, 5], [0, 5])],
    ids=["apart", "one category", "one small category", "an empty category"],
)
def test_chi_square_on_nasty_counts_gives_a_probability(first: list[int], second: list[int]) -> None:
    found = two_sample.chi_square(np.array(first), np.array(second))
    assert 0 <= found.pvalue <= 1
    assert found.effect == (1.0 if first == [10, 0] else 0.0)


def test_counts_that_do_not_fit_are_refused() -> None:
    with pytest.raises(InvalidInput, match="one per category"):
        two_sample.chi_square(np.array([1, 2]), np.array([1]))
    with pytest.raises(InvalidInput, match="negative"):
        two_sample.chi_square(np.array([1, -2]), np.array([1, 1]))
    with pytest.raises(InsufficientData):
        two_sample.chi_square(np.array([0, 0]), np.array([1, 1]))


def test_psi_and_jensen_shannon_against_their_closed_forms() -> None:
    first, second = np.array([0.5, 0.5]), np.array([0.25, 0.75])
    assert two_sample.psi(first, second) == pytest.approx(0.25 * np.log(3))
    from scipy.spatial.distance import jensenshannon

    assert two_sample.jensen_shannon(first, second) == pytest.approx(jensenshannon(first, second, base=2))


@settings(deadline=None, max_examples=50)
@given(st.lists(st.tuples(st.integers(0, 50), st.integers(0, 50)), min_size=1, max_size=10))
def test_binned_effects_are_symmetric_in_range_and_blind_to_the_order_of_bins(pairs: list[tuple[int, int]]) -> None:
    first, second = (binning.smooth([pair[side] for pair in pairs]) for side in (0, 1))
    for function, most in ((two_sample.psi, np.inf), (two_sample.jensen_shannon, 1.0)):
        assert 0 <= function(first, second) <= most
        assert function(first, second) == pytest.approx(function(second, first), abs=1e-12)
        assert function(first[::-1], second[::-1]) == pytest.approx(function(first, second), abs=1e-12)
        assert function(first, first) == pytest.approx(0, abs=1e-7)


def test_shares_that_are_no_shares_are_refused() -> None:
    for first, second in itertools.permutations(([0.5, 0.5], [0.0, 1.0]), 2):
        with pytest.raises(InvalidInput, match="above 0"):
            two_sample.psi(np.array(first), np.array(second))


def test_two_shares() -> None:
    found = two_sample.two_shares(0, 1_000, 100, 1_000)
    assert found.effect == pytest.approx(0.1)
    assert found.pvalue < 1e-10
    assert two_sample.two_shares(0, 1_000, 0, 1_000).pvalue == 1.0
    assert two_sample.two_shares(1_000, 1_000, 500, 500).pvalue == 1.0
