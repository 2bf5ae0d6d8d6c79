"""Performance without labels against kept values of NannyML 0.13.1, and against what the labels say later.

The values were made by `nannyml.CBPE` (isotonic calibration, one chunk) and `nannyml.DLE` (LightGBM, untuned) from the
rows that the functions here generate: fitted on ``(6_000, seed=1)``, three classes on ``(6_000, seed=3)``, losses on
``(5_000, seed=1)``; estimated on 4,000 rows of seed 2, three classes of seed 4.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from core.errors import InvalidInput
from core.estimation import estimating, loss_estimating
from core.estimation.estimating import (
    MACRO,
    SHARES,
    UNKNOWN,
    EstimatedMetric,
    ScoreEstimator,
    codes_of,
    estimate_scores,
    fit_scores,
)
from core.estimation.loss_estimating import LossEstimator, estimate_losses, fit_losses
from core.evaluation.metrics import METRICS, compute_metrics
from core.evaluation.predictions import Predictions
from core.evaluation.tables import Task

Rows = tuple[NDArray[Any], NDArray[Any], NDArray[Any]]

TWO = {
    (1.8, 0.0): {"roc_auc": 0.81571, "accuracy": 0.731692, "precision": 0.707016, "recall": 0.778715, "f1": 0.741135},
    (1.8, 0.8): {"roc_auc": 0.819891, "accuracy": 0.754239, "precision": 0.763945, "recall": 0.885044, "f1": 0.820048},
    (1.0, 0.0): {"roc_auc": 0.815709, "accuracy": 0.726652, "precision": 0.691786, "recall": 0.804017, "f1": 0.743691},
    (1.0, 0.8): {"roc_auc": 0.819891, "accuracy": 0.749785, "precision": 0.751638, "recall": 0.902861, "f1": 0.820339},
}
THREE = {
    0.0: {
        "roc_auc": 0.820648,
        "accuracy": 0.64566,
        "macro_precision": 0.645547,
        "balanced_accuracy": 0.645603,
        "macro_f1": 0.645559,
    },
    1.0: {
        "roc_auc": 0.824617,
        "accuracy": 0.672976,
        "macro_precision": 0.65367,
        "balanced_accuracy": 0.618239,
        "macro_f1": 0.630091,
    },
}
# And the standard deviation of NannyML's own value over 20 references drawn with replacement.
LOSSES = {
    0.0: {"rmse": (1.538801, 0.026952), "mae": (1.136209, 0.012687)},
    0.7: {"rmse": (1.810016, 0.050092), "mae": (1.311565, 0.018086)},
}


def two_classes(n: int, seed: int, shift: float = 0.0, warp: float = 1.0) -> Rows:
    """Scores that are too sure (warp above 1) and too high, their decisions at 0.5, and the truth."""
    rng = np.random.default_rng(seed)
    x = rng.normal(shift, 1.5, n)
    truth = (rng.random(n) < 1 / (1 + np.exp(-x))).astype(np.int64)
    score = (1 / (1 + np.exp(-(warp * x + 0.3)))).round(6)
    return np.column_stack([1 - score, score]), (score >= 0.5).astype(np.int64), truth


def three_classes(n: int, seed: int, shift: float = 0.0) -> Rows:
    rng = np.random.default_rng(seed)
    z = rng.normal(0, 1.2, (n, 3)) + np.array([shift, 0, 0])
    chance = np.exp(z) / np.exp(z).sum(axis=1, keepdims=True)
    truth = (rng.random((n, 1)) > np.cumsum(chance, axis=1)[:, :-1]).sum(axis=1)
    scores = (np.exp(1.6 * z) / np.exp(1.6 * z).sum(axis=1, keepdims=True)).round(6)
    return scores, scores.argmax(axis=1), truth


def numbers(n: int, seed: int, shift: float = 0.0) -> Rows:
    """Features, predictions, and a truth that is harder to tell far from 0."""
    rng = np.random.default_rng(seed)
    x = rng.normal(shift, 1.0, n).round(6)
    z = rng.random(n).round(6)
    truth = (3 * x + 2 * z + rng.normal(0, 1, n) * (0.5 + np.abs(x))).round(6)
    return np.column_stack([x, z]), (3 * x + 1.0).round(6), truth


def by_key(found: tuple[EstimatedMetric, ...]) -> dict[str, EstimatedMetric]:
    return {one.key: one for one in found}


def rng() -> np.random.Generator:
    return np.random.default_rng(0)


@pytest.fixture(scope="module")
def sharp() -> ScoreEstimator:
    scores, _, truth = two_classes(6_000, 1, warp=1.8)
    return fit_scores(scores, truth, rng=rng())


@pytest.fixture(scope="module")
def of_three() -> ScoreEstimator:
    scores, _, truth = three_classes(6_000, 3)
    return fit_scores(scores, truth, rng=rng())


@pytest.fixture(scope="module")
def of_losses() -> LossEstimator:
    features, predicted, truth = numbers(5_000, 1)
    return fit_losses(features, np.zeros(2, dtype=bool), predicted, truth, rng=rng())


@pytest.mark.parametrize(("warp", "shift"), list(TWO))
def test_two_classes_are_estimated_as_nannyml_does(warp: float, shift: float) -> None:
    scores, _, truth = two_classes(6_000, 1, warp=warp)
    estimator = fit_scores(scores, truth, rng=rng())
    scores, predicted, _ = two_classes(4_000, 2, shift, warp)
    found = by_key(estimate_scores(estimator, scores, predicted, rng=rng()))
    assert tuple(found) == SHARES
    for key, value in TWO[warp, shift].items():
        assert found[key].value == pytest.approx(value, abs=1e-3), key


@pytest.mark.parametrize("shift", list(THREE))
def test_three_classes_are_estimated_as_nannyml_does(of_three: ScoreEstimator, shift: float) -> None:
    scores, predicted, _ = three_classes(4_000, 4, shift)
    found = by_key(estimate_scores(of_three, scores, predicted, rng=rng()))
    assert tuple(found) == MACRO
    for key, value in THREE[shift].items():
        assert found[key].value == pytest.approx(value, abs=1e-3), key


@pytest.mark.parametrize("shift", list(LOSSES))
def test_losses_are_estimated_as_nannyml_does_within_the_references_chance(
    of_losses: LossEstimator, shift: float
) -> None:
    features, predicted, truth = numbers(4_000, 2, shift)
    found = by_key(estimate_losses(of_losses, features, predicted, rng=rng()))
    for key, (value, error) in LOSSES[shift].items():
        assert found[key].value == pytest.approx(value, abs=1.96 * error), key
    assert found["rmse"].low <= np.sqrt(np.mean((truth - predicted) ** 2)) <= found["rmse"].high


def test_a_score_that_is_right_already_is_taken_as_it_is() -> None:
    rows = np.random.default_rng(5)
    score = rows.random(20_000)
    right = fit_scores(np.column_stack([1 - score, score]), (rows.random(20_000) < score).astype(int), rng=rng())
    warped = fit_scores(np.column_stack([1 - score, score]), (rows.random(20_000) < score**3).astype(int), rng=rng())
    at = np.array([[0.5, 0.5]])
    assert right.chances(at)[0, 1] == pytest.approx(0.5, abs=0.03)
    assert warped.chances(at)[0, 1] == pytest.approx(0.125, abs=0.03)
    assert warped.error < 0.02


def test_bands_hold_the_final_figure_of_most_windows() -> None:
    held, n = 0, 60
    for number in range(n):
        scores, _, truth = two_classes(1_000, 1_000 + number, warp=1.8)
        estimator = fit_scores(scores, truth, rng=rng())
        scores, predicted, truth = two_classes(500, 5_000 + number, 0.8, 1.8)
        band = by_key(estimate_scores(estimator, scores, predicted, rng=rng()))["accuracy"]
        held += band.low <= (truth == predicted).mean() <= band.high
    # 95 of 100 are promised; of 60 fewer than 52 have a chance of 0.6 %.
    assert held >= 52


@pytest.mark.parametrize("classes", [2, 3])
def test_with_every_label_the_estimate_is_what_the_labels_say(
    sharp: ScoreEstimator, of_three: ScoreEstimator, classes: int
) -> None:
    scores, predicted, truth = two_classes(700, 2) if classes == 2 else three_classes(700, 4, 1.0)
    names = tuple("abc"[:classes])
    words = np.array(names, dtype=object)
    task = Task.BINARY if classes == 2 else Task.MULTICLASS
    rows = Predictions(task, np.arange(700), words[truth], words[predicted], scores, names)
    realised = {one.key: one.value for one in compute_metrics(rows)}
    found = estimate_scores(sharp if classes == 2 else of_three, scores, predicted, rng=rng(), truth=truth)
    for one in found:
        assert one.value == pytest.approx(realised[one.key], abs=1e-9), one.key
        assert (one.low, one.high) == (one.value, one.value)


def test_labels_narrow_the_band_and_count_wherever_they_came_first(sharp: ScoreEstimator) -> None:
    scores, predicted, truth = two_classes(2_000, 2, warp=1.8)
    some = np.where(scores[:, 1] > 0.8, truth, UNKNOWN)  # the likeliest are looked at first
    without = by_key(estimate_scores(sharp, scores, predicted, rng=rng()))["accuracy"]
    corrected = by_key(estimate_scores(sharp, scores, predicted, rng=rng(), truth=some))["accuracy"]
    final = (truth == predicted).mean()
    labelled = some != UNKNOWN
    assert corrected.high - corrected.low < without.high - without.low
    assert corrected.low <= final <= corrected.high
    # What the labelled rows alone say is off by far more.
    assert abs((truth == predicted)[labelled].mean() - final) > 3 * abs(corrected.value - final)


def test_a_class_the_model_does_not_know_counts_as_wrong(sharp: ScoreEstimator) -> None:
    scores, predicted, truth = two_classes(300, 2)
    codes = codes_of([["no", "yes", "other"][code] for code in np.where(np.arange(300) < 30, 2, truth)], ("no", "yes"))
    assert set(codes[:30]) == {2}
    found = by_key(estimate_scores(sharp, scores, predicted, rng=rng(), truth=codes))
    assert found["accuracy"].value == pytest.approx((codes == predicted).mean())
    assert codes_of([None, "yes"], ("no", "yes")).tolist() == [UNKNOWN, 1]


def test_labels_of_a_regression_replace_its_estimates(of_losses: LossEstimator) -> None:
    features, predicted, truth = numbers(400, 2)
    whole = by_key(estimate_losses(of_losses, features, predicted, rng=rng(), truth=truth))
    assert whole["mae"].value == pytest.approx(np.abs(truth - predicted).mean())
    assert whole["mae"].low == whole["mae"].high == whole["mae"].value
    half = np.where(np.arange(400) < 200, truth, np.nan)
    part = by_key(estimate_losses(of_losses, features, predicted, rng=rng(), truth=half))
    none = by_key(estimate_losses(of_losses, features, predicted, rng=rng()))
    assert part["rmse"].high - part["rmse"].low < none["rmse"].high - none["rmse"].low


@pytest.mark.parametrize(
    ("scores", "predicted", "expected"),
    [
        (np.full((50, 2), 0.5), np.ones(50, dtype=int), {"accuracy", "recall", "precision", "f1", "roc_auc"}),
        (np.tile([1.0, 0.0], (50, 1)), np.zeros(50, dtype=int), {"accuracy", "balanced_accuracy"}),
        (np.tile([0.0, 1.0], (1, 1)), np.ones(1, dtype=int), {"accuracy", "precision", "recall", "f1"}),
    ],
)
def test_ties_constants_and_single_rows_have_figures_within_their_range(
    sharp: ScoreEstimator, scores: NDArray[Any], predicted: NDArray[Any], expected: set[str]
) -> None:
    found = by_key(estimate_scores(sharp, scores, predicted, rng=rng()))
    assert expected <= set(found)
    for one in found.values():
        assert 0 <= one.low <= one.value <= one.high <= 1
    if "roc_auc" in found:
        assert found["roc_auc"].value == pytest.approx(0.5)


def test_no_rows_have_no_estimate(sharp: ScoreEstimator, of_losses: LossEstimator) -> None:
    assert estimate_scores(sharp, np.empty((0, 2)), np.empty(0, dtype=int), rng=rng()) == ()
    assert estimate_losses(of_losses, np.empty((0, 2)), np.empty(0), rng=rng()) == ()


def test_a_reference_of_one_class_still_estimates() -> None:
    scores, predicted, _ = two_classes(500, 1)
    estimator = fit_scores(scores, np.zeros(500, dtype=int), rng=rng())
    assert by_key(estimate_scores(estimator, scores, predicted, rng=rng()))["accuracy"].value > 0


def test_missing_features_and_categories_never_seen_are_estimated_all_the_same() -> None:
    features, predicted, truth = numbers(400, 1)
    features[:50, 0] = np.nan
    features[:, 1] = np.arange(400) % 3
    estimator = fit_losses(features, np.array([False, True]), predicted, truth, rng=rng())
    assert len(estimate_losses(estimator, np.array([[np.nan, np.nan]]), np.array([1.0]), rng=rng())) == 2


def test_what_does_not_fit_is_refused(sharp: ScoreEstimator) -> None:
    with pytest.raises(InvalidInput, match="100 are needed"):
        fit_scores(np.full((99, 2), 0.5), np.zeros(99, dtype=int), rng=rng())
    with pytest.raises(InvalidInput, match="one score per row and class"):
        fit_scores(np.full((200, 1), 0.5), np.zeros(200, dtype=int), rng=rng())
    with pytest.raises(InvalidInput, match="do not fit"):
        estimate_scores(sharp, np.full((3, 3), 1 / 3), np.zeros(3, dtype=int), rng=rng())
    with pytest.raises(InvalidInput, match="100 are needed"):
        fit_losses(np.zeros((5, 1)), np.zeros(1, dtype=bool), np.zeros(5), np.zeros(5), rng=rng())
    with pytest.raises(InvalidInput, match="one of each per row"):
        fit_losses(np.zeros((5, 1)), np.zeros(2, dtype=bool), np.zeros(5), np.zeros(5), rng=rng())


def test_every_estimated_metric_is_of_the_catalogue_and_the_primary_ones_are_among_them() -> None:
    for key in {*estimating.SHARES, *estimating.MACRO, *loss_estimating.LOSSES}:
        assert key in METRICS
    assert {"roc_auc"} <= set(SHARES)
    assert {"accuracy"} <= set(MACRO)
    assert {"rmse"} <= set(loss_estimating.LOSSES)
