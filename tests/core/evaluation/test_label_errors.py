"""Suspected label errors: planted ones rank at the top, their clean twin gives nothing, and what cannot be told."""

from __future__ import annotations

import numpy as np
import pytest

from core.errors import NotApplicable
from core.evaluation.label_errors import contradicted, local_ratios, suspect_labels
from core.evaluation.predictions import Predictions
from core.evaluation.tables import Task


def scored(rng: np.random.Generator, n: int, k: int, *, sharpness: float = 3.0, temperature: float = 1.0):
    """Labels drawn from the scores of a calibrated model; a temperature below 1 makes it claim more than it knows."""
    logits = sharpness * rng.normal(size=(n, k))
    shares = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    labels = (rng.random((n, 1)) > shares.cumsum(axis=1)).sum(axis=1).clip(0, k - 1)
    claimed = np.exp(logits / temperature)
    return labels, claimed / claimed.sum(axis=1, keepdims=True)


def classes(labels: np.ndarray, scores: np.ndarray) -> Predictions:
    k = scores.shape[1]
    words = np.array([f"k{code}" for code in range(k)], dtype=object)
    task = Task.BINARY if k == 2 else Task.MULTICLASS
    return Predictions(task, np.arange(len(labels)), words[labels], words[scores.argmax(axis=1)], scores, tuple(words))


def flip(rng: np.random.Generator, labels: np.ndarray, k: int, share: float = 0.03):
    wrong = rng.random(len(labels)) < share
    return np.where(wrong, (labels + rng.integers(1, k, size=len(labels))) % k, labels), wrong


@pytest.mark.parametrize("k", [2, 4])
@pytest.mark.parametrize("temperature", [1.0, 0.7], ids=["calibrated", "overconfident"])
def test_planted_label_errors_rank_at_the_top(k: int, temperature: float, rng: np.random.Generator) -> None:
    labels, scores = scored(rng, 4000, k, temperature=temperature)
    spoilt, wrong = flip(rng, labels, k)
    found = suspect_labels(classes(spoilt, scores))
    assert found.stands_out
    assert found.n_observed > found.n_expected
    assert wrong[found.rows[:30]].mean() > 0.8
    right = np.array([f"k{code}" for code in labels], dtype=object)[found.rows[:30]]
    assert np.mean(found.suggested[:30] == right) > 0.6
    assert found.share == pytest.approx(0.03, abs=0.015)
    assert np.all(np.diff(found.likelihood) <= 1e-9)


@pytest.mark.parametrize("k", [2, 4])
@pytest.mark.parametrize("temperature", [1.0, 0.7], ids=["calibrated", "overconfident"])
def test_the_clean_twin_gives_nothing(k: int, temperature: float, rng: np.random.Generator) -> None:
    found = suspect_labels(classes(*scored(rng, 4000, k, temperature=temperature)))
    assert not found.stands_out
    assert len(found.rows) == 0
    assert found.n_observed == pytest.approx(found.n_expected, rel=0.25)


def test_right_labels_seldom_stand_out() -> None:
    rng = np.random.default_rng(3)
    pvalues = [suspect_labels(classes(*scored(rng, 500, 2, sharpness=1.5))).pvalue for _ in range(20)]
    # Half of the time the best share of wrong labels is none at all.
    assert np.mean(np.array(pvalues) <= 0.05) < 0.25
    assert min(pvalues) > 0.0005


def test_thresholds_are_the_mean_scores_of_each_class() -> None:
    scores = np.array([[0.9, 0.1], [0.6, 0.4], [0.2, 0.8], [0.3, 0.7], [0.1, 0.9], [0.45, 0.55]])
    labels = np.array([0, 0, 1, 1, 0, 1])
    # Class 0: mean of 0.9, 0.6, 0.1 = 0.533; class 1: mean of 0.8, 0.7, 0.55 = 0.683. Only row 4 is surely another.
    assert contradicted(scores, labels).tolist() == [-1, -1, -1, -1, 1, -1]


def test_a_class_that_labels_no_row_is_never_suggested() -> None:
    scores = np.array([[0.1, 0.0, 0.9]] * 3 + [[0.6, 0.4, 0.0]] * 3)
    assert contradicted(scores, np.array([0, 0, 0, 1, 1, 1])).max() < 2


def test_planted_values_far_off_stand_out_and_their_clean_twin_does_not(rng: np.random.Generator) -> None:
    predicted = rng.uniform(0, 100, size=3000)
    truth = predicted + rng.normal(size=3000) * (1 + predicted / 20)
    assert not suspect_labels(Predictions(Task.REGRESSION, np.arange(3000), truth, predicted, None, ())).stands_out
    wrong = rng.random(3000) < 0.03
    spoilt = np.where(wrong, truth + 60, truth)
    found = suspect_labels(Predictions(Task.REGRESSION, np.arange(3000), spoilt, predicted, None, ()))
    assert found.stands_out
    assert wrong[found.rows].mean() > 0.95
    assert found.n_expected == pytest.approx(1.0)


def test_heavy_tails_are_no_wrong_values() -> None:
    rng = np.random.default_rng(8)
    found = []
    for _ in range(20):
        predicted = rng.normal(size=1500)
        truth = predicted + rng.standard_t(3, size=1500)
        found.append(suspect_labels(Predictions(Task.REGRESSION, np.arange(1500), truth, predicted, None, ())))
    assert sum(one.stands_out for one in found) <= 1


def test_a_spread_that_grows_is_allowed_for(rng: np.random.Generator) -> None:
    predicted = rng.uniform(0, 10, size=4000)
    ratio = local_ratios(rng.normal(size=4000) * (1 + predicted), predicted)
    for low in (0, 5):
        assert ratio[(predicted >= low) & (predicted < low + 5)].std() == pytest.approx(1, abs=0.1)


@pytest.mark.parametrize(
    ("made", "reason"),
    [
        (classes(np.arange(50) % 2, np.full((50, 2), 0.5)), "too few"),
        (classes(np.arange(200) % 2, np.full((200, 2), 0.5)), "all rows alike"),
        (classes(np.zeros(200, dtype=int), np.random.default_rng(0).dirichlet([1, 1], 200)), "one label"),
        (Predictions(Task.REGRESSION, np.arange(200), np.ones(200), np.ones(200), None, ()), "all alike"),
    ],
    ids=["few rows", "constant scores", "one class", "no residual"],
)
def test_what_cannot_be_told_says_why(made: Predictions, reason: str) -> None:
    with pytest.raises(NotApplicable, match=reason):
        suspect_labels(made)


def test_a_model_without_scores_says_so() -> None:
    made = classes(np.arange(200) % 2, np.full((200, 2), 0.5))
    with pytest.raises(NotApplicable, match="without scores"):
        suspect_labels(Predictions(made.task, made.ordinals, made.y_true, made.y_pred, None, made.classes))


def test_labels_the_model_does_not_know_are_passed_over(rng: np.random.Generator) -> None:
    labels, scores = scored(rng, 1000, 2)
    made = classes(labels, scores)
    strange = made.y_true.copy()
    strange[:10] = "unheard of"
    found = suspect_labels(Predictions(made.task, made.ordinals, strange, made.y_pred, scores, made.classes))
    assert set(found.rows).isdisjoint(range(10))
