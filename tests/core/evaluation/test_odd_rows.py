"""Odd rows through everything that is public: finite numbers within their range, or a refusal with a sentence.

One class, constant and perfect scores, ties, a truth the model does not know, weights of 0 and of very different size,
a constant target, very large and very small values, and sets of 0, 1, 2 and 3 rows. Warnings are errors.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import is_dataclass, replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from core.datasets.costs import BinaryCosts
from core.errors import InvalidInput, LifecycleError, NotApplicable
from core.evaluation.changes import changed_by_slice, changed_decisions
from core.evaluation.comparing import compare
from core.evaluation.curves import curves
from core.evaluation.fairness import fairness_change, fairness_reports
from core.evaluation.group_thresholds import group_grid, what_if
from core.evaluation.label_errors import suspect_labels
from core.evaluation.measures import mape
from core.evaluation.metrics import METRICS, compute_metrics, metrics_for, omitted_metrics
from core.evaluation.outcomes import Outcome
from core.evaluation.predictions import Predictions
from core.evaluation.slices import Grouped, measure_slices, tells, wrong
from core.evaluation.tables import Task
from core.evaluation.threshold_grids import grid
from core.evaluation.threshold_rules import parse_rule, suggest
from core.evaluation.weak_slices import WeakSlice, find_weak_slices, row_loss

WORDS = {Task.BINARY: ("no", "yes"), Task.MULTICLASS: tuple("abcde"), Task.REGRESSION: ()}
COSTS: dict[Task, dict[str, Any] | None] = {
    Task.BINARY: {"labels": ["no", "yes"], "matrix": [[0, 1], [5, 0]]},
    Task.MULTICLASS: {"labels": list("abcde"), "matrix": (1 - np.eye(5)).tolist()},
    Task.REGRESSION: None,
}
SIZES = (0, 1, 2, 3, 40, 130)
WEIGHTS = ("none", "every other", "one row", "very unlike")


def weights(kind: str, n: int) -> NDArray[np.float64] | None:
    place = np.arange(n)
    return {
        "none": None,
        "every other": (place % 2 == 1) + (place == n - 1) * 1.0,
        "one row": (place == n - 1) * 1.0,
        "very unlike": np.where(place % 2 == 0, 1e50, 1e-50),
    }[kind]


def classified(task: Task, truth: str, scored: str, weighted: str, n: int) -> Predictions:
    k, place = len(WORDS[task]), np.arange(n)
    rng = np.random.default_rng(n)
    codes = {"mixed": place % k, "one class": 0 * place, "one row": (place == 0) * (k - 1), "unknown": place % k}[truth]
    drawn = np.exp(rng.normal(size=(n, k)) + 1.5 * np.eye(k)[codes])
    scores = {
        "drawn": drawn / drawn.sum(axis=1, keepdims=True),
        "alike": np.full((n, k), 1 / k),
        "nothing": np.zeros((n, k)),
        "perfect": np.eye(k)[codes],
        "tied": np.eye(k)[place // 2 % k] * 0.5 + 0.5 / k,
        "none": np.eye(k)[rng.integers(0, k, size=n)],
    }[scored]
    words = np.array(WORDS[task], dtype=object)
    labels = words[codes]
    if truth == "unknown":
        labels[: max(1, n // 5)] = "new"
    called = words[scores.argmax(axis=1)]
    given = None if scored == "none" else scores
    return Predictions(task, place, labels, called, given, WORDS[task], weights(weighted, n))


def numbered(truth: str, predicted: str, weighted: str, n: int) -> Predictions:
    rng, place = np.random.default_rng(n), np.arange(n)
    true = {
        "drawn": rng.normal(10, 2, size=n),
        "constant": np.full(n, 3.0),
        "zero": np.zeros(n),
        "large": rng.normal(size=n) * 1e59,
        "small": rng.normal(size=n) * 1e-200,
        "outlier": np.where(place == 0, 1e12, rng.normal(size=n)),
    }[truth]
    made = {"exact": true, "one": np.ones(n), "off by one": true + 1, "reversed": -true}[predicted]
    return Predictions(Task.REGRESSION, place, true, made, None, (), weights(weighted, n))


def cases(task: Task) -> Iterator[Predictions]:
    """A seeded part of the grid, every value of each axis many times over."""
    rng = np.random.default_rng(len(WORDS[task]))
    axes = (
        (("drawn", "constant", "zero", "large", "small", "outlier"), ("exact", "one", "off by one", "reversed"))
        if task is Task.REGRESSION
        else (("mixed", "one class", "one row", "unknown"), ("drawn", "alike", "nothing", "perfect", "tied", "none"))
    )
    grid_of = [(a, b, w, n) for a in axes[0] for b in axes[1] for w in WEIGHTS for n in SIZES]
    for place in np.sort(rng.choice(len(grid_of), size=50, replace=False)):
        first, second, weighted, n = grid_of[place]
        if task is Task.REGRESSION:
            yield numbered(first, second, weighted, n)
        elif n or weighted != "one row":
            yield classified(task, first, second, weighted, n)


def other(made: Predictions) -> Predictions:
    """Another model's predictions of the same rows."""
    if made.task is Task.REGRESSION:
        return replace(made, y_pred=made.y_pred * 0.5)
    scores = None if made.scores is None else np.roll(made.scores, 1, axis=0)
    return replace(made, scores=scores, y_pred=np.roll(made.y_pred, 1))


def answered(work: Callable[[], Any]) -> Any:
    """What a function gives, its numbers all finite; None where it refuses, with a sentence."""
    found = refused = None
    try:
        found = work()
    except LifecycleError as refusal:
        refused = str(refusal)
    assert refused is None or (len(refused) > 20 and "nan" not in refused)
    assert_finite(found)
    return found


def assert_finite(found: Any) -> None:
    if isinstance(found, float):
        assert math.isfinite(found)
    elif isinstance(found, np.ndarray) and found.dtype.kind == "f":
        assert np.isfinite(found).all()
    elif isinstance(found, dict):
        assert_finite(list(found.values()))
    elif isinstance(found, list | tuple):
        for one in found:
            assert_finite(one)
    elif is_dataclass(found) and not isinstance(found, WeakSlice):
        assert_finite(vars(found))


def columns(n: int) -> list[Grouped]:
    if not n:
        return [Grouped("c", (), np.empty(0, dtype=np.int64))]
    place = np.arange(n)
    return [Grouped("c", ("x", "y", "z"), place % 3), Grouped("d", ("u", "v"), (2 * place < n).astype(np.int64))]


TASKS = pytest.mark.parametrize("task", list(Task))


@TASKS
def test_metrics_are_within_their_range_around_their_value(task: Task) -> None:
    for made in cases(task):
        for one in answered(lambda made=made: compute_metrics(made, costs=COSTS[task])):
            entry = METRICS[one.key]
            assert entry.low <= one.value <= entry.high
            if one.low is not None:
                near = 1e-9 * max(abs(one.value), 1e-3)
                assert entry.low <= one.low <= one.value + near
                assert one.value - near <= one.high <= entry.high
        assert all(omitted_metrics(made, costs=COSTS[task]).values())
        answered(lambda made=made: curves(made))


@TASKS
def test_comparisons_are_intervals_around_their_effect(task: Task) -> None:
    entries = metrics_for(task)
    for number, made in enumerate(cases(task)):
        for entry in (entries[number % len(entries)], entries[(number + 5) % len(entries)]):
            found = answered(
                lambda made=made, entry=entry: compare(
                    made, other(made), metric=entry.key, costs=COSTS[task], n_resamples=20, n_permutations=20,
                    rng=np.random.default_rng(0),
                )
            )  # fmt: skip
            if found is not None:
                assert found.low <= found.effect <= found.high
                assert all(one["pvalue"] is None or 0 <= one["pvalue"] <= 1 for one in found.tests)
        changed_decisions(made, other(made))
        answered(lambda made=made: changed_by_slice(made, other(made), {"c": np.array(["a"] * made.n_rows, object)}))


@TASKS
def test_slices_are_measured_or_say_why_not(task: Task) -> None:
    entries = metrics_for(task)
    for number, made in enumerate(cases(task)):
        found, entry = columns(made.n_rows), entries[number % len(entries)]
        report = answered(
            lambda made=made, found=found, entry=entry: measure_slices(
                made, [[one] for one in found] + [found], entry, costs=COSTS[task], min_rows=5
            )
        )
        for one in report.slices if report else ():
            assert (one.reading == "too_small") == bool(one.reason)
        assert_finite([tells(wrong(made), one) for one in found])
        for loss in ("error", "log_loss", "absolute_error"):
            losses = answered(lambda made=made, loss=loss: row_loss(made, loss))
            if losses is not None:
                answered(
                    lambda losses=losses, found=found, loss=loss: find_weak_slices(
                        losses, found, loss=loss, rng=np.random.default_rng(0), min_rows=5
                    )
                )
        answered(lambda made=made: suspect_labels(made))


@TASKS
def test_groups_are_measured_or_too_small(task: Task) -> None:
    for made in cases(task):
        found, rng = columns(made.n_rows), np.random.default_rng(0)
        groupings = [((one.name,), one) for one in found]
        for report in answered(
            lambda made=made, groupings=groupings, rng=rng: fairness_reports(made, groupings, rng=rng)
        ):
            for one in report.criteria:
                assert one.words
                assert one.difference is None or one.difference_low <= one.difference <= one.difference_high
        values = {"c": np.array([str(place % 3) for place in range(made.n_rows)], dtype=object)}
        answered(lambda made=made, values=values, rng=rng: fairness_change(values, other(made), made, rng=rng))


def test_thresholds_are_suggested_or_it_is_said_why_not() -> None:
    costs = BinaryCosts.of(COSTS[Task.BINARY], ("no", "yes"))
    for made in cases(Task.BINARY):
        codes = np.arange(made.n_rows) % 2
        by_group = answered(lambda made=made, codes=codes: group_grid("c", ("x", "y"), (made, codes), (made, codes)))
        for goal in ("selection_rate", "true_positive_rate") if by_group else ():
            answered(lambda by_group=by_group, goal=goal: what_if(by_group, goal))
        found = answered(lambda made=made: grid(made, other(made)))
        if found is None:
            continue
        assert_finite([found.test.figures(place, costs) for place in range(0, len(found.thresholds), 7)])
        for rule in ("recall>=0.9", "precision>=0.8", "share<=0.1", "f1", "cost"):
            suggestion = suggest(found, parse_rule(rule, costs))
            assert all(suggestion.sentences)
            assert "nan" not in " ".join(suggestion.sentences)


@pytest.mark.parametrize(
    ("truth", "weight", "said"),
    [
        ([1.0, 1e61], None, "predict the target in a larger unit"),
        ([1.0, 2.0], [1.0, 1e-60], "multiply all weights by one number"),
        ([1.0, 2.0], [1.0, 1e60], "multiply all weights by one number"),
        ([1.0, float("nan")], None, "missing or infinite"),
        ([1.0, 2.0], [1.0, float("nan")], "missing, infinite or negative"),
        ([1.0, 2.0], [0.0, 0.0], "none would count"),
    ],
)
def test_numbers_beyond_arithmetic_are_refused(truth: list[float], weight: list[float] | None, said: str) -> None:
    given = None if weight is None else np.array(weight)
    with pytest.raises(InvalidInput, match=said):
        Predictions(Task.REGRESSION, np.arange(2), np.array(truth), np.array(truth), None, (), given)


def test_an_error_is_no_share_of_next_to_nothing() -> None:
    made = Predictions(Task.REGRESSION, np.arange(2), np.array([1e-200, 1.0]), np.array([1.0, 2.0]), None, ())
    with pytest.raises(NotApplicable, match="so near to 0"):
        mape(Outcome(made))
