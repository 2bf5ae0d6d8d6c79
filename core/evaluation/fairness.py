"""How differently groups of people fare: the gap between the group that fares best and the one that fares worst.

Binary tasks are judged by the share predicted positive (demographic parity) and by the share of the truly positive that
is found (equal opportunity); multiclass tasks by the share predicted right; regressions by the mean absolute error.
A group with fewer than `MIN_GROUP_ROWS` rows that count for a measure is left out of it and counted: its share would be
noise, and the gap is drawn by the extremes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from core.errors import InvalidInput
from core.evaluation.predictions import Predictions
from core.evaluation.tables import Task
from core.evaluation.verdicts import figure
from core.statistics.intervals import Interval
from core.statistics.resampling import N_RESAMPLES, basic_interval, resample_successes

MIN_GROUP_ROWS = 30

Measure = Literal["selection_rate", "true_positive_rate", "accuracy", "mean_absolute_error"]

TITLES: dict[Measure, str] = {
    "selection_rate": "share predicted positive",
    "true_positive_rate": "share of true positives found",
    "accuracy": "share predicted right",
    "mean_absolute_error": "mean absolute error",
}


@dataclass(frozen=True)
class FairnessGap:
    """The largest gap between two groups by one measure.

    Parameters
    ----------
    measure : Measure
    gap, low, high : float
        Largest minus smallest group value, >= 0, and its 95 % interval (basic bootstrap, which takes off the bias of
        a largest-minus-smallest).
    highest, lowest : str
        The groups with the largest and smallest value.
    values, sizes : mapping of group to float, int
        Each judged group's value, and how many of its rows counted.
    n_small_groups : int
        Groups left out as too small.
    """

    measure: Measure
    gap: float
    low: float
    high: float
    highest: str
    lowest: str
    values: Mapping[str, float]
    sizes: Mapping[str, int]
    n_small_groups: int

    @property
    def sentence(self) -> str:
        """The gap in plain words."""
        small = f" {self.n_small_groups} groups are too small to judge." if self.n_small_groups else ""
        return (
            f"Largest gap in {TITLES[self.measure]}: {figure(self.gap)} "
            f"(95 % interval {figure(self.low)} to {figure(self.high)}), {self.highest} "
            f"{figure(self.values[self.highest])} against {self.lowest} {figure(self.values[self.lowest])}.{small}"
        )


def fairness_gap(
    predictions: Predictions, groups: NDArray[Any], *, rng: np.random.Generator, n_resamples: int = N_RESAMPLES
) -> tuple[FairnessGap, ...]:
    """Find the largest gap between groups, by each measure of the task.

    Parameters
    ----------
    predictions : Predictions
    groups : ndarray of shape (n,)
        Each row's group as a string.
    rng : Generator
    n_resamples : int

    Returns
    -------
    tuple of FairnessGap
        Without the measures for which fewer than two groups are large enough.

    Raises
    ------
    InvalidInput
        There is not one group per row.
    """
    if len(groups) != predictions.n_rows:
        raise InvalidInput(f"{len(groups):,} groups were given for {predictions.n_rows:,} rows; give one per row.")
    position: dict[str, int] = {}
    codes = np.fromiter((position.setdefault(str(group), len(position)) for group in groups), np.int64, len(groups))
    found = []
    for measure, rows, number in _measured(predictions):
        gap = _gap(measure, tuple(position), codes[rows], number[rows], rng, n_resamples)
        if gap is not None:
            found.append(gap)
    return tuple(found)


def fairness_change(
    column: str,
    baseline: Predictions | None,
    candidate: Predictions,
    groups: NDArray[Any],
    *,
    rng: np.random.Generator,
) -> list[dict[str, Any]]:
    """Describe the group gaps of a sensitive column before and after, ready to be kept as evidence.

    Parameters
    ----------
    column : str
        The sensitive column's name.
    baseline : Predictions or None
        What is live, over the same rows in the same order as the candidate; None where nothing is.
    groups : ndarray of shape (n,)
        Each row's value of the column, as a string.

    Returns
    -------
    list of dict
        ``column``, ``measure``, ``before`` (gap, or None), ``after`` (gap), ``low`` and ``high`` (interval of
        ``after``), ``sentence``; one per measure, the largest gap first. Empty where no two groups are large enough.
    """
    earlier = {gap.measure: gap.gap for gap in fairness_gap(baseline, groups, rng=rng)} if baseline else {}
    entries = []
    for gap in sorted(fairness_gap(candidate, groups, rng=rng), key=lambda one: -one.gap):
        before = earlier.get(gap.measure)
        was = "" if before is None else f" It was {figure(before)} before."
        entries.append(
            {
                "column": column,
                "measure": gap.measure,
                "before": before,
                "after": gap.gap,
                "low": gap.low,
                "high": gap.high,
                "sentence": gap.sentence + was,
            }
        )
    return entries


def _measured(predictions: Predictions) -> list[tuple[Measure, NDArray[np.bool_], NDArray[np.float64]]]:
    every = np.ones(predictions.n_rows, dtype=bool)
    if predictions.task is Task.REGRESSION:
        return [("mean_absolute_error", every, np.abs(predictions.y_pred - predictions.y_true))]
    if predictions.task is Task.MULTICLASS:
        return [("accuracy", every, (predictions.y_pred == predictions.y_true).astype(np.float64))]
    selected = (predictions.y_pred == predictions.positive_class).astype(np.float64)
    positive = (predictions.y_true == predictions.positive_class).astype(bool)
    return [("selection_rate", every, selected), ("true_positive_rate", positive, selected)]


def _gap(
    measure: Measure,
    names: tuple[str, ...],
    codes: NDArray[np.int64],
    number: NDArray[np.float64],
    rng: np.random.Generator,
    n_resamples: int,
) -> FairnessGap | None:
    sizes = np.bincount(codes, minlength=len(names))
    large = np.flatnonzero(sizes >= MIN_GROUP_ROWS)
    if len(large) < 2:
        return None
    size = sizes[large]
    totals = np.bincount(codes, weights=number, minlength=len(names))[large]
    value = totals / size
    if measure == "mean_absolute_error":
        squares = np.bincount(codes, weights=number**2, minlength=len(names))[large]
        error = np.sqrt(np.clip(squares / size - value**2, 0, None) / (size - 1))
        drawn = value + error * rng.standard_normal((n_resamples, len(large)))
    else:
        drawn = resample_successes(totals.astype(np.int64), size, n_resamples=n_resamples, rng=rng) / size
    gap = float(value.max() - value.min())
    interval = basic_interval(gap, drawn.max(axis=1) - drawn.min(axis=1))
    kept = [names[code] for code in large]
    ceiling = float("inf") if measure == "mean_absolute_error" else 1.0
    interval = Interval(max(0.0, interval.low), min(ceiling, interval.high))
    return FairnessGap(
        measure=measure,
        gap=gap,
        low=interval.low,
        high=interval.high,
        highest=kept[int(value.argmax())],
        lowest=kept[int(value.argmin())],
        values=dict(zip(kept, value.tolist(), strict=True)),
        sizes=dict(zip(kept, size.tolist(), strict=True)),
        n_small_groups=int(((sizes > 0) & (sizes < MIN_GROUP_ROWS)).sum()),
    )
