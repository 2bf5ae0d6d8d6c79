"""Thresholds by group as a what-if: counts equal to counting by hand, and the change they would make."""

from __future__ import annotations

import json

import numpy as np
import pytest

from core.errors import InvalidInput, NotApplicable
from core.evaluation.group_thresholds import GroupGrid, group_grid, what_if
from core.evaluation.predictions import Predictions
from core.evaluation.tables import Task

WORDS = np.array(["no", "yes"], dtype=object)


def scored(rng: np.random.Generator, n: int, shift: float = 0.2) -> tuple[Predictions, np.ndarray]:
    codes = rng.integers(0, 2, n)
    score = np.clip(rng.beta(2, 2, n) - shift * codes, 0, 1)
    truth = WORDS[(rng.random(n) < score).astype(int)]
    made = Predictions(
        Task.BINARY, np.arange(n), truth, WORDS[(score >= 0.5).astype(int)], np.c_[1 - score, score], ("no", "yes")
    )
    return made, codes


@pytest.fixture
def grid(rng: np.random.Generator) -> GroupGrid:
    return group_grid("sex", ("a", "b"), scored(rng, 4000), scored(rng, 3000))


def test_a_grid_counts_what_each_threshold_calls(rng: np.random.Generator):
    validation, test = scored(rng, 500), scored(rng, 400)
    grid = group_grid("sex", ("a", "b"), validation, test)
    assert len(grid.thresholds) <= 101
    assert grid.thresholds[grid.common] == 0.5
    for (predictions, codes), counts in ((validation, grid.validation), (test, grid.test)):
        for place in range(0, len(grid.thresholds), 7):
            called = predictions.scores[:, 1] >= grid.thresholds[place]
            truth = predictions.y_true == "yes"
            for group in (0, 1):
                rows = codes == group
                expected = [called & truth, called & ~truth, ~called & ~truth, ~called & truth]
                assert counts[group, :, place].tolist() == [int(one[rows].sum()) for one in expected]


def test_a_grid_survives_being_stored(grid: GroupGrid):
    again = GroupGrid.from_document(json.loads(json.dumps(grid.to_document())))
    assert (again.test == grid.test).all()
    assert (again.validation == grid.validation).all()
    assert again.labels == grid.labels


@pytest.mark.parametrize("goal", ["selection_rate", "true_positive_rate"])
def test_thresholds_by_group_even_a_rate_out_on_rows_they_were_not_chosen_on(grid: GroupGrid, goal):
    found = what_if(grid, goal)
    assert found.gap_before is not None
    assert found.gap is not None
    assert found.gap_before > 0.1
    assert found.gap < 0.06
    first, second = found.groups
    assert second.threshold < 0.5 < first.threshold
    assert found.n_gained == second.selected - second.selected_before > 0
    assert found.n_lost == first.selected_before - first.selected > 0
    assert found.change.low <= found.accuracy - found.accuracy_before <= found.change.high


def test_a_group_without_enough_validation_rows_keeps_the_common_threshold(rng: np.random.Generator):
    validation, codes = scored(rng, 400)
    codes = np.where(np.arange(400) < 10, 1, 0)
    found = what_if(group_grid("sex", ("a", "b"), (validation, codes), scored(rng, 400)), "selection_rate")
    assert (found.groups[1].chosen, found.groups[1].threshold) == (False, 0.5)


def test_what_cannot_be_asked_is_refused(grid: GroupGrid, rng: np.random.Generator):
    with pytest.raises(InvalidInput):
        what_if(grid, "selection_rate", common=500)
    made, codes = scored(rng, 50)
    bare = Predictions(Task.BINARY, made.ordinals, made.y_true, made.y_pred, None, made.classes)
    with pytest.raises(NotApplicable):
        group_grid("sex", ("a", "b"), (bare, codes), (bare, codes))
    negative = Predictions(
        Task.BINARY, made.ordinals, np.full(50, "no", dtype=object), made.y_pred, made.scores, made.classes
    )
    lone = group_grid("sex", ("a", "b"), (negative, codes), (negative, codes))
    with pytest.raises(NotApplicable):
        what_if(lone, "true_positive_rate")
