"""Further samples predicted from a first one."""

import numpy as np
import pytest
from scipy import stats

from core.statistics.predictive import draw_counts, draw_shares, share_tail, typical_counts


@pytest.mark.parametrize(("seen", "n_reference", "n_rows"), [(0, 1_000, 50), (12, 400, 900), (30, 10_000, 100_000)])
@pytest.mark.parametrize("level", [0.05, 1e-3, 1e-6])
def test_a_shares_threshold_is_the_smallest_that_keeps_the_level(
    seen: int, n_reference: int, n_rows: int, level: float
) -> None:
    share = seen / n_reference
    tail = share_tail(share, seen + 0.5, n_reference - seen + 0.5, n_rows)
    found = np.arange(n_rows + 1)
    chances = stats.betabinom.pmf(found, n_rows, seen + 0.5, n_reference - seen + 0.5)
    distances = np.abs(found / n_rows - share)

    threshold = tail.threshold(level)

    beyond = chances[distances > threshold].sum()
    assert beyond <= level
    assert tail.attained(level) == pytest.approx(beyond, rel=1e-6, abs=1e-13)
    nearest = distances[distances <= threshold].max()
    assert chances[distances >= nearest * (1 - 1e-9)].sum() > level


@pytest.mark.parametrize("n_rows", [60, 3_000])
def test_between_two_levels_thresholds_attain_each_step_and_no_other(n_rows: int) -> None:
    tail = share_tail(0.1, 1_000.5, 9_000.5, n_rows)

    found = tail.steps(0.001, 0.004)

    every = {tail.attained(level) for level in np.geomspace(0.001, 0.004, 20_000)}
    assert found.tolist() == sorted(every)
    assert tail.steps(1.0, 1.0).tolist() == [tail.attained(1.0)]


@pytest.mark.parametrize(("with_it", "without", "n_rows"), [(50.5, 950.5, 80), (0.5, 1_000.5, 300), (3.5, 40.5, 2_000)])
def test_typical_counts_are_the_medians_of_equal_parts(with_it: float, without: float, n_rows: int) -> None:
    found = typical_counts(with_it, without, n_rows, 5)

    medians = stats.betabinom(n_rows, with_it, without).ppf([0.1, 0.3, 0.5, 0.7, 0.9])
    counts, times = np.unique(medians, return_counts=True)
    assert found == tuple(zip(counts.astype(int).tolist(), (times / 5).tolist(), strict=True))


@pytest.mark.parametrize(
    ("truth", "n_reference", "n_rows", "least"),
    [
        (0.3, 200, 200, 0.005),
        (0.01, 1_000, 300, 0.003),
        # With a handful of rows in the reference and more in the window, what is kept in hand for other truths is lost.
        (0.002, 500, 2_000, 0.0),
        (0.004, 500, 2_000, 0.0),
        (0.01, 500, 2_000, 0.003),
    ],
)
def test_whatever_the_truth_a_level_is_kept_on_average_over_references(
    truth: float, n_reference: int, n_rows: int, least: float
) -> None:
    likely = stats.binom.pmf(np.arange(n_reference + 1), n_reference, truth)
    found = np.arange(n_rows + 1) / n_rows
    window = stats.binom.pmf(np.arange(n_rows + 1), n_rows, truth)
    realised = taken_for_truth = 0.0
    for seen in np.flatnonzero(likely > 1e-9):
        distances = np.abs(found - seen / n_reference)
        threshold = share_tail(seen / n_reference, seen + 0.5, n_reference - seen + 0.5, n_rows).threshold(0.01)
        realised += likely[seen] * window[distances > threshold].sum()
        certain = share_tail(seen / n_reference, 1e9 * (seen + 1e-9), 1e9 * (n_reference - seen), n_rows).threshold(
            0.01
        )
        taken_for_truth += likely[seen] * window[distances > certain].sum()

    assert least <= realised <= 0.013
    assert taken_for_truth > 2 * realised


def test_gaps_between_continuous_values_are_filled_as_by_any_distribution() -> None:
    rng = np.random.default_rng(4)
    n, m = 40, 30
    shares = draw_shares(np.ones(n + 1), n_draws=4_000, rng=rng)
    filled = draw_counts(shares, m, rng=rng)

    # The largest gap between the distribution functions, just below and at each reference value.
    below = np.cumsum(filled, axis=1)[:, :-1] / m
    rank = np.arange(1, n + 1)
    distance = np.maximum(np.abs(below - rank / n), np.abs(below - (rank - 1) / n)).max(axis=1)

    for quantile in (0.5, 0.1, 0.01):
        at = next(d for d in np.sort(np.unique(distance)) if stats.distributions.kstwo.sf(d, 17) < quantile)
        exact = _exact_chance(at, n, m)
        assert (distance >= at - 1e-12).mean() == pytest.approx(exact, abs=3 * np.sqrt(exact / 4_000))


def test_a_cell_without_weight_stays_empty() -> None:
    rng = np.random.default_rng(5)

    shares = draw_shares(np.array([0.0, 3.0, 1e-9]), n_draws=50, rng=rng)

    assert shares.sum(axis=1) == pytest.approx(np.ones(50))
    assert not shares[:, 0].any()
    assert not draw_counts(shares, 5_000, rng=rng)[:, 0].any()


def _exact_chance(distance: float, n: int, m: int) -> float:
    """The exact probability of at least this distance between two continuous samples, by counting lattice paths."""
    inside = np.zeros((n + 1, m + 1))
    for i in range(n + 1):
        for j in range(m + 1):
            if abs(i / n - j / m) >= distance - 1e-12:
                continue
            inside[i, j] = (i == j == 0) or (
                (inside[i - 1, j] * i if i else 0) + (inside[i, j - 1] * j if j else 0)
            ) / (i + j)
    return 1 - float(inside[n, m])
