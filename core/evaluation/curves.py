"""The curves of one evaluation as a JSON document: small, finite, ready to draw."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.evaluation.measures import calibration_bins
from core.evaluation.outcomes import Outcome
from core.evaluation.predictions import Predictions
from core.evaluation.tables import Task
from core.statistics.intervals import wilson

MAX_POINTS = 200
MAX_DOTS = 1_000
RESIDUAL_BINS = 40

Floats = NDArray[np.float64]


def curves(predictions: Predictions) -> dict[str, Any]:
    """Compute every curve that the task and these rows allow; the rest are absent.

    Parameters
    ----------
    predictions : Predictions
        Zero rows give an empty document.

    Returns
    -------
    dict
        Plain numbers and strings, none of them NaN or infinite.

        Classification: ``confusion`` {labels, matrix (rows true, columns predicted)} and, with scores, ``calibration``
        {mean_score, share_positive, low, high, count, class} in 10 bins of about equal size with Wilson intervals; for
        a multiclass task of the score of the predicted class against how often it was right (``class`` is None).
        Binary with scores and both classes present: ``roc`` {fpr, tpr, threshold} from (0, 0), whose threshold is None,
        to (1, 1), and ``precision_recall`` {precision, recall, threshold} by rising recall.
        Regression: ``predicted_true`` {y_true, y_pred}, at most 1,000 rows at even ranks of the truth, and
        ``residuals`` {edges, counts} of predicted minus true.
    """
    if predictions.n_rows == 0:
        return {}
    outcome = Outcome(predictions)
    if predictions.task is Task.REGRESSION:
        return {"predicted_true": _predicted_true(outcome), "residuals": _residuals(outcome.errors)}
    document: dict[str, Any] = {
        "confusion": {"labels": list(outcome.labels), "matrix": outcome.confusion.astype(int).tolist()}
    }
    if predictions.scores is None:
        return document
    if predictions.task is Task.MULTICLASS:
        top = predictions.scores.max(axis=1)
        document["calibration"] = _calibration(top, outcome.correct, None)
        return document
    document["calibration"] = _calibration(outcome.score, outcome.positive, predictions.positive_class)
    if outcome.positive.any() and not outcome.positive.all():
        document |= _ranking_curves(outcome)
    return document


def _ranking_curves(outcome: Outcome) -> dict[str, Any]:
    ranking = outcome.ranking
    found, alarms = np.cumsum(ranking.positives), np.cumsum(ranking.negatives)
    tpr, fpr = found / found[-1], alarms / alarms[-1]
    roc = _thin(np.concatenate([[0.0], fpr]), np.concatenate([[0.0], tpr]))
    reached = np.flatnonzero(ranking.positives)
    recall, precision = tpr[reached], found[reached] / (found[reached] + alarms[reached])
    kept = reached[_even(len(reached))] if len(reached) > MAX_POINTS else reached
    thresholds = ranking.thresholds
    place = np.searchsorted(reached, kept)
    return {
        "roc": {
            "fpr": _plain(np.concatenate([[0.0], fpr])[roc]),
            "tpr": _plain(np.concatenate([[0.0], tpr])[roc]),
            "threshold": [None if step == 0 else round(float(thresholds[step - 1]), 6) for step in roc],
        },
        "precision_recall": {
            "precision": _plain(precision[place]),
            "recall": _plain(recall[place]),
            "threshold": _plain(thresholds[kept]),
        },
    }


def _thin(x: Floats, y: Floats) -> NDArray[np.int64]:
    """Positions of at most 200 points at even steps along a rising curve, both ends kept."""
    if len(x) <= MAX_POINTS:
        return np.arange(len(x))
    along = x + y
    steps = np.searchsorted(along, np.linspace(along[0], along[-1], MAX_POINTS))
    return np.unique(np.concatenate([[0], np.minimum(steps, len(x) - 1)]))[-MAX_POINTS:]


def _even(n: int, count: int = MAX_POINTS) -> NDArray[np.int64]:
    return np.unique(np.linspace(0, n - 1, count).round().astype(np.int64))


def _calibration(score: Floats, happened: NDArray[np.bool_], positive: str | None) -> dict[str, Any]:
    bins = calibration_bins(score)
    count = np.bincount(bins)
    hits = np.bincount(bins, weights=happened)
    ends = [wilson(float(hit), float(n)) for hit, n in zip(hits, count, strict=True)]
    return {
        "mean_score": _plain(np.bincount(bins, weights=score) / count),
        "share_positive": _plain(hits / count),
        "low": _plain(np.array([end.low for end in ends])),
        "high": _plain(np.array([end.high for end in ends])),
        "count": count.tolist(),
        "class": positive,
    }


def _predicted_true(outcome: Outcome) -> dict[str, Any]:
    truth, predicted = outcome.predictions.y_true, outcome.predictions.y_pred
    order = np.lexsort((predicted, truth))
    kept = order[_even(len(order), MAX_DOTS)] if len(order) > MAX_DOTS else order
    return {"y_true": truth[kept].tolist(), "y_pred": predicted[kept].tolist()}


def _residuals(errors: Floats) -> dict[str, Any]:
    low, high = float(errors.min()), float(errors.max())
    width = (high - low) or max(abs(low), 1.0) * 1e-6
    if high == low:
        low, high = low - width / 2, high + width / 2
    counts, edges = np.histogram(errors, bins=RESIDUAL_BINS if len(errors) >= RESIDUAL_BINS else 10, range=(low, high))
    return {"edges": edges.tolist(), "counts": counts.tolist()}


def _plain(values: Floats) -> list[float]:
    rounded: list[float] = np.round(values, 6).tolist()
    return rounded
