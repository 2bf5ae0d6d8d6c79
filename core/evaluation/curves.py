"""The curves of one evaluation as a JSON document: small, finite, ready to draw."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.evaluation.measures import calibration_bins
from core.evaluation.outcomes import Outcome
from core.evaluation.predictions import Predictions
from core.evaluation.tables import Task
from core.statistics.intervals import Interval, proportion

MAX_POINTS = 200
MAX_DOTS = 1_000
RESIDUAL_BINS = 40

Floats = NDArray[np.float64]


def curves(predictions: Predictions) -> dict[str, Any]:
    """Compute every curve that the task and these rows allow; the rest are absent.

    Parameters
    ----------
    predictions : Predictions
        Zero rows that count give an empty document. Shares and rates count rows by their weights; counts of rows, dots
        and bars are of the rows themselves, without those of weight 0.

    Returns
    -------
    dict
        Plain numbers and strings, none of them NaN or infinite.

        Classification: ``confusion`` {labels, matrix (rows true, columns predicted)} and, with scores, ``calibration``
        {mean_score, share_positive, low, high, count, class} in 10 bins of about equal size with Wilson intervals; for
        a multiclass task of the score of the predicted class against how often it was right (``class`` is None).
        Binary with scores and both classes present, each of at most 200 points: ``roc`` {fpr, tpr, low, high,
        threshold} from (0, 0), whose threshold is None, to (1, 1), with the pointwise 95 % band of tpr (Wilson, given
        the positives); ``precision_recall`` {precision, recall, low, high, threshold} by rising recall, with that of
        precision (Wilson, given the rows called); ``gain`` {share, found}, the share of rows called by falling score
        and the share of positives among them, from (0, 0) to (1, 1). Documents stored before bands were drawn have
        neither ``low`` and ``high`` nor ``gain``.
        Regression: ``predicted_true`` {y_true, y_pred}, at most 1,000 rows at even ranks of the truth, and
        ``residuals`` {edges, counts} of predicted minus true.
    """
    if predictions.sample_weight is not None:
        predictions = predictions.take(predictions.sample_weight > 0)
    if predictions.n_rows == 0:
        return {}
    outcome = Outcome(predictions)
    if predictions.task is Task.REGRESSION:
        return {"predicted_true": _predicted_true(outcome), "residuals": _residuals(outcome.errors)}
    document: dict[str, Any] = {"confusion": {"labels": list(outcome.labels), "matrix": outcome.counts.tolist()}}
    if predictions.scores is None:
        return document
    if predictions.task is Task.MULTICLASS:
        document["calibration"] = _calibration(outcome, outcome.scores_of(outcome.y_pred), outcome.correct, None)
        return document
    document["calibration"] = _calibration(outcome, outcome.score, outcome.positive, predictions.positive_class)
    if outcome.positive.any() and not outcome.positive.all():
        document |= _ranking_curves(outcome)
    return document


def _ranking_curves(outcome: Outcome) -> dict[str, Any]:
    ranking = outcome.ranking
    found, alarms = np.cumsum(ranking.positives), np.cumsum(ranking.negatives)
    tpr, fpr = found / found[-1], alarms / alarms[-1]
    share = (found + alarms) / (found[-1] + alarms[-1])
    from_0 = [np.concatenate([[0.0], line]) for line in (fpr, tpr, share)]
    roc, gain = _thin(from_0[0], from_0[1]), _thin(from_0[2], from_0[1])
    n_positive = outcome.effective(1)
    rates = [proportion(float(rate) * n_positive, n_positive) for rate in from_0[1][roc]]
    reached = np.flatnonzero(ranking.positives)
    precision = found[reached] / (found[reached] + alarms[reached])
    place = _even(len(reached)) if len(reached) > MAX_POINTS else np.arange(len(reached))
    thresholds = ranking.thresholds
    sizes = _effective_sizes(outcome)[reached[place]]
    called = [
        proportion(float(rate) * float(size), float(size)) for rate, size in zip(precision[place], sizes, strict=True)
    ]
    return {
        "roc": {
            "fpr": _plain(from_0[0][roc]),
            "tpr": _plain(from_0[1][roc]),
            **_band(rates),
            "threshold": [None if step == 0 else round(float(thresholds[step - 1]), 6) for step in roc],
        },
        "precision_recall": {
            "precision": _plain(precision[place]),
            "recall": _plain(tpr[reached[place]]),
            **_band(called),
            "threshold": _plain(thresholds[reached[place]]),
        },
        "gain": {"share": _plain(from_0[2][gain]), "found": _plain(from_0[1][gain])},
    }


def _effective_sizes(outcome: Outcome) -> Floats:
    """How many rows' worth each threshold calls: their number without weights."""
    ranking = outcome.ranking
    total = np.cumsum(ranking.positives + ranking.negatives)
    if not outcome.is_weighted:
        return total
    squares = np.cumsum(np.bincount(ranking.group, weights=outcome.weight**2, minlength=len(total)))
    return np.asarray(total**2 / squares)


def _band(ends: Sequence[Interval]) -> dict[str, list[float]]:
    return {
        "low": _plain(np.array([end.low for end in ends])),
        "high": _plain(np.array([end.high for end in ends])),
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


def _calibration(outcome: Outcome, score: Floats, happened: NDArray[np.bool_], positive: str | None) -> dict[str, Any]:
    weight = outcome.weight
    bins = calibration_bins(score, weight=weight if outcome.is_weighted else None)
    total = np.bincount(bins, weights=weight)
    sizes = total**2 / np.bincount(bins, weights=weight**2)
    share = np.clip(np.bincount(bins, weights=weight * happened) / total, 0, 1)
    ends = [proportion(float(rate * size), float(size)) for rate, size in zip(share, sizes, strict=True)]
    return {
        "mean_score": _plain(np.bincount(bins, weights=weight * score) / total),
        "share_positive": _plain(share),
        **_band(ends),
        "count": np.bincount(bins).tolist(),
        "class": positive,
    }


def _predicted_true(outcome: Outcome) -> dict[str, Any]:
    truth, predicted = outcome.predictions.y_true, outcome.predictions.y_pred
    order = np.lexsort((predicted, truth))
    kept = order[_even(len(order), MAX_DOTS)] if len(order) > MAX_DOTS else order
    return {"y_true": truth[kept].tolist(), "y_pred": predicted[kept].tolist()}


def _residuals(errors: Floats) -> dict[str, Any]:
    low, high = float(errors.min()), float(errors.max())
    # Errors that differ by rounding alone are equal; between them there is no room for bins.
    if high - low <= 1e-12 * max(abs(low), abs(high)):
        width = max(abs(low), 1.0) * 1e-6
        low, high = low - width / 2, high + width / 2
    counts, edges = np.histogram(errors, bins=RESIDUAL_BINS if len(errors) >= RESIDUAL_BINS else 10, range=(low, high))
    return {"edges": edges.tolist(), "counts": counts.tolist()}


def _plain(values: Floats) -> list[float]:
    rounded: list[float] = np.round(values, 6).tolist()
    return rounded
