"""Drawing sums gives what resampling rows gives; gaps made of noise are told from true ones."""

import numpy as np
import pytest
from scipy import stats

from core.statistics import resampling


def test_sums_agree_with_resampling_rows(rng: np.random.Generator) -> None:
    parts = np.c_[rng.exponential(size=400), rng.normal(size=400)]
    parts[:, 1] += parts[:, 0]
    rows = rng.integers(0, 400, size=(4_000, 400))
    by_rows = parts[rows].sum(axis=1) - parts.sum(axis=0)

    drawn = resampling.resample_sums(parts, n_resamples=4_000, rng=rng)

    for column in range(2):
        spread = by_rows[:, column].std()
        expected = np.quantile(by_rows[:, column], [0.025, 0.5, 0.975])
        assert np.quantile(drawn[:, column], [0.025, 0.5, 0.975]) == pytest.approx(expected, abs=0.15 * spread)
    assert np.corrcoef(drawn.T)[0, 1] == pytest.approx(np.corrcoef(by_rows.T)[0, 1], abs=0.05)


def test_the_same_seed_draws_the_same() -> None:
    parts = np.arange(10.0).reshape(5, 2)
    first, second = (resampling.resample_sums(parts, rng=np.random.default_rng(3)) for _ in range(2))

    assert np.array_equal(first, second)


GROUPS = np.arange(2_000) % 10


@pytest.mark.parametrize("gap", [0.0, 0.1, 1.0])
def test_the_interval_of_gaps_holds_the_truth(rng: np.random.Generator, gap: float) -> None:
    repetitions, n = 400, 500
    held = 0
    for _ in range(repetitions):
        low, high = resampling.gap_interval(gap + rng.normal(size=n), GROUPS[:n])
        held += low <= gap * n <= high

    assert held >= stats.binom.ppf(0.0001, repetitions, 0.95)


def test_large_gaps_are_not_taken_for_noise(rng: np.random.Generator) -> None:
    values = 1 + 0.1 * rng.normal(size=1_000)

    low, high = resampling.gap_interval(values, GROUPS[:1_000])

    assert values.sum() - 8 < low < high < values.sum() + 8


def test_the_difference_of_gaps_is_seen_and_not_imagined(rng: np.random.Generator) -> None:
    noise = rng.normal(size=2_000)
    alike = [(noise + rng.normal(size=2_000), GROUPS), (noise + rng.normal(size=2_000), GROUPS[::-1].copy())]
    difference, error = resampling.gap_difference(alike[0], alike[1], rng=rng)
    assert abs(difference) < 3 * error

    difference, error = resampling.gap_difference((noise, GROUPS), (noise + 1, GROUPS), rng=rng)
    assert difference > 10 * error


def test_a_group_without_successes_still_varies(rng: np.random.Generator) -> None:
    drawn = resampling.resample_successes(np.array([0, 40]), np.array([40, 40]), rng=rng)

    assert drawn[:, 0].max() > 0
    assert drawn[:, 1].min() < 40


def test_the_basic_interval_holds_the_value(rng: np.random.Generator) -> None:
    low, high = resampling.basic_interval(0.2, rng.normal(0.5, 0.01, size=500))

    assert low <= 0.2 <= high
