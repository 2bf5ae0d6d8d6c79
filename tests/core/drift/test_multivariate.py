"""Several columns together: false findings as promised, planted changes found and named, odd columns survived."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from core.drift.multivariate import MIN_ROWS, domain_classifier, reconstruction

Columns = dict[str, np.ndarray]


def sample(rng: np.random.Generator, n: int, *, correlation: float = 0.8, shift: float = 0.0) -> Columns:
    """Two correlated numbers, a number by itself, a category and a column with missing values."""
    first = rng.normal(size=n)
    second = correlation * first + np.sqrt(1 - correlation**2) * rng.normal(size=n)
    return {
        "income": first,
        "rent": second + shift,
        "age": rng.integers(18, 80, n).astype(float),
        "job": rng.choice(np.array(["cook", "nurse", "pilot"], dtype=object), n),
        "debt": np.where(rng.random(n) < 0.3, np.nan, rng.lognormal(size=n)),
    }


def test_the_classifier_finds_no_difference_where_there_is_none_as_often_as_promised() -> None:
    rng = np.random.default_rng(5)
    found = [domain_classifier(sample(rng, 150), sample(rng, 150), rng=rng) for _ in range(25)]
    pvalues = [one.pvalue for one in found if one is not None]
    assert len(pvalues) == 25
    assert stats.kstest(pvalues, "uniform").pvalue > 0.001
    assert sum(pvalue < 0.05 for pvalue in pvalues) <= stats.binom.ppf(0.999, 25, 0.05)


def test_the_reconstruction_finds_no_difference_where_there_is_none_as_often_as_promised() -> None:
    rng = np.random.default_rng(6)
    found = [reconstruction(sample(rng, 600), sample(rng, 300), rng=rng) for _ in range(200)]
    pvalues = [one.pvalue for one in found if one is not None]
    assert stats.kstest(pvalues, "uniform").pvalue > 0.001
    low, high = stats.binom.ppf([0.0005, 0.9995], 200, 0.05)
    assert low <= sum(pvalue < 0.05 for pvalue in pvalues) <= high


def test_the_classifier_names_the_feature_that_moved() -> None:
    rng = np.random.default_rng(7)
    found = domain_classifier(sample(rng, 800), sample(rng, 800, shift=0.9), rng=rng)
    assert found is not None
    assert found.pvalue < 1e-6
    # Income tells with it, as it says which rent is out of place; what did not move is not named.
    assert found.telling[0][0] == "rent"
    assert {name for name, _ in found.telling} <= {"rent", "income"}
    assert found.low <= found.value <= found.high
    assert found.effect == pytest.approx(2 * found.value - 1)


def test_a_broken_correlation_is_found_though_each_column_looks_as_before() -> None:
    rng = np.random.default_rng(8)
    reference, current = sample(rng, 2_000), sample(rng, 1_000, correlation=-0.8)
    for name in ("income", "rent"):
        assert stats.ks_2samp(reference[name], current[name]).pvalue > 0.01
    by_components = reconstruction(reference, current, rng=rng)
    by_trees = domain_classifier(reference, current, rng=rng)
    assert by_components is not None
    assert by_trees is not None
    assert by_components.pvalue < 1e-6
    assert by_components.value > 1.1
    assert by_trees.pvalue < 1e-6
    assert {name for name, _ in by_trees.telling[:2]} == {"income", "rent"}


def test_the_same_seed_gives_the_same_figures() -> None:
    reference, current = sample(np.random.default_rng(1), 300), sample(np.random.default_rng(2), 300)
    for measure in (domain_classifier, reconstruction):
        first = measure(reference, current, rng=np.random.default_rng(3))
        assert first == measure(reference, current, rng=np.random.default_rng(3))
        assert first is not None


@pytest.mark.parametrize("measure", [domain_classifier, reconstruction])
def test_too_few_rows_or_no_columns_say_nothing(measure) -> None:
    rng = np.random.default_rng(9)
    assert measure(sample(rng, 500), sample(rng, MIN_ROWS - 1), rng=rng) is None
    assert measure({}, {}, rng=rng) is None


def test_a_window_of_one_row_repeated_is_told_without_a_warning() -> None:
    reference = sample(np.random.default_rng(13), 600)
    repeated = {name: np.repeat(values[:1], 200) for name, values in sample(np.random.default_rng(14), 1).items()}
    for measure in (domain_classifier, reconstruction):
        found = measure(reference, repeated, rng=np.random.default_rng(1))
        assert found is not None
        assert found.pvalue < 1e-6


def test_a_single_varying_column_has_no_correlation_to_break() -> None:
    rng = np.random.default_rng(10)
    lone = {"x": rng.normal(size=400), "y": np.ones(400)}
    assert reconstruction(lone, lone, rng=rng) is None


@pytest.mark.parametrize("measure", [domain_classifier, reconstruction])
def test_odd_columns_are_survived(measure) -> None:
    rng = np.random.default_rng(11)

    def odd(n: int) -> Columns:
        ordinary = rng.normal(size=n)
        return {
            "ordinary": ordinary,
            "twin": ordinary + rng.normal(size=n),
            "empty": np.full(n, np.nan),
            "constant": np.full(n, 7.0),
            "huge": ordinary * 1e300,
            "tiny": rng.normal(size=n) * 1e-300,
            "endless": np.where(rng.random(n) < 0.1, np.inf, rng.normal(size=n)),
            "nobody": np.full(n, None, dtype=object),
            "id": np.array([f"r{rng.integers(10**9)}" for _ in range(n)], dtype=object),
        }

    found = measure(odd(400), odd(300), rng=rng)
    assert found is not None
    assert np.isfinite([found.effect, found.value, found.low, found.high, found.pvalue]).all()
    assert found.pvalue > 1e-3
