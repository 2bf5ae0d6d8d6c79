"""The parts of the evidence: the trivial model's predictions, the smoke test's comparison."""

import numpy as np

from core.evaluation.predictions import Predictions
from core.evaluation.tables import Task
from core.governance.evidence import dummy_predictions, identical


def binary(**over: object) -> Predictions:
    whole: dict[str, object] = {
        "task": Task.BINARY,
        "ordinals": np.arange(4),
        "y_true": np.array(["no", "no", "yes", "yes"], dtype=object),
        "y_pred": np.array(["no", "yes", "yes", "yes"], dtype=object),
        "scores": np.array([[0.9, 0.1], [0.4, 0.6], [0.2, 0.8], [0.1, 0.9]]),
        "classes": ("no", "yes"),
    }
    return Predictions(**{**whole, **over})  # type: ignore[arg-type]


def regression() -> Predictions:
    return Predictions(Task.REGRESSION, np.arange(3), np.array([1.0, 2.0, 3.0]), np.array([1.5, 2.5, 2.5]), None, ())


def test_the_trivial_model_answers_the_commonest_class_and_the_shares() -> None:
    dummy = dummy_predictions(binary(), {"classes": ["no", "yes"], "shares": [0.7, 0.3]})
    assert list(dummy.y_pred) == ["no"] * 4
    assert dummy.scores is not None
    assert dummy.scores.tolist() == [[0.7, 0.3]] * 4
    assert list(dummy.y_true) == list(binary().y_true)


def test_the_trivial_model_of_a_regression_answers_the_mean() -> None:
    assert list(dummy_predictions(regression(), {"mean": 2.25}).y_pred) == [2.25] * 3


def test_the_trivial_model_counts_rows_as_the_candidate_does() -> None:
    weights = np.array([1.0, 2.0, 0.0, 4.0])
    dummy = dummy_predictions(binary(sample_weight=weights), {"classes": ["no", "yes"], "shares": [0.7, 0.3]})
    assert dummy.sample_weight is not None
    assert dummy.sample_weight.tolist() == weights.tolist()


def test_the_same_predictions_are_identical_up_to_rounding() -> None:
    recorded = binary()
    assert recorded.scores is not None
    assert identical(recorded, recorded.y_pred, recorded.scores + 1e-13) == 4
    assert identical(recorded, recorded.y_pred, recorded.scores + np.array([[1e-3, 0]] + [[0, 0]] * 3)) == 3
    assert identical(recorded, np.array(["no"] * 4, dtype=object), recorded.scores) == 1
    assert identical(regression(), np.array([1.5, 2.5, 2.6]), None) == 2
