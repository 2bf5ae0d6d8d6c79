"""How a metric's difference between two runs on the same rows gets its interval and p-value.

Shares of rows (accuracy, recall, balanced accuracy) go by discordant pairs, the ROC AUC by DeLong's paired method, the
calibration error by its bins, and every other metric by the paired influence of each row, which is the paired
t test for means and the delta method for the rest. A new metric needs nothing here unless it has a better method.
"""

from __future__ import annotations

import numpy as np

from core.evaluation.measures import Measured, calibration_gaps
from core.evaluation.metrics import Metric
from core.evaluation.outcomes import Outcome
from core.statistics import intervals, paired, ranking, resampling
from core.statistics.paired import PairedEffect

PSEUDO_ROWS = 2.0


def paired_effect(
    entry: Metric,
    baseline: Outcome,
    candidate: Outcome,
    measured: tuple[Measured, Measured],
    *,
    rng: np.random.Generator,
) -> PairedEffect:
    """Difference of a metric, candidate minus baseline, on the same rows.

    Parameters
    ----------
    entry : Metric
    baseline, candidate : Outcome
        Over the same rows in the same order.
    measured : pair of Measured
        The metric of the baseline and of the candidate.
    rng : Generator
        Drawn from for the calibration error only.
    """
    if same_predictions(entry, baseline, candidate):
        return PairedEffect(0.0, 0.0, 0.0, 1.0, "the two predict the same on every row")
    if entry.key == "accuracy":
        return _share_correct(baseline, candidate, np.ones(baseline.n_rows, dtype=bool))
    if entry.key == "recall":
        return _share_correct(baseline, candidate, baseline.positive)
    if entry.key == "balanced_accuracy":
        return _balanced(baseline, candidate, measured)
    if entry.key == "roc_auc":
        return _delong(baseline, measured)
    if entry.key == "expected_calibration_error":
        return _calibration(baseline, candidate, rng)
    if entry.key == "average_precision":
        return _average_precision(baseline, measured)
    return paired.paired_influence(
        measured[0].value,
        measured[1].value,
        measured[1].influence - measured[0].influence,
        extra_variance=_unseen_variance(len(baseline.labels), measured),
        method="paired differences, Student's t" if entry.key in MEANS else "paired influences, delta method",
    )


MEANS = frozenset({"log_loss", "brier", "mae", "mape"})


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


def _share_correct(
    baseline: Outcome, candidate: Outcome, rows: np.ndarray[tuple[int], np.dtype[np.bool_]]
) -> PairedEffect:
    before, after = baseline.correct[rows], candidate.correct[rows]
    return paired.paired_proportions(int((after & ~before).sum()), int((before & ~after).sum()), int(rows.sum()))


def _balanced(baseline: Outcome, candidate: Outcome, measured: tuple[Measured, Measured]) -> PairedEffect:
    classes = np.unique(baseline.y_true)
    each = [_share_correct(baseline, candidate, baseline.y_true == code) for code in classes]
    weights = [1 / len(classes)] * len(classes)
    found = intervals.combine(
        weights, [one.effect for one in each], [intervals.Interval(one.low, one.high) for one in each]
    )
    effect = measured[1].value - measured[0].value
    return PairedEffect(effect, found.low, found.high, None, "paired score intervals of the classes, combined")


def _delong(baseline: Outcome, measured: tuple[Measured, Measured]) -> PairedEffect:
    positive = baseline.positive
    difference = measured[1].influence - measured[0].influence
    sizes = (int(positive.sum()), int((~positive).sum()))
    if min(sizes) > 1 and difference.any():
        df = ranking.two_sample_df(positive, difference)
        return paired.paired_influence(measured[0].value, measured[1].value, difference, df=df, method="paired DeLong")
    # Both rank perfectly, or a class has one row: DeLong's variance is 0 or unknown, the truth's is not.
    return _apart(measured, [intervals.auc_score_interval(one.value, *sizes) for one in measured])


def _average_precision(baseline: Outcome, measured: tuple[Measured, Measured]) -> PairedEffect:
    n_positive = int(baseline.positive.sum())
    difference = measured[1].influence - measured[0].influence
    if n_positive > 1 and difference.any():
        return paired.paired_influence(
            measured[0].value,
            measured[1].value,
            difference,
            df=n_positive - 1,
            method="paired influences, degrees of freedom from the positives",
        )
    return _apart(measured, [intervals.wilson(one.value * n_positive, n_positive) for one in measured])


def _apart(measured: tuple[Measured, Measured], each: list[intervals.Interval]) -> PairedEffect:
    """Difference as if the two were of different rows: wider than a paired interval, never without width."""
    before, after = measured[0].value, measured[1].value
    found = intervals.combine([-1, 1], [before, after], each)
    return PairedEffect(after - before, found.low, found.high, None, "intervals of the two values, combined")


def _calibration(baseline: Outcome, candidate: Outcome, rng: np.random.Generator) -> PairedEffect:
    before, after = calibration_gaps(baseline), calibration_gaps(candidate)
    total, error = resampling.gap_difference(before, after, rng=rng)
    effect, half = total / baseline.n_rows, intervals.normal_quantile() * error / baseline.n_rows
    return PairedEffect(effect, effect - half, effect + half, None, "calibration bins, paired bootstrap")


def _unseen_variance(n_labels: int, measured: tuple[Measured, Measured]) -> float:
    """Variance that discordant rows not seen could add: two pseudo-rows, spread over the discordant cells.

    Half a row for each cell of a paired two-by-two table keeps an interval honest where few or no rows differ (Agresti
    and Min 2005, Statistics in Medicine 24, 729-740).
    """
    first, second = measured[0].cell, measured[1].cell
    if first is None or second is None:
        return 0.0
    right = np.arange(n_labels)
    wrong = (right + 1) % n_labels
    gained = second(right, right) - first(right, wrong)
    lost = second(right, wrong) - first(right, right)
    return float(PSEUDO_ROWS / (2 * n_labels) * (gained @ gained + lost @ lost))
