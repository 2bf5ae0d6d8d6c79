"""How a metric's difference between two runs on the same rows gets the interval that a verdict is decided by.

One primary method per metric, chosen for keeping its size where rows are few and one class is rare, and without drawing
random numbers, so that a verdict does not change with a seed:

- shares of rows (accuracy, recall) by discordant pairs: exact at any number of rows;
- balanced accuracy by the same within each class, combined: the rare class is where a t test would be too sure;
- ROC AUC by DeLong's method with Welch's degrees of freedom, unbiased for an area and counted by the rarer class; its
  variance is at least what the rows of the other class ranked near by show of how far rows move;
- average precision by influences, counted by the positives, on which alone it rests;
- calibration error by its bins: it has no influences, as noise only ever pushes it up;
- everything else by influences: the paired t test for means, the delta method for the rest.

Where rows have weights a count of pairs is not to be had: shares then go by weighted influences, with two pseudo-rows
that differ and as many degrees of freedom as rows of equal weight would tell as much. `paired_tests` lists what the
other methods say. A new metric needs nothing here unless it has a better method.
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from core.evaluation.measures import SMALLEST_SHARE, Measured, calibration_gaps
from core.evaluation.metrics import Metric
from core.evaluation.outcomes import Outcome
from core.evaluation.tables import Task
from core.statistics import intervals, paired, ranking, resampling
from core.statistics.intervals import CONFIDENCE
from core.statistics.paired import PairedEffect

PSEUDO_ROWS = 2.0
MEANS = frozenset(
    {"log_loss", "brier", "top_3_accuracy", "average_cost", "mae", "mape", "quantile_loss_10", "quantile_loss_90"}
)


def paired_effect(
    entry: Metric,
    baseline: Outcome,
    candidate: Outcome,
    measured: tuple[Measured, Measured],
    *,
    confidence_level: float = CONFIDENCE,
    rng: np.random.Generator,
) -> PairedEffect:
    """Difference of a metric, candidate minus baseline, on the same rows, by the metric's primary method.

    Parameters
    ----------
    entry : Metric
    baseline, candidate : Outcome
        Over the same rows in the same order, with the same weights, none of them 0.
    measured : pair of Measured
        The metric of the baseline and of the candidate.
    confidence_level : float
        Of the interval.
    rng : Generator
        Drawn from for the calibration error only.
    """
    level = confidence_level
    if same_predictions(entry, baseline, candidate):
        return PairedEffect(0.0, 0.0, 0.0, 1.0, "the two predict the same on every row", "same")
    groups = _groups(entry, baseline)
    if groups is not None:
        if baseline.predictions.sample_weight is not None:
            return _weighted_shares(groups, baseline.predictions.sample_weight, measured, level)
        if len(groups) > 1:
            return _balanced(groups, baseline, candidate, measured, level)
        return _share_correct(baseline, candidate, groups[0], level)
    if entry.key == "roc_auc" and baseline.predictions.task is Task.MULTICLASS:
        return _areas_of_classes(baseline, measured, level)
    if entry.key == "roc_auc":
        return _delong(baseline, candidate, measured, level)
    if entry.key == "expected_calibration_error":
        return _calibration(baseline, candidate, measured, level, rng)
    if entry.key == "average_precision":
        return _average_precision(baseline, measured, level)
    return influence_effect(entry, baseline, candidate, measured, confidence_level=level)


def influence_effect(
    entry: Metric,
    baseline: Outcome,
    candidate: Outcome,
    measured: tuple[Measured, Measured],
    *,
    confidence_level: float = CONFIDENCE,
) -> PairedEffect:
    """Difference by the paired influence of each row: the paired t test for means, the delta method for the rest.

    Means of heavy-tailed losses need many rows: the t test then says "different" too rarely, never too often.
    """
    is_mean = entry.key in MEANS
    return paired.paired_influence(
        measured[0].value,
        measured[1].value,
        measured[1].influence - measured[0].influence,
        extra_variance=_unseen_variance(baseline, measured) + _unseen_losses(entry, baseline, candidate),
        df=max(1.0, effective_rows(baseline) - 1),
        method="paired differences, Student's t" if is_mean else "paired influences, delta method",
        key="paired_t" if is_mean else "influence",
        confidence_level=confidence_level,
    )


def same_predictions(entry: Metric, baseline: Outcome, candidate: Outcome) -> bool:
    """Whether two runs predict the same on every row: labels, and scores where both have them.

    For a metric of scores the labels do not count: one model at two thresholds ranks every row alike.
    """
    first, second = baseline.predictions, candidate.predictions
    if entry.needs == "labels" and not np.array_equal(first.y_pred, second.y_pred):
        return False
    if first.scores is None or second.scores is None:
        return entry.needs == "labels"
    return first.classes == second.classes and np.array_equal(first.scores, second.scores)


def effective_rows(outcome: Outcome, rows: NDArray[np.bool_] | None = None) -> float:
    """How many rows of equal weight would tell as much (Kish 1965): the rows themselves where there are no weights."""
    weight = outcome.predictions.sample_weight
    if weight is None:
        return float(outcome.n_rows if rows is None else rows.sum())
    counted = weight if rows is None else weight[rows]
    return float(counted.sum() ** 2 / (counted @ counted)) if counted.any() else 0.0


def _groups(entry: Metric, baseline: Outcome) -> list[NDArray[np.bool_]] | None:
    """The rows that a share is of; one group per class where a metric averages classes; None for no share."""
    if entry.key == "accuracy":
        return [np.ones(baseline.n_rows, dtype=bool)]
    if entry.key == "recall":
        return [baseline.positive]
    if entry.key == "balanced_accuracy":
        return [baseline.y_true == code for code in np.unique(baseline.y_true)]
    return None


def _share_correct(baseline: Outcome, candidate: Outcome, rows: NDArray[np.bool_], level: float) -> PairedEffect:
    before, after = baseline.correct[rows], candidate.correct[rows]
    gained, lost = int((after & ~before).sum()), int((before & ~after).sum())
    return paired.paired_proportions(gained, lost, int(rows.sum()), level)


def _balanced(
    classes: list[NDArray[np.bool_]],
    baseline: Outcome,
    candidate: Outcome,
    measured: tuple[Measured, Measured],
    level: float,
) -> PairedEffect:
    each = [_share_correct(baseline, candidate, rows, level) for rows in classes]
    weights = [1 / len(classes)] * len(classes)
    found = intervals.combine(
        weights, [one.effect for one in each], [intervals.Interval(one.low, one.high) for one in each]
    )
    method = "paired score intervals of the classes, combined"
    return PairedEffect(
        measured[1].value - measured[0].value, found.low, found.high, None, method, "class_score_intervals"
    )


def _weighted_shares(
    groups: list[NDArray[np.bool_]], weight: NDArray[np.float64], measured: tuple[Measured, Measured], level: float
) -> PairedEffect:
    """Weighted influences, with pseudo-rows of each group's typical weight; df by the group that tells least."""
    unseen = sum(PSEUDO_ROWS * float((weight[rows] ** 2).mean() / weight[rows].sum() ** 2) for rows in groups)
    effective = min(float(weight[rows].sum() ** 2 / (weight[rows] ** 2).sum()) for rows in groups)
    return paired.paired_influence(
        measured[0].value,
        measured[1].value,
        measured[1].influence - measured[0].influence,
        extra_variance=unseen / len(groups) ** 2,
        df=max(1.0, effective - 1),
        method="weighted paired influences",
        key="influence",
        confidence_level=level,
    )


def _delong(baseline: Outcome, candidate: Outcome, measured: tuple[Measured, Measured], level: float) -> PairedEffect:
    """DeLong's variance, or what rows near by move by, with Welch's degrees of freedom; the ends allow for skewness.

    Ten positives of which most keep their place hide what the others lose: by DeLong's variance and Student's ends 8 of
    100 losses as large as the margin were called not worse, by the larger of the two variances (`movement_nearby`) and
    Hall's ends 1 to 2 (docs/verdict-honesty.md).
    """
    positive = baseline.positive
    difference = measured[1].influence - measured[0].influence
    if min(int(positive.sum()), int((~positive).sum())) > 1 and difference.any():
        df = ranking.two_sample_df(positive, difference, baseline.predictions.sample_weight)
        variance = float(difference @ difference)
        nearby = ranking.movement_nearby(positive, baseline.ranking, candidate.ranking)
        found = paired.paired_influence(
            measured[0].value,
            measured[1].value,
            difference,
            extra_variance=max(0.0, nearby - variance),
            df=df,
            method="paired DeLong",
            key="delong",
            confidence_level=level,
        )
        scaled = difference * math.sqrt(max(1.0, nearby / variance))
        tail = intervals.skewed(found.effect, scaled, df=df, confidence_level=level)
        return replace(found, low=min(found.low, tail.low), high=max(found.high, tail.high))
    # Both rank perfectly, or a class has one row: DeLong's variance is 0 or unknown, the truth's is not.
    few, many = (max(1, round(effective_rows(baseline, rows))) for rows in (positive, ~positive))
    return _apart(measured, [intervals.auc_score_interval(one.value, few, many, level) for one in measured])


def _areas_of_classes(baseline: Outcome, measured: tuple[Measured, Measured], level: float) -> PairedEffect:
    """DeLong's components of each class against the rest, averaged; degrees of freedom from the rarest class."""
    sizes = [effective_rows(baseline, baseline.y_true == code) for code in np.unique(baseline.y_true)]
    difference = measured[1].influence - measured[0].influence
    if min(sizes) > 1 and difference.any():
        return paired.paired_influence(
            measured[0].value,
            measured[1].value,
            difference,
            df=max(1.0, min(sizes) - 1),
            method="paired DeLong of each class against the rest",
            key="delong",
            confidence_level=level,
        )
    few, many = max(1, round(min(sizes))), max(1, round(sum(sizes) - min(sizes)))
    return _apart(measured, [intervals.auc_score_interval(one.value, few, many, level) for one in measured])


def _average_precision(baseline: Outcome, measured: tuple[Measured, Measured], level: float) -> PairedEffect:
    effective = effective_rows(baseline, baseline.positive)
    difference = measured[1].influence - measured[0].influence
    if int(baseline.positive.sum()) > 1 and difference.any():
        return paired.paired_influence(
            measured[0].value,
            measured[1].value,
            difference,
            df=max(1.0, effective - 1),
            method="paired influences, degrees of freedom from the positives",
            key="influence",
            confidence_level=level,
        )
    return _apart(measured, [intervals.wilson(one.value * effective, effective, level) for one in measured])


def _apart(measured: tuple[Measured, Measured], each: list[intervals.Interval]) -> PairedEffect:
    """Difference as if the two were of different rows: wider than a paired interval, never without width."""
    before, after = measured[0].value, measured[1].value
    found = intervals.combine([-1, 1], [before, after], each)
    return PairedEffect(after - before, found.low, found.high, None, "intervals of the two values, combined", "apart")


def _calibration(
    baseline: Outcome,
    candidate: Outcome,
    measured: tuple[Measured, Measured],
    level: float,
    rng: np.random.Generator,
) -> PairedEffect:
    counted = baseline.weight > 0 if baseline.is_weighted else np.ones(baseline.n_rows, dtype=bool)
    before, after = (
        (gaps[counted], np.unique(bins[counted], return_inverse=True)[1])
        for gaps, bins in (calibration_gaps(baseline), calibration_gaps(candidate))
    )
    found = resampling.gap_difference_interval(before, after, level, rng=rng)
    low, high = (end / baseline.n_counted for end in found)
    effect = measured[1].value - measured[0].value
    return PairedEffect(effect, low, high, None, "calibration bins, the push of noise taken off", "calibration_bins")


def _unseen_variance(baseline: Outcome, measured: tuple[Measured, Measured]) -> float:
    """Variance that discordant rows not seen could add: two pseudo-rows, spread over the discordant cells.

    With weights that average 1, a pseudo-row counts as the mean square weight.

    Half a row for each cell of a paired two-by-two table keeps an interval honest where few or no rows differ (Agresti
    and Min 2005, Statistics in Medicine 24, 729-740).
    """
    first, second = measured[0].cell, measured[1].cell
    if first is None or second is None:
        return 0.0
    n_labels = len(baseline.labels)
    typical = baseline.n_rows / max(1.0, effective_rows(baseline))
    right = np.arange(n_labels)
    wrong = (right + 1) % n_labels
    gained = second(right, right) - first(right, wrong)
    lost = second(right, wrong) - first(right, right)
    return typical * float(PSEUDO_ROWS / (2 * n_labels) * (gained @ gained + lost @ lost))


def _unseen_losses(entry: Metric, baseline: Outcome, candidate: Outcome) -> float:
    """Variance that rows of a class hardly seen could add to a mean loss of scores: a pseudo-row of either class.

    What a row would cost were it of the other class is known from its scores. Without this, 50 rows with no positive
    among them say that two models are alike, when all that is known is that they are alike on negatives.
    """
    if entry.key not in ("log_loss", "brier") or baseline.predictions.task is not Task.BINARY:
        return 0.0
    before, after = (np.clip(one.score, SMALLEST_SHARE, 1 - SMALLEST_SHARE) for one in (baseline, candidate))
    if entry.key == "log_loss":
        moved = [np.log(before / after), np.log((1 - before) / (1 - after))]
    else:
        moved = [(1 - after) ** 2 - (1 - before) ** 2, after**2 - before**2]
    return sum(float((one**2).mean()) for one in moved) / baseline.n_rows**2
