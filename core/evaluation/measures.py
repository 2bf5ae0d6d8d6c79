"""What each metric measures: its value and how far each row moves it.

A measure takes an `Outcome` and returns a `Measured`. A row's *influence* is the derivative of the value by the row's
weight, times that weight, scaled by sqrt(n / (n - 1)): the sum of squares estimates the variance of the value, and for
two runs on the same rows the sum of squares of the differences estimates the variance of their difference (the
infinitesimal jackknife; for a mean this is its usual standard error). Where a value is not defined the measure raises
`NotApplicable` with the reason.

Every measure counts rows by their weights where the predictions have any: whole weights give the value that repeated
rows give, and a row of weight 0 is as if absent. Weights never add rows: n is how many have weight.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from core.errors import NotApplicable
from core.evaluation.outcomes import Outcome
from core.evaluation.predictions import LARGEST_VALUE
from core.statistics import binning, intervals, ranking

Floats = NDArray[np.float64]
Codes = NDArray[np.int64]

SMALLEST_SHARE = float(np.finfo(np.float64).eps)
N_BINS = 10
TOP_SHARE = 0.1
TOP_CLASSES = 3


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


def mean_of(losses: Floats, outcome: Outcome) -> Measured:
    """The mean of one number per row."""
    share = outcome.weight / outcome.n_counted
    value = float(losses @ share)
    return Measured(value, (losses - value) * share * _spread(outcome.n_counted))


def _by_cell(outcome: Outcome, value: float, cell: Callable[[Codes, Codes], Floats]) -> Measured:
    scale = _spread(outcome.n_counted)
    influence = cell(outcome.y_true, outcome.y_pred) * scale
    return Measured(
        value, influence * outcome.weight if outcome.is_weighted else influence, lambda y, p: cell(y, p) * scale
    )


def _divided(top: Floats, bottom: Floats) -> Floats:
    return np.divide(top, bottom, out=np.zeros_like(bottom, dtype=np.float64), where=bottom > 0)


def accuracy(outcome: Outcome) -> Measured:
    """Share of rows predicted as their true class."""
    return mean_of(outcome.correct.astype(np.float64), outcome)


def balanced_accuracy(outcome: Outcome) -> Measured:
    """Mean over the classes present of the share of each that was found; a single class has no balance."""
    sizes = outcome.confusion.sum(axis=1)
    present = sizes > 0
    if present.sum() < 2:
        raise NotApplicable("All rows are of one class: there is nothing to balance.")
    recalls = _divided(outcome.confusion.diagonal(), sizes)
    weights = _divided(np.ones_like(sizes), sizes * present.sum())
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


def f_beta(beta: float) -> Callable[[Outcome], Measured]:
    """Weighted harmonic mean of precision and recall, (1 + b²) TP / ((1 + b²) TP + b² FN + FP), recall b times as much.

    0 where nothing is found; not defined where no row is positive and none was predicted so.
    """
    square = beta * beta

    def measured(outcome: Outcome) -> Measured:
        size = float(square * outcome.confusion[1].sum() + outcome.confusion[:, 1].sum())
        if size == 0:
            raise NotApplicable("No row is positive and none was predicted positive.")
        value = float((1 + square) * outcome.confusion[1, 1] / size)

        def cell(y: Codes, p: Codes) -> Floats:
            both, either = (y == 1) & (p == 1), square * (y == 1) + (p == 1)
            return np.asarray(((1 + square) * both - value * either) / size)

        return _by_cell(outcome, value, cell)

    return measured


def _class_f1(outcome: Outcome) -> tuple[Floats, Floats]:
    """F1 of each label, 0 where it occurs nowhere; and how often it occurs in truth and prediction together."""
    sizes = outcome.confusion.sum(axis=0) + outcome.confusion.sum(axis=1)
    return _divided(2 * outcome.confusion.diagonal(), sizes), sizes


def macro_f1(outcome: Outcome) -> Measured:
    """Mean of the F1 of each class that occurs in truth or prediction."""
    scores, sizes = _class_f1(outcome)
    present = sizes > 0
    weights = _divided(np.ones_like(sizes), sizes * present.sum())

    def cell(y: Codes, p: Codes) -> Floats:
        return np.asarray(2.0 * (y == p) * weights[y] - scores[y] * weights[y] - scores[p] * weights[p])

    return _by_cell(outcome, float(scores[present].mean()), cell)


def weighted_f1(outcome: Outcome) -> Measured:
    """Mean of the F1 of each class, a class counting by how often it is the truth."""
    scores, sizes = _class_f1(outcome)
    n = float(outcome.n_counted)
    shares = outcome.confusion.sum(axis=1) / n
    value = float(scores @ shares)
    weights = _divided(shares, sizes)

    def cell(y: Codes, p: Codes) -> Floats:
        moved = 2.0 * (y == p) * weights[y] - scores[y] * weights[y] - scores[p] * weights[p]
        return np.asarray(moved + (scores[y] - value) / n)

    return _by_cell(outcome, value, cell)


def macro_precision(outcome: Outcome) -> Measured:
    """Mean, over the classes that occur in truth or prediction, of the share of the rows called so that are.

    0 for a class that is never predicted.
    """
    called = outcome.confusion.sum(axis=0)
    present = called + outcome.confusion.sum(axis=1) > 0
    precisions = _divided(outcome.confusion.diagonal(), called)
    weights = _divided(np.ones_like(called), called * present.sum())
    return _by_cell(outcome, float(precisions[present].mean()), lambda y, p: ((y == p) - precisions[p]) * weights[p])


def matthews(outcome: Outcome) -> Measured:
    """Correlation of true with predicted class, over indicators of the classes; 0 when every row is predicted alike.

    For more than two classes as in Gorodkin (2004), Computational Biology and Chemistry 28:367: covariances summed over
    the classes.
    """
    n = float(outcome.n_counted)
    true_share, predicted_share = outcome.confusion.sum(axis=1) / n, outcome.confusion.sum(axis=0) / n
    true_variance, predicted_variance = 1 - float(true_share @ true_share), 1 - float(predicted_share @ predicted_share)
    # Beside a weight that outweighs all others by far, the others are as good as absent.
    if np.count_nonzero(true_share) < 2 or true_variance <= SMALLEST_SHARE:
        raise NotApplicable("All rows are of one class: nothing can correlate with it.")
    if np.count_nonzero(predicted_share) < 2 or predicted_variance <= SMALLEST_SHARE:
        return _by_cell(outcome, 0.0, lambda y, p: np.zeros(len(y)))  # noqa: ARG005
    scale = math.sqrt(true_variance * predicted_variance)
    expected = float(true_share @ predicted_share)
    covariance = float(outcome.confusion.trace()) / n - expected
    value = float(np.clip(covariance / scale, -1, 1))

    def cell(y: Codes, p: Codes) -> Floats:
        # Influences of a covariance and of the two variances, each of sums of squared shares.
        together = (y == p) - predicted_share[y] - true_share[p] + 2 * expected - (covariance + expected)
        alone = (1 - true_variance - true_share[y]) / true_variance
        alone = alone + (1 - predicted_variance - predicted_share[p]) / predicted_variance
        return np.asarray((together / scale - value * alone) / n)

    return _by_cell(outcome, value, cell)


def kappa(outcome: Outcome) -> Measured:
    """Agreement beyond what the classes' shares alone would give."""
    n = float(outcome.n_counted)
    true_share, predicted_share = outcome.confusion.sum(axis=1) / n, outcome.confusion.sum(axis=0) / n
    agreed, expected = float(outcome.confusion.trace()) / n, float(true_share @ predicted_share)
    if expected >= 1 - 1e-12:
        raise NotApplicable("All rows are of one class and were predicted so: no agreement beyond chance exists.")
    value = (agreed - expected) / (1 - expected)

    def cell(y: Codes, p: Codes) -> Floats:
        chance = predicted_share[y] + true_share[p] - 2 * expected
        return np.asarray((((y == p) - agreed) - chance * (1 - value)) / ((1 - expected) * n))

    return _by_cell(outcome, value, cell)


def average_cost(outcome: Outcome) -> Measured:
    """Mean over rows of what their true and predicted class cost together."""
    matrix = outcome.cost_matrix
    n = float(outcome.n_counted)
    value = float((matrix * outcome.confusion).sum()) / n
    return _by_cell(outcome, value, lambda y, p: (matrix[y, p] - value) / n)


def class_areas(outcome: Outcome) -> list[tuple[int, Measured]]:
    """Area under the ROC curve of each class against the rest, by its score; of the classes that occur and are known.

    Raises
    ------
    NotApplicable
        All rows are of one class, or the model gave no scores.
    """
    scores, sizes = outcome.scores, outcome.confusion.sum(axis=1)
    codes = [code for code in np.flatnonzero(sizes > 0).tolist() if outcome.columns[code] >= 0]
    if not codes:
        raise NotApplicable("The model knows none of the classes that occur.")
    found = []
    for code in codes:
        ranked = outcome.ranking_of(code, scores[:, outcome.columns[code]])
        found.append((code, Measured(*ranking.roc_auc(outcome.y_true == code, ranked))))
    return found


def roc_auc(outcome: Outcome) -> Measured:
    """Chance that a positive row scores above a negative one, ties counting half.

    Multiclass: each class against the rest by its own score, the mean over the classes that occur.
    """
    if outcome.is_binary:
        return Measured(*ranking.roc_auc(outcome.positive, outcome.ranking))
    areas = [area for _, area in class_areas(outcome)]
    value = sum(area.value for area in areas) / len(areas)
    influence = np.zeros(outcome.n_rows)
    for area in areas:
        influence += area.influence
    return Measured(value, influence / len(areas))


def average_precision(outcome: Outcome) -> Measured:
    """Mean precision over the scores at which a positive row is found."""
    return Measured(*ranking.average_precision(outcome.positive, outcome.ranking))


def top_hits(outcome: Outcome) -> tuple[float, float, float]:
    """Positives among the best-scored tenth of all weight, positives in all, and all weight.

    Rows tied at the cut are in by the part that fits, as on average if ties were broken at random.
    """
    ranked = outcome.ranking
    hits = float(ranked.positives @ ranking.top_share(ranked, TOP_SHARE))
    total = float(ranked.positives.sum())
    return min(hits, total), total, total + float(ranked.negatives.sum())


def lift(outcome: Outcome) -> Measured:
    """How many times as many positives the best-scored tenth holds as a tenth of rows drawn at random would.

    A row's influence allows for the cut's moving with the rows: by the share of positives among the rows ranked within
    5 % of it.
    """
    hits, positives, total = top_hits(outcome)
    found = hits / positives
    ranked = outcome.ranking
    near = ranking.top_share(ranked, 1.5 * TOP_SHARE) - ranking.top_share(ranked, 0.5 * TOP_SHARE)
    at_cut = float(ranked.positives @ near) / (TOP_SHARE * total)
    inside = ranking.top_share(ranked, TOP_SHARE)[ranked.group]
    moved = outcome.positive * (inside - found) - at_cut * (inside - TOP_SHARE)
    scale = _spread(outcome.n_counted) / (TOP_SHARE * positives)
    return Measured(found / TOP_SHARE, moved * outcome.weight * scale)


def top_classes_accuracy(outcome: Outcome) -> Measured:
    """Share of rows whose true class is among the three scored highest.

    Of classes that score alike, the later in sorted order counts as higher, as in scikit-learn. Not defined for three
    classes or fewer, where all are among the highest. A class the model does not know is never among them.
    """
    scores = outcome.scores
    if scores.shape[1] <= TOP_CLASSES:
        raise NotApplicable(f"There are {scores.shape[1]} classes: each is always among the {TOP_CLASSES} highest.")
    return mean_of(top_classes_hit(outcome).astype(np.float64), outcome)


def top_classes_hit(outcome: Outcome) -> NDArray[np.bool_]:
    """Whether each row's true class is among the three scored highest."""
    column = outcome.columns[outcome.y_true]
    own = outcome.scores_of(outcome.y_true)[:, None]
    above = (outcome.scores > own).sum(axis=1)
    later = np.arange(outcome.scores.shape[1])[None, :] > column[:, None]
    above += ((outcome.scores == own) & later).sum(axis=1)
    return np.asarray((column >= 0) & (above < TOP_CLASSES))


def log_losses(outcome: Outcome) -> Floats:
    """Minus the log of each row's score for its true class, in nats.

    Scores of a row are divided by their sum and kept at least 2.2e-16 away from 0 and 1, so that one sure mistake costs
    36 and not infinity. A class the model does not know has score 0.
    """
    share = outcome.scores_of(outcome.y_true)
    total = outcome.scores.sum(axis=1)
    share = np.divide(share, total, out=np.zeros_like(share), where=total > 0)
    return np.asarray(-np.log(np.clip(share, SMALLEST_SHARE, 1 - SMALLEST_SHARE)))


def log_loss(outcome: Outcome) -> Measured:
    """Mean of `log_losses`."""
    return mean_of(log_losses(outcome), outcome)


def brier_losses(outcome: Outcome) -> Floats:
    """Half the squared distances of each row's scores from what happened (1 for the true class, else 0), summed.

    In a binary task whose two scores sum to 1 that is the squared distance of the positive class's score.
    """
    if outcome.is_binary:
        return np.asarray((outcome.score - outcome.positive) ** 2)
    own = outcome.scores_of(outcome.y_true)
    known = outcome.columns[outcome.y_true] >= 0
    squares = (outcome.scores**2).sum(axis=1) - own**2 + known * (1 - own) ** 2
    return np.asarray(np.clip(squares / 2, 0, None))


def brier(outcome: Outcome) -> Measured:
    """Mean of `brier_losses`."""
    return mean_of(brier_losses(outcome), outcome)


def calibration_bins(score: Floats, n_bins: int = N_BINS, weight: Floats | None = None) -> Codes:
    """Bins of about equal size by score, equal scores together.

    Parameters
    ----------
    score : ndarray of shape (n,)
    n_bins : int
    weight : ndarray of shape (n,), optional
        Bins are then of about equal weight.

    Returns
    -------
    ndarray of shape (n,)
        The bin of each row, from 0; constant scores give one bin. The order of rows does not matter.
    """
    edges = np.unique(binning.weighted_quantiles(score, np.linspace(0, 1, n_bins + 1)[1:-1], weight))
    return np.unique(np.searchsorted(edges, score, side="left"), return_inverse=True)[1].astype(np.int64)


def calibration_gaps(outcome: Outcome) -> tuple[Floats, Codes]:
    """Each row's score minus what happened (1 or 0), times its weight, and the row's calibration bin.

    In a multiclass task the score is that of the predicted class, and what happened is whether it was right.
    """
    score = outcome.score if outcome.is_binary else outcome.scores_of(outcome.y_pred)
    happened = outcome.positive if outcome.is_binary else outcome.correct
    weight = outcome.weight if outcome.is_weighted else None
    gaps = score - happened
    return gaps if weight is None else gaps * weight, calibration_bins(score, weight=weight)


def calibration_error(outcome: Outcome) -> Measured:
    """Mean over rows of the gap, in their bin, between the mean score and the share of positives.

    Multiclass: between the mean score of the class predicted and the share predicted rightly.
    """
    gaps, bins = calibration_gaps(outcome)
    return Measured(float(np.abs(np.bincount(bins, weights=gaps)).sum()) / outcome.n_counted, np.empty(0))


def rmse(outcome: Outcome) -> Measured:
    """Root of the mean squared error."""
    squared = mean_of(outcome.errors**2, outcome)
    value = math.sqrt(squared.value)
    return Measured(value, squared.influence / (2 * value) if value > 0 else squared.influence)


def mae(outcome: Outcome) -> Measured:
    """Mean absolute error."""
    return mean_of(np.abs(outcome.errors), outcome)


def quantile_loss(quantile: float) -> Callable[[Outcome], Measured]:
    """Mean of the error, times ``quantile`` where the prediction is too low and ``1 - quantile`` where it is too high.

    Least where the predictions are that quantile of the target (the pinball loss).
    """

    def measured(outcome: Outcome) -> Measured:
        return mean_of(np.where(outcome.errors > 0, 1 - quantile, -quantile) * outcome.errors, outcome)

    return measured


def absolute_order(outcome: Outcome) -> tuple[Floats, Floats]:
    """Absolute errors of the rows that count, ascending, with the share of all weight at or below each."""
    absolute = np.abs(outcome.errors)
    order = np.argsort(absolute)
    if outcome.is_weighted:
        order = order[outcome.weight[order] > 0]
    reached = np.cumsum(outcome.weight[order])
    return absolute[order], reached / reached[-1]


def median_absolute_error(outcome: Outcome) -> Measured:
    """Median absolute error: half the weight lies at or below; between two values where exactly half does.

    Its density at the median is read off the interval `median_ends` (Woodruff 1952).
    """
    ordered, reached = absolute_order(outcome)
    middle = np.searchsorted(reached, [0.5 - 1e-12, 0.5 + 1e-12], side="left")
    value = float(ordered[np.minimum(middle, len(ordered) - 1)].mean())
    found = median_ends(outcome)
    if found is None:
        return Measured(value, np.zeros(outcome.n_rows))
    # The sum of squares is then the square of the interval's half width over the normal quantile.
    per_row = (found.high - found.low) / (2 * intervals.normal_quantile()) / math.sqrt(outcome.n_effective)
    weight = outcome.weight * (outcome.n_effective / outcome.n_counted) if outcome.is_weighted else 1.0
    return Measured(value, np.sign(np.abs(outcome.errors) - value) * (per_row * weight))


def median_ends(outcome: Outcome) -> intervals.Interval | None:
    """Interval of the median absolute error from two order statistics.

    With weights, the errors at which the shares of weight are those that bound the median of as many rows as the
    effective size. None for fewer than 6 rows, or an effective size below 6.
    """
    ordered, reached = absolute_order(outcome)
    if not outcome.is_weighted:
        return intervals.median_interval(ordered)
    size = outcome.n_effective
    if size < 6:
        return None
    half = intervals.normal_quantile() / (2 * math.sqrt(size)) + 1 / (2 * size)
    places = np.searchsorted(reached, [max(0.0, 0.5 - half), min(1.0, 0.5 + half)], side="left")
    low, high = ordered[np.minimum(places, len(ordered) - 1)]
    return intervals.Interval(float(low), float(high))


def r2(outcome: Outcome) -> Measured:
    """Share of the truth's variance that the predictions account for; negative when worse than its mean."""
    truth, weight = outcome.predictions.y_true, outcome.weight
    around_mean = (truth - float(truth @ weight) / outcome.n_counted) ** 2
    total = float(around_mean @ weight)
    counted = truth[weight > 0] if outcome.is_weighted else truth
    if outcome.n_counted < 2 or counted.min() == counted.max() or total <= 0:
        raise NotApplicable("The true values are all equal: there is no variance to account for.")
    squared = outcome.errors**2
    unexplained = float(squared @ weight) / total
    influence = (unexplained * around_mean - squared) * weight * (_spread(outcome.n_counted) / total)
    return Measured(1 - unexplained, influence)


def mape(outcome: Outcome) -> Measured:
    """Mean absolute error as a share of the true value; undefined where one is 0, or too near to it to divide by."""
    truth = np.abs(outcome.predictions.y_true)
    if not truth[outcome.weight > 0].all():
        raise NotApplicable("A true value is 0: no error is a share of it.")
    errors, counted = np.abs(outcome.errors), outcome.weight > 0
    if (errors[counted] > LARGEST_VALUE * truth[counted]).any():
        raise NotApplicable("A true value is so near to 0 that the error is no sensible share of it.")
    return mean_of(np.divide(errors, truth, out=np.zeros(outcome.n_rows), where=counted), outcome)
