"""Paired differences: exact test, score interval, size and power."""

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.contingency_tables import mcnemar

from core.errors import InsufficientData, InvalidInput
from core.statistics import paired
from core.statistics.intervals import Interval


@pytest.mark.parametrize(
    ("gained", "lost"), [(0, 0), (1, 0), (4, 0), (6, 0), (9, 3), (40, 61), (500, 500), (3, 20_000)]
)
def test_mcnemar_equals_the_binomial_test(gained: int, lost: int) -> None:
    expected = stats.binomtest(gained, gained + lost).pvalue if gained + lost else 1.0

    assert paired.mcnemar_pvalue(gained, lost) == pytest.approx(expected, rel=1e-9)


def test_tango_interval_solves_his_equation() -> None:
    for gained, lost, n in ((1, 0, 14), (12, 2, 44), (0, 9, 97)):
        low, high = paired.tango_interval(gained, lost, n)
        for delta in (low, high):
            assert abs(_tango_score(gained, lost, n, delta)) == pytest.approx(1.959964, abs=1e-5)


def _tango_score(gained: int, lost: int, n: int, delta: float) -> float:
    """His statistic, the nuisance probability found by maximising the likelihood on a grid, not in closed form."""
    q = np.linspace(max(0.0, -delta), (1 - delta) / 2, 2_000_003)[1:-1]
    log_likelihood = np.zeros_like(q)
    for count, share in ((gained, q + delta), (lost, q), (n - gained - lost, 1 - 2 * q - delta)):
        if count:
            log_likelihood += count * np.log(np.clip(share, 1e-300, None))
    best = q[log_likelihood.argmax()]
    return float((gained - lost - n * delta) / np.sqrt(n * (2 * best + delta - delta * delta)))


def test_without_discordant_pairs_the_interval_still_has_width() -> None:
    found = paired.paired_proportions(0, 0, 100)

    assert (found.effect, found.pvalue) == (0.0, 1.0)
    assert found.low == pytest.approx(-found.high)
    assert 0.03 < found.high < 0.04


def test_the_interval_excludes_0_exactly_where_the_exact_test_rejects() -> None:
    for gained in range(0, 40):
        for lost in range(0, 40):
            found = paired.paired_proportions(gained, lost, 400)
            assert found.pvalue is not None
            assert (found.low > 1e-12 or found.high < -1e-12) == (found.pvalue <= 0.05), (gained, lost)


def test_swapping_the_two_turns_the_interval_over() -> None:
    there, back = paired.paired_proportions(12, 5, 200), paired.paired_proportions(5, 12, 200)

    assert (back.low, back.high) == pytest.approx((-there.high, -there.low))


def test_paired_mean_equals_scipys_paired_t_test(rng: np.random.Generator) -> None:
    first, second = rng.normal(size=40), rng.normal(size=40) + 0.3
    difference = second - first
    influence = (difference - difference.mean()) / np.sqrt(40 * 39)

    found = paired.paired_influence(first.mean(), second.mean(), influence, method="t")

    expected = stats.ttest_rel(second, first)
    interval = expected.confidence_interval()
    assert found.pvalue == pytest.approx(expected.pvalue)
    assert (found.low, found.high) == pytest.approx((interval.low, interval.high))


@pytest.mark.parametrize("share_discordant", [0.02, 0.2])
def test_size_and_coverage_of_paired_proportions(rng: np.random.Generator, share_discordant: float) -> None:
    repetitions, n = 600, 250
    discordant = rng.binomial(n, share_discordant, size=repetitions)
    gained = rng.binomial(discordant, 0.5)
    found = [paired.paired_proportions(int(g), int(d - g), n) for g, d in zip(gained, discordant, strict=True)]

    wrong = sum(one.low > 0 or one.high < 0 for one in found)

    assert wrong <= stats.binom.ppf(0.9999, repetitions, 0.05)


def test_the_smallest_detectable_effect_is_seen_four_times_out_of_five(rng: np.random.Generator) -> None:
    n, repetitions = 200, 600
    detectable = paired.smallest_detectable(Interval(-1.959964 / np.sqrt(n), 1.959964 / np.sqrt(n)))
    seen = 0
    for _ in range(repetitions):
        difference = rng.normal(detectable, 1.0, size=n)
        influence = (difference - difference.mean()) / np.sqrt(n * (n - 1))
        seen += paired.paired_influence(0.0, difference.mean(), influence, method="t").low > 0

    assert stats.binom.ppf(0.0001, repetitions, 0.8) <= seen <= stats.binom.ppf(0.9999, repetitions, 0.8)


@pytest.mark.parametrize(("gained", "lost"), [(3, 9), (12, 12), (0, 5), (140, 101)])
def test_mcnemar_equals_statsmodels(gained: int, lost: int) -> None:
    expected = mcnemar([[50, gained], [lost, 70]], exact=True).pvalue

    assert paired.mcnemar_pvalue(gained, lost) == pytest.approx(min(1.0, expected))


def test_the_interval_at_another_level_agrees_with_the_exact_test_at_that_level() -> None:
    for gained in range(0, 30):
        for lost in range(0, 30):
            found = paired.paired_proportions(gained, lost, 400, 1 - 0.05 / 9)
            assert found.pvalue is not None
            assert (found.low > 1e-12 or found.high < -1e-12) == (found.pvalue <= 0.05 / 9), (gained, lost)


def test_the_folds_variance_is_raised_by_the_rows_they_share() -> None:
    # By hand: mean 0.02, sample variance 0.00025; (1/5 + 100/400) of it is 0.0001125, its root 0.010606602;
    # t = 0.02 / 0.010606602 = 1.885618 with 4 degrees of freedom; the 97.5 % quantile is 2.776445.
    found = paired.corrected_resampled_t([0.02, 0.04, 0.0, 0.03, 0.01], [400] * 5, [100] * 5)

    assert found.effect == pytest.approx(0.02)
    assert (found.low, found.high) == pytest.approx((0.02 - 0.0294486, 0.02 + 0.0294486), abs=1e-6)
    assert found.pvalue == pytest.approx(2 * stats.t.sf(1.885618, 4), abs=1e-6)


def test_folds_without_spread_or_in_too_small_a_number_have_stated_outcomes() -> None:
    assert paired.corrected_resampled_t([0.0, 0.0], [10, 10], [5, 5]).pvalue == 1.0
    steady = paired.corrected_resampled_t([0.1, 0.1, 0.1], [10] * 3, [5] * 3)
    assert (steady.low, steady.high) == pytest.approx((0.1, 0.1))
    assert steady.pvalue is None
    with pytest.raises(InsufficientData, match="at least 2"):
        paired.corrected_resampled_t([0.1], [10], [5])
    with pytest.raises(InvalidInput, match="one per fold"):
        paired.corrected_resampled_t([0.1, 0.2], [10], [5])
    with pytest.raises(InvalidInput, match="leave such folds out"):
        paired.corrected_resampled_t([0.1, float("nan")], [10, 10], [5, 5])


def test_rows_needed_grow_with_the_square() -> None:
    assert paired.rows_needed(0.02, 1_000, 0.01) == 4_000
    assert paired.rows_needed(0.005, 1_000, 0.01) == 250
    assert paired.rows_needed(0.02, 1_000, 0.0) is None
    assert paired.rows_needed(0.0, 1_000, 0.01) is None
    assert paired.rows_needed(1.0, 1_000, 1e-9) == paired.MOST_ROWS


def test_so_many_rows_do_show_it_four_times_in_five(rng: np.random.Generator) -> None:
    margin, repetitions = 0.1, 400
    smallest = paired.smallest_detectable(Interval(-1.959964 / np.sqrt(50), 1.959964 / np.sqrt(50)))
    n = paired.rows_needed(smallest, 50, margin)
    assert n is not None
    draws = rng.normal(margin, 1.0, size=(repetitions, n))

    seen = int((np.abs(draws.mean(axis=1)) > 1.96 * draws.std(axis=1) / np.sqrt(n)).sum())

    assert stats.binom.ppf(1e-4, repetitions, 0.8) <= seen <= stats.binom.ppf(1 - 1e-4, repetitions, 0.8)
