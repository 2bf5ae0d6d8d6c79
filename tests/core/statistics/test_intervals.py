"""Intervals against published values, scipy, and their promise."""

import math

import numpy as np
import pytest
from scipy import stats

from core.statistics import intervals
from core.statistics.intervals import Interval


@pytest.mark.parametrize(("successes", "n"), [(0, 10), (1, 10), (5, 10), (10, 10), (81, 263), (1, 100_000)])
def test_wilson_equals_scipy(successes: int, n: int) -> None:
    expected = stats.binomtest(successes, n).proportion_ci(method="wilson")

    assert intervals.wilson(successes, n) == pytest.approx((expected.low, expected.high), abs=1e-12)


@pytest.mark.parametrize(("successes", "n"), [(0, 9), (1, 9), (3, 9), (3, 200), (4, 90), (40, 90)])
def test_a_proportion_of_few_reaches_as_far_as_a_poisson_count(successes: int, n: int) -> None:
    low, high = intervals.wilson(successes, n)
    if 0 < successes <= 3:
        low = min(low, stats.chi2.ppf(0.05, 2 * successes) / 2 / n)
    assert intervals.proportion(successes, n) == pytest.approx((low, high))
    assert intervals.proportion(n - successes, n) == pytest.approx((1 - high, 1 - low))


@pytest.mark.parametrize("mean", [5, 10, 20, 50])
def test_a_proportion_of_a_varying_number_of_rows_is_held(mean: int) -> None:
    """Exactly, by adding up binomials; Wilson's own holds 0.907 of a share of 0.99 with 10 rows on average."""
    shares = np.array([0.5, 0.8, 0.9, 0.95, 0.98, 0.99])
    sizes = np.arange(1, 3 * mean)
    chance = stats.binom.pmf(sizes, 1000, mean / 1000)
    held = np.zeros(len(shares))
    for size, weight in zip(sizes, chance / chance.sum(), strict=True):
        hits = np.arange(size + 1)
        ends = np.array([intervals.proportion(int(k), int(size)) for k in hits])
        inside = (ends[:, :1] <= shares) & (shares <= ends[:, 1:])
        held += weight * (stats.binom.pmf(hits[:, None], size, shares) * inside).sum(axis=0)
    assert held.min() > 0.945


@pytest.mark.parametrize(("successes", "n"), [(0, 7), (3, 7), (7, 7), (40, 90)])
def test_clopper_pearson_equals_scipy(successes: int, n: int) -> None:
    expected = stats.binomtest(successes, n).proportion_ci(method="exact")

    assert intervals.clopper_pearson(successes, n) == pytest.approx((expected.low, expected.high), abs=1e-9)


def test_clopper_pearson_of_nothing_is_everything() -> None:
    assert intervals.clopper_pearson(0, 0) == (0.0, 1.0)


def test_student_interval_of_a_mean_equals_scipy(rng: np.random.Generator) -> None:
    sample = rng.normal(size=17)
    expected = stats.ttest_1samp(sample, 0).confidence_interval()

    found = intervals.around(float(sample.mean()), float(stats.sem(sample)), df=16)

    assert found == pytest.approx((expected.low, expected.high))


@pytest.mark.parametrize(("scale", "value"), [("log", 0.02), ("logit", 0.999)])
def test_a_scale_keeps_the_interval_within_its_range(scale: str, value: float) -> None:
    found = intervals.around(value, 0.5, df=30, scale=scale)  # type: ignore[arg-type]

    floor, ceiling = {"log": (0, math.inf), "logit": (0, 1)}[scale]
    assert floor <= found.low < value < found.high <= ceiling


def test_median_interval_takes_the_tabled_order_statistics() -> None:
    # 16 values: P(X <= 3) = 0.0106 for X binomial (16, 1/2), P(X <= 4) = 0.0384. 6 values: P(X <= 0) = 1/64.
    assert intervals.median_interval(np.arange(1.0, 17.0)) == (4.0, 13.0)
    assert intervals.median_interval(np.arange(1.0, 7.0)) == (1.0, 6.0)
    assert intervals.median_interval(np.arange(1.0, 6.0)) is None


@pytest.mark.parametrize("n", [6, 25, 101, 1000])
def test_median_interval_is_the_narrowest_that_holds(n: int) -> None:
    found = intervals.median_interval(np.arange(n, dtype=float))

    assert found is not None
    below = int(found.low)
    assert 2 * stats.binom.cdf(below, n, 0.5) <= 0.05 < 2 * stats.binom.cdf(below + 1, n, 0.5)


def test_auc_interval_of_a_perfect_ranking_is_open_below_only() -> None:
    few = intervals.auc_score_interval(1.0, 5, 20)
    many = intervals.auc_score_interval(1.0, 500, 2000)

    assert few.high == many.high == 1.0
    assert 0.5 < few.low < many.low < 1.0


def test_auc_interval_solves_its_equation() -> None:
    # At each end the distance from the area is z standard errors of the Hanley-McNeil variance there.
    low, _ = intervals.auc_score_interval(0.8, 30, 70)
    inner = 1 + 49 * ((1 - low) / (2 - low) + low / (1 + low))

    assert 0.8 - low == pytest.approx(1.959964 * math.sqrt(low * (1 - low) * inner / 2100), abs=1e-6)


@pytest.mark.parametrize("n", [1, 5, 60, 1_000])
def test_a_share_that_may_be_unseen_is_missed_by_a_sample_in_one_case_of_twenty(n: int) -> None:
    assert (1 - intervals.unseen_share(n)) ** n == pytest.approx(0.05)
    # The rule of three.
    assert n < 60 or intervals.unseen_share(n) == pytest.approx(3 / n, rel=0.03)


def test_with_nothing_unseen_an_open_interval_is_the_usual_one_with_normal_quantiles_beyond() -> None:
    found = intervals.open_to_unseen(0.8, 0.05, df=12, unseen=0.0)

    assert found.low == pytest.approx(intervals.around(0.8, 0.05, df=12, scale="logit").low)
    assert found.high == pytest.approx(intervals.around(0.8, 0.05, df=1e9, scale="logit").high)
    mirrored = intervals.open_to_unseen(0.2, 0.05, df=12, unseen=0.0)
    assert (1 - mirrored.high, 1 - mirrored.low) == pytest.approx(found)


def test_what_the_open_end_no_longer_misses_the_other_may() -> None:
    found = intervals.open_to_unseen(0.9, 0.01, df=1e9, unseen=0.2)

    logit = math.log(9)
    assert found.low == pytest.approx(0.9 - math.hypot(0.2, 0.9 - intervals.expit(logit - 1.959964 / 9)), abs=1e-5)
    # The low end is so far that it misses next to nothing: the high one is a one-sided bound.
    assert found.high == pytest.approx(intervals.expit(logit + 1.644854 / 9), abs=1e-5)


def test_without_a_standard_error_the_interval_reaches_to_what_may_be_unseen() -> None:
    assert intervals.open_to_unseen(1.0, 0.1, df=5, unseen=0.3) == (0.7, 1.0)
    assert intervals.open_to_unseen(0.0, 0.0, df=5, unseen=0.3) == (0.0, pytest.approx(0.3))
    assert intervals.open_to_unseen(0.6, 0.0, df=5, unseen=0.9) == (0.0, 0.6)


def test_the_spread_of_a_variance_that_skewness_explains_may_be_left_out() -> None:
    # The variance of a share follows from the share: of rows that are 0 or 1 nothing else is left to vary.
    influence = np.where(np.arange(400) < 8, 1.0, 0.0) - 8 / 400

    assert intervals.effective_df(influence) == pytest.approx(16, rel=0.1)
    assert intervals.effective_df(influence, explained=0.5) == pytest.approx(32, rel=0.1)
    assert intervals.effective_df(influence, explained=1.0) > 300


def test_combining_two_proportions_is_newcombes_hybrid_score_interval() -> None:
    # Newcombe (1998), Statistics in Medicine 17:873, table II, method 10, case (a): 56/70 - 48/80.
    values = [56 / 70, 48 / 80]
    found = intervals.combine([1, -1], values, [intervals.wilson(56, 70), intervals.wilson(48, 80)])

    assert found == pytest.approx((0.0524, 0.3339), abs=5e-5)


def test_combining_one_is_itself() -> None:
    assert intervals.combine([1.0], [0.3], [Interval(0.1, 0.7)]) == pytest.approx((0.1, 0.7))


def test_the_effective_size_of_equal_weights_is_their_number() -> None:
    assert intervals.effective_size(np.full(40, 0.3)) == pytest.approx(40)
    assert intervals.effective_size(np.array([1.0, 0.0, 1.0])) == pytest.approx(2)
    assert intervals.effective_size(np.array([1e6, 1.0, 1.0])) == pytest.approx(1, abs=1e-4)
    assert intervals.effective_size(np.zeros(3)) == 0


def test_effective_degrees_of_freedom_fall_with_heavy_tails(rng: np.random.Generator) -> None:
    normal = rng.normal(size=2_000)

    assert intervals.effective_df(normal) == pytest.approx(2_000, rel=0.1)
    assert intervals.effective_df(rng.standard_t(3, size=2_000)) < 500
    # The variance rests on one row.
    assert intervals.effective_df(np.r_[1.0, np.zeros(999)]) == pytest.approx(2, abs=0.01)
    # Influences that are all alike in size tell all there is to know.
    assert intervals.effective_df(np.tile([1.0, -1.0], 50)) == 99
    assert intervals.effective_df(np.zeros(5)) == 1
    assert intervals.effective_df(normal * 1e-90) == pytest.approx(intervals.effective_df(normal))
    assert intervals.effective_df(np.r_[normal, np.zeros(500)], 2_000) == pytest.approx(intervals.effective_df(normal))


def test_without_skewness_the_skewed_interval_is_students() -> None:
    influence = np.tile([0.1, -0.1], 50)

    found = intervals.skewed(2.0, influence, df=99)

    assert found == pytest.approx(intervals.around(2.0, 1.0, df=99))
    assert intervals.skewed(2.0, np.zeros(4), df=3) == Interval(2.0, 2.0)


def test_the_skewed_interval_inverts_halls_cubic_and_reaches_towards_the_long_tail(rng: np.random.Generator) -> None:
    losses = rng.exponential(size=60)
    influence = (losses - losses.mean()) / 60
    error = float(np.sqrt(influence @ influence))
    skewness = stats.skew(losses) / np.sqrt(60)

    found = intervals.skewed(losses.mean(), influence, df=59)

    # Hall (1992): at either end the transformed statistic is the quantile.
    t = (losses.mean() - np.array(found)) / error
    transformed = t + skewness * t**2 / 3 + skewness**2 * t**3 / 27 + skewness / 6
    assert transformed == pytest.approx([stats.t.ppf(0.975, 59), -stats.t.ppf(0.975, 59)])
    assert found.high - losses.mean() > losses.mean() - found.low
    assert intervals.skewed(losses.mean(), influence, df=59, hidden=0.2).high > found.high
    mirrored = intervals.skewed(-losses.mean(), -influence, df=59)
    assert mirrored == pytest.approx((-found.high, -found.low))


def test_one_row_that_outweighs_all_others_still_gives_finite_ends() -> None:
    found = intervals.skewed(1.0, np.r_[1.0, np.full(9, -1 / 9)], df=1)

    assert np.isfinite(found).all()
    assert found.high >= 1 + 12.7
