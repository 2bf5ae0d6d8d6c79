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


def test_gaps_of_one_sign_that_differ_between_bins_by_quantile_vary_as_their_sum_does(rng: np.random.Generator) -> None:
    # Bins of equal size have edges that move with the rows. The sum is then that of all rows, and varies as theirs.
    score = rng.random(5_000)
    values = score**2 + 0.05 * rng.normal(size=5_000)
    bins = np.argsort(np.argsort(score)) // 500

    low, high = resampling.gap_interval(values, bins)

    half = 1.959964 * values.std(ddof=1) * np.sqrt(5_000)
    assert (low, high) == pytest.approx((values.sum() - half, values.sum() + half), rel=0.01)


def test_gaps_of_noise_alone_may_all_be_0(rng: np.random.Generator) -> None:
    missed = sum(resampling.gap_interval(rng.normal(size=200), GROUPS[:200]).low > 0 for _ in range(300))

    assert missed <= stats.binom.ppf(0.999, 300, 0.05)


def test_an_interval_of_gaps_is_not_much_wider_than_need_be_and_holds_what_was_seen(rng: np.random.Generator) -> None:
    widths = []
    for _ in range(50):
        values = 0.2 + rng.normal(size=500)
        low, high = resampling.gap_interval(values, GROUPS[:500])
        seen = np.abs(np.bincount(GROUPS[:500], weights=values)).sum()
        assert low < seen <= high
        widths.append(high - low)

    # Of ten groups' sums moved by noise alone, 1.96 standard errors to either side are 88 apart.
    assert 88 < np.mean(widths) < 1.6 * 88
    assert resampling.gap_interval(np.tile([1.0, -1.0], 50), np.repeat([0], 100)).high > 0
    assert resampling.gap_interval(np.full(8, 0.5), np.arange(8) % 2) == (4.0, 4.0)
    # Without any spread within, what differs between two groups is all there is.
    apart = resampling.gap_interval(np.repeat([0.5, 1.5], 50), np.repeat([0, 1], 50))
    assert apart == pytest.approx((100 - 1.959964 * 5, 100 + 1.959964 * 5))


def test_the_difference_of_gaps_is_seen_and_not_imagined(rng: np.random.Generator) -> None:
    noise = rng.normal(size=2_000)
    alike = [(noise + rng.normal(size=2_000), GROUPS), (noise + rng.normal(size=2_000), GROUPS[::-1].copy())]
    difference, error = resampling.gap_difference(alike[0], alike[1], rng=rng)
    assert abs(difference) < 3 * error

    difference, error = resampling.gap_difference((noise, GROUPS), (noise + 1, GROUPS), rng=rng)
    assert difference > 10 * error


def test_the_difference_of_a_calibrated_and_an_overconfident_model_is_held_as_promised(
    rng: np.random.Generator,
) -> None:
    def models(n: int) -> list[tuple[np.ndarray, np.ndarray]]:
        x = rng.normal(size=n)
        happened = rng.random(n) < 1 / (1 + np.exp(-x))
        scores = [1 / (1 + np.exp(-slope * x)) for slope in (1.0, 2.5)]
        bins = np.argsort(np.argsort(x)) * 10 // n
        return [(score - happened, bins) for score in scores]

    truth = np.diff([np.abs(np.bincount(bins, weights=gaps)).sum() for gaps, bins in models(1_000_000)])[0] / 1e6
    held = seen = 0
    for _ in range(150):
        first, second = models(300)
        low, high = resampling.gap_difference_interval(first, second, rng=rng)
        held += low / 300 <= truth <= high / 300
        difference, error = resampling.gap_difference(first, second, rng=rng)
        seen += abs(difference / 300 - truth) <= 1.96 * error / 300
    assert held >= 137  # the binomial band of 95 in 100 at 99 in 100
    assert seen < 133  # what is seen is too near 0: an interval around it would hold too seldom


def test_the_difference_of_a_model_and_itself_holds_nothing(rng: np.random.Generator) -> None:
    noise = rng.normal(size=500)
    low, high = resampling.gap_difference_interval((noise, GROUPS[:500]), (noise, GROUPS[:500]), rng=rng)
    assert low < 0 < high
    exact = np.zeros(500)
    assert resampling.gap_difference_interval((exact, GROUPS[:500]), (exact, GROUPS[:500]), rng=rng) == (0.0, 0.0)


def test_a_group_without_successes_still_varies(rng: np.random.Generator) -> None:
    drawn = resampling.resample_successes(np.array([0, 40]), np.array([40, 40]), rng=rng)

    assert drawn[:, 0].max() > 0
    assert drawn[:, 1].min() < 40


def test_the_basic_interval_holds_the_value(rng: np.random.Generator) -> None:
    low, high = resampling.basic_interval(0.2, rng.normal(0.5, 0.01, size=500))

    assert low <= 0.2 <= high


def test_counts_are_those_of_rows_drawn_with_replacement(rng: np.random.Generator) -> None:
    blocks = [block.copy() for block in resampling.draw_counts(30, n_resamples=5_000, rng=rng)]
    counts = np.concatenate(blocks)

    assert len(blocks) > 1
    assert counts.shape == (5_000, 30)
    assert (counts.sum(axis=1) == 30).all()
    shares = np.bincount(counts.astype(int).ravel(), minlength=4)[:4] / counts.size
    assert shares == pytest.approx(stats.binom.pmf(range(4), 30, 1 / 30), abs=0.005)


def test_the_accelerated_interval_agrees_with_scipys(rng: np.random.Generator) -> None:
    values = rng.exponential(size=60)
    effect = float(values.mean()) - 0.9
    resampled = np.concatenate(
        [block @ values / 60 for block in resampling.draw_counts(60, n_resamples=40_000, rng=rng)]
    )

    found = resampling.bca(effect, resampled - 0.9, values - values.mean())

    expected = stats.bootstrap(
        (values,), lambda v, axis=-1: v.mean(axis=axis) - 0.9, n_resamples=40_000, method="BCa", rng=rng
    ).confidence_interval
    assert found is not None
    spread = values.std() / np.sqrt(60)
    assert found[0] == pytest.approx((expected.low, expected.high), abs=0.1 * spread)


@pytest.mark.parametrize("df", [np.inf, 12.0])
def test_the_bootstraps_pvalue_agrees_with_its_interval(rng: np.random.Generator, df: float) -> None:
    for shift in np.linspace(-0.6, 0.6, 25):
        values = rng.exponential(size=40) - 1 + shift
        resampled = np.concatenate([block @ values / 40 for block in resampling.draw_counts(40, rng=rng)])
        found = resampling.bca(float(values.mean()), resampled, values - values.mean(), df=df)
        assert found is not None
        (low, high), pvalue = found
        assert 0 < pvalue <= 1
        if abs(pvalue - 0.05) > 0.01:
            assert (low > 0 or high < 0) == (pvalue < 0.05)


def test_the_fewer_rows_carry_the_spread_the_further_out_are_the_bootstraps_percentiles(
    rng: np.random.Generator,
) -> None:
    values = stats.norm.ppf((np.arange(16) + 0.5) / 16)
    effect = 2.2 * values.std(ddof=1) / 4
    values += effect
    resampled = np.concatenate(
        [block @ values / 16 for block in resampling.draw_counts(16, n_resamples=100_000, rng=rng)]
    )

    plain = resampling.bca(effect, resampled, np.zeros(16))
    expanded = resampling.bca(effect, resampled, np.zeros(16), df=15)

    # Of a mean of normal rows it comes to Student's own test; Efron's interval is that of a known spread.
    student = stats.ttest_1samp(values, 0)
    ends = student.confidence_interval()
    assert plain is not None
    assert expanded is not None
    assert expanded[0].low < plain[0].low < plain[0].high < expanded[0].high
    assert expanded[0] == pytest.approx((ends.low, ends.high), abs=0.03 * (ends.high - ends.low))
    assert expanded[1] == pytest.approx(student.pvalue, rel=0.2)
    assert plain[1] < 0.7 * expanded[1]


def test_resamples_that_are_all_alike_or_mostly_undefined_give_no_interval() -> None:
    assert resampling.bca(0.0, np.zeros(100), np.zeros(5)) is None
    assert resampling.bca(0.5, np.r_[np.full(20, np.nan), np.arange(80.0)], np.ones(5)) is None
