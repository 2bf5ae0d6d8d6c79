"""Areas and their variances against scikit-learn, brute force and the jackknife."""

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.metrics import average_precision_score, roc_auc_score

from core.statistics import ranking


def draw(rng: np.random.Generator, n: int, *, ties: bool) -> tuple[NDArray[np.bool_], NDArray[np.float64]]:
    positive = rng.random(n) < 0.3
    positive[:2] = [True, False]
    score = rng.normal(size=n) + positive
    return positive, np.round(score, 1) if ties else score


@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize("n", [2, 3, 50, 1000])
def test_areas_equal_scikit_learn(rng: np.random.Generator, n: int, ties: bool) -> None:
    positive, score = draw(rng, n, ties=ties)
    ranked = ranking.rank(positive, score)

    assert ranking.roc_auc(positive, ranked)[0] == pytest.approx(roc_auc_score(positive, score))
    assert ranking.average_precision(positive, ranked)[0] == pytest.approx(average_precision_score(positive, score))


def brute_force_components(positive: NDArray[np.bool_], score: NDArray[np.float64]) -> tuple[NDArray[np.float64], ...]:
    """DeLong et al. (1988), equations 4 and 5, by comparing every pair."""
    x, y = score[positive][:, None], score[~positive][None, :]
    wins = (x > y) + 0.5 * (x == y)
    return wins.mean(axis=1), wins.mean(axis=0)


@pytest.mark.parametrize("ties", [False, True])
def test_delong_variance_equals_brute_force(rng: np.random.Generator, ties: bool) -> None:
    positive, score = draw(rng, 120, ties=ties)
    v10, v01 = brute_force_components(positive, score)
    expected = v10.var(ddof=1) / len(v10) + v01.var(ddof=1) / len(v01)

    _, influence = ranking.roc_auc(positive, ranking.rank(positive, score))

    assert influence @ influence == pytest.approx(expected, rel=1e-12)


def test_paired_delong_variance_equals_brute_force(rng: np.random.Generator) -> None:
    positive, first = draw(rng, 150, ties=True)
    second = first + rng.normal(size=150)
    a10, a01 = brute_force_components(positive, first)
    b10, b01 = brute_force_components(positive, second)
    expected = (b10 - a10).var(ddof=1) / len(a10) + (b01 - a01).var(ddof=1) / len(a01)

    influences = [ranking.roc_auc(positive, ranking.rank(positive, score))[1] for score in (first, second)]
    difference = influences[1] - influences[0]

    assert difference @ difference == pytest.approx(expected, rel=1e-12)


def test_movement_near_by_is_that_of_the_other_classes_nearest_rows(rng: np.random.Generator) -> None:
    positive = np.arange(240) % 12 == 0
    first, second = (rng.normal(size=240) + positive for _ in range(2))
    expected = 0.0
    for rows in (positive, ~positive):
        places = [(score[:, None] > score[~rows]).mean(axis=1) for score in (first, second)]
        places[0][~rows] += 0.5 / (~rows).sum()
        places[1][~rows] += 0.5 / (~rows).sum()
        middle, square = (places[0] + places[1]) / 2, (places[1] - places[0]) ** 2
        order = np.argsort(middle[~rows])
        count = max(10, int(np.ceil(np.sqrt(len(order)))))
        starts = np.clip(np.searchsorted(middle[~rows][order], middle[rows]) - count // 2, 0, len(order) - count)
        expected += np.mean([square[~rows][order][start : start + count].mean() for start in starts]) / rows.sum()

    found = ranking.movement_nearby(positive, ranking.rank(positive, first), ranking.rank(positive, second))

    # Rows as near as each other on either side are told apart by rounding.
    assert found == pytest.approx(expected, rel=0.01)


def test_movement_near_by_of_one_ranking_twice_of_constants_and_of_equal_weights(rng: np.random.Generator) -> None:
    positive = np.arange(40) < 3
    one, other = (rng.normal(size=40).round(1) for _ in range(2))
    plain = [ranking.rank(positive, score) for score in (one, other, np.zeros(40))]
    weighted = [ranking.rank(positive, score, np.full(40, 3.0)) for score in (one, other)]

    assert ranking.movement_nearby(positive, plain[0], plain[0]) == 0
    assert ranking.movement_nearby(positive, plain[2], plain[2]) == 0
    assert ranking.movement_nearby(positive, *weighted) == pytest.approx(ranking.movement_nearby(positive, *plain[:2]))


@pytest.mark.parametrize("ties", [False, True])
def test_average_precision_influence_is_the_derivative_by_weight(rng: np.random.Generator, ties: bool) -> None:
    positive, score = draw(rng, 60, ties=ties)
    value, influence = ranking.average_precision(positive, ranking.rank(positive, score))
    scale = np.sqrt(positive.sum() / (positive.sum() - 1))
    step = 1e-6
    for row in range(0, 60, 7):
        weights = np.ones(60)
        weights[row] += step
        moved = average_precision_score(positive, score, sample_weight=weights)
        assert influence[row] / scale == pytest.approx((moved - value) / step, abs=1e-6)
    assert influence.sum() == pytest.approx(0, abs=1e-12)


def test_one_positive_row_has_no_variance() -> None:
    positive, score = np.array([True, False, False]), np.array([0.9, 0.5, 0.95])

    auc, influence = ranking.roc_auc(positive, ranking.rank(positive, score))

    assert auc == 0.5
    assert influence[0] == 0
    assert np.isfinite(influence).all()


@pytest.mark.parametrize("ties", [False, True])
def test_weighted_areas_equal_scikit_learn(rng: np.random.Generator, ties: bool) -> None:
    positive, score = draw(rng, 300, ties=ties)
    weight = rng.exponential(size=300) * (rng.random(300) < 0.8)
    # The best-scored row counts for nothing.
    weight[np.argmax(score)] = 0
    ranked = ranking.rank(positive, score, weight)

    auc, auc_influence = ranking.roc_auc(positive, ranked)
    value, influence = ranking.average_precision(positive, ranked)

    assert auc == pytest.approx(roc_auc_score(positive, score, sample_weight=weight))
    assert value == pytest.approx(average_precision_score(positive, score, sample_weight=weight))
    for found in (auc_influence, influence):
        assert found.sum() == pytest.approx(0, abs=1e-12)
        assert not found[weight == 0].any()


def test_equal_weights_rank_as_none(rng: np.random.Generator) -> None:
    positive, score = draw(rng, 80, ties=True)

    for area in (ranking.roc_auc, ranking.average_precision):
        bare = area(positive, ranking.rank(positive, score))
        weighted = area(positive, ranking.rank(positive, score, np.full(80, 2.5)))
        assert weighted[0] == pytest.approx(bare[0])
        assert weighted[1] == pytest.approx(bare[1])
    influence = bare[1]
    assert ranking.two_sample_df(positive, influence, np.ones(80)) == pytest.approx(
        ranking.two_sample_df(positive, influence)
    )


def test_the_top_share_takes_whole_groups_then_a_part() -> None:
    score = np.array([0.9, 0.8, 0.8, 0.8, 0.2, 0.1, 0.1, 0.1, 0.1, 0.1])
    ranked = ranking.rank(np.zeros(10, dtype=bool), score)

    assert ranking.top_share(ranked, 0.25).tolist() == pytest.approx([1.0, 0.5, 0.0, 0.0])
    assert ranking.top_share(ranked, 1.0).tolist() == [1.0, 1.0, 1.0, 1.0]
