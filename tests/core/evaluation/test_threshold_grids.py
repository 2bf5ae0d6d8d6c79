"""Grids of thresholds: counts against brute force, nothing lost that a choice could want, stored and read again."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import confusion_matrix

from core.datasets.costs import BinaryCosts
from core.errors import InvalidInput, NotApplicable
from core.evaluation.predictions import Predictions
from core.evaluation.tables import Task
from core.evaluation.threshold_grids import MAX_THRESHOLDS, Grid, grid
from tests.core.evaluation.binary_rows import drawn, predictions, score_of, truth_of


@pytest.mark.parametrize("n", [30, 3_000])
def test_each_threshold_counts_what_brute_force_counts(n: int, rng: np.random.Generator) -> None:
    validation, test = drawn(n, rng), drawn(n, rng, decimals=2)
    found = grid(validation, test)
    assert (found.negative, found.positive) == ("no", "yes")
    assert len(found.thresholds) <= MAX_THRESHOLDS
    assert 0.5 in found.thresholds
    assert (np.diff(found.thresholds) > 0).all()
    for rows, tally in ((validation, found.validation), (test, found.test)):
        for place, threshold in enumerate(found.thresholds):
            called = score_of(rows) >= threshold
            (tn, fp), (fn, tp) = confusion_matrix(truth_of(rows), called, labels=[False, True])
            assert tally.cells[:, place].tolist() == [tp, fp, tn, fn]


def test_few_rows_give_every_decision_they_can_lead_to(rng: np.random.Generator) -> None:
    validation, test = drawn(40, rng, decimals=2), drawn(30, rng, decimals=2)
    found = grid(validation, test)
    for rows, tally in ((validation, found.validation), (test, found.test)):
        decisions = {int((score_of(rows) >= score).sum()) for score in np.unique(score_of(rows))} | {0}
        assert set((tally.cells[0] + tally.cells[1]).astype(int)) == decisions


@pytest.mark.parametrize("share", [0.5, 0.02])
@pytest.mark.parametrize("costs", [BinaryCosts(1, 5), BinaryCosts(10, 1), BinaryCosts(3, 4, hit=-2, rest=1)])
def test_the_cheapest_threshold_of_many_rows_is_the_cheapest_of_all(
    share: float, costs: BinaryCosts, rng: np.random.Generator
) -> None:
    rows = drawn(5_000, rng, share=share)
    every = grid(rows, rows, at=np.unique(score_of(rows)))
    thinned = grid(rows, rows)
    assert len(thinned.thresholds) <= MAX_THRESHOLDS
    assert thinned.validation.values("cost", costs).min() <= every.validation.values("cost", costs).min() + 1e-12
    assert np.nanmax(thinned.validation.values("f1")) == pytest.approx(np.nanmax(every.validation.values("f1")))


def test_what_cannot_have_a_threshold_is_refused(rng: np.random.Generator) -> None:
    rows = drawn(10, rng)
    bare = Predictions(Task.BINARY, rows.ordinals, rows.y_true, rows.y_pred, None, ("no", "yes"))
    numbers = Predictions(Task.REGRESSION, np.arange(2), [1.0, 2.0], [1.0, 2.0], None, ())  # type: ignore[arg-type]
    with pytest.raises(NotApplicable, match="without scores"):
        grid(bare, rows)
    with pytest.raises(NotApplicable, match="only a binary one"):
        grid(numbers, numbers)
    with pytest.raises(NotApplicable, match="no validation row"):
        grid(rows.take(np.zeros(10, dtype=bool)), rows)
    weighted = predictions([True, False], [0.5, 0.5], np.array([0.0, 1.0]))
    with pytest.raises(NotApplicable, match="no test row"):
        grid(rows, weighted.take(np.array([0])))
    with pytest.raises(InvalidInput, match="above 0 and is at most 1"):
        grid(rows, rows, at=(0.0,))
    others = Predictions(Task.BINARY, rows.ordinals, rows.y_true, rows.y_pred, rows.scores, ("no", "zes"))
    with pytest.raises(InvalidInput, match="score them by one model"):
        grid(rows, others)


def test_a_truth_the_model_does_not_know_counts_as_not_positive() -> None:
    rows = predictions([True, False], [0.9, 0.8])
    odd = Predictions(Task.BINARY, rows.ordinals, ["maybe", "yes"], rows.y_pred, rows.scores, rows.classes)  # type: ignore[arg-type]
    assert grid(odd, odd, at=(0.5,)).test.cells[:, 0].tolist() == [1, 1, 0, 0]


def test_stored_then_loaded_equals_the_original(rng: np.random.Generator) -> None:
    for weights in (None, rng.random(50)):
        rows = drawn(50, rng)
        weighted = predictions(truth_of(rows), score_of(rows), weights)
        found = grid(weighted, rows)
        again = Grid.from_document(found.to_document())
        assert again.to_document() == found.to_document()
        assert again.thresholds.tolist() == found.thresholds.tolist()
        assert again.validation.figures(7) == found.validation.figures(7)
        assert (again.validation.weighted, again.test.weighted) == (weights is not None, False)


def test_thresholds_are_numbers_a_person_would_write() -> None:
    rows = predictions([True, False, True], [0.7123456, 0.3123456, 0.3123457])
    assert grid(rows, rows).thresholds.tolist() == [0.16, 0.3123457, 0.5, 0.51, 0.86]
