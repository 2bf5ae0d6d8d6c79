"""What each metric measures: its value and how far each row moves it.

A measure takes an `Outcome` and returns a `Measured`. A row's *influence* is the derivative of the value by the row's
weight, scaled by sqrt(n / (n - 1)): the sum of squares estimates the variance of the value, and for two runs on the
same rows the sum of squares of the differences estimates the variance of their difference (the infinitesimal
jackknife; for a mean this is its usual standard error). Where a value is not defined the measure raises
`NotApplicable` with the reason.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from core.errors import NotApplicable
from core.evaluation.outcomes import Outcome
from core.statistics import intervals, ranking

Floats = NDArray[np.float64]
Codes = NDArray[np.int64]

SMALLEST_SHARE = float(np.finfo(np.float64).eps)
N_BINS = 10


@dataclass(frozen=True, eq=False)
class Measured:
    """A value with each row's influence on it.

    Parameters
    ----------
    value : float
    influence : ndarray of shape (n,)
        Empty where a metric has none (its interval is then resampled).
    cell : callable, optional
        For metrics of the confusion matrix: influence of a row by its true and predicted class.
    """

    value: float
    influence: Floats
    cell: Callable[[Codes, Codes], Floats] | None = None

    @property
    def standard_error(self) -> float:
        """Root of the sum of squared influences."""
        return math.sqrt(float(self.influence @ self.influence))


def _spread(n: int) -> float:
    return math.sqrt(n / (n - 1)) if n > 1 else 0.0


def mean_of(losses: Floats) -> Measured:
    """The mean of one number per row."""
    value = float(losses.mean())
    return Measured(value, (losses - value) * (_spread(len(losses)) / len(losses)))


def _by_cell(outcome: Outcome, value: float, cell: Callable[[Codes, Codes], Floats]) -> Measured:
    scale = _spread(outcome.n_rows)
    return Measured(value, cell(outcome.y_true, outcome.y_pred) * scale, lambda y, p: cell(y, p) * scale)


def accuracy(outcome: Outcome) -> Measured:
    """Share of rows predicted as their true class."""
    return mean_of(outcome.correct.astype(np.float64))


def balanced_accuracy(outcome: Outcome) -> Measured:
    """Mean over the classes present of the share of each that was found; a single class has no balance."""
    sizes = outcome.confusion.sum(axis=1)
    present = sizes > 0
    if present.sum() < 2:
        raise NotApplicable("All rows are of one class: there is nothing to balance.")
    recalls = np.divide(outcome.confusion.diagonal(), sizes, out=np.zeros_like(sizes), where=present)
    weights = np.divide(1.0, sizes * present.sum(), out=np.zeros_like(sizes), where=present)
    return _by_cell(outcome, float(recalls[present].mean()), lambda y, p: ((y == p) - recalls[y]) * weights[y])


def precision(outcome: Outcome) -> Measured:
    """Of the rows predicted positive, the share that are."""
    hits, predicted = outcome.confusion[1, 1], outcome.confusion[:, 1].sum()
    if predicted == 0:
        raise NotApplicable("No row was predicted positive.")
    value = float(hits / predicted)
    return _by_cell(outcome, value, lambda y, p: (p == 1) * ((y == 1) - value) / predicted)


def recall(outcome: Outcome) -> Measured:
    """Of the truly positive rows, the share found."""
    hits, actual = outcome.confusion[1, 1], outcome.confusion[1].sum()
    if actual == 0:
        raise NotApplicable("No row is positive.")
    value = float(hits / actual)
    return _by_cell(outcome, value, lambda y, p: (y == 1) * ((p == 1) - value) / actual)


def f1(outcome: Outcome) -> Measured:
    """Harmonic mean of precision and recall, 2 TP / (2 TP + FP + FN)."""
    size = outcome.confusion[1].sum() + outcome.confusion[:, 1].sum()
    if size == 0:
        raise NotApplicable("No row is positive and none was predicted positive.")
    value = float(2 * outcome.confusion[1, 1] / size)

    def cell(y: Codes, p: Codes) -> Floats:
        both, either = (y == 1) & (p == 1), (y == 1).astype(float) + (p == 1)
        return np.asarray((2.0 * both - value * either) / size)

    return _by_cell(outcome, value, cell)


def macro_f1(outcome: Outcome) -> Measured:
    """Mean of the F1 of each class that occurs in truth or prediction."""
    confusion = outcome.confusion
    sizes = confusion.sum(axis=0) + confusion.sum(axis=1)
    present = sizes > 0
    scores = np.divide(2 * confusion.diagonal(), sizes, out=np.zeros_like(sizes), where=present)
    n_present = int(present.sum())
    weights = np.divide(1.0, sizes * n_present, out=np.zeros_like(sizes), where=present)

    def cell(y: Codes, p: Codes) -> Floats:
        return np.asarray(2.0 * (y == p) * weights[y] - scores[y] * weights[y] - scores[p] * weights[p])

    return _by_cell(outcome, float(scores[present].mean()), cell)


def matthews(outcome: Outcome) -> Measured:
    """Correlation of positive truth with positive prediction; 0 when every row is predicted alike."""
    n = outcome.n_rows
    true_share, predicted_share = outcome.confusion[1].sum() / n, outcome.confusion[:, 1].sum() / n
    if true_share in (0, 1):
        raise NotApplicable("All rows are of one class: nothing can correlate with it.")
    true_sd = math.sqrt(true_share * (1 - true_share))
    predicted_sd = math.sqrt(predicted_share * (1 - predicted_share))
    if predicted_sd == 0:
        return _by_cell(outcome, 0.0, lambda y, p: np.zeros(len(y)))  # noqa: ARG005
    covariance = outcome.confusion[1, 1] / n - true_share * predicted_share
    value = float(np.clip(covariance / (true_sd * predicted_sd), -1, 1))

    def cell(y: Codes, p: Codes) -> Floats:
        a, b = ((y == 1) - true_share) / true_sd, ((p == 1) - predicted_share) / predicted_sd
        return np.asarray((a * b - value * (a * a + b * b) / 2) / n)

    return _by_cell(outcome, value, cell)


def kappa(outcome: Outcome) -> Measured:
    """Agreement beyond what the classes' shares alone would give."""
    n = outcome.n_rows
    true_share, predicted_share = outcome.confusion.sum(axis=1) / n, outcome.confusion.sum(axis=0) / n
    agreed, expected = float(outcome.confusion.trace()) / n, float(true_share @ predicted_share)
    if expected >= 1 - 1e-12:
        raise NotApplicable("All rows are of one class and were predicted so: no agreement beyond chance exists.")
    value = (agreed - expected) / (1 - expected)

    def cell(y: Codes, p: Codes) -> Floats:
        chance = predicted_share[y] + true_share[p] - 2 * expected
        return np.asarray((((y == p) - agreed) - chance * (1 - value)) / ((1 - expected) * n))

    return _by_cell(outcome, value, cell)


def roc_auc(outcome: Outcome) -> Measured:
    """Chance that a positive row scores above a negative one, ties counting half."""
    return Measured(*ranking.roc_auc(outcome.positive, outcome.ranking))


def average_precision(outcome: Outcome) -> Measured:
    """Mean precision over the scores at which a positive row is found."""
    return Measured(*ranking.average_precision(outcome.positive, outcome.ranking))


def log_losses(outcome: Outcome) -> Floats:
    """Minus the log of each row's score for its true class, in nats.

    Scores of a row are divided by their sum and kept at least 2.2e-16 away from 0 and 1, so that one sure mistake costs
    36 and not infinity. A class the model does not know has score 0.
    """
    scores = outcome.scores
    column_of = {label: column for column, label in enumerate(outcome.predictions.classes)}
    column = np.array([column_of.get(label, -1) for label in outcome.labels], dtype=np.int64)[outcome.y_true]
    share = np.where(column >= 0, scores[np.arange(outcome.n_rows), column], 0.0)
    total = scores.sum(axis=1)
    share = np.divide(share, total, out=np.zeros_like(share), where=total > 0)
    return np.asarray(-np.log(np.clip(share, SMALLEST_SHARE, 1 - SMALLEST_SHARE)))


def log_loss(outcome: Outcome) -> Measured:
    """Mean of `log_losses`."""
    return mean_of(log_losses(outcome))


def brier(outcome: Outcome) -> Measured:
    """Mean squared distance of the positive class's score from what happened (1 or 0)."""
    return mean_of((outcome.score - outcome.positive) ** 2)


def calibration_bins(score: Floats, n_bins: int = N_BINS) -> Codes:
    """Bins of about equal size by score, equal scores together.

    Returns
    -------
    ndarray of shape (n,)
        The bin of each row, from 0; constant scores give one bin. The order of rows does not matter.
    """
    edges = np.unique(np.quantile(score, np.linspace(0, 1, n_bins + 1)[1:-1], method="inverted_cdf"))
    return np.unique(np.searchsorted(edges, score, side="left"), return_inverse=True)[1].astype(np.int64)


def calibration_gaps(outcome: Outcome) -> tuple[Floats, Codes]:
    """Each row's score minus what happened (1 or 0), and its calibration bin."""
    return outcome.score - outcome.positive, calibration_bins(outcome.score)


def calibration_error(outcome: Outcome) -> Measured:
    """Mean over rows of the gap, in their bin, between the mean score and the share of positives."""
    gaps, bins = calibration_gaps(outcome)
    return Measured(float(np.abs(np.bincount(bins, weights=gaps)).sum()) / outcome.n_rows, np.empty(0))


def rmse(outcome: Outcome) -> Measured:
    """Root of the mean squared error."""
    squared = mean_of(outcome.errors**2)
    value = math.sqrt(squared.value)
    return Measured(value, squared.influence / (2 * value) if value > 0 else squared.influence)


def mae(outcome: Outcome) -> Measured:
    """Mean absolute error."""
    return mean_of(np.abs(outcome.errors))


def median_absolute_error(outcome: Outcome) -> Measured:
    """Median absolute error; its density at the median is read off the order-statistic interval (Woodruff 1952)."""
    absolute = np.abs(outcome.errors)
    ordered = np.sort(absolute)
    value = float(np.median(ordered))
    found = intervals.median_interval(ordered)
    if found is None:
        return Measured(value, np.zeros(len(ordered)))
    # The sum of squares is then the square of the interval's half width over the normal quantile.
    per_row = (found.high - found.low) / (2 * intervals.normal_quantile()) / math.sqrt(len(ordered))
    return Measured(value, np.sign(absolute - value) * per_row)


def r2(outcome: Outcome) -> Measured:
    """Share of the truth's variance that the predictions account for; negative when worse than its mean."""
    truth = outcome.predictions.y_true
    around_mean = (truth - truth.mean()) ** 2
    total = float(around_mean.sum())
    if total <= 0 or outcome.n_rows < 2:
        raise NotApplicable("The true values are all equal: there is no variance to account for.")
    squared = outcome.errors**2
    unexplained = float(squared.sum()) / total
    return Measured(1 - unexplained, (unexplained * around_mean - squared) * (_spread(outcome.n_rows) / total))


def mape(outcome: Outcome) -> Measured:
    """Mean absolute error as a share of the true value; undefined where a true value is 0."""
    truth = np.abs(outcome.predictions.y_true)
    if not truth.all():
        raise NotApplicable("A true value is 0: no error is a share of it.")
    return mean_of(np.abs(outcome.errors) / truth)
