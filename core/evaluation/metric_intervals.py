"""The 95 % interval of each metric: (outcome, measured, rng) -> interval, or None where too few rows allow none."""

from __future__ import annotations

import math

import numpy as np

from core.evaluation.measures import Measured, calibration_gaps
from core.evaluation.outcomes import Outcome
from core.statistics import intervals, ranking, resampling
from core.statistics.intervals import Interval


def accuracy_interval(outcome: Outcome, measured: Measured, rng: np.random.Generator) -> Interval:  # noqa: ARG001
    """Wilson."""
    return intervals.wilson(float(outcome.correct.sum()), outcome.n_rows)


def recall_interval(outcome: Outcome, measured: Measured, rng: np.random.Generator) -> Interval:  # noqa: ARG001
    """Wilson, given the number of positive rows."""
    return intervals.wilson(outcome.confusion[1, 1], outcome.confusion[1].sum())


def precision_interval(outcome: Outcome, measured: Measured, rng: np.random.Generator) -> Interval:  # noqa: ARG001
    """Wilson, given the number of rows predicted positive."""
    return intervals.wilson(outcome.confusion[1, 1], outcome.confusion[:, 1].sum())


def f1_interval(outcome: Outcome, measured: Measured, rng: np.random.Generator) -> Interval:  # noqa: ARG001
    """Wilson of TP among the rows that are or were called positive: F1 = 2 J / (1 + J) of that share J."""
    hits = outcome.confusion[1, 1]
    found = intervals.wilson(hits, outcome.confusion[1].sum() + outcome.confusion[:, 1].sum() - hits)
    return Interval(2 * found.low / (1 + found.low), 2 * found.high / (1 + found.high))


def balanced_accuracy_interval(outcome: Outcome, measured: Measured, rng: np.random.Generator) -> Interval:  # noqa: ARG001
    """Wilson of each class, combined."""
    sizes = outcome.confusion.sum(axis=1)
    hits, sizes = outcome.confusion.diagonal()[sizes > 0], sizes[sizes > 0]
    each = [intervals.wilson(float(hit), float(size)) for hit, size in zip(hits, sizes, strict=True)]
    return intervals.combine([1 / len(sizes)] * len(sizes), list(hits / sizes), each)


def roc_auc_interval(outcome: Outcome, measured: Measured, rng: np.random.Generator) -> Interval:  # noqa: ARG001
    """DeLong's on the logit scale, with Welch's degrees of freedom; a score interval where that has no width."""
    n_positive = int(outcome.positive.sum())
    n_negative = outcome.n_rows - n_positive
    if measured.standard_error == 0 or not 0 < measured.value < 1 or min(n_positive, n_negative) < 2:
        return intervals.auc_score_interval(measured.value, n_positive, n_negative)
    df = ranking.two_sample_df(outcome.positive, measured.influence)
    return intervals.around(measured.value, measured.standard_error, df=df, scale="logit")


def average_precision_interval(outcome: Outcome, measured: Measured, rng: np.random.Generator) -> Interval:  # noqa: ARG001
    """On the logit scale, degrees of freedom from the positives; as a proportion of them where that has no width."""
    n_positive = int(outcome.positive.sum())
    if measured.standard_error == 0 or not 0 < measured.value < 1 or n_positive < 2:
        return intervals.wilson(measured.value * n_positive, n_positive)
    return intervals.around(measured.value, measured.standard_error, df=n_positive - 1, scale="logit")


def share_interval(outcome: Outcome, measured: Measured, rng: np.random.Generator) -> Interval:  # noqa: ARG001
    """Delta method on the logit scale; as a proportion of the rows where that has no width."""
    if measured.standard_error == 0 or not 0 < measured.value < 1:
        return intervals.wilson(measured.value * outcome.n_rows, outcome.n_rows)
    return intervals.around(measured.value, measured.standard_error, df=outcome.n_rows - 1, scale="logit")


def correlation_interval(outcome: Outcome, measured: Measured, rng: np.random.Generator) -> Interval:  # noqa: ARG001
    """Delta method on Fisher's scale; at exactly 1, what Wilson's bound on the error rate still allows."""
    if measured.value >= 1:
        accuracy = intervals.wilson(outcome.n_rows, outcome.n_rows)
        return Interval(max(-1.0, 1 - (1 - accuracy.low) / _rarest_share(outcome)), 1.0)
    return intervals.around(measured.value, measured.standard_error, df=outcome.n_rows - 1, scale="fisher")


def loss_interval(outcome: Outcome, measured: Measured, rng: np.random.Generator) -> Interval:  # noqa: ARG001
    """Student's on the log scale: losses are positive and skewed to the right."""
    return intervals.around(measured.value, measured.standard_error, df=outcome.n_rows - 1, scale="log")


def median_error_interval(outcome: Outcome, measured: Measured, rng: np.random.Generator) -> Interval | None:  # noqa: ARG001
    """Two order statistics; None for fewer than 6 rows."""
    return intervals.median_interval(np.sort(np.abs(outcome.errors)))


def explained_interval(outcome: Outcome, measured: Measured, rng: np.random.Generator) -> Interval:  # noqa: ARG001
    """Student's on the log scale of 1 - value: for a share accounted for, at most 1 and open below."""
    rest = intervals.around(1 - measured.value, measured.standard_error, df=outcome.n_rows - 1, scale="log")
    return Interval(1 - rest.high, 1 - rest.low)


def calibration_error_interval(outcome: Outcome, measured: Measured, rng: np.random.Generator) -> Interval:
    """Basic bootstrap of the bins' summed gaps."""
    sums = resampling.resample_sums(calibration_gaps(outcome), rng=rng)
    resampled = np.abs(sums).sum(axis=1) / outcome.n_rows
    return resampling.basic_interval(measured.value, resampled)


def _rarest_share(outcome: Outcome) -> float:
    sizes = outcome.confusion.sum(axis=1)
    return max(float(sizes[sizes > 0].min()) / outcome.n_rows, 1 / math.sqrt(outcome.n_rows))
