"""How one group fares by each measure, as a figure with its interval; every group of a set of predictions. Pure.

A group with fewer than `MIN_GROUP_ROWS` rows that count for a measure has no figure for it: its share would be noise.
Rows count by their weight where there are weights; a row of weight 0 is absent. A truth the model does not know counts
as not positive, and as predicted wrong.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from core.errors import InvalidInput, NotApplicable
from core.evaluation.predictions import Predictions
from core.evaluation.slices import Grouped, crossed
from core.evaluation.tables import Task
from core.statistics.intervals import CONFIDENCE, Interval, around, proportion

MIN_GROUP_ROWS = 30
MOST_CLASSES = 20
RECALL_OF = "recall of "
Floats = NDArray[np.float64]
TOO_SMALL, NOBODY = "too small to say", "no row counts"


class MeasureKind(NamedTuple):
    """A measure of how one group fares: its title within a sentence, and what it means."""

    title: str
    sentence: str
    better: Literal["high", "low", "zero", "open"]


MEASURES: dict[str, MeasureKind] = {
    "selection_rate": MeasureKind(
        "share predicted positive", "Of all rows of a group, the share the model calls positive.", "open"
    ),
    "true_positive_rate": MeasureKind(
        "share of true positives found", "Of a group's truly positive rows, the share the model finds.", "high"
    ),
    "false_positive_rate": MeasureKind(
        "false alarm rate", "Of a group's truly negative rows, the share called positive by mistake.", "low"
    ),
    "precision": MeasureKind("precision", "Of a group's rows called positive, the share that is.", "high"),
    "accuracy": MeasureKind("share predicted right", "Of all rows of a group, the share predicted right.", "high"),
    "calibration_gap": MeasureKind(
        "mean score minus share positive",
        "Above 0 the scores of a group promise more positives than there are, below 0 fewer.",
        "zero",
    ),
    "calibration_error": MeasureKind(
        "calibration error",
        "How far scores are from the share of positives among a group's rows scored alike, in ten bins; 0 is best.",
        "low",
    ),
    "base_rate": MeasureKind(
        "share truly positive", "Of all rows of a group, the share that is positive; no model made it so.", "open"
    ),
    "mean_error": MeasureKind(
        "mean error", "Predicted minus true: above 0 the model says too much for a group, below 0 too little.", "zero"
    ),
    "mean_absolute_error": MeasureKind(
        "mean absolute error", "How far predictions are from the truth in a group, on average.", "low"
    ),
}


@dataclass(frozen=True)
class GroupFigure:
    """One measure in one group.

    Parameters
    ----------
    value, low, high : float or None
        With its 95 % interval: Wilson's of a share, Student's of a mean. None where there is no figure.
    n : int
        How many of the group's rows count: the truly positive ones for the share of true positives found.
    reason : str
        "too small to say" or "no row counts" where there is no figure, else empty.
    """

    value: float | None
    low: float | None
    high: float | None
    n: int
    reason: str = ""


@dataclass(frozen=True)
class GroupResult:
    """One group's rows (those of a weight above 0) and each measure in it, by key."""

    group: str
    n_rows: int
    figures: Mapping[str, GroupFigure]


def measures_of(predictions: Predictions) -> tuple[str, ...]:
    """Keys of the measures that are defined for these predictions, in the order shown."""
    if predictions.task is Task.REGRESSION:
        return ("mean_error", "mean_absolute_error")
    if predictions.task is Task.MULTICLASS:
        return ("accuracy", *(RECALL_OF + name for name in predictions.classes[:MOST_CLASSES]))
    shares = ("selection_rate", "true_positive_rate", "false_positive_rate", "precision", "accuracy", "base_rate")
    return shares if predictions.scores is None else (*shares, "calibration_gap", "calibration_error")


def measure_kind(key: str) -> MeasureKind:
    """What a measure is called and means; that of a class's recall is made of its name."""
    if not key.startswith(RECALL_OF):
        return MEASURES[key]
    name = key.removeprefix(RECALL_OF)
    return MeasureKind(key, f"Of a group's rows that truly are {name}, the share the model finds.", "high")


def cross(columns: Sequence[Grouped]) -> Grouped:
    """The combinations of groups that occur, as one grouping: "Female, Black".

    Raises
    ------
    InvalidInput
        No columns, or columns of different lengths.
    """
    if not columns or len({len(column.codes) for column in columns}) > 1:
        raise InvalidInput("Give one column or more, each with one group per row.")
    labels: list[str] = []
    codes = np.zeros(len(columns[0].codes), dtype=np.int64)
    for conditions, rows in crossed(columns):
        codes[rows] = len(labels)
        labels.append(", ".join(value for _, value in conditions))
    return Grouped(" and ".join(column.name for column in columns), tuple(labels), codes)


@dataclass(frozen=True, eq=False)
class Cells:
    """One measure in every group: shares, or means where ``spread`` is given.

    Parameters
    ----------
    value : ndarray of shape (k,)
        NaN where no row counts.
    n : ndarray of shape (k,), int
        Rows that count.
    size : ndarray of shape (k,)
        How many rows of equal weight would be as sure.
    spread : ndarray of shape (k,) or None
        Standard deviation of a row around the mean.
    low, high : float
        The measure's range.
    """

    value: Floats
    n: NDArray[np.int64]
    size: Floats
    spread: Floats | None = None
    low: float = 0.0
    high: float = 1.0

    @cached_property
    def large(self) -> NDArray[np.intp]:
        """The groups that are judged."""
        return np.flatnonzero(self.n >= MIN_GROUP_ROWS)

    def interval(self, group: int, confidence_level: float = CONFIDENCE) -> Interval:
        """Wilson's interval of a share, Student's of a mean (on the log scale of one that is never negative)."""
        value, size = float(self.value[group]), float(self.size[group])
        if self.spread is None:
            return proportion(value * size, size, confidence_level)
        error = float(self.spread[group]) / math.sqrt(size)
        scale: Literal["log", "identity"] = "log" if self.low == 0 else "identity"
        found = around(value, error, df=max(1.0, size - 1), scale=scale, confidence_level=confidence_level)
        return Interval(max(self.low, found.low), min(self.high, found.high))

    def figure(self, group: int) -> GroupFigure:
        """The measure in one group, or why there is none."""
        n = int(self.n[group])
        if n < MIN_GROUP_ROWS:
            return GroupFigure(None, None, None, n, TOO_SMALL if n else NOBODY)
        low, high = self.interval(group)
        return GroupFigure(float(self.value[group]), low, high, n)


def cells_of(predictions: Predictions, codes: NDArray[np.int64], k: int) -> dict[str, Cells]:
    """Each measure in all ``k`` groups, by key; ``codes`` say each row's group."""
    weight = predictions.sample_weight
    every = np.ones(len(codes), dtype=bool) if weight is None else weight > 0
    truth, predicted = predictions.y_true, predictions.y_pred

    def share(rows: NDArray[np.bool_], hit: NDArray[np.bool_]) -> Cells:
        return _share(codes, k, rows & every, hit, weight)

    if predictions.task is Task.REGRESSION:
        error = predictions.y_pred - predictions.y_true
        return {
            "mean_error": _mean(codes, k, every, error, weight, low=-math.inf),
            "mean_absolute_error": _mean(codes, k, every, np.abs(error), weight, low=0.0),
        }
    right = np.asarray(predicted == truth, dtype=bool)
    if predictions.task is Task.MULTICLASS:
        found = {"accuracy": share(every, right)}
        for name in predictions.classes[:MOST_CLASSES]:
            found[RECALL_OF + name] = share(np.asarray(truth == name, dtype=bool), right)
        return found
    selected = np.asarray(predicted == predictions.positive_class, dtype=bool)
    positive = np.asarray(truth == predictions.positive_class, dtype=bool)
    found = {
        "selection_rate": share(every, selected),
        "true_positive_rate": share(positive, selected),
        "false_positive_rate": share(~positive, selected),
        "precision": share(selected, positive),
        "accuracy": share(every, right),
        "base_rate": share(every, positive),
    }
    if predictions.scores is not None:
        found["calibration_gap"] = _mean(
            codes, k, every, predictions.scores[:, 1] - positive, weight, low=-1.0, high=1.0
        )
    return found


def _sums(codes: NDArray[np.int64], k: int, weight: Floats | None) -> tuple[Floats, Floats]:
    """Each group's summed weight, and how many rows of equal weight would be as sure (Kish)."""
    if weight is None:
        n = np.bincount(codes, minlength=k).astype(np.float64)
        return n, n
    total = np.bincount(codes, weights=weight, minlength=k)
    squares = np.bincount(codes, weights=weight**2, minlength=k)
    size: Floats = np.divide(total**2, squares, out=np.zeros(k), where=squares > 0)
    return np.asarray(total, dtype=np.float64), size


def _share(
    codes: NDArray[np.int64], k: int, rows: NDArray[np.bool_], hit: NDArray[np.bool_], weight: Floats | None
) -> Cells:
    where, weights = codes[rows], None if weight is None else weight[rows]
    total, size = _sums(where, k, weights)
    hits = np.bincount(where, weights=hit[rows] if weights is None else hit[rows] * weights, minlength=k)
    value = np.divide(hits, total, out=np.full(k, np.nan), where=total > 0)
    return Cells(np.clip(value, 0, 1), np.bincount(where, minlength=k), size)


def _mean(
    codes: NDArray[np.int64],
    k: int,
    rows: NDArray[np.bool_],
    number: Floats,
    weight: Floats | None,
    *,
    low: float,
    high: float = math.inf,
) -> Cells:
    where, numbers = codes[rows], number[rows]
    weights = np.ones(len(where)) if weight is None else weight[rows]
    total, size = _sums(where, k, None if weight is None else weights)
    mean = np.divide(
        np.bincount(where, weights=weights * numbers, minlength=k), total, out=np.full(k, np.nan), where=total > 0
    )
    squares = np.bincount(where, weights=weights * (numbers - mean[where]) ** 2, minlength=k)
    variance = np.divide(squares, total, out=np.zeros(k), where=total > 0) * size / np.maximum(size - 1, 1)
    return Cells(mean, np.bincount(where, minlength=k), size, np.sqrt(variance), low, high)


def calibration_error_of(predictions: Predictions, rows: NDArray[np.intp]) -> GroupFigure:
    """The calibration error of one group's rows, as the catalogue of metrics has it."""
    from core.evaluation.metrics import METRICS, measure
    from core.evaluation.outcomes import Outcome

    if predictions.sample_weight is not None:
        rows = rows[predictions.sample_weight[rows] > 0]
    n = len(rows)
    if n < MIN_GROUP_ROWS:
        return GroupFigure(None, None, None, n, TOO_SMALL if n else NOBODY)
    entry, outcome = METRICS["expected_calibration_error"], Outcome(predictions.take(rows))
    try:
        measured = measure(entry, outcome)
    except NotApplicable:
        return GroupFigure(None, None, None, n, "not defined")
    found = entry.interval(outcome, measured)
    if found is None:
        return GroupFigure(float(measured.value), None, None, n)
    return GroupFigure(float(measured.value), max(0.0, found.low), min(1.0, found.high), n)
