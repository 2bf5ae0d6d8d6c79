"""Metrics against scikit-learn, their intervals against simulation, and the cases without an answer."""

import numpy as np
import pytest
from scipy import stats
from sklearn import metrics as sk

from core.errors import InvalidInput, NotApplicable
from core.evaluation.measures import calibration_bins
from core.evaluation.metrics import METRICS, compute_metrics, measure, metric, omitted_metrics, primary_metric
from core.evaluation.outcomes import Outcome
from core.evaluation.predictions import Predictions
from core.evaluation.tables import Task


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


@pytest.mark.parametrize("decimals", [1, 8])
def test_binary_metrics_equal_scikit_learn(rng: np.random.Generator, decimals: int) -> None:
    truth = rng.random(500) < 0.2
    score = np.round(np.clip(rng.beta(2, 5, size=500) + 0.3 * truth, 0, 1), decimals)
    made = binary(truth, score)
    label = score > 0.5

    found = values(made)

    assert found == pytest.approx(
        {
            "roc_auc": sk.roc_auc_score(truth, score),
            "average_precision": sk.average_precision_score(truth, score),
            "accuracy": sk.accuracy_score(truth, label),
            "balanced_accuracy": sk.balanced_accuracy_score(truth, label),
            "precision": sk.precision_score(truth, label),
            "recall": sk.recall_score(truth, label),
            "f1": sk.f1_score(truth, label),
            "matthews_correlation": sk.matthews_corrcoef(truth, label),
            "log_loss": sk.log_loss(truth, score),
            "brier": sk.brier_score_loss(truth, score),
            "expected_calibration_error": found["expected_calibration_error"],
        }
    )


def test_multiclass_metrics_equal_scikit_learn(rng: np.random.Generator) -> None:
    classes = ("ant", "bee", "cat", "dog")
    truth = rng.choice(4, size=400, p=[0.6, 0.3, 0.1, 0.0])
    scores = rng.dirichlet(np.ones(4), size=400) + np.eye(4)[truth] * 0.5
    scores /= scores.sum(axis=1, keepdims=True)
    words = np.array(classes, dtype=object)
    label = scores.argmax(axis=1)
    made = Predictions(Task.MULTICLASS, np.arange(400), words[truth], words[label], scores, classes)

    recalls = sk.recall_score(truth, label, labels=[0, 1, 2], average="macro")
    assert values(made) == pytest.approx(
        {
            "accuracy": sk.accuracy_score(truth, label),
            "balanced_accuracy": recalls,
            "log_loss": sk.log_loss(truth, scores, labels=[0, 1, 2, 3]),
            "macro_f1": sk.f1_score(truth, label, average="macro"),
            "cohen_kappa": sk.cohen_kappa_score(truth, label),
        }
    )


def test_regression_metrics_equal_scikit_learn(rng: np.random.Generator) -> None:
    truth = rng.normal(10, 3, size=301)
    predicted = truth + rng.standard_t(3, size=301)

    assert values(regression(truth, predicted)) == pytest.approx(
        {
            "rmse": sk.root_mean_squared_error(truth, predicted),
            "mae": sk.mean_absolute_error(truth, predicted),
            "median_absolute_error": sk.median_absolute_error(truth, predicted),
            "r2": sk.r2_score(truth, predicted),
            "mape": sk.mean_absolute_percentage_error(truth, predicted),
        }
    )


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
    assert found["f1"].value == 0


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


@pytest.mark.parametrize("key", ["log_loss", "brier", "matthews_correlation", "expected_calibration_error"])
def test_fewer_than_five_of_a_class_give_no_interval_where_none_would_hold(key: str, rng: np.random.Generator) -> None:
    few, enough = (
        {one.key: one for one in compute_metrics(binary(np.arange(100) < n, rng.random(100)))}[key] for n in (4, 5)
    )

    assert few.low is None
    assert enough.low is not None


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
    ("n", "share", "lift"), [(300, 0.3, 1.5), (1_000, 0.01, 2.0), (300, 0.3, 4.0)], ids=["usual", "1 %", "near 1"]
)
def test_binary_intervals_hold_the_truth(n: int, share: float, lift: float) -> None:
    whole = simulate_binary(np.random.default_rng(0), 400_000, share, lift)
    truth = values(whole)
    rng, repetitions = np.random.default_rng(11), 250
    held: dict[str, list[bool]] = {}
    for _ in range(repetitions):
        for one in compute_metrics(simulate_binary(rng, n, share, lift)):
            if one.low is not None and one.high is not None:
                held.setdefault(one.key, []).append(one.low <= truth[one.key] <= one.high)

    # Nominal 95 %; normal approximations of skewed losses and rare positives are allowed 3 points.
    short = {key: np.mean(kept) for key, kept in held.items() if sum(kept) < stats.binom.ppf(1e-4, len(kept), 0.92)}
    assert not short
    assert "roc_auc" in held


def test_regression_intervals_hold_the_truth() -> None:
    def simulate(rng: np.random.Generator, n: int) -> Predictions:
        truth = 10 + rng.normal(size=n)
        return regression(truth, truth + 0.5 * rng.standard_t(10, size=n))

    truth = values(simulate(np.random.default_rng(0), 400_000))
    rng = np.random.default_rng(12)
    held: dict[str, list[bool]] = {}
    for _ in range(250):
        for one in compute_metrics(simulate(rng, 200)):
            assert one.low is not None
            assert one.high is not None
            held.setdefault(one.key, []).append(one.low <= truth[one.key] <= one.high)

    assert not {key: np.mean(kept) for key, kept in held.items() if sum(kept) < stats.binom.ppf(1e-4, 250, 0.92)}
