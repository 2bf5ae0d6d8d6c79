from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from scipy import stats

from core.statistics import two_sample
from core.statistics.relabelling import HYPERGEOMETRIC_ROWS, relabelled_pvalue


def test_a_p_value_is_that_over_all_ways_to_part_the_rows(rng: np.random.Generator) -> None:
    places = np.array([0, 0, 1, 1, 1, 2, 2, 3, 3])
    reference, current = np.bincount(places[:5], minlength=4), np.bincount(places[5:], minlength=4)
    seen = float(two_sample.total_variation(reference, current))
    as_large = []
    for held in combinations(range(9), 5):
        first = np.bincount(places[list(held)], minlength=4)
        as_large.append(two_sample.total_variation(first, reference + current - first) >= seen - 1e-9)
    expected = float(np.mean(as_large))

    found = [relabelled_pvalue(reference, current, two_sample.total_variation, rng=rng) for _ in range(40)]

    assert expected < 0.3
    assert np.mean(found) == pytest.approx(expected, rel=0.15)


@pytest.mark.parametrize(("n", "m"), [(60, 400), (300, 40)])
def test_p_values_of_like_samples_are_spread_evenly(n: int, m: int, rng: np.random.Generator) -> None:
    likely = rng.dirichlet(np.ones(12))
    found = []
    for _ in range(250):
        reference, current = rng.multinomial(n, likely), rng.multinomial(m, likely)
        found.append(relabelled_pvalue(reference, current, two_sample.total_variation, rng=rng))
    assert stats.kstest(found, "uniform").pvalue > 0.001
    assert np.sum(np.array(found) <= 0.05) <= stats.binom.ppf(0.999, 250, 0.05)


def test_samples_apart_get_the_smallest_p_value_and_like_ones_are_soon_told(rng: np.random.Generator) -> None:
    drawn = 0

    def counting(reference: np.ndarray, current: np.ndarray) -> np.ndarray:
        nonlocal drawn
        drawn += len(reference)
        return two_sample.total_variation(reference, current)

    assert relabelled_pvalue(np.array([90, 10]), np.array([10, 90]), counting, rng=rng) == 1 / 1_000
    assert drawn == 1_000
    drawn = 0
    assert relabelled_pvalue(np.array([90, 10, 4]), np.array([88, 12, 5]), counting, rng=rng) > 0.2
    assert drawn < 150


def test_equal_samples_and_more_rows_than_can_be_drawn_have_p_values_too(rng: np.random.Generator) -> None:
    assert relabelled_pvalue(np.array([3, 3]), np.array([3, 3]), two_sample.total_variation, rng=rng) == 1.0
    many = np.array([HYPERGEOMETRIC_ROWS, HYPERGEOMETRIC_ROWS])
    assert relabelled_pvalue(many, many + np.array([0, 10**6]), two_sample.total_variation, rng=rng) == 1 / 1_000


def test_the_same_seed_gives_the_same_p_value() -> None:
    first, second = np.array([30, 20, 9]), np.array([25, 31, 7])
    found = {
        relabelled_pvalue(first, second, two_sample.total_variation, rng=np.random.default_rng(3)) for _ in range(3)
    }
    assert len(found) == 1
