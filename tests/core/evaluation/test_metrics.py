"""Metrics against scikit-learn, their intervals against simulation, and the cases without an answer."""

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats
from sklearn import metrics as sk

from core.errors import InvalidInput, NotApplicable
from core.evaluation.measures import calibration_bins
from core.evaluation.metrics import METRICS, compute_metrics, measure, metric, omitted_metrics, primary_metric
from core.evaluation.outcomes import Outcome
from core.evaluation.predictions import Predictions
from core.evaluation.tables import Task
from tests.benchmarks.interval_coverage import CASES, cover, truths


def binary(positive: object, score: object, threshold: float = 0.5) -> Predictions:
    flags, scores = np.asarray(positive, dtype=bool), np.asarray(score, dtype=float)
    words = np.array(["no", "yes"], dtype=object)
    return Predictions(
        Task.BINARY,
        np.arange(len(flags)),
        words[flags.astype(int)],
        words[(scores > threshold).astype(int)],
        np.c_[1 - scores, scores],
        ("no", "yes"),
    )


def regression(truth: object, predicted: object) -> Predictions:
    values = np.asarray(truth, dtype=float)
    return Predictions(Task.REGRESSION, np.arange(len(values)), values, np.asarray(predicted, dtype=float), None, ())


def values(predictions: Predictions) -> dict[str, float]:
    return {one.key: one.value for one in compute_metrics(predictions)}


COSTS = {"labels": ["no", "yes"], "matrix": [[0.5, 2.0], [7.0, -1.0]]}


def with_weight(made: Predictions, weight: NDArray[np.float64] | None) -> Predictions:
    return Predictions(made.task, made.ordinals, made.y_true, made.y_pred, made.scores, made.classes, weight)


def weights(kind: str, n: int, rng: np.random.Generator) -> NDArray[np.float64] | None:
    if kind == "none":
        return None
    if kind == "whole":
        return rng.integers(0, 4, size=n).astype(float)
    return rng.exponential(size=n) * (rng.random(n) < 0.8)


WEIGHTS = pytest.mark.parametrize("kind", ["none", "whole", "real"])


@WEIGHTS
@pytest.mark.parametrize("decimals", [1, 8])
@pytest.mark.parametrize("seed", range(4))
def test_binary_metrics_equal_scikit_learn(decimals: int, kind: str, seed: int) -> None:
    rng = np.random.default_rng(seed)
    truth = rng.random(500) < 0.2
    score = np.round(np.clip(rng.beta(2, 5, size=500) + 0.3 * truth, 0, 1), decimals)
    w = weights(kind, 500, rng)
    made = with_weight(binary(truth, score), w)
    label = score > 0.5

    found = {one.key: one.value for one in compute_metrics(made, costs=COSTS)}

    cost = np.array(COSTS["matrix"])[truth.astype(int), label.astype(int)]
    assert found == pytest.approx(
        {
            "roc_auc": sk.roc_auc_score(truth, score, sample_weight=w),
            "average_precision": sk.average_precision_score(truth, score, sample_weight=w),
            "accuracy": sk.accuracy_score(truth, label, sample_weight=w),
            "balanced_accuracy": sk.balanced_accuracy_score(truth, label, sample_weight=w),
            "precision": sk.precision_score(truth, label, sample_weight=w),
            "recall": sk.recall_score(truth, label, sample_weight=w),
            "f1": sk.f1_score(truth, label, sample_weight=w),
            "f0_5": sk.fbeta_score(truth, label, beta=0.5, sample_weight=w),
            "f2": sk.fbeta_score(truth, label, beta=2, sample_weight=w),
            "matthews_correlation": sk.matthews_corrcoef(truth, label, sample_weight=w),
            "cohen_kappa": sk.cohen_kappa_score(truth, label, sample_weight=w),
            "log_loss": sk.log_loss(truth, score, sample_weight=w),
            "brier": sk.brier_score_loss(truth, score, sample_weight=w),
            "average_cost": np.average(cost, weights=w),
            # scikit-learn has neither; each has a test of its own below.
            "expected_calibration_error": found["expected_calibration_error"],
            "lift": found["lift"],
        }
    )


@WEIGHTS
@pytest.mark.parametrize("decimals", [1, 8])
@pytest.mark.parametrize("seed", range(4))
def test_multiclass_metrics_equal_scikit_learn(kind: str, decimals: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    classes = ("ant", "bee", "cat", "dog")
    truth = rng.choice(4, size=400, p=[0.6, 0.25, 0.1, 0.05])
    scores = np.round(rng.dirichlet(np.ones(4), size=400) + np.eye(4)[truth] * 0.5, decimals)
    scores = (scores + 1e-9) / (scores + 1e-9).sum(axis=1, keepdims=True)
    words = np.array(classes, dtype=object)
    label = scores.argmax(axis=1)
    w = weights(kind, 400, rng)
    made = Predictions(Task.MULTICLASS, np.arange(400), words[truth], words[label], scores, classes, w)
    matrix = rng.normal(size=(4, 4))

    costs = {"labels": list(classes[::-1]), "matrix": matrix[::-1, ::-1].tolist()}
    found = {one.key: one.value for one in compute_metrics(made, costs=costs)}

    assert found == pytest.approx(
        {
            "accuracy": sk.accuracy_score(truth, label, sample_weight=w),
            "roc_auc": sk.roc_auc_score(truth, scores, multi_class="ovr", average="macro", sample_weight=w),
            "balanced_accuracy": sk.balanced_accuracy_score(truth, label, sample_weight=w),
            "matthews_correlation": sk.matthews_corrcoef(truth, label, sample_weight=w),
            "log_loss": sk.log_loss(truth, scores, sample_weight=w),
            "brier": sk.brier_score_loss(truth, scores, scale_by_half=True, sample_weight=w),
            "top_3_accuracy": sk.top_k_accuracy_score(truth, scores, k=3, sample_weight=w),
            "macro_f1": sk.f1_score(truth, label, average="macro", sample_weight=w),
            "weighted_f1": sk.f1_score(truth, label, average="weighted", sample_weight=w),
            "macro_precision": sk.precision_score(truth, label, average="macro", sample_weight=w),
            "cohen_kappa": sk.cohen_kappa_score(truth, label, sample_weight=w),
            "average_cost": np.average(matrix[truth, label], weights=w),
            "expected_calibration_error": found["expected_calibration_error"],
        }
    )


@WEIGHTS
@pytest.mark.parametrize("n", [300, 301])
@pytest.mark.parametrize("seed", range(4))
def test_regression_metrics_equal_scikit_learn(kind: str, n: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    truth = rng.normal(10, 3, size=n)
    predicted = truth + rng.standard_t(3, size=n)
    w = weights(kind, n, rng)

    assert values(with_weight(regression(truth, predicted), w)) == pytest.approx(
        {
            "rmse": sk.root_mean_squared_error(truth, predicted, sample_weight=w),
            "mae": sk.mean_absolute_error(truth, predicted, sample_weight=w),
            "median_absolute_error": sk.median_absolute_error(truth, predicted, sample_weight=w),
            "r2": sk.r2_score(truth, predicted, sample_weight=w),
            "mape": sk.mean_absolute_percentage_error(truth, predicted, sample_weight=w),
            "quantile_loss_10": sk.mean_pinball_loss(truth, predicted, alpha=0.1, sample_weight=w),
            "quantile_loss_90": sk.mean_pinball_loss(truth, predicted, alpha=0.9, sample_weight=w),
        }
    )


def test_lift_is_the_share_found_by_a_tenth_of_the_rows_over_a_tenth() -> None:
    # 100 rows in falling score, 20 positives, 7 of them among the first 10.
    positive = np.zeros(100, dtype=bool)
    positive[[0, 1, 2, 4, 5, 7, 9, *range(20, 33)]] = True
    score = np.linspace(0.99, 0.01, 100)

    assert values(binary(positive, score))["lift"] == pytest.approx((7 / 10) / (20 / 100))
    # All tied: any tenth is as good, and holds a tenth of the positives.
    assert values(binary(positive, np.full(100, 0.3)))["lift"] == pytest.approx(1.0)
    # Half of the first tenth is sure; the other five come out of fifteen tied rows with three positives.
    tied = np.where(np.arange(100) < 5, 0.9, np.where(np.arange(100) < 20, 0.5, 0.1))
    assert values(binary(positive, tied))["lift"] == pytest.approx((4 + 3 * 5 / 15) / 20 / 0.1)
    perfect = np.arange(100) < 8
    assert values(binary(perfect, perfect.astype(float)))["lift"] == pytest.approx(10.0)


def test_the_multiclass_calibration_error_is_of_the_score_of_the_class_predicted() -> None:
    words = np.array(["a", "b", "c"], dtype=object)
    scores = np.tile([0.7, 0.2, 0.1], (100, 1))
    truth = words[np.repeat([0, 1], [60, 40])]
    made = Predictions(Task.MULTICLASS, np.arange(100), truth, words[np.zeros(100, dtype=int)], scores, tuple(words))

    assert values(made)["expected_calibration_error"] == pytest.approx(0.1)
    assert "top_3_accuracy" not in values(made)
    assert "each is always among the 3 highest" in omitted_metrics(made)["top_3_accuracy"]


def test_a_class_that_does_not_occur_or_is_not_known_is_left_out_of_the_multiclass_area() -> None:
    rng = np.random.default_rng(5)
    words = np.array(["a", "b", "c", "new"], dtype=object)
    truth = rng.choice([0, 1, 3], size=200)
    scores = rng.dirichlet(np.ones(3), size=200)
    made = Predictions(
        Task.MULTICLASS, np.arange(200), words[truth], words[scores.argmax(axis=1)], scores, ("a", "b", "c")
    )

    expected = [sk.roc_auc_score(truth == code, scores[:, code]) for code in (0, 1)]
    assert values(made)["roc_auc"] == pytest.approx(np.mean(expected))


def test_costs_are_needed_and_have_to_name_each_label() -> None:
    made = binary([True, False, True, False], [0.9, 0.8, 0.3, 0.2])

    assert omitted_metrics(made)["average_cost"].endswith("Give the dataset a cost matrix.")
    other = {"labels": ["no", "maybe"], "matrix": [[0, 1], [1, 0]]}
    assert "no row and column for 'yes'" in omitted_metrics(made, costs=other)["average_cost"]
    found = {one.key: one for one in compute_metrics(made, costs=COSTS)}["average_cost"]
    assert found.value == pytest.approx((-1 + 2 + 7 + 0.5) / 4)
    assert found.low is not None
    assert found.high is not None
    assert -1 <= found.low < found.value < found.high <= 7


def test_weights_that_differ_widen_an_interval_as_fewer_rows_would() -> None:
    rng = np.random.default_rng(2)
    made = simulate_binary(rng, 2_000, 0.3, 1.5)
    uneven = with_weight(made, np.where(np.arange(2_000) % 10 == 0, 100.0, 1.0))

    alone = {one.key: one for one in compute_metrics(made)}["accuracy"]
    found = {one.key: one for one in compute_metrics(uneven)}["accuracy"]

    # Kish: (1,800 + 20,000)² / (1,800 + 200 * 10,000) = 237 rows' worth.
    assert (found.high - found.low) / (alone.high - alone.low) == pytest.approx((2_000 / 237) ** 0.5, rel=0.15)  # type: ignore[operator]


def test_rows_of_weight_0_only_have_no_metric() -> None:
    made = with_weight(binary([True, False, True], [0.9, 0.2, 0.4]), np.array([0.0, 1.0, 1.0]))

    only = made.take(np.array([0]))

    assert compute_metrics(only) == []
    assert "all of them have weight 0" in omitted_metrics(only)["accuracy"]
    # A class whose rows all have weight 0 is not there.
    assert "one class" in omitted_metrics(made.take(np.array([0, 1])))["roc_auc"]


def test_kappa_variance_equals_fleiss_cohen_and_everitt() -> None:
    # Fleiss, Cohen and Everitt (1969), equation 13, written out over the cells of the table.
    table = np.array([[53, 5, 2], [11, 14, 5], [1, 6, 3]])
    truth, label = (np.repeat(np.indices((3, 3))[axis].ravel(), table.ravel()) for axis in (0, 1))
    words = np.array(["a", "b", "c"], dtype=object)
    made = Predictions(Task.MULTICLASS, np.arange(100), words[truth], words[label], None, ("a", "b", "c"))
    p = table / 100
    rows, columns = p.sum(axis=1), p.sum(axis=0)
    po, pe = p.trace(), rows @ columns
    total = sum(
        p[i, j] * ((i == j) * (1 - pe) - (rows[j] + columns[i]) * (1 - po)) ** 2 for i in range(3) for j in range(3)
    )
    expected = (total - (po * pe - 2 * pe + po) ** 2) / (100 * (1 - pe) ** 4)

    measured = measure(METRICS["cohen_kappa"], Outcome(made))

    assert measured.standard_error**2 * 99 / 100 == pytest.approx(expected)


def test_the_second_class_in_sorted_order_is_positive() -> None:
    made = Predictions(
        Task.BINARY,
        np.arange(4),
        np.array(["<=50K", ">50K", ">50K", ">50K"], dtype=object),
        np.array(["<=50K", ">50K", "<=50K", "<=50K"], dtype=object),
        None,
        ("<=50K", ">50K"),
    )

    assert made.positive_class == ">50K"
    assert values(made)["recall"] == pytest.approx(1 / 3)


def test_calibration_bins_are_about_equal_and_keep_ties_together(rng: np.random.Generator) -> None:
    assert np.bincount(calibration_bins(rng.random(1_000))).tolist() == pytest.approx([100] * 10, abs=1)
    tied = np.repeat([0.1, 0.9], [95, 5])
    assert np.bincount(calibration_bins(tied)).tolist() == [95, 5]
    assert set(calibration_bins(np.full(50, 0.3))) == {0}


def test_calibration_error_of_a_constant_score_is_its_distance_from_the_share() -> None:
    assert values(binary([True] * 30 + [False] * 70, np.full(100, 0.2)))["expected_calibration_error"] == pytest.approx(
        0.1
    )


@pytest.mark.parametrize(("n", "given"), [(50, False), (99, False), (100, True)])
def test_calibration_error_has_an_interval_from_ten_rows_a_bin_on(
    n: int, given: bool, rng: np.random.Generator
) -> None:
    made = binary(np.arange(n) % 2 == 0, rng.random(n))

    entry, outcome = METRICS["expected_calibration_error"], Outcome(made)

    assert (entry.interval(outcome, measure(entry, outcome)) is not None) == given


def test_one_class_only_leaves_out_what_needs_two_and_says_why() -> None:
    made = binary([False] * 50, np.linspace(0, 0.4, 50))

    assert set(values(made)) == {"accuracy", "log_loss", "brier", "expected_calibration_error"}
    reasons = omitted_metrics(made)
    assert reasons["roc_auc"] == (
        "ROC AUC is not defined here. All rows are of one class: nothing can be ranked above anything else."
    )
    assert reasons["recall"].endswith("No row is positive.")
    assert reasons["precision"].endswith("No row was predicted positive.")


def test_constant_predictions() -> None:
    made = binary([True] * 30 + [False] * 70, np.full(100, 0.3))
    found = {one.key: one for one in compute_metrics(made)}

    assert "precision" not in found
    assert found["roc_auc"].value == 0.5
    assert found["balanced_accuracy"].value == 0.5
    assert found["matthews_correlation"].value == 0
    assert found["cohen_kappa"].value == 0
    assert found["lift"].value == pytest.approx(1.0)
    assert [found[key].value for key in ("f1", "f0_5", "f2")] == [0, 0, 0]


def test_without_scores_only_label_metrics_are_given() -> None:
    made = binary([True, False] * 20, np.tile([0.9, 0.1], 20))
    bare = Predictions(Task.BINARY, made.ordinals, made.y_true, made.y_pred, None, made.classes)

    assert all(METRICS[key].needs == "labels" for key in values(bare))
    assert "without scores" in omitted_metrics(bare)["log_loss"]


def test_no_rows_give_no_metrics() -> None:
    assert compute_metrics(regression([], [])) == []
    assert "there are none" in omitted_metrics(regression([], []))["rmse"]


def test_one_row_gives_values_without_intervals() -> None:
    found = compute_metrics(regression([2.0], [3.0]))

    assert {one.key: one.value for one in found} == {
        "rmse": 1.0,
        "mae": 1.0,
        "median_absolute_error": 1.0,
        "mape": 0.5,
        "quantile_loss_10": 0.9,
        "quantile_loss_90": pytest.approx(0.1),
    }
    assert all(one.low is None and one.high is None for one in found)


def test_a_true_value_of_0_and_a_constant_truth_leave_out_their_metrics() -> None:
    assert "mape" not in values(regression([0.0, 1.0, 2.0], [0.1, 1.0, 2.0]))
    assert "r2" not in values(regression([1.0, 1.0, 1.0], [0.1, 1.0, 2.0]))


def test_a_class_the_model_does_not_know_counts_as_wrong() -> None:
    words = np.array(["a", "b", "new"], dtype=object)
    truth = words[[0, 1, 2, 0]]
    scores = np.array([[0.9, 0.1], [0.2, 0.8], [0.6, 0.4], [0.8, 0.2]])
    made = Predictions(Task.BINARY, np.arange(4), truth, words[[0, 1, 0, 0]], scores, ("a", "b"))

    found = values(made)

    assert found["accuracy"] == 0.75
    assert found["log_loss"] == pytest.approx((-np.log([0.9, 0.8, 0.8]).sum() + 36.04) / 4, abs=0.01)


@pytest.mark.parametrize(
    "key",
    [
        "average_precision",
        "lift",
        "log_loss",
        "brier",
        "matthews_correlation",
        "cohen_kappa",
        "expected_calibration_error",
    ],
)
def test_fewer_than_five_of_a_class_give_no_interval_where_none_would_hold(key: str, rng: np.random.Generator) -> None:
    few, enough = (
        {one.key: one for one in compute_metrics(binary(np.arange(100) < n, rng.random(100)))}[key] for n in (4, 5)
    )

    assert few.low is None
    assert enough.low is not None


def test_a_correlation_of_rows_all_predicted_alike_has_no_interval() -> None:
    found = {one.key: one for one in compute_metrics(binary(np.arange(100) < 30, np.full(100, 0.2)))}
    for key in ("matthews_correlation", "cohen_kappa"):
        assert (found[key].value, found[key].low, found[key].high) == (0, None, None)


def test_a_correlation_of_minus_1_allows_for_what_was_not_seen() -> None:
    flags = np.arange(100) < 30
    up, down = (compute_metrics(binary(flags, np.where(flags == right, 0.9, 0.1))) for right in (True, False))
    one, other = ({found.key: found for found in part}["matthews_correlation"] for part in (up, down))
    assert other.low == -1
    assert one.low is not None
    assert other.high == pytest.approx(-one.low)


def test_a_metric_of_another_task_is_refused_with_those_that_fit() -> None:
    with pytest.raises(NotApplicable, match="RMSE is not for a binary task; use one of: roc_auc, average_precision"):
        measure(METRICS["rmse"], Outcome(binary([True, False], [0.9, 0.2])))
    with pytest.raises(InvalidInput, match=r"There is no metric 'auc'\. Choose one of: roc_auc"):
        metric("auc")
    assert [primary_metric(task) for task in Task] == ["roc_auc", "accuracy", "rmse"]


def simulate_binary(rng: np.random.Generator, n: int, share: float, lift: float) -> Predictions:
    positive = rng.random(n) < share
    score = 1 / (1 + np.exp(-(lift * (rng.normal(size=n) + lift * positive - lift / 2) + np.log(share / (1 - share)))))
    return binary(positive, score, share)


@pytest.mark.parametrize(
    ("case", "n"),
    [
        ("binary balanced good", 200),
        ("binary 1 % poor", 1_000),
        ("binary 30 % weighted", 200),
        ("multiclass balanced", 50),
        ("multiclass 1 %", 200),
        ("regression heavy", 200),
        ("regression weighted", 50),
    ],
)
def test_intervals_hold_the_truth(case: str, n: int) -> None:
    # A small part of the grid of tests/benchmarks/interval_coverage.py, whose full table is docs/interval-coverage.md.
    chosen = next(one for one in CASES if one.name == case)

    lines = list(cover(chosen, n, 120, truths(chosen, rows=100_000, parts=1)))

    given = [line for line in lines if line.verdict != "withheld"]
    short = {line.metric: line.coverage for line in given if line.held < stats.binom.ppf(1e-4, line.given, 0.95)}
    assert not short
    assert len(given) >= len(lines) - 1


@pytest.mark.parametrize(("n_positive", "delong"), [(10, 0.8), (50, 0.88)])
def test_a_positive_in_twenty_that_no_score_finds_does_not_break_the_interval_of_the_area(
    n_positive: int, delong: float
) -> None:
    # Ten positives that all rank above the negatives leave open that one in ten does not; DeLong's interval forgets it.
    rng, held, alone, times = np.random.default_rng(3), 0, 0, 150
    truth = 0.95 * stats.norm.cdf(3.5 / np.sqrt(2)) + 0.05 / 2
    for _ in range(times):
        positive = rng.permutation(1_000) < n_positive
        seen = rng.normal(size=1_000) + 3.5 * (positive & (rng.random(1_000) < 0.95))
        outcome = Outcome(binary(positive, 1 / (1 + np.exp(-seen))))
        measured = measure(METRICS["roc_auc"], outcome)
        interval = METRICS["roc_auc"].interval(outcome, measured)
        assert interval is not None
        held += interval.low <= truth <= interval.high
        half = 1.96 * measured.standard_error
        alone += measured.value - half <= truth <= measured.value + half

    assert held >= stats.binom.ppf(0.001, times, 0.95)
    assert alone < delong * times


def test_the_interval_of_an_area_is_no_wider_than_need_be_once_a_tail_would_have_been_seen() -> None:
    # 500 positives, of which one in 170 may be unlike the others unseen; a score interval is half as wide again.
    rng, widths = np.random.default_rng(4), []
    for _ in range(5):
        positive = np.arange(20_000) < 500
        seen = rng.normal(size=20_000) + 3.6 * positive
        outcome = Outcome(binary(positive, 1 / (1 + np.exp(-seen))))
        measured = measure(METRICS["roc_auc"], outcome)
        found = METRICS["roc_auc"].interval(outcome, measured)
        assert found is not None
        widths.append((found.high - found.low) / (2 * 1.96 * measured.standard_error))

    assert 1 < np.mean(widths) < 1.6


def test_the_interval_of_f2_holds_as_promised_where_few_are_found_and_next_to_nothing_is_missed() -> None:
    # Every outcome of 12 rows that are, or are called, positive: found, missed, false alarms.
    outcomes = [(found, missed, 12 - found - missed) for found in range(13) for missed in range(13 - found)]
    ends = []
    for found, missed, _ in outcomes:
        truth, called = np.arange(12) < found + missed, (np.arange(12) < found) | (np.arange(12) >= found + missed)
        outcome = Outcome(binary(truth, np.where(called, 0.9, 0.1)))
        interval = METRICS["f2"].interval(outcome, measure(METRICS["f2"], outcome))
        assert interval is not None
        ends.append(interval)
    held = []
    for missed in (0.0, 0.02, 0.1):
        for joint in np.geomspace(0.02, 0.3, 60):
            value = 5 * joint / (5 * joint + (3 * missed + 1) * (1 - joint))
            chance = stats.multinomial.pmf(outcomes, 12, [joint, (1 - joint) * missed, (1 - joint) * (1 - missed)])
            held.append(sum(p for p, (low, high) in zip(chance, ends, strict=True) if low <= value <= high))

    # Around each truth, over a quarter of it to either side: at one the share jumps like the teeth of a saw.
    assert min(np.mean(held[start : start + 10]) for start in range(0, 180, 10)) >= 0.94
    # Two found and nothing missed: one may still miss, but not fewer than nothing, so that end is one-sided (0.122).
    assert ends[outcomes.index((2, 0, 10))].low == pytest.approx(0.125, abs=0.001)


def test_weights_that_go_with_the_class_do_not_break_the_interval_of_f2() -> None:
    chosen = next(one for one in CASES if one.name == "binary 30 % weighted")
    truth, rng, held = truths(chosen, rows=200_000, parts=1)["f2"], np.random.default_rng(8), 0
    for _ in range(400):
        outcome = Outcome(chosen.make(rng, 200, 1.0))
        interval = METRICS["f2"].interval(outcome, measure(METRICS["f2"], outcome))
        assert interval is not None
        held += interval.low <= truth <= interval.high

    assert held >= stats.binom.ppf(0.05, 400, 0.95)
