"""Slices: how rows are grouped and named, a metric in each against the rest, and what is too small to say."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, datetime, timedelta

import numpy as np
import pyarrow as pa
import pytest
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score
from statsmodels.stats.proportion import confint_proportions_2indep

from core.errors import InvalidInput, NotApplicable
from core.evaluation.metrics import METRICS, primary_metric
from core.evaluation.predictions import Predictions
from core.evaluation.slices import (
    Grouped,
    agreeing_pvalue,
    crossed,
    group_column,
    groups,
    measure_slices,
    slice_columns,
    tells,
    wrong,
)
from core.evaluation.tables import Task
from core.statistics.intervals import Interval

WORDS = np.array(["no", "yes"], dtype=object)


def binary(rng: np.random.Generator, n: int, *, share: float = 0.3, lift: float = 1.2) -> Predictions:
    positive = rng.random(n) < share
    seen = rng.normal(size=n) + lift * positive
    score = 1 / (1 + np.exp(-(lift * seen - lift * lift / 2 + np.log(share / (1 - share)))))
    return Predictions(
        Task.BINARY,
        np.arange(n),
        WORDS[positive.astype(int)],
        WORDS[(score > 0.5).astype(int)],
        np.column_stack([1 - score, score]),
        ("no", "yes"),
    )


def regression(rng: np.random.Generator, n: int) -> Predictions:
    truth = 5 + 2 * rng.normal(size=n)
    return Predictions(Task.REGRESSION, np.arange(n), truth, truth + rng.standard_t(4, size=n), None, ())


def halves(n: int, n_inside: int, rng: np.random.Generator) -> Grouped:
    codes = np.ones(n, dtype=np.int64)
    codes[rng.choice(n, n_inside, replace=False)] = 0
    return Grouped("c", ("in", "out"), codes)


def labels(values: list[object], **over: object) -> list[str]:
    return list(group_column("c", pa.array(values), **over).labels)  # type: ignore[arg-type]


def test_sensitive_columns_come_before_the_shortest_categories() -> None:
    kinds = {"age": "integer", "sex": "category", "member": "boolean"}
    distinct = {"age": 73, "job": 12, "sex": 2, "member": 2, "country": 42, "one": 1, "y": 2}
    columns = [{"name": name, "kind": kinds.get(name, "category")} for name in distinct]
    profile = {"columns": [{"name": name, "n_distinct": n} for name, n in distinct.items()]}
    assert slice_columns(columns, profile, sensitive=["sex", "age"], target="y") == ["age", "sex", "member", "job"]


def test_categories_stand_by_falling_count_with_what_is_missing_last() -> None:
    assert labels(["b", "a", "b", None, "c", "b", "a"]) == ["b", "a", "c", "missing"]


def test_rare_values_of_a_column_with_many_are_one_group() -> None:
    found = group_column("c", pa.array([f"w{i % 20}" for i in range(100)] + ["w3"] * 5))
    assert len(found.labels) == 12
    assert found.labels[0] == "w3"
    assert found.labels[-1] == "other values"
    assert found.other == 11
    assert np.bincount(found.codes).sum() == 105


def test_a_value_that_reads_like_a_group_of_ours_is_in_quotes() -> None:
    assert set(labels(["missing", None, "", "other values"])) == {'"missing"', "missing", '""', '"other values"'}


def test_edges_of_quarters_are_readable_and_tell_the_truth() -> None:
    rng = np.random.default_rng(1)
    values = rng.normal(scale=100_000, size=1000)
    found = group_column("c", pa.array(values))
    assert all(len(label) <= 24 for label in found.labels), found.labels
    for code, label in enumerate(found.labels):
        low, high = (float(part.replace(",", "")) for part in label.split(" to "))
        inside = values[found.codes == code]
        assert low <= inside.min()
        assert inside.max() <= high
    assert np.bincount(found.codes) == pytest.approx([250] * 4, abs=10)


def test_a_value_many_rows_share_is_a_group_of_its_own() -> None:
    assert labels([0] * 300 + list(range(1, 101))) == ["0", "1 to 26", "26 to 50", "50 to 75", "75 to 100"]
    assert "25 to 50, not 40" in labels([40] * 100 + list(range(1, 99)))


@pytest.mark.parametrize(
    ("step", "expected"),
    [(1, "2020-01"), (4, "2020"), (60, "2020 to 2032")],
    ids=["months", "years", "quarters of the years"],
)
def test_dates_are_named_by_the_finest_unit_that_gives_few(step: int, expected: str) -> None:
    assert labels([date(2020, 1, 1) + timedelta(days=step * i) for i in range(300)])[0] == expected


def test_moments_of_few_days_are_named_by_day() -> None:
    hours = [datetime(2026, 3, 1) + timedelta(hours=i) for i in range(48)]  # noqa: DTZ001
    assert labels([*hours, None]) == ["2026-03-01", "2026-03-02", "missing"]


@pytest.mark.parametrize("values", [[], [None, None], [float("nan")], [1, "a"], [float("inf"), 1.0]])
def test_odd_columns_are_grouped_without_fault(values: list[object]) -> None:
    assert len(groups(values)) == len(values)


def test_combinations_hold_every_row_once() -> None:
    one = Grouped("a", ("x", "y"), np.array([0, 1, 0, 1]))
    two = Grouped("b", ("p", "q"), np.array([0, 0, 0, 1]))
    found = {conditions: rows.tolist() for conditions, rows in crossed([one, two])}
    assert found == {
        (("a", "x"), ("b", "p")): [0, 2],
        (("a", "y"), ("b", "p")): [1],
        (("a", "y"), ("b", "q")): [3],
    }


def test_a_slice_has_the_metric_of_its_rows_and_is_held_against_the_others(rng: np.random.Generator) -> None:
    made, column = binary(rng, 2000), halves(2000, 500, rng)
    inside = column.codes == 0
    found = measure_slices(made, [[column]], METRICS["roc_auc"])
    assert made.scores is not None
    truth = made.y_true == "yes"
    one, other = found.slices
    assert one.value == pytest.approx(roc_auc_score(truth[inside], made.scores[inside, 1]))
    assert one.rest == pytest.approx(roc_auc_score(truth[~inside], made.scores[~inside, 1]))
    assert one.words == "c = in"
    assert (one.n_rows, other.n_rows) == (500, 1500)
    # The two are each other's rest: one comparison, and its p-value is not corrected.
    assert found.n_compared == 1
    assert one.corrected == pytest.approx(one.pvalue)
    assert other.difference == pytest.approx(-one.difference)


def test_the_difference_of_shares_is_newcombes_interval(rng: np.random.Generator) -> None:
    made, column = binary(rng, 1000), halves(1000, 120, rng)
    one = measure_slices(made, [[column]], METRICS["accuracy"]).slices[0]
    right = (made.y_true == made.y_pred).astype(int)
    hits = [int(right[column.codes == code].sum()) for code in (0, 1)]
    low, high = confint_proportions_2indep(hits[0], 120, hits[1], 880, compare="diff", method="newcomb")
    assert (one.difference_low, one.difference_high) == pytest.approx((low, high))


def test_a_pvalue_is_at_most_5_percent_exactly_where_the_interval_leaves_zero_out() -> None:
    assert agreeing_pvalue(0.3, Interval(0.0, 0.7), 40) == pytest.approx(0.05)
    assert agreeing_pvalue(0.3, Interval(0.01, 0.7), 40) < 0.05 < agreeing_pvalue(0.3, Interval(-0.01, 0.7), 40)
    assert agreeing_pvalue(-0.3, Interval(-0.4, 0.0), 40) == pytest.approx(0.05)
    assert agreeing_pvalue(0.0, Interval(-0.1, 0.1), 40) == 1.0


def test_a_weak_part_reads_worse_and_the_rest_better(rng: np.random.Generator) -> None:
    made, column = binary(rng, 4000, lift=2.5), halves(4000, 800, rng)
    inside = column.codes == 0
    spoilt = made.y_pred.copy()
    spoilt[inside] = np.where(rng.random(inside.sum()) < 0.3, made.y_true[inside][::-1], spoilt[inside])
    shown = Predictions(made.task, made.ordinals, made.y_true, spoilt, made.scores, made.classes)
    found = measure_slices(shown, [[column]], METRICS["accuracy"])
    assert [one.reading for one in found.slices] == ["worse", "better"]


def test_for_a_loss_lower_is_better(rng: np.random.Generator) -> None:
    made, column = regression(rng, 2000), halves(2000, 400, rng)
    off = np.where(column.codes == 0, 3.0, 1.0) * (made.y_pred - made.y_true)
    shown = Predictions(made.task, made.ordinals, made.y_true, made.y_true + off, None, ())
    assert measure_slices(shown, [[column]], METRICS["rmse"]).slices[0].reading == "worse"


def test_a_small_slice_says_so_and_is_not_compared(rng: np.random.Generator) -> None:
    found = measure_slices(binary(rng, 400), [[halves(400, 29, rng)]], METRICS["accuracy"])
    assert found.slices[0].reading == "too_small"
    assert "Fewer than 30 rows" in found.slices[0].reason
    assert found.slices[0].value is None
    # Its rest has a value, but nothing large enough to be held against.
    assert found.slices[1].value is not None
    assert "outside it" in found.slices[1].reason
    assert found.n_compared == 0


def test_a_metric_that_is_not_defined_in_a_slice_leaves_its_reason(rng: np.random.Generator) -> None:
    made = binary(rng, 600)
    column = Grouped("c", ("no", "yes"), (made.y_true == "yes").astype(np.int64))
    one = measure_slices(made, [[column]], METRICS["roc_auc"]).slices[0]
    assert one.reading == "too_small"
    assert "one class" in one.reason


def test_a_metric_that_is_not_defined_on_all_rows_is_refused(rng: np.random.Generator) -> None:
    made = binary(rng, 100)
    alike = made.take(made.y_true == "no")
    column = Grouped("c", ("x",), np.zeros(alike.n_rows, dtype=np.int64))
    with pytest.raises(NotApplicable, match="one class"):
        measure_slices(alike, [[column]], METRICS["roc_auc"])
    with pytest.raises(NotApplicable, match="not for a binary task"):
        measure_slices(made, [[Grouped("c", ("x",), np.zeros(100, dtype=np.int64))]], METRICS["rmse"])


def test_a_column_of_another_length_is_refused(rng: np.random.Generator) -> None:
    with pytest.raises(InvalidInput, match="give one per row"):
        measure_slices(binary(rng, 100), [[halves(99, 40, rng)]], METRICS["accuracy"])


def test_only_the_largest_combinations_are_measured_and_the_others_counted(rng: np.random.Generator) -> None:
    made = binary(rng, 1000)
    column = Grouped("c", tuple("abcdefgh"), np.sort(rng.integers(0, 8, size=1000)))
    found = measure_slices(made, [[column]], METRICS["accuracy"], most=5)
    assert (len(found.slices), found.n_left_out) == (5, 3)


def test_the_correction_allows_for_columns_that_were_passed_over(rng: np.random.Generator) -> None:
    made, column = binary(rng, 1000), halves(1000, 300, rng)
    one = measure_slices(made, [[column]], METRICS["accuracy"], n_looked_at=40).slices[0]
    assert one.pvalue is not None
    assert one.corrected == pytest.approx(min(1.0, 40 * one.pvalue))


@pytest.mark.parametrize("metric", ["roc_auc", "accuracy", "recall", "log_loss", "rmse", "r2"])
def test_of_slices_cut_at_random_few_are_unlike_the_rest(metric: str) -> None:
    entry, rng, found = METRICS[metric], np.random.default_rng(5), []
    for _ in range(150):
        made = regression(rng, 400) if entry.tasks == (Task.REGRESSION,) else binary(rng, 400)
        pvalue = measure_slices(made, [[halves(400, 60, rng)]], entry).slices[0].pvalue
        found += [pvalue] if pvalue is not None else []
    # 5 % of 150 is 7.5; 15 or more happen once in a hundred at exactly that rate.
    assert sum(pvalue <= 0.05 for pvalue in found) < 15
    assert min(found) > 0


def test_a_column_tells_of_the_loss_what_lies_between_its_groups(rng: np.random.Generator) -> None:
    codes = rng.integers(0, 5, size=5000)
    telling = np.where(codes == 2, 1.0, 0.0)
    assert tells(telling, Grouped("c", tuple("abcde"), codes)) == pytest.approx(1.0)
    assert abs(tells(rng.random(5000), Grouped("c", tuple("abcde"), codes))) < 0.01
    assert tells(np.ones(5000), Grouped("c", tuple("abcde"), codes)) == 0.0
    assert tells(np.empty(0), Grouped("c", (), np.empty(0, dtype=np.int64))) == 0.0


def test_every_primary_metric_can_be_sliced(rng: np.random.Generator) -> None:
    for task, made in ((Task.BINARY, binary(rng, 300)), (Task.REGRESSION, regression(rng, 300))):
        found = measure_slices(made, [[halves(300, 100, rng)]], METRICS[primary_metric(task)])
        assert all(one.value is not None for one in found.slices)
    assert set(wrong(binary(rng, 50))) <= {0.0, 1.0}


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (["a", None, "b"], ["a", "missing", "b"]),
        ([True, False, None], ["True", "False", "missing"]),
        ([1, 2, 2], ["1", "2", "2"]),
        ([], []),
    ],
)
def test_few_values_are_groups_of_their_own(values: list[object], expected: list[str]) -> None:
    assert groups(values).tolist() == expected


def test_many_numbers_become_quarters() -> None:
    named = groups([*range(101), None])
    assert named[-1] == "missing"
    assert named[0] == "0 to 25"
    assert named[100] == "75 to 100"
    assert sorted(set(named[:-1])) == ["0 to 25", "25 to 50", "50 to 75", "75 to 100"]
    assert np.unique(named[:-1], return_counts=True)[1].tolist() == [26, 25, 25, 25]


def test_many_words_stay_words() -> None:
    words = [f"word {i}" for i in range(40)]
    assert groups(words).tolist() == words


def many_classes(rng: np.random.Generator, n: int, weight: NDArray[np.float64] | None = None) -> Predictions:
    shares = np.array([0.4, 0.3, 0.2, 0.1])
    truth = rng.choice(4, size=n, p=shares)
    seen = np.exp(rng.normal(size=(n, 4)) + 2 * np.eye(4)[truth]) * shares
    scores = seen / seen.sum(axis=1, keepdims=True)
    names = np.array(list("abcd"), dtype=object)
    return Predictions(
        Task.MULTICLASS, np.arange(n), names[truth], names[scores.argmax(axis=1)], scores, tuple("abcd"), weight
    )


def rows_rested_on(made: Predictions, rows: NDArray[np.bool_], key: str) -> float:
    truth, weight = made.y_true[rows], np.ones(made.n_rows) if made.sample_weight is None else made.sample_weight
    sizes = {
        label: weight[rows][truth == label].sum() ** 2 / (weight[rows][truth == label] ** 2).sum()
        for label in set(truth)
    }
    return sizes["yes"] if key == "lift" else min(sizes.values())


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize(
    ("task", "key"),
    [(Task.BINARY, "cohen_kappa"), (Task.BINARY, "lift"), (Task.BINARY, "f0_5"), (Task.BINARY, "f2")]
    + [(Task.MULTICLASS, key) for key in ("roc_auc", "cohen_kappa", "macro_f1", "balanced_accuracy")],
)
def test_a_pvalue_knows_how_few_rows_of_the_rarest_class_carry_it(
    task: Task, key: str, weighted: bool, rng: np.random.Generator
) -> None:
    made = binary(rng, 900, share=0.2) if task is Task.BINARY else many_classes(rng, 900)
    if weighted:
        made = replace(made, sample_weight=rng.exponential(size=900))
    column = halves(900, 200, rng)
    one = measure_slices(made, [[column]], METRICS[key]).slices[0]
    assert one.difference is not None
    span = Interval(one.difference_low or 0.0, one.difference_high or 0.0)
    rests_on = min(rows_rested_on(made, column.codes == code, key) for code in (0, 1))
    assert one.pvalue == pytest.approx(agreeing_pvalue(one.difference, span, rests_on - 1))


def test_the_average_cost_is_sliced_by_the_costs_given(rng: np.random.Generator) -> None:
    made, column = binary(rng, 600), halves(600, 200, rng)
    costs = {"labels": ["no", "yes"], "matrix": [[0.0, 1.0], [5.0, 0.0]]}
    one = measure_slices(made, [[column]], METRICS["average_cost"], costs=costs).slices[0]
    inside = column.codes == 0
    paid = np.where(made.y_true == made.y_pred, 0.0, np.where(made.y_true == "yes", 5.0, 1.0))
    assert one.value == pytest.approx(paid[inside].mean())
    assert one.difference == pytest.approx(paid[inside].mean() - paid[~inside].mean())
    with pytest.raises(NotApplicable, match="cost"):
        measure_slices(made, [[column]], METRICS["average_cost"])


def test_rows_of_weight_0_do_not_make_a_slice_large_enough(rng: np.random.Generator) -> None:
    column = halves(400, 60, rng)
    weight = np.ones(400)
    weight[np.flatnonzero(column.codes == 0)[10:]] = 0
    found = measure_slices(replace(binary(rng, 400), sample_weight=weight), [[column]], METRICS["accuracy"])
    assert [one.reading for one in found.slices] == ["too_small", "too_small"]
    assert found.slices[0].reason == "Fewer than 30 rows that count."
