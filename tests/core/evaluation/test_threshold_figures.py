"""Figures of decisions: against scikit-learn, with weights as repeats, with intervals that hold the truth."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, f1_score, precision_score, recall_score, roc_curve

from core.datasets.costs import BinaryCosts
from core.evaluation.threshold_figures import FIGURES, FigureKey, Tally
from core.evaluation.threshold_grids import grid
from tests.core.evaluation.binary_rows import drawn, predictions, score_of, truth_of

COSTS = BinaryCosts(false_alarm=1, miss=5)


def test_the_figures_are_scikit_learns(rng: np.random.Generator) -> None:
    rows = drawn(500, rng)
    found = grid(rows, drawn(50, rng))
    for place in range(0, len(found.thresholds), 7):
        called = score_of(rows) >= found.thresholds[place]
        if not called.any():
            continue
        expected: dict[FigureKey, float] = {
            "precision": precision_score(truth_of(rows), called),
            "recall": recall_score(truth_of(rows), called),
            "accuracy": accuracy_score(truth_of(rows), called),
            "f1": f1_score(truth_of(rows), called),
            "share": called.mean(),
        }
        for key, value in expected.items():
            assert found.validation.values(key)[place] == pytest.approx(value)
    # From scikit-learn's own ROC curve: every pair on the grid is on it or, between its corners, below it.
    fpr, tpr, _ = roc_curve(truth_of(rows), score_of(rows))
    assert (found.validation.values("recall") <= np.interp(found.validation.values("fpr"), fpr, tpr) + 1e-9).all()


def test_a_weight_counts_as_that_many_rows(rng: np.random.Generator) -> None:
    rows = drawn(60, rng)
    weights = rng.integers(0, 4, 60).astype(float)
    repeated = predictions(
        np.repeat(truth_of(rows), weights.astype(int)), np.repeat(score_of(rows), weights.astype(int))
    )
    weighted = predictions(truth_of(rows), score_of(rows), weights)
    at = np.linspace(0.1, 0.9, 9)
    once, thrice = grid(repeated, repeated, at=at), grid(weighted, weighted, at=at)
    assert thrice.validation.cells == pytest.approx(once.validation.cells)
    assert thrice.validation.n_rows == int((weights > 0).sum())
    for key in FIGURES:
        assert thrice.validation.values(key, COSTS) == pytest.approx(once.validation.values(key, COSTS), nan_ok=True)
        wide, narrow = thrice.validation.estimate(key, 4, COSTS), once.validation.estimate(key, 4, COSTS)
        assert wide is not None
        assert narrow is not None
        assert wide.high - wide.low > narrow.high - narrow.low  # type: ignore[operator] - repeats pretend to know more
    equal = predictions(truth_of(rows), score_of(rows), np.full(60, 2.5))
    for key in FIGURES:
        mine = grid(equal, equal, at=at).validation.estimate(key, 4, COSTS)
        assert mine == pytest.approx(grid(rows, rows, at=at).validation.estimate(key, 4, COSTS))


def test_the_intervals_hold_the_truth_as_often_as_they_say(rng: np.random.Generator) -> None:
    rows = drawn(200_000, rng)
    at = (0.3,)
    truth = grid(rows, rows, at=at).test
    inside = dict.fromkeys(FIGURES, 0)
    times = 400
    for _ in range(times):
        taken = rows.take(rng.choice(rows.n_rows, 250, replace=False))
        found = grid(taken, taken, at=at).test
        for key in FIGURES:
            estimate, true = found.estimate(key, 0, COSTS), float(truth.values(key, COSTS)[0])
            assert estimate is not None
            assert estimate.low is not None
            assert estimate.high is not None
            inside[key] += estimate.low <= true <= estimate.high
    for key, count in inside.items():
        # Of 400 that hold in 95 of 100, fewer than 367 or more than 391 are seen once in a thousand tries.
        assert 0.917 <= count / times <= 0.978, key


def test_a_cost_no_mistake_was_seen_of_still_has_an_interval() -> None:
    rows = predictions([True] * 10 + [False] * 10, [0.9] * 10 + [0.1] * 10)
    perfect = grid(rows, rows, at=(0.5,)).test.estimate("cost", 0, COSTS)
    assert perfect is not None
    assert perfect.high is not None
    assert (perfect.value, perfect.low) == (0, 0)
    assert 0.1 < perfect.high < 1


@pytest.mark.parametrize("costs", [BinaryCosts(1, 50), BinaryCosts(1, 1), BinaryCosts(2, 3, hit=-4, rest=1)])
def test_the_interval_of_a_cost_holds_the_truth_where_misses_are_rare(
    costs: BinaryCosts, rng: np.random.Generator
) -> None:
    shares = np.array([0.12, 0.15, 0.71, 0.02])
    truth, inside, times = float(shares @ costs.by_cell), 0, 400
    for cells in rng.multinomial(250, shares, size=times):
        counted = cells[:, None].astype(float)
        found = Tally(250, int(cells[0] + cells[3]), counted, counted).estimate("cost", 0, costs)
        assert found is not None
        assert found.low is not None
        assert found.high is not None
        inside += found.low <= truth <= found.high
    assert 0.917 <= inside / times <= 0.985
