"""Curves: the right points, few of them, and nothing that JSON cannot hold."""

import json

import numpy as np
import pytest
from sklearn import metrics as sk

from core.evaluation.curves import MAX_POINTS, curves
from core.evaluation.metrics import compute_metrics
from core.evaluation.predictions import Predictions
from core.evaluation.tables import Task

WORDS = np.array(["no", "yes"], dtype=object)


def binary(rng: np.random.Generator, n: int, share: float = 0.3, decimals: int = 12) -> Predictions:
    positive = rng.random(n) < share
    score = np.round(1 / (1 + np.exp(-(rng.normal(size=n) + 2 * positive - 1))), decimals)
    label = WORDS[(score > 0.5).astype(int)]
    return Predictions(
        Task.BINARY, np.arange(n), WORDS[positive.astype(int)], label, np.c_[1 - score, score], ("no", "yes")
    )


def test_few_rows_give_every_point_of_the_roc_curve(rng: np.random.Generator) -> None:
    made = binary(rng, 150, decimals=2)
    fpr, tpr, _ = sk.roc_curve(made.y_true == "yes", np.asarray(made.scores)[:, 1], drop_intermediate=False)

    roc = curves(made)["roc"]

    assert roc["fpr"] == pytest.approx(fpr, abs=1e-6)
    assert roc["tpr"] == pytest.approx(tpr, abs=1e-6)
    assert roc["threshold"][0] is None


def test_many_rows_are_thinned_without_losing_the_area_or_the_ends(rng: np.random.Generator) -> None:
    made = binary(rng, 20_000)
    document = curves(made)
    roc, reached = document["roc"], document["precision_recall"]

    assert max(len(roc["fpr"]), len(reached["recall"])) <= MAX_POINTS
    assert (roc["fpr"][0], roc["tpr"][0], roc["fpr"][-1], roc["tpr"][-1]) == (0, 0, 1, 1)
    area = sk.roc_auc_score(made.y_true == "yes", np.asarray(made.scores)[:, 1])
    assert np.trapezoid(roc["tpr"], roc["fpr"]) == pytest.approx(area, abs=0.001)
    assert (np.diff(reached["recall"]) > 0).all()
    assert reached["recall"][-1] == 1
    assert len(json.dumps(document, allow_nan=False)) < 25_000


def test_precision_and_recall_are_those_at_their_threshold(rng: np.random.Generator) -> None:
    made = binary(rng, 400, decimals=2)
    score, positive = np.asarray(made.scores)[:, 1], made.y_true == "yes"

    reached = curves(made)["precision_recall"]

    columns = [reached[key] for key in ("precision", "recall", "threshold")]
    for precision, recall, threshold in zip(*columns, strict=True):
        called = score >= threshold - 1e-9
        assert precision == pytest.approx((called & positive).sum() / called.sum(), abs=1e-6)
        assert recall == pytest.approx((called & positive).sum() / positive.sum(), abs=1e-6)


def test_bands_are_the_intervals_of_recall_and_precision_at_each_threshold(rng: np.random.Generator) -> None:
    made = binary(rng, 300, decimals=2)
    document = curves(made)

    for name, rate, key in (("roc", "tpr", "recall"), ("precision_recall", "precision", "precision")):
        line = document[name]
        for place in range(1, len(line["low"]), 7):
            decided = made.decided_at(line["threshold"][place] - 1e-9)
            expected = {one.key: one for one in compute_metrics(decided)}[key]
            drawn = (line["low"][place], line[rate][place], line["high"][place])
            assert drawn == pytest.approx((expected.low, expected.value, expected.high), abs=1e-6)


def test_the_gain_curve_rises_from_nothing_called_to_everything_found(rng: np.random.Generator) -> None:
    made = binary(rng, 5_000, share=0.1)
    score, positive = np.asarray(made.scores)[:, 1], made.y_true == "yes"

    gain = curves(made)["gain"]

    assert len(gain["share"]) <= MAX_POINTS
    assert (gain["share"][0], gain["found"][0], gain["share"][-1], gain["found"][-1]) == (0, 0, 1, 1)
    order = np.argsort(-score)
    for share, found in list(zip(gain["share"], gain["found"], strict=True))[1::20]:
        called = order[: round(share * 5_000)]
        assert found == pytest.approx(positive[called].sum() / positive.sum(), abs=1e-6)


def test_curves_count_rows_by_their_weights_and_leave_out_those_of_weight_0(rng: np.random.Generator) -> None:
    made = binary(rng, 400, decimals=2)
    times = rng.integers(0, 4, size=400)
    weighted = Predictions(
        made.task, made.ordinals, made.y_true, made.y_pred, made.scores, made.classes, times.astype(float)
    )
    repeated = Predictions(
        made.task,
        np.arange(times.sum()),
        *(np.repeat(column, times) for column in (made.y_true, made.y_pred)),
        np.repeat(np.asarray(made.scores), times, axis=0),
        made.classes,
    )

    found, expected = curves(weighted), curves(repeated)

    for name, keys in (
        ("roc", ("fpr", "tpr")),
        ("precision_recall", ("precision", "recall")),
        ("gain", ("share", "found")),
        ("calibration", ("mean_score", "share_positive")),
    ):
        for key in keys:
            assert found[name][key] == pytest.approx(expected[name][key], abs=2e-6)
    assert sum(map(sum, found["confusion"]["matrix"])) == (times > 0).sum() == sum(found["calibration"]["count"])
    # Weights are not rows: the band is wider than that of as many rows.
    assert found["roc"]["high"][20] - found["roc"]["low"][20] > expected["roc"]["high"][20] - expected["roc"]["low"][20]


def test_calibration_counts_every_row_and_holds_its_interval(rng: np.random.Generator) -> None:
    calibration = curves(binary(rng, 1_000))["calibration"]

    assert sum(calibration["count"]) == 1_000
    assert calibration["class"] == "yes"
    assert calibration["mean_score"] == sorted(calibration["mean_score"])
    for low, share, high in zip(*(calibration[key] for key in ("low", "share_positive", "high")), strict=True):
        assert 0 <= low <= share <= high <= 1


def test_the_confusion_matrix_has_truth_in_rows() -> None:
    truth, label = np.array(["a", "a", "b", "c"], dtype=object), np.array(["a", "b", "b", "b"], dtype=object)
    made = Predictions(Task.MULTICLASS, np.arange(4), truth, label, None, ("a", "b", "c"))

    assert curves(made) == {"confusion": {"labels": ["a", "b", "c"], "matrix": [[1, 1, 0], [0, 1, 0], [0, 1, 0]]}}


def test_one_class_only_has_no_roc_curve(rng: np.random.Generator) -> None:
    made = binary(rng, 50, share=0.0)

    assert set(curves(made)) == {"confusion", "calibration"}


def test_no_rows_have_no_curves() -> None:
    assert curves(Predictions(Task.REGRESSION, np.empty(0), np.empty(0), np.empty(0), None, ())) == {}


@pytest.mark.parametrize("n", [1, 5, 3_000])
def test_regression_curves(rng: np.random.Generator, n: int) -> None:
    truth = rng.normal(size=n)
    made = Predictions(Task.REGRESSION, np.arange(n), truth, truth + rng.normal(size=n), None, ())

    document = curves(made)

    assert len(document["predicted_true"]["y_true"]) == min(n, 1_000)
    assert min(document["predicted_true"]["y_true"]) == truth.min()
    assert sum(document["residuals"]["counts"]) == n
    assert len(document["residuals"]["edges"]) == len(document["residuals"]["counts"]) + 1
    json.dumps(document, allow_nan=False)


def test_perfect_and_constant_predictions_can_be_drawn(rng: np.random.Generator) -> None:
    truth = np.full(20, 1e9)
    document = curves(Predictions(Task.REGRESSION, np.arange(20), truth, truth, None, ()))
    assert sum(document["residuals"]["counts"]) == 20

    flat = binary(rng, 60, decimals=0)
    same = Predictions(Task.BINARY, flat.ordinals, flat.y_true, flat.y_pred, np.full((60, 2), 0.5), flat.classes)
    assert curves(same)["roc"]["fpr"] == [0, 1]
    assert curves(same)["calibration"]["count"] == [60]
